"""The loop of an import: rows of a file into a dataset, batch by batch, its position saved after each.

Called by ``transfer_desk`` and by the command line, with the job's lease in hand. A batch that was written
but not yet noted when its runner died is written again by the next: the same ids, so nothing is there twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar, cast

from data.datasets.formats.columns import RowVectors
from data.datasets.formats.names import Form
from data.datasets.formats.reading import reader_of
from data.datasets.formats.rows import Row, RowFault, RowReader
from data.datasets.ports import InsertReport, NewVector, VectorDatasets
from data.datasets.records import MAX_BATCH
from data.datasets.transfer import Lease, TransferJob, with_faults
from data.errors import InvalidValueError, UnavailableError

Found = TypeVar("Found")
#: Most numbers and most characters of one batch.
BATCH_NUMBERS, BATCH_CHARS = 1_000_000, 8_000_000
#: Waits before a write that found a part of the service away is tried again, seconds.
PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)

#: Told, after each batch was written and before that is noted, how the job will stand and what was not taken.
OnBatch = Callable[[TransferJob, list[RowFault]], None]


@dataclass(frozen=True, slots=True)
class ImportParts:
    """What an import needs: the datasets, its file, and what else is to happen.

    ``reader`` reads what the order's form alone does not tell how to.
    """

    datasets: VectorDatasets
    path: Path
    on_batch: OnBatch = field(default=lambda _job, _faults: None)
    reader: RowReader | None = None
    pause: Callable[[float], None] = time.sleep


def run_import(lease: Lease, parts: ImportParts) -> TransferJob:
    """Do what is left of an import; return how it ended.

    Raises:
        InvalidValueError: the file is damaged. NotFoundError: the dataset is gone. UnavailableError: a part
        of the service stayed away. LeaseLostError: somebody else goes on with it.
    """
    job = lease.job
    reader = parts.reader or reader_of(parts.path, cast("Form", job.order.form))
    dataset = parts.datasets.dataset(job.tenant, job.order.dataset_id)
    if job.total_rows is None:
        job = replace(job, total_rows=reader.count())
        lease.save(job)
    columns = RowVectors(job.order.source, from_text=job.order.form == "csv")
    rows = reader.rows(after=job.processed_rows)
    for batch in batches(rows, columns, max(1, min(MAX_BATCH, BATCH_NUMBERS // dataset.record.dimensions))):
        job = _write(job, batch, parts)
        lease.save(job)
    lease.finish(job, "completed_with_errors" if job.failed_rows else "completed")
    return lease.job


@dataclass(slots=True)
class Batch:
    """Some rows of a file one after the other: vectors with the numbers of their rows, and faults."""

    size: int = 0
    chars: int = 0
    vectors: list[NewVector] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    faults: list[RowFault] = field(default_factory=list)

    def take(self, row: Row | RowFault, columns: RowVectors) -> None:
        """Take in one row."""
        self.size += 1
        if isinstance(row, RowFault):
            self.faults.append(row)
            return
        try:
            vector = columns.vector(row)
        except InvalidValueError as exc:
            self.faults.append(RowFault(row.number, str(exc)))
            return
        self.chars += len(vector.record.content or "")
        self.vectors.append(vector)
        self.numbers.append(row.number)


def batches(rows: Iterable[Row | RowFault], columns: RowVectors, most: int) -> Iterator[Batch]:
    """Yield the rows in batches of at most ``most``, fewer where their texts are long."""
    batch = Batch()
    for row in rows:
        batch.take(row, columns)
        if batch.size >= most or batch.chars >= BATCH_CHARS:
            yield batch
            batch = Batch()
    if batch.size:
        yield batch


def _write(job: TransferJob, batch: Batch, parts: ImportParts) -> TransferJob:
    report = InsertReport(0, 0)
    if batch.vectors:
        report = patiently(
            lambda: parts.datasets.insert(
                job.tenant, job.order.dataset_id, batch.vectors, job.order.on_present
            ),
            parts.pause,
        )
    refused = [RowFault(batch.numbers[place], told) for place, told in report.failures]
    faults = sorted([*batch.faults, *refused], key=lambda fault: fault.row)
    done = replace(
        job,
        processed_rows=job.processed_rows + batch.size,
        successful_rows=job.successful_rows + report.inserted,
        skipped_rows=job.skipped_rows + report.skipped,
    )
    told = with_faults(done, faults)
    parts.on_batch(told, faults)
    return told


def patiently(work: Callable[[], Found], pause: Callable[[float], None]) -> Found:
    """Return what ``work`` returns, tried again while a part of the service is away.

    Raises:
        UnavailableError: it stayed away.
    """
    for wait_s in PAUSES_S:
        try:
            return work()
        except UnavailableError:
            pause(wait_s)
    return work()
