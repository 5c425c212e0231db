"""Pages and positions in query strings: ``limit``, ``cursor``, ``as_of``. Pure, called by the routes.

A cursor names the position at which its list was first read and the last thing shown, so that the pages of
one walk are of one state, whatever is written meanwhile.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from data.errors import InvalidValueError
from deployments.api.schemas import MAX_SEQ

#: Things on one page when the caller names no number, and the most it may name.
DEFAULT_PAGE, MAX_PAGE = 100, 1_000
#: Longest cursor: an id of 512 characters outside the Latin alphabet fits.
MAX_CURSOR_CHARS = 4_096


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a walk stands: the position it reads, and the last id shown (verdicts: the last seq, as text)."""

    at: int
    last: str


_DECODER = msgspec.json.Decoder(tuple[int, str])


def cursor_text(cursor: Cursor) -> str:
    """Return a cursor as it is sent: letters, digits, dash and underscore."""
    raw = msgspec.json.encode((cursor.at, cursor.last))
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def read_cursor(query: Mapping[str, str]) -> Cursor | None:
    """Return the cursor of a query string, if it has one.

    Raises:
        InvalidValueError: it is none that was given out here.
    """
    text = query.get("cursor", "")
    if not text:
        return None
    try:
        if len(text) > MAX_CURSOR_CHARS:
            raise ValueError("too long")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        at, last = _DECODER.decode(raw)
    except (ValueError, msgspec.DecodeError):
        raise InvalidValueError(
            "cursor is not one that was given out: send X-Next-Cursor of the page before, or leave it out."
        ) from None
    if not 0 <= at <= MAX_SEQ:
        raise InvalidValueError("cursor is out of range: leave it out to begin again.")
    return Cursor(at, last)


def read_limit(query: Mapping[str, str]) -> int:
    """Return how many things a page shall have.

    Raises:
        InvalidValueError: not a whole number from 1 to ``MAX_PAGE``.
    """
    text = query.get("limit")
    if text is None:
        return DEFAULT_PAGE
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MAX_PAGE):
        raise InvalidValueError(f"limit must be a whole number from 1 to {MAX_PAGE}.")
    return int(text)


def read_as_of(query: Mapping[str, str]) -> int | str | None:
    """Return the position or the moment that a query string names, if it does.

    Raises:
        InvalidValueError: a number out of range.
    """
    text = query.get("as_of", "")
    if not (text.isascii() and text.isdigit()):
        return text or None
    if len(text) > 19 or int(text) > MAX_SEQ:
        raise InvalidValueError(f"as_of is out of range: {MAX_SEQ} is the largest position.")
    return int(text)
