"""The shapes of the vector API's answers: what OpenAPI shows. Built in ``api.vector_answers``."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict

MetricName = Literal["cosine", "euclidean", "manhattan", "dot_product"]
IndexName = Literal["default", "flat", "hnsw", "ivf"]


class DatasetAnswer(TypedDict):
    """A dataset; ``storage_size`` in bytes, ``storage_location`` relative to the installation's home."""

    id: str
    name: str
    description: str
    dimensions: int
    metric_type: MetricName
    shards: int
    index_type: IndexName
    metadata: dict[str, Any]
    storage_location: str
    vector_count: int
    storage_size: int
    created_at: str
    updated_at: str
    tenant_id: str


class IndexParametersAnswer(TypedDict):
    """How an index is built and searched; null: chosen by size and the recall asked for."""

    hnsw_m: int
    hnsw_ef_construction: int
    hnsw_ef_search: int | None
    ivf_nlist: int | None
    ivf_nprobe: int | None
    quantisation: Literal["none", "sq8", "rabitq"]


class IndexAnswer(TypedDict):
    """An index: ``kind`` was chosen; ``delta`` vectors stand beside it, ``removed`` ones are gone."""

    dataset_id: str
    index_type: IndexName
    kind: str
    status: Literal["ready", "building", "empty"]
    version: int
    indexed: int
    delta: int
    removed: int
    memory_bytes: int
    file_bytes: int
    built_at: str | None
    parameters: IndexParametersAnswer


class DatasetStatsAnswer(TypedDict):
    """Figures of a dataset; ``metadata_stats`` counts the vectors that have a field, by its path."""

    dataset: DatasetAnswer
    vector_count: int
    document_count: int
    storage_size: int
    metadata_stats: dict[str, int]
    fields: dict[str, dict[str, Any]]
    index_stats: IndexAnswer


class DoneAnswer(TypedDict):
    """What was done."""

    success: bool
    message: str


class VectorsRemovedAnswer(TypedDict):
    """How many of the vectors named were there and are removed."""

    success: bool
    message: str
    deleted_count: int


class InsertAnswer(TypedDict):
    """What became of the vectors of a write; a message names the vector by its place in the request."""

    success: bool
    inserted_count: int
    skipped_count: int
    failed_count: int
    error_messages: list[str]
    processing_time_ms: float


class ChunkAnswer(TypedDict):
    """A chunk of a document: ``text[start:end]``, counted in code points."""

    id: str
    chunk_index: int
    start: int
    end: int


class TextDocumentAnswer(InsertAnswer):
    """What became of a document: its chunks, in order, and those of an earlier version that were removed."""

    document_id: str
    chunk_count: int
    chunks: list[ChunkAnswer]
    removed_count: int


class VectorAnswer(TypedDict):
    """A vector; ``values`` is empty where they were not asked for."""

    id: str
    dataset_id: str
    document_id: str
    chunk_id: str | None
    values: list[float]
    content: str | None
    content_hash: str | None
    metadata: dict[str, Any]
    content_type: str | None
    language: str | None
    chunk_index: int | None
    chunk_count: int | None
    model: str | None
    dimensions: int
    created_at: str
    updated_at: str
    tenant_id: str


class HitAnswer(TypedDict):
    """One vector found: ``distance`` is null where words found it; ``explanation``: the score's parts."""

    vector: VectorAnswer
    score: float
    distance: float | None
    rank: int
    explanation: dict[str, str]


class VectorSearchStatsAnswer(TypedDict):
    """What a search did; ``exact``: nothing nearer can have been missed."""

    vectors_scanned: int
    index_hits: int
    filtered_results: int
    plan: str
    exact: bool
    cached: bool
    reranking_time_ms: float
    database_time_ms: float
    post_processing_time_ms: float


class VectorSearchAnswer(TypedDict):
    """What was found, nearest first."""

    results: list[HitAnswer]
    total_found: int
    has_more: bool
    query_time_ms: float
    embedding_time_ms: float
    stats: VectorSearchStatsAnswer
