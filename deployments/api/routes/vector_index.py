"""``/datasets/{dataset_id}/index``: how a dataset's index stands; built, built again, dropped."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from data.datasets.ports import IndexInfo
from data.datasets.records import IndexSettings
from deployments.api.responses import json_response
from deployments.api.vector_answers import index_answer
from deployments.api.vector_desk import VectorDesk, names_of
from deployments.api.vector_requests import read_body, settings_of
from deployments.api.vector_schemas import IndexRequest


class VectorIndexRoutes:
    """Answers about indexes. One a process."""

    def __init__(self, desk: VectorDesk) -> None:
        self._desk = desk

    async def build(self, request: Request) -> Response:
        """Build the index in the background; searches and writes go on meanwhile.

        What stands already as asked is not built again, unless ``force_rebuild`` says so.
        """
        asked = await read_body(request, IndexRequest)
        tenant, dataset_id = names_of(request)

        async def answer() -> Response:
            stands = await self._desk.ask(lambda port: port.index(tenant, dataset_id))
            wanted = settings_of(asked, stands.settings)
            if not asked.force_rebuild and _is_so(stands, wanted):
                return json_response(index_answer(dataset_id, stands))
            built = await self._desk.ask(lambda port: port.build_index(tenant, dataset_id, wanted))
            return json_response(index_answer(dataset_id, built))

        return await self._desk.repeats.once(request, answer)

    async def show(self, request: Request) -> Response:
        """Tell how the index stands: what kind it is, and how many vectors wait beside it."""
        tenant, dataset_id = names_of(request)
        stands = await self._desk.ask(lambda port: port.index(tenant, dataset_id))
        return json_response(index_answer(dataset_id, stands))

    async def optimise(self, request: Request) -> Response:
        """Build the index again by its own settings: with all vectors, without those that are gone."""
        tenant, dataset_id = names_of(request)

        async def answer() -> Response:
            built = await self._desk.ask(lambda port: port.build_index(tenant, dataset_id, None))
            return json_response(index_answer(dataset_id, built))

        return await self._desk.repeats.once(request, answer)

    async def drop(self, request: Request) -> Response:
        """Go back to a flat index, which scans every vector and needs no building."""
        tenant, dataset_id = names_of(request)

        async def answer() -> Response:
            dropped = await self._desk.ask(lambda port: port.drop_index(tenant, dataset_id))
            return json_response(index_answer(dataset_id, dropped))

        return await self._desk.repeats.once(request, answer)


def _is_so(stands: IndexInfo, wanted: IndexSettings) -> bool:
    """Return whether a new build would change nothing."""
    return stands.state == "ready" and stands.settings == wanted and not stands.delta and not stands.removed
