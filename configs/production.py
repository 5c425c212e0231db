"""What must hold before an installation with ``production: true`` starts.

Called by the command line before anything is started. Invariant: every fault is found and told at once, each
with how to mend it; nothing is changed.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from pathlib import Path

from configs.encryption import Disks
from configs.errors import ConfigError
from configs.schema import LOOPBACK_HOSTS, HttpSettings, Settings
from configs.secrets import exposure, without_url_password

#: Variables that would make Ray another one than the head on loopback that ``kite`` starts with a token.
_RAY_VARIABLES = {"RAY_ADDRESS": "", "RAY_AUTH_MODE": "token"}


def check_production(settings: Settings, environ: Mapping[str, str], disks: Disks | None = None) -> None:
    """Refuse settings that are not fit for production; ``environ`` are the variables of the process.

    Raises:
        ConfigError: every fault, a line each.
    """
    found = faults(settings, environ, disks or Disks())
    if found:
        lines = "".join(f"\n  - {fault}" for fault in found)
        raise ConfigError(f"production: {len(found)} of the settings are not safe:{lines}")


def faults(settings: Settings, environ: Mapping[str, str], disks: Disks) -> list[str]:
    """Return what is not fit for production, each with how to mend it."""
    return [
        *_access(settings),
        *_transport(settings.http),
        *_ray(environ),
        *_secrets(settings, environ),
        *_at_rest(settings, disks),
    ]


def _access(settings: Settings) -> Iterator[str]:
    if settings.auth.mode != "required":
        yield "auth.mode is open: everybody is the administrator; set it to required"
    if settings.limits.enabled is False:
        yield "limits.enabled is false: one caller can take everything; set it to true"


def _transport(http: HttpSettings) -> Iterator[str]:
    if http.tls.certificate is not None:
        return
    if not http.tls_terminated_upstream:
        yield (
            "TLS is off: keys would cross the network in the clear; set http.tls.certificate and "
            "http.tls.key, or http.tls_terminated_upstream where a proxy in front speaks TLS"
        )
    elif not http.trusted_proxies:
        yield (
            "http.trusted_proxies is empty: all callers would share the address of the proxy in front; "
            "name its network, such as 127.0.0.1/32"
        )
    if is_public(http.host):
        yield (
            f"http.host is {http.host} without TLS here: plain HTTP would be open to others; set http.tls,"
            " or bind to loopback or a private address that only the proxy reaches"
        )


def is_public(host: str) -> bool:
    """Return whether a server on ``host`` may be reached from outside: what is not known to be private is."""
    if host in LOOPBACK_HOSTS:
        return False
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return True
    return address.is_unspecified or not (address.is_loopback or address.is_private)


def _ray(environ: Mapping[str, str]) -> Iterator[str]:
    for name, allowed in _RAY_VARIABLES.items():
        if environ.get(name, allowed) != allowed:
            yield f"{name} is set: Ray must be the one on loopback that kite starts with a token; unset it"


def _secrets(settings: Settings, environ: Mapping[str, str]) -> Iterator[str]:
    for key, path in _secret_files(settings, environ):
        wrong = exposure(path)
        if wrong is not None:
            yield f"{key}: {wrong}; give it to the user of the service with mode 0600"
    addresses = {
        "cache": settings.cache.url,
        "queue": settings.queue.url,
        "queue.stream": settings.queue.stream.url,
    }
    for key, url in addresses.items():
        name = f"KITE_{key.upper().replace('.', '__')}__URL"
        if url and without_url_password(url) != url and not environ.get(name):
            yield f"{key}.url holds a password: take it from {name} or a private file, {key}.url_file"


def _secret_files(settings: Settings, environ: Mapping[str, str]) -> Iterator[tuple[str, Path]]:
    named = {
        "http.tls.key": settings.http.tls.key,
        "auth.jwt.secret_file": settings.auth.jwt.secret_file,
        "cache.url_file": settings.cache.url_file,
        "queue.url_file": settings.queue.url_file,
        "queue.stream.url_file": settings.queue.stream.url_file,
    }
    named |= {
        name: value for name, value in environ.items() if name.startswith("KITE_") and name.endswith("_FILE")
    }
    for key, value in named.items():
        # KITE_CACHE__URL_FILE and its like are settings, and stand above under their own name.
        if value and "__" not in key:
            yield key, Path(value)
    folder = Path(settings.home).expanduser() / "secrets"
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        yield "home", path


def _at_rest(settings: Settings, disks: Disks) -> Iterator[str]:
    if settings.encryption.at_rest != "required":
        return
    home = Path(settings.home).expanduser()
    there = next(path for path in (home, *home.parents) if path.exists()).resolve()
    if not disks.encrypts(there):
        yield (
            f"home {home} is on no file system known to be encrypted: put it on LUKS or fscrypt, or "
            "set encryption.at_rest to none"
        )
