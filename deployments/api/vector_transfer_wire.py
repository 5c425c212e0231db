"""Bodies and answers of imports and exports. Called by their routes and by the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct
from typing_extensions import TypedDict

from data.datasets.formats.names import ExportForm
from data.datasets.transfer import Status, TransferJob
from deployments.api.vector_schemas import Filters

#: Most vectors of an export that says how many it wants.
MAX_EXPORT = 2**53


class ExportRequest(Struct, forbid_unknown_fields=True):
    """Write the vectors that ``filters`` keeps, at most ``limit``, into a file; jsonl when none is named."""

    format: ExportForm | None = None
    limit: Annotated[int, Meta(ge=1, le=MAX_EXPORT)] | None = None
    filters: Filters | None = None


class FailedRowAnswer(TypedDict):
    """A row that was not taken, counted from 1; 0 is the file itself."""

    row: int
    error: str


class TransferAnswer(TypedDict):
    """How a job stands. ``failed_rows`` counts all rows that were not taken, ``errors`` holds the first.

    ``total_rows`` is null until the file has been looked at. ``download_url``: of an export that is done.
    """

    job_id: str
    dataset_id: str
    status: Status
    total_rows: int | None
    processed_rows: int
    successful_rows: int
    skipped_rows: int
    failed_rows: int
    errors: list[FailedRowAnswer]
    started_at: str
    completed_at: str | None
    format: str
    progress_percentage: float
    download_url: str | None


def transfer_answer(job: TransferJob) -> dict[str, Any]:
    """Return how a job stands, as it is told."""
    errors = [{"row": fault.row, "error": fault.error} for fault in job.errors]
    if job.message is not None:
        errors.insert(0, {"row": 0, "error": job.message})
    is_there = job.order.kind == "export" and job.status == "completed"
    return {
        "job_id": job.id,
        "dataset_id": job.order.dataset_id,
        "status": job.status,
        "total_rows": job.total_rows,
        "processed_rows": job.processed_rows,
        "successful_rows": job.successful_rows,
        "skipped_rows": job.skipped_rows,
        "failed_rows": job.failed_rows,
        "errors": errors,
        "started_at": job.started_at,
        "completed_at": job.completed_at,
        "format": job.order.form,
        "progress_percentage": job.progress,
        "download_url": f"/api/v1/export/{job.id}/download" if is_there else None,
    }
