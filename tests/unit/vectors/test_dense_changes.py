"""A dense index that changes: rows come and go, main indexes are adopted and given up, searches go on."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.records import IndexSettings
from data.errors import ConflictError
from data.vectors.delta import TAIL_ROWS
from data.vectors.dense import DenseIndex, Neighbours, SearchDepth, build_main
from tests.unit.vectors.vector_oracle import DIM, Rows, built, clustered, filled, recall, same

QUERIES = clustered(20, seed=5)
EXACT = SearchDepth(exact=True)
GRAPH = IndexSettings("hnsw")


def _expect(index: DenseIndex, oracle: Rows) -> None:
    """Compare rows, exact answers and default answers with the oracle."""
    assert index.rows() == BitMap(oracle.vectors)
    found = index.search(QUERIES, 10, depth=EXACT)
    assert [one.rows.tolist() for one in found] == [rows.tolist() for rows, _ in oracle.nearest(QUERIES, 10)]
    assert recall(index.search(QUERIES, 10), oracle, QUERIES, None) >= 0.95


def _add(index: DenseIndex, oracle: Rows, first: int, count: int, seed: int) -> None:
    rows, vectors = np.arange(first, first + count, dtype=np.int64), clustered(count, seed)
    index.add(rows, vectors)
    oracle.add(rows, vectors)


def _remove(index: DenseIndex, oracle: Rows, rows: NDArray[np.int64]) -> None:
    index.remove(rows)
    oracle.remove(rows)


def test_rows_without_a_main_index_are_found_at_once() -> None:
    """Rows added in batches of any size are in the next answer, from tail and graph together."""
    index, oracle, first = DenseIndex(DIM, "cosine", IndexSettings()), Rows("cosine"), 0
    for number, count in enumerate((1, 700, TAIL_ROWS - 701, 1, TAIL_ROWS + 5)):
        _add(index, oracle, first, count, number)
        first += count
        _expect(index, oracle)

    assert index.info().delta == first
    assert index.search(QUERIES[:1], 10)[0].plan == "hnsw"


def test_flat_settings_keep_the_delta_exact() -> None:
    """Who asked for a flat index gets exact answers however many rows were added."""
    index, oracle = DenseIndex(DIM, "euclidean", IndexSettings("flat")), Rows("euclidean")
    _add(index, oracle, 0, 2 * TAIL_ROWS, 1)

    assert all(one.exact for one in index.search(QUERIES, 10))
    _expect(index, oracle)


@pytest.mark.parametrize("settings", [GRAPH, IndexSettings("ivf"), IndexSettings("flat")])
def test_main_delta_and_removed_rows_are_searched_together(settings: IndexSettings) -> None:
    """An answer holds the nearest of main index and delta, without rows removed from either."""
    index, oracle = filled("cosine", settings, 6_000)
    _add(index, oracle, 20_000, TAIL_ROWS + 500, 2)

    for seed in range(3):
        live = np.array(sorted(oracle.vectors), dtype=np.int64)
        _remove(index, oracle, np.random.default_rng(seed).choice(live, 1_500, replace=False))
        _expect(index, oracle)

    assert index.info().removed == 4_500


def test_removed_row_is_gone_from_the_next_search() -> None:
    """The nearest row is not found once it was removed, neither by a graph nor by a scan."""
    index, _ = filled("cosine", GRAPH, 6_000)
    for _ in range(12):
        nearest = index.search(QUERIES[:1], 1)[0].rows
        index.remove(nearest)
        for depth in (SearchDepth(), EXACT):
            assert nearest[0] not in index.search(QUERIES[:1], 10, depth=depth)[0].rows


def test_all_rows_near_a_query_removed_still_leaves_k() -> None:
    """Where a whole neighbourhood is gone, the answer is as long as ever."""
    index, oracle = filled("euclidean", GRAPH, 6_000)
    gone = oracle.nearest(QUERIES[:1], 2_000)[0][0]
    _remove(index, oracle, gone)

    (found,) = index.search(QUERIES[:1], 10)

    assert len(found.rows) == 10
    assert recall([found], oracle, QUERIES[:1], None) >= 0.9


def test_remove_of_unknown_rows_changes_nothing() -> None:
    """Rows that are not there, and those gone already, may be removed again."""
    index, oracle = filled("cosine", GRAPH, 500)

    for _ in range(2):
        _remove(index, oracle, np.array([2, 3, 4_000_000], dtype=np.int64))

    _expect(index, oracle)
    assert index.info().removed == 1


def test_rows_that_do_not_rise_are_refused() -> None:
    """A row number used before, or out of order, or as often as not a vector, is a mistake of the caller."""
    index, _ = filled("cosine", GRAPH, 500)
    index.add(np.array([2_000, 2_001]), clustered(2))

    for rows in ([2_001], [3_000, 3_000], [2_500, 2_400], [2**32]):
        with pytest.raises(ValueError, match="rise"):
            index.add(np.array(rows, dtype=np.int64), clustered(len(rows)))
    with pytest.raises(ValueError, match="vectors"):
        index.add(np.array([5_000, 5_001]), clustered(1))
    assert index.info().delta == 2


def test_row_of_the_main_index_cannot_come_again() -> None:
    """A row in the main index is not taken into the delta as well."""
    index, _ = filled("cosine", GRAPH, 500)

    with pytest.raises(ValueError, match="never used twice"):
        index.add(np.array([7], dtype=np.int64), clustered(1))


def test_adopted_index_keeps_what_changed_since_it_was_begun() -> None:
    """Rows in the new index leave the delta; rows removed since stay removed, rows added since stay."""
    index, oracle = filled("cosine", GRAPH, 6_000)
    _add(index, oracle, 20_000, 800, 2)
    main = built(oracle, GRAPH)
    _add(index, oracle, 21_000, 300, 3)
    _remove(index, oracle, np.array([1, 11_001, 20_005, 21_007], dtype=np.int64))

    index.adopt(main)

    _expect(index, oracle)
    info = index.info()
    assert (info.indexed, info.delta, info.removed) == (6_800, 299, 3)


def test_adopted_index_frees_rows_removed_before_it_was_begun() -> None:
    """What the new index does not hold needs no place among the removed."""
    index, oracle = filled("cosine", GRAPH, 6_000)
    _remove(index, oracle, np.arange(1, 4_001, 2, dtype=np.int64))

    index.adopt(built(oracle, GRAPH))

    assert (index.info().indexed, index.info().removed) == (4_000, 0)
    _expect(index, oracle)


def test_index_that_lacks_rows_is_not_adopted() -> None:
    """An index of fewer rows than are live would lose some: it is refused, and nothing changes."""
    index, oracle = filled("cosine", GRAPH, 6_000)
    fewer = build_main(np.arange(1, 5_000, 2, dtype=np.int64), oracle.of, DIM, "cosine", GRAPH)
    other = build_main(np.arange(1, 5_000, 2, dtype=np.int64), oracle.of, DIM, "euclidean", GRAPH)

    for main in (fewer, other):
        with pytest.raises(ValueError, match="index"):
            index.adopt(main)

    _expect(index, oracle)


def test_roll_back_searches_the_previous_index_and_what_it_lacks() -> None:
    """After a roll back the same rows are found: newer ones too, and none that were removed."""
    index, oracle = filled("cosine", GRAPH, 6_000)
    _add(index, oracle, 20_000, 800, 2)
    _remove(index, oracle, np.array([1, 3], dtype=np.int64))
    index.adopt(built(oracle, GRAPH))
    _add(index, oracle, 30_000, 50, 3)
    _remove(index, oracle, np.array([5, 20_001, 30_001], dtype=np.int64))

    index.roll_back()

    assert index.info().indexed == 6_000
    _expect(index, oracle)
    _add(index, oracle, 40_000, 50, 4)
    _expect(index, oracle)


def test_roll_back_without_a_previous_index_is_refused() -> None:
    """There is nothing to go back to before a second index was adopted, nor twice."""
    index, oracle = filled("cosine", GRAPH, 500)
    with pytest.raises(ConflictError, match="previous"):
        index.roll_back()

    index.adopt(built(oracle, GRAPH))
    index.roll_back()
    with pytest.raises(ConflictError, match="previous"):
        index.roll_back()


def test_row_that_was_removed_comes_back_with_no_index() -> None:
    """A row that two builds still held stays removed when both are adopted, one after the other."""
    index, oracle = filled("cosine", GRAPH, 600)
    first = built(oracle, GRAPH)
    _add(index, oracle, 20_000, 100, 2)
    second = built(oracle, GRAPH)
    _remove(index, oracle, np.array([20_005], dtype=np.int64))

    for main in (first, second):
        index.adopt(main)
        _expect(index, oracle)


def test_index_becomes_stale_when_much_is_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Enough rows beside the main index, or gone from it, make a new one worth its building."""
    monkeypatch.setattr("data.vectors.dense.STALE_ROWS", 500)
    index, oracle = filled("cosine", GRAPH, 3_000)
    _add(index, oracle, 20_000, 400, 2)
    assert not index.info().is_stale

    _remove(index, oracle, np.arange(1, 401, 2, dtype=np.int64))
    assert index.info().is_stale

    index.adopt(built(oracle, GRAPH))
    assert not index.info().is_stale


def test_vectors_are_given_back_as_they_are_kept() -> None:
    """Vectors of the main index, the delta's graph and its tail come back, of length one under cosine."""
    index, oracle = filled("cosine", GRAPH, 500)
    _add(index, oracle, 20_000, TAIL_ROWS + 10, 2)
    rows = np.array([1, 999, 20_000, 20_000 + TAIL_ROWS + 9], dtype=np.int64)

    found = index.vectors(rows)

    wanted = oracle.of(rows)
    np.testing.assert_allclose(found, wanted / np.linalg.norm(wanted, axis=1, keepdims=True), atol=1e-6)


def test_searches_go_on_while_rows_come_and_go() -> None:
    """Searches beside a writer never fail, are never short, and never hold a row that was removed before."""
    index, oracle = filled("cosine", GRAPH, 3_000)
    gone, is_done = BitMap(), threading.Event()
    problems: list[Neighbours] = []

    def search() -> None:
        while not is_done.is_set():
            before = gone.copy()
            for one in index.search(QUERIES, 10):
                if len(one.rows) != 10 or before.intersect(BitMap(one.rows.astype(np.uint32))):
                    problems.append(one)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for step in range(12):
        _add(index, oracle, 10_000 + 500 * step, 500, step)
        removed = np.arange(10_000 + 500 * step, 10_000 + 500 * step + 100, dtype=np.int64)
        _remove(index, oracle, removed)
        gone |= BitMap(removed.astype(np.uint32))
        if step == 8:
            index.adopt(built(oracle, GRAPH))
    is_done.set()
    for thread in threads:
        thread.join()

    assert not problems
    _expect(index, oracle)


def test_same_operations_give_the_same_answers() -> None:
    """An index that went through the same writes answers with the same bytes."""
    first, second = (_after_writes() for _ in range(2))

    answers = zip(first.search(QUERIES, 10), second.search(QUERIES, 10), strict=True)

    assert all(same(one, other) for one, other in answers)


def _after_writes() -> DenseIndex:
    index, oracle = filled("cosine", GRAPH, 6_000)
    _add(index, oracle, 20_000, TAIL_ROWS + 10, 2)
    _remove(index, oracle, np.arange(20_000, 20_100, dtype=np.int64))
    return index
