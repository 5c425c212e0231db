"""From questions to a ``ClaimBatch``: analyse, embed and search once for all of them.

Called by the verifier (online) and by batch mappers. Dense and lexical hits are fused by a weighted sum
(``data.retrieval_fusion``) and near copies are left out; facts and graph statements join as evidence of
their own kinds. The result for a claim does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis, Span
from data.best_sentence import best_sentence
from data.claims import fingerprint
from data.evidence import ClaimBatch, Evidence, EvidenceKind, RetrievalScores
from data.knowledge import Fact, Passage, text_sha256
from data.lookup import Fetched, Found, KnowledgeReader, Limits, Wanted
from data.near_copies import distinct
from data.ports import Embedder, HistoryQuery, Hit, Query, TextAnalyser, VectorIndex
from data.questions import Question
from data.retrieval_fusion import FusionRule, fuse
from data.statements import state
from data.tracing import carried

#: How much deeper is searched for a question that admits only some evidence.
FILTERED_DEPTH = 8


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """How much is searched and kept for a claim; see ``configs.schema.RetrievalSettings``."""

    passages: int = 8
    candidates: int = 32
    facts: int = 4
    statements: int = 4
    #: Weight of BM25 beside the cosine; see ``data.retrieval_fusion.FusionRule`` for this and the next.
    lexical_weight: float = 0.25
    min_dense: float = 0.3

    def fusion(self) -> FusionRule:
        """Return the rule by which rankings are fused."""
        return FusionRule(self.lexical_weight, self.min_dense)

    def depth(self, question: Question) -> int:
        """Return how many hits of either search are looked at: more where a filter will leave out many."""
        return self.candidates * (FILTERED_DEPTH if question.admits else 1)


class Retriever:
    """Gathers what is known about the claims of a batch."""

    def __init__(
        self,
        reader: KnowledgeReader,
        *,
        analyser: TextAnalyser,
        embedder: Embedder,
        vectors: VectorIndex,
        model_bundle: str,
        config: RetrievalConfig | None = None,
    ) -> None:
        self._reader = reader
        self._analyser = analyser
        self._embedder = embedder
        self._vectors = vectors
        self._config = config or RetrievalConfig()
        self._bundle = model_bundle
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="lookup")

    @property
    def model_bundle(self) -> str:
        """Hex identity of every model that has a say in a verdict."""
        return self._bundle

    def gather(self, questions: Sequence[Question], position: int) -> ClaimBatch:
        """Return the batch of these questions' claims with evidence as of each ``as_of`` or ``position``."""
        config = self._config
        queries = [Query(q.claim.tenant, q.claim.text, q.position(position)) for q in questions]
        asked = [
            HistoryQuery(query.tenant, fingerprint(q.claim), query.as_of)
            for query, q in zip(queries, questions, strict=True)
        ]
        depths = [config.depth(question) for question in questions]
        limits = Limits(max(depths, default=0), config.facts, config.statements)
        pending = self._pool.submit(carried(self._reader.look_up), queries, asked, limits)
        analyses, embeddings, dense = self._read(queries, depths)
        found = pending.result()
        ranked = [
            # A longer list begins with the shorter one, so neighbours with a filter change nothing.
            fuse(lexical[:depth], near, depth=depth, rule=config.fusion())
            for lexical, near, depth in zip(found.lexical, dense, depths, strict=True)
        ]
        fetched = self._fetch(questions, queries, ranked, found)
        evidence = [
            self._evidence(question, scores, fetched.passages[i], found, i)
            for i, (question, scores) in enumerate(zip(questions, ranked, strict=True))
        ]
        return ClaimBatch(
            claims=tuple(question.claim for question in questions),
            analyses=tuple(analyses),
            embeddings=embeddings.tobytes(),
            evidence=tuple(evidence),
            histories=tuple(tuple(past) for past in found.histories),
            pattern_hits=tuple(tuple(hits) for hits in found.patterns),
            sources=tuple(fetched.sources),
            source_sets=tuple(tuple(one) for one in fetched.source_sets),
            source_set_of=tuple(fetched.source_set_of),
            knowledge_seq=position,
            model_bundle=self._bundle,
        )

    def _read(
        self, queries: Sequence[Query], depths: Sequence[int]
    ) -> tuple[list[Analysis], NDArray[np.float32], list[list[Hit]]]:
        texts = [query.text for query in queries]
        analysing = self._pool.submit(carried(self._analyser.analyse), texts)
        embeddings = np.ascontiguousarray(self._embedder.embed(texts), dtype=np.float32)
        dense: list[list[Hit]] = [[] for _ in queries]
        for depth in sorted(set(depths)):
            rows = [row for row, wanted in enumerate(depths) if wanted == depth]
            tenants, positions = [queries[row].tenant for row in rows], [queries[row].as_of for row in rows]
            hits = self._vectors.search_vectors(tenants, embeddings[rows], depth, as_of=positions)
            for row, near in zip(rows, hits, strict=True):
                dense[row] = near
        return analysing.result(), embeddings, dense

    def _fetch(
        self,
        questions: Sequence[Question],
        queries: Sequence[Query],
        ranked: Sequence[dict[str, RetrievalScores]],
        found: Found,
    ) -> Fetched:
        """Fetch the best passages; where copies or removed ones leave too few, all candidates."""
        sources = [
            sorted({fact.source for fact in (*facts, *statements) if fact.source})
            for facts, statements in zip(found.facts, found.statements, strict=True)
        ]
        first = [
            len(scores) if question.admits else 2 * self._config.passages
            for question, scores in zip(questions, ranked, strict=True)
        ]
        wanted = [
            Wanted(query, list(scores)[:most], behind)
            for query, scores, most, behind in zip(queries, ranked, first, sources, strict=True)
        ]
        fetched = self._reader.fetch(wanted)
        short = [
            len(scores) > most and self._is_short(scores, got)
            for scores, most, got in zip(ranked, first, fetched.passages, strict=True)
        ]
        if not any(short):
            return fetched
        again = [
            replace(item, passage_ids=list(scores)) if few else item
            for item, scores, few in zip(wanted, ranked, short, strict=True)
        ]
        return self._reader.fetch(again)

    def _is_short(self, scores: dict[str, RetrievalScores], passages: dict[str, Passage]) -> bool:
        texts = (passages[key].text for key in scores if key in passages)
        return len(list(islice(distinct(texts), self._config.passages))) < self._config.passages

    def _evidence(
        self,
        question: Question,
        scores: dict[str, RetrievalScores],
        passages: dict[str, Passage],
        found: Found,
        index: int,
    ) -> tuple[Evidence, ...]:
        cited = [_cite_passage(passages[key], scores[key]) for key in scores if key in passages]
        facts = (_cite_fact(fact, "fact") for fact in found.facts[index])
        statements = (_cite_fact(fact, "graph") for fact in found.statements[index])
        admitted = [item for item in cited if question.admits.admits(item)]
        kept = islice(distinct(item.text for item in admitted), self._config.passages)
        said = question.claim.text
        return (
            *(item for item in (*facts, *statements) if question.admits.admits(item)),
            *(replace(admitted[at], sentence=best_sentence(said, admitted[at].text)) for at in kept),
        )


def _cite_passage(passage: Passage, scores: RetrievalScores) -> Evidence:
    return Evidence(
        id=passage.id,
        document_id=passage.document_id,
        text=passage.text,
        span=Span(passage.start, passage.end),
        title=passage.title,
        url=passage.url,
        source=passage.source,
        published_at=passage.published_at,
        sha256=text_sha256(passage.text),
        scores=scores,
    )


def _cite_fact(fact: Fact, kind: EvidenceKind) -> Evidence:
    text = state(fact)
    identity = fact.id if fact.id.startswith(f"{kind}:") else f"{kind}:{fact.id}"
    return Evidence(
        id=identity,
        document_id=identity,
        text=text,
        span=Span(0, len(text)),
        kind=kind,
        title=fact.subject,
        source=fact.source,
        valid_from=fact.valid_from,
        valid_to=fact.valid_to,
        sha256=text_sha256(text),
        scores=RetrievalScores(fused=1.0),
        subject=fact.subject,
        predicate=fact.predicate,
        object=fact.object,
        value=fact.value,
        unit=fact.unit,
    )
