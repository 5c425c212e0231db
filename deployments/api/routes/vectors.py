"""``/datasets/{dataset_id}/vectors``: written one by one or in batches, listed, shown, changed, removed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.datasets.ports import InsertReport, NewVector, OnDuplicate, StoredVector
from data.errors import InvalidValueError, NotFoundError
from deployments.api.context import pay_for_items
from deployments.api.errors import SchemaMisfitError, clean
from deployments.api.knowledge_requests import is_known
from deployments.api.reading import check_media_type, misfit
from deployments.api.responses import json_response
from deployments.api.vector_answers import vector_answer
from deployments.api.vector_desk import VectorDesk, names_of, require_match, tag_of
from deployments.api.vector_requests import (
    DEFAULT_PAGE,
    MAX_OFFSET,
    MAX_PAGE,
    decode_as,
    hash_of,
    id_made,
    id_seed,
    new_vector,
    on_duplicate,
    read_body,
    read_count,
    read_filters,
    read_flag,
)
from deployments.api.vector_schemas import (
    VectorBatchRequest,
    VectorChangeRequest,
    VectorDeleteRequest,
    VectorRequest,
)

#: Fields of a vector that a change replaces as they are.
_PLAIN = (
    "content",
    "metadata",
    "document_id",
    "chunk_id",
    "content_type",
    "language",
    "chunk_index",
    "chunk_count",
    "model",
)


class VectorRoutes:
    """Answers about vectors. One a process."""

    def __init__(self, desk: VectorDesk) -> None:
        self._desk = desk

    async def add(self, request: Request) -> Response:
        """Write vectors: ``{"vectors": […]}``, or a single one as the body.

        One that cannot be written is counted and told in ``error_messages``; its neighbours go in.
        """
        check_media_type(request)
        return await self._write(request, _one_or_many(await request.body()))

    async def add_batch(self, request: Request) -> Response:
        """Write 1 to 1,000 vectors.

        One that cannot be written is counted and told in ``error_messages``; its neighbours go in.
        """
        return await self._write(request, await read_body(request, VectorBatchRequest))

    async def _write(self, request: Request, asked: VectorBatchRequest) -> Response:
        started = time.perf_counter()
        how = on_duplicate(asked.skip_existing, asked.overwrite)
        await pay_for_items(request, len(asked.vectors))
        seed = id_seed(request)
        vectors = [new_vector(body, id_made(seed, number)) for number, body in enumerate(asked.vectors)]

        async def answer() -> Response:
            size = asked.batch_size or len(vectors)
            report = await insert_in_parts(self._desk, request, vectors, how=how, size=size)
            return json_response(insert_answer(report, started), status=201)

        return await self._desk.repeats.once(request, answer)

    async def listing(self, request: Request) -> Response:
        """List vectors in the order they were first written; ``X-Total-Count`` says how many there are."""
        query = request.query_params
        tenant, dataset_id = names_of(request)
        limit = read_count(query, "limit", default=DEFAULT_PAGE, least=1, most=MAX_PAGE)
        offset = read_count(query, "offset", default=0, least=0, most=MAX_OFFSET)
        filters, values = read_filters(query), read_flag(query, "include_values")
        shape = await self._desk.shape(tenant, dataset_id)
        page = await self._desk.ask(
            lambda port: port.vectors(
                tenant, dataset_id, limit=limit, offset=offset, filters=filters, values=values
            )
        )
        shown = [vector_answer(one, dataset_id, shape) for one in page.vectors]
        return json_response(shown, headers={"X-Total-Count": str(page.total)})

    async def show(self, request: Request) -> Response:
        """Show a vector with its values."""
        told = await self._told(request, await self._stored(request))
        headers = {"ETag": f'"{tag_of(told)}"'}
        if is_known(request, headers):
            return Response(status_code=304, headers=headers)
        return json_response(told, headers=headers)

    async def change(self, request: Request) -> Response:
        """Change fields of a vector; what is left out stays. ``If-Match`` guards what you read.

        New content keeps the numbers, unless new ones come with it or ``embed`` asks for its own.
        """
        asked = await read_body(request, VectorChangeRequest)
        tenant, dataset_id = names_of(request)

        async def answer() -> Response:
            before = await self._stored(request)
            require_match(request, await self._told(request, before), "vector")
            vector = _changed(before, asked)
            report = await self._desk.ask(lambda port: port.insert(tenant, dataset_id, [vector], "overwrite"))
            if report.failures:
                raise InvalidValueError(report.failures[0][1])
            told = await self._told(request, await self._stored(request))
            return json_response(told, headers={"ETag": f'"{tag_of(told)}"'})

        return await self._desk.repeats.once(request, answer)

    async def delete(self, request: Request) -> Response:
        """Remove a vector."""
        tenant, dataset_id = names_of(request)
        vector_id = request.path_params["vector_id"]

        async def answer() -> Response:
            if "if-match" in request.headers:
                require_match(request, await self._told(request, await self._stored(request)), "vector")
            removed = await self._desk.ask(lambda port: port.delete_vectors(tenant, dataset_id, [vector_id]))
            if not removed:
                raise NotFoundError(f"There is no vector {vector_id[:100]!r} in this dataset.")
            return json_response({"success": True, "message": f"The vector {vector_id} is removed."})

        return await self._desk.repeats.once(request, answer)

    async def delete_batch(self, request: Request) -> Response:
        """Remove vectors by id; those that are not there are not counted."""
        asked = await read_body(request, VectorDeleteRequest)
        tenant, dataset_id = names_of(request)
        ids = asked.ids or asked.vector_ids
        if ids is None or (asked.ids and asked.vector_ids):
            raise misfit("ids", "Field required: send the ids once, as ids or as vector_ids")
        await pay_for_items(request, len(ids))

        async def answer() -> Response:
            removed = await self._desk.ask(lambda port: port.delete_vectors(tenant, dataset_id, ids))
            told = {"success": True, "message": f"{removed} vectors are removed.", "deleted_count": removed}
            return json_response(told)

        return await self._desk.repeats.once(request, answer)

    async def _stored(self, request: Request) -> StoredVector:
        tenant, dataset_id = names_of(request)
        vector_id = request.path_params["vector_id"]
        return await self._desk.ask(lambda port: port.vector(tenant, dataset_id, vector_id))

    async def _told(self, request: Request, stored: StoredVector) -> dict[str, Any]:
        tenant, dataset_id = names_of(request)
        shape = await self._desk.shape(tenant, dataset_id)
        return vector_answer(stored, dataset_id, shape)


async def insert_in_parts(
    desk: VectorDesk, request: Request, vectors: Sequence[NewVector], *, how: OnDuplicate, size: int
) -> InsertReport:
    """Write vectors, ``size`` at a time, and return one report with places in the whole."""
    tenant, dataset_id = names_of(request)
    inserted = skipped = 0
    failures: list[tuple[int, str]] = []
    for start in range(0, len(vectors), size):
        part = vectors[start : start + size]
        report = await desk.ask(lambda port, part=part: port.insert(tenant, dataset_id, part, how))  # type: ignore[misc]
        inserted, skipped = inserted + report.inserted, skipped + report.skipped
        failures += [(start + number, why) for number, why in report.failures]
    return InsertReport(inserted, skipped, tuple(failures))


def insert_answer(report: InsertReport, started: float) -> dict[str, Any]:
    """Return what became of vectors as it is shown; ``started`` on the clock of ``time.perf_counter``."""
    return {
        "success": not report.failures,
        "inserted_count": report.inserted,
        "skipped_count": report.skipped,
        "failed_count": len(report.failures),
        "error_messages": [f"vectors[{number}]: {clean(why)}" for number, why in report.failures],
        "processing_time_ms": round((time.perf_counter() - started) * 1000, 3),
    }


def _one_or_many(body: bytes) -> VectorBatchRequest:
    """Return a batch from its body, or from that of a single vector.

    Raises:
        SchemaMisfitError: it is neither; told for what it was meant to be.
    """
    try:
        return decode_as(VectorBatchRequest, body)
    except SchemaMisfitError as batch:
        if not any(
            entry["field"].partition("[")[0] != "vectors" or _is_absent(entry) for entry in batch.errors
        ):
            raise
        try:
            return VectorBatchRequest(vectors=[decode_as(VectorRequest, body)])
        except SchemaMisfitError as single:
            raise (batch if _names_vectors(single) else single) from None


def _is_absent(entry: dict[str, str]) -> bool:
    return entry == {"field": "vectors", "reason": "Field required"}


def _names_vectors(single: SchemaMisfitError) -> bool:
    """Return whether it was no single vector because it has a list of them."""
    return any(entry["field"] == "vectors" for entry in single.errors)


def _changed(before: StoredVector, asked: VectorChangeRequest) -> NewVector:
    sent = {name: getattr(asked, name) for name in _PLAIN}
    record = replace(before.record, **{name: value for name, value in sent.items() if value is not None})
    if asked.content is not None or asked.content_hash is not None:
        record = replace(record, content_hash=hash_of(asked.content_hash, record.content))
    if asked.embed and asked.values is not None:
        raise misfit("embed", "cannot go with values: send one of the two")
    return NewVector(record, None if asked.embed else asked.values or before.values)
