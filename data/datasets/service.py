"""Vector datasets of all tenants in one process: the port ``VectorDatasets`` over the ledger and folders.

Held by an actor for the datasets that live on it, or by whoever runs without a cluster. Invariant: the ledger
says which datasets there are; a tenant reads its own and the shared tenant's, and writes to its own.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.claims import TenantId
from data.datasets.building import (
    INDEX,
    adopt_newest,
    differs_only_in_depth,
    index_info,
    roll_back,
)
from data.datasets.catalogue import Defined
from data.datasets.changes import delete_dataset, put_dataset
from data.datasets.checks import check_batch_size, check_dataset, check_index_settings
from data.datasets.engine import Dataset, EnginePorts, Log
from data.datasets.ledger_rows import DatasetRows
from data.datasets.opened import DatasetsConfig, OpenedDatasets, every
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
from data.datasets.shards import is_shard, whole_of
from data.datasets.sizes import Sizes
from data.datasets.writing import moment_of
from data.errors import ConflictError, InvalidValueError, KiteError
from data.ports import Clock, Embedder, StanceModel


class LocalVectorDatasets:
    """``VectorDatasets`` in this process. ``owns`` says which datasets live here. Any thread."""

    def __init__(
        self,
        home: Path,
        log: Log,
        *,
        clock: Clock,
        models: tuple[Embedder | None, StanceModel | None] = (None, None),
        config: DatasetsConfig | None = None,
        owns: Callable[[str], bool] = every,
    ) -> None:
        self._clock = clock
        self._log = log
        self._owns = owns
        self._rows = DatasetRows(home / "ledger" / "ledger.sqlite")
        ports = EnginePorts(log, self._rows, clock, *models)
        self._opened = OpenedDatasets(home, ports, config or DatasetsConfig(), self._forget)
        self._catalogue = self._opened.catalogue
        self._lent = self._opened.lend
        self._sizes = Sizes(home, self._rows, self._opened.shelf, self._catalogue)
        self._opened.begin(owns)

    def create(self, tenant: TenantId, record: DatasetRecord, *, overwrite: bool = False) -> DatasetInfo:
        """Make an empty dataset; with ``overwrite`` in place of the one of the same name.

        A repetition with the same id answers as the first time.
        """
        record = replace(record, id=record.id or uuid.uuid4().hex)
        check_dataset(record)
        self._opened.follow(at_once=True)
        known = self._catalogue.get(record.id)
        if known is not None and (known.tenant, known.record.name) == (tenant, record.name):
            return self._sizes.info(known)
        there = self._catalogue.named(tenant, record.name)
        if there is not None and not overwrite:
            raise ConflictError(
                f"There is a dataset named {record.name!r}: choose another name, or overwrite it."
            )
        now = moment_of(self._clock.now_s())
        made = replace(record, created_at=now, updated_at=now)
        gone = [delete_dataset(one.id, tenant) for one in whole_of(there.record)] if there else []
        self._log.append([*gone, *(put_dataset(one, tenant) for one in whole_of(made))])
        self._opened.follow(at_once=True)
        return self._sizes.info(self._catalogue.found(tenant, made.id))

    def datasets(self, tenant: TenantId) -> list[DatasetInfo]:
        """Return a tenant's datasets and the shared ones that live here, oldest first."""
        self._opened.follow()
        there = (one for one in self._catalogue.of(tenant) if not is_shard(one.record.id))
        return [self._sizes.info(one) for one in there if self._owns(one.record.id)]

    def dataset(self, tenant: TenantId, dataset_id: str) -> DatasetInfo:
        """Return one dataset."""
        return self._sizes.info(self._found(tenant, dataset_id))

    def update(self, tenant: TenantId, record: DatasetRecord) -> DatasetInfo:
        """Store another name, description, metadata or index settings; dimensions, metric and shards stay."""
        check_dataset(record)
        self._opened.follow(at_once=True)
        before = self._catalogue.own(tenant, record.id).record
        for name in ("dimensions", "metric", "shards"):
            if getattr(record, name) != getattr(before, name):
                raise InvalidValueError(
                    f"The {name} of a dataset cannot change from {getattr(before, name)}: make a new dataset."
                )
        now = moment_of(self._clock.now_s())
        self._define(tenant, replace(record, created_at=before.created_at, updated_at=now))
        if differs_only_in_depth(before.index, record.index):
            with self._lent(self._own(tenant, record.id)) as dataset:
                dataset.adopt(None, record.index)
        elif record.index != before.index and record.shards == 1:
            self._opened.builds.start_if_idle(record.id)
        return self._sizes.info(self._catalogue.own(tenant, record.id))

    def delete(self, tenant: TenantId, dataset_id: str) -> None:
        """Remove a dataset and all that is in it."""
        self._opened.follow(at_once=True)
        record = self._catalogue.own(tenant, dataset_id).record
        self._log.append([delete_dataset(one.id, tenant) for one in whole_of(record)])
        self._opened.follow(at_once=True)

    def stats(self, tenant: TenantId, dataset_id: str) -> DatasetStats:
        """Return figures of a dataset."""
        defined = self._found(tenant, dataset_id)
        with self._lent(defined) as dataset:
            return DatasetStats(
                self._sizes.info(defined),
                self._index(dataset),
                dataset.views.fields.summary(),
                dataset.views.store.document_count(),
            )

    def insert(
        self,
        tenant: TenantId,
        dataset_id: str,
        vectors: Sequence[NewVector],
        on_duplicate: OnDuplicate,
        *,
        request: str | None = None,
    ) -> InsertReport:
        """Write vectors. A repetition with the same ``request`` writes nothing and answers the same."""
        check_batch_size(vectors)
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            report = dataset.insert(vectors, on_duplicate, request=request)
            self._opened.build_if_due(dataset)
        return report

    def vector(self, tenant: TenantId, dataset_id: str, vector_id: str) -> StoredVector:
        """Return one vector with its values."""
        with self._lent(self._found(tenant, dataset_id)) as dataset:
            return dataset.vector(vector_id)

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
        with self._lent(self._found(tenant, dataset_id)) as dataset:
            return dataset.page(limit=limit, offset=offset, filters=filters, values=values)

    def delete_vectors(
        self, tenant: TenantId, dataset_id: str, vector_ids: Sequence[str], *, request: str | None = None
    ) -> int:
        """Remove vectors; return how many were there."""
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            removed = dataset.delete(vector_ids, request=request)
            self._opened.build_if_due(dataset)
        return removed

    def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        """Return, a request, what was found or why it cannot be answered."""
        return self._opened.search(tenant, requests)

    def word_counts(self, tenant: TenantId, asked: Sequence[tuple[str, str]]) -> list[WordCounts | KiteError]:
        """Return, a (dataset, question), what BM25 counts there, or why it cannot be told."""
        return self._opened.word_counts(tenant, asked)

    def index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Return how the index stands."""
        with self._lent(self._found(tenant, dataset_id)) as dataset:
            return self._index(dataset)

    def build_index(self, tenant: TenantId, dataset_id: str, settings: IndexSettings | None) -> IndexInfo:
        """Build the main index of all vectors in the background, by these settings or the dataset's own."""
        before = self._own(tenant, dataset_id).record
        check_index_settings(settings or before.index)
        if self._opened.builds.is_building(dataset_id):
            raise ConflictError(f"The index of {dataset_id!r} is being built: wait until it is done.")
        self._set_index(tenant, before, settings or before.index)
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            self._opened.builds.start(dataset_id)
            return self._index(dataset)

    def drop_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Go back to a flat index, which needs no building."""
        before = self._own(tenant, dataset_id).record
        self._set_index(tenant, before, replace(before.index, index_type="flat", quantisation="none"))
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            self._opened.builds.start_if_idle(dataset_id)
            return self._index(dataset)

    def adopt_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Swap in the newest main index in the dataset's folder, which another process has built."""
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            adopt_newest(dataset, self._opened.folder_of(dataset_id) / INDEX)
            return self._index(dataset)

    def roll_back_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Go back to the main index before the one in use; what it lacks is searched beside it."""
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            roll_back(dataset, self._opened.folder_of(dataset_id) / INDEX)
            return self._index(dataset)

    def revalue(
        self,
        tenant: TenantId,
        dataset_id: str,
        rows: Sequence[int],
        values: NDArray[np.float32],
        *,
        model: str,
    ) -> int:
        """Give rows the (n, dimensions) numbers that ``model`` made of their contents; return how many."""
        with self._lent(self._own(tenant, dataset_id)) as dataset:
            return dataset.revalue(rows, values, model)

    def follow(self) -> None:
        """Learn now which datasets came, changed and went by another process."""
        self._opened.follow(at_once=True)

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the ledger cannot be read."""
        self._rows.head()
        self._opened.follow()  # what was erased goes though nobody asks for it

    def close(self) -> None:
        """Let the build under way end, and release every file."""
        self._opened.close()
        self._rows.close()

    def _forget(self, dataset_id: str) -> None:
        self._sizes.forget(dataset_id)

    def _found(self, tenant: TenantId, dataset_id: str) -> Defined:
        self._opened.follow()
        return self._catalogue.found(tenant, dataset_id)

    def _own(self, tenant: TenantId, dataset_id: str) -> Defined:
        self._opened.follow()
        return self._catalogue.own(tenant, dataset_id)

    def _define(self, tenant: TenantId, record: DatasetRecord) -> None:
        self._log.append([put_dataset(record, tenant)])
        self._opened.follow(at_once=True)
        if self._opened.shelf.is_open(record.id):
            with self._lent(self._own(tenant, record.id)):
                pass  # it is told what it is now

    def _set_index(self, tenant: TenantId, before: DatasetRecord, settings: IndexSettings) -> None:
        if settings != before.index:
            now = moment_of(self._clock.now_s())
            self._define(tenant, replace(before, index=settings, updated_at=now))

    def _index(self, dataset: Dataset) -> IndexInfo:
        return index_info(dataset, is_building=self._opened.builds.is_building(dataset.record.id))
