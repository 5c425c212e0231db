"""Vectors over HTTP: written singly and in batches, listed, shown, changed, removed; and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from data.knowledge import text_sha256
from deployments.services import ApiLimits
from tests.fakes import FakeEmbedder
from tests.unit.api.vector_fakes import VectorHouse, VectorTenant

VECTOR_FIELDS = {
    "id", "dataset_id", "document_id", "chunk_id", "values", "content", "content_hash", "metadata",
    "content_type", "language", "chunk_index", "chunk_count", "model", "dimensions", "created_at",
    "updated_at", "tenant_id",
}  # fmt: skip


@pytest.fixture(scope="module")
def house() -> VectorHouse:
    """An installation for the tests of this module: each speaks as a tenant of its own."""
    return VectorHouse()


@pytest.fixture
def mine(house: VectorHouse, request: pytest.FixtureRequest) -> VectorTenant:
    """A tenant that nobody has been yet."""
    house.charged.clear()
    house.port.inserts.clear()
    return house.tenant(request.node.name)


def vector(number: int, values: Any = (1, 0), **more: Any) -> dict[str, Any]:
    return {"id": f"v{number}", "document_id": "d", "values": list(values), **more}


@pytest.mark.parametrize("path", ["/vectors", "/vectors/", "/vectors/batch", "/vectors/batch/"])
def test_batch_is_written_by_either_path(mine: VectorTenant, path: str) -> None:
    """201 with the counts, and the next read has them."""
    made = mine.dataset()
    answer = mine.post(f"/datasets/{made}{path}", {"vectors": [vector(1), vector(2, (0, 1))]})
    told = answer.json()

    assert answer.status_code == 201
    assert told.pop("processing_time_ms") >= 0
    assert told == {
        "success": True, "inserted_count": 2, "skipped_count": 0, "failed_count": 0, "error_messages": [],
    }  # fmt: skip
    assert mine.get(f"/datasets/{made}/vectors/v2").json()["values"] == [0.0, 1.0]


def test_single_vector_is_written_as_the_body(mine: VectorTenant) -> None:
    """With every field it may have, and all come back."""
    made = mine.dataset()
    sent = vector(
        1, content="red fox", metadata={"a": {"b": [1, None, "x"]}}, content_type="text/plain", language="en",
        chunk_id="c", chunk_index=0, chunk_count=3, model="m",
    )  # fmt: skip
    assert mine.post(f"/datasets/{made}/vectors/", sent).json()["inserted_count"] == 1
    told = mine.get(f"/datasets/{made}/vectors/v1").json()

    assert told.keys() == VECTOR_FIELDS
    assert {name: told[name] for name in sent} == sent
    assert told["content_hash"] == text_sha256("red fox")
    assert (told["dimensions"], told["dataset_id"], told["tenant_id"]) == (2, made, mine.name)


def test_vector_of_the_wrong_length_is_counted_and_its_neighbours_go_in(mine: VectorTenant) -> None:
    """201; the message names its place in the request."""
    made = mine.dataset()
    body = {"vectors": [vector(1), vector(2, (1, 2, 3)), vector(3)]}
    answer = mine.post(f"/datasets/{made}/vectors/batch", body)
    told = answer.json()

    assert answer.status_code == 201
    assert (told["success"], told["inserted_count"], told["failed_count"]) == (False, 2, 1)
    assert told["error_messages"][0].startswith("vectors[1]: ")


@pytest.mark.parametrize(
    ("flags", "counts"),
    [({}, (0, 0, 1)), ({"skip_existing": True}, (0, 1, 0)), ({"overwrite": True}, (1, 0, 0))],
)
def test_vector_that_is_there_fails_is_skipped_or_replaced(
    mine: VectorTenant, flags: dict[str, bool], counts: tuple[int, int, int]
) -> None:
    """As the body says."""
    made = mine.dataset()
    path = f"/datasets/{made}/vectors/batch"
    mine.post(path, {"vectors": [vector(1)]})
    told = mine.post(path, {"vectors": [vector(1, (0, 1))], **flags}).json()
    kept = mine.get(f"/datasets/{made}/vectors/v1").json()["values"]

    assert (told["inserted_count"], told["skipped_count"], told["failed_count"]) == counts
    assert kept == ([0.0, 1.0] if flags.get("overwrite") else [1.0, 0.0])


def test_both_ways_with_what_is_there_cannot_be_asked(mine: VectorTenant) -> None:
    """422, and nothing is written."""
    made = mine.dataset()
    body = {"vectors": [vector(1)], "skip_existing": True, "overwrite": True}

    assert mine.post(f"/datasets/{made}/vectors/batch", body).status_code == 422
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 0


def test_vectors_without_ids_get_ids_of_their_own(mine: VectorTenant) -> None:
    """Two alike are two."""
    made = mine.dataset()
    one = {"document_id": "d", "values": [1, 0]}
    told = mine.post(f"/datasets/{made}/vectors", {"vectors": [one, one]}).json()
    ids = {shown["id"] for shown in mine.get(f"/datasets/{made}/vectors").json()}

    assert (told["inserted_count"], len(ids)) == (2, 2)


def test_vector_without_values_is_embedded_from_its_content(mine: VectorTenant) -> None:
    """Its numbers are those of the text."""
    made = mine.dataset(dimensions=16)
    mine.post(f"/datasets/{made}/vectors", {"id": "t", "document_id": "d", "content": "red fox"})
    values = mine.get(f"/datasets/{made}/vectors/t").json()["values"]

    assert values == FakeEmbedder().embed(["red fox"])[0].tolist()


def test_batch_is_charged_for_each_vector(mine: VectorTenant) -> None:
    """One unit at the door, the rest once the body is read."""
    made = mine.dataset()
    mine.house.charged.clear()
    mine.post(f"/datasets/{made}/vectors/batch", {"vectors": [vector(number) for number in range(7)]})

    assert mine.house.charged == [1, 6]


def test_batch_size_writes_so_many_at_a_time(mine: VectorTenant) -> None:
    """Places in the messages count from the first of the request."""
    made = mine.dataset()
    vectors = [vector(number) for number in range(4)] + [vector(9, (1, 2, 3))]
    told = mine.post(f"/datasets/{made}/vectors/batch", {"vectors": vectors, "batch_size": 2}).json()

    assert mine.house.port.inserts == [2, 2, 1]
    assert (told["inserted_count"], told["error_messages"][0][:11]) == (4, "vectors[4]:")


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({"vectors": [{"values": [1, 0]}]}, "vectors[0].document_id", "Field required"),
        ({"values": [1, 0]}, "document_id", "Field required"),
        ({}, "document_id", "Field required"),
        ({"vectors": []}, "vectors", "must be a list of length >= 1"),
        ({"vectors": [vector(1)] * 1_001}, "vectors", "must be a list of length <= 1000"),
        ({"vectors": [vector(1, ["1", 0])]}, "vectors[0].values[0]", "must be a number, not a string"),
        ({"vectors": [vector(1, [True, 0])]}, "vectors[0].values[0]", "must be a number, not true or false"),
        ({"vectors": [vector(1, [None, 0])]}, "vectors[0].values[0]", "must be a number, not null"),
        ({"vectors": [vector(1, id="x" * 10_000)]}, "vectors[0].id", "must be a string of length <= 512"),
        ({"vectors": [vector(1, id="")]}, "vectors[0].id", "must be a string of length >= 1"),
        ({"vectors": [vector(1, id="a\nb")]}, "vectors[0].id", "must not hold control characters"),
        ({"vectors": [vector(1, colour="red")]}, "vectors[0].colour", "is not a known field"),
        (
            {"vectors": [vector(1, metadata=[1])]},
            "vectors[0].metadata",
            "must be an object or null, not a list",
        ),
        ({"vectors": [vector(1, chunk_index=-1)]}, "vectors[0].chunk_index", "must be a whole number >= 0"),
        ([vector(1)], "body", "must be an object, not a list"),
    ],
)  # fmt: skip
def test_body_that_does_not_fit_is_422_naming_the_field(
    mine: VectorTenant, body: Any, field: str, reason: str
) -> None:
    """And nothing of it is written."""
    made = mine.dataset()
    answer = mine.post(f"/datasets/{made}/vectors/", body)

    assert answer.status_code == 422
    assert answer.json()["errors"] == [{"field": field, "reason": reason}]
    assert answer.json()["detail"] == f"{field}: {reason}."
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 0


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999"])
def test_number_that_is_not_finite_is_422(mine: VectorTenant, number: str) -> None:
    """As Python's json writes it, and as a number out of range."""
    made = mine.dataset()
    text = json.dumps({"vectors": [vector(1), vector(2, ("@", 1))]}).replace('"@"', number)
    answer = mine.send(f"/datasets/{made}/vectors/batch", text.encode())

    assert answer.status_code == 422
    assert "finite" in answer.json()["detail"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b'{"vectors": [', b'{"vectors": [{"document_id": "\xff"}]}', b'{"a":' * 100_000, b"nul"],
)
def test_body_that_is_no_json_is_4xx(mine: VectorTenant, body: bytes) -> None:
    """Cut short, no UTF-8, too deep: with a sentence, never a 500."""
    answer = mine.send(f"/datasets/{mine.dataset()}/vectors/batch", body)

    assert answer.status_code in (400, 422)
    assert answer.json()["detail"]


def test_body_of_another_kind_is_415(mine: VectorTenant) -> None:
    """Before it is read."""
    path = f"/datasets/{mine.dataset()}/vectors"
    answer = mine.call("POST", path, content=b"{}", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 415


def test_large_body_is_taken_for_vectors_and_for_nothing_else() -> None:
    """The limit of vectors is theirs alone, under both prefixes; beyond it is 413."""
    house = VectorHouse(ApiLimits(body_bytes=2_000, vector_body_bytes=10_000))
    mine = house.tenant("large")
    made = mine.dataset(dimensions=500)
    body = {"vectors": [vector(1, [0.25] * 500)]}
    padded = {"vectors": [vector(1, [0.25] * 500, content="x" * 9_000)]}
    search = mine.post(f"/datasets/{made}/search", {"query_vector": [0.25] * 500})

    assert mine.post(f"/datasets/{made}/vectors", body).status_code == 201
    assert (mine.post(f"/datasets/{made}/vectors", padded).status_code, search.status_code) == (413, 413)
    assert mine.post(f"/knowledge/documents/datasets/{made}/vectors", padded).status_code == 413


def test_vectors_are_listed_by_offset_and_filter(mine: VectorTenant) -> None:
    """In the order they were written, without their numbers unless asked for."""
    made = mine.filled()
    path = f"/datasets/{made}/vectors/"
    second = mine.get(path, limit=1, offset=1)
    found = mine.get(path, filters='{"year": 2}', include_values="true").json()

    assert [one["id"] for one in second.json()] == ["b"]
    assert second.headers["X-Total-Count"] == "3"
    assert second.json()[0]["values"] == []
    assert found[0]["values"] == [0.0, 1.0]
    assert [one["id"] for one in found] == ["b", "c"]


@pytest.mark.parametrize(
    "query",
    [{"limit": 0}, {"limit": 1_001}, {"offset": -1}, {"offset": "²"}, {"include_values": "yes"},
     {"filters": '{"a": '}, {"filters": "a = "}],
)  # fmt: skip
def test_list_with_a_query_that_is_none_is_400(mine: VectorTenant, query: dict[str, Any]) -> None:
    """A filter's fault with its position."""
    made = mine.filled()
    answer = mine.get(f"/datasets/{made}/vectors", **query)

    assert answer.status_code == 400
    assert "position" in answer.json()["detail"] or "filters" not in query


def test_vector_is_changed_in_what_was_sent_only(mine: VectorTenant) -> None:
    """The numbers stay with new content, whose hash is new."""
    made = mine.filled()
    path = f"/datasets/{made}/vectors/a"
    answer = mine.call("PUT", path, json={"content": "old fox", "metadata": {"k": 1}})
    told = answer.json()

    assert answer.status_code == 200
    assert (told["values"], told["content"], told["metadata"]) == ([1.0, 0.0], "old fox", {"k": 1})
    assert (told["document_id"], told["content_hash"]) == ("d1", text_sha256("old fox"))
    assert mine.get(path).json() == told


def test_vector_is_embedded_anew_where_asked(mine: VectorTenant) -> None:
    """From the content it has then; not together with numbers."""
    made = mine.dataset(dimensions=16)
    mine.post(f"/datasets/{made}/vectors", {"id": "t", "document_id": "d", "content": "red fox"})
    path = f"/datasets/{made}/vectors/t"
    told = mine.call("PUT", path, json={"content": "blue fox", "embed": True}).json()

    assert told["values"] == FakeEmbedder().embed(["blue fox"])[0].tolist()
    assert mine.call("PUT", path, json={"values": [0.5] * 16, "embed": True}).status_code == 422


def test_vector_cannot_be_changed_to_another_length(mine: VectorTenant) -> None:
    """400, and it stays what it was."""
    made = mine.filled()
    path = f"/datasets/{made}/vectors/a"
    answer = mine.call("PUT", path, json={"values": [1, 2, 3]})

    assert (answer.status_code, "dimension" in answer.json()["detail"]) == (400, True)
    assert mine.get(path).json()["values"] == [1.0, 0.0]


def test_if_match_guards_a_vector_and_if_none_match_saves_it_twice(mine: VectorTenant) -> None:
    """412 for the late one; 304 for the one who has it."""
    made = mine.filled()
    path = f"/datasets/{made}/vectors/a"
    tag = mine.get(path).headers["ETag"]
    known = mine.call("GET", path, headers={"If-None-Match": tag})
    first = mine.call("PUT", path, json={"language": "en"}, headers={"If-Match": tag})
    late = mine.call("PUT", path, json={"language": "de"}, headers={"If-Match": tag})
    gone = mine.call("DELETE", path, headers={"If-Match": tag})
    last = mine.call("DELETE", path, headers={"If-Match": first.headers["ETag"]})

    assert (known.status_code, first.status_code, late.status_code) == (304, 200, 412)
    assert (gone.status_code, last.status_code) == (412, 200)


@pytest.mark.parametrize("field", ["ids", "vector_ids"])
def test_vectors_are_removed_by_a_list_of_ids(mine: VectorTenant, field: str) -> None:
    """Those that are not there are not counted."""
    made = mine.filled()
    answer = mine.call("DELETE", f"/datasets/{made}/vectors/batch", json={field: ["a", "c", "zz"]})

    assert (answer.status_code, answer.json()["deleted_count"]) == (200, 2)
    assert [one["id"] for one in mine.get(f"/datasets/{made}/vectors").json()] == ["b"]


@pytest.mark.parametrize("body", [{}, {"ids": []}, {"ids": ["a"], "vector_ids": ["b"]}, {"ids": "a"}])
def test_list_of_ids_that_is_none_is_422(mine: VectorTenant, body: dict[str, Any]) -> None:
    """And removes nothing."""
    made = mine.filled()

    assert mine.call("DELETE", f"/datasets/{made}/vectors/batch", json=body).status_code == 422
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 3


@pytest.mark.parametrize("name", ["a/b", "ä#1", "batch", "100%", "a b?c"])
def test_vector_of_any_printable_id_is_reached_by_its_path(mine: VectorTenant, name: str) -> None:
    """Escaped, as paths are."""
    from urllib.parse import quote

    made = mine.dataset()
    mine.post(f"/datasets/{made}/vectors", {**vector(1), "id": name})
    path = f"/datasets/{made}/vectors/{quote(name, safe='')}"

    assert mine.get(path).json()["id"] == name
    if name != "batch":
        assert mine.call("DELETE", path).status_code == 200


def test_vector_that_is_not_there_is_404(mine: VectorTenant) -> None:
    """Shown, changed, removed; however long its id."""
    made = mine.filled()
    for name in ("zz", "x" * 10_000):
        path = f"/datasets/{made}/vectors/{name}"
        calls = [("GET", None), ("PUT", {"language": "en"}), ("DELETE", None)]
        assert {mine.call(method, path, json=body).status_code for method, body in calls} == {404}


def test_insert_repeated_under_its_key_writes_nothing_twice(mine: VectorTenant) -> None:
    """Vectors without ids as well."""
    made = mine.dataset()
    body = {"vectors": [{"document_id": "d", "values": [1, 0]}]}
    first, again = (
        mine.post(f"/datasets/{made}/vectors/batch", body, **{"Idempotency-Key": "k"}) for _ in range(2)
    )

    assert (first.status_code, again.content) == (201, first.content)
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 1


def test_insert_whose_answer_was_lost_makes_the_same_ids_again(mine: VectorTenant) -> None:
    """Without the kept answer too: what was written is found there, not written beside it."""
    made = mine.dataset()
    body, store = {"vectors": [{"document_id": "d", "values": [1, 0]}]}, mine.house.rig.store
    path, key = f"/datasets/{made}/vectors/batch", {"Idempotency-Key": "k"}
    mine.post(path, body, **key)
    for name, _ in store.scan("answer/"):
        store.delete(name)
    told = mine.post(path, body, **key).json()

    assert (told["inserted_count"], told["failed_count"]) == (0, 1)
    assert mine.get(f"/datasets/{made}").json()["vector_count"] == 1
