"""One question to all shards of a dataset, and their answers made one.

Pure; called by :mod:`data.datasets.sharded`. Each half of a hybrid question is asked by itself, the rankings
are put together, cut where one dataset's would be, and fused then; words are weighed by what all the shards
count. Invariant: what is found, and what it is worth, is what one dataset of all the vectors would find.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data.datasets.asking import halves_of
from data.datasets.checks import MAX_TOP_K
from data.datasets.choosing import (
    DEEPER,
    fused_depth,
    is_new,
    is_within,
    leaves_out,
    shown,
    wanted_of,
)
from data.datasets.fusion import fuse
from data.datasets.ports import (
    SearchAnswer,
    SearchHit,
    SearchOptions,
    SearchRequest,
    SearchStats,
    StoredVector,
    WordCounts,
)
from data.datasets.reranking import reread
from data.errors import KiteError
from data.ports import StanceModel


@dataclass(frozen=True, slots=True)
class _Halves:
    """The answers of the shards by what was asked: the vector, the words; a half not asked is empty."""

    near: Sequence[SearchAnswer]
    words: Sequence[SearchAnswer]

    @property
    def told(self) -> list[SearchAnswer]:
        """All of them."""
        return [*self.near, *self.words]


class ShardSearch:
    """One question to a dataset of several shards: what to ask them next, until there is an answer."""

    def __init__(self, request: SearchRequest, shards: Sequence[str], stance: StanceModel | None) -> None:
        """Begin to answer ``request`` by the shards of these ids.

        Raises:
            InvalidValueError: a rerank is asked for, and there are no words.
        """
        self._request = request
        self._shards = shards
        self._stance = stance
        self._is_hybrid = all(halves_of(request))
        self._depth = fused_depth(request.options) if self._is_hybrid else wanted_of(request.options)
        self.answer: SearchAnswer | KiteError | None = None

    @property
    def dataset_id(self) -> str:
        """The dataset that is asked."""
        return self._request.dataset_id

    def words(self) -> list[tuple[str, str]]:
        """Return which (shard, question) words are to be counted; the counts go to :meth:`weigh`."""
        text = self._request.text or ""
        return [(shard, text) for shard in self._shards] if halves_of(self._request)[1] else []

    def weigh(self, counts: Sequence[WordCounts]) -> None:
        """Weigh words by what all shards count together."""
        holding = Counter[str]()
        for one in counts:
            holding.update(one.holding)
        whole = WordCounts(sum(one.texts for one in counts), sum(one.words for one in counts), dict(holding))
        self._request = replace(self._request, counts=whole)

    def questions(self) -> list[SearchRequest]:
        """Return what to ask next; one round of answers goes to :meth:`take`."""
        request = self._request
        asked = [replace(request, options=self._options())]
        if self._is_hybrid:
            asked = [replace(asked[0], text=None), replace(asked[0], vector=None)]
        return [replace(one, dataset_id=shard) for one in asked for shard in self._shards]

    def take(self, told: Sequence[SearchAnswer | KiteError]) -> None:
        """Take the answers to :meth:`questions`; then ``answer`` is there, or more is to be asked."""
        found = [one for one in told if isinstance(one, SearchAnswer)]
        if len(found) < len(told):
            # Half an answer would look like a whole one: what fails for one shard fails.
            self.answer = next(one for one in told if isinstance(one, KiteError))
            return
        ranked = self._fused(found) if self._is_hybrid else _sorted(_hits(found))
        kept = self._kept(ranked)
        if self._is_enough(kept, found):
            self.answer = self._finished(kept, found)
        self._depth = min(DEEPER * self._depth, MAX_TOP_K)

    def _options(self) -> SearchOptions:
        """Return how the shards are asked: as the whole is, but for what is done with all their answers."""
        options = self._request.options
        asked = replace(
            options,
            top_k=min(self._depth, MAX_TOP_K),
            rerank=False,
            include_content=options.include_content or options.rerank,
        )
        if not self._is_hybrid:
            return asked
        return replace(asked, min_score=None, max_distance=None, deduplicate=False, group_by_document=False)

    def _fused(self, found: Sequence[SearchAnswer]) -> list[SearchHit]:
        """Return the hits of both halves, fused as one dataset fuses its own."""
        request, depth = self._request, min(self._depth, MAX_TOP_K)
        halves = self._halves(found)
        near = sorted(_hits(halves.near), key=lambda hit: (hit.distance or 0.0, hit.vector.record.id))[:depth]
        words = _sorted(_hits(halves.words))[:depth]
        known = {hit.vector.record.id: hit for hit in [*words, *near]}
        numbers = {name: number for number, name in enumerate(sorted(known))}
        rankings = [
            ([(numbers[hit.vector.record.id], hit.score) for hit in half], weight)
            for half, weight in ((near, request.vector_weight), (words, request.text_weight))
        ]
        parts: dict[str, dict[str, float]] = {}
        for hit in [*near, *words]:
            parts.setdefault(hit.vector.record.id, {}).update(hit.parts)
        names = sorted(known)
        return _sorted(
            [
                replace(known[names[number]], score=round(score, 6), parts=parts[names[number]])
                for number, score in fuse(rankings, request.fusion)
            ]
        )

    def _halves(self, found: Sequence[SearchAnswer]) -> _Halves:
        if self._is_hybrid:
            return _Halves(found[: len(self._shards)], found[len(self._shards) :])
        by_vector, _ = halves_of(self._request)
        return _Halves(found, ()) if by_vector else _Halves((), found)

    def _kept(self, ranked: Sequence[SearchHit]) -> list[SearchHit]:
        """Return what counts of a ranking: within the bounds, and one of those that are the same."""
        options, seen = self._request.options, set[str]()
        within = [hit for hit in ranked if is_within(hit.score, hit.distance, options)]
        if not leaves_out(options):
            return within
        return [hit for hit in within if is_new(hit.vector.record, seen, options)]

    def _is_enough(self, kept: Sequence[SearchHit], found: Sequence[SearchAnswer]) -> bool:
        """Return whether looking deeper would change nothing: a half that was cut may hide what counts."""
        options = self._request.options
        if not (self._is_hybrid and leaves_out(options)) or len(kept) > wanted_of(options):
            return True
        return self._depth >= MAX_TOP_K or not any(one.has_more for one in found)

    def _finished(self, kept: list[SearchHit], found: Sequence[SearchAnswer]) -> SearchAnswer | KiteError:
        options = self._request.options
        has_more = len(kept) > options.top_k
        if not self._is_hybrid:
            has_more = has_more or any(one.has_more for one in found)
        chosen, begun = kept[: wanted_of(options)], time.perf_counter()
        if options.rerank:
            try:
                chosen = self._reranked(chosen)
            except KiteError as exc:
                return exc
        reranking_ms = round((time.perf_counter() - begun) * 1e3, 3)
        hits = tuple(
            replace(hit, dataset_id=self._request.dataset_id, rank=rank, vector=self._shown(hit))
            for rank, hit in enumerate(chosen[: options.top_k], start=1)
        )
        return SearchAnswer(hits, len(hits), has_more, self._stats(self._halves(found), reranking_ms))

    def _reranked(self, chosen: Sequence[SearchHit]) -> list[SearchHit]:
        question = (self._request.text or "").strip()
        first = [(hit.vector.record.content, hit.score) for hit in chosen]
        read = zip(chosen, reread(self._stance, question, first), strict=True)
        return _sorted(
            [replace(hit, score=again.score, parts={**hit.parts, **again.parts}) for hit, again in read]
        )

    def _shown(self, hit: SearchHit) -> StoredVector:
        return replace(hit.vector, record=shown(hit.vector.record, None, self._request.options).record)

    def _stats(self, halves: _Halves, reranking_ms: float) -> SearchStats:
        told = [one.stats for one in halves.told]
        counted = halves.near or halves.words
        plans = ["+".join(sorted({one.stats.plan for one in half})) for half in (halves.near, halves.words)]
        return SearchStats(
            vectors_scanned=sum(one.vectors_scanned for one in told),
            index_hits=sum(one.index_hits for one in told),
            filtered_results=sum(one.stats.filtered_results for one in counted),
            plan="+".join(plan for plan in plans if plan),
            exact=all(one.exact for one in told),
            cached=all(one.cached for one in told),
            # They work side by side: the slowest is what it took.
            database_ms=max(one.database_ms for one in told),
            reranking_ms=reranking_ms,
            post_processing_ms=max(one.post_processing_ms for one in told),
        )


def _hits(answers: Sequence[SearchAnswer]) -> list[SearchHit]:
    return [hit for answer in answers for hit in answer.hits]


def _sorted(hits: Sequence[SearchHit]) -> list[SearchHit]:
    return sorted(hits, key=lambda hit: (-hit.score, hit.vector.record.id))
