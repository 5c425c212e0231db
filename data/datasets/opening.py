"""Opening a dataset: its folder as it is, brought up to the ledger, or built again from it.

Called by the dataset service. Invariant: what is opened holds exactly what the ledger says; a folder that is
damaged, of another history (a restored home) or of a dataset of the same id that was removed is thrown away.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.datasets.building import FIELDS, INDEX, adopt_newest
from data.datasets.catalogue import Defined
from data.datasets.changes import DATASET_ID, PUT_VECTORS, read_vector_ids, read_vectors
from data.datasets.engine import PAGE, Dataset, EnginePorts, Views, fill_index
from data.datasets.field_files import open_fields
from data.datasets.ledger_rows import FOLDER, FollowedRows
from data.datasets.store import RecordStore
from data.errors import CorruptDataError
from data.redaction import is_erased
from data.vectors.dense import DenseIndex, build_main

#: The records' file in a dataset's folder.
RECORDS = "records.sqlite"
#: Vectors that no main index has, above which a dataset that is opened is scanned until one is built.
MOST_LINKED = 20_000
_LOG = logging.getLogger(__name__)


def folder_of(home: Path, dataset_id: str) -> Path:
    """Return where a dataset's view lies."""
    return home / FOLDER / dataset_id


def open_dataset(home: Path, defined: Defined, ports: EnginePorts) -> Dataset:
    """Return a dataset that has all that the ledger has for it.

    Raises:
        CorruptDataError: the ledger is damaged.
    """
    record, folder = defined.record, folder_of(home, defined.record.id)
    store = _sound_store(folder, defined, ports.rows)
    try:
        store.advance(defined.born_seq)
        _replay(store, record.id, ports.rows)
        fields = open_fields(store, folder / FIELDS)
        index = DenseIndex(record.dimensions, record.metric, record.index)
        dataset = Dataset(defined.tenant, record, Views(store, fields, index), ports)
        adopt_newest(dataset, folder / INDEX)
        _adopt_flat(dataset)
        fill_index(store, dataset.views.index)
        dataset.catch_up()
    except BaseException:
        store.close()
        raise
    return dataset


def _replay(store: RecordStore, dataset_id: str, rows: FollowedRows) -> None:
    """Take in what the ledger has further, before anything is filled from the store."""
    while page := rows.of_vectors(dataset_id, store.applied_seq(), PAGE):
        for entry in page:
            if is_erased(entry.payload):
                store.advance(entry.seq)
            elif entry.kind == PUT_VECTORS:
                store.put(entry.seq, read_vectors(entry.payload))
            else:
                store.remove(entry.seq, read_vector_ids(entry.payload))


def _adopt_flat(dataset: Dataset) -> None:
    """Scan all vectors until a main index is built, where so many are in none: linking them takes minutes."""
    store, record = dataset.views.store, dataset.record
    missing = store.live_rows() - dataset.views.index.rows()
    if len(missing) > MOST_LINKED:
        rows = np.array(store.live_rows().to_array(), dtype=np.int64)
        flat = replace(record.index, index_type="flat", quantisation="none")
        main = build_main(rows, store.values, record.dimensions, record.metric, flat)
        dataset.adopt(main, record.index)


def _sound_store(folder: Path, defined: Defined, rows: FollowedRows) -> RecordStore:
    """Open the records, or begin with none where those in the folder cannot be gone on from."""
    try:
        store = RecordStore(folder / RECORDS, defined.record.dimensions)
    except CorruptDataError as exc:
        _LOG.warning("A dataset is built again from the ledger: %s", exc)
    else:
        if _belongs(store, defined, rows):
            return store
        store.close()
        _LOG.warning("The dataset %s is built again: its folder is of another history.", defined.record.id)
    shutil.rmtree(folder, ignore_errors=True)
    return RecordStore(folder / RECORDS, defined.record.dimensions)


def _belongs(store: RecordStore, defined: Defined, rows: FollowedRows) -> bool:
    """Return whether the last position that a store has taken in is one of this dataset in the ledger."""
    applied = store.applied_seq()
    if applied <= defined.born_seq:
        return not store.count() and applied in (0, defined.born_seq)
    last = rows.of_vectors(defined.record.id, applied - 1, 1)
    return bool(last) and last[0].seq == applied


def remove_orphans(home: Path, known: Collection[str], owns: Callable[[str], bool]) -> None:
    """Remove the folders of one's own datasets that the ledger does not know: what a crash left behind."""
    folder = home / FOLDER
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if DATASET_ID.fullmatch(path.name) and path.name not in known and owns(path.name):
            shutil.rmtree(path, ignore_errors=True)
