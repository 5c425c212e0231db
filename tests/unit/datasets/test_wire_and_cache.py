"""Calls as bytes, answers that are kept, records that are remembered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from data.datasets.ports import (
    NewVector,
    SearchAnswer,
    SearchHit,
    SearchOptions,
    SearchRequest,
    SearchStats,
    StoredVector,
)
from data.datasets.query_cache import QueryCache, key_of
from data.datasets.record_memory import RecordMemory
from data.datasets.records import VectorRecord
from data.datasets.wire import (
    decode_answers,
    decode_insert,
    decode_requests,
    encode_answers,
    encode_insert,
    encode_requests,
)
from data.errors import CapacityError, KiteError, NotFoundError
from data.filters.tree import FilterError

STATS = SearchStats(3, 2, 1, "hnsw+words", exact=False, database_ms=1.5)


def answer(*ids: str) -> SearchAnswer:
    hits = tuple(
        SearchHit(
            "d",
            StoredVector(VectorRecord(one, "doc", metadata={"a": [1, None]}), (0.5, 1.0)),
            0.5,
            None,
            1,
            {"text": 0.5},
        )
        for one in ids
    )
    return SearchAnswer(hits, len(hits), True, STATS)


def test_search_request_comes_back_with_its_numbers_as_32_bit_floats() -> None:
    """Everything else as it was: filters, options, text."""
    options = SearchOptions(
        3, {"$or": [{"a": 1}, {"b.c": {"$in": ["x", 2.5, None]}}]}, exact=True, min_score=0.1
    )
    asked = [
        SearchRequest("d1", [0.1, -3e38, 7.0], "wörter", 0.25, 0.75, "comb_mnz", options),
        SearchRequest("d2", text="t"),
    ]
    first, second = decode_requests(encode_requests(asked))

    assert np.asarray(first.vector).tolist() == np.array([0.1, -3e38, 7.0], np.float32).tolist()
    assert (first.text, first.fusion, first.options) == ("wörter", "comb_mnz", options)
    assert (second.vector, second.text, second.options) == (None, "t", SearchOptions())


def test_answers_and_refusals_come_back_in_order() -> None:
    """An error is the same class with the same words, and with what it carries."""
    told: list[SearchAnswer | KiteError] = [
        answer("x", "y"),
        FilterError("The filter ends too early.", 17),
        NotFoundError("There is no dataset 'q'."),
        CapacityError("Too many.", 2.5),
    ]
    found = decode_answers(encode_answers(told))

    assert found[0] == told[0]
    assert [type(one) for one in found[1:]] == [type(one) for one in told[1:]]
    assert [str(one) for one in found[1:]] == [str(one) for one in told[1:]]
    assert isinstance(found[1], FilterError)
    assert found[1].position == 17
    assert isinstance(found[3], CapacityError)
    assert found[3].retry_after_s == 2.5


def test_vectors_to_be_written_come_back_for_the_check_to_judge() -> None:
    """Numbers, none, too large ones, and what is no number: each still is what it was to the check."""
    record = VectorRecord("v", "d", metadata={"deep": {"x": [1, "y"]}})
    values: tuple[Any, ...] = (
        [1.0, 2.5],
        None,
        [1e39, 0.0],
        ["a", 1.0],
        np.array([0.25, 0.5], np.float32),
        [True, False],
        [],
    )
    sent = [NewVector(record, one) for one in values]
    vectors, on_duplicate, request = decode_insert(encode_insert(sent, "skip", "r1"))

    assert (on_duplicate, request) == ("skip", "r1")
    assert {vector.record.metadata["deep"]["x"][1] for vector in vectors} == {"y"}
    assert np.asarray(vectors[0].values).tolist() == [1.0, 2.5]
    assert vectors[1].values is None
    assert np.isinf(np.asarray(vectors[2].values)).any()
    assert [str(one) for one in vectors[3].values or ()] == ["a", "1.0"]
    assert np.asarray(vectors[4].values).tolist() == [0.25, 0.5]
    assert [str(one) for one in vectors[5].values or ()] == ["True", "False"]
    assert len(np.asarray(vectors[6].values)) == 0


def test_kept_answer_is_told_once_more_until_the_dataset_changes() -> None:
    """Same request, same version: the same hits, marked; another version: nothing."""
    cache = QueryCache()
    asked = SearchRequest("d", [1.0, 2.0], options=SearchOptions(filters={"a": 1}))
    key, later = key_of(asked, (5, 1)), key_of(asked, (6, 1))
    assert key is not None
    assert later is not None
    cache.put(key, answer("x"))
    again = cache.get(key_of(SearchRequest("d", np.array([1.0, 2.0]), options=asked.options), (5, 1)) or key)  # type: ignore[arg-type]

    assert again is not None
    assert (again.hits, again.stats.cached, again.stats.database_ms) == (answer("x").hits, True, 0.0)
    assert cache.get(later) is None


@pytest.mark.parametrize(
    "other",
    [
        SearchRequest("e", [1.0, 2.0]),
        SearchRequest("d", [1.0, 2.5]),
        SearchRequest("d", [1.0, 2.0], "text"),
        SearchRequest("d", [1.0, 2.0], vector_weight=0.4),
        SearchRequest("d", [1.0, 2.0], fusion="comb_sum"),
        SearchRequest("d", [1.0, 2.0], options=SearchOptions(top_k=11)),
        SearchRequest("d", [1.0, 2.0], options=SearchOptions(filters="a = 1")),
    ],
)
def test_other_request_has_another_key(other: SearchRequest) -> None:
    """Whatever an answer depends on is in its key."""
    assert key_of(other, (1, 1)) != key_of(SearchRequest("d", [1.0, 2.0]), (1, 1))


def test_answer_asked_for_longest_ago_goes_first() -> None:
    """At most so many are kept."""
    cache = QueryCache(2)
    keys = [key_of(SearchRequest("d", [float(n)]), (1, 1)) for n in range(3)]
    for key in keys[:2]:
        cache.put(key, answer("x"))  # type: ignore[arg-type]
    cache.get(keys[0])  # type: ignore[arg-type]
    cache.put(keys[2], answer("x"))  # type: ignore[arg-type]

    assert [cache.get(key) is not None for key in keys] == [True, False, True]  # type: ignore[arg-type]


def test_remembered_record_is_fetched_once() -> None:
    """Those that are gone are left out; large ones are fetched every time; a full memory begins anew."""
    asked: list[list[int]] = []

    def fetch(rows: Sequence[int]) -> Mapping[int, VectorRecord]:
        asked.append(list(rows))
        content = {3: "x" * 10_000}
        return {row: VectorRecord(f"v{row}", "d", content=content.get(row)) for row in rows if row != 2}

    memory = RecordMemory(fetch, capacity=4)
    for _ in range(2):
        assert sorted(memory.get([1, 2, 3, 4])) == [1, 3, 4]
    memory.get([5, 6, 7])
    memory.get([1])

    assert asked == [[1, 2, 3, 4], [2, 3], [5, 6, 7], [1]]
