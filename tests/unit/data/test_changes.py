"""Changes: canonical, read back whole, refused before they are written."""

from __future__ import annotations

from dataclasses import replace

import pytest

from data import changes
from data.errors import InvalidValueError
from data.knowledge import Change, Document, Fact, Pattern, Source
from data.rdf import check_query

DOCUMENT = Document("d", "Water boils at 100 °C. It freezes at 0 °C.", "Water", metadata={"b": "2", "a": "1"})


def test_document_change_carries_its_passages() -> None:
    """A document is split when it is written: reading it back needs no splitting."""
    document, passages = changes.read_document(changes.put_document(DOCUMENT).payload)

    assert document == DOCUMENT
    assert [DOCUMENT.text[one.start : one.end] for one in passages] == [one.text for one in passages]


def test_document_change_equal_values_give_equal_bytes() -> None:
    """Key order of a mapping does not show in the payload."""
    twin = replace(DOCUMENT, metadata={"a": "1", "b": "2"})

    assert changes.put_document(DOCUMENT).payload == changes.put_document(twin).payload


def test_verdict_change_keeps_the_document_byte_for_byte() -> None:
    """A verdict's document comes back as it was sent, white space and key order included."""
    record = changes.VerdictRecord("v", "c", "f", "REFUTED", 0.5, b'{ "z": 1,  "a": [1.0, 2] }')

    assert changes.read_verdict(changes.put_verdict(record).payload) == record


def test_graph_change_names_blank_nodes_and_sorts() -> None:
    """Blank nodes get stable names, lines are sorted and each stands once."""
    nquads = '_:b <http://p> "2" .\n_:a <http://p> _:b .\n_:b <http://p> "2" .\n'
    lines = changes.read_graph(changes.put_graph(nquads, "g").payload).splitlines()

    assert len(lines) == 2
    assert lines == sorted(lines)
    assert "_:" not in "".join(lines)
    assert changes.put_graph(nquads, "other").payload != changes.put_graph(nquads, "g").payload


@pytest.mark.parametrize(
    "build",
    [
        lambda: changes.put_document(Document("d", " \n ")),
        lambda: changes.put_document(Document("d", "bad \ud800 text")),
        lambda: changes.put_document(Document("", "text")),
        lambda: changes.put_document(Document("d" * 513, "text")),
        lambda: changes.put_fact(Fact("f", "s", "p", "o", float("nan"))),
        lambda: changes.put_fact(Fact("f", " ", "p", "o")),
        lambda: changes.put_fact(Fact("f", "s", "p", "o", confidence=1.5)),
        lambda: changes.put_pattern(Pattern("p", "hedge", "n", 'maybe AND "', "m")),
        lambda: changes.put_pattern(Pattern("p", "hedge", "n", "  ", "m")),
        lambda: changes.put_graph("<a> <b>", "g"),
        lambda: changes.put_graph("", "g"),
        lambda: changes.put_verdict(changes.VerdictRecord("v", "c", "f", "l", 0.5, b"{")),
        lambda: changes.put_verdict(changes.VerdictRecord("v", "c", "f", "l", 1.5, b"{}")),
    ],
)
def test_change_of_bad_value_is_refused(build: object) -> None:
    """What a view could not apply never becomes a change."""
    with pytest.raises(InvalidValueError):
        build()  # type: ignore[operator]


@pytest.mark.parametrize(
    "change",
    [
        replace(changes.put_source(Source("s", "S")), kind="source.burn"),
        replace(changes.put_source(Source("s", "S")), key="t"),
        replace(changes.put_source(Source("s", "S")), payload=b"{}"),
        replace(changes.put_source(Source("s", "S")), payload=b"\xff"),
        replace(changes.put_graph("<a:a> <b:b> <c:c> .", "g"), payload=b'{"nquads":"_:x <a:b> <a:c> .\\n"}'),
        replace(
            changes.put_pattern(Pattern("p", "f", "n", "q", "m")),
            payload=b'{"id":"p","family":"f","name":"n","query":"\\"","message":""}',
        ),
    ],
)
def test_check_change_made_by_hand_is_refused(change: Change) -> None:
    """A change that was not built here is checked again before it is written."""
    with pytest.raises(InvalidValueError):
        changes.check_change(change)


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * { SERVICE <http://h/> { ?s ?p ?o } }",
        "select*{service silent<http://h/>{?s ?p ?o}}",
        "SELECT * { \\u0053ERVICE <http://h/> { ?s ?p ?o } }",
        "SELECT * { # it's a comment\n SERVICE <http://h/> { ?s ?p ?o } } # '",
        "SELECT * { FILTER(1 < 2) SERVICE <http://h/> { ?s ?p ?o } FILTER(2 > 1) }",
    ],
)
def test_sparql_that_calls_another_server_is_refused(query: str) -> None:
    """SERVICE is found however it is written."""
    with pytest.raises(InvalidValueError, match="SERVICE"):
        check_query(query)


@pytest.mark.parametrize(
    "query",
    [
        'SELECT * { ?s ?p "customer SERVICE" }',
        "SELECT * { ?service <http://h/SERVICE> ?o } # SERVICE",
        "PREFIX ex: <http://e/> SELECT * { ?s ex:service ?o }",
    ],
)
def test_sparql_that_only_mentions_service_is_accepted(query: str) -> None:
    """The word in a text, a name or a comment is not a clause."""
    check_query(query)
