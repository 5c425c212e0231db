"""Calls for vector datasets: definitions, vectors, searches, indexes, files. Pure; sent by the clients.

Bodies are dictionaries in the words of the API (``docs/vectors.md``): every option there is can be given.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deployments.client.calls import API, Call, Repeat, ask, fields_of, get, part, query_of, write

if TYPE_CHECKING:
    from deployments.api.vector_transfer_wire import TransferAnswer
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


def create_dataset(
    name: str, dimensions: int, *, idempotency_key: str | None = None, **options: Any
) -> Call[DatasetAnswer]:
    """Make an empty dataset; ``options`` as ``metric_type``, ``index_type``, ``shards``, ``description``."""
    body = {"name": name, "dimensions": dimensions, **options}
    return write("POST", f"{API}/datasets", body, key=idempotency_key)


def datasets(*, page: int | None = None, page_size: int | None = None) -> Call[list[DatasetAnswer]]:
    """List datasets, oldest first."""
    return get(f"{API}/datasets", query_of(page=page, page_size=page_size))


def dataset(dataset_id: str) -> Call[DatasetAnswer]:
    """Show a dataset."""
    return get(_path(dataset_id))


def change_dataset(
    dataset_id: str, *, idempotency_key: str | None = None, **changes: Any
) -> Call[DatasetAnswer]:
    """Change name, description, metadata or index settings."""
    return write("PUT", _path(dataset_id), changes, key=idempotency_key)


def delete_dataset(dataset_id: str, *, idempotency_key: str | None = None) -> Call[DoneAnswer]:
    """Remove a dataset and all that is in it."""
    return write("DELETE", _path(dataset_id), key=idempotency_key)


def dataset_stats(dataset_id: str) -> Call[DatasetStatsAnswer]:
    """Tell figures of a dataset."""
    return get(_path(dataset_id, "stats"))


def add_vectors(
    dataset_id: str,
    vectors: Sequence[Mapping[str, Any]],
    *,
    idempotency_key: str | None = None,
    **options: Any,
) -> Call[InsertAnswer]:
    """Write vectors (1 to 1,000); ``options`` as ``skip_existing``, ``overwrite``."""
    body = {"vectors": [dict(one) for one in vectors], **options}
    return write("POST", _path(dataset_id, "vectors", "batch"), body, key=idempotency_key)


def add_text(
    dataset_id: str, text: str, *, idempotency_key: str | None = None, **options: Any
) -> Call[TextDocumentAnswer]:
    """Cut a text into chunks and write their vectors."""
    return write("POST", _path(dataset_id, "documents"), {"text": text, **options}, key=idempotency_key)


def vectors(
    dataset_id: str, *, limit: int | None = None, offset: int | None = None, filters: str | None = None
) -> Call[list[VectorAnswer]]:
    """List vectors."""
    return get(_path(dataset_id, "vectors"), query_of(limit=limit, offset=offset, filters=filters))


def vector(dataset_id: str, vector_id: str) -> Call[VectorAnswer]:
    """Show a vector."""
    return get(_path(dataset_id, "vectors", vector_id))


def change_vector(
    dataset_id: str, vector_id: str, *, idempotency_key: str | None = None, **changes: Any
) -> Call[VectorAnswer]:
    """Change a vector."""
    return write("PUT", _path(dataset_id, "vectors", vector_id), changes, key=idempotency_key)


def delete_vectors(
    dataset_id: str, ids: Sequence[str], *, idempotency_key: str | None = None
) -> Call[VectorsRemovedAnswer]:
    """Remove vectors by id."""
    path = _path(dataset_id, "vectors", "batch")
    return write("DELETE", path, {"ids": list(ids)}, key=idempotency_key)


def search(dataset_id: str, query_vector: Sequence[float], **options: Any) -> Call[VectorSearchAnswer]:
    """Search by a vector; ``options`` as ``top_k``, ``filters``."""
    body = {"query_vector": list(query_vector), **_options(options)}
    return ask(_path(dataset_id, "search"), body)


def search_text(
    dataset_id: str, query_text: str, *, mode: str | None = None, **options: Any
) -> Call[VectorSearchAnswer]:
    """Search by words; ``mode``: bm25, or semantic (by the vector that is made of them)."""
    body = {**fields_of(query_text=query_text, mode=mode), **_options(options)}
    return ask(_path(dataset_id, "search", "text"), body)


def search_hybrid(dataset_id: str, body: Mapping[str, Any]) -> Call[VectorSearchAnswer]:
    """Search by a vector and by words; ``body`` as ``POST …/search/hybrid`` takes it."""
    return ask(_path(dataset_id, "search", "hybrid"), dict(body))


def search_datasets(body: Mapping[str, Any]) -> Call[VectorSearchAnswer]:
    """Search several datasets; ``body`` as ``POST /search/multi-dataset`` takes it."""
    return ask(f"{API}/search/multi-dataset", dict(body))


def build_index(dataset_id: str, *, idempotency_key: str | None = None, **options: Any) -> Call[IndexAnswer]:
    """Build the index; ``options`` as ``index_type``, ``force_rebuild``."""
    return write("POST", _path(dataset_id, "index"), options, key=idempotency_key)


def index(dataset_id: str) -> Call[IndexAnswer]:
    """Tell how the index stands."""
    return get(_path(dataset_id, "index"))


def import_vectors(
    dataset_id: str, file: Path, *, idempotency_key: str | None = None, **form: str
) -> Call[TransferAnswer]:
    """Send a file of vectors (csv, json, jsonl, parquet); it is imported in the background."""
    call = write("POST", _path(dataset_id, "import"), key=idempotency_key)
    return replace(call, upload=file, form=form)


def import_status(job_id: str) -> Call[TransferAnswer]:
    """Tell how an import of vectors stands."""
    return get(f"{API}/import/{part(job_id)}")


def export_vectors(
    dataset_id: str, *, idempotency_key: str | None = None, **options: Any
) -> Call[TransferAnswer]:
    """Write vectors into a file, in the background; ``options`` as ``format``, ``filters``, ``limit``."""
    return write("POST", _path(dataset_id, "export"), options, key=idempotency_key)


def export_status(job_id: str) -> Call[TransferAnswer]:
    """Tell how an export stands."""
    return get(f"{API}/export/{part(job_id)}")


def export_file(job_id: str) -> Call[bytes]:
    """Return the file of an export that is done; ``download`` of the clients does not hold it in memory."""
    path = f"{API}/export/{part(job_id)}/download"
    return Call("GET", path, repeat=Repeat.SAFE, read=lambda response: response.content)


def _path(dataset_id: str, *more: str) -> str:
    return "/".join([f"{API}/datasets/{part(dataset_id)}", *(part(one) for one in more)])


def _options(options: Mapping[str, Any]) -> dict[str, Any]:
    return {"options": dict(options)} if options else {}
