"""``VectorDatasets`` over the actors that hold the datasets: a caller cannot tell it from local objects.

A dataset lives on the actor that its id falls to. Writes carry a name of their own, so one that is repeated
because the link was cut is done once and answered the same; reads are repeated freely.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from cluster.names import vectors_actor
from cluster.remote import PATIENCE_S, ActorLink
from cluster.vector_copies import TURN_S, Copy, Turns
from data.at_once import at_once
from data.claims import TenantId
from data.datasets.ports import (
    DatasetInfo,
    DatasetStats,
    FilterValue,
    IndexInfo,
    InsertReport,
    NewVector,
    OnDuplicate,
    SearchAnswer,
    SearchRequest,
    StoredVector,
    VectorPage,
    WordCounts,
)
from data.datasets.records import DatasetRecord, IndexSettings
from data.datasets.shards import place_of
from data.datasets.wire import (
    INDEX,
    INDEX_SETTINGS,
    INFO,
    INFOS,
    PAGE,
    RECORD,
    REPORT,
    STATS,
    STORED,
    decode_answers,
    decode_counts,
    encode_asked,
    encode_insert,
    encode_requests,
)
from data.errors import IndexUnavailableError, KiteError
from data.grouping import places_by

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class RemoteVectorDatasets:
    """``VectorDatasets`` over ``actors`` actors, searched in turn with ``copies`` copies. Any thread."""

    def __init__(self, actors: int, copies: int = 0, *, patience_s: float = PATIENCE_S) -> None:
        names = [vectors_actor(number) for number in range(actors)]
        self._links = [ActorLink(name, IndexUnavailableError, patience_s=patience_s) for name in names]
        quick = [ActorLink(name, IndexUnavailableError, patience_s=TURN_S, retries=False) for name in names]
        self._copies = [Copy(number) for number in range(copies)]
        self._turns = [Turns(*links, self._copies) for links in zip(self._links, quick, strict=True)]

    def create(self, tenant: TenantId, record: DatasetRecord, *, overwrite: bool = False) -> DatasetInfo:
        """Make an empty dataset; with ``overwrite`` in place of the one of the same name."""
        named = replace(record, id=record.id or uuid.uuid4().hex)
        info = INFO.decode(self._of(named.id).call("create", tenant, RECORD.encode(named), overwrite))
        for link in self._links if overwrite or named.shards > 1 else ():
            link.call("follow")  # the dataset replaced, or a shard, may live on any of them
        return info

    def datasets(self, tenant: TenantId) -> list[DatasetInfo]:
        """Return a tenant's datasets and the shared ones, oldest first."""
        infos = [info for link in self._links for info in INFOS.decode(link.call("datasets", tenant))]
        return sorted(infos, key=lambda info: (info.record.created_at, info.record.id))

    def dataset(self, tenant: TenantId, dataset_id: str) -> DatasetInfo:
        """Return one dataset."""
        return INFO.decode(self._of(dataset_id).call("dataset", tenant, dataset_id))

    def update(self, tenant: TenantId, record: DatasetRecord) -> DatasetInfo:
        """Store another name, description, metadata or index settings; dimensions and metric stay."""
        return INFO.decode(self._of(record.id).call("update", tenant, RECORD.encode(record)))

    def delete(self, tenant: TenantId, dataset_id: str) -> None:
        """Remove a dataset and all that is in it."""
        self._of(dataset_id).call("delete", tenant, dataset_id)

    def stats(self, tenant: TenantId, dataset_id: str) -> DatasetStats:
        """Return figures of a dataset."""
        return STATS.decode(self._of(dataset_id).call("stats", tenant, dataset_id))

    def insert(
        self, tenant: TenantId, dataset_id: str, vectors: Sequence[NewVector], on_duplicate: OnDuplicate
    ) -> InsertReport:
        """Write vectors, once however often the link was cut."""
        blob = encode_insert(vectors, on_duplicate, uuid.uuid4().hex)
        return REPORT.decode(self._of(dataset_id).call("insert", tenant, dataset_id, blob))

    def vector(self, tenant: TenantId, dataset_id: str, vector_id: str) -> StoredVector:
        """Return one vector with its values."""
        return STORED.decode(self._of(dataset_id).call("vector", tenant, dataset_id, vector_id))

    def vectors(
        self,
        tenant: TenantId,
        dataset_id: str,
        *,
        limit: int,
        offset: int = 0,
        filters: FilterValue | None = None,
        values: bool = False,
    ) -> VectorPage:
        """Return a page of vectors."""
        found = self._of(dataset_id).call("vectors", tenant, dataset_id, (limit, offset), filters, values)
        return PAGE.decode(found)

    def delete_vectors(self, tenant: TenantId, dataset_id: str, vector_ids: Sequence[str]) -> int:
        """Remove vectors; return how many were there."""
        request = uuid.uuid4().hex
        return int(self._of(dataset_id).call("delete_vectors", tenant, dataset_id, list(vector_ids), request))

    def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        """Return, a request, what was found or why it cannot be answered; one call an actor."""

        def ask(turns: Turns, mine: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
            return decode_answers(turns.call("search", tenant, encode_requests(mine)))

        return self._of_each(requests, lambda one: one.dataset_id, ask)

    def word_counts(self, tenant: TenantId, asked: Sequence[tuple[str, str]]) -> list[WordCounts | KiteError]:
        """Return, a (dataset, question), what BM25 counts there, or why it cannot be told."""

        def ask(turns: Turns, mine: Sequence[tuple[str, str]]) -> list[WordCounts | KiteError]:
            return decode_counts(turns.call("word_counts", tenant, encode_asked(mine)))

        return self._of_each(asked, lambda one: one[0], ask)

    def index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Return how the index stands."""
        return INDEX.decode(self._of(dataset_id).call("index", tenant, dataset_id))

    def build_index(self, tenant: TenantId, dataset_id: str, settings: IndexSettings | None) -> IndexInfo:
        """Build the main index of all vectors in the background, by these settings or the dataset's own."""
        blob = INDEX_SETTINGS.encode(settings)
        return INDEX.decode(self._of(dataset_id).call("build_index", tenant, dataset_id, blob))

    def drop_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Go back to a flat index."""
        return INDEX.decode(self._of(dataset_id).call("drop_index", tenant, dataset_id))

    def adopt_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Swap in the newest main index in a dataset's folder, which another process has built."""
        return INDEX.decode(self._of(dataset_id).call("adopt_index", tenant, dataset_id))

    def roll_back_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Go back to the main index before the one in use."""
        return INDEX.decode(self._of(dataset_id).call("roll_back_index", tenant, dataset_id))

    def revalue(
        self,
        tenant: TenantId,
        dataset_id: str,
        rows: Sequence[int],
        values: NDArray[np.float32],
        *,
        model: str,
    ) -> int:
        """Give rows the numbers that ``model`` made of their contents; a repetition finds nothing to do."""
        return int(self._of(dataset_id).call("revalue", tenant, dataset_id, list(rows), values, model))

    def copies_there(self) -> int:
        """Return how many copies answered when they were last asked."""
        return sum(copy.is_there for copy in self._copies)

    def ping(self) -> None:
        """Raise ``IndexUnavailableError`` when an actor does not answer."""
        for link in self._links:
            link.call("ping")

    def _of_each(
        self,
        asked: Sequence[Asked],
        id_of: Callable[[Asked], str],
        ask: Callable[[Turns, Sequence[Asked]], list[Answer]],
    ) -> list[Answer]:
        """Return the answers of the actors on which datasets live, each asked once, all at the same time."""
        places = places_by(place_of(id_of(one), len(self._links)) for one in asked)
        calls = [
            partial(ask, self._turns[actor], [asked[place] for place in mine])
            for actor, mine in places.items()
        ]
        answers: dict[int, Answer] = {}
        for mine, told in zip(places.values(), at_once(calls), strict=True):
            answers.update(zip(mine, told, strict=True))
        return [answers[place] for place in range(len(asked))]

    def _of(self, dataset_id: str) -> ActorLink:
        return self._links[place_of(dataset_id, len(self._links))]
