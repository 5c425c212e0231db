"""A batch cut into parts: the unit that is worked on, written and counted as a whole.

Called once by whoever drives a batch. Invariant: the same files and options give the same parts, every row
is in exactly one, and ``FileMark.sha256`` tells whether the files are still the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, BinaryIO, cast

from data.batch.inputs import InputFile, open_file
from data.batch.parts import PART_ROWS, FileMark, Part, Plan
from data.batch.reading import header_of
from data.batch.records import records
from data.batch.tables import rows_in
from data.errors import InvalidValueError

_UTF16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part before it has its number."""

    start: int
    line: int
    rows: int


def plan(files: Sequence[InputFile], *, part_rows: int = PART_ROWS, limit: int | None = None) -> Plan:
    """Return the parts of these files, each read once; ``limit`` keeps the first rows only.

    Raises:
        InvalidValueError: a file cannot be opened, or is text in UTF-16.
    """
    marks: list[FileMark] = []
    parts: list[Part] = []
    for file in files:
        mark, own = _planned(file, part_rows)
        marks.append(mark)
        parts += own
    return Plan(tuple(marks), tuple(_numbered(parts, limit)))


def _numbered(parts: Sequence[Part], limit: int | None) -> Iterator[Part]:
    left = limit
    for number, part in enumerate(parts):
        rows = part.rows if left is None else min(part.rows, left)
        if not rows:
            return
        yield replace(part, number=number, rows=rows)
        left = None if left is None else left - rows


def _planned(file: InputFile, part_rows: int) -> tuple[FileMark, list[Part]]:
    with open_file(file.address) as stream:
        fault = ""
        header: tuple[str, ...] = ()
        pieces: list[_Piece] = []
        if file.form == "parquet":
            size, digest = _digest(stream)
            try:
                pieces = _table_pieces(file, part_rows)
            except InvalidValueError as exc:
                fault, pieces = str(exc), [_Piece(0, 0, 1)]
        else:
            counted = _Counted(stream)
            header, pieces = _line_pieces(file, cast("BinaryIO", counted), part_rows)
            size, digest = counted.size, counted.digest.hexdigest()
    rows = sum(piece.rows for piece in pieces)
    parts = [
        Part(0, file.address, file.name, file.form, each.start, each.line, each.rows, header, fault)
        for each in pieces
    ]
    return FileMark(file.name, rows, size, digest), parts


def _line_pieces(file: InputFile, stream: BinaryIO, part_rows: int) -> tuple[tuple[str, ...], list[_Piece]]:
    """Return the header, if the form has one, and where parts begin; blank lines are no rows."""
    header: tuple[str, ...] = ()
    pieces: list[_Piece] = []
    begin, held = None, 0
    wants_header = file.form in ("csv", "tsv")
    for record in records(stream, quoted=wants_header):
        if record.offset == 0 and record.body.startswith(_UTF16):
            raise InvalidValueError(f"{file.name}: is text in UTF-16: convert it to UTF-8.")
        if not record.fault and not record.body.strip():
            continue
        if wants_header:
            header, wants_header = header_of(record, file.form, file.name), False
            continue
        begin, held = begin or record, held + 1
        if held == part_rows:
            pieces.append(_Piece(begin.offset, begin.line, held))
            begin, held = None, 0
    if begin:
        pieces.append(_Piece(begin.offset, begin.line, held))
    return header, pieces


def _table_pieces(file: InputFile, part_rows: int) -> list[_Piece]:
    rows = rows_in(file.address, file.name)
    return [_Piece(start, start + 1, min(part_rows, rows - start)) for start in range(0, rows, part_rows)]


def _digest(stream: BinaryIO) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while block := stream.read(1 << 20):
        digest.update(block)
        size += len(block)
    return size, digest.hexdigest()


class _Counted:
    """A stream that is read forwards, with the digest of what was read; steps back are read, not counted."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self.digest = hashlib.sha256()
        self.size = 0

    def readline(self, most: int) -> bytes:
        """Return the next line, or as much of it."""
        body = self._stream.readline(most)
        end = self._stream.tell()
        if end > self.size:
            self.digest.update(body[len(body) - (end - self.size) :])
            self.size = end
        return body

    def tell(self) -> int:
        """Return where the next line begins."""
        return self._stream.tell()

    def seek(self, offset: int) -> Any:
        """Go back to where a line began."""
        return self._stream.seek(offset)
