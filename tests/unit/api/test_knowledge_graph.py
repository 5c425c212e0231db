"""Statements in, in every format, by key; SPARQL out, within limits; by tenant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.api.knowledge_fakes import RDFS, House, Tenant

TURTLE = "@prefix e: <http://e/> .\ne:kiteria e:capital e:kitestad ; e:people 5 .\n"
NTRIPLES = "<http://e/kiteria> <http://e/capital> <http://e/kitestad> .\n"
JSON_LD = {
    "@id": "http://e/kiteria",
    "http://e/capital": {"@id": "http://e/kitestad"},
    "@context": {"people": "http://e/people"},
    "people": 5,
}
FORMATS = {
    "text/turtle": TURTLE,
    "application/n-triples": NTRIPLES,
    "application/n-quads": NTRIPLES.replace(" .\n", " <http://e/g> .\n"),
    "application/trig": TURTLE,
    "application/ld+json": json.dumps(JSON_LD),
}
CAPITAL = "SELECT ?c { <http://e/kiteria> <http://e/capital> ?c }"


def values(tenant: Tenant, query: str) -> list[dict[str, Any]]:
    answer = tenant.sparql(query)
    assert answer.status_code == 200, answer.text
    return [dict(row) for row in answer.json()["results"]["bindings"]]


@pytest.mark.parametrize("media_type", sorted(FORMATS))
def test_statements_of_every_format_are_found(mine: Tenant, media_type: str) -> None:
    """Whatever they were written in, they say the same."""
    made = mine.send("/knowledge/graph", FORMATS[media_type], f"{media_type}; charset=utf-8", key="k")

    assert (made.status_code, made.headers["Location"]) == (201, "/api/v1/knowledge/graph/k")
    assert values(mine, CAPITAL) == [{"c": {"type": "uri", "value": "http://e/kitestad"}}]


def test_load_is_shown_listed_replaced_and_removed(mine: Tenant) -> None:
    """By its key, now and as of earlier positions."""
    first = mine.send("/knowledge/graph", TURTLE, "text/turtle", key="a/b c").json()
    mine.send("/knowledge/graph", NTRIPLES, "application/n-triples", key="z")
    shown = mine.get("/knowledge/graph/a%2Fb%20c")
    mine.send("/knowledge/graph", NTRIPLES, "application/n-triples", key="a/b c")
    removed = mine.call("DELETE", "/knowledge/graph/a%2Fb%20c")

    assert first["statements"] == 2
    assert shown.text.count(" .\n") == 2
    assert shown.headers["content-type"].startswith("application/n-triples")
    assert [row["key"] for row in mine.get("/knowledge/graph").json()] == ["z"]
    assert removed.status_code == 200
    assert mine.get("/knowledge/graph/a%2Fb%20c").status_code == 404
    then = mine.get("/knowledge/graph/a%2Fb%20c", as_of=first["knowledge_seq"])
    assert then.text == shown.text


def test_load_without_a_key_gets_one_from_its_content(mine: Tenant) -> None:
    """Sent twice it is one load."""
    keys = {mine.send("/knowledge/graph", TURTLE, "text/turtle").json()["key"] for _ in range(2)}

    assert [row["key"] for row in mine.get("/knowledge/graph").json()] == list(keys)


def test_loads_are_listed_page_by_page(mine: Tenant) -> None:
    """Each once, in order."""
    for key in "abcde":
        mine.send("/knowledge/graph", NTRIPLES, "application/n-triples", key=key)
    seen, cursor = [], ""
    while cursor is not None:
        page = mine.get("/knowledge/graph", limit=2, cursor=cursor)
        seen += [row["key"] for row in page.json()]
        cursor = page.headers.get("X-Next-Cursor")

    assert seen == list("abcde")


@pytest.mark.parametrize(
    ("media_type", "body", "words"),
    [
        ("text/turtle", "@prefix e: <http://e/> .\ne:a e:b .\n", "line 2"),
        ("application/n-quads", NTRIPLES + "<http://e/a> nonsense .\n", "line 2"),
        ("text/turtle", "<a> <b> <c> .", "line 1"),
        ("application/ld+json", '{"@context": "https://schema.org", "@id": "urn:a"}', "context"),
        ("application/ld+json", '{"a": ', "not JSON"),
        ("application/ld+json", '{"urn:p":' * 70 + "1" + "}" * 70, "nested"),
        ("application/n-triples", "<urn:a> <urn:b> " + "<<( <urn:a> <urn:b> " * 9_000, "quotes a statement"),
        ("text/turtle", "", "no statement"),
        ("text/turtle", b"\xff\xfe", "UTF-8"),
        ("text/turtle", f"@prefix p: <urn:{'x' * 4_000}> .\n" + "p:a p:b p:c .\n" * 3_000, "send fewer"),
    ],
)
def test_bad_statements_are_refused_with_their_place(
    mine: Tenant, media_type: str, body: str, words: str
) -> None:
    """One sentence with the line where there is one; nothing is loaded."""
    answer = mine.send("/knowledge/graph", body, media_type)

    assert answer.status_code == 400
    assert words in answer.json()["detail"]
    assert mine.get("/knowledge/graph").json() == []


@pytest.mark.parametrize("media_type", ["text/plain", "application/json", "application/rdf+xml", ""])
def test_statements_of_another_type_are_refused(mine: Tenant, media_type: str) -> None:
    """The answer lists those that are read."""
    answer = mine.send("/knowledge/graph", TURTLE, media_type)

    assert answer.status_code == 415
    assert "text/turtle" in answer.json()["detail"]


def test_other_tenant_sees_no_statement_and_removes_none(mine: Tenant, other: Tenant) -> None:
    """Not in the list, not by key, not by SPARQL, whatever graphs the query names."""
    mine.send("/knowledge/graph", TURTLE, "text/turtle", key="k")
    graph = f"urn:kite:tenant:{mine.name}".replace(" ", "%20").replace("[", "%5B").replace("]", "%5D")

    assert other.get("/knowledge/graph").json() == []
    assert other.get("/knowledge/graph/k").status_code == 404
    assert other.call("DELETE", "/knowledge/graph/k").status_code == 404
    for query in (
        CAPITAL,
        "SELECT * { GRAPH ?g { ?s <http://e/capital> ?o } }",
        f"SELECT * FROM <{graph}> {{ ?s ?p ?o }}",
        f"SELECT * FROM NAMED <{graph}> {{ GRAPH <{graph}> {{ ?s ?p ?o }} }}",
    ):
        assert values(other, query) == []
    assert len(values(mine, CAPITAL)) == 1


def test_query_is_answered_in_the_form_that_it_asks_for(mine: Tenant) -> None:
    """SELECT and ASK as results JSON, CONSTRUCT as N-Triples; the query as itself or as JSON."""
    mine.send("/knowledge/graph", TURTLE, "text/turtle")
    asked = mine.post("/knowledge/graph/query", {"query": "ASK { ?s <http://e/capital> ?o }"})
    made = mine.sparql("CONSTRUCT WHERE { ?s <http://e/capital> ?o }")

    assert asked.json() == {"head": {}, "boolean": True}
    assert asked.headers["content-type"] == "application/sparql-results+json"
    assert made.text == NTRIPLES
    assert made.headers["content-type"].startswith("application/n-triples")


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("SELECT", "not a SPARQL query"),
        ("DELETE WHERE { ?s ?p ?o }", "not a SPARQL query"),
        ("SELECT * { SERVICE <http://e/> { ?s ?p ?o } }", "SERVICE"),
        ("SELECT * { ?s ?p '" + "x" * 100_001 + "' }", "shorten"),
        ("SELECT * { " + "(" * 90_000, "nested too deeply"),
    ],
)
def test_bad_query_is_refused_in_one_sentence(mine: Tenant, query: str, words: str) -> None:
    """Nonsense, updates, other servers, and what would end the process that runs it."""
    answer = mine.sparql(query)

    assert answer.status_code == 400
    assert words in answer.json()["detail"]


@pytest.mark.timeout(60)
def test_query_without_end_is_stopped_and_the_next_one_answered(house: House, mine: Tenant) -> None:
    """It is told what to change; nobody waits for it, and a write goes through meanwhile."""
    lines = "".join(f'<urn:s{n}> <{RDFS}> "{n}" .\n' for n in range(2_000))
    mine.send("/knowledge/graph", lines, "application/n-triples")
    stopped = mine.sparql("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }")
    after = mine.sparql('ASK { <urn:s7> ?p "7" }')

    assert (stopped.status_code, stopped.json()["code"]) == (400, "query-limit")
    assert "within 5 s" in stopped.json()["detail"]
    assert after.json()["boolean"] is True


def test_query_with_too_many_rows_is_told_to_limit_them(mine: Tenant) -> None:
    """The row limit holds."""
    mine.send("/knowledge/graph", "".join(f"<urn:s{n}> <urn:p> {n} .\n" for n in range(101)), "text/turtle")
    answer = mine.sparql("SELECT * { ?a ?b ?c . ?d ?e ?f }")

    assert answer.status_code == 400
    assert "10000 rows" in answer.json()["detail"]


def test_write_is_seen_by_the_next_query(mine: Tenant) -> None:
    """Read your writes, through the checkpoints that queries run on."""
    for number in range(3):
        mine.send("/knowledge/graph", f"<urn:a> <urn:n> {number} .", "text/turtle", key="k")
        assert values(mine, "SELECT ?n { <urn:a> <urn:n> ?n }")[0]["n"]["value"] == str(number)
