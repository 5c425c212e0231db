"""From questions to a batch: fused, deduplicated, as of a position, independent of neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis
from data.claims import TenantId, make_claim
from data.knowledge import Fact, Passage, Source
from data.lookup import Fetched, Found, Limits, Wanted
from data.ports import HistoryQuery, Hit, Query
from data.questions import Question
from deployments.retrieval import RetrievalConfig, Retriever, fuse

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
        del vectors, k, as_of
        return [[Hit("b", 0.9), Hit("far", 0.1)] for _ in tenants]


def retriever(reader: FakeReader) -> Retriever:
    text = FakeText()
    return Retriever(  # type: ignore[arg-type]
        reader, analyser=text, embedder=text, vectors=text, model_bundle="b", config=CONFIG
    )


def questions(*texts: str, as_of: int | None = None) -> list[Question]:
    return [Question(make_claim(text), ("empirical",), as_of=as_of) for text in texts]


def test_fusion_prefers_what_both_ways_found() -> None:
    """Reciprocal rank: found by both beats found first by one; ties by id."""
    merged = fuse([Hit("x", 9.0), Hit("both", 5.0)], [Hit("y", 0.9), Hit("both", 0.8)], CONFIG)

    assert list(merged) == ["both", "x", "y"]
    assert merged["both"].bm25 == 5.0
    assert merged["both"].dense == 0.8
    assert merged["x"].dense is None
    assert merged["x"].fused == merged["y"].fused


def test_fusion_drops_faint_dense_hits_unless_words_agree() -> None:
    """A cosine below the threshold counts only beside a BM25 hit."""
    merged = fuse([Hit("x", 1.0)], [Hit("x", 0.1), Hit("y", 0.1)], CONFIG)

    assert list(merged) == ["x"]
    assert merged["x"].dense == 0.1


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
