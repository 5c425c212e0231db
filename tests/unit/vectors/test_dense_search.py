"""What a dense index finds, against numpy over all vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from data.datasets.records import IndexSettings, Metric
from data.errors import InvalidValueError
from data.vectors.dense import DenseIndex, SearchDepth, build_main
from tests.unit.vectors.vector_oracle import DIM, METRICS, Rows, clustered, filled, recall, same

#: A graph of few links, which is easily led astray.
SPARSE = IndexSettings("hnsw", hnsw_m=6, hnsw_ef_construction=40)
FLAT, GRAPH, LISTS = IndexSettings("flat"), IndexSettings("hnsw"), IndexSettings("ivf")
APPROXIMATE = [
    GRAPH,
    LISTS,
    IndexSettings("hnsw", quantisation="sq8"),
    IndexSettings("ivf", quantisation="sq8"),
    IndexSettings("ivf", quantisation="rabitq"),
]
QUERIES = clustered(24, seed=5)


def _scattered(settings: IndexSettings) -> tuple[DenseIndex, Rows]:
    """Return an index of vectors without any order in them, the hardest there are, and its oracle."""
    oracle, index = Rows("cosine"), DenseIndex(DIM, "cosine", settings)
    rows = np.arange(6_000, dtype=np.int64)
    oracle.add(rows, np.random.default_rng(8).standard_normal((6_000, DIM)).astype(np.float32))
    index.adopt(build_main(rows, oracle.of, DIM, "cosine", settings))
    return index, oracle


def _name(settings: IndexSettings) -> str:
    return f"{settings.index_type}-{settings.quantisation}"


def test_flat_index_finds_exactly_what_numpy_finds(metric: Metric) -> None:
    """Rows, order and distances of a flat index are those of a full comparison."""
    index, oracle = filled(metric, FLAT, 3_000)

    found = index.search(QUERIES, 10)

    for one, (rows, distances) in zip(found, oracle.nearest(QUERIES, 10), strict=True):
        assert one.rows.tolist() == rows.tolist()
        np.testing.assert_allclose(one.distances, distances, rtol=0, atol=1e-6)
        assert (one.plan, one.exact, one.scanned) == ("scan", True, 3_000)


@pytest.fixture(scope="module", params=METRICS)
def metric(request: pytest.FixtureRequest) -> Metric:
    """Return each metric."""
    name: Metric = request.param
    return name


@pytest.fixture(scope="module", params=APPROXIMATE, ids=_name)
def approximate(request: pytest.FixtureRequest, metric: Metric) -> tuple[DenseIndex, Rows]:
    """Return an index of each kind that is not flat, and its oracle."""
    return filled(metric, request.param, 6_000)


def test_approximate_index_finds_enough_by_default(approximate: tuple[DenseIndex, Rows]) -> None:
    """Each kind of main index reaches recall 0.95 as it was tuned at its build, and says it is not exact."""
    index, oracle = approximate

    found = index.search(QUERIES, 10)

    assert recall(found, oracle, QUERIES, None) >= 0.95
    assert {(one.plan, one.exact) for one in found} <= {(index.info().kind, False), ("scan", True)}


def test_approximate_index_asked_for_exact_scans_all(approximate: tuple[DenseIndex, Rows]) -> None:
    """With ``exact`` every kind of index finds what numpy finds, from the whole vectors."""
    index, oracle = approximate

    found = index.search(QUERIES, 10, depth=SearchDepth(exact=True))

    assert [one.rows.tolist() for one in found] == [rows.tolist() for rows, _ in oracle.nearest(QUERIES, 10)]
    assert all(one.exact and one.plan == "scan" for one in found)


@pytest.mark.parametrize(
    "settings", [IndexSettings("hnsw", hnsw_m=6, hnsw_ef_construction=40), LISTS], ids=_name
)
def test_deeper_search_finds_more(settings: IndexSettings) -> None:
    """``ef_search`` and ``nprobe`` decide how far is looked: little finds less than much."""
    index, oracle = _scattered(settings)

    few = index.search(QUERIES, 10, depth=SearchDepth(ef_search=27, nprobe=1))
    many = index.search(QUERIES, 10, depth=SearchDepth(ef_search=145, nprobe=90))

    assert recall(few, oracle, QUERIES, None) < 0.9
    assert recall(many, oracle, QUERIES, None) >= 0.95
    assert {one.plan for one in (*few, *many)} == {settings.index_type}


def test_depth_of_the_settings_is_used_unless_the_search_says_otherwise() -> None:
    """What a dataset's settings say about depth comes before what was measured, and after the search."""
    index, oracle = _scattered(IndexSettings("ivf", ivf_nprobe=1))

    shallow, deep = index.search(QUERIES, 10), index.search(QUERIES, 10, depth=SearchDepth(nprobe=90))

    assert recall(shallow, oracle, QUERIES, None) < 0.9 < recall(deep, oracle, QUERIES, None)


@pytest.mark.parametrize("settings", [FLAT, GRAPH, LISTS], ids=_name)
def test_answer_does_not_depend_on_the_batch(settings: IndexSettings, metric: Metric) -> None:
    """A query alone gets the bytes it gets among others, from main index, delta graph and tail."""
    index, _ = filled(metric, settings, 6_000)
    rows = np.arange(20_000, 25_000, dtype=np.int64)
    index.add(rows, clustered(len(rows), seed=2))

    together = index.search(QUERIES, 10)
    alone = [index.search(query[None], 10)[0] for query in QUERIES]

    assert all(same(one, other) for one, other in zip(together, alone, strict=True))


@pytest.mark.parametrize("settings", [FLAT, GRAPH], ids=_name)
def test_equal_vectors_are_ordered_by_row(settings: IndexSettings, metric: Metric) -> None:
    """Of many equal vectors a scan returns those of the smallest rows, in main index and delta alike."""
    index, oracle, equal = DenseIndex(DIM, metric, settings), Rows(metric), clustered(1, seed=3)
    vectors = np.concatenate([clustered(500), np.repeat(equal, 200, axis=0)])
    oracle.add(np.arange(700, dtype=np.int64), vectors)
    index.adopt(build_main(np.arange(700, dtype=np.int64), oracle.of, DIM, metric, settings))
    index.add(np.arange(700, 800, dtype=np.int64), np.repeat(equal, 100, axis=0))

    (found,) = index.search(equal, 12, depth=SearchDepth(exact=True))

    assert found.rows.tolist() == list(range(500, 512))
    assert len(set(found.distances.tolist())) == 1


def test_ask_for_more_than_there_is_returns_all() -> None:
    """With ``k`` beyond the number of rows every row comes, nearest first."""
    for settings in (FLAT, GRAPH, LISTS):
        index, oracle = filled("euclidean", settings, 300)

        (found,) = index.search(QUERIES[:1], 1_000)

        assert found.rows.tolist() == oracle.nearest(QUERIES[:1], 1_000)[0][0].tolist()


def test_large_k_is_found_by_a_graph() -> None:
    """A hundred neighbours are found about as well as ten."""
    index, oracle = filled("cosine", GRAPH, 12_000)

    found = index.search(QUERIES, 100)

    truth = oracle.nearest(QUERIES, 100)
    shares = [len(np.intersect1d(one.rows, true)) / 100 for one, (true, _) in zip(found, truth, strict=True)]
    assert np.mean(shares) >= 0.95


def test_empty_index_finds_nothing() -> None:
    """Without rows an answer is empty, and exact."""
    index = DenseIndex(DIM, "cosine", IndexSettings())

    (found,) = index.search(QUERIES[:1], 10)

    assert (len(found.rows), found.exact, found.scanned) == (0, True, 0)
    assert index.search(np.zeros((0, DIM), dtype=np.float32), 10) == []


def test_default_settings_choose_by_size() -> None:
    """Few vectors are kept flat, many get a graph, and lists where one bit a number is asked for."""
    kinds = [
        filled("cosine", settings, count)[0].info().kind
        for settings, count in (
            (IndexSettings(), 300),
            (IndexSettings(), 6_000),
            (IndexSettings(quantisation="sq8"), 6_000),
            (IndexSettings(quantisation="rabitq"), 6_000),
        )
    ]

    assert kinds == ["flat", "hnsw", "hnsw", "ivf"]


def test_codes_take_less_memory_than_whole_vectors() -> None:
    """Eight bits a number take less memory than whole numbers, one bit even less."""
    sizes = [
        filled("cosine", settings, 6_000)[0].info().memory_bytes
        for settings in (
            LISTS,
            IndexSettings("ivf", quantisation="sq8"),
            IndexSettings("ivf", quantisation="rabitq"),
        )
    ]

    assert sizes[0] > 2 * sizes[1] > 2 * sizes[2]


@pytest.mark.parametrize("kinds", [("flat", "sq8"), ("hnsw", "rabitq")])
def test_settings_that_no_index_can_have_are_refused(kinds: tuple[Any, Any]) -> None:
    """A flat index has no codes and a graph none of one bit: one sentence says so."""
    with pytest.raises(InvalidValueError, match="choose"):
        DenseIndex(DIM, "cosine", IndexSettings(kinds[0], quantisation=kinds[1]))


def test_vectors_that_do_not_fit_are_refused() -> None:
    """Another number of dimensions, or no direction under cosine, is a mistake of the caller."""
    index = DenseIndex(DIM, "cosine", IndexSettings())

    with pytest.raises(ValueError, match="shape"):
        index.search(np.ones((1, DIM + 1), dtype=np.float32), 10)
    with pytest.raises(ValueError, match="direction"):
        index.add(np.array([1]), np.zeros((1, DIM), dtype=np.float32))


def test_build_twice_is_the_same_index() -> None:
    """The same rows, vectors and settings make an index that answers with the same bytes."""
    for settings in (GRAPH, APPROXIMATE[-1]):
        first, second = (filled("cosine", settings, 5_500)[0] for _ in range(2))

        answers = zip(first.search(QUERIES, 10), second.search(QUERIES, 10), strict=True)

        assert all(same(one, other) for one, other in answers)
