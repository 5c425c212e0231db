"""Datasets of several shards: the port ``VectorDatasets`` over another one that knows each shard alone.

Put by the composition root before the datasets of an installation or of a process. A dataset of one shard
goes through untouched. Invariants: a shard is seen by nobody; a search is answered by all shards or refused;
a write tells of each vector whether it was written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from typing import Concatenate, ParamSpec, TypeVar

from data.at_once import at_once
from data.claims import TenantId
from data.datasets.catalogue import no_dataset
from data.datasets.checks import check_batch_size
from data.datasets.ports import (
    DatasetInfo,
    DatasetStats,
    FilterValue,
    IndexedDatasets,
    IndexInfo,
    InsertReport,
    NewVector,
    OnDuplicate,
    SearchAnswer,
    SearchRequest,
    StoredVector,
    VectorPage,
)
from data.datasets.records import DatasetRecord, IndexSettings
from data.datasets.shard_figures import one_index, one_summary
from data.datasets.shard_search import ShardSearch
from data.datasets.shards import is_shard, shard_id, shard_of, shards_of, without_shards
from data.errors import ConflictError, KiteError, UnavailableError
from data.grouping import places_by
from data.ports import StanceModel

#: Datasets whose number of shards, which never changes, is remembered.
_REMEMBERED = 10_000

Arguments = ParamSpec("Arguments")
Found = TypeVar("Found")


class ShardedVectorDatasets:
    """``VectorDatasets`` whose datasets may have shards, each a dataset of ``inner``. Any thread."""

    def __init__(self, inner: IndexedDatasets, stance: StanceModel | None = None) -> None:
        self._inner = inner
        self._stance = stance
        self._count = lru_cache(_REMEMBERED)(self._asked_count)

    def create(self, tenant: TenantId, record: DatasetRecord, *, overwrite: bool = False) -> DatasetInfo:
        """Make an empty dataset with its shards; with ``overwrite`` in place of the one of the same name."""
        return self._inner.create(tenant, record, overwrite=overwrite)

    def datasets(self, tenant: TenantId) -> list[DatasetInfo]:
        """Return a tenant's datasets and the shared ones, oldest first."""
        return self._inner.datasets(tenant)

    def dataset(self, tenant: TenantId, dataset_id: str) -> DatasetInfo:
        """Return one dataset."""
        return self._inner.dataset(tenant, _seen(dataset_id))

    def update(self, tenant: TenantId, record: DatasetRecord) -> DatasetInfo:
        """Store another name, description, metadata or index settings; all else stays."""
        _seen(record.id)
        info = self._inner.update(tenant, record)
        for shard in shards_of(info.record):
            self._inner.update(tenant, shard)
        return info

    def delete(self, tenant: TenantId, dataset_id: str) -> None:
        """Remove a dataset, its shards, and all that is in them."""
        self._inner.delete(tenant, _seen(dataset_id))

    def stats(self, tenant: TenantId, dataset_id: str) -> DatasetStats:
        """Return figures of a dataset; a document counts once in each shard that has vectors of it."""
        info = self.dataset(tenant, dataset_id)
        told = self._of_each(self._inner.stats, tenant, dataset_id)
        return DatasetStats(
            info,
            one_index([one.index for one in told]),
            one_summary([one.fields for one in told]),
            sum(one.documents for one in told),
        )

    def insert(
        self, tenant: TenantId, dataset_id: str, vectors: Sequence[NewVector], on_duplicate: OnDuplicate
    ) -> InsertReport:
        """Write vectors, each to its shard; what a shard refuses as a whole is refused for its vectors."""
        shards = self._shards(tenant, dataset_id)
        if len(shards) == 1:
            return self._inner.insert(tenant, dataset_id, vectors, on_duplicate)
        check_batch_size(vectors)
        places = places_by(shard_of(vector.record.id, len(shards)) for vector in vectors)
        calls = [
            partial(self._inserted, tenant, shards[shard], [vectors[place] for place in mine], on_duplicate)
            for shard, mine in places.items()
        ]
        reports = at_once(calls)
        errors = [one for one in reports if isinstance(one, KiteError)]
        away = [one for one in errors if isinstance(one, UnavailableError)]
        if away or len(errors) == len(reports):
            raise _named((away or errors)[0], dataset_id)
        failures, inserted, skipped = [], 0, 0
        for mine, report in zip(places.values(), reports, strict=True):
            if isinstance(report, KiteError):
                failures += [(place, str(_named(report, dataset_id))) for place in mine]
            else:
                failures += [(mine[number], told) for number, told in report.failures]
                inserted, skipped = inserted + report.inserted, skipped + report.skipped
        return InsertReport(inserted, skipped, tuple(sorted(failures)))

    def vector(self, tenant: TenantId, dataset_id: str, vector_id: str) -> StoredVector:
        """Return one vector with its values."""
        shards = self._shards(tenant, dataset_id)
        mine = shards[shard_of(vector_id, len(shards))]
        return self._named_for(dataset_id, partial(self._inner.vector, tenant, mine, vector_id))

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
        """Return a page of vectors: shard after shard, each in the order of writing."""
        page = partial(self._inner.vectors, tenant, filters=filters, values=values)
        found: list[StoredVector] = []
        total = 0
        for shard in self._shards(tenant, dataset_id):
            wanted = limit - len(found)
            some = self._named_for(
                dataset_id, partial(page, shard, limit=wanted, offset=max(0, offset - total))
            )
            found += some.vectors
            total += some.total
        return VectorPage(tuple(found), total)

    def delete_vectors(self, tenant: TenantId, dataset_id: str, vector_ids: Sequence[str]) -> int:
        """Remove vectors; return how many were there."""
        shards = self._shards(tenant, dataset_id)
        if len(shards) == 1:
            return self._inner.delete_vectors(tenant, dataset_id, vector_ids)
        places = places_by(shard_of(vector_id, len(shards)) for vector_id in vector_ids)
        calls = [
            partial(self._inner.delete_vectors, tenant, shards[shard], [vector_ids[place] for place in mine])
            for shard, mine in places.items()
        ]
        return sum(self._named_for(dataset_id, partial(at_once, calls)))

    def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        """Return, a request, what was found or why it cannot be answered; all shards are asked together."""
        answers: dict[int, SearchAnswer | KiteError] = {}
        waiting: dict[int, ShardSearch] = {}
        plain: list[int] = []
        for place, request in enumerate(requests):
            try:
                shards = self._shards(tenant, request.dataset_id)
                if len(shards) == 1:
                    plain.append(place)
                else:
                    waiting[place] = ShardSearch(request, shards, self._stance)
            except KiteError as exc:
                answers[place] = exc
        answers.update(self._weigh(tenant, waiting))
        while plain or waiting:
            rounds = {place: search.questions() for place, search in waiting.items()}
            asked = [requests[place] for place in plain] + [one for some in rounds.values() for one in some]
            told = iter(self._inner.search(tenant, asked))
            answers.update((place, next(told)) for place in plain)
            plain = []
            for place, questions in rounds.items():
                waiting[place].take([next(told) for _ in questions])
                answer = waiting[place].answer
                if answer is not None:
                    del waiting[place]
                    named = requests[place].dataset_id
                    answers[place] = _named(answer, named) if isinstance(answer, KiteError) else answer
        return [answers[place] for place in range(len(requests))]

    def _weigh(self, tenant: TenantId, waiting: dict[int, ShardSearch]) -> dict[int, KiteError]:
        """Have words weighed as in one dataset; take out, and return by place, what cannot be answered."""
        asked = {place: search.words() for place, search in waiting.items()}
        told = iter(self._inner.word_counts(tenant, [one for some in asked.values() for one in some]))
        refused: dict[int, KiteError] = {}
        for place, some in asked.items():
            counts = [next(told) for _ in some]
            errors = [one for one in counts if isinstance(one, KiteError)]
            if errors:
                refused[place] = _named(errors[0], waiting.pop(place).dataset_id)
            elif counts:
                waiting[place].weigh([one for one in counts if not isinstance(one, KiteError)])
        return refused

    def index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Return how the index stands, all shards together."""
        return one_index(self._of_each(self._inner.index, tenant, dataset_id))

    def build_index(self, tenant: TenantId, dataset_id: str, settings: IndexSettings | None) -> IndexInfo:
        """Build the main index of every shard in the background, by these settings or the dataset's own."""
        if len(self._shards(tenant, dataset_id)) == 1:
            return self._inner.build_index(tenant, dataset_id, settings)
        if self.index(tenant, dataset_id).state == "building":
            raise ConflictError(f"The index of {dataset_id!r} is being built: wait until it is done.")
        record = self._inner.dataset(tenant, dataset_id).record
        if settings is not None and settings != record.index:
            self._inner.update(tenant, replace(record, index=settings))
        chosen = settings or record.index
        return one_index(self._of_each(self._inner.build_index, tenant, dataset_id, chosen))

    def drop_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Go back to a flat index."""
        if len(self._shards(tenant, dataset_id)) == 1:
            return self._inner.drop_index(tenant, dataset_id)
        record = self._inner.dataset(tenant, dataset_id).record
        flat = replace(record.index, index_type="flat", quantisation="none")
        self._inner.update(tenant, replace(record, index=flat))
        return one_index(self._of_each(self._inner.drop_index, tenant, dataset_id))

    def ping(self) -> None:
        """Raise when the datasets cannot be reached."""
        self._inner.ping()

    def _shards(self, tenant: TenantId, dataset_id: str) -> list[str]:
        """Return the ids of a dataset's shards; its own where it has one."""
        count = self._count(tenant, dataset_id)
        return [dataset_id] if count == 1 else [shard_id(dataset_id, number) for number in range(count)]

    def _asked_count(self, tenant: TenantId, dataset_id: str) -> int:
        return self.dataset(tenant, dataset_id).record.shards

    def _of_each(
        self,
        call: Callable[Concatenate[TenantId, str, Arguments], Found],
        tenant: TenantId,
        dataset_id: str,
        *arguments: Arguments.args,
        **named: Arguments.kwargs,
    ) -> list[Found]:
        """Return what a call tells of each shard."""
        shards = self._shards(tenant, dataset_id)
        calls = [partial(call, tenant, shard, *arguments, **named) for shard in shards]
        return self._named_for(dataset_id, partial(at_once, calls))

    def _inserted(
        self, tenant: TenantId, shard: str, vectors: Sequence[NewVector], on_duplicate: OnDuplicate
    ) -> InsertReport | KiteError:
        try:
            return self._inner.insert(tenant, shard, vectors, on_duplicate)
        except KiteError as exc:
            return exc

    def _named_for(self, dataset_id: str, call: Callable[[], Found]) -> Found:
        """Return what a call to shards returns; what it raises names the dataset."""
        try:
            return call()
        except KiteError as exc:
            raise _named(exc, dataset_id) from exc


def _seen(dataset_id: str) -> str:
    """Return a dataset's id; a shard's is no dataset's for whoever asks from outside."""
    if is_shard(dataset_id):
        raise no_dataset(dataset_id)
    return dataset_id


def _named(error: KiteError, dataset_id: str) -> KiteError:
    """Return an error of a shard that names the dataset instead."""
    told = (without_shards(one, dataset_id) if isinstance(one, str) else one for one in error.args)
    return type(error)(*told)
