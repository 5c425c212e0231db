"""What the vector API answers, from values of ``data.datasets``. Pure, called by the vector routes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from data.claims import TenantId
from data.datasets.ports import (
    DatasetInfo,
    DatasetStats,
    IndexInfo,
    SearchAnswer,
    SearchHit,
    SearchStats,
    StoredVector,
)
from data.datasets.records import DatasetRecord


class Shape(NamedTuple):
    """What of a dataset never changes, as far as vectors are shown with it."""

    dimensions: int
    metric: str
    owner: TenantId


def dataset_answer(info: DatasetInfo) -> dict[str, Any]:
    """Return a dataset as it is shown."""
    return {
        **definition_of(info.record),
        "storage_location": info.storage_location,
        "vector_count": info.vector_count,
        "storage_size": info.storage_bytes,
        "created_at": info.record.created_at,
        "updated_at": info.record.updated_at,
        "tenant_id": info.tenant,
    }


def definition_of(record: DatasetRecord) -> dict[str, Any]:
    """Return what a dataset was defined as, without what is in it."""
    return {
        "id": record.id,
        "name": record.name,
        "description": record.description,
        "dimensions": record.dimensions,
        "metric_type": record.metric,
        "shards": record.shards,
        "index_type": record.index.index_type,
        "metadata": record.metadata,
    }


def index_answer(dataset_id: str, info: IndexInfo) -> dict[str, Any]:
    """Return an index as it is shown."""
    settings = info.settings
    return {
        "dataset_id": dataset_id,
        "index_type": settings.index_type,
        "kind": info.kind,
        "status": info.state,
        "version": info.version,
        "indexed": info.indexed,
        "delta": info.delta,
        "removed": info.removed,
        "memory_bytes": info.memory_bytes,
        "file_bytes": info.file_bytes,
        "built_at": info.built_at,
        "parameters": {
            "hnsw_m": settings.hnsw_m,
            "hnsw_ef_construction": settings.hnsw_ef_construction,
            "hnsw_ef_search": settings.hnsw_ef_search,
            "ivf_nlist": settings.ivf_nlist,
            "ivf_nprobe": settings.ivf_nprobe,
            "quantisation": settings.quantisation,
        },
    }


def stats_answer(stats: DatasetStats) -> dict[str, Any]:
    """Return the figures of a dataset as they are shown."""
    return {
        "dataset": dataset_answer(stats.info),
        "vector_count": stats.info.vector_count,
        "document_count": stats.documents,
        "storage_size": stats.info.storage_bytes,
        "metadata_stats": {path: int(told.get("count", 0)) for path, told in stats.fields.items()},
        "fields": stats.fields,
        "index_stats": index_answer(stats.info.record.id, stats.index),
    }


def vector_answer(stored: StoredVector, dataset_id: str, shape: Shape) -> dict[str, Any]:
    """Return a vector as it is shown; without values where it came without."""
    record = stored.record
    return {
        "id": record.id,
        "dataset_id": dataset_id,
        "document_id": record.document_id,
        "chunk_id": record.chunk_id,
        "values": stored.values or (),
        "content": record.content,
        "content_hash": record.content_hash,
        "metadata": record.metadata,
        "content_type": record.content_type,
        "language": record.language,
        "chunk_index": record.chunk_index,
        "chunk_count": record.chunk_count,
        "model": record.model,
        "dimensions": shape.dimensions,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
        "tenant_id": shape.owner,
    }


def search_answer(
    answer: SearchAnswer,
    shapes: Mapping[str, Shape],
    *,
    query_ms: float,
    embedding_ms: float,
) -> dict[str, Any]:
    """Return what was found as it is shown; ``shapes`` by dataset id."""
    return {
        "results": [_hit_answer(hit, shapes[hit.dataset_id]) for hit in answer.hits],
        "total_found": answer.total_found,
        "has_more": answer.has_more,
        "query_time_ms": round(query_ms, 3),
        "embedding_time_ms": round(embedding_ms, 3),
        "stats": _stats_answer(answer.stats),
    }


def _hit_answer(hit: SearchHit, shape: Shape) -> dict[str, Any]:
    return {
        "vector": vector_answer(hit.vector, hit.dataset_id, shape),
        "score": hit.score,
        "distance": hit.distance,
        "rank": hit.rank,
        "explanation": {name: f"{part:.6g}" for name, part in hit.parts.items()},
    }


def _stats_answer(stats: SearchStats) -> dict[str, Any]:
    return {
        "vectors_scanned": stats.vectors_scanned,
        "index_hits": stats.index_hits,
        "filtered_results": stats.filtered_results,
        "plan": stats.plan,
        "exact": stats.exact,
        "cached": stats.cached,
        "reranking_time_ms": round(stats.reranking_ms, 3),
        "database_time_ms": round(stats.database_ms, 3),
        "post_processing_time_ms": round(stats.post_processing_ms, 3),
    }
