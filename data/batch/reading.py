"""The rows of one part: what each asks, or why it cannot be read. Called by the workers.

Invariant: a part yields exactly ``part.rows`` rows, in the order of the file, each with the line it stands
on; a row that cannot be read is a value like any other.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from data.batch.inputs import Form, open_file
from data.batch.parts import Part
from data.batch.records import Record, records
from data.errors import InvalidValueError

#: Most columns of a CSV.
MAX_COLUMNS = 1_024
#: Score of a row that asks nothing: below every other.
LAST = -2.0
#: Most characters of a bad row that are kept beside the reason.
KEPT_CHARS = 2_000
_DELIMITERS = {"csv": ",", "tsv": "\t"}


@dataclass(frozen=True, slots=True)
class DeadRow:
    """A row that cannot be processed: where it stands, how it begins, and why."""

    file: str
    line: int
    reason: str
    row: str = ""


@dataclass(frozen=True, slots=True)
class InputRow:
    """A row that could be read: where it stands and its columns. A bare text is the column ``claim``."""

    file: str
    line: int
    columns: dict[str, Any] = field(default_factory=dict)


def rows_of(part: Part) -> Iterator[InputRow | DeadRow]:
    """Yield the rows of a part that is no table (see ``data.batch.tables`` for those).

    Raises:
        InvalidValueError: the file is gone, or shorter than it was.
    """
    if part.fault:
        yield DeadRow(part.name, part.line, part.fault)
        return
    with open_file(part.address) as stream:
        stream.seek(part.start)
        found = records(stream, quoted=part.form in _DELIMITERS, line=part.line)
        told = (record for record in found if record.fault or record.body.strip())
        left = part.rows
        for record in islice(told, part.rows):
            left -= 1
            yield _row(part, record)
    if left:
        raise InvalidValueError(f"{part.name}: has changed while the batch ran: begin anew with --fresh.")


def header_of(record: Record, form: Form, name: str) -> tuple[str, ...]:
    """Return the names of a table's columns.

    Raises:
        InvalidValueError: the header cannot be read, names a column twice, or too many.
    """
    try:
        if record.fault:
            raise csv.Error(record.fault)
        header = tuple(cell.strip() for cell in _cells(record, form))
    except (csv.Error, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"{name}: its header cannot be read ({exc}).") from exc
    if len(header) > MAX_COLUMNS:
        raise InvalidValueError(f"{name}: has {len(header)} columns and at most {MAX_COLUMNS} are read.")
    if len(set(header)) < len(header):
        raise InvalidValueError(f"{name}: its header names a column twice: {', '.join(header)[:200]}.")
    return header


@dataclass(frozen=True, slots=True)
class OrderedRow:
    """A row as it is kept with its score while rows are put in order; ``dead`` says why it asks nothing."""

    score: float
    file: str
    line: int
    columns: dict[str, Any]
    dead: str = ""
    row: str = ""


def _row(part: Part, record: Record) -> InputRow | DeadRow:
    if part.form == "ordered":
        kept = msgspec.json.decode(record.body, type=OrderedRow)
        return _unordered(kept)
    if record.fault:
        return _dead(part, record, record.fault)
    try:
        columns = _columns(part, record)
    except UnicodeDecodeError as exc:
        return _dead(part, record, f"The line is not UTF-8 at its byte {exc.start + 1}.")
    except (msgspec.DecodeError, csv.Error, InvalidValueError, RecursionError, ValueError) as exc:
        return _dead(part, record, _reason(part.form, exc))
    return InputRow(part.name, record.line, columns)


def _unordered(kept: OrderedRow) -> InputRow | DeadRow:
    if kept.dead:
        return DeadRow(kept.file, kept.line, kept.dead, kept.row)
    return InputRow(kept.file, kept.line, kept.columns)


def _reason(form: Form, exc: BaseException) -> str:
    if isinstance(exc, InvalidValueError):
        return str(exc)
    if isinstance(exc, RecursionError):
        return "The line is nested too deeply."
    return f"The line is not {'JSON' if form == 'jsonl' else form.upper()}: {exc}."


def _columns(part: Part, record: Record) -> dict[str, Any]:
    if part.form == "text":
        return {"claim": record.body.decode("utf-8").strip()}
    if part.form == "jsonl":
        return _from_json(record.body)
    cells = _cells(record, part.form)
    if len(cells) != len(part.header):
        raise InvalidValueError(
            f"The row has {len(cells)} fields and the header {len(part.header)}: quote cells with commas."
        )
    return {name: cell for name, cell in zip(part.header, cells, strict=True) if cell != ""}


def _from_json(body: bytes) -> dict[str, Any]:
    body.decode("utf-8")  # its own error says where, and is not the parser's
    value = msgspec.json.decode(body)
    if isinstance(value, str):
        return {"claim": value}
    if not isinstance(value, dict):
        raise InvalidValueError("The line is neither a JSON object nor a text.")
    return value


def _cells(record: Record, form: Form) -> list[str]:
    text = record.body.decode("utf-8")
    # A cell's length is bounded by the record's: the library's own bound is one for the whole process.
    before = csv.field_size_limit()
    if len(text) > before:
        csv.field_size_limit(len(text))
    rows = list(csv.reader([text], delimiter=_DELIMITERS[form], strict=True))
    return rows[0] if rows else []


def _dead(part: Part, record: Record, reason: str) -> DeadRow:
    return DeadRow(part.name, record.line, reason, shown(record.body.rstrip(b"\r\n")))


def shown(body: bytes) -> str:
    """Return the beginning of a bad row as text."""
    return body[: 4 * KEPT_CHARS].decode("utf-8", "replace")[:KEPT_CHARS]
