"""Passage vectors: dense search over passages, one index a tenant, kept in versioned and checksummed files.

Lives in the keeper's process or in an index actor, fed with ledger entries (it is a ``VectorSink``);
implements ``VectorIndex``. Invariants: rows are only ever added, deletion is a position at which a row
ends; a file is used only when its SHA-256 is what the manifest says, otherwise everything is built again
from the ledger.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data import changes, segments
from data.claims import SHARED_TENANT, TenantId
from data.errors import InvalidValueError
from data.gate import Gate
from data.knowledge import Passage
from data.ledger import Entry
from data.ports import Embedder, Hit
from data.redaction import is_erased
from data.titles import embedded_text, vectors_id
from data.views.vector_files import Stored, load_tables, save_tables
from data.views.view import LIVE, digest_of

Vectors = NDArray[np.float32]

#: Visibility masks kept between writes.
MAX_MASKS = 256
#: Entries read at a time while the index is built anew.
PAGE = 1_000
#: Reads at most so many entries of the ledger after a position, in order.
ReadEntries = Callable[[int, int], Sequence[Entry]]


class DenseIndex(Protocol):
    """Vectors by row number (``data.vectors``): built empty from a dimension, or from bytes."""

    def __len__(self) -> int: ...

    def add(self, vectors: Vectors) -> None:
        """Store (n, dim) vectors as the next rows."""
        ...

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Return a copy of these rows, (len(rows), dim) float32."""
        ...

    def search(
        self, vectors: Vectors, k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
        """Return, a vector, scores and rows of the best ``k`` allowed rows, ties by row."""
        ...

    def to_bytes(self) -> bytes:
        """Return the index as bytes."""
        ...


class IndexType(Protocol):
    """Makes indexes of one kind: ``FaissIndex`` or ``ExactIndex``."""

    def __call__(self, dim: int) -> DenseIndex:
        """Return an empty index."""
        ...

    def from_bytes(self, content: bytes, dim: int) -> DenseIndex:
        """Return a stored index."""
        ...


@dataclass(slots=True)
class _Table:
    """One tenant's passages: the index and, by row, what it stands for."""

    index: DenseIndex
    ids: list[str] = field(default_factory=list)
    documents: list[str] = field(default_factory=list)
    added: list[int] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    live: dict[str, list[int]] = field(default_factory=dict)

    def put(self, seq: int, document_id: str, passages: Sequence[Passage], vectors: Vectors) -> None:
        self.end(seq, document_id)
        first = len(self.ids)
        self.index.add(vectors)
        self.ids += [passage.id for passage in passages]
        self.documents += [document_id] * len(passages)
        self.added += [seq] * len(passages)
        self.removed += [LIVE] * len(passages)
        self.live[document_id] = list(range(first, len(self.ids)))

    def end(self, seq: int, document_id: str) -> None:
        for row in self.live.pop(document_id, ()):
            self.removed[row] = seq

    def visible(self, as_of: int) -> NDArray[np.bool_]:
        added, removed = np.array(self.added, dtype=np.int64), np.array(self.removed, dtype=np.int64)
        seen: NDArray[np.bool_] = (added <= as_of) & (removed > as_of)
        return seen


@dataclass(frozen=True, slots=True)
class _Step:
    """What one entry asks for: a document's passages (vectors follow), or its end (no passages)."""

    seq: int
    tenant: TenantId
    document_id: str
    passages: tuple[Passage, ...] = ()
    vectors: Vectors | None = None


class _Remembered:
    """Vectors that an index holds already, by what the ledger says of them: whose, which passage, when."""

    def __init__(self, tables: dict[TenantId, _Table], gate: Gate) -> None:
        self._tables = dict(tables)
        self._gate = gate
        self._rows: dict[tuple[TenantId, int, str], int | None] = {}
        for tenant, table in self._tables.items():
            for row, (added, passage_id) in enumerate(zip(table.added, table.ids, strict=True)):
                key = (tenant, added, passage_id)
                # Twice in one bulk load: the texts may differ, so neither is taken.
                self._rows[key] = None if key in self._rows else row

    def of(self, step: _Step) -> Vectors | None:
        """Return the vectors of a document's passages, or ``None`` unless all of them are held."""
        found = [self._rows.get((step.tenant, step.seq, one.id)) for one in step.passages]
        rows = [row for row in found if row is not None]
        if not rows or len(rows) < len(found):
            return None
        with self._gate.reading():
            return self._tables[step.tenant].index.vectors(rows)


class PassageVectors:
    """Dense search over every tenant's passages. Any thread may search; one at a time applies.

    ``embedder_id`` names the embedder's weights: vectors of a segment, and files on disk, are used only where
    they were made with these weights from passages behind their titles (``data.titles``).
    """

    def __init__(
        self, folder: Path, home: Path, embedder: Embedder, *, embedder_id: str, kind: IndexType
    ) -> None:
        self._folder = folder
        self._home = home
        self._embedder = embedder
        self._embedder_id = embedder_id
        self._kind = kind
        self._gate = Gate()
        self._apply_lock = threading.RLock()
        self._save_lock = threading.Lock()
        self._remembered: _Remembered | None = None
        self._masks: dict[tuple[TenantId, TenantId, int], NDArray[np.bool_] | None] = {}
        self._tables: dict[TenantId, _Table] = {}
        self._applied_seq, stored = load_tables(folder, self._identity())
        for one in stored:
            self._tables[one.tenant] = self._opened(one)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; those at or before ``applied_seq`` are skipped."""
        with self._apply_lock:
            self._apply(entries)

    def _apply(self, entries: Sequence[Entry]) -> None:
        fresh = [entry for entry in entries if entry.seq > self._applied_seq]
        if not fresh:
            return
        steps = [self._recalled(step) for entry in fresh for step in self._steps(entry)]
        bare = [step for step in steps if step.passages and step.vectors is None]
        texts = [embedded_text(passage) for step in bare for passage in step.passages]
        # Embedding is the slow part: searches go on meanwhile.
        made = self._embedder.embed(texts) if texts else np.zeros((0, self._embedder.dim), dtype=np.float32)
        with self._gate.writing():
            self._masks = {}
            used = 0
            for step in steps:
                vectors = step.vectors
                if step.passages and vectors is None:
                    vectors, used = made[used : used + len(step.passages)], used + len(step.passages)
                self._do(step, vectors)
            self._applied_seq = fresh[-1].seq

    def rebuild(self, read: ReadEntries) -> int:
        """Build everything anew from the ledger while searches go on, then serve it; return its position.

        Vectors of passages that are held already are kept; only the others are embedded.
        """
        with self._gate.reading():
            known = _Remembered(self._tables, self._gate)
        fresh = PassageVectors(
            self._folder / "rebuilding",
            self._home,
            self._embedder,
            embedder_id=self._embedder_id,
            kind=self._kind,
        )
        fresh._remembered = known
        fresh._follow(read)
        with self._apply_lock:
            # What was taken in meanwhile, which is little; nothing is taken in until the new one serves.
            fresh._follow(read)
            with self._gate.writing():
                self._tables, self._applied_seq, self._masks = fresh._tables, fresh._applied_seq, {}
        self.save()
        return self._applied_seq

    def _follow(self, read: ReadEntries) -> None:
        while page := read(self._applied_seq, PAGE):
            self.apply(page)

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        return self._applied_seq

    def search_vectors(
        self, tenants: Sequence[TenantId], vectors: Vectors, k: int, *, as_of: Sequence[int] | None = None
    ) -> list[list[Hit]]:
        """Return at most ``k`` hits a row of ``vectors`` (n, dim), best first, ties by id.

        Without ``as_of`` (a ledger position a row) what is live now is searched; with it, what was visible
        then.

        Raises:
            InvalidValueError: the vectors have another dimension, or not one row a tenant.
        """
        if vectors.shape != (len(tenants), self._embedder.dim) and len(tenants):
            raise InvalidValueError(
                f"The vectors have the shape {vectors.shape}, not ({len(tenants)}, {self._embedder.dim})."
            )
        if k < 1:
            return [[] for _ in tenants]
        with self._gate.reading():
            positions = as_of if as_of is not None else [LIVE - 1] * len(tenants)
            rows = zip(tenants, vectors, positions, strict=True)
            return [self._best(tenant, vector[None, :], k, position) for tenant, vector, position in rows]

    def counts(self) -> dict[str, int]:
        """Return how many rows there are, ended ones included, and how many of them are live."""
        with self._gate.reading():
            live = sum(len(rows) for table in self._tables.values() for rows in table.live.values())
            return {"vectors": live, "rows": sum(len(table.ids) for table in self._tables.values())}

    def digest(self, since: int = 0) -> str:
        """See ``View``: every row that holds at some position from ``since`` on, its vector included."""
        with self._gate.reading():
            return digest_of(self._holdings(since))

    def _holdings(self, since: int) -> Iterator[tuple[object, ...]]:
        for tenant, table in self._tables.items():
            for row, removed in enumerate(table.removed):
                if removed > since:
                    vector = table.index.vectors([row]).tobytes()
                    yield tenant, table.ids[row], table.documents[row], table.added[row], removed, vector

    def save(self) -> int:
        """Write what is held to files, durably, and return the position they stand for."""
        with self._save_lock, self._gate.reading():
            stored = [
                Stored(tenant, table.index.to_bytes(), table.ids, table.documents, table.added, table.removed)
                for tenant, table in sorted(self._tables.items())
            ]
            save_tables(self._folder, self._identity(), self._applied_seq, stored)
            return self._applied_seq

    def ping(self) -> None:
        """Raise nothing: the index is in memory."""

    def close(self) -> None:
        """Write what is held to files."""
        self.save()

    def _identity(self) -> dict[str, Any]:
        return {"embedder": vectors_id(self._embedder_id), "dim": self._embedder.dim}

    def _opened(self, stored: Stored) -> _Table:
        index = self._kind.from_bytes(stored.index, self._embedder.dim)
        table = _Table(index, stored.ids, stored.documents, stored.added, stored.removed)
        for row, (document_id, removed) in enumerate(zip(stored.documents, stored.removed, strict=True)):
            if removed == LIVE:
                table.live.setdefault(document_id, []).append(row)
        return table

    def _steps(self, entry: Entry) -> list[_Step]:
        if is_erased(entry.payload):
            return []
        if entry.kind == "document.put":
            document, passages = changes.read_document(entry.payload)
            return [_Step(entry.seq, entry.tenant, document.id, passages)]
        if entry.kind == "document.delete":
            return [_Step(entry.seq, entry.tenant, entry.key)]
        if entry.kind == "segment.load":
            return self._loaded(entry, changes.read_segment_ref(entry.payload))
        return []

    def _recalled(self, step: _Step) -> _Step:
        if self._remembered is None or not step.passages or step.vectors is not None:
            return step
        return replace(step, vectors=self._remembered.of(step))

    def _loaded(self, entry: Entry, ref: changes.SegmentRef) -> list[_Step]:
        if ref.kind != "documents":
            return []
        usable = ref.embedder == vectors_id(self._embedder_id)
        return [
            _Step(entry.seq, entry.tenant, one.document.id, one.passages, one.vectors if usable else None)
            for one in segments.read_documents(self._home, ref)
        ]

    def _do(self, step: _Step, vectors: Vectors | None) -> None:
        table = self._tables.get(step.tenant)
        if table is None:
            table = self._tables[step.tenant] = _Table(self._kind(self._embedder.dim))
        if vectors is None:
            table.end(step.seq, step.document_id)
        else:
            table.put(step.seq, step.document_id, step.passages, vectors)

    def _best(self, tenant: TenantId, vector: Vectors, k: int, as_of: int) -> list[Hit]:
        hits: list[tuple[float, str]] = []
        for owner in dict.fromkeys((tenant, SHARED_TENANT)):
            table = self._tables.get(owner)
            if table is None:
                continue
            ((scores, rows),) = table.index.search(vector, k, allowed=self._mask(tenant, owner, as_of))
            hits += [(-float(score), table.ids[row]) for score, row in zip(scores, rows, strict=True)]
        return [Hit(passage_id, -score) for score, passage_id in sorted(hits)[:k]]

    def _mask(self, tenant: TenantId, owner: TenantId, as_of: int) -> NDArray[np.bool_] | None:
        """Return which rows of ``owner`` a tenant sees, ``None`` for all; its own ids hide shared ones."""
        key = (tenant, owner, as_of)
        masks = self._masks
        if key not in masks:
            table = self._tables[owner]
            seen = table.visible(as_of)
            own = self._tables.get(tenant)
            if owner != tenant and own is not None:
                mine = {own.ids[row] for row in np.flatnonzero(own.visible(as_of))}
                seen &= np.array([passage_id not in mine for passage_id in table.ids], dtype=np.bool_)
            masks[key] = None if seen.all() else seen
            if len(masks) > MAX_MASKS:
                self._masks = {}
        return masks[key]
