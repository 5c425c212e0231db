"""A file of knowledge sent in one request, as changes to the ledger and the rows that were not taken.

Called by the import route, in a thread. Bounded in rows and in text, for all of it is written as one change:
larger files go through ``tasks.import_knowledge``, row by row the same.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import changes
from data.chunks import Chunk, rows_of
from data.claims import TenantId
from data.errors import InvalidValueError
from data.knowledge import Change, Document, Fact, Source
from data.rdf import canonical_quads
from data.rows import BadRow, RowKind, kind_of, read_row
from deployments.api.errors import BodyTooLargeError
from deployments.parquet_reading import Bounds, parse

#: Rows of one request.
MAX_ROWS = 10_000
#: Characters in all rows of one request, once unpacked: a Parquet file of a few KB can hold gigabytes.
MAX_CHARS = 32 * 1024 * 1024
#: Rejected rows that are named in an answer.
SHOWN_ERRORS = 100
TASK = "python -m tasks.import_knowledge"
#: Files that are read, by media type.
FORMS = {
    "application/x-ndjson": "jsonl",
    "application/jsonl": "jsonl",
    "text/csv": "csv",
    "application/vnd.apache.parquet": "parquet",
    "application/n-quads": "nquads",
    "application/json": "feed",
    "application/ld+json": "feed",
}


@dataclass(slots=True)
class ReadImport:
    """What a file holds: changes to write, and what was not taken (row counted from 1, reason)."""

    kind: str
    changes: list[Change] = field(default_factory=list)
    taken: int = 0
    rejected: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)

    def reject(self, row: int, reason: str) -> None:
        """Note a row that is not taken."""
        self.rejected += 1
        if len(self.errors) < SHOWN_ERRORS:
            self.errors.append({"row": row, "reason": reason})


def read_import(body: bytes, form: str, tenant: TenantId, *, kind: RowKind | None = None) -> ReadImport:
    """Return the changes of a file. ``form`` is one of the values of ``FORMS``.

    Raises:
        InvalidValueError: it is damaged, empty, or holds rows of no known kind.
        BodyTooLargeError: too many rows, or too much text.
    """
    if form == "nquads":
        return _statements(body, tenant)
    found = ReadImport(kind or "")
    last: dict[str, Any] | BadRow | None = None
    for number, last in enumerate(_bounded(_rows(body, form)), 1):
        if isinstance(last, BadRow):
            found.reject(number, last.reason)
            continue
        if not found.kind:
            found.kind = kind_of(last)
        try:
            found.changes.append(_change(read_row(found.kind, last), tenant))  # type: ignore[arg-type]
            found.taken += 1
        except InvalidValueError as exc:
            found.reject(number, str(exc))
    if last is None:
        raise InvalidValueError("The file holds no row.")
    if isinstance(last, BadRow) and form in ("jsonl", "csv"):
        _check_end(body, last.reason)
    return found


def _check_end(body: bytes, reason: str) -> None:
    """Refuse a file that ends in the middle of a line: what it would have said is not known."""
    *before, last = body.split(b"\n")
    end = last.decode("utf-8", "replace")
    if end.strip():
        raise InvalidValueError(
            f"The file is cut short, or its last line is broken, at line {len(before) + 1}, column "
            f"{len(end) + 1}: {reason} Nothing was written: send the whole file."
        )


def _change(value: Document | Fact | Source, tenant: TenantId) -> Change:
    if isinstance(value, Document):
        return changes.put_document(value, tenant)
    if isinstance(value, Fact):
        return changes.put_fact(value, tenant)
    return changes.put_source(value, tenant)


def _rows(body: bytes, form: str) -> Iterator[dict[str, Any] | BadRow]:
    if form == "parquet":
        yield from _parquet(body)
        return
    with tempfile.TemporaryDirectory(prefix="kite-import-") as folder:
        path = Path(folder) / "body"
        path.write_bytes(body)
        yield from rows_of(Chunk(str(path), form, 0, len(body)))


def _parquet(body: bytes) -> Iterator[dict[str, Any] | BadRow]:
    parsed = parse(body, Bounds(MAX_ROWS, MAX_CHARS))
    if parsed.large:
        raise _too_large(parsed.large)
    if parsed.fault:
        raise InvalidValueError(parsed.fault)
    yield from parsed.rows


def _bounded(rows: Iterable[dict[str, Any] | BadRow]) -> Iterator[dict[str, Any] | BadRow]:
    characters = 0
    for number, row in enumerate(rows, 1):
        values = (row.row,) if isinstance(row, BadRow) else row.values()
        characters += sum(len(value) if isinstance(value, str) else 8 for value in values)
        if number > MAX_ROWS:
            raise _too_large(f"more than {MAX_ROWS} rows")
        if characters > MAX_CHARS:
            raise _too_large("too much text")
        yield row


def _statements(body: bytes, tenant: TenantId) -> ReadImport:
    """Read N-Quads line by line; those that are well-formed become one load, named by the file's content."""
    found = ReadImport("graph")
    key = f"import-{hashlib.sha256(body).hexdigest()[:24]}"
    good: list[str] = []
    lines = body.count(b"\n") + 1
    for number, raw in enumerate(body.split(b"\n"), 1):
        line = raw.decode("utf-8", "replace").strip()
        if not line or line.startswith("#"):
            continue
        if found.taken + found.rejected >= MAX_ROWS:
            raise _too_large(f"more than {MAX_ROWS} statements")
        try:
            canonical_quads(line, key)
            good.append(line)
            found.taken += 1
        except InvalidValueError as exc:
            fault = _fault(number, raw, exc)
            found.reject(number, fault)
            if not body.endswith(b"\n") and number == lines:
                _check_end(body, fault)
    if not good and not found.rejected:
        raise InvalidValueError("The file holds no statement.")
    if good:
        found.changes.append(changes.put_graph("\n".join(good), key, tenant))
    return found


def _fault(number: int, raw: bytes, exc: InvalidValueError) -> str:
    """Return what is wrong with a line of N-Quads, with the column where the parser says one."""
    cause = exc.__cause__
    if not isinstance(cause, SyntaxError) or cause.offset is None:
        return f"Line {number} is not an N-Quads statement that can be kept."
    indent = len(raw) - len(raw.lstrip())
    said = str(cause.msg).partition(": ")[2] or str(cause.msg)
    return f"Line {number}, column {cause.offset + indent}: {said}."


def _too_large(what: str) -> BodyTooLargeError:
    return BodyTooLargeError(f"The file holds {what}, more than one request may write: load it with {TASK}.")
