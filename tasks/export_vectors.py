"""Write a dataset's vectors into a file: ``python -m tasks.export_vectors DATASET FILE``.

CSV, JSON, JSONL, Parquet or npy, by the file's ending; ``--filter`` and ``--limit`` choose. What is written,
``tasks.import_vectors`` reads as the same vectors (npy holds their values only).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from data.claims import DEFAULT_TENANT, TenantId, tenant_id
from data.datasets.formats.names import EXPORT_FORMS, form_of, read_export_form
from data.datasets.transfer import FOLDER, Order
from data.datasets.transfer_desk import Transfers
from data.errors import InvalidValueError, KiteError, NotFoundError
from data.jobs.running import tell
from tasks.maintenance import add_home_arguments
from tasks.session import settings_from
from tasks.vector_session import VectorSession, vector_session


@dataclass(frozen=True, slots=True)
class ExportReport:
    """What an export did."""

    file: str
    dataset_id: str
    format: str
    rows: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is exported: a tenant's dataset by name or id, those its filter keeps, at most so many."""

    dataset: str
    tenant: TenantId = DEFAULT_TENANT
    form: str | None = None
    filters: str | None = None
    limit: int | None = None


def export_vectors(wanted: Wanted, path: Path, session: VectorSession) -> ExportReport:
    """Write the file and return what is in it; until it is whole it is not there.

    Raises:
        NotFoundError: there is no such dataset. InvalidValueError: form, filter or folder is none.
    """
    started = time.monotonic()
    form = read_export_form(wanted.form or form_of(path.name))
    if not path.parent.is_dir():
        raise InvalidValueError(f"{path.parent}: there is no such folder.")
    if wanted.limit is not None and wanted.limit < 1:
        raise InvalidValueError(f"limit is {wanted.limit}: give 1 or more.")
    dataset_id = _dataset_id(wanted, session)
    desk = Transfers(
        session.datasets, session.store, session.clock, session.home / FOLDER, spawn=lambda _work: None
    )
    filters = _filters(wanted.filters)
    order = Order("export", dataset_id, form, str(path), keeps_file=True, limit=wanted.limit, filters=filters)
    job, _ = desk.start(wanted.tenant, order)
    done = desk.run(wanted.tenant, "export", job.id)
    desk.book.forget(wanted.tenant, "export", job.id)
    tell(done.successful_rows, done.successful_rows, "exporting")
    if done.status != "completed":
        raise InvalidValueError(done.message or "The export did not end.")
    seconds = round(time.monotonic() - started, 3)
    return ExportReport(path.name, dataset_id, form, done.successful_rows, path.stat().st_size, seconds)


def _dataset_id(wanted: Wanted, session: VectorSession) -> str:
    for info in session.datasets.datasets(wanted.tenant):
        if wanted.dataset in (info.record.id, info.record.name):
            return info.record.id
    raise NotFoundError(f"There is no dataset {wanted.dataset[:100]!r}.")


def _filters(text: str | None) -> Any:
    """Return a filter as it is asked for: JSON of an object, or the language that looks like SQL."""
    if text is None or not text.lstrip().startswith("{"):
        return text or None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError as exc:
        raise InvalidValueError(f"The filter is not JSON: {exc}.") from exc


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; print one JSON report; exit 1 with one line when it cannot be done."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.export_vectors", description="Write a dataset's vectors into a file."
    )
    parser.add_argument("dataset", help="its name or id")
    parser.add_argument("file", type=Path, help="is written; its ending tells the form")
    parser.add_argument("--format", choices=EXPORT_FORMS, help="if the file's name does not tell it")
    parser.add_argument("--filter", metavar="FILTER", help="JSON, or SQL-like text")
    parser.add_argument("--limit", type=int, help="at most so many vectors")
    parser.add_argument("--tenant", default=DEFAULT_TENANT)
    add_home_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        tenant = tenant_id(options.tenant)
        wanted = Wanted(options.dataset, tenant, options.format, options.filter, options.limit)
        with vector_session(settings_from(options), home_stopped=options.home_stopped) as session:
            report = export_vectors(wanted, options.file.resolve(), session)
    except KiteError as exc:
        print(f"export_vectors: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 1
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the report of a command
    return 0


if __name__ == "__main__":
    sys.exit(main())
