"""The loop of an export: the vectors of a dataset that a filter keeps into a file, page by page.

Called by ``transfer_desk`` with the job's lease in hand. The file appears under its name when it is whole; a
job that is taken over begins it anew, because what another process had in its buffers is lost.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from data.datasets.formats.names import ExportForm
from data.datasets.formats.writing import writer_of
from data.datasets.ports import StoredVector, VectorDatasets
from data.datasets.transfer import Lease, TransferJob
from data.datasets.transfer_import import BATCH_NUMBERS, patiently

#: Vectors of one page.
PAGE = 1_000


@dataclass(frozen=True, slots=True)
class ExportParts:
    """What an export needs: the datasets, and where its file is to be."""

    datasets: VectorDatasets
    path: Path
    pause: Callable[[float], None] = time.sleep


def run_export(lease: Lease, parts: ExportParts) -> TransferJob:
    """Do an export from its beginning; return how it ended.

    Raises:
        NotFoundError: the dataset is gone. UnavailableError: a part of the service stayed away.
        LeaseLostError: somebody else does it.
    """
    job = replace(lease.job, processed_rows=0, successful_rows=0, total_rows=None)
    dimensions = parts.datasets.dataset(job.tenant, job.order.dataset_id).record.dimensions
    part = parts.path.with_name(f"{parts.path.name}.{uuid.uuid4().hex}.part")
    try:
        with writer_of(part, cast("ExportForm", job.order.form), dimensions) as writer:
            for vectors, total in _pages(job, parts, max(1, min(PAGE, BATCH_NUMBERS // dimensions))):
                writer.write(vectors)
                done = job.processed_rows + len(vectors)
                job = replace(job, processed_rows=done, successful_rows=done, total_rows=total)
                lease.save(job)
        part.replace(parts.path)
    finally:
        part.unlink(missing_ok=True)
    lease.finish(replace(job, total_rows=job.processed_rows), "completed")
    return lease.job


def _pages(job: TransferJob, parts: ExportParts, size: int) -> Iterator[tuple[tuple[StoredVector, ...], int]]:
    """Yield the vectors with their values, page by page, and how many there will be."""
    order, offset = job.order, 0
    while order.limit is None or offset < order.limit:
        wanted = size if order.limit is None else min(size, order.limit - offset)
        page = patiently(
            lambda: parts.datasets.vectors(
                job.tenant,
                order.dataset_id,
                limit=wanted,  # noqa: B023
                offset=offset,  # noqa: B023 - called before the next turn
                filters=order.filters,
                values=True,
            ),
            parts.pause,
        )
        yield page.vectors, page.total if order.limit is None else min(page.total, order.limit)
        offset += wanted  # and not what came: a vector may have gone while its page was read
        if offset >= page.total:
            return
