"""The calls that clients were promised for vector datasets are all there, as documented."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.api.fakes import Rig

ONE = "/datasets/{dataset_id}"
VECTOR = ONE + "/vectors/{vector_id}"
#: (method, path, role, status of success, names of parameters that must be there)
CALLS: list[tuple[str, str, str, str, set[str]]] = [
    ("post", "/datasets", "editor", "201", {"Idempotency-Key"}),
    ("get", "/datasets", "reader", "200", {"page", "page_size"}),
    ("get", ONE, "reader", "200", set()),
    ("put", ONE, "editor", "200", {"Idempotency-Key", "If-Match"}),
    ("delete", ONE, "editor", "200", {"Idempotency-Key", "If-Match"}),
    ("get", ONE + "/stats", "reader", "200", set()),
    ("post", ONE + "/vectors", "editor", "201", {"Idempotency-Key"}),
    ("post", ONE + "/vectors/batch", "editor", "201", {"Idempotency-Key"}),
    ("delete", ONE + "/vectors/batch", "editor", "200", {"Idempotency-Key"}),
    ("get", ONE + "/vectors", "reader", "200", {"limit", "offset", "filters", "include_values"}),
    ("get", VECTOR, "reader", "200", {"If-None-Match"}),
    ("put", VECTOR, "editor", "200", {"Idempotency-Key", "If-Match"}),
    ("delete", VECTOR, "editor", "200", {"Idempotency-Key", "If-Match"}),
    ("post", ONE + "/documents", "editor", "201", {"Idempotency-Key"}),
    ("post", ONE + "/search", "reader", "200", set()),
    ("post", ONE + "/search/text", "reader", "200", set()),
    ("post", ONE + "/search/hybrid", "reader", "200", set()),
    ("post", "/search/multi-dataset", "reader", "200", set()),
    ("post", ONE + "/index", "operator", "200", {"Idempotency-Key"}),
    ("get", ONE + "/index", "reader", "200", set()),
    ("post", ONE + "/index/optimize", "operator", "200", {"Idempotency-Key"}),
    ("delete", ONE + "/index", "operator", "200", {"Idempotency-Key"}),
]
FIELDS = {
    "DatasetRequest": {
        "name", "dimensions", "metric_type", "index_type", "description", "metadata", "overwrite",
    },
    "DatasetAnswer": {
        "id", "name", "dimensions", "metric_type", "index_type", "metadata", "storage_location",
        "vector_count", "storage_size", "created_at", "updated_at", "tenant_id",
    },
    "DatasetStatsAnswer": {"dataset", "vector_count", "storage_size", "metadata_stats", "index_stats"},
    "VectorBatchRequest": {"vectors", "skip_existing", "overwrite", "batch_size"},
    "VectorRequest": {
        "id", "document_id", "values", "chunk_id", "content", "content_hash", "metadata", "content_type",
        "language", "chunk_index", "chunk_count", "model",
    },
    "InsertAnswer": {
        "success", "inserted_count", "skipped_count", "failed_count", "error_messages", "processing_time_ms",
    },
    "SearchOptionsFields": {
        "top_k", "threshold", "metric_type", "include_content", "include_metadata", "filters", "deduplicate",
        "group_by_document", "rerank", "ef_search", "nprobe", "max_distance", "min_score",
    },
    "HybridSearchRequest": {
        "query_vector", "query_text", "vector_weight", "text_weight", "fusion_method", "options",
    },
    "IndexRequest": {
        "index_type", "hnsw_m", "hnsw_ef_construction", "hnsw_ef_search", "ivf_nlist", "ivf_nprobe",
        "force_rebuild",
    },
    "VectorSearchAnswer": {
        "results", "total_found", "has_more", "query_time_ms", "embedding_time_ms", "stats",
    },
    "HitAnswer": {"vector", "score", "distance", "rank", "explanation"},
}  # fmt: skip


@pytest.fixture(scope="module")
def served() -> Rig:
    return Rig()


@pytest.fixture(scope="module")
def document(served: Rig) -> dict[str, Any]:
    told: dict[str, Any] = served.call("GET", "/openapi.json").json()
    return told


@pytest.mark.parametrize("call", CALLS, ids=lambda call: f"{call[0]} {call[1]}")
def test_call_is_served_and_documented(
    served: Rig, document: dict[str, Any], call: tuple[str, str, str, str, set[str]]
) -> None:
    """With its role, answers and parameters; under both prefixes, with and without a slash at the end."""
    method, path, role, status, parameters = call
    told = document["paths"][path][method]
    plain = path.replace("{", "").replace("}", "")
    spelt = [prefix + plain + end for prefix in ("", "/api/v1") for end in ("", "/")]
    codes = {served.call(method.upper(), one).json().get("code") for one in spelt}

    assert parameters <= {one["name"] for one in told["parameters"]}
    assert (told["x-role"], status in told["responses"]) == (role, True)
    assert "404" in told["responses"] or "{" not in path
    assert not codes & {"unknown-route", "method-not-allowed"}


@pytest.mark.parametrize(("schema", "fields"), sorted(FIELDS.items()))
def test_schema_has_every_field_promised(document: dict[str, Any], schema: str, fields: set[str]) -> None:
    """By the names that clients send and read."""
    assert fields <= document["components"]["schemas"][schema]["properties"].keys()


def test_limits_of_vectors_are_stated(document: dict[str, Any]) -> None:
    """Their own size of a body, and how many."""
    told = document["paths"][ONE + "/vectors/batch"]["post"]

    assert told["x-limits"]["body_bytes"] == 64 * 2**20
    assert told["x-limits"]["vectors"] == 1_000
    assert "1 to 1000 vectors" in told["description"]
