"""One dataset at work: takes writes through the ledger, answers searches, and keeps its index beside them.

Opened by ``data.datasets.opening``, used by the dataset service. Writers go one at a time; searches go beside
them and beside each other. Invariant: a write is acknowledged when it is in the ledger and the next search
sees it; what is searched is what the record store has at its ``applied_seq``.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.chain import Entry
from data.claims import TenantId
from data.datasets.asking import Asked, asked_of
from data.datasets.changes import (
    PUT_VECTORS,
    delete_vectors,
    ids_written,
    put_vectors,
    read_vector_ids,
    read_vectors,
)
from data.datasets.fields import FieldIndex
from data.datasets.ledger_rows import WrittenRows
from data.datasets.ports import (
    FilterValue,
    InsertReport,
    NewVector,
    OnDuplicate,
    SearchAnswer,
    SearchRequest,
    StoredVector,
    VectorPage,
)
from data.datasets.records import DatasetRecord, IndexSettings, VectorBatch, VectorRecord
from data.datasets.search import Moved, Searcher
from data.datasets.store import RecordStore
from data.datasets.writing import choose, moment_of, prepare, report_again
from data.errors import IndexUnavailableError, KiteError, NotFoundError
from data.filters.language import parse_filter
from data.knowledge import Change
from data.ports import Clock, Embedder, StanceModel, WriteReceipt
from data.redaction import is_erased
from data.vectors.dense import DenseIndex, MainIndex

#: How often a search that met a write is begun again before it waits for the writer.
ATTEMPTS = 3
#: Rows of the ledger read at a time while catching up: each holds up to a thousand vectors.
PAGE = 16
#: Vectors read at a time to fill an index.
SCANNED = 5_000
#: Bytes that sets of rows and words take in memory, a vector.
ROW_BYTES = 32

Rows = NDArray[np.int64]


class Log(Protocol):
    """Where writes go: the ledger through its keeper."""

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write all or nothing; returns when durable."""
        ...


@dataclass(frozen=True, slots=True)
class EnginePorts:
    """What a dataset needs from outside. ``embedder`` and ``stance`` may be missing."""

    log: Log
    rows: WrittenRows
    clock: Clock
    embedder: Embedder | None = None
    stance: StanceModel | None = None


@dataclass(frozen=True, slots=True)
class Views:
    """What a dataset is searched in: its records, their fields and their vectors, all of the same rows."""

    store: RecordStore
    fields: FieldIndex
    index: DenseIndex


class Dataset:
    """One opened dataset. Any thread may call anything."""

    def __init__(self, tenant: TenantId, record: DatasetRecord, views: Views, ports: EnginePorts) -> None:
        self.tenant = tenant
        self.record = record
        self.views = views
        self._ports = ports
        self._write_lock = threading.RLock()
        #: A write was not applied whole: the dataset must be opened again.
        self.is_broken = False
        #: Odd while rows are being taken away: what a search finds then may be half of it.
        self._removals = 0
        #: The main index in use, and what is searched by: older than the record's until those are built by.
        self._main: MainIndex | None = None
        self.settings = record.index
        self._swaps = 0
        self._searcher = Searcher(views.store, views.index, record.metric, ports.stance)

    @property
    def version(self) -> tuple[int, int]:
        """What an answer depends on beside its request: the last write, and how often the index changed."""
        return self.views.store.applied_seq(), self._swaps

    @property
    def index_version(self) -> int:
        """The number of the main index in use, 0 for none."""
        return 0 if self._main is None else self._main.version

    def adopt(self, main: MainIndex | None, settings: IndexSettings, *, is_older: bool = False) -> None:
        """Search a main index (``None``: the one in use) by these settings from now on.

        ``is_older``: it may lack what was written since, which is then searched beside it.
        """
        with self._write_lock:
            main = main or self._main
            if settings == self.settings and main is not None and not is_older:
                self.views.index.adopt(main)
            elif is_older or settings != self.settings:
                self.views = replace(self.views, index=self._index_with(main, settings))
                self._searcher = Searcher(
                    self.views.store, self.views.index, self.record.metric, self._ports.stance
                )
            self._main, self.settings = main, settings
            self._swaps += 1

    def _index_with(self, main: MainIndex | None, settings: IndexSettings) -> DenseIndex:
        """Return an index of what is there by other settings; what ``main`` lacks comes beside it."""
        index = DenseIndex(self.record.dimensions, self.record.metric, settings)
        if main is not None:
            index.adopt(main)
        fill_index(self.views.store, index)
        return index

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Let nobody else write meanwhile; what the ledger has is taken in before."""
        with self._write_lock:
            if self.is_broken:
                raise IndexUnavailableError(
                    f"The dataset {self.record.id!r} is opened again: repeat the request."
                )
            self.catch_up()
            yield

    def catch_up(self) -> None:
        """Take in what the ledger has for this dataset and the store has not."""
        with self._write_lock:
            while page := self._ports.rows.of_vectors(self.record.id, self.views.store.applied_seq(), PAGE):
                for entry in page:
                    self._take(entry)

    def insert(
        self, vectors: Sequence[NewVector], on_duplicate: OnDuplicate, *, request: str | None = None
    ) -> InsertReport:
        """Write vectors; ``request`` names the write, so that it is done once however often it is asked for.

        Raises:
            QuotaError: the tenant may not keep so many. NotFoundError: the dataset is being removed.
        """
        prepared = prepare(vectors, self.record, self._ports.embedder)
        with self.writing():
            done = self._written(request)
            if done is not None:
                return report_again(prepared, ids_written(done.payload), on_duplicate)
            chosen = choose(
                prepared, self._known(prepared.ids()), on_duplicate, now_s=self._ports.clock.now_s()
            )
            if chosen.batch is not None:
                total = self.views.store.count() + chosen.added
                change = put_vectors(self.record.id, chosen.batch, self.tenant, total=total)
                seq = self._append(change, request)
                if seq is not None:
                    self._put(seq, chosen.batch)
            return chosen.report

    def delete(self, vector_ids: Sequence[str], *, request: str | None = None) -> int:
        """Remove vectors; return how many were there."""
        with self.writing():
            done = self._written(request)
            if done is not None:
                return len(read_vector_ids(done.payload))
            store = self.views.store
            there = sorted(store.rows_of(list(dict.fromkeys(vector_ids))))
            if there:
                total = store.count() - len(there)
                change = delete_vectors(self.record.id, there, self.tenant, total=total)
                seq = self._append(change, request)
                if seq is not None:
                    self._remove(seq, there)
            return len(there)

    def revalue(self, rows: Sequence[int], values: NDArray[np.float32], model: str) -> int:
        """Give vectors the numbers that ``model`` made of their contents; return how many they were.

        ``values`` is (len(rows), dimensions). A row that is gone was written anew since, and stays as it is.
        """
        with self.writing():
            records = self.views.store.records_by_row(rows)
            places = [place for place, row in enumerate(rows) if row in records]
            if places:
                moment = moment_of(self._ports.clock.now_s())
                made = [replace(records[rows[place]], model=model, updated_at=moment) for place in places]
                batch = VectorBatch(tuple(made), np.asarray(values, dtype=np.float32)[places])
                total = self.views.store.count()
                seq = self._append(put_vectors(self.record.id, batch, self.tenant, total=total), None)
                if seq is not None:
                    self._put(seq, batch)
            return len(places)

    def vector(self, vector_id: str) -> StoredVector:
        """Return one vector with its values.

        Raises:
            NotFoundError: there is none of this id.
        """
        store = self.views.store
        for _ in range(ATTEMPTS):
            row = store.rows_of([vector_id]).get(vector_id)
            if row is None:
                break
            records, values = store.records([row]), store.values([row])
            if records and not np.isnan(values).any():
                return StoredVector(records[0], tuple(values[0].tolist()))
        raise NotFoundError(f"There is no vector {vector_id!r} in the dataset {self.record.id!r}.")

    def page(
        self, *, limit: int, offset: int = 0, filters: FilterValue | None = None, values: bool = False
    ) -> VectorPage:
        """Return a page of vectors, in the order in which they were written."""
        store, allowed = self.views.store, None
        if filters:
            allowed = self.views.fields.select(parse_filter(filters))
        rows = store.page(limit, offset, allowed)
        records = store.records_by_row(rows)
        kept = [row for row in rows if row in records]
        numbers = store.values(kept) if values else None
        found = tuple(
            StoredVector(records[row], None if numbers is None else tuple(numbers[place].tolist()))
            for place, row in enumerate(kept)
        )
        return VectorPage(found, store.count() if allowed is None else len(allowed))

    def search(self, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        """Return, a request, what was found or why it cannot be answered."""
        asked: list[Asked | KiteError] = []
        for request in requests:
            try:
                asked.append(asked_of(request, self.record))
            except KiteError as exc:
                asked.append(exc)
        answers = iter(self._answers([one for one in asked if isinstance(one, Asked)]))
        return [next(answers) if isinstance(one, Asked) else one for one in asked]

    def _answers(self, asked: Sequence[Asked]) -> list[SearchAnswer | KiteError]:
        """Search beside writers; where rows are taken away meanwhile, once more, at last in their place."""
        if not asked:
            return []
        for _ in range(ATTEMPTS):
            before = self._removals
            if before % 2 == 0:
                try:
                    found = self._searcher.answers(asked, self._allowed(asked))
                except Moved:
                    found = None
                if found is not None and self._removals == before:
                    return found
            with self._write_lock:
                pass
        with self._write_lock:
            return self._searcher.answers(asked, self._allowed(asked))

    def _allowed(self, asked: Sequence[Asked]) -> list[BitMap | None]:
        """Return the rows that each filter keeps; requests with the same one share the set."""
        known: dict[bytes, BitMap] = {}
        found: list[BitMap | None] = []
        for one in asked:
            if one.filter is None:
                found.append(None)
                continue
            key = msgspec.json.encode(one.options.filters)
            if key not in known:
                known[key] = self.views.fields.select(one.filter)
            found.append(known[key])
        return found

    def _known(self, ids: Sequence[str]) -> dict[str, VectorRecord]:
        store = self.views.store
        rows = store.rows_of(ids)
        return {record.id: record for record in store.records(list(rows.values()))}

    def _written(self, request: str | None) -> Entry | None:
        """Return what was written under this name, if it was."""
        return self._ports.rows.written(self.tenant, request) if request else None

    def _append(self, change: Change, request: str | None) -> int | None:
        """Write a change to the ledger; return its position, ``None`` where it is applied already."""
        receipt = self._ports.log.append([change], idempotency_key=request)
        applied, seq = self.views.store.applied_seq(), receipt.last_seq
        # A write whose outcome was not known may have come in before this one: then all is read back.
        if receipt.replayed or self._ports.rows.is_written_between(self.record.id, applied, seq):
            self.catch_up()
            return None
        return seq

    def _take(self, entry: Entry) -> None:
        """Apply a row of the ledger; one whose content was erased has been overtaken by later rows."""
        if is_erased(entry.payload):
            self.views.store.advance(entry.seq)
        elif entry.kind == PUT_VECTORS:
            self._put(entry.seq, read_vectors(entry.payload))
        else:
            self._remove(entry.seq, read_vector_ids(entry.payload))

    def _put(self, seq: int, batch: VectorBatch) -> None:
        with self._whole():
            self._put_rows(seq, batch)

    def _put_rows(self, seq: int, batch: VectorBatch) -> None:
        store, fields, index = self.views.store, self.views.fields, self.views.index
        rows, gone = store.put(seq, batch)
        if not len(rows):
            return
        kept = ~np.isin(rows, gone) if len(gone) else np.ones(len(rows), dtype=bool)
        gone = gone[gone < rows[0]]
        with self._removing(gone):
            records = [record for record, is_kept in zip(batch.records, kept, strict=True) if is_kept]
            # Fields first: a row that the index finds can be asked for its fields.
            fields.add(rows[kept], records)
            index.add(rows[kept], batch.values[kept])

    def _remove(self, seq: int, ids: Sequence[str]) -> None:
        with self._whole(), self._removing(self.views.store.remove(seq, ids)):
            pass

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Take note when something is applied in part."""
        try:
            yield
        except BaseException:
            self.is_broken = True
            raise

    @contextmanager
    def _removing(self, gone: Rows) -> Iterator[None]:
        """Take rows out of fields and index; searches that go on meanwhile are told to begin again."""
        if not len(gone):
            yield
            return
        self._removals += 1
        try:
            self.views.index.remove(gone)
            self.views.fields.remove(gone)
            yield
        finally:
            self._removals += 1

    def memory_bytes(self) -> int:
        """Return about how much memory this takes."""
        views = self.views
        held = views.index.info().memory_bytes + views.fields.memory_bytes()
        return held + ROW_BYTES * views.store.count()

    def close(self) -> None:
        """Release the files; nothing may be asked afterwards."""
        with self._write_lock:
            self.views.store.close()


def fill_index(store: RecordStore, index: DenseIndex) -> None:
    """Bring an index to what a store has: what is gone is taken out, what it lacks comes beside the rest."""
    live, known = store.live_rows(), index.rows()
    gone = known - live
    if gone:
        index.remove(np.array(gone.to_array(), dtype=np.int64))
    # Rows rise, so what a main index does not have was written after it was built.
    missing = live - known
    after = missing.min() - 1 if missing else -1
    while after >= 0:
        rows, vectors = store.scan(after, SCANNED)
        if not len(rows):
            return
        index.add(rows, vectors)
        after = int(rows[-1])
