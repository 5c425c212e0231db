"""One suite over the dense indexes: FAISS (flat and graph) against the brute-force oracle."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import CorruptDataError
from data.vectors.exact import ExactIndex
from data.vectors.faiss import FaissIndex

DIM = 32
Index = ExactIndex | FaissIndex
Vectors = NDArray[np.float32]


def unit(count: int, seed: int, dim: int = DIM) -> Vectors:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return np.asarray(rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True)), dtype=np.float32)


def graph(dim: int) -> FaissIndex:
    return FaissIndex(dim, flat_limit=100)


@pytest.fixture(params=[ExactIndex, FaissIndex, graph], ids=["exact", "flat", "graph"])
def make(request: pytest.FixtureRequest) -> Callable[[int], Index]:
    built: Callable[[int], Index] = request.param
    return built


def test_vector_store_empty_finds_nothing(make: Callable[[int], Index]) -> None:
    """An empty index answers every vector with nothing."""
    assert [len(rows) for _, rows in make(DIM).search(unit(3, 0), 5)] == [0, 0, 0]


def test_vector_store_finds_itself_first(make: Callable[[int], Index]) -> None:
    """A stored vector is its own best match, with score 1."""
    index, vectors = make(DIM), unit(300, 1)
    index.add(vectors)
    found = index.search(vectors[:50], 1)

    assert [int(rows[0]) for _, rows in found] == list(range(50))
    assert {float(scores[0]) for scores, _ in found} == {1.0}


def test_vector_store_one_by_one_equals_all_at_once(make: Callable[[int], Index]) -> None:
    """The answer for a vector has the same bytes alone and in a batch of 200."""
    index, queries = make(DIM), unit(200, 2)
    index.add(unit(1_000, 3))
    together = index.search(queries, 10)

    for number, (scores, rows) in enumerate(together):
        ((lone_scores, lone_rows),) = index.search(queries[number : number + 1], 10)
        assert lone_scores.tobytes() == scores.tobytes()
        assert lone_rows.tobytes() == rows.tobytes()


def test_vector_store_groups_of_adds_do_not_matter(make: Callable[[int], Index]) -> None:
    """Rows added one by one, or all at once, give the same answers."""
    vectors, queries = unit(400, 4), unit(50, 5)
    whole, pieces = make(DIM), make(DIM)
    whole.add(vectors)
    for start in range(0, 400, 7):
        pieces.add(vectors[start : start + 7])

    for (scores, rows), (other_scores, other_rows) in zip(
        whole.search(queries, 10), pieces.search(queries, 10), strict=True
    ):
        assert rows.tolist() == other_rows.tolist()
        assert scores.tolist() == other_scores.tolist()


def test_vector_store_equal_vectors_come_in_row_order(make: Callable[[int], Index]) -> None:
    """Ties are broken by row, even when many more tie than are asked for."""
    index = make(DIM)
    index.add(unit(150, 6))
    index.add(np.repeat(unit(1, 7), 90, axis=0))
    ((scores, rows),) = index.search(unit(1, 7), 5)

    assert rows.tolist() == [150, 151, 152, 153, 154]
    assert scores.tolist() == [1.0] * 5


@pytest.mark.parametrize("share", [0.01, 0.4, 0.9])
def test_vector_store_only_allowed_rows_are_found(make: Callable[[int], Index], share: float) -> None:
    """Rows that are not allowed never show, and ``k`` allowed ones come back whatever their share."""
    index = make(DIM)
    index.add(unit(1_000, 8))
    allowed = np.random.default_rng(9).random(1_000) < share
    found = index.search(unit(20, 10), 5, allowed=allowed)

    assert all(len(rows) == 5 and allowed[rows].all() for _, rows in found)


def test_vector_store_bytes_round_trip_gives_the_same_answers(make: Callable[[int], Index]) -> None:
    """An index read back answers as the one that was written, and takes more rows as it would have."""
    index, queries = make(DIM), unit(20, 11)
    index.add(unit(300, 12))
    again = type(index).from_bytes(index.to_bytes(), DIM)
    for one in (index, again):
        one.add(unit(100, 13))

    assert [rows.tolist() for _, rows in again.search(queries, 10)] == [
        rows.tolist() for _, rows in index.search(queries, 10)
    ]


@pytest.mark.parametrize("k", [1, 10, 2_000])
def test_faiss_flat_equals_the_oracle(k: int) -> None:
    """While flat, FAISS gives exactly what brute force gives, scores included."""
    oracle, index = ExactIndex(DIM), FaissIndex(DIM)
    for one in (oracle, index):
        one.add(unit(2_000, 14))

    for (scores, rows), (true_scores, true_rows) in zip(
        index.search(unit(30, 15), k), oracle.search(unit(30, 15), k), strict=True
    ):
        assert rows.tolist() == true_rows.tolist()
        assert scores.tolist() == true_scores.tolist()


def test_faiss_graph_recall_is_high() -> None:
    """With a graph nine of ten true neighbours, and more, are found."""
    oracle, index = ExactIndex(DIM), FaissIndex(DIM, flat_limit=100)
    for one in (oracle, index):
        one.add(unit(3_000, 16))
    found = zip(index.search(unit(50, 17), 10), oracle.search(unit(50, 17), 10), strict=True)
    hits = sum(len(set(rows) & set(true_rows)) for (_, rows), (_, true_rows) in found)

    assert hits / 500 >= 0.95


def test_faiss_bytes_of_something_else_are_refused() -> None:
    """Bytes that are no index, or one of another dimension, are refused."""
    with pytest.raises(CorruptDataError):
        FaissIndex.from_bytes(b"nothing", DIM)
    with pytest.raises(CorruptDataError, match="dimensions"):
        FaissIndex.from_bytes(FaissIndex(8).to_bytes(), DIM)


@pytest.mark.parametrize("limit", [50, 100, 130])
def test_faiss_later_rows_change_nothing_found_before(limit: int) -> None:
    """As of any earlier count of rows, with rows removed: the answer of then, byte for byte."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(12, DIM))
    rows = centres[rng.integers(0, 12, 1_000)] + 0.7 * rng.normal(size=(1_000, DIM))
    vectors = np.asarray(rows / np.sqrt((rows * rows).sum(axis=1, keepdims=True)), dtype=np.float32)
    queries, index = unit(40, 9), FaissIndex(DIM, flat_limit=limit)
    removed = rng.random(1_000) < 0.2
    then = []
    for start in range(0, 1_000, 90):
        index.add(vectors[start : start + 90])
        mask = ~removed[: len(index)]
        then.append((len(index), [index.search(queries, 5), index.search(queries, 5, allowed=mask)]))
    stored = FaissIndex.from_bytes(index.to_bytes(), DIM)

    for count, (whole, masked) in then:
        before = np.arange(1_000) < count
        for one in (index, stored):
            for old, mask in ((whole, before), (masked, before & ~removed)):
                for (scores, found), (now, present) in zip(
                    old, one.search(queries, 5, allowed=mask), strict=True
                ):
                    assert found.tolist() == present.tolist()
                    assert scores.tolist() == now.tolist()


def test_faiss_index_of_one_graph_as_earlier_versions_wrote_it_is_read() -> None:
    """Its rows are one block, and those that come after it are the next."""
    import faiss

    vectors = unit(300, 21)
    graph = faiss.IndexHNSWFlat(DIM, 32, faiss.METRIC_INNER_PRODUCT)
    graph.add(vectors[:250])
    index = FaissIndex.from_bytes(bytes(faiss.serialize_index(graph)), DIM)
    index.add(vectors[250:])
    found = FaissIndex.from_bytes(index.to_bytes(), DIM).search(vectors, 1)

    assert [int(rows[0]) for _, rows in found] == list(range(300))


def test_faiss_bytes_cut_short_are_refused() -> None:
    """Wherever they end."""
    index = FaissIndex(DIM, flat_limit=20)
    index.add(unit(50, 22))
    content = index.to_bytes()

    for end in (9, 14, 200, len(content) - 1):
        with pytest.raises(CorruptDataError):
            FaissIndex.from_bytes(content[:end], DIM)
