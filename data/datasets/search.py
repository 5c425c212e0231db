"""The search of one dataset: vectors, words or both; filtered, fused, cut, deduplicated, grouped, reranked.

Called by the dataset engine with requests that may come from many callers; those that look alike share one
call of the index. Invariant: an answer depends on its request and the data alone, whatever was asked beside
it. Rows that vanish while they are looked at raise :class:`Moved`, and the engine asks again.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.asking import Asked
from data.datasets.choosing import DEEPER, SPARE, fused_depth, is_new, is_within, shown, wanted_of
from data.datasets.fusion import fuse
from data.datasets.ports import SearchAnswer, SearchHit, SearchStats
from data.datasets.record_memory import RecordMemory
from data.datasets.records import Metric, VectorRecord
from data.datasets.reranking import reread
from data.datasets.store import RecordStore
from data.errors import KiteError
from data.ports import StanceModel
from data.vectors.dense import DenseIndex, Neighbours


class Moved(Exception):  # noqa: N818 - no error: the data changed while it was read
    """A row that was found is not there any more."""


@dataclass(slots=True)
class Candidate:
    """A row on its way into an answer."""

    row: int
    score: float
    distance: float | None = None
    parts: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class _Work:
    """A request under way: how deep it looks now, and what was found."""

    asked: Asked
    allowed: BitMap | None
    depth: int
    near: Neighbours | None = None
    words: list[tuple[int, float]] = field(default_factory=list)
    is_done: bool = False
    is_cut: bool = False
    candidates: Sequence[Candidate] = ()
    chosen: list[tuple[Candidate, VectorRecord]] = field(default_factory=list)
    has_more: bool = False
    database_ms: float = 0.0

    @property
    def wanted(self) -> int:
        """How many are chosen, of which a rerank may leave out some."""
        return wanted_of(self.asked.options)

    @property
    def is_exhausted(self) -> bool:
        """Whether looking deeper would find nothing more."""
        return max(0 if self.near is None else len(self.near.rows), len(self.words)) < self.depth


class Searcher:
    """Answers requests over a dataset's record store and index. Any thread."""

    def __init__(
        self, store: RecordStore, index: DenseIndex, metric: Metric, stance: StanceModel | None
    ) -> None:
        self._store = store
        self._index = index
        self._metric = metric
        self._stance = stance
        self._memory = RecordMemory(store.records_by_row)

    def answers(
        self, requests: Sequence[Asked], allowed: Sequence[BitMap | None]
    ) -> list[SearchAnswer | KiteError]:
        """Return what was found for each request among the rows allowed to it (``None``: all).

        Raises:
            Moved: the data changed meanwhile.
        """
        works = [
            _Work(asked, rows, _first_depth(asked)) for asked, rows in zip(requests, allowed, strict=True)
        ]
        while waiting := [work for work in works if not work.is_done]:
            begun = time.perf_counter()
            self._look(waiting)
            for work in waiting:
                self._bound(work)
            # The records of all of them are one query.
            records = self._records({one.row for work in waiting for one in work.candidates})
            for work in waiting:
                self._choose(work, records)
            spent = (time.perf_counter() - begun) * 1e3 / len(waiting)
            for work in waiting:
                work.database_ms += spent
        return [self._finished(work) for work in works]

    def _look(self, works: Sequence[_Work]) -> None:
        """Ask the index and the words, the index once for all requests that look equally deep."""
        alike: defaultdict[object, list[_Work]] = defaultdict(list)
        for work in works:
            if work.asked.by_vector:
                alike[
                    work.depth, work.asked.depth, id(work.allowed) if work.allowed is not None else 0
                ].append(work)
            if work.asked.by_words:
                work.words = self._store.search_text(
                    work.asked.text, work.depth, work.allowed, work.asked.request.counts
                )
        for group in alike.values():
            first = group[0]
            queries = np.stack([work.asked.vector for work in group])
            found = self._index.search(queries, first.depth, allowed=first.allowed, depth=first.asked.depth)
            for work, near in zip(group, found, strict=True):
                work.near = near

    def _bound(self, work: _Work) -> None:
        """Keep the candidates within the bounds asked for, no more than can be told."""
        found = self._candidates(work)
        passed = [one for one in found if is_within(one.score, one.distance, work.asked.options)]
        # In one ranking all that follows what a bound cut off is farther still.
        work.is_cut = len(passed) < len(found) and not work.asked.is_hybrid
        work.candidates = passed if work.asked.leaves_out else _first(passed, work.wanted + 1)

    def _choose(self, work: _Work, records: Mapping[int, VectorRecord]) -> None:
        """Choose the best candidates; look deeper where too many are left out."""
        options = work.asked.options
        kept: list[tuple[Candidate, VectorRecord]] = []
        seen: set[str] = set()
        for one in sorted(work.candidates, key=lambda each: (-each.score, records[each.row].id)):
            if not work.asked.leaves_out or is_new(records[one.row], seen, options):
                kept.append((one, records[one.row]))
        work.chosen = kept[: work.wanted]
        work.has_more = len(kept) > options.top_k
        is_enough = not work.asked.leaves_out or len(kept) > work.wanted
        work.is_done = is_enough or work.is_cut or work.is_exhausted
        work.depth *= DEEPER

    def _candidates(self, work: _Work) -> list[Candidate]:
        """Return the rows found, best first, with their scores."""
        distances = _distances(work.near)
        score_of = similarity_of(self._metric)
        near = {row: round(score_of(distance), 6) for row, distance in distances.items()}
        words = {row: round(score, 6) for row, score in work.words}
        if not work.asked.is_hybrid:
            name, scores = ("vector", near) if work.asked.by_vector else ("text", words)
            return [Candidate(row, score, distances.get(row), {name: score}) for row, score in scores.items()]
        request = work.asked.request
        rankings = [
            (list(near.items()), request.vector_weight),
            (list(words.items()), request.text_weight),
        ]
        fused = []
        for row, score in fuse(rankings, request.fusion):
            parts = {name: one[row] for name, one in (("vector", near), ("text", words)) if row in one}
            fused.append(Candidate(row, round(score, 6), distances.get(row), parts))
        return fused

    def _records(self, rows: Collection[int]) -> dict[int, VectorRecord]:
        records = self._memory.get(sorted(rows))
        if len(records) != len(rows):
            raise Moved
        return records

    def _finished(self, work: _Work) -> SearchAnswer | KiteError:
        options = work.asked.options
        begun = time.perf_counter()
        chosen = work.chosen
        if options.rerank:
            try:
                chosen = self._reranked(work.asked, chosen)
            except KiteError as exc:
                return exc
        reranked = time.perf_counter()
        chosen = chosen[: options.top_k]
        values = self._values([one.row for one, _ in chosen]) if options.include_values else None
        hits = tuple(
            SearchHit(
                work.asked.request.dataset_id,
                shown(record, None if values is None else values[place], options),
                one.score,
                one.distance,
                place + 1,
                one.parts,
            )
            for place, (one, record) in enumerate(chosen)
        )
        done = time.perf_counter()
        stats = self._stats(work, (reranked - begun) * 1e3, (done - reranked) * 1e3)
        return SearchAnswer(hits, len(hits), work.has_more, stats)

    def _reranked(
        self, asked: Asked, chosen: Sequence[tuple[Candidate, VectorRecord]]
    ) -> list[tuple[Candidate, VectorRecord]]:
        first = [(record.content, one.score) for one, record in chosen]
        read = []
        for (one, record), again in zip(chosen, reread(self._stance, asked.text, first), strict=True):
            read.append((replace(one, score=again.score, parts={**one.parts, **again.parts}), record))
        return sorted(read, key=lambda pair: (-pair[0].score, pair[1].id))

    def _values(self, rows: Sequence[int]) -> NDArray[np.float32]:
        found = self._store.values(rows)
        if np.isnan(found).any():
            raise Moved
        return found

    def _stats(self, work: _Work, reranking_ms: float, post_processing_ms: float) -> SearchStats:
        near = work.near
        plans = ([near.plan] if near is not None else []) + (["words"] if work.asked.by_words else [])
        live = self._store.count() if work.allowed is None else len(work.allowed)
        return SearchStats(
            vectors_scanned=near.scanned if near is not None else 0,
            index_hits=(len(near.rows) if near is not None else 0) + len(work.words),
            filtered_results=live,
            plan="+".join(plans),
            exact=near is None or near.exact,
            database_ms=round(work.database_ms, 3),
            reranking_ms=round(reranking_ms, 3),
            post_processing_ms=round(post_processing_ms, 3),
        )


def similarity_of(metric: Metric) -> Callable[[float], float]:
    """Return what turns a distance into a score, higher for nearer."""
    if metric == "cosine":
        return lambda distance: 1.0 - distance
    if metric == "dot_product":
        return lambda distance: -distance
    return lambda distance: 1.0 / (1.0 + distance)


def _first_depth(asked: Asked) -> int:
    """Return how many of each ranking are looked at first; one more than asked for says whether there are."""
    if asked.is_hybrid:
        return fused_depth(asked.options)
    wanted = wanted_of(asked.options)
    return wanted * SPARE if asked.leaves_out else wanted + 1


def _distances(near: Neighbours | None) -> dict[int, float]:
    if near is None:
        return {}
    # Few numbers: faster one by one than through numpy.
    found = [round(distance, 6) for distance in near.distances.tolist()]
    return dict(zip(near.rows.tolist(), found, strict=True))


def _first(candidates: Sequence[Candidate], most: int) -> Sequence[Candidate]:
    """Return the best of them, and those that are as good as the last."""
    if len(candidates) <= most:
        return candidates
    last = candidates[most - 1].score
    end = most
    while end < len(candidates) and candidates[end].score == last:
        end += 1
    return candidates[:end]
