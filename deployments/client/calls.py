"""A call of the HTTP interface as a value: what is sent, and how the answer is read. Pure.

Made by the ``*_calls`` modules, sent by both clients. Invariant: a call knows whether sending it twice can do
harm, and nothing else decides on that.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from urllib.parse import quote

import msgspec

from data.errors import UnavailableError

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")

API = "/api/v1"
IDEMPOTENCY_HEADER = "Idempotency-Key"
CURSOR_HEADER = "X-Next-Cursor"


class Repeat(StrEnum):
    """What may happen if a call is sent twice."""

    SAFE = "safe"  # it reads, or works the same answer out again
    KEYED = "keyed"  # the service does it once for each Idempotency-Key
    ONCE = "once"  # it would be done twice


def _json_of(response: httpx.Response) -> Any:
    try:
        return msgspec.json.decode(response.content) if response.content else None
    except msgspec.DecodeError as exc:
        raise UnavailableError("What answers there does not speak JSON: is the address right?") from exc


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request. ``body`` goes as JSON, else ``content`` as it is, else the file ``upload`` as a form.

    ``key`` is the caller's own Idempotency-Key; a ``KEYED`` call without one is given one when it is sent.
    The answer of an ``is_endless`` one may be silent for any time.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: Any = None
    content: bytes | None = None
    content_type: str | None = None
    upload: Path | None = None
    form: Mapping[str, str] = field(default_factory=dict)
    repeat: Repeat = Repeat.ONCE
    key: str | None = None
    accept: str | None = None
    is_endless: bool = False
    read: Callable[[httpx.Response], T] = _json_of

    def keyed(self, new_key: Callable[[], str]) -> Call[T]:
        """Return the call with an Idempotency-Key where it needs one."""
        if self.repeat is Repeat.KEYED and self.key is None:
            return replace(self, key=new_key())
        return self

    def headers(self) -> dict[str, str]:
        """Return the headers that are this call's own."""
        named = {
            "Content-Type": self.content_type,
            "Accept": self.accept,
            IDEMPOTENCY_HEADER: self.key,
        }
        return {name: value for name, value in named.items() if value is not None}

    def after(self, cursor: str) -> Call[T]:
        """Return the call for the page that begins at ``cursor``."""
        return replace(self, query={**self.query, "cursor": cursor})


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Items of a list, and where the next page begins (``None``: this is the last)."""

    items: list[T]
    next_cursor: str | None


def page_of(response: httpx.Response) -> Page[Any]:
    """Return the page that an answer holds."""
    return Page(_json_of(response), response.headers.get(CURSOR_HEADER))


def nothing_of(response: httpx.Response) -> None:
    """Return nothing, for an answer that says only that it is done."""
    del response


def fields_of(**fields: Any) -> dict[str, Any]:
    """Return the fields that were given (not ``None``), for a body."""
    return {name: value for name, value in fields.items() if value is not None}


def query_of(**fields: Any) -> dict[str, str]:
    """Return the fields that were given (not ``None``), as a query spells them."""
    return {name: str(value) for name, value in fields.items() if value is not None}


def part(text: str) -> str:
    """Return a name as one part of a path."""
    return quote(text, safe="")


def get(path: str, query: Mapping[str, str] | None = None) -> Call[Any]:
    """Return a call that reads."""
    return Call("GET", path, query or {}, repeat=Repeat.SAFE)


def pages(path: str, query: Mapping[str, str] | None = None) -> Call[Page[Any]]:
    """Return a call for the first page of a list."""
    return Call("GET", path, query or {}, repeat=Repeat.SAFE, read=page_of)


def ask(path: str, body: Any, query: Mapping[str, str] | None = None) -> Call[Any]:
    """Return a POST that only asks: sent twice it is answered twice, and alike."""
    return Call("POST", path, query or {}, body=body, repeat=Repeat.SAFE)


def write(method: str, path: str, body: Any = None, *, key: str | None = None) -> Call[Any]:
    """Return a write that the service does once for each Idempotency-Key."""
    return Call(method, path, body=body, repeat=Repeat.KEYED, key=key)
