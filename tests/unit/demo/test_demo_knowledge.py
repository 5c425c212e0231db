"""What the demo knowledge promises: complete, unambiguous, and of one mind with itself."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pyoxigraph as ox
import pytest

from data.knowledge import Document, Fact, Source

FOLDER = Path(__file__).parents[3] / "demo"
LABEL = "http://www.w3.org/2000/01/rdf-schema#label"
TOPICS = {
    *("geography", "astronomy", "physics", "chemistry", "biology", "medicine"),
    *("history", "technology", "sport", "arts", "economics", "climate"),
}
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
NUMBER_WORDS = (
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
)


@cache
def _rows(name: str) -> tuple[dict[str, Any], ...]:
    lines = (FOLDER / name).read_text(encoding="utf-8").splitlines()
    return tuple(json.loads(line) for line in lines)


@cache
def _documents() -> tuple[Document, ...]:
    return tuple(Document(**row) for row in _rows("documents.jsonl"))


@cache
def _facts() -> tuple[Fact, ...]:
    return tuple(Fact(**row) for row in _rows("facts.jsonl"))


@cache
def _sources() -> tuple[Source, ...]:
    return tuple(Source(**{**row, "cites": tuple(row["cites"])}) for row in _rows("sources.jsonl"))


@cache
def _quads() -> tuple[ox.Quad, ...]:
    return tuple(ox.parse((FOLDER / "graph.nq").read_bytes(), format=ox.RdfFormat.N_QUADS))


def _named(term: object) -> str:
    """The IRI or the words of a term; the demo graph has no other kinds."""
    assert isinstance(term, ox.NamedNode | ox.Literal)
    return term.value


def _subject(title: str) -> str:
    """A title without what tells it from its namesakes: 'Mercury (planet)' is about Mercury."""
    return re.sub(r" \([^)]*\)$", "", title)


def _told(fact: Fact) -> list[str]:
    """The texts about a fact's subject."""
    return [document.text for document in _documents() if _subject(document.title) == fact.subject]


def _wordings(stated: str) -> list[tuple[str, ...]]:
    """For every number of a fact's object, the ways in which a text may write it; a day is one number."""
    if found := re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)", stated):
        return [(f"{int(found[3])} {MONTHS[int(found[2]) - 1]} {found[1]}",)]
    numbers = re.findall(r"\d[\d,.]*", stated)
    return [
        (number, NUMBER_WORDS[int(number) - 1]) if number.isdigit() and 0 < int(number) < 13 else (number,)
        for number in numbers
    ]


@pytest.mark.parametrize(
    ("name", "least"),
    [("documents.jsonl", 300), ("facts.jsonl", 300), ("sources.jsonl", 25), ("claims.jsonl", 60)],
)
def test_demo_file_has_enough_rows(name: str, least: int) -> None:
    """Each file holds what a first walk through the system needs."""
    assert len(_rows(name)) >= least


@pytest.mark.parametrize("name", ["documents.jsonl", "facts.jsonl", "sources.jsonl"])
def test_demo_ids_are_unique(name: str) -> None:
    """No id stands for two things."""
    assert [key for key, count in Counter(row["id"] for row in _rows(name)).items() if count > 1] == []


def test_demo_sources_named_anywhere_exist() -> None:
    """Every source of a document or fact, every owner and every citation is a source of the list."""
    known = {source.id for source in _sources()}
    named = {one.source for one in _documents()} | {one.source for one in _facts()}
    named |= {source.owner for source in _sources() if source.owner}
    named |= {cited for source in _sources() for cited in source.cites}
    assert named - known == set()


def test_demo_sources_own_nobody_in_a_circle() -> None:
    """Going up from owner to owner always comes to an end."""
    owners = {source.id: source.owner for source in _sources()}
    for start in owners:
        path, key = [], start
        while key:
            assert key not in path, f"{start} is owned in a circle"
            path.append(key)
            key = owners[key] or ""


def test_demo_documents_are_40_to_120_words_in_2_to_6_sentences() -> None:
    """Texts are the length of a passage or two."""
    for document in _documents():
        assert 40 <= len(document.text.split()) <= 120, document.id
        assert 2 <= len(re.findall(r"[.!?](?:\s|$)", document.text)) <= 9, document.id


def test_demo_documents_have_title_page_day_and_topic() -> None:
    """A reader can check each text: where, as of when, and what it is about."""
    for document in _documents():
        assert document.title
        assert urlsplit(document.url or "").scheme == "https", document.id
        assert date.fromisoformat(document.published_at or "")
        assert document.metadata["topic"] in TOPICS
    assert {document.metadata["topic"] for document in _documents()} == TOPICS


def test_demo_documents_repeat_no_text_and_no_sentence() -> None:
    """Two documents never share a text, nor a whole sentence: corroboration is not repetition."""
    sentences = Counter(
        sentence for document in _documents() for sentence in set(re.split(r"(?<=[.!?])\s+", document.text))
    )
    assert [one for one, count in sentences.items() if count > 1 and len(one.split()) > 3] == []


def test_demo_subjects_are_mostly_told_twice_by_different_sources() -> None:
    """At least three subjects in four have two documents, and these never come from one source."""
    by_title: dict[str, list[str | None]] = {}
    for document in _documents():
        by_title.setdefault(document.title, []).append(document.source)
    twice = [sources for sources in by_title.values() if len(sources) > 1]
    assert len(twice) >= 0.75 * len(by_title)
    assert all(len(set(sources)) == len(sources) for sources in twice)


def test_demo_facts_agree_with_the_documents_on_their_subject() -> None:
    """Every number and day of a fact is written in a document on its subject, where the subject has one."""
    told = [(fact, _told(fact)) for fact in _facts()]
    assert sum(bool(texts) for _, texts in told) >= 0.95 * len(told)
    for fact, texts in told:
        for ways in _wordings(fact.object) if texts else []:
            assert any(
                re.search(rf"(?<![\w.,]){re.escape(way)}(?![\d]|[.,]\d)", text)
                for way in ways
                for text in texts
            ), f"{fact.id}: {fact.object}"


def test_demo_facts_have_the_number_that_their_object_states() -> None:
    """``value`` and ``unit`` are the object's own."""
    scale = {"million": 1e6, "billion": 1e9}
    for fact in (fact for fact in _facts() if fact.value is not None):
        number, *rest = fact.object.split()
        factor = scale.get(rest[0], 1.0) if rest else 1.0
        assert fact.value == pytest.approx(float(number.replace(",", "")) * factor), fact.id
        assert (fact.unit or "") == " ".join(word for word in rest if word not in scale), fact.id


def test_demo_facts_hold_in_intervals_that_begin_before_they_end() -> None:
    """Validity is given in days, in order, and confidence is a probability."""
    for fact in _facts():
        days = [date.fromisoformat(day) for day in (fact.valid_from, fact.valid_to) if day]
        assert days == sorted(days), fact.id
        assert 0.0 < fact.confidence <= 1.0


def test_demo_facts_state_a_thing_once() -> None:
    """A subject has one object for a predicate at a time."""
    keys = Counter((fact.subject, fact.predicate) for fact in _facts())
    assert [key for key, count in keys.items() if count > 1] == []


def test_demo_graph_names_every_thing_it_speaks_of() -> None:
    """Every thing has one label, all is in one named graph, and 300 statements are no labels."""
    labels = Counter(_named(quad.subject) for quad in _quads() if _named(quad.predicate) == LABEL)
    statements = [quad for quad in _quads() if _named(quad.predicate) != LABEL]
    things = {_named(term) for quad in statements for term in (quad.subject, quad.object)}
    assert {thing for thing in things if labels[thing] != 1} == set()
    assert {str(quad.graph_name) for quad in _quads()} == {"<https://example.org/kite/graph/demo>"}
    assert len(set(statements)) == len(statements) >= 300


def test_demo_graph_capitals_agree_with_the_facts() -> None:
    """A capital in the graph is the capital that the facts give."""
    names = {
        _named(quad.subject): _named(quad.object) for quad in _quads() if _named(quad.predicate) == LABEL
    }
    capitals = {
        names[_named(quad.object)]: names[_named(quad.subject)]
        for quad in _quads()
        if _named(quad.predicate).endswith("#capitalOf")
    }
    stated = {fact.subject: fact.object for fact in _facts() if fact.predicate == "capital"}
    assert {country: capitals[country] for country in stated} == stated


def test_demo_claims_are_labelled_and_open_with_one_of_each_kind() -> None:
    """Labels are the three there are, no claim comes twice, and the first three show one each."""
    labels = [row["label"] for row in _rows("claims.jsonl")]
    assert labels[:3] == ["SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO"]
    assert all(count >= 10 for count in Counter(labels).values())
    assert len({row["claim"] for row in _rows("claims.jsonl")}) == len(labels)
    assert all(set(row) == {"claim", "label", "note"} and row["note"] for row in _rows("claims.jsonl"))


def test_demo_supported_numbers_are_told_and_refuted_ones_are_not() -> None:
    """A claim's number stands in a document on its subject if it is supported, and in none if refuted."""
    for row in _rows("claims.jsonl"):
        names = [one for one in {d.title for d in _documents()} if _subject(one) in row["claim"]]
        texts = [document.text for document in _documents() if document.title in names]
        numbers = re.findall(r"\d[\d,.]*\d|\d", row["claim"])
        if not (numbers and texts):
            continue
        there = all(any(re.search(rf"(?<![\d,.]){re.escape(n)}(?![\d])", t) for t in texts) for n in numbers)
        if row["label"] != "NOT_ENOUGH_INFO":
            assert there is (row["label"] == "SUPPORTED"), row["claim"]
