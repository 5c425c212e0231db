"""Rows of CSV, JSON lines and JSON arrays, one after the other. Made by ``formats.reading``.

A row that cannot be read is a fault and its neighbours are read; what leaves the rest of the file unreadable
(a damaged gzip stream, an array that is never closed) is an error.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from data.datasets.formats.json_items import items_of
from data.datasets.formats.rows import Row, RowFault
from data.datasets.formats.streams import MAX_LINE_BYTES, lines_of, opened
from data.datasets.records import MAX_DIMENSIONS
from data.errors import InvalidValueError

#: Longest cell of a CSV file, in characters.
MAX_CELL_CHARS = 4 * 2**20
#: Most columns of a CSV file: one a number of the longest vector, and some more.
MAX_COLUMNS = MAX_DIMENSIONS + 256
_TOO_LONG = f"The line is longer than {MAX_LINE_BYTES // 2**20} MiB."


class JsonLines:
    """Reads one JSON object a line; empty lines are no rows."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """Return how many rows there are."""
        return sum(1 for _ in self._lines())

    def rows(self, after: int = 0) -> Iterator[Row | RowFault]:
        """Yield the rows after the first ``after``."""
        for number, line in enumerate(islice(self._lines(), after, None), after + 1):
            yield RowFault(number, _TOO_LONG) if line is None else _from_json(number, line)

    def _lines(self) -> Iterator[bytes | None]:
        with opened(self._path) as file:
            yield from (line for line in lines_of(file) if line is None or not line.isspace())


class JsonArray:
    """Reads the objects of one JSON array."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """Return how many items there are."""
        return sum(1 for _ in self._items())

    def rows(self, after: int = 0) -> Iterator[Row | RowFault]:
        """Yield the items after the first ``after``."""
        for number, item in enumerate(islice(self._items(), after, None), after + 1):
            yield _from_json(number, item)

    def _items(self) -> Iterator[bytes]:
        with opened(self._path) as file:
            yield from items_of(file)


class Csv:
    """Reads a table with a header; an empty cell is a missing value, an empty line no row."""

    def __init__(self, path: Path) -> None:
        self._path = path
        csv.field_size_limit(max(csv.field_size_limit(), MAX_CELL_CHARS))

    def count(self) -> int:
        """Return how many rows there are."""
        with opened(self._path) as file:
            return sum(1 for _ in _Table(file).records())

    def rows(self, after: int = 0) -> Iterator[Row | RowFault]:
        """Yield the rows after the first ``after``."""
        with opened(self._path) as file:
            table = _Table(file)
            for number, record in enumerate(islice(table.records(), after, None), after + 1):
                yield table.row(number, record)


class _Table:
    """A CSV stream. A record is its cells, or the words of what is wrong with it."""

    def __init__(self, file: BinaryIO) -> None:
        self._lines = lines_of(file)
        self._fault = ""
        # Strict: a quote that is never closed would swallow all that follows without a word.
        self._reader = csv.reader(self._decoded(), strict=True)
        self._header = self._read_header()

    def records(self) -> Iterator[list[str] | str]:
        while True:
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as exc:
                if "field larger" in str(exc):
                    raise InvalidValueError(
                        f"The CSV has a cell of more than {MAX_CELL_CHARS} characters before line "
                        f"{self._reader.line_num}: perhaps a quote is never closed."
                    ) from exc
                yield f"The row is broken: {_told(exc)}."
                self._fault = ""
                continue
            if cells or self._fault:
                yield self._fault or cells
            self._fault = ""

    def row(self, number: int, record: list[str] | str) -> Row | RowFault:
        if isinstance(record, str):
            return RowFault(number, record)
        if len(record) != len(self._header):
            told = f"The row has {len(record)} cells, the header {len(self._header)}."
            return RowFault(number, told)
        return Row(number, {name: cell for name, cell in zip(self._header, record, strict=True) if cell})

    def _read_header(self) -> list[str]:
        try:
            header = [name.strip() for name in next(self._reader, [])]
        except csv.Error as exc:
            raise InvalidValueError(f"The header of the CSV cannot be read: {_told(exc)}.") from exc
        if self._fault:
            raise InvalidValueError(f"The header of the CSV cannot be read: {self._fault}")
        if not header:
            raise InvalidValueError("The CSV is empty: it needs a header with the names of its columns.")
        if len(header) > MAX_COLUMNS:
            raise InvalidValueError(f"The CSV has {len(header)} columns: at most {MAX_COLUMNS} are read.")
        twice = [name for name, times in Counter(header).items() if times > 1]
        if twice:
            raise InvalidValueError(f"The header of the CSV names {twice[0][:60]!r} more than once.")
        return header

    def _decoded(self) -> Iterator[str]:
        for line in self._lines:
            if line is None:
                self._fault = _TOO_LONG
                yield "\n"
                continue
            try:
                yield line.decode("utf-8")
            except UnicodeDecodeError:
                self._fault = "The row is not UTF-8."
                yield line.decode("utf-8", "replace")


def _told(exc: csv.Error) -> str:
    words = str(exc).rstrip(".")
    return "a quote is never closed" if words == "unexpected end of data" else words


def _from_json(number: int, item: bytes) -> Row | RowFault:
    try:
        fields: Any = msgspec.json.decode(item)
    except RecursionError:
        return RowFault(number, "The row is nested too deeply.")
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        return RowFault(number, f"The row is not JSON: {str(exc).rstrip('.')}.")
    if not isinstance(fields, dict):
        return RowFault(number, "The row is not a JSON object.")
    return Row(number, fields)
