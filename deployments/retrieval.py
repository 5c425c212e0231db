"""From questions to a ``ClaimBatch``: analyse, embed and search once for all of them.

Called by the verifier (online) and by batch mappers. Dense and lexical hits are fused by reciprocal rank
(Cormack, Clarke & Büttcher, SIGIR 2009, k = 60); facts and graph statements join as evidence of their own
kinds. The result for a claim does not depend on its neighbours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis, Span
from data.claims import fingerprint
from data.evidence import ClaimBatch, Evidence, EvidenceKind, RetrievalScores
from data.knowledge import Fact, Passage, text_sha256
from data.lookup import Fetched, Found, KnowledgeReader, Limits, Wanted
from data.ports import Embedder, HistoryQuery, Hit, Query, TextAnalyser, VectorIndex
from data.questions import Question
from data.statements import state


@dataclass(frozen=True, slots=True)
class RetrievalConfig:
    """How much is searched and kept for a claim; see ``configs.schema.RetrievalSettings``."""

    passages: int = 8
    candidates: int = 32
    facts: int = 4
    statements: int = 4
    #: Rank offset of reciprocal rank fusion; 60 is the value of the paper.
    rrf_k: int = 60
    #: A dense hit below this cosine that BM25 did not find either is noise.
    min_dense: float = 0.3


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
        limits = Limits(config.candidates, config.facts, config.statements)
        pending = self._pool.submit(self._reader.look_up, queries, asked, limits)
        analyses, embeddings, dense = self._read(queries)
        found = pending.result()
        ranked = [fuse(lexical, near, config) for lexical, near in zip(found.lexical, dense, strict=True)]
        fetched = self._fetch(queries, ranked, found)
        evidence = [self._evidence(scores, fetched.passages[i], found, i) for i, scores in enumerate(ranked)]
        return ClaimBatch(
            claims=tuple(question.claim for question in questions),
            analyses=tuple(analyses),
            embeddings=embeddings.tobytes(),
            evidence=tuple(evidence),
            histories=tuple(tuple(past) for past in found.histories),
            pattern_hits=tuple(tuple(hits) for hits in found.patterns),
            sources=tuple(fetched.sources),
            knowledge_seq=position,
            model_bundle=self._bundle,
        )

    def _read(self, queries: Sequence[Query]) -> tuple[list[Analysis], NDArray[np.float32], list[list[Hit]]]:
        texts = [query.text for query in queries]
        analysing = self._pool.submit(self._analyser.analyse, texts)
        embeddings = np.ascontiguousarray(self._embedder.embed(texts), dtype=np.float32)
        tenants = [query.tenant for query in queries]
        dense = self._vectors.search_vectors(
            tenants, embeddings, self._config.candidates, as_of=[query.as_of for query in queries]
        )
        return analysing.result(), embeddings, dense

    def _fetch(
        self, queries: Sequence[Query], ranked: Sequence[dict[str, RetrievalScores]], found: Found
    ) -> Fetched:
        """Fetch the best passages; where copies or removed ones leave too few, all candidates."""
        sources = [
            sorted({fact.source for fact in (*facts, *statements) if fact.source})
            for facts, statements in zip(found.facts, found.statements, strict=True)
        ]
        first = 2 * self._config.passages
        wanted = [
            Wanted(query, list(scores)[:first], behind)
            for query, scores, behind in zip(queries, ranked, sources, strict=True)
        ]
        fetched = self._reader.fetch(wanted)
        short = [
            len(scores) > first and len({one.text for one in got.values()}) < self._config.passages
            for scores, got in zip(ranked, fetched.passages, strict=True)
        ]
        if not any(short):
            return fetched
        again = [
            replace(item, passage_ids=list(scores)) if few else item
            for item, scores, few in zip(wanted, ranked, short, strict=True)
        ]
        return self._reader.fetch(again)

    def _evidence(
        self, scores: dict[str, RetrievalScores], passages: dict[str, Passage], found: Found, index: int
    ) -> tuple[Evidence, ...]:
        cited = (_cite_passage(passages[key], scores[key]) for key in scores if key in passages)
        texts = list(_distinct(cited))[: self._config.passages]
        facts = [_cite_fact(fact, "fact") for fact in found.facts[index]]
        statements = [_cite_fact(fact, "graph") for fact in found.statements[index]]
        return (*facts, *statements, *texts)


def fuse(lexical: Sequence[Hit], dense: Sequence[Hit], config: RetrievalConfig) -> dict[str, RetrievalScores]:
    """Merge two rankings by reciprocal rank; return scores by passage id, best first, ties by id."""
    bm25 = {hit.id: (rank, hit.score) for rank, hit in enumerate(lexical)}
    near = {
        hit.id: (rank, hit.score)
        for rank, hit in enumerate(dense)
        if hit.score >= config.min_dense or hit.id in bm25
    }
    best = 2.0 / (config.rrf_k + 1)
    merged = {}
    for key in sorted({*bm25, *near}):
        ranks = [table[key][0] for table in (bm25, near) if key in table]
        fused = sum(1.0 / (config.rrf_k + rank + 1) for rank in ranks) / best
        merged[key] = RetrievalScores(
            bm25=round(bm25[key][1], 6) if key in bm25 else None,
            dense=round(near[key][1], 6) if key in near else None,
            fused=round(fused, 6),
        )
    return dict(sorted(merged.items(), key=lambda item: (-item[1].fused, item[0])))


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


def _distinct(items: Iterable[Evidence]) -> Iterable[Evidence]:
    seen: set[str] = set()
    for item in items:
        if item.sha256 not in seen:
            seen.add(item.sha256)
            yield item
