"""The datasets that one process has open, and the answers it gives from them.

Used by the dataset service for the datasets that live in its process, and by a copy of them elsewhere.
Invariant: the ledger says which datasets there are; what is lent is defined as the ledger last said.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data.claims import TenantId
from data.datasets.building import IndexBuilds, is_build_due
from data.datasets.catalogue import DatasetCatalogue, Defined
from data.datasets.engine import Dataset, EnginePorts
from data.datasets.opening import folder_of, open_dataset, remove_orphans
from data.datasets.ports import SearchAnswer, SearchRequest, WordCounts
from data.datasets.query_cache import CAPACITY, QueryCache, key_of
from data.datasets.shelf import Shelf
from data.errors import KiteError, NotFoundError
from data.grouping import places_by

#: How old the list of datasets may be where others may have changed it, seconds.
FOLLOW_S = 0.2

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class DatasetsConfig:
    """How much memory open datasets take, how many answers are kept, and whether indexes build themselves."""

    memory_bytes: int = 4 * 2**30
    cache_entries: int = CAPACITY
    builds: bool = True


def every(_dataset_id: str) -> bool:
    """Own every dataset."""
    return True


def nothing(_dataset_id: str) -> None:
    """Take no notice of a dataset that went."""


class OpenedDatasets:
    """Datasets by id, opened when they are asked for. ``gone`` is told of each that went. Any thread."""

    def __init__(
        self,
        home: Path,
        ports: EnginePorts,
        config: DatasetsConfig,
        gone: Callable[[str], None] = nothing,
    ) -> None:
        self._home = home
        self._ports = ports
        self._config = config
        self._gone = gone
        self.catalogue = DatasetCatalogue(ports.rows)
        self.shelf = Shelf(self._open, self.folder_of, memory_bytes=config.memory_bytes)
        self.builds = IndexBuilds(self.shelf.lend, self.folder_of, ports.clock, self._is_there)
        self._cache = QueryCache(config.cache_entries)
        self._followed_s = 0.0
        self._follow_lock = threading.Lock()

    def begin(self, owns: Callable[[str], bool] = every) -> None:
        """Learn which datasets there are, and remove the folders of one's own that are no more."""
        self.follow(at_once=True)
        remove_orphans(self._home, self.catalogue.ids(), owns)

    def follow(self, *, at_once: bool = False) -> None:
        """Learn which datasets came, changed and went, at the latest after ``FOLLOW_S``."""
        now = time.monotonic()
        if not at_once and now - self._followed_s < FOLLOW_S:
            return
        with self._follow_lock:
            for dataset_id in self.catalogue.follow():
                self._gone(dataset_id)
                self.shelf.discard(dataset_id)
            self._followed_s = now

    @contextmanager
    def lend(self, defined: Defined) -> Iterator[Dataset]:
        """Lend a dataset as it is defined now: what the caller found may be older."""
        with self.shelf.lend(defined.record.id) as dataset:
            dataset.record = (self.catalogue.get(defined.record.id) or defined).record
            yield dataset

    def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        """Return, a request, what was found or why it cannot be answered."""
        return self._of_each(tenant, [(one.dataset_id, one) for one in requests], self._searched)

    def word_counts(self, tenant: TenantId, asked: Sequence[tuple[str, str]]) -> list[WordCounts | KiteError]:
        """Return, a (dataset, question), what BM25 counts there, or why it cannot be told."""
        return self._of_each(tenant, asked, _word_counts)

    def build_if_due(self, dataset: Dataset) -> None:
        """Build a dataset's main index anew where so much changed that it pays."""
        if not is_build_due(dataset):
            return
        self.shelf.make_room(dataset.record.id)  # it has grown
        if self._config.builds:
            self.builds.start_if_idle(dataset.record.id)

    def folder_of(self, dataset_id: str) -> Path:
        """Return where a dataset's view lies."""
        return folder_of(self._home, dataset_id)

    def close(self) -> None:
        """Let the build under way end, and release every file."""
        self.builds.close()
        self.shelf.close()

    def _of_each(
        self,
        tenant: TenantId,
        asked: Sequence[tuple[str, Asked]],
        answer: Callable[[Dataset, list[Asked]], Sequence[Answer | KiteError]],
    ) -> list[Answer | KiteError]:
        """Return, a (dataset, question), the answer or why there is none; each dataset is lent once."""
        self.follow()
        answers: dict[int, Answer | KiteError] = {}
        for dataset_id, places in places_by(named for named, _ in asked).items():
            try:
                with self.lend(self.catalogue.found(tenant, dataset_id)) as dataset:
                    told = answer(dataset, [asked[place][1] for place in places])
            except KiteError as exc:
                told = [exc] * len(places)
            answers.update(zip(places, told, strict=True))
        return [answers[place] for place in range(len(asked))]

    def _searched(
        self, dataset: Dataset, requests: Sequence[SearchRequest]
    ) -> Sequence[SearchAnswer | KiteError]:
        """Answer requests, from the cache where it has them."""
        version = dataset.version
        keys = [key_of(request, version) for request in requests]
        known = [self._cache.get(key) if key is not None else None for key in keys]
        fresh = iter(dataset.search([one for one, hit in zip(requests, known, strict=True) if hit is None]))
        answers = [next(fresh) if hit is None else hit for hit in known]
        if dataset.version == version:
            for key, hit, answer in zip(keys, known, answers, strict=True):
                if hit is None and key is not None and isinstance(answer, SearchAnswer):
                    self._cache.put(key, answer)
        return answers

    def _open(self, dataset_id: str) -> Dataset:
        """Open a dataset; asked of the ledger once more, for a folder must not come back once it is gone."""
        self.follow(at_once=True)
        defined = self.catalogue.get(dataset_id)
        if defined is None:
            raise NotFoundError(f"There is no dataset {dataset_id!r}: it was deleted meanwhile.")
        dataset = open_dataset(self._home, defined, self._ports)
        self.build_if_due(dataset)
        return dataset

    def _is_there(self, dataset_id: str) -> bool:
        self.follow(at_once=True)
        return self.catalogue.get(dataset_id) is not None


def _word_counts(dataset: Dataset, questions: Sequence[str]) -> list[WordCounts]:
    return [dataset.views.store.word_counts(one) for one in questions]
