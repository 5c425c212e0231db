"""From questions to a batch: fused, deduplicated, as of a position, independent of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis
from data.claims import TenantId, make_claim
from data.evidence import Evidence
from data.evidence_filter import NO_FILTER, EvidenceFilter
from data.knowledge import Fact, Passage, Source, text_sha256
from data.lookup import Fetched, Found, Limits, Wanted
from data.ports import HistoryQuery, Hit, Query
from data.questions import Question
from deployments.retrieval import FILTERED_DEPTH, RetrievalConfig, Retriever

CONFIG = RetrievalConfig(passages=2, candidates=5)


class FakeReader:
    """Knows three passages, two of the same text, and one fact; remembers positions asked about."""

    def __init__(self) -> None:
        self.asked: list[Query] = []

    def look_up(self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits) -> Found:
        del limits
        self.asked += queries
        empty: list[list[object]] = [[] for _ in queries]
        facts = [[Fact("f1", "Everest", "height", "8849 m", 8849.0, "m", source="s2")] for _ in queries]
        lexical = [[Hit("a", 3.0), Hit("copy", 2.0), Hit("b", 1.0), Hit("gone", 0.5)] for _ in queries]
        assert len(histories) == len(queries)
        return Found(lexical, facts, empty, empty, empty)  # type: ignore[arg-type]

    def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
        texts = {"a": "Snow is white.", "copy": "Snow is white.", "b": "Coal is black."}
        found = [
            {
                key: Passage(key, f"doc-{key}", texts[key], 0, 14, source="s1")
                for key in item.passage_ids
                if key in texts
            }
            for item in wanted
        ]
        assert all(item.source_ids == ["s2"] for item in wanted)
        return Fetched(found, [Source("s1", "One"), Source("s2", "Two")])


class FakeText:
    dim = 4

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        return [Analysis((), (), (), (), (), ()) for _ in texts]

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return np.ones((len(texts), 4), np.float32) / 2

    def search_vectors(
        self, tenants: Sequence[TenantId], vectors: NDArray[np.float32], k: int, *, as_of: Sequence[int]
    ) -> list[list[Hit]]:
        del vectors, as_of
        return [[Hit("b", 0.9), Hit("far", 0.1)][:k] for _ in tenants]


def retriever(reader: FakeReader) -> Retriever:
    text = FakeText()
    return Retriever(
        reader,  # type: ignore[arg-type]
        analyser=text,
        embedder=text,
        vectors=text,  # type: ignore[arg-type]
        model_bundle="b",
        config=CONFIG,
    )


def questions(*texts: str, as_of: int | None = None, admits: EvidenceFilter = NO_FILTER) -> list[Question]:
    return [Question(make_claim(text), ("empirical",), as_of=as_of, admits=admits) for text in texts]


def test_batch_holds_facts_then_distinct_passages_with_their_places() -> None:
    """Copies of a text appear once, ids the store no longer has not at all, and facts come as sentences."""
    batch = retriever(FakeReader()).gather(questions("Snow is white."), 7)
    (evidence,) = batch.evidence

    assert [item.id for item in evidence] == ["fact:f1", "b", "a"]
    assert evidence[0].text == "The height of Everest is 8849 m."
    assert (evidence[0].kind, evidence[0].value, evidence[0].unit) == ("fact", 8849.0, "m")
    assert evidence[2].text[evidence[2].span.start : evidence[2].span.end] == "Snow is white."
    assert [source.id for source in batch.sources] == ["s1", "s2"]
    assert batch.vectors().shape == (1, 4)


def test_claim_is_answered_alike_alone_and_among_others() -> None:
    """Neighbours change nothing."""
    alone = retriever(FakeReader()).gather(questions("one"), 7)
    among = retriever(FakeReader()).gather(questions("zero", "one", "two"), 7)

    assert among.evidence[1] == alone.evidence[0]
    assert len(among) == 3


def test_as_of_is_asked_but_never_the_future() -> None:
    """A question about a past position sees that position; one about the future sees now."""
    reader = FakeReader()
    retriever(reader).gather([*questions("a", as_of=3), *questions("b", as_of=99), *questions("c")], 7)

    assert [query.as_of for query in reader.asked] == [3, 7, 7]


def test_copies_do_not_crowd_out_what_ranks_lower() -> None:
    """When the best candidates are one text many times over, the rest is fetched too."""

    class Copies(FakeReader):
        def look_up(
            self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits
        ) -> Found:
            found = super().look_up(queries, histories, limits)
            hits = [Hit(f"copy{n}", 9.0 - n) for n in range(4)] + [Hit("other", 1.0)]
            return replace(found, lexical=[hits for _ in queries], facts=[[] for _ in queries])

        def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
            def text(key: str) -> str:
                return "The same again." if key.startswith("copy") else "Another text."

            return Fetched(
                [{key: Passage(key, key, text(key), 0, 5) for key in item.passage_ids} for item in wanted], []
            )

    (evidence,) = retriever(Copies()).gather(questions("one"), 7).evidence

    assert {item.text for item in evidence} == {"The same again.", "Another text."}


def test_evidence_of_every_kind_has_the_same_shape() -> None:
    """Facts and graph statements carry id, text, span, sha, score and source as passages do."""

    class WithGraph(FakeReader):
        def look_up(
            self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits
        ) -> Found:
            found = super().look_up(queries, histories, limits)
            statement = Fact("graph:9", "Everest", "part of", "the Himalayas", source="s2")
            return replace(found, statements=[[statement] for _ in queries])

    (evidence,) = retriever(WithGraph()).gather(questions("Snow is white."), 7).evidence

    assert [item.kind for item in evidence] == ["fact", "graph", "passage", "passage"]
    for item in evidence:
        assert "" not in (item.id, item.document_id, item.source or "")
        assert item.text[: item.span.end - item.span.start] == item.text
        assert item.sha256 == text_sha256(item.text)
        assert 0.0 < item.scores.fused <= 1.0


def test_passage_names_the_sentence_that_answers_to_the_claim() -> None:
    """The place of the best sentence slices to that sentence of the passage's text."""

    class Long(FakeReader):
        def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
            text = "Coal is black. Snow is white in winter. Grass is green."
            return Fetched([{"a": Passage("a", "d", text, 10, 65)} for _ in wanted], [])

    (evidence,) = retriever(Long()).gather(questions("Snow is white."), 7).evidence
    passage = next(item for item in evidence if item.kind == "passage")

    assert passage.sentence is not None
    assert passage.text[passage.sentence.start : passage.sentence.end] == "Snow is white in winter."


def test_only_admitted_evidence_is_given() -> None:
    """A filter leaves out passages and facts alike."""
    coal = EvidenceFilter(entities=("coal",))
    (evidence,) = retriever(FakeReader()).gather(questions("Snow is white.", admits=coal), 7).evidence

    assert [item.id for item in evidence] == ["b"]


def test_filter_looks_deeper_and_changes_nothing_for_its_neighbours() -> None:
    """Whoever stands in the same batch as a question with a filter gets what they would get alone."""
    asked: list[int] = []

    class Deep(FakeReader):
        def look_up(
            self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits
        ) -> Found:
            asked.append(limits.lexical)
            found = super().look_up(queries, histories, limits)
            hits = [Hit(f"p{n:02}", 40.0 - n) for n in range(40)]
            return replace(found, lexical=[hits[: limits.lexical] for _ in queries])

        def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
            def passage(key: str) -> Passage:
                return Passage(key, key, f"Text number {key}.", 0, 5, source="s1" if key > "p20" else "s3")

            return Fetched([{key: passage(key) for key in item.passage_ids} for item in wanted], [])

    def passages(batch_evidence: tuple[Evidence, ...]) -> list[str]:
        return [item.id for item in batch_evidence if item.kind == "passage"]

    plain = questions("one")
    only_s1 = questions("one", admits=EvidenceFilter(sources=("s1",)))
    among = retriever(Deep()).gather([*plain, *only_s1], 7)
    alone = retriever(Deep()).gather(plain, 7)

    assert asked == [CONFIG.candidates * FILTERED_DEPTH, CONFIG.candidates]
    assert among.evidence[0] == alone.evidence[0]
    assert passages(among.evidence[1]) == ["p21", "p22"]
