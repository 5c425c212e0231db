"""``/datasets``: vector datasets made, listed, shown, changed, removed, and their figures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.datasets.ports import DatasetInfo
from data.datasets.records import DatasetRecord, IndexSettings
from deployments.api.context import tenant_of
from deployments.api.knowledge_requests import location_of
from deployments.api.responses import json_response
from deployments.api.vector_answers import dataset_answer, definition_of, stats_answer
from deployments.api.vector_desk import VectorDesk, names_of, require_match, tag_of
from deployments.api.vector_requests import (
    DEFAULT_PAGE,
    MAX_OFFSET,
    MAX_PAGE,
    id_made,
    id_seed,
    read_body,
    read_count,
    settings_of,
)
from deployments.api.vector_schemas import DatasetChangeRequest, DatasetRequest


class DatasetRoutes:
    """Answers about datasets. One a process."""

    def __init__(self, desk: VectorDesk) -> None:
        self._desk = desk

    async def create(self, request: Request) -> Response:
        """Make an empty dataset; with ``overwrite`` in place of the one of the same name."""
        asked = await read_body(request, DatasetRequest)
        tenant = tenant_of(request)
        record = DatasetRecord(
            id=id_made(id_seed(request)),
            name=asked.name,
            dimensions=asked.dimensions,
            metric=asked.metric_type or "cosine",
            shards=asked.shards or 1,
            index=settings_of(asked, IndexSettings()),
            description=asked.description or "",
            metadata=asked.metadata or {},
        )

        async def answer() -> Response:
            info = await self._desk.ask(
                lambda port: port.create(tenant, record, overwrite=bool(asked.overwrite))
            )
            headers = {"Location": location_of(request, info.record.id), "ETag": _tag(info)}
            return json_response(dataset_answer(info), status=201, headers=headers)

        return await self._desk.repeats.once(request, answer)

    async def listing(self, request: Request) -> Response:
        """List your datasets, oldest first; ``X-Total-Count`` says how many there are."""
        query, tenant = request.query_params, tenant_of(request)
        page = read_count(query, "page", default=1, least=1, most=MAX_OFFSET)
        size = read_count(query, "page_size", default=DEFAULT_PAGE, least=1, most=MAX_PAGE)
        found = await self._desk.ask(lambda port: port.datasets(tenant))
        shown = [dataset_answer(info) for info in found[(page - 1) * size : page * size]]
        return json_response(shown, headers={"X-Total-Count": str(len(found))})

    async def show(self, request: Request) -> Response:
        """Show a dataset; its ``ETag`` is that of its definition, whatever vectors come and go."""
        info = await self._info(request)
        return json_response(dataset_answer(info), headers={"ETag": _tag(info)})

    async def change(self, request: Request) -> Response:
        """Change name, description, metadata or index settings; what is left out stays.

        ``If-Match`` guards what you read. Index settings hold from the next build of the index on.
        """
        asked = await read_body(request, DatasetChangeRequest)
        tenant, _ = names_of(request)

        async def answer() -> Response:
            before = await self._info(request)
            require_match(request, definition_of(before.record), "dataset")
            record = _changed(before.record, asked)
            info = await self._desk.ask(lambda port: port.update(tenant, record))
            return json_response(dataset_answer(info), headers={"ETag": _tag(info)})

        return await self._desk.repeats.once(request, answer)

    async def delete(self, request: Request) -> Response:
        """Remove a dataset and all that is in it."""
        tenant, dataset_id = names_of(request)

        async def answer() -> Response:
            if "if-match" in request.headers:
                require_match(request, definition_of((await self._info(request)).record), "dataset")
            await self._desk.ask(lambda port: port.delete(tenant, dataset_id))
            return json_response({"success": True, "message": f"The dataset {dataset_id} is removed."})

        return await self._desk.repeats.once(request, answer)

    async def stats(self, request: Request) -> Response:
        """Tell figures of a dataset: vectors, bytes, fields of the metadata, the index."""
        tenant, dataset_id = names_of(request)
        return json_response(stats_answer(await self._desk.ask(lambda port: port.stats(tenant, dataset_id))))

    async def _info(self, request: Request) -> DatasetInfo:
        tenant, dataset_id = names_of(request)
        return await self._desk.ask(lambda port: port.dataset(tenant, dataset_id))


def _tag(info: DatasetInfo) -> str:
    return f'"{tag_of(definition_of(info.record))}"'


def _changed(before: DatasetRecord, asked: DatasetChangeRequest) -> DatasetRecord:
    sent: dict[str, Any] = {
        "name": asked.name,
        "description": asked.description,
        "metadata": asked.metadata,
        "dimensions": asked.dimensions,
        "metric": asked.metric_type,
    }
    kept = {name: value for name, value in sent.items() if value is not None}
    return replace(before, **kept, index=settings_of(asked, before.index))
