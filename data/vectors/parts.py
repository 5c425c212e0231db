"""The parts a dense index is searched in: what a part offers, and the two plainest ones.

The planner (``data.vectors.planner``) asks parts; ``data.vectors.main_index`` and ``data.vectors.delta`` make
them. Invariant: a part does not change while it can be reached; a new one takes its place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.vectors.faiss import faiss_library
from data.vectors.space import Rows, Space, Vectors

#: Vectors of a block: they stay in the cache of a core until every query was compared with them.
BLOCK = 2_048
#: From so many queries on, a scan goes by blocks: FAISS alone reads all vectors again for each query.
MANY_QUERIES = 4


@dataclass(frozen=True, slots=True)
class Tuning:
    """How far an approximate part must look: ``usual`` for recall 0.95, ``careful`` for 0.99.

    In steps of its own kind: ``ef_search`` of a graph, lists of an inverted file. ``spare`` candidates are
    compared in full for each answer wanted: 1 where the part keeps its vectors whole.
    """

    usual: int
    careful: int
    spare: int = 1


class Part(Protocol):
    """Rows that are searched together. Positions are numbers within the part, in the order of rows."""

    @property
    def space(self) -> Space:
        """What its vectors are compared by."""
        ...

    @property
    def rows(self) -> Rows:
        """The row at each position, rising."""
        ...

    @property
    def members(self) -> BitMap:
        """The same rows as a set."""
        ...

    @property
    def plan(self) -> str:
        """``hnsw``, ``ivf``, or ``scan`` where nothing but a scan can be asked."""
        ...

    @property
    def tuning(self) -> Tuning:
        """How far its approximate search must look."""
        ...

    def gather(self, positions: Rows) -> Vectors:
        """Return copies of vectors, (..., dim) float32 for (...) positions."""
        ...

    def scan(self, queries: Vectors, count: int, positions: Rows | None) -> Rows:
        """Return the (q, count) positions nearest by float32, of these (``None``: of all)."""
        ...

    def nearest(self, queries: Vectors, count: int, steps: int) -> Rows:
        """Return (q, count) positions that are probably nearest, nearest first, -1 where there is none."""
        ...

    def steps_for(self, share: float) -> int:
        """Return the steps that look at a share of all rows."""
        ...

    def cost(self, steps: int) -> float:
        """Return what such a search costs, in vectors of a scan."""
        ...


def positions_of(rows: Rows, wanted: BitMap) -> Rows:
    """Return the positions of ``wanted`` in ``rows``, where they all are."""
    found: Rows = np.frombuffer(wanted.to_array(), dtype=np.uint32).astype(np.int64)
    if len(rows) and rows[-1] - rows[0] == len(rows) - 1:
        places: Rows = found - rows[0]
        return places
    return np.searchsorted(rows, found).astype(np.int64)


def scan_array(space: Space, vectors: Vectors, queries: Vectors, count: int) -> tuple[Vectors, Rows]:
    """Return float32 scores and (q, count) positions of the nearest of (n, dim) vectors."""
    library = faiss_library()
    scores, places = library.knn(queries, vectors, count, metric=space.kind(library))
    return scores, places


def scan_blocks(space: Space, blocks: Iterable[tuple[Vectors, Rows]], queries: Vectors, count: int) -> Rows:
    """Return the (q, count) positions nearest in blocks of vectors and their positions."""
    best: tuple[NDArray[np.float32], Rows] | None = None
    sign = 1.0 if space.metric in ("euclidean", "manhattan") else -1.0
    for vectors, positions in blocks:
        scores, inside = scan_array(space, vectors, queries, min(count, len(vectors)))
        scores, places = sign * scores, positions[inside]
        if best is not None:
            scores = np.concatenate([best[0], scores], axis=1)
            places = np.concatenate([best[1], places], axis=1)
        if scores.shape[1] > count:
            order = np.argsort(scores, axis=1, kind="stable")[:, :count]
            scores = np.take_along_axis(scores, order, axis=1)
            places = np.take_along_axis(places, order, axis=1)
        best = scores, places
    return best[1] if best is not None else np.zeros((len(queries), 0), dtype=np.int64)


def gathered(vectors: Vectors, positions: Rows) -> Iterator[tuple[Vectors, Rows]]:
    """Yield copies of some vectors, a block of them at a time, and their positions."""
    for start in range(0, len(positions), BLOCK):
        block = positions[start : start + BLOCK]
        yield vectors[block], block


def consecutive(vectors: Vectors) -> Iterator[tuple[Vectors, Rows]]:
    """Yield all vectors, a block of them at a time, and their positions."""
    for start in range(0, len(vectors), BLOCK):
        block = vectors[start : start + BLOCK]
        yield block, np.arange(start, start + len(block))


def scan_flat(space: Space, flat: Any, queries: Vectors, count: int, positions: Rows | None) -> Rows:
    """Return the (q, count) positions nearest in a flat FAISS index, of ``positions`` or of all."""
    if positions is None and len(queries) < MANY_QUERIES:
        found: Rows = flat.search(queries, count)[1]
        return found
    if positions is None:
        return scan_blocks(space, consecutive(flat_vectors(flat)), queries, count)
    if space.metric == "manhattan" or len(queries) >= MANY_QUERIES:
        # Under this metric FAISS asks the selector for every vector, one after the other.
        return scan_blocks(space, gathered(flat_vectors(flat), positions), queries, count)
    library = faiss_library()
    # Only for the other metrics and this kind of selector FAISS touches nothing but the vectors named.
    selector = library.IDSelectorArray(positions)
    named: Rows = flat.search(queries, count, params=library.SearchParameters(sel=selector))[1]
    return named


def flat_vectors(flat: Any) -> Vectors:
    """Return what a flat FAISS index holds, (n, dim) float32, without copying."""
    size = int(flat.ntotal) * int(flat.d)
    view: Vectors = faiss_library().rev_swig_ptr(flat.get_xb(), size)
    return view.reshape(-1, int(flat.d))


@dataclass(frozen=True, slots=True)
class TailPart:
    """The newest rows: so few that a scan is the quickest way. Buffers may hold more, of later parts."""

    space: Space
    buffer: Vectors
    row_buffer: Rows
    members: BitMap
    count: int

    @property
    def rows(self) -> Rows:
        """The row at each position."""
        return self.row_buffer[: self.count]

    @property
    def plan(self) -> str:
        """Only a scan can be asked."""
        return "scan"

    @property
    def tuning(self) -> Tuning:
        """Nothing to tune."""
        return Tuning(1, 1)

    def gather(self, positions: Rows) -> Vectors:
        """Return copies of vectors."""
        return self.buffer[positions]

    def scan(self, queries: Vectors, count: int, positions: Rows | None) -> Rows:
        """Return the nearest positions."""
        if positions is not None:
            return scan_blocks(self.space, gathered(self.buffer, positions), queries, count)
        held = self.buffer[: self.count]
        if len(queries) < MANY_QUERIES:
            return scan_array(self.space, held, queries, count)[1]
        return scan_blocks(self.space, consecutive(held), queries, count)

    def nearest(self, queries: Vectors, count: int, steps: int) -> Rows:
        """Return the nearest positions by a scan."""
        return self.scan(queries, min(count, self.count), None)

    def steps_for(self, share: float) -> int:
        """A scan looks at all."""
        return self.count

    def cost(self, steps: int) -> float:
        """Return what a scan costs."""
        return float(self.count)
