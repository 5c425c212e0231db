"""The rows of the route table for imports and exports of datasets. Called by ``api.asgi``."""

from __future__ import annotations

import re

from data.datasets.formats.names import FORMS
from data.datasets.records import MAX_DIMENSIONS
from deployments.api.knowledge_endpoints import IDEMPOTENCY_KEY
from deployments.api.openapi import Endpoint
from deployments.api.routes.vector_transfer import FILE_TYPE, VectorTransferRoutes
from deployments.api.rules import READ, WRITE
from deployments.api.vector_transfer_wire import ExportRequest, TransferAnswer
from deployments.services import Services

#: The path whose bodies may be as large as ``ApiLimits.import_body_bytes``.
IMPORT_BODIES = re.compile(r"(/api/v1)?/datasets/[^/]+/import/?$")
#: The paths whose bodies or answers are files, and may take as long as these do.
FILES = re.compile(r"(/api/v1)?(/datasets/[^/]+)?/(import/?|export/[^/]+/download/?)$")
#: What loads a file that is too large for a request.
IMPORT_TASK = "python -m tasks.import_vectors"
_BAD_BODY = (400, 413, 415, 422)
_YES_OR_NO = {"type": "string", "enum": ["true", "false"], "default": "false"}
_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "format": {
            "type": "string",
            "enum": list(FORMS),
            "description": "Told by the file's name if left out.",
        },
        "overwrite": {**_YES_OR_NO, "description": "What happens when left out."},
        "skip_existing": {**_YES_OR_NO, "description": "Ids that are there stay as they are."},
    },
}


def transfer_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for imports and exports; jobs are found with and without their dataset's path."""
    transfer = VectorTransferRoutes(services)
    problems = (*_BAD_BODY, 404, 409, 503)
    limits = {"body_bytes": services.limits.import_body_bytes, "dimensions": MAX_DIMENSIONS}
    rows = [
        Endpoint(
            "POST", "/datasets/{dataset_id}/import", transfer.take, "Import a file of vectors",
            answer=TransferAnswer, problems=problems, queries=(IDEMPOTENCY_KEY,), form=_FORM,
            status=202, limits=limits, access=WRITE,
        ),
        Endpoint(
            "POST", "/datasets/{dataset_id}/export", transfer.export, "Export vectors to a file",
            ExportRequest, TransferAnswer, problems=problems, queries=(IDEMPOTENCY_KEY,), status=202,
            example={"format": "jsonl", "filters": {"year": {"$gte": 2020}}}, access=READ,
        ),
    ]  # fmt: skip
    for above in ("", "/datasets/{dataset_id}"):
        rows += _job_endpoints(transfer, above)
    return rows


def _job_endpoints(transfer: VectorTransferRoutes, above: str) -> list[Endpoint]:
    missing = (404, 503)
    return [
        Endpoint(
            "GET", above + "/import/{job_id}", transfer.import_job, "How an import stands",
            answer=TransferAnswer, problems=missing, access=READ,
        ),
        Endpoint(
            "GET", above + "/export/{job_id}", transfer.export_job, "How an export stands",
            answer=TransferAnswer, problems=missing, access=READ,
        ),
        Endpoint(
            "GET", above + "/export/{job_id}/download", transfer.download, "The file of an export",
            media_type=FILE_TYPE, problems=(404, 409, 503), access=READ,
        ),
    ]  # fmt: skip
