"""The vector API over the real service, a real ledger and real indexes in a temporary home."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from data.datasets.service import LocalVectorDatasets
from data.datasets.sharded import ShardedVectorDatasets
from data.keeper import Keeper
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink
from tests.unit.api.vector_fakes import VectorHouse, VectorTenant

METRICS = ("cosine", "euclidean", "manhattan", "dot_product")
RNG = np.random.default_rng(7)
POINTS = RNG.normal(size=(60, 8)).astype(np.float32)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorHouse]:
    """An installation for the tests of this module: each speaks as a tenant of its own."""
    home = tmp_path_factory.mktemp("vectors")
    clock = FakeClock()
    keeper = Keeper(home, clock, FakeVectorSink())
    local = LocalVectorDatasets(home, keeper, clock=clock, models=(FakeEmbedder(), None))
    yield VectorHouse(port=ShardedVectorDatasets(local))
    local.close()
    keeper.close()


@pytest.fixture
def mine(house: VectorHouse, request: pytest.FixtureRequest) -> VectorTenant:
    """A tenant that nobody has been yet."""
    return house.tenant(request.node.name)


def filled(mine: VectorTenant, metric: str = "cosine", shards: int = 1) -> str:
    """Make a dataset of sixty points and return its id."""
    made = mine.dataset(f"points {metric} {shards}", 8, metric_type=metric, shards=shards)
    vectors = [
        {
            "id": f"p{n:02}",
            "document_id": f"d{n % 20}",
            "values": row.tolist(),
            "content": f"point {n} of {n % 7}",
            "metadata": {"n": n, "even": n % 2 == 0, "at": f"2024-01-{n % 28 + 1:02}"},
        }
        for n, row in enumerate(POINTS)
    ]
    answer = mine.post(f"/datasets/{made}/vectors/batch", {"vectors": vectors})
    assert answer.json()["inserted_count"] == 60, answer.text
    return made


def found(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [hit["vector"]["id"] for hit in answer.json()["results"]]


def distances(metric: str, query: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    if metric == "cosine":
        lengths = np.linalg.norm(POINTS, axis=1) * np.linalg.norm(query)
        return 1 - POINTS @ query / lengths
    if metric == "dot_product":
        return -(POINTS @ query)
    difference = POINTS - query
    return np.abs(difference).sum(1) if metric == "manhattan" else np.linalg.norm(difference, axis=1)


@pytest.mark.parametrize("metric", METRICS)
def test_search_finds_the_nearest_by_each_metric(mine: VectorTenant, metric: str) -> None:
    """As worked out here; distances rise, scores fall."""
    made, query = filled(mine, metric), POINTS[5] + 0.1
    answer = mine.post(f"/datasets/{made}/search", {"query_vector": query.tolist(), "options": {"top_k": 5}})
    told = answer.json()["results"]
    wanted = distances(metric, query)
    nearest = [f"p{n:02}" for n in np.argsort(wanted)[:5]]

    assert found(answer) == nearest
    assert [hit["distance"] for hit in told] == pytest.approx(sorted(wanted)[:5], abs=1e-4)
    assert [hit["score"] for hit in told] == sorted((hit["score"] for hit in told), reverse=True)
    assert answer.json()["stats"]["exact"] is True


@pytest.mark.parametrize(
    "filters",
    [
        {"even": True, "n": {"$gte": 10, "$lt": 30}},
        {"$and": [{"metadata.even": {"$eq": True}}, {"n": {"$in": list(range(10, 30))}}]},
        "even = true AND (n >= 10 AND NOT n >= 30)",
    ],
)
def test_filter_says_the_same_in_its_three_spellings(mine: VectorTenant, filters: Any) -> None:
    """In a search and in a list."""
    made = filled(mine)
    wanted = {f"p{n:02}" for n in range(10, 30, 2)}
    options = {"top_k": 50, "filters": filters}
    searched = mine.post(f"/datasets/{made}/search", {"query_vector": [1] * 8, "options": options})
    text = filters if isinstance(filters, str) else json.dumps(filters)

    assert set(found(searched)) == wanted
    assert {one["id"] for one in mine.get(f"/datasets/{made}/vectors", filters=text).json()} == wanted


@pytest.mark.parametrize("filters", [{"n": {"$near": 1}}, "n >", "(n = 1", {"$and": {}}, "n = 'x"])
def test_filter_that_is_none_is_400_saying_where(mine: VectorTenant, filters: Any) -> None:
    """By offset or by path."""
    made = filled(mine)
    body = {"query_vector": [1] * 8, "options": {"filters": filters}}
    answer = mine.post(f"/datasets/{made}/search", body)

    assert answer.status_code == 400
    assert " at " in answer.json()["detail"]


def test_wrong_lengths_are_told_with_the_dimension(mine: VectorTenant) -> None:
    """A query is 400, a vector among others a counted failure."""
    made = filled(mine)
    query = mine.post(f"/datasets/{made}/search", {"query_vector": [1, 2]})
    vectors = [{"document_id": "d", "values": [1, 2]}, {"document_id": "d", "values": [1] * 8}]
    told = mine.post(f"/datasets/{made}/vectors/batch", {"vectors": vectors}).json()

    assert (query.status_code, "dimension" in query.json()["detail"]) == (400, True)
    assert (told["inserted_count"], told["failed_count"]) == (1, 1)
    assert "dimension" in told["error_messages"][0]


def test_writes_are_found_by_the_next_search(mine: VectorTenant) -> None:
    """Inserted, changed, removed."""
    made = filled(mine)
    path, search = (
        f"/datasets/{made}/vectors",
        {"query_vector": [9, 0, 0, 0, 0, 0, 0, 0], "options": {"top_k": 1}},
    )
    mine.post(path, {"id": "new", "document_id": "d", "values": search["query_vector"]})
    first = found(mine.post(f"/datasets/{made}/search", search))
    mine.call("PUT", f"{path}/new", json={"values": [-9, 0, 0, 0, 0, 0, 0, 0]})
    second = found(mine.post(f"/datasets/{made}/search", search))
    mine.call("PUT", f"{path}/new", json={"values": search["query_vector"]})
    mine.call("DELETE", f"{path}/new")
    third = found(mine.post(f"/datasets/{made}/search", search))

    assert first == ["new"]
    assert "new" not in second + third


def test_words_and_vectors_are_fused_by_every_method(mine: VectorTenant) -> None:
    """What both halves find comes first; the parts of the score are told."""
    made = filled(mine)
    for method in ("weighted_sum", "reciprocal_rank_fusion", "comb_sum", "comb_mnz", "borda_count"):
        body = {"query_vector": POINTS[12].tolist(), "query_text": "point 12", "fusion_method": method}
        answer = mine.post(f"/datasets/{made}/search/hybrid", body)
        assert found(answer)[0] == "p12"
        assert answer.json()["results"][0]["explanation"]
    words = mine.post(f"/datasets/{made}/search/text", {"query_text": "point 12"})

    assert found(words)[0] == "p12"


def test_groups_and_thresholds_cut_the_answer(mine: VectorTenant) -> None:
    """One hit a document; none below the least score."""
    made = filled(mine)
    query = {"query_vector": POINTS[3].tolist()}
    grouped = mine.post(
        f"/datasets/{made}/search", {**query, "options": {"top_k": 40, "group_by_document": True}}
    )
    near = mine.post(f"/datasets/{made}/search", {**query, "options": {"top_k": 40, "min_score": 0.99}})
    documents = [hit["vector"]["document_id"] for hit in grouped.json()["results"]]

    assert len(documents) == len(set(documents)) == 20
    assert found(near) == ["p03"]


def test_index_is_built_while_searches_go_on(mine: VectorTenant) -> None:
    """It answers as before, and tells how it stands."""
    made = filled(mine)
    query = {"query_vector": POINTS[7].tolist(), "options": {"top_k": 5}}
    before = found(mine.post(f"/datasets/{made}/search", query))
    started = mine.post(f"/datasets/{made}/index", {"index_type": "hnsw"})
    assert found(mine.post(f"/datasets/{made}/search", query)) == before
    deadline = time.monotonic() + 30
    while (stands := mine.get(f"/datasets/{made}/index").json())["status"] == "building":
        assert time.monotonic() < deadline
    again = mine.post(f"/datasets/{made}/index", {"index_type": "hnsw"}).json()

    assert started.status_code == 200
    assert (stands["kind"], stands["indexed"], stands["delta"]) == ("hnsw", 60, 0)
    assert again["version"] == stands["version"]
    assert found(mine.post(f"/datasets/{made}/search", query)) == before


def test_dataset_of_shards_answers_as_one_that_has_none(mine: VectorTenant) -> None:
    """By vector, by words and by both, filtered; its shards are in no list and behind no path."""
    whole, sharded = filled(mine), filled(mine, shards=3)
    options = {"top_k": 7, "filters": "even = true", "group_by_document": True}
    for path, query in (
        ("search", {"query_vector": POINTS[7].tolist(), "options": options}),
        ("search/text", {"query_text": "point of 5", "options": options}),
        ("search/hybrid", {"query_vector": POINTS[7].tolist(), "query_text": "point 9", "options": options}),
    ):
        answers = [mine.post(f"/datasets/{made}/{path}", query) for made in (whole, sharded)]
        assert found(answers[0]) == found(answers[1]) != []
    listed = {one["id"]: one["shards"] for one in mine.get("/datasets").json()}

    assert listed == {whole: 1, sharded: 3}
    assert mine.get(f"/datasets/{sharded}-00").status_code == 404
    assert mine.call("PUT", f"/datasets/{sharded}", json={"name": "moved"}).json()["shards"] == 3
    assert mine.call("DELETE", f"/datasets/{sharded}").status_code == 200
    assert mine.get(f"/datasets/{sharded}").status_code == 404


def test_document_in_words_out(mine: VectorTenant) -> None:
    """Cut, embedded, found by meaning and by words, replaced."""
    made = mine.dataset(dimensions=16)
    text = "The red fox runs. " * 30 + "The blue owl sleeps. " * 30
    told = mine.post(
        f"/datasets/{made}/documents", {"text": text, "document_id": "t", "chunk_size": 40}
    ).json()
    semantic = mine.post(
        f"/datasets/{made}/search/text", {"query_text": "blue owl sleeps", "mode": "semantic"}
    )
    replaced = mine.post(
        f"/datasets/{made}/documents", {"text": "An owl.", "document_id": "t", "overwrite": True}
    )

    assert (told["failed_count"], told["inserted_count"]) == (0, told["chunk_count"])
    assert "owl" in semantic.json()["results"][0]["vector"]["content"]
    assert replaced.json()["removed_count"] == told["chunk_count"] - 1
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 1


def test_two_tenants_have_datasets_of_one_name(mine: VectorTenant) -> None:
    """Neither meets the other's."""
    other = mine.house.tenant("99")
    first, second = mine.dataset("same", 2), other.dataset("same", 3)

    assert mine.get(f"/datasets/{second}").status_code == 404
    assert other.post(f"/datasets/{first}/search", {"query_vector": [1, 0]}).status_code == 404
    assert mine.post("/datasets", {"name": "same", "dimensions": 2}).status_code == 409
    assert mine.post("/datasets", {"name": "same", "dimensions": 4, "overwrite": True}).status_code == 201
    assert other.get(f"/datasets/{second}").status_code == 200


def test_stats_tell_of_fields_and_types(mine: VectorTenant) -> None:
    """Counts by path, and what the values are."""
    made = filled(mine)
    told = mine.get(f"/datasets/{made}/stats").json()

    assert told["metadata_stats"] == {"at": 60, "even": 60, "n": 60}
    assert (told["vector_count"], told["document_count"]) == (60, 20)
    assert told["fields"]["n"]["max"] == 59
