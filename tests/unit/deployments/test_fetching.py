"""What is read from an address of the settings is bounded, and nothing leads elsewhere."""

from __future__ import annotations

import httpx
import pytest

from data.errors import UnavailableError
from deployments.fetching import MAX_BYTES, fetch_https

KEYS = "https://issuer.example/keys"


def answering(status: int, content: bytes = b"", **headers: str) -> httpx.MockTransport:
    return httpx.MockTransport(lambda _: httpx.Response(status, content=content, headers=headers))


def test_answer_is_returned_as_it_came() -> None:
    """Bytes in, bytes out."""
    assert fetch_https(KEYS, transport=answering(200, b'{"keys": []}')) == b'{"keys": []}'


@pytest.mark.parametrize("address", ["http://issuer.example/keys", "file:///etc/passwd", "ftp://x/", ""])
def test_other_scheme_is_never_asked(address: str) -> None:
    """Only https."""
    with pytest.raises(UnavailableError, match="https only"):
        fetch_https(address, transport=answering(200, b"{}"))


def test_redirect_is_not_followed() -> None:
    """It might lead to this machine or to its cloud's secrets."""
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(302, headers={"Location": "http://169.254.169.254/latest/meta-data"})

    with pytest.raises(UnavailableError, match="302"):
        fetch_https(KEYS, transport=httpx.MockTransport(answer))
    assert asked == [KEYS]


def test_endless_answer_is_cut_off() -> None:
    """More than the bound is refused, not read on."""
    with pytest.raises(UnavailableError, match="bytes"):
        fetch_https(KEYS, transport=answering(200, b"x" * (MAX_BYTES + 1)))


def test_server_that_is_away_is_told_without_its_words() -> None:
    """The kind of failure, not what the other side wrote."""

    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("secret inner name", request=request)

    with pytest.raises(UnavailableError, match="ConnectError") as caught:
        fetch_https(KEYS, transport=httpx.MockTransport(fail))
    assert "secret" not in str(caught.value)
