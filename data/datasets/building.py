"""Building main indexes in the background, one at a time, while searches and writes go on.

Used by the dataset service. Invariant: a main index is written to files and checked before it is swapped in;
whoever is killed in between leaves the one before, and the dataset whole.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from data.datasets.engine import Dataset
from data.datasets.field_files import save_fields
from data.datasets.ports import IndexInfo
from data.datasets.records import IndexSettings
from data.datasets.writing import moment_of
from data.errors import ConflictError, KiteError
from data.ports import Clock
from data.vectors.dense import MainIndex, build_main, load_newest, retire_newest, save_main
from data.vectors.index_files import versions
from data.vectors.space import Rows, Vectors

#: The folder of main indexes, and the file of fields, in a dataset's folder.
INDEX, FIELDS = "index", "fields.bin"
_LOG = logging.getLogger(__name__)

#: Lends a dataset by id, opened.
Opened = Callable[[str], AbstractContextManager[Dataset]]


class IndexBuilds:
    """The builds of one process. Any thread."""

    def __init__(
        self,
        opened: Opened,
        folder_of: Callable[[str], Path],
        clock: Clock,
        is_there: Callable[[str], bool] = lambda _: True,
    ) -> None:
        self._opened = opened
        self._folder_of = folder_of
        self._clock = clock
        self._is_there = is_there
        self._lock = threading.Lock()
        self._waiting: set[str] = set()
        self._closed = False
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="index-build")

    def start(self, dataset_id: str) -> None:
        """Build the main index of a dataset as soon as no other is being built.

        Raises:
            ConflictError: it is being built, or waits for it.
        """
        if not self.start_if_idle(dataset_id):
            raise ConflictError(f"The index of {dataset_id!r} is being built: wait until it is done.")

    def start_if_idle(self, dataset_id: str) -> bool:
        """Do as ``start`` and return whether it was possible."""
        with self._lock:
            if dataset_id in self._waiting or self._closed:
                return False
            self._waiting.add(dataset_id)
        self._pool.submit(self._run, dataset_id)
        return True

    def is_building(self, dataset_id: str) -> bool:
        """Return whether a dataset's index is being built, or waits for it."""
        with self._lock:
            return dataset_id in self._waiting

    def close(self) -> None:
        """Let the build under way end and begin no other."""
        with self._lock:
            self._closed = True
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _run(self, dataset_id: str) -> None:
        try:
            with self._opened(dataset_id) as dataset:
                built = None
                while built != dataset.record.index:  # settings that came meanwhile are built by too
                    built = dataset.record.index
                    self._build(dataset, dataset_id)
        except KiteError as exc:
            _LOG.warning("The index of the dataset %s is not built: %s", dataset_id, exc)
        except Exception:
            _LOG.exception("The index of the dataset %s is not built.", dataset_id)
        finally:
            with self._lock:
                self._waiting.discard(dataset_id)

    def _build(self, dataset: Dataset, dataset_id: str) -> None:
        main = build(dataset)
        # Removed meanwhile: its folder must not come back.
        if self._is_there(dataset_id):
            publish(dataset, main, self._folder_of(dataset_id), moment_of(self._clock.now_s()))


def build(dataset: Dataset) -> MainIndex:
    """Return a main index of all vectors that a dataset has now."""
    store, record = dataset.views.store, dataset.record
    rows = np.array(store.live_rows().to_array(), dtype=np.int64)
    return build_main(rows, _sound(store.values), record.dimensions, record.metric, record.index)


def publish(dataset: Dataset, main: MainIndex, folder: Path, moment: str) -> None:
    """Write a main index to files as the next version and swap it in; the fields are written beside it."""
    saved = save_main(main, folder / INDEX, next_version(folder / INDEX), built_at=moment)
    dataset.adopt(saved, dataset.record.index)
    with dataset.writing():
        save_fields(dataset.views.fields, folder / FIELDS, dataset.views.store)


def is_build_due(dataset: Dataset) -> bool:
    """Return whether so much changed that a new main index pays, or the one in use is in no file."""
    info = dataset.views.index.info()
    return info.is_stale or (info.indexed > 0 and info.version == 0)


def _sound(values_of: Callable[[Rows], Vectors]) -> Callable[[Rows], Vectors]:
    """Return the vectors of rows; one that went meanwhile, and will not be searched, is any other."""

    def vectors_of(rows: Rows) -> Vectors:
        values = values_of(rows)
        values[np.isnan(values).any(axis=1)] = 1.0
        return values

    return vectors_of


def adopt_newest(dataset: Dataset, folder: Path) -> bool:
    """Swap in the newest sound main index of a folder; return whether it was newer than the one in use."""
    record = dataset.record
    main = load_newest(folder, record.dimensions, record.metric).main
    if main is None or main.version <= dataset.index_version:
        return False
    dataset.adopt(main, record.index)
    return True


def roll_back(dataset: Dataset, folder: Path) -> None:
    """Search the main index before the one in use, which is removed from its folder.

    Raises:
        ConflictError: there is none before it.
    """
    record = dataset.record
    if retire_newest(folder) is None:
        raise ConflictError("There is no previous version of the index to go back to.")
    main = load_newest(folder, record.dimensions, record.metric).main
    if main is None:
        raise ConflictError("The previous version of the index is damaged: build the index again.")
    dataset.adopt(main, record.index, is_older=True)


def next_version(folder: Path) -> int:
    """Return the number of the next main index in a folder, whether the last one was sound or not."""
    return max(versions(folder), default=0) + 1


def differs_only_in_depth(one: IndexSettings, other: IndexSettings) -> bool:
    """Return whether what is built by two different settings is the same, and is only searched otherwise."""
    if one == other:
        return False
    return replace(one, hnsw_ef_search=None, ivf_nprobe=None) == replace(
        other, hnsw_ef_search=None, ivf_nprobe=None
    )


def index_info(dataset: Dataset, *, is_building: bool) -> IndexInfo:
    """Return how a dataset's index stands."""
    info = dataset.views.index.info()
    state: Literal["ready", "building", "empty"] = "ready" if dataset.views.store.count() else "empty"
    return IndexInfo(
        settings=dataset.record.index,
        kind=info.kind,
        version=info.version,
        indexed=info.indexed,
        delta=info.delta,
        removed=info.removed,
        memory_bytes=info.memory_bytes,
        file_bytes=info.file_bytes,
        state="building" if is_building else state,
        built_at=info.built_at,
    )
