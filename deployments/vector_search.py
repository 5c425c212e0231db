"""Searches of many callers, asked together: those that wait at the same time are one call of the port.

Used by the search routes. Natural batching (``deployments.batching``): a lone search leaves at once, and
under load batches grow by themselves, taken by turns over the tenants. Invariant: the answer to a search
does not depend on its batch (the port's promise), and one tenant's batch is one call of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from data.claims import TenantId
from data.datasets.fusion import RANK_CONSTANT
from data.datasets.ports import SearchAnswer, SearchHit, SearchRequest, SearchStats, VectorDatasets
from data.errors import KiteError
from data.grouping import places_by
from deployments.batching import Batcher

#: Searches in one call: above this a call takes so long that those behind it wait for nothing.
BATCH = 64
#: Calls at work at the same time; as many beside them while few tenants ask. The port's calls block a thread.
IN_FLIGHT = 4
#: Searches that may wait in one process.
WAITING = 4_096

_Asked = tuple[TenantId, SearchRequest]
_Told = SearchAnswer | KiteError


class VectorSearcher:
    """Searches for one process. Use it from one event loop."""

    def __init__(self, datasets: VectorDatasets, *, batch: int = BATCH, in_flight: int = IN_FLIGHT) -> None:
        self._datasets = datasets
        # Threads of their own: writes that block must not hold up searches.
        self._threads = ThreadPoolExecutor(2 * in_flight, thread_name_prefix="vector-search")
        self._batcher: Batcher[_Asked, _Told] = Batcher(
            self._work, max_size=batch, max_in_flight=in_flight, max_waiting=WAITING, key=_tenant_of
        )

    async def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer]:
        """Return the answers to a caller's searches, in order.

        Raises:
            KiteError: one of them cannot be answered; the first such.
            CapacityError: too many searches wait already.
        """
        told = await self._batcher.submit([(tenant, request) for request in requests])
        answers: list[SearchAnswer] = []
        for one in told:
            if isinstance(one, KiteError):
                raise one
            answers.append(one)
        return answers

    async def _work(self, batch: list[_Asked]) -> Sequence[_Told]:
        """Ask the port once a tenant; the answers in the order of the batch."""
        places = places_by(tenant for tenant, _ in batch)
        loop = asyncio.get_running_loop()
        calls = [
            loop.run_in_executor(self._threads, self._ask, tenant, [batch[place][1] for place in mine])
            for tenant, mine in places.items()
        ]
        told: list[_Told | None] = [None] * len(batch)
        for mine, answers in zip(places.values(), await asyncio.gather(*calls), strict=True):
            for place, answer in zip(mine, answers, strict=True):
                told[place] = answer
        return [one for one in told if one is not None]

    def _ask(self, tenant: TenantId, requests: list[SearchRequest]) -> Sequence[_Told]:
        try:
            return self._datasets.search(tenant, requests)
        except KiteError as exc:
            # What fails for one tenant is no matter of the others in its batch.
            return [exc] * len(requests)


def _tenant_of(asked: _Asked) -> TenantId:
    return asked[0]


@dataclass(frozen=True, slots=True)
class Merging:
    """How the answers of several datasets become one ranking of ``top_k``.

    ``comparable``: their scores mean the same (one metric); else only their order counts, by reciprocal rank.
    """

    top_k: int
    comparable: bool
    deduplicate: bool = False


def merge(answers: Mapping[str, SearchAnswer], how: Merging) -> SearchAnswer:
    """Return one ranking of the answers of several datasets, by dataset id; ties by dataset and vector id."""
    hits = [hit if how.comparable else _by_rank(hit) for answer in answers.values() for hit in answer.hits]
    hits.sort(key=lambda hit: (-hit.score, hit.dataset_id, hit.vector.record.id))
    if how.deduplicate:
        hits = _distinct(hits)
    kept = tuple(replace(hit, rank=rank) for rank, hit in enumerate(hits[: how.top_k], start=1))
    parts = list(answers.values())
    return SearchAnswer(
        hits=kept,
        total_found=sum(part.total_found for part in parts),
        has_more=len(hits) > how.top_k or any(part.has_more for part in parts),
        stats=_summed([part.stats for part in parts]),
    )


def _by_rank(hit: SearchHit) -> SearchHit:
    """Return a hit whose score follows from its rank in its own dataset; what made the first is kept."""
    return replace(
        hit, score=round(1.0 / (RANK_CONSTANT + hit.rank), 6), parts={**hit.parts, "own": hit.score}
    )


def _distinct(hits: Sequence[SearchHit]) -> list[SearchHit]:
    """Return the hits without those whose content stands further up already."""
    seen: set[str] = set()
    found = []
    for hit in hits:
        digest = hit.vector.record.content_hash
        if digest is None or digest not in seen:
            found.append(hit)
        if digest is not None:
            seen.add(digest)
    return found


def _summed(stats: Sequence[SearchStats]) -> SearchStats:
    return SearchStats(
        vectors_scanned=sum(one.vectors_scanned for one in stats),
        index_hits=sum(one.index_hits for one in stats),
        filtered_results=sum(one.filtered_results for one in stats),
        plan="+".join(sorted({one.plan for one in stats})),
        exact=all(one.exact for one in stats),
        cached=all(one.cached for one in stats),
        database_ms=sum(one.database_ms for one in stats),
        reranking_ms=sum(one.reranking_ms for one in stats),
        post_processing_ms=sum(one.post_processing_ms for one in stats),
    )
