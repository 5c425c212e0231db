"""Rows that came after the main index was built: the newest in a tail that is scanned, others in a graph.

Kept by ``data.vectors.dense``. A delta is never changed: ``with_rows`` returns the next one, which shares
what it can, so searches go on over the one they hold. The graph alone grows in place, a few rows at a time
under a lock that lets searches in between. One writer.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from pyroaring import BitMap

from data.datasets.records import IndexSettings
from data.vectors.faiss import faiss_library
from data.vectors.main_index import GRAPH_STEP
from data.vectors.parts import Part, TailPart, Tuning, flat_vectors, scan_flat
from data.vectors.space import Rows, Space, Vectors

#: Rows of a tail: scanning so many takes a fraction of a millisecond. They go into the graph together.
TAIL_ROWS = 4_096
#: Rows linked at a time: searches wait for a few milliseconds at most.
LINKED = 16
#: How far the graph of a delta looks: recall@10 0.99 on 100,000 sentences (measured); it is not tuned itself.
GRAPH_TUNING = Tuning(96, 192)


class _Turns:
    """Many searches or one writer; whoever waits gets a turn before the other side has its next."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reading = 0
        self._is_writing = False
        self._writer_waits = False
        self._waiting = 0
        self._due = 0

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the writer out."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._is_writing and (self._due or not self._writer_waits))
            self._waiting -= 1
            self._due = max(self._due - 1, 0)
            self._reading += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Keep searches out; those that wait at the end come before the next writer."""
        with self._changed:
            self._writer_waits = True
            self._changed.wait_for(lambda: not self._reading and not self._due)
            self._writer_waits, self._is_writing = False, True
        try:
            yield
        finally:
            with self._changed:
                self._is_writing = False
                self._due = self._waiting
                self._changed.notify_all()


@dataclass(frozen=True, slots=True)
class GraphPart:
    """The rows of a delta's graph as it was once: later ones may be in the graph, and are not members."""

    space: Space
    graph: Any
    turns: _Turns
    rows: Rows
    members: BitMap

    @property
    def plan(self) -> str:
        """How it is searched."""
        return "hnsw"

    @property
    def tuning(self) -> Tuning:
        """How far it looks."""
        return GRAPH_TUNING

    def gather(self, positions: Rows) -> Vectors:
        """Return copies of vectors."""
        with self.turns.reading():
            return flat_vectors(self._flat())[positions]

    def scan(self, queries: Vectors, count: int, positions: Rows | None) -> Rows:
        """Return the nearest positions by float32."""
        among = np.arange(len(self.rows)) if positions is None else positions
        with self.turns.reading():
            return scan_flat(self.space, self._flat(), queries, count, among)

    def nearest(self, queries: Vectors, count: int, steps: int) -> Rows:
        """Return positions that the graph leads to; -1 in place of one that came later."""
        parameters = faiss_library().SearchParametersHNSW(efSearch=max(steps, count))
        with self.turns.reading():
            found: Rows = self.graph.search(queries, count, params=parameters)[1]
        return np.where(found < len(self.rows), found, -1)

    def steps_for(self, share: float) -> int:
        """Return the rows in a share of all."""
        return int(share * len(self.rows))

    def cost(self, steps: int) -> float:
        """Return what a search of so many steps costs, in vectors of a scan."""
        return GRAPH_STEP * steps

    def _flat(self) -> Any:
        return faiss_library().downcast_index(self.graph.storage)


@dataclass(frozen=True, slots=True)
class Delta:
    """Rows beside the main index, rising: those of the graph, then those of the tail."""

    space: Space
    settings: IndexSettings
    tail: TailPart
    graph: GraphPart | None = None

    @classmethod
    def empty(cls, space: Space, settings: IndexSettings) -> Delta:
        """Return a delta without rows."""
        return cls(space, settings, _empty_tail(space))

    @property
    def size(self) -> int:
        """How many rows it has."""
        return self.tail.count + (0 if self.graph is None else len(self.graph.rows))

    @property
    def last(self) -> int:
        """The highest row, -1 without any."""
        parts = self.parts()
        return int(parts[-1].rows[-1]) if parts else -1

    @property
    def memory_bytes(self) -> int:
        """Bytes of its vectors, links and row numbers."""
        links = 0 if self.graph is None else 4 * int(self.graph.graph.hnsw.neighbors.size())
        return self.size * (4 * self.space.dim + 8) + links

    def parts(self) -> list[Part]:
        """Return what there is to search."""
        parts: list[Part] = [] if self.graph is None else [self.graph]
        return [*parts, self.tail] if self.tail.count else parts

    def with_rows(self, rows: Rows, vectors: Vectors) -> Delta:
        """Return this delta and more rows, rising beyond its own; ``vectors`` as the space prepares them."""
        if self.settings.index_type == "flat":
            return replace(self, tail=_longer(self.tail, rows, vectors))
        tail, graph = self.tail, self.graph
        while len(rows) >= TAIL_ROWS - tail.count:
            room = TAIL_ROWS - tail.count
            graph = _linked(graph or self._new_graph(), _longer(tail, rows[:room], vectors[:room]))
            tail, rows, vectors = _empty_tail(self.space), rows[room:], vectors[room:]
        return replace(self, tail=_longer(tail, rows, vectors), graph=graph)

    def without(self, gone: BitMap) -> Delta:
        """Return a delta of the rows that are not ``gone``, built anew."""
        fresh = Delta.empty(self.space, self.settings)
        for part in self.parts():
            kept = np.flatnonzero([row not in gone for row in part.rows.tolist()])
            fresh = fresh.with_rows(part.rows[kept], part.gather(kept))
        return fresh

    def _new_graph(self) -> GraphPart:
        library = faiss_library()
        space, settings = self.space, self.settings
        graph = library.IndexHNSWFlat(space.dim, settings.hnsw_m, space.kind(library))
        graph.hnsw.efConstruction = settings.hnsw_ef_construction
        return GraphPart(space, graph, _Turns(), np.zeros(0, dtype=np.int64), BitMap())


def _linked(graph: GraphPart, tail: TailPart) -> GraphPart:
    """Return the graph with the rows of a tail in it."""
    for start in range(0, tail.count, LINKED):
        with graph.turns.writing():
            graph.graph.add(tail.buffer[start : min(start + LINKED, tail.count)])
    rows = np.concatenate([graph.rows, tail.rows])
    return replace(graph, rows=rows, members=graph.members | tail.members)


def _empty_tail(space: Space) -> TailPart:
    buffer = np.empty((0, space.dim), dtype=np.float32)
    return TailPart(space, buffer, np.empty(0, dtype=np.int64), BitMap(), 0)


def _longer(tail: TailPart, rows: Rows, vectors: Vectors) -> TailPart:
    """Return the tail with more rows, in the same buffers where they have room: none reads beyond a count."""
    end = tail.count + len(rows)
    buffer, row_buffer = tail.buffer, tail.row_buffer
    if end > len(row_buffer):
        size = max(2 * len(row_buffer), end, 64)
        buffer = np.empty((size, tail.space.dim), dtype=np.float32)
        row_buffer = np.empty(size, dtype=np.int64)
        buffer[: tail.count], row_buffer[: tail.count] = tail.buffer[: tail.count], tail.rows
    buffer[tail.count : end], row_buffer[tail.count : end] = vectors, rows
    members = tail.members | BitMap(rows.astype(np.uint32))
    return TailPart(tail.space, buffer, row_buffer, members, end)
