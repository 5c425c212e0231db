"""How much is in a dataset, shards and all: vectors, and bytes on disk.

Used by the dataset service. Invariant: nothing is opened to be counted; what is not open is counted by the
last row that the ledger has of it.
"""

from __future__ import annotations

from pathlib import Path

from data.datasets.catalogue import DatasetCatalogue, Defined
from data.datasets.changes import total_after
from data.datasets.ledger_rows import DatasetRows
from data.datasets.opening import folder_of
from data.datasets.ports import DatasetInfo
from data.datasets.shards import whole_of
from data.datasets.shelf import Shelf
from data.redaction import is_erased


class Sizes:
    """The sizes of the datasets of one home. Any thread."""

    def __init__(self, home: Path, rows: DatasetRows, shelf: Shelf, catalogue: DatasetCatalogue) -> None:
        self._home = home
        self._rows = rows
        self._shelf = shelf
        self._catalogue = catalogue
        #: Position of the last row of vectors, and how many there were after it, by dataset.
        self._counts: dict[str, tuple[int, int]] = {}

    def info(self, defined: Defined) -> DatasetInfo:
        """Return a dataset with what it holds."""
        whole = [self._catalogue.get(one.id) or defined for one in whole_of(defined.record)]
        folders = [folder_of(self._home, one.record.id) for one in whole]
        size = sum(file.stat().st_size for one in folders for file in one.rglob("*") if file.is_file())
        location = folders[0].relative_to(self._home).as_posix()
        return DatasetInfo(defined.record, defined.tenant, sum(map(self._count, whole)), size, location)

    def forget(self, dataset_id: str) -> None:
        """Forget a dataset that is no more."""
        self._counts.pop(dataset_id, None)

    def _count(self, defined: Defined) -> int:
        key = defined.record.id
        if self._shelf.is_open(key):
            with self._shelf.lend(key) as dataset:
                return dataset.views.store.count()
        last = self._rows.last_of_vectors(key)
        if last is None or last.seq < defined.born_seq or is_erased(last.payload):
            return 0
        known = self._counts.get(key, (0, 0))
        if known[0] != last.seq:
            known = self._counts[key] = (last.seq, total_after(last.payload))
        return known[1]
