"""Load a file of vectors of any size into a dataset: ``python -m tasks.import_vectors FILE --dataset NAME``.

CSV, JSON, JSONL (each also gzip), Parquet, npy and fvecs; ``--beir FOLDER`` and ``--hdf5 FILE`` load public
benchmarks, and with ``--evaluate`` say how good search is on them. The dataset is made if there is none of
that name. An import that was killed goes on where it was when it is started again; rows that cannot be taken
stand beside the file, with their numbers and the reason.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import msgspec

from data.claims import DEFAULT_TENANT, TenantId, tenant_id
from data.datasets.formats.beir import BeirCorpus, file_of, judgements_of, queries_of
from data.datasets.formats.columns import RowVectors
from data.datasets.formats.hdf5 import Hdf5Train, questions_of, shape_of
from data.datasets.formats.names import FORMS, Form, form_of
from data.datasets.formats.reading import reader_of
from data.datasets.formats.rows import Row, RowFault, RowReader
from data.datasets.records import DatasetRecord, Metric
from data.datasets.transfer import FOLDER, LEASE_S, Order, TransferJob
from data.datasets.transfer_desk import Transfers
from data.errors import ConflictError, InvalidValueError, KiteError
from data.jobs.running import tell
from tasks.maintenance import add_home_arguments
from tasks.session import settings_from
from tasks.vector_evaluation import Asked, neighbour_figures, question_to, retrieval_figures
from tasks.vector_session import VectorSession, vector_session

#: Letters of a file's hash that begin the ids of rows without one: as imports over HTTP have it.
_SOURCE_CHARS = 12
#: Rows looked at to learn how long vectors are.
_LOOKED_AT = 1_000
#: Queries of an HDF5 file that are asked.
_QUERIES = 1_000


@dataclass(frozen=True, slots=True)
class Source:
    """What is imported: a file, how its rows are read, and what is known of them without looking."""

    path: Path
    kind: Literal["file", "beir", "hdf5"]
    form: str
    reader: RowReader
    shape: tuple[int, Metric] | None = None

    @property
    def folder(self) -> Path:
        """The folder of a benchmark in BEIR's form."""
        return self.path.parent


@dataclass(frozen=True, slots=True)
class Target:
    """Where it goes: the dataset by name or id, how it is made if it is not there, and what to overwrite."""

    name: str
    metric: Metric = "cosine"
    tenant: TenantId = DEFAULT_TENANT
    skip_existing: bool = False


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import did. ``resumed_at``: the row before which an earlier one had been killed, 0 for none."""

    file: str
    dataset: str
    dataset_id: str
    status: str
    rows: int
    imported: int
    skipped: int
    rejected: int
    rejected_file: str | None
    resumed_at: int
    seconds: float
    message: str | None = None
    evaluation: dict[str, Any] | None = None


def source_of(path: Path, kind: Literal["file", "beir", "hdf5"], form: Form | None = None) -> Source:
    """Return what a path holds.

    Raises:
        InvalidValueError: there is nothing there, or nothing that is known.
    """
    if kind == "beir":
        corpus = file_of(path, "corpus")
        return Source(corpus, kind, "jsonl", BeirCorpus(path))
    if not path.is_file():
        raise InvalidValueError(f"{path}: there is no such file.")
    if kind == "hdf5":
        return Source(path, kind, "npy", Hdf5Train(path), shape_of(path))
    chosen = form or form_of(path.name)
    return Source(path, kind, chosen, reader_of(path, chosen))


def import_vectors(source: Source, target: Target, session: VectorSession) -> ImportReport:
    """Import, or go on with an import that was killed; return what was done.

    Raises:
        InvalidValueError: nothing in the file tells how long vectors are. UnavailableError: a part of the
        service stayed away. ConflictError: somebody else imports this file now.
    """
    started = time.monotonic()
    dataset = dataset_for(source, target, session)
    desk = Transfers(
        session.datasets, session.store, session.clock, session.home / FOLDER, spawn=lambda _work: None
    )
    digest = _digest(source.path)
    order = Order(
        kind="import",
        dataset_id=dataset.id,
        form=source.form,
        file=str(source.path),
        source=digest[:_SOURCE_CHARS],
        keeps_file=True,
        on_present="skip" if target.skip_existing else "overwrite",
    )
    job = _begun(desk, target.tenant, order, digest)
    rejected = _Rejected(source.path, job.processed_rows)
    done = _run(desk, job, rejected, source.reader)
    return ImportReport(
        file=source.path.name,
        dataset=dataset.name,
        dataset_id=dataset.id,
        status=done.status,
        rows=done.processed_rows,
        imported=done.successful_rows,
        skipped=done.skipped_rows,
        rejected=done.failed_rows,
        rejected_file=rejected.close(),
        resumed_at=job.processed_rows,
        seconds=round(time.monotonic() - started, 3),
        message=done.message,
    )


def dataset_for(source: Source, target: Target, session: VectorSession) -> DatasetRecord:
    """Return the dataset that is meant; it is made if there is none.

    Raises:
        InvalidValueError: it is to be made, and nothing tells how long vectors are.
    """
    for info in session.datasets.datasets(target.tenant):
        if target.name in (info.record.id, info.record.name):
            return info.record
    dimensions, metric = source.shape or (_length(source, session.embed_dim), target.metric)
    record = DatasetRecord("", target.name, dimensions, metric)
    return session.datasets.create(target.tenant, record).record


def evaluate(
    source: Source, report: ImportReport, target: Target, session: VectorSession, *, split: str = "test"
) -> dict[str, Any]:
    """Return how good search is on what was imported, by the judgements beside it.

    Raises:
        InvalidValueError: there are none.
    """
    asked = Asked(session.datasets, target.tenant, report.dataset_id, question_to(report.dataset_id))
    if source.kind == "hdf5":
        return neighbour_figures(asked, *questions_of(source.path, _QUERIES))
    if source.kind == "file":
        raise InvalidValueError("Only a benchmark (--beir, --hdf5) comes with judgements to evaluate by.")
    judgements = judgements_of(source.folder, split)
    return {"split": split, **retrieval_figures(asked, queries_of(source.folder), judgements, session.embed)}


class _Rejected:
    """The file of rows that were not taken, beside the file that is imported."""

    def __init__(self, path: Path, kept_up_to: int) -> None:
        self._path = path.with_name(f"{path.name}.rejected.jsonl")
        is_kept = kept_up_to and self._path.exists()
        before = self._path.read_bytes().splitlines(keepends=True) if is_kept else []
        rows = [line for line in before if msgspec.json.decode(line)["row"] <= kept_up_to]
        self._path.write_bytes(b"".join(rows))
        self._count = len(rows)

    def take(self, job: TransferJob, faults: list[RowFault]) -> None:
        """Write some more, and say how far the import is."""
        with self._path.open("ab") as file:
            file.writelines(msgspec.json.encode(fault) + b"\n" for fault in faults)
        self._count += len(faults)
        tell(job.processed_rows, job.total_rows, "importing")
        told = f"{job.processed_rows:,} of {job.total_rows or 0:,} rows, {job.failed_rows:,} set aside"
        print(told, file=sys.stderr)  # noqa: T201 - progress

    def close(self) -> str | None:
        """Return the file's name; one without rows is removed."""
        if self._count:
            return self._path.name
        self._path.unlink(missing_ok=True)
        return None


def _begun(desk: Transfers, tenant: TenantId, order: Order, digest: str) -> TransferJob:
    """Return the job of this order: the one that was killed, else a new one."""
    key = hashlib.sha256(f"{tenant} {order.dataset_id} {order.file} {digest}".encode()).hexdigest()[:32]
    job, is_new = desk.start(tenant, order, key)
    if not is_new and not job.is_running:
        desk.book.forget(tenant, "import", key)
        job, _ = desk.start(tenant, order, key)
    return job


def _run(desk: Transfers, job: TransferJob, rejected: _Rejected, reader: RowReader) -> TransferJob:
    """Run a job here; one that a killed process held is waited for until its lease is over."""
    deadline = time.monotonic() + LEASE_S + 5.0
    while True:
        done = desk.run(job.tenant, "import", job.id, on_batch=rejected.take, reader=reader)
        if not done.is_running:
            return done
        if time.monotonic() > deadline:
            raise ConflictError("Somebody else is importing this file: wait until it is done.")
        time.sleep(1.0)


def _length(source: Source, embed_dim: int) -> int:
    """Return how long the vectors of a file are: as its first one, or as texts become."""
    columns = RowVectors("", from_text=source.form == "csv")
    fault = "it holds no rows"
    for number, row in enumerate(source.reader.rows()):
        if isinstance(row, Row):
            try:
                values = columns.vector(row).values
                return len(values) if values is not None else embed_dim
            except InvalidValueError as exc:
                fault = f"row {row.number}: {exc}"
        if number >= _LOOKED_AT:
            break
    raise InvalidValueError(f"{source.path.name}: no row of it can be taken ({fault.rstrip('.')}).")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; print one JSON report; exit 1 with one line when the input is bad."""
    parser = _parser()
    options = parser.parse_args(arguments)
    paths = {kind: getattr(options, kind) for kind in ("file", "beir", "hdf5") if getattr(options, kind)}
    if len(paths) != 1:
        parser.error("give one of FILE, --beir FOLDER and --hdf5 FILE")
    ((kind, path),) = paths.items()
    try:
        source = source_of(path.resolve(), kind, options.format)  # type: ignore[arg-type]
        own_name = source.folder.name if kind == "beir" else source.path.name.partition(".")[0]
        name = options.dataset or own_name
        target = Target(name, options.metric, tenant_id(options.tenant), options.skip_existing)
        with vector_session(settings_from(options), home_stopped=options.home_stopped) as session:
            report = import_vectors(source, target, session)
            if options.evaluate and report.status != "failed":
                figures = evaluate(source, report, target, session, split=options.split)
                report = replace(report, evaluation=figures)
    except KiteError as exc:
        print(f"import_vectors: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 1
    print(msgspec.json.encode(report).decode())  # noqa: T201 - the report of a command
    if report.status == "failed":
        print(f"import_vectors: {report.message}", file=sys.stderr)  # noqa: T201 - the answer of a command
    return int(report.status == "failed")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.import_vectors", description="Load a file of vectors into a dataset."
    )
    parser.add_argument("file", type=Path, nargs="?", help="CSV, JSON, JSONL (or .gz), Parquet, npy or fvecs")
    parser.add_argument("--beir", type=Path, metavar="FOLDER", help="corpus, queries, qrels of BEIR")
    parser.add_argument("--hdf5", type=Path, metavar="FILE", help="vectors and neighbours of ann-benchmarks")
    parser.add_argument("--dataset", metavar="NAME", help="its name or id; named after the file if left out")
    parser.add_argument("--format", choices=FORMS, help="what the file holds; told by its name if left out")
    parser.add_argument("--metric", choices=get_args(Metric), default="cosine", help="of a dataset made here")
    parser.add_argument("--skip-existing", action="store_true", help="leave vectors that are there")
    parser.add_argument("--evaluate", action="store_true", help="of a benchmark: how good search is on it")
    parser.add_argument("--split", default="test", help="of BEIR's qrels")
    parser.add_argument("--tenant", default=DEFAULT_TENANT)
    add_home_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
