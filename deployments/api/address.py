"""Where a caller's request comes from, through the proxies that may say so.

Called by the guard, for limits, networks of keys and the audit. Pure. Invariant: only what a trusted proxy
itself added to ``X-Forwarded-For`` is believed, so a caller cannot choose its address.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from functools import lru_cache
from typing import Any

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

#: HAProxy reaches the replicas on this machine, and writes the header itself.
LOOPBACK = (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


#: Hops whose caller is remembered, and the longest of them in characters: what is longer fills no memory.
MOST_REMEMBERED = 4_096
LONGEST_REMEMBERED = 128


def address_reader(
    trusted_proxies: Iterable[str], *, behind_haproxy: bool
) -> Callable[[MutableMapping[str, Any]], str]:
    """Return what reads the sender's address from an ASGI scope; ``trusted_proxies`` are networks (CIDR)."""
    named = tuple(ipaddress.ip_network(one) for one in trusted_proxies)
    trusted = (*named, *LOOPBACK) if behind_haproxy else named

    @lru_cache(maxsize=MOST_REMEMBERED)
    def remembered(peer: str, told: tuple[str, ...]) -> str:
        return client_address(peer, told, trusted)

    def read(scope: MutableMapping[str, Any]) -> str:
        peer = str((scope.get("client") or ("",))[0])
        told = tuple(
            value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"
        )
        if sum(map(len, told)) > LONGEST_REMEMBERED:
            return client_address(peer, told, trusted)
        return remembered(peer, told)

    return read


def client_address(peer: str, forwarded: Sequence[str], trusted: Sequence[Network]) -> str:
    """Return the address nearest to the caller that can be believed.

    Read from the right, each hop was told by the one behind it; the first that is no trusted proxy is the
    caller. Where a trusted proxy tells something that is no address, the proxy's own is returned.

    Args:
        peer: the address of the connection.
        forwarded: the values of ``X-Forwarded-For``, in the order of their headers.
        trusted: networks whose hosts are believed.
    """
    current = _parsed(peer)
    if current is None:
        return peer
    hops = [hop for value in forwarded for hop in value.split(",")]
    while hops and any(current in network for network in trusted):
        before = _parsed(hops.pop())
        if before is None:
            break
        current = before
    return str(current)


def _parsed(text: str) -> IPAddress | None:
    """Return an address, with or without brackets and a port; IPv4 in IPv6 as IPv4, without a zone."""
    host = text.strip().strip('"')
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
