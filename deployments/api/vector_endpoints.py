"""The rows of the route table for vector datasets. Called by ``api.asgi``, which lists all."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from data.datasets.checks import MAX_TOP_K
from data.datasets.records import MAX_BATCH, MAX_DIMENSIONS
from deployments.api.knowledge_endpoints import IDEMPOTENCY_KEY
from deployments.api.knowledge_requests import TAGS_PATTERN
from deployments.api.openapi import Endpoint
from deployments.api.routes.datasets import DatasetRoutes
from deployments.api.routes.vector_documents import VectorDocumentRoutes
from deployments.api.routes.vector_index import VectorIndexRoutes
from deployments.api.routes.vector_search import VectorSearchRoutes
from deployments.api.routes.vectors import VectorRoutes
from deployments.api.rules import OPERATE, READ, SEARCH, SEARCH_MANY, WRITE, WRITE_MANY
from deployments.api.vector_desk import VectorDesk
from deployments.api.vector_requests import DEFAULT_PAGE, MAX_OFFSET, MAX_PAGE
from deployments.api.vector_schemas import (
    MAX_DATASETS,
    MAX_TEXT_CHARS,
    DatasetChangeRequest,
    DatasetRequest,
    HybridSearchRequest,
    IndexRequest,
    MultiSearchRequest,
    TextDocumentRequest,
    TextSearchRequest,
    VectorBatchRequest,
    VectorChangeRequest,
    VectorDeleteRequest,
    VectorRequest,
    VectorSearchRequest,
)
from deployments.api.vector_wire import (
    DatasetAnswer,
    DatasetStatsAnswer,
    DoneAnswer,
    IndexAnswer,
    InsertAnswer,
    TextDocumentAnswer,
    VectorAnswer,
    VectorSearchAnswer,
    VectorsRemovedAnswer,
)
from deployments.services import Services

#: The paths whose bodies may be as large as ``ApiLimits.vector_body_bytes``.
LARGE_BODIES = re.compile(r"(/api/v1)?/datasets/[^/]+/(vectors|documents)(/|$)")


def _parameter(name: str, description: str, place: str = "query", **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "description": description, "schema": schema}


def _count(name: str, description: str, *, least: int, most: int, default: int) -> dict[str, Any]:
    return _parameter(name, description, type="integer", minimum=least, maximum=most, default=default)


_IF_MATCH = _parameter(
    "If-Match", "Done only if the thing has this ETag.", "header", type="string", pattern=TAGS_PATTERN
)
_IF_NONE_MATCH = _parameter("If-None-Match", "304 if the thing has this ETag.", "header", type="string")
_PAGES = (
    _count("page", "Which page.", least=1, most=MAX_OFFSET, default=1),
    _count("page_size", "Datasets on a page.", least=1, most=MAX_PAGE, default=DEFAULT_PAGE),
)
_VECTOR_PAGES = (
    _count("limit", "Vectors in the answer.", least=1, most=MAX_PAGE, default=DEFAULT_PAGE),
    _count("offset", "Vectors to pass over.", least=0, most=MAX_OFFSET, default=0),
    _parameter("filters", "A JSON object, or SQL-like text.", type="string"),
    _parameter("include_values", "With their numbers.", type="string", enum=["true", "false"]),
)
_BAD_BODY = (400, 413, 415, 422)
_VECTOR = {
    "id": "quokka-1",
    "document_id": "quokka",
    "values": [0.1, 0.7, 0.2],
    "content": "The quokka weighs 2.5 to 5 kilograms.",
    "metadata": {"genus": "Setonix", "year": 2024},
}
_OPTIONS = {"top_k": 5, "filters": {"year": {"$gte": 2020}}}


def vector_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for datasets; those of fixed paths before ``{vector_id}``."""
    desk = VectorDesk(services)
    rows = [
        *_search_endpoints(desk),
        *_dataset_endpoints(desk),
        *_vector_list_endpoints(VectorRoutes(desk), services.limits.vector_body_bytes),
        *_vector_endpoints(desk, services.limits.vector_body_bytes),
        *_index_endpoints(desk),
    ]
    return [
        replace(row, handler=desk.by_id(row.handler)) if "{dataset_id}" in row.path else row for row in rows
    ]


def _search_endpoints(desk: VectorDesk) -> list[Endpoint]:
    search = VectorSearchRoutes(desk)
    limits = {"dimensions": MAX_DIMENSIONS, "results": MAX_TOP_K}
    problems = (*_BAD_BODY, 404, 503)
    words = {"query_text": "how much does a quokka weigh"}
    return [
        Endpoint(
            "POST", "/datasets/{dataset_id}/search", search.by_vector, "Search by a vector",
            VectorSearchRequest, VectorSearchAnswer, problems=problems, limits=limits, access=SEARCH,
            example={"query_vector": [0.1, 0.7, 0.2], "options": _OPTIONS},
        ),
        Endpoint(
            "POST", "/datasets/{dataset_id}/search/text", search.by_text, "Search by words",
            TextSearchRequest, VectorSearchAnswer, problems=problems, limits=limits, access=SEARCH,
            example={**words, "options": {"top_k": 5}},
        ),
        Endpoint(
            "POST", "/datasets/{dataset_id}/search/hybrid", search.hybrid, "Search by a vector and by words",
            HybridSearchRequest, VectorSearchAnswer, problems=problems, limits=limits, access=SEARCH,
            example={**words, "query_vector": [0.1, 0.7, 0.2], "vector_weight": 0.5, "text_weight": 0.5},
        ),
        Endpoint(
            "POST", "/search/multi-dataset", search.multi, "Search several datasets", MultiSearchRequest,
            VectorSearchAnswer, problems=problems, limits={**limits, "datasets": MAX_DATASETS},
            example={"dataset_ids": ["zoo", "museum"], "query_vector": [0.1, 0.7, 0.2]}, access=SEARCH_MANY,
        ),
    ]  # fmt: skip


def _dataset_endpoints(desk: VectorDesk) -> list[Endpoint]:
    datasets, one = DatasetRoutes(desk), "/datasets/{dataset_id}"
    limits = {"dimensions": MAX_DIMENSIONS}
    return [
        Endpoint(
            "POST", "/datasets", datasets.create, "Make a dataset", DatasetRequest, DatasetAnswer,
            problems=(*_BAD_BODY, 409, 503), queries=(IDEMPOTENCY_KEY,), status=201, limits=limits,
            example={"name": "zoo", "dimensions": 3, "metric_type": "cosine"}, access=WRITE,
        ),
        Endpoint(
            "GET", "/datasets", datasets.listing, "List datasets", answer=list[DatasetAnswer],
            problems=(400, 503), queries=_PAGES, access=READ,
        ),
        Endpoint(
            "GET", one, datasets.show, "Show a dataset", answer=DatasetAnswer, problems=(404, 503),
            access=READ,
        ),
        Endpoint(
            "PUT", one, datasets.change, "Change a dataset", DatasetChangeRequest, DatasetAnswer,
            problems=(*_BAD_BODY, 404, 409, 412, 503), queries=(IDEMPOTENCY_KEY, _IF_MATCH),
            example={"description": "Animals and what they weigh."}, access=WRITE,
        ),
        Endpoint(
            "DELETE", one, datasets.delete, "Remove a dataset", answer=DoneAnswer,
            problems=(400, 404, 409, 412, 503), queries=(IDEMPOTENCY_KEY, _IF_MATCH), access=WRITE,
        ),
        Endpoint(
            "GET", one + "/stats", datasets.stats, "Figures of a dataset", answer=DatasetStatsAnswer,
            problems=(404, 503), access=READ,
        ),
    ]  # fmt: skip


def _vector_list_endpoints(vectors: VectorRoutes, body_bytes: int) -> list[Endpoint]:
    many, problems = "/datasets/{dataset_id}/vectors", (*_BAD_BODY, 404, 409, 503)
    limits = {"body_bytes": body_bytes, "vectors": MAX_BATCH, "dimensions": MAX_DIMENSIONS}
    return [
        Endpoint(
            "POST", many, vectors.add, "Write vectors", VectorBatchRequest | VectorRequest, InsertAnswer,
            problems=problems, queries=(IDEMPOTENCY_KEY,), example={"vectors": [_VECTOR]}, status=201,
            limits=limits, access=WRITE_MANY,
        ),
        Endpoint(
            "POST", many + "/batch", vectors.add_batch, "Write a batch of vectors", VectorBatchRequest,
            InsertAnswer, problems=problems, queries=(IDEMPOTENCY_KEY,), status=201, limits=limits,
            example={"vectors": [_VECTOR], "overwrite": True}, access=WRITE_MANY,
        ),
        Endpoint(
            "DELETE", many + "/batch", vectors.delete_batch, "Remove a batch of vectors",
            VectorDeleteRequest, VectorsRemovedAnswer, problems=problems, queries=(IDEMPOTENCY_KEY,),
            example={"ids": ["quokka-1"]}, limits=limits, access=WRITE_MANY,
        ),
        Endpoint(
            "GET", many, vectors.listing, "List vectors", answer=list[VectorAnswer],
            problems=(400, 404, 503), queries=_VECTOR_PAGES, access=READ,
        ),
    ]  # fmt: skip


def _vector_endpoints(desk: VectorDesk, body_bytes: int) -> list[Endpoint]:
    vectors, one = VectorRoutes(desk), "/datasets/{dataset_id}/vectors/{vector_id:path}"
    problems = (*_BAD_BODY, 404, 409, 503)
    limits = {"body_bytes": body_bytes, "dimensions": MAX_DIMENSIONS}
    return [
        Endpoint(
            "GET", one, vectors.show, "Show a vector", answer=VectorAnswer, problems=(400, 404, 503),
            queries=(_IF_NONE_MATCH,), access=READ,
        ),
        Endpoint(
            "PUT", one, vectors.change, "Change a vector", VectorChangeRequest, VectorAnswer,
            problems=(*problems, 412), queries=(IDEMPOTENCY_KEY, _IF_MATCH), limits=limits,
            example={"metadata": {"genus": "Setonix", "year": 2025}}, access=WRITE,
        ),
        Endpoint(
            "DELETE", one, vectors.delete, "Remove a vector", answer=DoneAnswer,
            problems=(400, 404, 409, 412, 503), queries=(IDEMPOTENCY_KEY, _IF_MATCH), access=WRITE,
        ),
        Endpoint(
            "POST", "/datasets/{dataset_id}/documents", VectorDocumentRoutes(desk).add,
            "Write a text as chunks", TextDocumentRequest, TextDocumentAnswer, problems=problems,
            queries=(IDEMPOTENCY_KEY,), status=201, access=WRITE_MANY,
            limits={"body_bytes": body_bytes, "document_chars": MAX_TEXT_CHARS, "vectors": MAX_BATCH},
            example={"text": "The quokka weighs 2.5 to 5 kilograms.", "chunk_size": 60, "chunk_overlap": 10},
        ),
    ]  # fmt: skip


def _index_endpoints(desk: VectorDesk) -> list[Endpoint]:
    index, path = VectorIndexRoutes(desk), "/datasets/{dataset_id}/index"
    problems = (400, 404, 409, 503)
    return [
        Endpoint(
            "POST", path, index.build, "Build the index", IndexRequest, IndexAnswer,
            problems=(*_BAD_BODY, *problems), queries=(IDEMPOTENCY_KEY,),
            example={"index_type": "hnsw", "hnsw_m": 16}, access=OPERATE,
        ),
        Endpoint(
            "GET", path, index.show, "How the index stands", answer=IndexAnswer, problems=(404, 503),
            access=READ,
        ),
        Endpoint(
            "POST", path + "/optimize", index.optimise, "Build the index again", answer=IndexAnswer,
            problems=problems, queries=(IDEMPOTENCY_KEY,), access=OPERATE,
        ),
        Endpoint(
            "DELETE", path, index.drop, "Go back to a flat index", answer=IndexAnswer, problems=problems,
            queries=(IDEMPOTENCY_KEY,), access=OPERATE,
        ),
    ]  # fmt: skip
