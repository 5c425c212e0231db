"""Filtered search: enough is found whatever the filter keeps, and never fewer rows than there are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.records import IndexSettings, Metric
from data.vectors.dense import DenseIndex, SearchDepth
from tests.unit.vectors.vector_oracle import METRICS, Rows, clustered, filled, recall, same, true_distances

COUNT = 8_000
GRAPH, CODED = IndexSettings("hnsw"), IndexSettings("ivf", quantisation="rabitq")
CASES: list[tuple[IndexSettings, Metric]] = [
    (IndexSettings("flat"), "cosine"),
    (IndexSettings("flat"), "manhattan"),
    *((GRAPH, metric) for metric in METRICS),
    (IndexSettings("hnsw", quantisation="sq8"), "manhattan"),
    (IndexSettings("ivf"), "dot_product"),
    (CODED, "cosine"),
    (CODED, "manhattan"),
]
SHARES = (0.5, 0.1, 0.01, 0.001, 0.0001)
QUERIES = clustered(12, seed=5)


def _name(case: tuple[IndexSettings, Metric]) -> str:
    settings, metric = case
    return f"{settings.index_type}-{settings.quantisation}-{metric}"


@pytest.fixture(scope="module", params=CASES, ids=_name)
def both(request: pytest.FixtureRequest) -> tuple[DenseIndex, Rows]:
    """Return an index of each kind, with some rows removed and some beside it, and its oracle."""
    settings, metric = request.param
    index, oracle = filled(metric, settings, COUNT)
    gone = np.arange(1, 2_000, 20, dtype=np.int64)
    index.remove(gone)
    oracle.remove(gone)
    added = np.arange(2 * COUNT + 10, 2 * COUNT + 310, dtype=np.int64)
    index.add(added, clustered(300, seed=4))
    oracle.add(added, clustered(300, seed=4))
    return index, oracle


def _rows(oracle: Rows) -> NDArray[np.int64]:
    return np.array(sorted(oracle.vectors), dtype=np.int64)


def _picked(oracle: Rows, share: float, seed: int = 0) -> BitMap:
    rows = _rows(oracle)
    count = max(int(share * len(rows)), 1)
    return BitMap(np.random.default_rng(seed).choice(rows, count, replace=False).astype(np.uint32))


def _by_distance(oracle: Rows, share: float, *, nearest: bool) -> BitMap:
    """Return the share of rows nearest to the first query, or farthest from it."""
    rows = _rows(oracle)
    order = rows[np.argsort(true_distances(QUERIES[:1], oracle.of(rows), oracle.metric)[0])]
    count = max(int(share * len(rows)), 1)
    return BitMap((order[:count] if nearest else order[-count:]).astype(np.uint32))


@pytest.mark.parametrize("share", SHARES)
def test_filter_of_any_share_keeps_recall(both: tuple[DenseIndex, Rows], share: float) -> None:
    """A filter that has nothing to do with the query loses nothing."""
    index, oracle = both
    allowed = _picked(oracle, share)

    found = index.search(QUERIES, 10, allowed=allowed)

    assert recall(found, oracle, QUERIES, allowed) >= 0.99
    assert all(len(one.rows) == min(10, len(allowed)) for one in found)
    assert all(row in allowed for one in found for row in one.rows.tolist())


@pytest.mark.parametrize("share", SHARES)
def test_filters_joined_by_and_keep_recall(both: tuple[DenseIndex, Rows], share: float) -> None:
    """Two filters at once lose nothing."""
    index, oracle = both
    allowed = _picked(oracle, share**0.5, seed=1) & _picked(oracle, share**0.5, seed=2)

    found = index.search(QUERIES, 10, allowed=allowed)

    assert not allowed or recall(found, oracle, QUERIES, allowed) >= 0.99
    assert all(len(one.rows) == min(10, len(allowed)) for one in found)


@pytest.mark.parametrize("nearest", [True, False])
@pytest.mark.parametrize("share", SHARES)
def test_filter_that_goes_with_the_query_or_against_it_keeps_recall(
    both: tuple[DenseIndex, Rows], share: float, nearest: bool
) -> None:
    """A filter that keeps what is nearest, or only what is farthest, loses nothing."""
    index, oracle = both
    allowed = _by_distance(oracle, share, nearest=nearest)

    found = index.search(QUERIES[:1], 10, allowed=allowed)

    assert recall(found, oracle, QUERIES[:1], allowed) >= 0.99
    assert len(found[0].rows) == min(10, len(allowed))


@pytest.mark.parametrize("share", SHARES)
def test_answer_that_says_exact_is_exact(both: tuple[DenseIndex, Rows], share: float) -> None:
    """Where ``exact`` is told, the answer is that of numpy, and as many vectors were compared as are kept."""
    index, oracle = both
    allowed = _by_distance(oracle, share, nearest=False)

    found = index.search(QUERIES, 10, allowed=allowed)

    for one, (rows, _) in zip(found, oracle.nearest(QUERIES, 10, allowed), strict=True):
        if one.exact:
            assert one.rows.tolist() == rows.tolist()
            assert one.scanned == len(allowed)
        else:
            assert "scan" not in one.plan


def test_filtered_answer_does_not_depend_on_the_batch(both: tuple[DenseIndex, Rows]) -> None:
    """Each query is planned for itself: one that must look farther does not change another's answer."""
    index, oracle = both
    for allowed in (_picked(oracle, 0.5), _by_distance(oracle, 0.5, nearest=False)):
        together = index.search(QUERIES, 10, allowed=allowed)
        alone = [index.search(query[None], 10, allowed=allowed)[0] for query in QUERIES]

        assert all(same(one, other) for one, other in zip(together, alone, strict=True))


def test_filter_that_keeps_nothing_finds_nothing(both: tuple[DenseIndex, Rows]) -> None:
    """Rows that are not there, or gone, are not found."""
    index, _ = both

    for allowed in (BitMap(), BitMap([4_000_000_000]), BitMap([1, 21])):
        assert [len(one.rows) for one in index.search(QUERIES, 10, allowed=allowed)] == [0] * len(QUERIES)


def test_filter_that_keeps_all_changes_nothing(both: tuple[DenseIndex, Rows]) -> None:
    """To allow every row is to have no filter."""
    index, oracle = both
    allowed = BitMap(_rows(oracle).astype(np.uint32))

    answers = zip(index.search(QUERIES, 10), index.search(QUERIES, 10, allowed=allowed), strict=True)

    assert all(same(one, other) for one, other in answers)


def test_filter_against_the_query_falls_back_to_a_scan() -> None:
    """Where a graph leads to rows that the filter drops, what it keeps is compared: exact, and it says so."""
    index, oracle = filled("cosine", IndexSettings("hnsw"), COUNT)
    allowed = _by_distance(oracle, 0.6, nearest=False)

    (found,) = index.search(QUERIES[:1], 10, allowed=allowed, depth=SearchDepth(ef_search=40))

    assert (found.plan, found.exact, found.scanned) == ("hnsw+scan", True, len(allowed))
