"""``/datasets/{dataset_id}/search…`` and ``/search/multi-dataset``: by a vector, by words, by both."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response

from data.datasets.ports import SearchAnswer, SearchRequest
from data.errors import InvalidValueError, UnavailableError
from deployments.api.context import pay_for_items, tenant_of
from deployments.api.reading import misfit
from deployments.api.responses import json_response
from deployments.api.vector_answers import Shape, search_answer
from deployments.api.vector_desk import VectorDesk, names_of
from deployments.api.vector_requests import options_of, read_body
from deployments.api.vector_schemas import (
    WEIGHT_SLACK,
    HybridSearchRequest,
    MultiSearchRequest,
    TextSearchRequest,
    VectorSearchRequest,
)
from deployments.vector_search import Merging, merge


class VectorSearchRoutes:
    """Answers searches. One a process."""

    def __init__(self, desk: VectorDesk) -> None:
        self._desk = desk

    async def by_vector(self, request: Request) -> Response:
        """Find the vectors nearest to one."""
        started = time.perf_counter()
        asked = await read_body(request, VectorSearchRequest)
        wanted = SearchRequest(
            names_of(request)[1], vector=asked.query_vector, options=options_of(asked.options)
        )
        return await self._answered(request, wanted, started)

    async def by_text(self, request: Request) -> Response:
        """Find by words (BM25 over the contents), or by meaning with ``mode: semantic``."""
        started = time.perf_counter()
        asked = await read_body(request, TextSearchRequest)
        dataset_id, options = names_of(request)[1], options_of(asked.options)
        if asked.mode != "semantic":
            wanted = SearchRequest(dataset_id, text=asked.query_text, options=options)
            return await self._answered(request, wanted, started)
        vector, embedding_ms = await self._embedded(request, asked.query_text)
        wanted = SearchRequest(dataset_id, vector=vector, options=options)
        return await self._answered(request, wanted, started, embedding_ms=embedding_ms)

    async def hybrid(self, request: Request) -> Response:
        """Find by a vector and by words, the two rankings fused; without a vector, by that of the text."""
        started = time.perf_counter()
        asked = await read_body(request, HybridSearchRequest)
        if abs(asked.vector_weight + asked.text_weight - 1.0) > WEIGHT_SLACK:
            raise misfit("text_weight", "does not make 1 together with vector_weight")
        vector, embedding_ms = asked.query_vector, 0.0
        if vector is None:
            if asked.query_text is None:
                raise misfit("query_text", "Field required: send query_vector, query_text or both")
            vector, embedding_ms = await self._embedded(request, asked.query_text)
        wanted = SearchRequest(
            names_of(request)[1],
            vector=vector,
            text=asked.query_text,
            vector_weight=asked.vector_weight,
            text_weight=1.0 - asked.vector_weight,
            options=options_of(asked.options),
        )
        if asked.fusion_method is not None:
            wanted = replace(wanted, fusion=asked.fusion_method)
        return await self._answered(request, wanted, started, embedding_ms=embedding_ms)

    async def multi(self, request: Request) -> Response:
        """Search several datasets and merge what they find into one ranking.

        Scores are compared where all of it is measured by one metric, else ranks are fused (reciprocal rank).
        """
        started = time.perf_counter()
        asked = await read_body(request, MultiSearchRequest)
        tenant = tenant_of(request)
        names = await asyncio.gather(*(self._desk.id_of(tenant, name) for name in asked.dataset_ids))
        wanted = _questions(asked, names)
        await pay_for_items(request, len(wanted))
        options = wanted[0].options
        shapes = await asyncio.gather(*(self._desk.shape(tenant, one.dataset_id) for one in wanted))
        found = await self._desk.searcher.search(tenant, wanted)
        one_metric = options.metric is not None or len({shape.metric for shape in shapes}) == 1
        how = Merging(
            top_k=options.top_k,
            comparable=len(wanted) == 1 or (wanted[0].text is None and not options.rerank and one_metric),
            deduplicate=options.deduplicate,
        )
        merged = merge({one.dataset_id: answer for one, answer in zip(wanted, found, strict=True)}, how)
        by_id = {one.dataset_id: shape for one, shape in zip(wanted, shapes, strict=True)}
        return _told(merged, by_id, started)

    async def _answered(
        self, request: Request, wanted: SearchRequest, started: float, *, embedding_ms: float = 0.0
    ) -> Response:
        tenant = tenant_of(request)
        shape = await self._desk.shape(tenant, wanted.dataset_id)
        (answer,) = await self._desk.searcher.search(tenant, [wanted])
        return _told(answer, {wanted.dataset_id: shape}, started, embedding_ms=embedding_ms)

    async def _embedded(self, request: Request, text: str) -> tuple[list[float], float]:
        """Return the vector of a text, and the milliseconds that it took.

        Raises:
            UnavailableError: this installation embeds no texts.
            InvalidValueError: its vectors are of another length than the dataset's.
        """
        embed = self._desk.services.embed
        if embed is None:
            raise UnavailableError("This installation embeds no texts.")
        shape = await self._desk.shape(*names_of(request))
        began = time.perf_counter()
        (row,) = await embed([text])
        took_ms = (time.perf_counter() - began) * 1000
        if len(row) != shape.dimensions:
            raise InvalidValueError(
                f"Texts become vectors of {len(row)} numbers here, and the dataset has {shape.dimensions} "
                "dimensions: send query_vector, made by the model that made the others."
            )
        return row.tolist(), took_ms


def _questions(asked: MultiSearchRequest, dataset_ids: Sequence[str]) -> list[SearchRequest]:
    """Return the searches that a search of several datasets is made of, each dataset once."""
    inner = asked.search_request
    vector, options = asked.query_vector, asked.options
    if inner is not None:
        if vector is not None or options is not None:
            raise misfit("search_request", "repeats query_vector or options: send each once")
        vector, options = inner.query_vector, inner.options
    if vector is None and asked.query_text is None:
        raise misfit("query_vector", "Field required: send query_vector, query_text or both")
    chosen = options_of(options)
    return [
        SearchRequest(dataset_id, vector=vector, text=asked.query_text, options=chosen)
        for dataset_id in dict.fromkeys(dataset_ids)
    ]


def _told(
    answer: SearchAnswer, shapes: Mapping[str, Shape], started: float, *, embedding_ms: float = 0.0
) -> Response:
    query_ms = (time.perf_counter() - started) * 1000
    return json_response(search_answer(answer, shapes, query_ms=query_ms, embedding_ms=embedding_ms))
