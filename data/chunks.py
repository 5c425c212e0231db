"""Cutting a file of rows into chunks that can be read apart, and reading one chunk.

Used by imports, so that a file of any size is read in parallel and never as a whole: line files (JSONL,
N-Quads) by byte ranges, Parquet by row groups, CSV as one stream (a quoted field may hold line breaks), a
JSON feed as a whole.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from data.claim_reviews import reviews_in
from data.errors import InvalidValueError
from data.json_faults import json_fault
from data.rows import BadRow

#: File types by ending.
FORMATS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".nq": "nquads",
    ".json": "feed",
    ".jsonld": "feed",
}
#: Bytes of one chunk of a line file.
CHUNK_BYTES = 4 * 1024 * 1024
#: Most columns of a table; the widest kind of row has 15.
MAX_COLUMNS = 256
#: Most characters of a cell of CSV, which is the library's own bound.
MAX_CELL_CHARS = 131_072


@dataclass(frozen=True, slots=True)
class Chunk:
    """A part of a file: bytes ``[start, end)`` of a line file, or row group ``start`` of a Parquet file."""

    path: str
    form: str
    start: int
    end: int


def cut(path: Path, *, chunk_bytes: int = CHUNK_BYTES) -> list[Chunk]:
    """Return the chunks of a file, in order; together they hold every row once.

    Raises:
        InvalidValueError: there is no such file, or its type is not known.
    """
    form = FORMATS.get(path.suffix.lower())
    if form is None:
        raise InvalidValueError(
            f"{path.name}: the file type {path.suffix!r} is not one of {', '.join(FORMATS)}."
        )
    if not path.is_file():
        raise InvalidValueError(f"{path}: there is no such file.")
    size = path.stat().st_size
    if form in ("csv", "feed"):
        return [Chunk(str(path), form, 0, size)]
    if form == "parquet":
        return [Chunk(str(path), form, group, group + 1) for group in range(_row_groups(path))]
    return [
        Chunk(str(path), form, start, min(start + chunk_bytes, size)) for start in range(0, size, chunk_bytes)
    ]


def rows_of(chunk: Chunk) -> Iterator[dict[str, Any] | BadRow]:
    """Yield the rows of a chunk, in order; a row that cannot be read is yielded as :class:`BadRow`."""
    if chunk.form == "jsonl":
        return (_from_json(line) for line in lines_of(chunk) if line.strip())
    if chunk.form == "parquet":
        return _from_parquet(chunk)
    if chunk.form == "feed":
        return _from_feed(Path(chunk.path))
    return _from_csv(chunk)


def lines_of(chunk: Chunk) -> Iterator[bytes]:
    """Yield the lines that begin in a byte range, without their line ends."""
    with Path(chunk.path).open("rb") as file:
        if chunk.start:
            file.seek(chunk.start - 1)
            file.readline()  # the line that began before this chunk is its neighbour's
        while file.tell() < chunk.end:
            line = file.readline()
            if not line:
                return
            yield line.rstrip(b"\r\n")


def _from_json(line: bytes) -> dict[str, Any] | BadRow:
    try:
        row = msgspec.json.decode(line)
    except RecursionError:
        return BadRow(line[:200].decode("utf-8", "replace"), "The line is nested too deeply.")
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        return BadRow(line.decode("utf-8", "replace"), f"The line is not JSON: {exc}.")
    if not isinstance(row, dict):
        return BadRow(line.decode("utf-8", "replace"), "The line is not a JSON object.")
    return row


def _from_feed(path: Path) -> Iterator[dict[str, Any] | BadRow]:
    """Yield the items of one JSON value, as ClaimReview feeds are published."""
    body = path.read_bytes()
    try:
        value = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidValueError(f"The file is {json_fault(body, str(exc))}.") from exc
    for item in reviews_in(value):
        if isinstance(item, dict):
            yield item
        else:
            yield BadRow(msgspec.json.encode(item).decode()[:200], "The item is not a JSON object.")


def _from_parquet(chunk: Chunk) -> Iterator[dict[str, Any] | BadRow]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(chunk.path) as file:
        require_few(file.metadata.num_columns)
        yield from file.read_row_group(chunk.start).to_pylist()


def _from_csv(chunk: Chunk) -> Iterator[dict[str, Any] | BadRow]:
    with Path(chunk.path).open(encoding="utf-8-sig", errors="replace", newline="") as file:
        # Strict: a quote that is never closed would swallow all that follows without a word.
        rows, before = csv.DictReader(file, strict=True), 0
        try:
            require_few(len(rows.fieldnames or ()))
            _require_short(rows.fieldnames or ())
            before = rows.line_num
            for row in rows:
                _require_short(row.values())
                before = rows.line_num
                if None in row or None in row.values():
                    yield BadRow(str(dict(row)), "The row does not have as many fields as the header.")
                else:
                    yield dict(row)
        except csv.Error as exc:
            where = before + 1  # the lines of the rows before; the broken one may have several
            raise InvalidValueError(
                f"The CSV cannot be read: its row that begins at line {where} is broken ({exc})."
            ) from exc


def _require_short(cells: Iterable[str | list[str] | None]) -> None:
    """Raise ``csv.Error`` for a cell that is too long; what the row has beyond its header comes as a list.

    The library has such a bound too, one for the whole process, which others here need higher.
    """
    for cell in cells:
        if any(len(text) > MAX_CELL_CHARS for text in (cell if isinstance(cell, list) else [cell or ""])):
            raise csv.Error(f"field larger than field limit ({MAX_CELL_CHARS})")


def require_few(columns: int) -> None:
    """Raise ``InvalidValueError`` for a table of very many columns: each row would fill them all."""
    if columns > MAX_COLUMNS:
        raise InvalidValueError(f"The file has {columns} columns: at most {MAX_COLUMNS} are read.")


def _row_groups(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            return int(file.num_row_groups)
    except pa.ArrowException as exc:
        raise InvalidValueError(f"{path.name}: is not a Parquet file ({exc}).") from exc
