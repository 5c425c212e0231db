"""Imports and exports of datasets: ``/datasets/{dataset_id}/import`` and ``…/export``, and their jobs."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import cast
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from data.datasets.formats.names import Form, form_of, read_form
from data.datasets.transfer import Kind, Order, TransferJob
from data.datasets.transfer_desk import Transfers
from data.errors import NotFoundError, UnavailableError
from deployments.api.context import tenant_of
from deployments.api.knowledge_requests import idempotency_key
from deployments.api.reading import misfit
from deployments.api.responses import json_response
from deployments.api.vector_desk import names_of
from deployments.api.vector_requests import read_body
from deployments.api.vector_transfer_form import FormReader, boundary_of
from deployments.api.vector_transfer_wire import ExportRequest, transfer_answer
from deployments.services import Services

#: Letters of a file's hash that begin the ids of rows without one.
SOURCE_CHARS = 12
#: What a file is sent as: something to be kept, not shown.
FILE_TYPE = "application/octet-stream"
#: Keeps the middleware from packing a file while it goes out: that would cost every other request time.
AS_IT_IS = {"Content-Encoding": "identity"}


class VectorTransferRoutes:
    """Takes orders and tells of jobs. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def _desk(self) -> Transfers:
        if self._services.transfers is None:
            raise UnavailableError("This installation imports and exports no vector datasets.")
        return self._services.transfers

    async def take(self, request: Request) -> Response:
        """Import the file of a form in the background; ids that are there are overwritten, or skipped.

        Rows may lack an id, and values where they have content. Ask for the job to see how it stands.
        """
        tenant, dataset_id = names_of(request)
        desk = self._desk
        boundary = boundary_of(request.headers.get("content-type", ""))
        await asyncio.to_thread(desk.check, tenant, dataset_id)
        place = await asyncio.to_thread(desk.new_file, tenant, f"{uuid4().hex}.import")
        path = desk.folder / place
        try:
            form, source = await _received(request, boundary, path)
            order = Order(
                kind="import",
                dataset_id=dataset_id,
                form=_form_of(form),
                file=place,
                source=source[:SOURCE_CHARS],
                on_present="skip" if _says(form, "skip_existing", beside="overwrite") else "overwrite",
            )
            job, is_new = await asyncio.to_thread(desk.start, tenant, order, _job_id(request))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        if not is_new:
            path.unlink(missing_ok=True)
        return _accepted(job, is_new=is_new)

    async def export(self, request: Request) -> Response:
        """Write the vectors that the filter keeps into a file, in the background."""
        asked = await read_body(request, ExportRequest)
        tenant, dataset_id = names_of(request)
        form = asked.format or "jsonl"
        place = await asyncio.to_thread(self._desk.new_file, tenant, f"{uuid4().hex}.export")
        order = Order("export", dataset_id, form, place, limit=asked.limit, filters=asked.filters or None)
        job, is_new = await asyncio.to_thread(self._desk.start, tenant, order, _job_id(request))
        return _accepted(job, is_new=is_new)

    async def import_job(self, request: Request) -> Response:
        """Tell how an import stands; one whose replica died is continued."""
        return json_response(transfer_answer(await self._job(request, "import")))

    async def export_job(self, request: Request) -> Response:
        """Tell how an export stands; one whose replica died is begun again."""
        return json_response(transfer_answer(await self._job(request, "export")))

    async def download(self, request: Request) -> Response:
        """Send the file of an export that is done."""
        job_id = request.path_params["job_id"]
        job, path = await asyncio.to_thread(self._desk.file, tenant_of(request), job_id)
        _require_dataset(request, job)
        name = f"{job.order.dataset_id}.{job.order.form}"
        return FileResponse(path, media_type=FILE_TYPE, filename=name, headers=AS_IT_IS)

    async def _job(self, request: Request, kind: Kind) -> TransferJob:
        job_id = request.path_params["job_id"]
        job = await asyncio.to_thread(self._desk.job, tenant_of(request), kind, job_id)
        _require_dataset(request, job)
        return job


def _require_dataset(request: Request, job: TransferJob) -> None:
    """Raise ``NotFoundError`` for a job that is asked for below another dataset."""
    if request.path_params.get("dataset_id", job.order.dataset_id) != job.order.dataset_id:
        raise NotFoundError(f"There is no {job.order.kind} {job.id} of this dataset.")


async def _received(request: Request, boundary: bytes, path: Path) -> tuple[FormReader, str]:
    """Write the file of a form to ``path``; return the form, and the file's SHA-256 in hex."""
    digest = hashlib.sha256()
    with path.open("wb") as file:

        def write(part: bytes) -> None:
            digest.update(part)
            file.write(part)

        form = FormReader(boundary, write)
        async for part in request.stream():
            await asyncio.to_thread(form.feed, part)
        form.end()
    return form, digest.hexdigest()


def _form_of(form: FormReader) -> Form:
    """Return what the file holds: as the field ``format`` says, else by the file's name."""
    named = form.fields.get("format", "")
    return read_form(named) if named else form_of(form.filename or "")


def _says(form: FormReader, name: str, *, beside: str) -> bool:
    """Return whether a field of a form is true; that and the one beside it cannot both be."""
    found = {}
    for field in (name, beside):
        value = form.fields.get(field, "false").strip().lower()
        if value not in ("true", "false", "1", "0", ""):
            raise misfit(field, "must be true or false")
        found[field] = value in ("true", "1")
    if all(found.values()):
        raise misfit(beside, f"cannot go with {name}: send one of the two")
    return found[name]


def _job_id(request: Request) -> str | None:
    """Return the id that a request's ``Idempotency-Key`` gives its job, if it has one."""
    key = idempotency_key(request)
    if key is None:
        return None
    return hashlib.sha256(f"{tenant_of(request)} {key}".encode()).hexdigest()[:32]


def _accepted(job: TransferJob, *, is_new: bool) -> Response:
    headers = {"Location": f"/api/v1/{cast('str', job.order.kind)}/{job.id}"}
    if not is_new:
        headers["Idempotency-Replayed"] = "true"
    return json_response(transfer_answer(job), status=202, headers=headers)
