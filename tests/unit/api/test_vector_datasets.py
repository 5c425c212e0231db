"""Datasets and their indexes over HTTP: made, listed, changed, removed, as the wire says."""

from __future__ import annotations

from typing import Any

import pytest

from data.errors import StoreUnavailableError
from data.store_sweep import prefixes
from tests.unit.api.fakes import Rig
from tests.unit.api.vector_fakes import VectorHouse, VectorTenant

FIELDS = {
    "id", "name", "description", "dimensions", "metric_type", "shards", "index_type", "metadata",
    "storage_location", "vector_count", "storage_size", "created_at", "updated_at", "tenant_id",
}  # fmt: skip


@pytest.fixture(scope="module")
def house() -> VectorHouse:
    """An installation for the tests of this module: each speaks as a tenant of its own."""
    return VectorHouse()


@pytest.fixture
def mine(house: VectorHouse, request: pytest.FixtureRequest) -> VectorTenant:
    """A tenant that nobody has been yet, of an installation where nothing is away."""
    house.port.failing, house.rig.store.away = None, False
    house.port.builds.clear()
    return house.tenant(request.node.name)


def test_dataset_is_made_with_every_field(mine: VectorTenant) -> None:
    """201, where it is, and its defaults."""
    answer = mine.post("/datasets/", {"name": "zoo", "dimensions": 3})
    told = answer.json()

    assert answer.status_code == 201
    assert answer.headers["Location"].endswith(f"/datasets/{told['id']}")
    assert told.keys() == FIELDS
    assert (told["metric_type"], told["index_type"], told["vector_count"]) == ("cosine", "default", 0)
    assert (told["tenant_id"], told["dimensions"]) == (mine.name, 3)


def test_dataset_of_a_name_that_is_taken_is_409_unless_overwritten(mine: VectorTenant) -> None:
    """The new one is empty and has another id."""
    first = mine.filled("zoo")
    again = mine.post("/datasets", {"name": "zoo", "dimensions": 2})
    over = mine.post("/datasets", {"name": "zoo", "dimensions": 5, "overwrite": True})

    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    assert over.status_code == 201
    assert (over.json()["vector_count"], over.json()["dimensions"]) == (0, 5)
    assert over.json()["id"] != first
    assert mine.get(f"/datasets/{first}").status_code == 404


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", ""),
        ("name", "x" * 256),
        ("name", "a\nb"),
        ("dimensions", 0),
        ("dimensions", 10_001),
        ("dimensions", 3.5),
        ("metric_type", "hamming"),
        ("index_type", "lsh"),
        ("hnsw_m", 1),
        ("shards", 0),
        ("shards", 65),
        ("metadata", []),
        ("storage_location", "elsewhere"),
    ],
)
def test_dataset_field_that_does_not_fit_is_422_naming_it(mine: VectorTenant, field: str, value: Any) -> None:
    """Nothing is made."""
    answer = mine.post("/datasets", {"name": "zoo", "dimensions": 3, field: value})

    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"].startswith(f"{field}: ")
    assert mine.get("/datasets").json() == []


def test_unknown_metric_is_refused_with_those_there_are(mine: VectorTenant) -> None:
    """The sender need not look them up."""
    answer = mine.post("/datasets", {"name": "zoo", "dimensions": 3, "metric_type": "hamming"})

    assert "cosine, euclidean, manhattan, dot_product" in answer.json()["detail"]


def test_datasets_are_listed_plainly_by_pages(mine: VectorTenant) -> None:
    """Oldest first; a page beyond the last is empty."""
    for name in "abc":
        mine.dataset(name)
    names = [
        [one["name"] for one in mine.get("/datasets/", page=page, page_size=2).json()] for page in (1, 2, 3)
    ]

    assert names == [["a", "b"], ["c"], []]
    assert mine.get("/datasets").headers["X-Total-Count"] == "3"


@pytest.mark.parametrize("query", [{"page": 0}, {"page": "x"}, {"page_size": 1_001}, {"page_size": "1e2"}])
def test_page_that_is_none_is_400(mine: VectorTenant, query: dict[str, Any]) -> None:
    """With the bounds."""
    answer = mine.get("/datasets", **query)

    assert (answer.status_code, answer.json()["code"]) == (400, "invalid-value")


def test_dataset_is_changed_in_what_was_sent_only(mine: VectorTenant) -> None:
    """Index settings too; ``null`` means left out."""
    made = mine.dataset("zoo", description="old", metadata={"a": 1})
    answer = mine.call(
        "PUT", f"/datasets/{made}", json={"name": "park", "index_type": "hnsw", "metadata": None}
    )
    told = answer.json()

    assert answer.status_code == 200
    assert (told["name"], told["description"], told["metadata"]) == ("park", "old", {"a": 1})
    assert mine.get(f"/datasets/{made}").json()["index_type"] == "hnsw"


def test_dataset_keeps_its_dimensions(mine: VectorTenant) -> None:
    """Another length is 400; the same is no change."""
    made = mine.dataset("zoo", 2)

    assert mine.call("PUT", f"/datasets/{made}", json={"dimensions": 3}).status_code == 400
    assert mine.call("PUT", f"/datasets/{made}", json={"dimensions": 2}).status_code == 200


def test_if_match_guards_a_dataset_against_a_change_in_between(mine: VectorTenant) -> None:
    """412 for the one who read the older definition; vectors that came do not count."""
    made = mine.dataset("zoo")
    tag = mine.get(f"/datasets/{made}").headers["ETag"]
    mine.post(f"/datasets/{made}/vectors", {"document_id": "d", "values": [1, 0]})
    first = mine.call("PUT", f"/datasets/{made}", json={"description": "x"}, headers={"If-Match": tag})
    late = mine.call("PUT", f"/datasets/{made}", json={"description": "y"}, headers={"If-Match": tag})
    gone = mine.call("DELETE", f"/datasets/{made}", headers={"If-Match": tag})

    assert (first.status_code, late.status_code, gone.status_code) == (200, 412, 412)
    assert mine.get(f"/datasets/{made}").json()["description"] == "x"


def test_dataset_that_is_removed_is_gone(mine: VectorTenant) -> None:
    """A second time there is nothing to remove."""
    made = mine.dataset("zoo")
    answer = mine.call("DELETE", f"/datasets/{made}/")

    assert answer.json() == {"success": True, "message": f"The dataset {made} is removed."}
    assert mine.call("DELETE", f"/datasets/{made}").status_code == 404


def test_stats_count_vectors_documents_and_fields(mine: VectorTenant) -> None:
    """With the index beside them."""
    made = mine.filled()
    told = mine.get(f"/datasets/{made}/stats").json()

    assert (told["vector_count"], told["document_count"]) == (3, 2)
    assert told["metadata_stats"] == {"year": 3}
    assert told["index_stats"]["delta"] == 3
    assert told["dataset"]["id"] == made


def test_stranger_meets_no_dataset_of_another_tenant(mine: VectorTenant) -> None:
    """404 by every call, and nothing in the list."""
    made, stranger = mine.filled(), mine.house.tenant("other")
    body = {"vectors": [{"document_id": "d", "values": [1, 0]}]}
    calls = [
        ("GET", "", None), ("PUT", "", {"name": "x"}), ("DELETE", "", None), ("GET", "/stats", None),
        ("GET", "/vectors", None), ("GET", "/vectors/a", None), ("POST", "/vectors/batch", body),
        ("PUT", "/vectors/a", {"language": "en"}), ("DELETE", "/vectors/a", None),
        ("DELETE", "/vectors/batch", {"ids": ["a"]}), ("POST", "/search", {"query_vector": [1, 0]}),
        ("POST", "/search/text", {"query_text": "fox"}), ("POST", "/search/hybrid", {"query_vector": [1, 0]}),
        ("GET", "/index", None), ("POST", "/index", {}), ("POST", "/index/optimize", None),
        ("DELETE", "/index", None), ("POST", "/documents", {"text": "A fox."}),
    ]  # fmt: skip
    answers = [stranger.call(method, f"/datasets/{made}{path}", json=body) for method, path, body in calls]
    several = stranger.post("/search/multi-dataset", {"dataset_ids": [made], "query_vector": [1, 0]})

    assert {answer.status_code for answer in answers} == {404}
    assert several.status_code == 404
    assert stranger.get("/datasets").json() == []
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 3


def test_index_is_built_as_asked_and_not_twice_for_nothing(mine: VectorTenant) -> None:
    """The same again changes nothing, unless forced; settings left out stay."""
    made = mine.filled()
    path = f"/datasets/{made}/index"
    first = mine.post(path, {"index_type": "hnsw", "hnsw_m": 32}).json()
    mine.post(path, {"index_type": "hnsw"})
    forced = mine.post(path, {"force_rebuild": True}).json()

    assert (first["status"], first["kind"], first["parameters"]["hnsw_m"]) == ("building", "hnsw", 32)
    assert (forced["version"], forced["parameters"]["hnsw_m"]) == (2, 32)
    assert len(mine.house.port.builds) == 2


def test_index_is_optimised_by_its_own_settings_and_dropped(mine: VectorTenant) -> None:
    """Optimising takes in what stands beside; dropping goes back to flat."""
    made = mine.filled()
    before = mine.get(f"/datasets/{made}/index").json()
    built = mine.post(f"/datasets/{made}/index/optimize/", None).json()
    dropped = mine.call("DELETE", f"/datasets/{made}/index").json()

    assert (before["delta"], built["indexed"], built["delta"]) == (3, 3, 0)
    assert mine.house.port.builds == [None]
    assert (dropped["index_type"], dropped["kind"]) == ("flat", "flat")


def test_installation_without_datasets_says_503() -> None:
    """Of every kind of call."""
    rig = Rig()
    answers = [
        rig.call("GET", "/datasets"),
        rig.post("/datasets", {"name": "x", "dimensions": 2}),
        rig.post("/datasets/x/search", {"query_vector": [1.0]}),
    ]

    assert {answer.status_code for answer in answers} == {503}


def test_write_under_the_same_key_is_done_once(mine: VectorTenant) -> None:
    """The answer is the first one's, and says so; another body under the key is 409."""
    body = {"name": "zoo", "dimensions": 2}
    first, again = (mine.post("/datasets", body, **{"Idempotency-Key": "k"}) for _ in range(2))
    other = mine.post("/datasets", {**body, "name": "park"}, **{"Idempotency-Key": "k"})
    stranger = mine.house.tenant("other").post("/datasets", body, **{"Idempotency-Key": "k"})

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert (other.status_code, stranger.status_code) == (409, 201)
    assert len(mine.get("/datasets").json()) == 1


def test_write_that_failed_may_be_sent_again_under_its_key(mine: VectorTenant) -> None:
    """A refusal is not kept: what was in the way may be gone by then."""
    made = mine.dataset("zoo")
    body, key = {"name": "zoo", "dimensions": 2}, {"Idempotency-Key": "k"}
    refused = mine.post("/datasets", body, **key)
    mine.call("DELETE", f"/datasets/{made}")

    assert refused.status_code == 409
    assert mine.post("/datasets", body, **key).status_code == 201


def test_write_under_a_key_that_is_at_work_is_refused(mine: VectorTenant) -> None:
    """Of two at once under one key, one is done and the other told to wait."""
    request = (
        "POST",
        "/datasets",
        {"json": {"name": "zoo", "dimensions": 2}, "headers": {"Idempotency-Key": "k"}},
    )
    answers = mine.calls([request] * 4)

    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len(mine.get("/datasets").json()) == 1


def test_store_that_is_away_stops_a_write_with_a_key_only(mine: VectorTenant) -> None:
    """Without a key nothing is kept there."""
    mine.house.rig.store.away = True
    body = {"name": "zoo", "dimensions": 2}

    assert mine.post("/datasets", body, **{"Idempotency-Key": "k"}).status_code == 503
    assert mine.post("/datasets", body).status_code == 201


def test_index_that_is_away_is_503_without_internals(mine: VectorTenant) -> None:
    """With Retry-After."""
    made = mine.filled()
    mine.house.port.failing = StoreUnavailableError("the folder /secret is away")
    answer = mine.post(f"/datasets/{made}/search", {"query_vector": [1, 0]})

    assert (answer.status_code, "secret" in answer.text) == (503, False)
    assert int(answer.headers["Retry-After"]) >= 1


def test_dataset_is_reached_by_its_name_too(mine: VectorTenant) -> None:
    """In every path and in a search of several; a name that has passed on means its new bearer."""
    first = mine.filled("my animals")
    query = {"query_vector": [1, 0], "options": {"top_k": 1}}
    found = mine.post("/datasets/my animals/search", query).json()["results"][0]["vector"]
    several = mine.post("/search/multi-dataset", {"dataset_ids": ["my animals", first], **query}).json()
    mine.call("PUT", f"/datasets/{first}", json={"name": "old animals"})
    second = mine.dataset("my animals")

    assert (found["id"], found["dataset_id"]) == ("a", first)
    assert [hit["vector"]["dataset_id"] for hit in several["results"]] == [first]
    assert mine.get("/datasets/my animals").json()["id"] == second
    assert mine.house.tenant("other").get("/datasets/my animals").status_code == 404


def test_kept_answers_go_with_their_tenant(mine: VectorTenant) -> None:
    """What erases a tenant finds them by its name."""
    mine.post("/datasets", {"name": "zoo", "dimensions": 2}, **{"Idempotency-Key": "k"})
    kept = mine.house.rig.store.scan(prefixes(mine.name)["store: answers"])

    assert len(kept) == 1
