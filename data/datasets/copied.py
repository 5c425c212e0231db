"""A copy of vector datasets on another node: the same views, filled with rows that the ledger's keeper sends.

It answers searches and takes no writes. Invariant: an answer has every write that was acknowledged before it
was asked for, because what the ledger has further is taken in first; a dataset that is not open yet is opened
in the background while others answer.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NoReturn, TypeVar

from data.chain import Entry
from data.claims import TenantId
from data.datasets.building import differs_only_in_depth
from data.datasets.engine import Dataset, EnginePorts
from data.datasets.ledger_rows import FollowedRows
from data.datasets.opened import DatasetsConfig, OpenedDatasets
from data.datasets.ports import SearchAnswer, SearchRequest, WordCounts
from data.datasets.records import IndexSettings
from data.errors import (
    CorruptDataError,
    ForbiddenError,
    IndexUnavailableError,
    KiteError,
    NotFoundError,
    StoreUnavailableError,
    UnavailableError,
)
from data.ports import Clock, Embedder, StanceModel

_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class CopiedDatasets:
    """The datasets that a copy is asked for, in ``folder``, which nothing else may use. Any thread."""

    def __init__(
        self,
        folder: Path,
        rows: FollowedRows,
        *,
        clock: Clock,
        models: tuple[Embedder | None, StanceModel | None] = (None, None),
        config: DatasetsConfig | None = None,
    ) -> None:
        self._rows = rows
        ledger = _NoWrites(rows)
        ports = EnginePorts(ledger, ledger, clock, *models)
        self._opened = OpenedDatasets(folder, ports, config or DatasetsConfig())
        self._wanted: set[str] = set()
        self._asked = threading.Event()
        #: Index settings that a build was begun for, by dataset: one that fails is not begun at every search.
        self._built_for: dict[str, IndexSettings] = {}
        #: Nothing is asked before somebody asks: the keeper may come up later than this.
        self._has_begun = False

    def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        """Return, a request, what was found or why it cannot be answered.

        Raises:
            IndexUnavailableError: a dataset is not open here yet; it is being opened.
            StoreUnavailableError: what is here, or the keeper, cannot be read.
        """
        self._bring_up(tenant, {one.dataset_id for one in requests})
        return _sound(self._opened.search(tenant, requests))

    def word_counts(self, tenant: TenantId, asked: Sequence[tuple[str, str]]) -> list[WordCounts | KiteError]:
        """Return, a (dataset, question), what BM25 counts there, or why it cannot be told.

        Raises:
            IndexUnavailableError: a dataset is not open here yet; it is being opened.
            StoreUnavailableError: what is here, or the keeper, cannot be read.
        """
        self._bring_up(tenant, {dataset_id for dataset_id, _ in asked})
        return _sound(self._opened.word_counts(tenant, asked))

    def follow(self) -> None:
        """Learn now which datasets came and went."""
        self._opened.follow(at_once=True)

    def wait(self, seconds: float) -> None:
        """Wait until a dataset is wanted that is not open, or so long."""
        self._asked.wait(seconds)

    def tend(self) -> None:
        """Open what was asked for, take in what the ledger has further, and drop what is no more."""
        self._asked.clear()
        if not self._has_begun:
            self._opened.begin()
            self._has_begun = True
        self._opened.follow(at_once=True)
        wanted = {*list(self._wanted), *self._opened.shelf.opened()}
        for dataset_id in wanted:
            defined = self._opened.catalogue.get(dataset_id)
            try:
                if defined is not None:
                    with self._opened.lend(defined) as dataset:
                        self._take_in(dataset)
            except KiteError as exc:
                _LOG.warning("The copy of the dataset %s is not brought up: %s", dataset_id, exc)
            except Exception:  # a full disk, say: the other datasets go on
                _LOG.exception("The copy of the dataset %s is not brought up.", dataset_id)
            self._wanted.discard(dataset_id)

    def close(self) -> None:
        """Release every file."""
        self._opened.close()

    def _bring_up(self, tenant: TenantId, dataset_ids: Iterable[str]) -> None:
        self._opened.follow(at_once=True)
        for dataset_id in dataset_ids:
            try:
                defined = self._opened.catalogue.found(tenant, dataset_id)
            except NotFoundError:
                continue  # the search says so in its place
            if not self._opened.shelf.is_open(dataset_id):
                self._wanted.add(dataset_id)
                self._asked.set()
                raise IndexUnavailableError(f"The copy of the dataset {dataset_id!r} is being opened.")
            with self._opened.lend(defined) as dataset:
                self._take_in(dataset)

    def _take_in(self, dataset: Dataset) -> None:
        """Bring a dataset to what the ledger has; asked first, for taking it in keeps searches waiting."""
        if self._rows.of_vectors(dataset.record.id, dataset.views.store.applied_seq(), 1):
            dataset.catch_up()
            self._opened.build_if_due(dataset)
        wanted = dataset.record.index
        if wanted == dataset.settings:
            return
        if differs_only_in_depth(dataset.settings, wanted):
            dataset.adopt(None, wanted)
        elif self._built_for.get(dataset.record.id) != wanted:
            self._built_for[dataset.record.id] = wanted
            self._opened.builds.start_if_idle(dataset.record.id)


def _sound(answers: list[Answer | KiteError]) -> list[Answer | KiteError]:
    """Return answers as they are, unless one tells of trouble here and not with its question."""
    for one in answers:
        if isinstance(one, (UnavailableError, CorruptDataError)):
            raise StoreUnavailableError("The copy cannot answer from what it has.") from one
    return answers


class _NoWrites:
    """What a dataset asks of a ledger, where nothing is written."""

    def __init__(self, rows: FollowedRows) -> None:
        self._rows = rows

    def of_datasets(self, after_seq: int, limit: int) -> list[Entry]:
        """Return rows that define or remove a dataset."""
        return self._rows.of_datasets(after_seq, limit)

    def of_vectors(self, dataset_id: str, after_seq: int, limit: int) -> list[Entry]:
        """Return rows that write to one dataset."""
        return self._rows.of_vectors(dataset_id, after_seq, limit)

    def append(self, *_: object, **__: object) -> NoReturn:
        """Refuse."""
        raise ForbiddenError("A copy of a dataset takes no writes: write to the dataset.")

    is_written_between = written = append
