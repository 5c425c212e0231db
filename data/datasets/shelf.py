"""Datasets that are open: opened when they are first asked for, closed when memory is needed for others.

Used by the dataset service. Invariant: a dataset is opened by one thread, once; one that somebody uses is not
closed; what was discarded is closed by its last user and its folder removed then.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from data.datasets.engine import Dataset

_LOG = logging.getLogger(__name__)
_TOO_LARGE = (
    "The dataset %s takes %d MB, an actor may take %d MB (vectors.memory_mb): raise that, or make the "
    "dataset anew in shards."
)


@dataclass(slots=True)
class _Place:
    """One dataset's place on the shelf, whether it is open or not."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    dataset: Dataset | None = None
    users: int = 0
    is_discarded: bool = False


class Shelf:
    """Open datasets by id, those asked for longest ago closed first. Any thread."""

    def __init__(
        self, opening: Callable[[str], Dataset], folder_of: Callable[[str], Path], *, memory_bytes: int
    ) -> None:
        self._opening = opening
        self._folder_of = folder_of
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._places: OrderedDict[str, _Place] = OrderedDict()

    @contextmanager
    def lend(self, dataset_id: str) -> Iterator[Dataset]:
        """Lend a dataset, opened if it is not."""
        with self._lock:
            place = self._places.setdefault(dataset_id, _Place())
            self._places.move_to_end(dataset_id)
            place.users += 1
        try:
            yield self._open(dataset_id, place)
        finally:
            with self._lock:
                place.users -= 1
                self._leave(dataset_id, place)

    def is_open(self, dataset_id: str) -> bool:
        """Return whether a dataset is open now."""
        place = self._places.get(dataset_id)
        return place is not None and place.dataset is not None

    def opened(self) -> list[str]:
        """Return the datasets that are open now."""
        with self._lock:
            return [key for key, place in self._places.items() if place.dataset is not None]

    def discard(self, dataset_id: str) -> None:
        """Close a dataset that is no more, as soon as nobody uses it, and remove its folder."""
        with self._lock:
            place = self._places.setdefault(dataset_id, _Place())
            place.is_discarded = True
            self._leave(dataset_id, place)

    def make_room(self, needed_by: str) -> None:
        """Close datasets that nobody uses, but the one named, until the rest fit into memory."""
        with self._lock:
            there = [(key, place) for key, place in self._places.items() if place.dataset is not None]
            sizes = {key: place.dataset.memory_bytes() for key, place in there if place.dataset is not None}
            total = sum(sizes.values())
            if sizes.get(needed_by, 0) > self._memory_bytes:
                _LOG.warning(_TOO_LARGE, needed_by, sizes[needed_by] >> 20, self._memory_bytes >> 20)
            for key, place in there:
                if total <= self._memory_bytes:
                    return
                if not place.users and key != needed_by:
                    total -= sizes[key]
                    self._close(place)
                    del self._places[key]

    def close(self) -> None:
        """Close everything."""
        with self._lock:
            for place in self._places.values():
                self._close(place)
            self._places.clear()

    def _open(self, dataset_id: str, place: _Place) -> Dataset:
        with place.lock:
            if place.dataset is not None and place.dataset.is_broken:
                place.dataset = None  # not closed: somebody may still read it
            if place.dataset is None:
                place.dataset = self._opening(dataset_id)
                opened = True
            else:
                opened = False
            dataset = place.dataset
        if opened:
            self.make_room(dataset_id)
        return dataset

    def _leave(self, dataset_id: str, place: _Place) -> None:
        if place.users or not place.is_discarded:
            return
        self._close(place)
        if self._places.get(dataset_id) is place:
            del self._places[dataset_id]
        shutil.rmtree(self._folder_of(dataset_id), ignore_errors=True)

    def _close(self, place: _Place) -> None:
        if place.dataset is not None:
            place.dataset.close()
            place.dataset = None
