"""Where a request comes from: what a caller says of it counts for nothing, what a trusted proxy says does."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployments.api.address import LOOPBACK, address_reader, client_address

TRUSTED = (*LOOPBACK, ip_network("10.0.0.0/8"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("127.0.0.1", ["10.9.9.9, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", ["2001:db8::7"], "2001:db8::7"),
        ("127.0.0.1", ["[2001:db8::7]:443"], "2001:db8::7"),
        ("127.0.0.1", ["2001:db8::7, fd00::1"], "2001:db8::7"),
        ("127.0.0.1", ["198.51.100.1:55555"], "198.51.100.1"),
        ("::ffff:127.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", [], "fe80::1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, garbage, 10.2.3.4"], "10.2.3.4"),
        ("127.0.0.1", [""], "127.0.0.1"),
        ("unix:", ["198.51.100.1"], "unix:"),
        ("", [], ""),
    ],
)
def test_address_is_the_nearest_hop_that_is_no_proxy(peer: str, forwarded: list[str], address: str) -> None:
    """Spoofed values stand left of what proxies added, and are never reached."""
    assert client_address(peer, forwarded, TRUSTED) == address


@given(st.lists(st.text()))
def test_caller_that_is_no_proxy_keeps_its_address(forwarded: list[str]) -> None:
    """Whatever it sends."""
    assert client_address("203.0.113.5", forwarded, TRUSTED) == "203.0.113.5"


@given(st.lists(st.text()))
def test_what_haproxy_adds_counts_whatever_stands_before(forwarded: list[str]) -> None:
    """The last header is HAProxy's own."""
    assert client_address("127.0.0.1", [*forwarded, "203.0.113.5"], LOOPBACK) == "203.0.113.5"


@pytest.mark.parametrize(("behind", "address"), [(True, "203.0.113.5"), (False, "127.0.0.1")])
def test_loopback_is_believed_behind_haproxy_only(behind: bool, address: str) -> None:
    """Without HAProxy a caller on this machine could say anything."""
    read = address_reader((), behind_haproxy=behind)
    scope = {"client": ("127.0.0.1", 5), "headers": [(b"x-forwarded-for", b"203.0.113.5")]}

    assert read(scope) == address


def test_address_is_read_anew_for_every_sender() -> None:
    """What is remembered of one is not told of another, however long the hops are."""
    read = address_reader([], behind_haproxy=True)
    hops = [f"192.0.2.{last}" for last in range(1, 30)] * 2
    told = [
        read({"client": ("127.0.0.1", 5), "headers": [(b"x-forwarded-for", f"{before}, {hop}".encode())]})
        for hop in hops
        for before in ("x", "x" * 500)
    ]

    assert told == [hop for hop in hops for _ in range(2)]


def test_scope_without_a_client_has_no_address() -> None:
    """A server may not know its peer."""
    assert address_reader((), behind_haproxy=True)({"client": None, "headers": []}) == ""
