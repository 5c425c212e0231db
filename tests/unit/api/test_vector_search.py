"""Searches over HTTP: by a vector, by words, by both, in several datasets; asked together; refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from data.claims import TenantId
from data.datasets.ports import SearchAnswer, SearchHit, SearchStats, StoredVector
from data.datasets.records import VectorRecord
from data.errors import CapacityError, NotFoundError, StoreUnavailableError
from deployments.vector_search import Merging, SearchRequest, VectorSearcher, merge
from tests.unit.api.vector_fakes import FakeVectorDatasets, VectorHouse, VectorTenant


@pytest.fixture(scope="module")
def house() -> VectorHouse:
    """An installation for the tests of this module: each speaks as a tenant of its own."""
    return VectorHouse()


@pytest.fixture
def mine(house: VectorHouse, request: pytest.FixtureRequest) -> VectorTenant:
    """A tenant that nobody has been yet."""
    house.charged.clear()
    house.embedded.clear()
    house.port.asked.clear()
    return house.tenant(request.node.name)


def found(answer: Any) -> list[str]:
    return [hit["vector"]["id"] for hit in answer.json()["results"]]


def test_search_answers_with_every_field(mine: VectorTenant) -> None:
    """Of the answer, of a hit, of the figures; nearest first."""
    made = mine.filled()
    answer = mine.post(f"/datasets/{made}/search/", {"query_vector": [1, 0], "options": {"top_k": 2}})
    told = answer.json()
    hit = told["results"][0]

    assert answer.status_code == 200
    assert told.keys() == {
        "results", "total_found", "has_more", "query_time_ms", "embedding_time_ms", "stats",
    }  # fmt: skip
    assert hit.keys() == {"vector", "score", "distance", "rank", "explanation"}
    assert {"vectors_scanned", "index_hits", "filtered_results", "reranking_time_ms", "database_time_ms",
            "post_processing_time_ms", "exact", "plan"} <= told["stats"].keys()  # fmt: skip
    assert [(one["vector"]["id"], one["rank"]) for one in told["results"]] == [("a", 1), ("c", 2)]
    assert (hit["score"], hit["distance"], hit["explanation"]) == (1.0, 0.0, {"vector": "1"})
    assert (told["total_found"], told["has_more"], told["embedding_time_ms"]) == (3, True, 0.0)
    assert (hit["vector"]["dataset_id"], hit["vector"]["dimensions"]) == (made, 2)


def test_search_tells_of_a_vector_what_was_asked_for(mine: VectorTenant) -> None:
    """Content and metadata by default, values when asked."""
    made = mine.filled()
    options = {"include_content": False, "include_metadata": False, "include_values": True, "top_k": 1}
    (full,) = mine.post(f"/datasets/{made}/search", {"query_vector": [1, 0], "options": {"top_k": 1}}).json()[
        "results"
    ]
    (bare,) = mine.post(f"/datasets/{made}/search", {"query_vector": [1, 0], "options": options}).json()[
        "results"
    ]

    assert (full["vector"]["content"], full["vector"]["metadata"], full["vector"]["values"]) == (
        "red fox",
        {"year": 1},
        [],
    )
    assert (bare["vector"]["content"], bare["vector"]["metadata"], bare["vector"]["values"]) == (
        None,
        {},
        [1.0, 0.0],
    )


def test_search_passes_every_option_on() -> None:
    """As they are in the port; a threshold is a least score, the higher of the two counts."""
    seen: list[SearchRequest] = []

    class Noting(FakeVectorDatasets):
        def search(self, tenant: Any, requests: Any) -> Any:
            seen.extend(requests)
            return super().search(tenant, requests)

    mine = VectorHouse(port=Noting()).tenant("options")
    made = mine.filled()
    options = {
        "top_k": 7, "threshold": 0.2, "min_score": 0.1, "metric_type": "cosine", "filters": {"year": 2},
        "deduplicate": True, "group_by_document": True, "rerank": True, "ef_search": 64, "nprobe": 8,
        "max_distance": 0.9, "exact": True,
    }  # fmt: skip
    mine.post(f"/datasets/{made}/search", {"query_vector": [1, 0], "options": options})
    (request,) = seen
    told = request.options

    assert (told.top_k, told.min_score, told.metric, told.filters) == (7, 0.2, "cosine", {"year": 2})
    assert (told.deduplicate, told.group_by_document, told.rerank, told.exact) == (True,) * 4
    assert (told.ef_search, told.nprobe, told.max_distance) == (64, 8, 0.9)
    assert request.vector == [1.0, 0.0]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query_vector"),
        ({"query_vector": []}, "query_vector"),
        ({"query_vector": "x"}, "query_vector"),
        ({"query_vector": [1, "0"]}, "query_vector[1]"),
        ({"query_vector": [1, 0], "options": {"top_k": 0}}, "options.top_k"),
        ({"query_vector": [1, 0], "options": {"top_k": 1_001}}, "options.top_k"),
        ({"query_vector": [1, 0], "options": {"top_k": 2.5}}, "options.top_k"),
        ({"query_vector": [1, 0], "options": {"metric_type": "hamming"}}, "options.metric_type"),
        ({"query_vector": [1, 0], "options": {"ef_search": 0}}, "options.ef_search"),
        ({"query_vector": [1, 0], "options": {"filters": 3}}, "options.filters"),
        ({"query_vector": [1, 0], "top_k": 3}, "top_k"),
        ({"query_vector": [0.5] * 10_001}, "query_vector"),
    ],
)
def test_search_that_does_not_fit_is_422_naming_the_field(
    mine: VectorTenant, body: dict[str, Any], field: str
) -> None:
    """Before anything is searched."""
    made = mine.filled()
    mine.house.port.asked.clear()
    answer = mine.post(f"/datasets/{made}/search", body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == field
    assert mine.house.port.asked == []


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_query_that_is_not_finite_is_422(mine: VectorTenant, number: str) -> None:
    """In the vector or in an option."""
    made = mine.filled()
    for body in ({"query_vector": ["@", 1]}, {"query_vector": [1, 0], "options": {"min_score": "@"}}):
        text = json.dumps(body).replace('"@"', number)
        answer = mine.send(f"/datasets/{made}/search", text.encode())
        assert (answer.status_code, "finite" in answer.json()["detail"]) == (422, True)


def test_query_of_the_wrong_length_is_400_with_the_dimension(mine: VectorTenant) -> None:
    """As the wire says."""
    made = mine.filled()
    answer = mine.post(f"/datasets/{made}/search", {"query_vector": [1, 0, 0]})

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-value")
    assert "dimension" in answer.json()["detail"]


def test_filter_that_is_none_is_400_with_the_position(mine: VectorTenant) -> None:
    """In a search as in a list."""
    made = mine.filled()
    body = {"query_vector": [1, 0], "options": {"filters": "year = = 2"}}
    answer = mine.post(f"/datasets/{made}/search", body)

    assert (answer.status_code, "position" in answer.json()["detail"]) == (400, True)


def test_search_of_an_unknown_dataset_is_404(mine: VectorTenant) -> None:
    """By every way."""
    for path, body in (
        ("", {"query_vector": [1]}),
        ("/text", {"query_text": "x"}),
        ("/hybrid", {"query_vector": [1]}),
    ):
        assert mine.post(f"/datasets/{'0' * 32}/search{path}", body).status_code == 404


def test_text_search_goes_by_words(mine: VectorTenant) -> None:
    """Nothing is embedded, no distance is told."""
    made = mine.filled()
    answer = mine.post(f"/datasets/{made}/search/text", {"query_text": "red fox"})

    assert found(answer) == ["a", "b"]
    assert answer.json()["results"][0]["distance"] is None
    assert (mine.house.embedded, answer.json()["embedding_time_ms"]) == ([], 0.0)


def test_text_search_by_meaning_embeds_the_text(mine: VectorTenant) -> None:
    """And tells the time that took."""
    made = mine.dataset(dimensions=16)
    for name, text in (("a", "red fox"), ("b", "stock market")):
        mine.post(f"/datasets/{made}/vectors", {"id": name, "document_id": "d", "content": text})
    answer = mine.post(f"/datasets/{made}/search/text", {"query_text": "red fox", "mode": "semantic"})

    assert found(answer)[0] == "a"
    assert mine.house.embedded == ["red fox"]
    assert 0 < answer.json()["embedding_time_ms"] <= answer.json()["query_time_ms"]


def test_text_whose_vectors_are_of_another_length_is_400(mine: VectorTenant) -> None:
    """With both lengths, and what to send instead."""
    made = mine.filled()
    answer = mine.post(f"/datasets/{made}/search/text", {"query_text": "fox", "mode": "semantic"})

    assert answer.status_code == 400
    assert all(word in answer.json()["detail"] for word in ("16", "2 dimensions", "query_vector"))


def test_meaning_without_an_embedder_is_503() -> None:
    """Words are searched all the same."""
    mine = VectorHouse(with_embedder=False).tenant("words")
    made = mine.filled()
    semantic = mine.post(f"/datasets/{made}/search/text", {"query_text": "fox", "mode": "semantic"})

    assert semantic.status_code == 503
    assert mine.post(f"/datasets/{made}/search/text", {"query_text": "fox"}).status_code == 200


def test_hybrid_search_asks_by_vector_and_words() -> None:
    """With the weights and the method of fusion that were sent."""
    seen: list[SearchRequest] = []

    class Noting(FakeVectorDatasets):
        def search(self, tenant: Any, requests: Any) -> Any:
            seen.extend(requests)
            return super().search(tenant, requests)

    mine = VectorHouse(port=Noting()).tenant("hybrid")
    made = mine.filled()
    body = {
        "query_vector": [0, 1], "query_text": "red", "vector_weight": 0.3, "text_weight": 0.7,
        "fusion_method": "comb_mnz",
    }  # fmt: skip
    assert mine.post(f"/datasets/{made}/search/hybrid", body).status_code == 200
    (request,) = seen

    assert (request.vector, request.text, request.fusion) == ([0.0, 1.0], "red", "comb_mnz")
    assert (request.vector_weight, round(request.text_weight, 9)) == (0.3, 0.7)


def test_hybrid_search_makes_the_vector_of_the_text(mine: VectorTenant) -> None:
    """Where none is sent."""
    made = mine.dataset(dimensions=16)
    mine.post(f"/datasets/{made}/vectors", {"id": "a", "document_id": "d", "content": "red fox"})
    answer = mine.post(f"/datasets/{made}/search/hybrid", {"query_text": "red fox"})

    assert found(answer) == ["a"]
    assert mine.house.embedded == ["red fox"]
    assert answer.json()["embedding_time_ms"] > 0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "query_text"),
        ({"query_text": "x", "vector_weight": 0.9, "text_weight": 0.9}, "text_weight"),
        ({"query_text": "x", "vector_weight": 1.1, "text_weight": -0.1}, "vector_weight"),
        ({"query_text": "x", "fusion_method": "magic"}, "fusion_method"),
        ({"query_text": ""}, "query_text"),
        ({"query_text": "x" * 10_001}, "query_text"),
    ],
)
def test_hybrid_search_that_does_not_fit_is_422(mine: VectorTenant, body: dict[str, Any], field: str) -> None:
    """Naming the field."""
    made = mine.filled()
    answer = mine.post(f"/datasets/{made}/search/hybrid", body)

    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


def test_several_datasets_are_one_ranking(mine: VectorTenant) -> None:
    """By score where one metric measures them; each hit says whence it is; each dataset is charged."""
    first, second = mine.filled("one"), mine.filled("two")
    mine.house.charged.clear()
    body = {"dataset_ids": [first, second, first], "query_vector": [1, 0], "options": {"top_k": 3}}
    told = mine.post("/search/multi-dataset/", body).json()
    hits = [(hit["vector"]["id"], hit["rank"], hit["score"]) for hit in told["results"]]

    assert hits == [("a", 1, 1.0), ("a", 2, 1.0), ("c", 3, 0.6)]
    assert [hit["vector"]["dataset_id"] for hit in told["results"][:2]] == sorted([first, second])
    assert (told["total_found"], told["has_more"], told["stats"]["vectors_scanned"]) == (6, True, 6)
    assert mine.house.charged == [1, 1]
    assert mine.house.port.asked == [(mine.name, 2)]


def test_datasets_of_two_metrics_are_merged_by_rank(mine: VectorTenant) -> None:
    """Their scores do not mean the same; what each said is in the explanation."""
    first, second = mine.filled("one"), mine.filled("two", metric_type="dot_product")
    body = {"dataset_ids": [first, second], "query_vector": [1, 0], "options": {"top_k": 4}}
    told = mine.post("/search/multi-dataset", body).json()["results"]

    assert [hit["score"] for hit in told] == [round(1 / 61, 6)] * 2 + [round(1 / 62, 6)] * 2
    assert {hit["explanation"]["own"] for hit in told} == {"1", "0.6"}


def test_several_datasets_are_asked_as_one_is(mine: VectorTenant) -> None:
    """The question may stand in ``search_request``; twice it may not."""
    made = mine.filled()
    inner = {"query_vector": [1, 0], "options": {"top_k": 1}}
    answer = mine.post("/search/multi-dataset", {"dataset_ids": [made], "search_request": inner})
    twice = mine.post("/search/multi-dataset", {"dataset_ids": [made], "search_request": inner, **inner})
    nothing = mine.post("/search/multi-dataset", {"dataset_ids": [made]})

    assert found(answer) == ["a"]
    assert (twice.status_code, nothing.status_code) == (422, 422)


def test_one_unknown_dataset_among_several_is_404(mine: VectorTenant) -> None:
    """Half an answer would look like a whole one."""
    body = {"dataset_ids": [mine.filled(), "0" * 32], "query_vector": [1, 0]}

    assert mine.post("/search/multi-dataset", body).status_code == 404


def test_searches_that_wait_share_one_call() -> None:
    """While one is at work the others gather; every one gets its own answer."""
    house = VectorHouse()
    mine = house.tenant("crowd")
    made = mine.filled()
    queries = [[1, 0], [0, 1], [0.6, 0.8]] * 20
    house.port.asked.clear()
    body = [
        ("POST", f"/datasets/{made}/search", {"json": {"query_vector": query, "options": {"top_k": 1}}})
        for query in queries
    ]
    answers = mine.calls(body)

    assert [found(answer)[0] for answer in answers] == ["a", "b", "c"] * 20
    assert sum(count for _, count in house.port.asked) == 60
    assert len(house.port.asked) < 60


def hit(dataset: str, name: str, score: float, rank: int, content: str | None = None) -> SearchHit:
    return SearchHit(dataset, StoredVector(VectorRecord(name, "d", content_hash=content)), score, None, rank)


def answer_of(*hits: SearchHit, plan: str = "hnsw", exact: bool = False) -> SearchAnswer:
    return SearchAnswer(hits, len(hits), has_more=False, stats=SearchStats(5, 4, 1, plan, exact))


def test_merging_drops_equal_contents_where_asked() -> None:
    """The nearer one stays; those without a hash are never equal."""
    answers = {
        "x": answer_of(hit("x", "a", 0.9, 1, "h"), hit("x", "b", 0.5, 2)),
        "y": answer_of(hit("y", "a", 0.8, 1, "h"), hit("y", "c", 0.4, 2), plan="scan", exact=True),
    }
    kept = merge(answers, Merging(10, comparable=True, deduplicate=True))

    assert [(one.dataset_id, one.vector.record.id, one.rank) for one in kept.hits] == [
        ("x", "a", 1), ("x", "b", 2), ("y", "c", 3),
    ]  # fmt: skip
    assert (kept.stats.plan, kept.stats.exact, kept.stats.vectors_scanned) == ("hnsw+scan", False, 10)


def searcher(port: FakeVectorDatasets, **more: int) -> VectorSearcher:
    return VectorSearcher(port, **more)


def filled_port() -> tuple[FakeVectorDatasets, str, str]:
    """A port with a dataset of each of two tenants."""
    house = VectorHouse()
    return house.port, house.tenant("t").filled(), house.tenant("u").filled()


def test_tenants_that_wait_together_are_asked_apart() -> None:
    """One call a tenant, so that no request crosses; each answer goes where it belongs."""
    port, first, second = filled_port()
    port.asked.clear()

    async def ask() -> list[Any]:
        one = searcher(port, in_flight=1)
        port.gate.clear()
        calls = [
            asyncio.create_task(one.search(TenantId(who), [SearchRequest(name, vector=[1, 0])]))
            for who, name in [("t", first), ("u", second)] * 5
        ]
        await asyncio.sleep(0.01)
        port.gate.set()
        return await asyncio.gather(*calls)

    answers = asyncio.run(ask())

    assert [answer[0].hits[0].dataset_id for answer in answers] == [first, second] * 5
    assert sum(count for _, count in port.asked) == 10
    assert len(port.asked) < 10


def test_failure_of_one_search_is_no_matter_of_its_neighbours() -> None:
    """A bad request among good ones, of the same tenant or another."""
    port, first, second = filled_port()

    async def ask() -> list[Any]:
        one = searcher(port, in_flight=1)
        wanted = [("t", first, [1, 0]), ("t", first, [1, 0, 0]), ("t", second, [1, 0]), ("u", second, [0, 1])]
        calls = [
            one.search(TenantId(who), [SearchRequest(name, vector=query)]) for who, name, query in wanted
        ]
        return await asyncio.gather(*calls, return_exceptions=True)

    good, misfit, foreign, other = asyncio.run(ask())

    assert (good[0].hits[0].vector.record.id, other[0].hits[0].vector.record.id) == ("a", "b")
    assert "dimension" in str(misfit)
    assert isinstance(foreign, NotFoundError)


def test_port_that_is_away_fails_its_searches_as_such() -> None:
    """With the port's own error."""
    port, first, _ = filled_port()
    port.failing = StoreUnavailableError("away")

    async def ask() -> None:
        await searcher(port).search(TenantId("t"), [SearchRequest(first, vector=[1, 0])])

    with pytest.raises(StoreUnavailableError):
        asyncio.run(ask())


def test_more_searches_than_may_wait_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """503 at once rather than an answer that nobody waits for any more."""
    port, first, _ = filled_port()
    monkeypatch.setattr("deployments.vector_search.WAITING", 4)

    async def ask() -> list[Any]:
        one = searcher(port, in_flight=1, batch=1)
        port.gate.clear()
        calls = [
            asyncio.create_task(one.search(TenantId("t"), [SearchRequest(first, vector=[1, 0])]))
            for _ in range(12)
        ]
        await asyncio.sleep(0.01)
        port.gate.set()
        return await asyncio.gather(*calls, return_exceptions=True)

    told = asyncio.run(ask())

    assert any(isinstance(one, CapacityError) for one in told)
    assert any(isinstance(one, list) for one in told)
