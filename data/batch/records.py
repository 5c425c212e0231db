"""A line file as records: a line each, or for CSV as many lines as a quoted cell takes. Pure.

Called by the planner, which notes where parts begin, and by the reader of a part; both see the same records,
because both come here. Invariant: every byte of the file belongs to exactly one record, no record takes
more memory than ``MAX_BYTES``, and one that cannot be read does not take its neighbours with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

#: Longest record that is read, bytes; a longer one is bad.
MAX_BYTES = 4 * 2**20
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Record:
    """One record: where it begins, its first line (from 1), its bytes; ``fault``: why not all."""

    offset: int
    line: int
    body: bytes
    fault: str = ""


def records(stream: BinaryIO, *, quoted: bool, line: int = 1) -> Iterator[Record]:
    """Yield the records from where ``stream`` stands, which is the beginning of line ``line``.

    ``quoted``: a line break within double quotes does not end a record. A quote that is never closed makes
    its own line bad, and what follows is read again from the next.
    """
    offset = stream.tell()
    while True:
        first = _line(stream, offset, line)
        if first is None:
            return
        whole, lines = first, 1
        if quoted and not first.fault and first.body.count(b'"') % 2:
            whole, lines = _closed(stream, first)
            if whole.fault:
                stream.seek(first.offset + len(first.body))
        yield _without_bom(whole) if whole.offset == 0 else whole
        line += lines
        offset = stream.tell()


def _closed(stream: BinaryIO, first: Record) -> tuple[Record, int]:
    """Return a record that goes on over further lines until its quotes are closed, and how many they are."""
    pieces, size, quotes = [first.body], len(first.body), first.body.count(b'"')
    while quotes % 2:
        more = stream.readline(MAX_BYTES + 1)
        size += len(more)
        if not more or size > MAX_BYTES:
            fault = "A quote is opened and never closed: close it, or double the quotes within a cell."
            return Record(first.offset, first.line, first.body, fault), 1
        pieces.append(more)
        quotes += more.count(b'"')
    return Record(first.offset, first.line, b"".join(pieces)), len(pieces)


def _line(stream: BinaryIO, offset: int, number: int) -> Record | None:
    body = stream.readline(MAX_BYTES + 1)
    if not body:
        return None
    if len(body) <= MAX_BYTES:
        return Record(offset, number, body)
    head, size = body[:200], len(body)
    while body and not body.endswith(b"\n"):
        body = stream.readline(MAX_BYTES)
        size += len(body)
    return Record(offset, number, head, f"The line has {size} bytes and at most {MAX_BYTES} are read.")


def _without_bom(record: Record) -> Record:
    return Record(record.offset, record.line, record.body.removeprefix(_BOM), record.fault)
