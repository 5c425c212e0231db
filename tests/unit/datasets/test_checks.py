"""What cannot be kept or searched is refused in one clear sentence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from data.datasets.checks import check_dataset, check_index_settings, check_search, check_vector
from data.datasets.ports import NewVector, SearchOptions, SearchRequest
from data.datasets.records import DatasetRecord, IndexSettings, Metric, VectorRecord
from data.errors import InvalidValueError

DATASET = DatasetRecord("d1", "papers", 3)
RECORD = VectorRecord("v1", "doc")


def _deep(levels: int) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for _ in range(levels - 1):
        nested = {"a": nested}
    return nested


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"name": ""}, "name must be a text of 1 to 255"),
        ({"name": " "}, "name must be"),
        ({"name": "x" * 256}, "name must be"),
        ({"name": "\ud800"}, "half a surrogate pair at character 0"),
        ({"id": ""}, "id must be"),
        ({"dimensions": 0}, "dimensions must be a whole number from 1 to 10,000, not 0"),
        ({"dimensions": 10_001}, "not 10001"),
        ({"dimensions": True}, "dimensions must be"),
        ({"dimensions": 3.0}, "dimensions must be"),
        ({"dimensions": 10**5_000}, "dimensions must be"),
        (
            {"metric": "hamming"},
            "metric must be one of cosine, euclidean, manhattan, dot_product, not 'hamming'",
        ),
        ({"description": "x" * 5_000}, "description must have at most 4,096"),
        ({"description": "\udfff"}, "The description has half"),
        ({"metadata": {"x": float("inf")}}, "The dataset's metadata has a number that is not finite"),
        ({"index": IndexSettings(hnsw_m=1)}, "hnsw_m must be a whole number from 2"),
    ],
)
def test_dataset_that_cannot_be_is_refused(change: dict[str, Any], said: str) -> None:
    """Name, dimensions, metric, description, metadata and index settings have bounds."""
    with pytest.raises(InvalidValueError, match=said):
        check_dataset(replace(DATASET, **change))


def test_dataset_at_the_bounds_is_taken() -> None:
    """The largest that is allowed."""
    check_dataset(replace(DATASET, name="x" * 255, dimensions=10_000, metadata={"a": [1, None, "x"]}))
    check_dataset(replace(DATASET, dimensions=1))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"index_type": "lsh"}, "index_type must be one of default, flat, hnsw, ivf"),
        ({"quantisation": "pq"}, "quantisation must be one of none, sq8, rabitq"),
        ({"hnsw_ef_construction": 3}, "hnsw_ef_construction"),
        ({"hnsw_ef_construction": None}, "hnsw_ef_construction"),
        ({"hnsw_ef_search": 0}, "hnsw_ef_search"),
        ({"ivf_nlist": -1}, "ivf_nlist"),
        ({"ivf_nlist": 10, "ivf_nprobe": 11}, "ivf_nprobe must be at most ivf_nlist"),
        ({"index_type": "hnsw", "quantisation": "rabitq"}, "needs the index type ivf"),
    ],
)
def test_index_settings_that_no_index_can_have_are_refused(settings: dict[str, Any], said: str) -> None:
    """Unknown kinds and numbers out of bounds."""
    with pytest.raises(InvalidValueError, match=said):
        check_index_settings(IndexSettings(**settings))


@pytest.mark.parametrize(
    "settings", [{}, {"index_type": "ivf", "quantisation": "rabitq", "ivf_nlist": 10, "ivf_nprobe": 10}]
)
def test_index_settings_within_bounds_are_taken(settings: dict[str, Any]) -> None:
    """Defaults, and the edge."""
    check_index_settings(IndexSettings(**settings))


@pytest.mark.parametrize(
    ("values", "metric", "said"),
    [
        ([1.0, 2.0], "cosine", "it has dimension 2, not 3"),
        ([], "cosine", "it has dimension 0, not 3"),
        ([1.0, float("nan"), 2.0], "cosine", "value number 1 is not a finite number"),
        ([1.0, 2.0, float("-inf")], "cosine", "value number 2 is not"),
        ([1.0, 1e39, 2.0], "euclidean", "its length is beyond 1e\\+18"),
        ([1, 10**400, 2], "euclidean", "not a finite number"),
        ([0.0, 0, 0.0], "cosine", "it is zero"),
        ([1e-30, 0, 0], "cosine", "as good as zero"),
        ([1.0, "2", 3.0], "cosine", "must all be numbers"),
        ([1.0, True, 3.0], "cosine", "must all be numbers"),
        ([1.0, None, 3.0], "cosine", "must all be numbers"),
        ([1.0, [2.0], 3.0], "cosine", "must all be numbers"),
        (np.zeros((3, 3), dtype=np.float32), "euclidean", "must all be numbers"),
        (np.array([1, np.nan, 1], dtype=np.float32), "euclidean", "value number 1"),
        (None, "cosine", "neither values nor content"),
    ],
)
def test_vector_with_bad_values_is_told(values: Any, metric: Metric, said: str) -> None:
    """Length, NaN, infinity, what float32 cannot hold, zero under cosine."""
    fault = check_vector(NewVector(RECORD, values), 3, metric)
    assert fault is not None
    assert fault.startswith("The vector 'v1' cannot be written: ")
    assert said.replace("\\", "") in fault


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ""}, "its id must be a text that is not empty"),
        ({"id": "x" * 513}, "its id has 513 characters, at most 512"),
        ({"id": "x" * 10_240}, "its id has 10,240 characters"),
        ({"id": "a\ud800"}, "its id has half a surrogate pair at character 1"),
        ({"document_id": ""}, "its document_id must be"),
        ({"document_id": None}, "its document_id must be"),
        ({"document_id": "x" * 513}, "its document_id has 513"),
        ({"chunk_id": "x" * 513}, "its chunk_id has 513"),
        ({"language": 5}, "its language must be"),
        ({"chunk_index": -1}, "its chunk_index must be a whole number"),
        ({"chunk_count": 2**31}, "its chunk_count"),
        ({"chunk_index": True}, "its chunk_index"),
        ({"content": "x" * 200_001}, "its content has 200,001 characters"),
        ({"content": "ab\udc00"}, "its content has half a surrogate pair at character 2"),
        ({"metadata": {"a": "\udc00"}}, "its metadata has a text that has half"),
        ({"metadata": {"\udc00": 1}}, "its metadata has a key that has half"),
        ({"metadata": {"": 1}}, "its metadata has a key that is empty"),
        ({"metadata": {"k" * 257: 1}}, "longer than 256"),
        ({"metadata": {5: 1}}, "a key that is no text"),
        ({"metadata": {"a": {1, 2}}}, "JSON does not know (set)"),
        ({"metadata": {"a": b"x"}}, "JSON does not know (bytes)"),
        ({"metadata": {"a": float("nan")}}, "not finite"),
        ({"metadata": {"a": 2**63}}, "an integer beyond 64 bits"),
        ({"metadata": {"a": "x" * 70_000}}, "longer than 65,536 characters"),
        ({"metadata": {"a": [0] * 10_001}}, "more than 10,000 values"),
        ({"metadata": {str(n): n for n in range(257)}}, "more than 256 keys"),
        ({"metadata": _deep(17)}, "more than 16 levels"),
        ({"metadata": _deep(100_000)}, "more than 16 levels"),
        ({"metadata": [1]}, "must be an object"),
        ({"metadata": None}, "must be an object"),
    ],
)
def test_vector_with_a_bad_record_is_told(change: dict[str, Any], said: str) -> None:
    """Ids, content, metadata: size, depth, kinds, Unicode."""
    fault = check_vector(NewVector(replace(RECORD, **change), [1.0, 0.0, 0.0]), 3, "cosine")
    assert fault is not None
    assert said in fault
    assert len(fault) < 300


@pytest.mark.parametrize(
    "new",
    [
        NewVector(RECORD, [1, 2.5, -3]),
        NewVector(RECORD, np.array([1, 2, 3], dtype=np.float32)),  # type: ignore[arg-type] # imports pass rows
        NewVector(replace(RECORD, content="words"), None),
        NewVector(replace(RECORD, id="x" * 512, document_id="é" * 512, metadata=_deep(16)), [1.0, 0.0, 0.0]),
        NewVector(
            replace(RECORD, metadata={"a": [1, {"b": None}], "c": -(2**63), "d": True}), [1.0, 0.0, 0.0]
        ),
        NewVector(replace(RECORD, content="x" * 200_000), [1e17, 0.0, 0.0]),
    ],
)
def test_vector_that_can_be_written_has_no_fault(new: NewVector) -> None:
    """Integers, arrays, content alone, and the bounds."""
    assert check_vector(new, 3, "cosine") is None


def test_zero_vector_is_refused_under_cosine_only() -> None:
    """Other metrics can compare it."""
    for metric in ("euclidean", "manhattan", "dot_product"):
        assert check_vector(NewVector(RECORD, [0.0, 0.0, 0.0]), 3, metric) is None


def _search(**options: Any) -> SearchRequest:
    return SearchRequest("d1", (1.0, 0.0, 0.0), options=SearchOptions(**options))


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SearchRequest("d1"), "neither a vector nor words"),
        (SearchRequest("d1", text="  "), "neither a vector nor words"),
        (
            SearchRequest("d1", (1.0, 2.0)),
            "query vector has dimension 2, but the dataset papers has dimension 3",
        ),
        (SearchRequest("d1", ()), "has dimension 0"),
        (SearchRequest("d1", (1.0, float("nan"), 0.0)), "value number 1 is not a finite number"),
        (SearchRequest("d1", (0.0, 0.0, 0.0)), "it is zero"),
        (SearchRequest("d1", text="x" * 10_001), "has 10,001 characters: send at most 10,000"),
        (_search(top_k=0), "top_k must be a whole number from 1 to 1,000, not 0"),
        (_search(top_k=1_001), "top_k"),
        (_search(top_k=True), "top_k"),
        (_search(metric="hamming"), "metric_type must be one of"),
        (_search(metric="euclidean"), "is searched by cosine, not euclidean"),
        (_search(min_score=float("nan")), "min_score must be a finite number"),
        (_search(max_distance=float("inf")), "max_distance must be a finite number"),
        (_search(ef_search=0), "ef_search"),
        (_search(nprobe=10**7), "nprobe"),
        (SearchRequest("d1", text="x", vector_weight=0.5, text_weight=0.6), "must sum to 1, not 1.1"),
        (
            SearchRequest("d1", text="x", vector_weight=-0.5, text_weight=1.5),
            "vector_weight must be from 0 to 1",
        ),
        (SearchRequest("d1", text="x", vector_weight=float("nan")), "vector_weight must be"),
        (SearchRequest("d1", text="x", fusion="mean"), "fusion_method must be one of"),  # type: ignore[arg-type]
    ],
)
def test_search_that_cannot_be_answered_is_refused(request_: SearchRequest, said: str) -> None:
    """Query, options, weights and thresholds."""
    with pytest.raises(InvalidValueError, match=said):
        check_search(request_, DATASET)


@pytest.mark.parametrize(
    "request_",
    [
        _search(top_k=1, metric="cosine", min_score=-1.0, max_distance=0.0, ef_search=10_000),
        _search(top_k=1_000),
        SearchRequest("d1", text="words", vector_weight=0.1, text_weight=0.9),
        SearchRequest("d1", (1.0, 2.0, 3.0), "words", 1 / 3, 2 / 3, "borda_count"),
    ],
)
def test_search_within_bounds_is_taken(request_: SearchRequest) -> None:
    """By a vector, by words, by both."""
    check_search(request_, DATASET)
