"""From the columns of a row to a vector to be written: many spellings, one meaning. Called by imports.

Known columns are those of the API's vectors; ``metadata`` holds an object (or its JSON), ``metadata.x`` one
field of it, and any further column is a field of it too. The numbers stand in one column as a list or as
text, or in numbered columns. Invariant: a row with a wrong value is an ``InvalidValueError`` of one sentence
that names the column; what the dataset itself demands (length, sizes) is left to it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from data.datasets.formats.rows import Row
from data.datasets.ports import NewVector
from data.datasets.records import VectorRecord
from data.errors import InvalidValueError

#: Other names of columns, in lower case.
_ALIASES = {
    "_id": "id",
    "vector_id": "id",
    "doc_id": "document_id",
    "vector": "values",
    "embedding": "values",
    "embeddings": "values",
    "text": "content",
}
_TEXTS = ("document_id", "chunk_id", "content", "content_hash", "content_type", "language", "model")
_NUMBERS = ("chunk_index", "chunk_count")
_MOMENTS = ("created_at", "updated_at")
_KNOWN = frozenset({"id", "values", "metadata", *_TEXTS, *_NUMBERS, *_MOMENTS})
_NUMBERED = re.compile(r"(?:values|vector|embeddings?)[._\[]?(\d{1,5})\]?", re.IGNORECASE)
_METADATA = "metadata."
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
#: Largest float32.
_LARGEST = (2 - 2**-23) * 2.0**127
_SEPARATORS = re.compile(r"[\s,;]+")


class RowVectors:
    """Turns the rows of one file into vectors.

    ``source`` begins the ids of rows that have none, so that reading the file again makes the same ones.
    ``from_text``: every cell is text, as in CSV, and numbers are read from it.
    """

    def __init__(self, source: str, *, from_text: bool = False) -> None:
        self._source = source
        self._from_text = from_text
        self._names: dict[str, tuple[str, int | str]] = {}

    def vector(self, row: Row) -> NewVector:
        """Return the vector that a row holds.

        Raises:
            InvalidValueError: it holds none.
        """
        known: dict[str, Any] = {}
        numbered: dict[int, Any] = {}
        metadata: dict[str, Any] = {}
        for column, cell in row.fields.items():
            kind, key = self._name(column)
            if cell is None:
                continue
            if kind == "number":
                numbered[int(key)] = cell
            elif kind == "metadata":
                metadata[str(key)] = _scalar(cell) if self._from_text else cell
            elif known.setdefault(str(key), cell) is not cell:
                raise InvalidValueError(f"{key} is in the row twice, under two names.")
        record = self._record(known, metadata, row.number)
        values = _values(known.get("values"), numbered)
        if values is None and not record.content:
            raise InvalidValueError("values are missing, and there is no content to be embedded.")
        return NewVector(record, values)

    def _name(self, column: str) -> tuple[str, int | str]:
        """Return what a column is: known, number or metadata, and its key."""
        if column not in self._names and len(self._names) < 100_000:
            self._names[column] = _name_of(column)
        return self._names.get(column) or _name_of(column)

    def _record(self, known: Mapping[str, Any], metadata: dict[str, Any], number: int) -> VectorRecord:
        own = _text_or_number("id", known.get("id")) or f"{self._source}-{number}"
        texts = {name: _text(name, known[name]) for name in _TEXTS[1:] if name in known}
        numbers = {name: _whole(name, known[name]) for name in _NUMBERS if name in known}
        moments = {name: _moment(name, known[name]) for name in _MOMENTS if name in known}
        return VectorRecord(
            id=own,
            document_id=_text_or_number("document_id", known.get("document_id")) or own,
            metadata={**_object(known.get("metadata")), **metadata},
            **texts,  # type: ignore[arg-type]
            **numbers,  # type: ignore[arg-type]
            **moments,  # type: ignore[arg-type]
        )


def _name_of(column: str) -> tuple[str, int | str]:
    lower = column.strip().lower()
    name = _ALIASES.get(lower, lower)
    if name in _KNOWN:
        return "known", name
    if numbered := _NUMBERED.fullmatch(lower):
        return "number", int(numbered[1])
    if lower.startswith(_METADATA):
        return "metadata", column.strip()[len(_METADATA) :]
    return "metadata", column.strip()


def _values(cell: Any, numbered: Mapping[int, Any]) -> Sequence[float] | None:
    if numbered:
        if cell is not None:
            raise InvalidValueError("The values are in one column and in numbered ones: leave one out.")
        order = sorted(numbered)
        if order != list(range(order[0], order[0] + len(order))) or order[0] > 1:
            raise InvalidValueError(f"Of the numbered columns of values, some are empty after {order[0]}.")
        return [_number(numbered[place], place) for place in order]
    if cell is None:
        return None
    found = _listed(cell) if isinstance(cell, str) else cell
    if not isinstance(found, list | tuple) or not found:
        raise InvalidValueError("values must be a list of numbers.")
    try:
        if all(type(value) is float for value in found) and math.fsum(map(abs, found)) <= _LARGEST:
            return found
    except OverflowError:  # large, and each of them finite perhaps
        pass
    return [_number(value, place) for place, value in enumerate(found)]


def _listed(text: str) -> Any:
    """Return the numbers of a text: a JSON list, or numbers between spaces, commas or semicolons."""
    bare = text.strip()
    if bare.startswith("[") and "," in bare:
        try:
            return msgspec.json.decode(bare)
        except (msgspec.DecodeError, RecursionError) as exc:
            raise InvalidValueError(f"values is not a JSON list: {str(exc).rstrip('.')}.") from exc
    return [part for part in _SEPARATORS.split(bare.strip("[](){}")) if part]


def _number(value: Any, place: int) -> float:
    try:
        number = float(value) if isinstance(value, int | float | str) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if isinstance(value, bool) or not abs(number) <= _LARGEST:
        raise InvalidValueError(f"values[{place}] is {_shown(value)}, not a number that float32 can hold.")
    return number


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidValueError(f"{name} is {_shown(value)}, not text.")
    return value


def _text_or_number(name: str, value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    text = "" if value is None else _text(name, value)
    if _CONTROL.search(text):
        raise InvalidValueError(f"{name} holds a control character.")
    return text


def _whole(name: str, value: Any) -> int:
    if isinstance(value, str) and value.strip().isdecimal():
        return int(value[:20])
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidValueError(f"{name} is {_shown(value)}, not a whole number.")
    return value


def _moment(name: str, value: Any) -> str:
    text = _text(name, value)
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise InvalidValueError(f"{name} is {_shown(value)}, not an ISO 8601 moment.") from None
    return text


def _object(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        try:
            value = msgspec.json.decode(value) if value.strip() else {}
        except (msgspec.DecodeError, RecursionError) as exc:
            raise InvalidValueError(f"metadata is not JSON: {str(exc).rstrip('.')}.") from exc
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidValueError(f"metadata is {_shown(value)}, not a JSON object.")
    return value


def _scalar(cell: str) -> Any:
    """Return what a cell of text says: a number, true, false, null or an object where it is JSON of one."""
    if cell and cell[0] in "-0123456789tfn{[":
        try:
            return msgspec.json.decode(cell)
        except (msgspec.DecodeError, RecursionError):
            return cell
    return cell


def _shown(value: Any) -> str:
    return repr(value)[:60]
