"""A house for imports and exports: datasets in memory that keep the port's promises, a store, a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data.claims import TenantId
from data.datasets.formats.reading import reader_of
from data.datasets.ports import (
    DatasetInfo,
    FilterValue,
    InsertReport,
    NewVector,
    OnDuplicate,
    StoredVector,
    VectorPage,
)
from data.datasets.records import DatasetRecord
from data.datasets.transfer import Order
from data.datasets.transfer_desk import Transfers
from data.errors import InvalidValueError, NotFoundError
from data.stores.memory import MemoryStore
from tests.fakes import FakeClock

TENANT = TenantId("acme")
DATASET = DatasetRecord(id="0" * 32, name="water", dimensions=2)


class FakeDatasets:
    """One dataset of one tenant in a dict, with writes that can be made to fail."""

    def __init__(self) -> None:
        self.kept: dict[str, StoredVector] = {}
        self.writes: list[int] = []
        self.before_write: Callable[[], None] = lambda: None
        self.after_write: Callable[[], None] = lambda: None

    def dataset(self, tenant: TenantId, dataset_id: str) -> DatasetInfo:
        """Return the dataset."""
        if (tenant, dataset_id) != (TENANT, DATASET.id):
            raise NotFoundError("There is no such dataset.")
        return DatasetInfo(DATASET, tenant, len(self.kept), 0, "")

    def insert(
        self, tenant: TenantId, dataset_id: str, vectors: Sequence[NewVector], on_duplicate: OnDuplicate
    ) -> InsertReport:
        """Write vectors; one of the wrong length is a failure."""
        self.dataset(tenant, dataset_id)
        self.before_write()
        self.writes.append(len(vectors))
        skipped, failures = 0, []
        for place, vector in enumerate(vectors):
            if vector.values is None or len(vector.values) != DATASET.dimensions:
                failures.append((place, f"values has {len(vector.values or ())} numbers, not 2."))
            elif on_duplicate == "skip" and vector.record.id in self.kept:
                skipped += 1
            else:
                self.kept[vector.record.id] = StoredVector(vector.record, tuple(vector.values))
        self.after_write()
        return InsertReport(len(vectors) - skipped - len(failures), skipped, tuple(failures))

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
        """Return a page; the one filter that is known is an equal document."""
        self.dataset(tenant, dataset_id)
        if filters is not None and not isinstance(filters, dict):
            raise InvalidValueError("filters: at position 0.")
        wanted = None if filters is None else filters["document_id"]
        found = [one for one in self.kept.values() if wanted in (None, one.record.document_id)]
        return VectorPage(tuple(found[offset : offset + limit]), len(found))


class House:
    """Processes that share a store, a folder and the datasets; work waits in ``waiting`` until it is done."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.store = MemoryStore(self.clock)
        self.datasets = FakeDatasets()
        self.waiting: list[Callable[[], None]] = []
        self.desk = self.process()

    def process(self) -> Transfers:
        """Return the desk of one more process."""
        datasets: Any = self.datasets
        return Transfers(datasets, self.store, self.clock, self.folder, spawn=self.waiting.append)

    def work(self) -> None:
        """Do all that waits."""
        while self.waiting:
            self.waiting.pop(0)()

    def order(self, body: str | bytes, form: str = "jsonl", **more: Any) -> Order:
        """Return the order to import a file of this content."""
        file = self.desk.new_file(TENANT, f"upload.{form}")
        path = self.folder / file
        path.write_bytes(body.encode() if isinstance(body, str) else body)
        return Order("import", DATASET.id, form, file, source="f00d", **more)

    def export(self, form: str = "jsonl", **more: Any) -> Order:
        """Return the order to export."""
        return Order("export", DATASET.id, form, self.desk.new_file(TENANT, f"out.{form}"), **more)

    def rows_of(self, path: Path, form: Any) -> int:
        """Return how many rows a file holds."""
        return reader_of(path, form).count()
