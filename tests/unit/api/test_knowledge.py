"""Documents, facts, sources and patterns over HTTP: written, read, listed, replaced, removed; by tenant."""

from __future__ import annotations

from typing import Any

import pytest

from data.changes import put_source
from data.claims import SHARED_TENANT
from data.knowledge import Source
from tests.unit.api.knowledge_fakes import House, Tenant

TEXT = "The Eiffel Tower in Paris is 330 metres tall. It was finished in 1889."
BODIES: dict[str, dict[str, Any]] = {
    "documents": {"text": TEXT, "title": "Eiffel Tower", "published_at": "2020-05-01"},
    "facts": {"subject": "Eiffel Tower", "predicate": "height", "value": 330, "unit": "m"},
    "sources": {"name": "Daily News", "owner": "press-group", "cites": ["agency"]},
    "patterns": {"family": "hedge", "name": "some say", "query": '"some say"'},
}
CHANGED: dict[str, dict[str, Any]] = {
    "documents": {"text": "The tower was painted red."},
    "facts": {"subject": "Eiffel Tower", "predicate": "height", "value": 324, "unit": "m"},
    "sources": {"name": "Daily News", "owner": "another-group"},
    "patterns": {"family": "hedge", "name": "many say", "query": '"many say"'},
}
KINDS = sorted(BODIES)
each_kind = pytest.mark.parametrize("kind", KINDS)


def write(tenant: Tenant, kind: str, **fields: Any) -> dict[str, Any]:
    answer = tenant.post(f"/knowledge/{kind}", {**BODIES[kind], **fields})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_document_is_shown_with_its_passages_and_their_offsets(mine: Tenant) -> None:
    """What was sent comes back, split; each passage is the stretch that its offsets name."""
    text = " ".join(
        f"Sentence number {n} says that the tower has {n} steps and some paint." for n in range(30)
    )
    made = mine.post("/knowledge/documents", {"id": "d", "text": text, "metadata": {"k": "v"}})
    shown = mine.get("/knowledge/documents/d").json()

    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/knowledge/documents/d")
    assert shown == {name: value for name, value in made.json().items() if name != "knowledge_seq"}
    assert (shown["text"], shown["metadata"], shown["characters"]) == (text, {"k": "v"}, len(text))
    assert len(shown["passages"]) > 2
    assert all(text[part["start"] : part["end"]] == part["text"] for part in shown["passages"])


@each_kind
def test_thing_without_an_id_gets_one_from_its_content(mine: Tenant, kind: str) -> None:
    """Sent twice it is one thing."""
    first, again = write(mine, kind), write(mine, kind)

    assert first["id"] == again["id"]
    assert [row["id"] for row in mine.get(f"/knowledge/{kind}").json()] == [first["id"]]


@each_kind
def test_thing_with_any_id_is_found_at_its_location(mine: Tenant, kind: str) -> None:
    """An id may be an address, or in any script."""
    made = mine.post(f"/knowledge/{kind}", {**BODIES[kind], "id": "https://e.org/a b?c#Ü/ß%2F"})
    shown = mine.call("GET", made.headers["Location"].removeprefix("/api/v1"))

    assert shown.status_code == 200
    assert shown.json()["id"] == "https://e.org/a b?c#Ü/ß%2F"


@each_kind
def test_many_things_are_written_together_or_not_at_all(mine: Tenant, kind: str) -> None:
    """A list is answered as a list; one bad item is named and nothing of the list is there."""
    good = [{**BODIES[kind], "id": name} for name in ("a", "b")]
    bad = mine.post(f"/knowledge/{kind}", [*good, {"id": "c", "nonsense": 1}])
    none = mine.get(f"/knowledge/{kind}").json()
    made = mine.post(f"/knowledge/{kind}", good)

    assert (bad.status_code, none) == (422, [])
    assert bad.json()["errors"][0]["field"].startswith("[2].")
    assert [row["id"] for row in made.json()] == ["a", "b"]


@each_kind
def test_list_that_names_one_id_for_two_things_is_refused(mine: Tenant, kind: str) -> None:
    """Which of them counts would be chance."""
    items = [{**BODIES[kind], "id": "a"}, {**CHANGED[kind], "id": "a"}]

    assert mine.post(f"/knowledge/{kind}", items).status_code == 422


@each_kind
def test_thing_as_of_an_earlier_position_is_what_it_was(mine: Tenant, kind: str) -> None:
    """By position: before it was there, as it was first, as it is now, and after it was removed."""
    first = write(mine, kind, id="x")["knowledge_seq"]
    second = mine.call("PUT", f"/knowledge/{kind}/x", json=CHANGED[kind]).json()["knowledge_seq"]
    third = mine.call("DELETE", f"/knowledge/{kind}/x").json()["knowledge_seq"]
    seen = [mine.get(f"/knowledge/{kind}/x", as_of=seq) for seq in (first - 1, first, second, third)]
    listed = [mine.get(f"/knowledge/{kind}", as_of=seq).json() for seq in (first - 1, first, second, third)]

    assert [answer.status_code for answer in seen] == [404, 200, 200, 404]
    assert seen[1].json() != seen[2].json()
    assert [len(rows) for rows in listed] == [0, 1, 1, 0]
    assert seen[1].headers["X-Knowledge-Seq"] == str(first)


def test_as_of_a_moment_is_the_position_of_then(house: House, mine: Tenant) -> None:
    """A day means its end; a time before everything means nothing."""
    write(mine, "documents", id="x")

    assert mine.get("/knowledge/documents/x", as_of="2031-01-01").status_code == 200
    assert mine.get("/knowledge/documents/x", as_of="1999-01-01T00:00:00Z").status_code == 404
    assert mine.get("/knowledge/documents/x", as_of="yesterday").status_code == 422


@each_kind
def test_pages_of_one_walk_are_of_one_state(mine: Tenant, kind: str) -> None:
    """Every thing once, in the order of ids, whatever is written between two pages."""
    names = [f"{n:02}" for n in range(7)]
    mine.post(f"/knowledge/{kind}", [{**BODIES[kind], "id": name} for name in names])
    seen: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = mine.get(f"/knowledge/{kind}", limit=3, cursor=cursor)
        seen += [row["id"] for row in page.json()]
        write(mine, kind, id="zz")
        mine.call("DELETE", f"/knowledge/{kind}/06")
        cursor = page.headers.get("X-Next-Cursor")

    assert seen == names


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "cursor=%21", "cursor=abc", "as_of=9" + "9" * 20])
def test_bad_page_is_refused_in_one_sentence(mine: Tenant, query: str) -> None:
    """A limit, a cursor and a position are checked."""
    answer = mine.call("GET", f"/knowledge/facts?{query}")

    assert answer.status_code in (400, 422)
    assert answer.json()["detail"].endswith(".")


@each_kind
def test_other_tenant_neither_sees_nor_changes_a_thing(mine: Tenant, other: Tenant, kind: str) -> None:
    """Not in a list, not by id, not by removing; and the same id is free for its own."""
    write(mine, kind, id="x")
    before = mine.get(f"/knowledge/{kind}/x").json()

    assert other.get(f"/knowledge/{kind}").json() == []
    assert other.get(f"/knowledge/{kind}/x").status_code == 404
    assert other.call("DELETE", f"/knowledge/{kind}/x").status_code == 404
    assert other.call("PUT", f"/knowledge/{kind}/x", json=CHANGED[kind]).status_code == 200
    assert mine.get(f"/knowledge/{kind}/x").json() == before


def test_shared_thing_is_seen_by_all_and_removed_by_none(house: House, mine: Tenant) -> None:
    """Its own of the same id hides it, and when that is gone it is back."""
    house.keeper.append([put_source(Source("wire", "The Wire"), SHARED_TENANT)])
    removed = mine.call("DELETE", "/knowledge/sources/wire")
    mine.call("PUT", "/knowledge/sources/wire", json={"name": "My Wire"})
    own = mine.get("/knowledge/sources/wire").json()
    mine.call("DELETE", "/knowledge/sources/wire")
    back = mine.get("/knowledge/sources/wire").json()

    assert removed.status_code == 404
    assert (own["name"], own["shared"]) == ("My Wire", False)
    assert (back["name"], back["shared"]) == ("The Wire", True)


@each_kind
def test_if_match_guards_what_was_read(mine: Tenant, kind: str) -> None:
    """A write or removal goes through only while the thing is what was read."""
    write(mine, kind, id="x")
    path = f"/knowledge/{kind}/x"
    old = {"If-Match": mine.get(path).headers["ETag"]}
    mine.call("PUT", path, json=CHANGED[kind])
    refused = mine.call("PUT", path, json=BODIES[kind], headers=old)
    kept = mine.call("DELETE", path, headers=old)
    new = {"If-Match": mine.get(path).headers["ETag"]}
    absent = mine.call("PUT", f"/knowledge/{kind}/y", json=BODIES[kind], headers={"If-Match": "*"})

    assert (refused.status_code, kept.status_code, absent.status_code) == (412, 412, 412)
    assert mine.call("DELETE", path, headers=new).status_code == 200


@each_kind
def test_known_content_is_answered_with_304(mine: Tenant, kind: str) -> None:
    """Who has it already is told so."""
    write(mine, kind, id="x")
    tag = mine.get(f"/knowledge/{kind}/x").headers["ETag"]
    again = mine.call("GET", f"/knowledge/{kind}/x", headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")


@each_kind
def test_retry_with_the_same_key_is_answered_as_the_first_time(house: House, mine: Tenant, kind: str) -> None:
    """POST, PUT and DELETE write once; the same key for something else is a conflict."""
    key = {"Idempotency-Key": "k1"}
    posts = [mine.post(f"/knowledge/{kind}", {**BODIES[kind], "id": "x"}, key) for _ in range(2)]
    clash = mine.post(f"/knowledge/{kind}", {**CHANGED[kind], "id": "x"}, key)
    head = house.keeper.stats().head
    removals = [mine.call("DELETE", f"/knowledge/{kind}/x", headers=key) for _ in range(2)]

    assert posts[0].json() == posts[1].json()
    assert posts[1].headers["Idempotency-Replayed"] == "true"
    assert clash.status_code == 409
    assert [answer.status_code for answer in removals] == [200, 200]
    assert removals[0].json() == removals[1].json()
    assert house.keeper.stats().head == head + 1


def test_same_key_of_two_tenants_is_two_keys(mine: Tenant, other: Tenant) -> None:
    """A key is a tenant's own."""
    key = {"Idempotency-Key": "shared key"}
    first = mine.post("/knowledge/facts", BODIES["facts"], key)
    second = other.post("/knowledge/facts", CHANGED["facts"], key)

    assert (first.status_code, second.status_code) == (201, 201)


def test_facts_are_found_by_subject_and_predicate(mine: Tenant) -> None:
    """The subject by name, articles and case aside; the predicate whatever its case; together."""
    mine.post(
        "/knowledge/facts",
        [
            {"id": "a", "subject": "The Eiffel Tower", "predicate": "height", "value": 330, "unit": "m"},
            {"id": "b", "subject": "Eiffel Tower", "predicate": "city", "object": "Paris"},
            {"id": "c", "subject": "Big Ben", "predicate": "Height", "value": 96, "unit": "m"},
        ],
    )

    def found(**query: str) -> list[str]:
        return [row["id"] for row in mine.get("/knowledge/facts", **query).json()]

    assert found(subject="eiffel tower") == ["a", "b"]
    assert found(predicate="HEIGHT") == ["a", "c"]
    assert found(subject="Eiffel Tower", predicate="height") == ["a"]
    assert found(subject="nobody") == []


def test_fact_with_a_value_alone_says_it_in_words(mine: Tenant) -> None:
    """The object is made from value and unit."""
    made = mine.post("/knowledge/facts", BODIES["facts"]).json()

    assert (made["object"], made["value"], made["unit"], made["confidence"]) == ("330 m", 330.0, "m", 1.0)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"unit": "12"}, "is a number"),
        ({"unit": "m//s"}, "is none"),
        ({"value": None, "object": "tall", "unit": "m"}, "has a unit and no value"),
        ({"valid_from": "2021-01-01", "valid_to": "2020-01-01"}, "ends before it begins"),
        ({"valid_from": "2021-02-30"}, "ISO 8601 day"),
        ({"confidence": 1.5}, "confidence"),
        ({"subject": " "}, "needs a subject"),
        ({"value": "330"}, "value"),
        ({"id": ""}, "id"),
        ({"id": "a\nb"}, "id"),
    ],
)
def test_impossible_fact_is_refused_with_its_place_and_nothing_is_written(
    mine: Tenant, fields: dict[str, Any], words: str
) -> None:
    """Units, intervals, confidence, types: one sentence that says which item and why."""
    answer = mine.post("/knowledge/facts", [{**BODIES["facts"], "id": "ok"}, {**BODIES["facts"], **fields}])

    assert answer.status_code in (400, 422)
    assert "[1]" in answer.json()["detail"]
    assert words in answer.json()["detail"]
    assert mine.get("/knowledge/facts").json() == []


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("documents", {"text": " \n"}, "no words"),
        ("documents", {"text": "a", "published_at": "May"}, "published_at"),
        ("documents", {"text": "a", "metadata": {"k": 1}}, "metadata"),
        ("patterns", {"family": "f", "name": "n", "query": '"open'}, "FTS5"),
        ("sources", {"id": "s"}, "name: is required"),
    ],
)
def test_bad_thing_is_refused_in_one_sentence(mine: Tenant, kind: str, body: Any, words: str) -> None:
    """What does not fit is named."""
    answer = mine.post(f"/knowledge/{kind}", body)

    assert answer.status_code in (400, 422)
    assert words in answer.json()["detail"]


def test_put_under_another_id_than_the_path_is_refused(mine: Tenant) -> None:
    """Two ids in one request are one too many."""
    answer = mine.call("PUT", "/knowledge/sources/a", json={"id": "b", "name": "B"})

    assert answer.status_code == 422


def test_more_than_a_thousand_things_are_refused(mine: Tenant) -> None:
    """The bound stands in the answer."""
    answer = mine.post("/knowledge/sources", [{"name": "a"}] * 1001)

    assert answer.status_code == 422
    assert "1 to 1000" in answer.json()["detail"]


def test_knowledge_without_a_keeper_is_unavailable(rig: Any) -> None:
    """An installation that keeps none says so with 503."""
    assert rig.call("GET", "/knowledge/facts").status_code == 503
