"""Dense search with FAISS: blocks of rows, each scanned until it is full and an HNSW graph from then on.

Built by the passage vectors (``data.views.vectors``). Invariants: the answer for a vector does not depend
on its batch (no BLAS in distances, one thread, scores computed again in double precision), nor on how rows
were grouped when added, nor on rows after the last allowed one: a graph is asked only where every row of its
block was there already. So a replay as of an earlier position finds what was found then, however many rows
came since. One graph of all rows would answer faster and lets every later row change what it finds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError
from data.tracing import database, timed

#: Rows of a block: a full scan of one answers in one or two milliseconds and is exact.
BLOCK_ROWS = 32_768
#: Graph parameters; recall@10 0.998 on 100,000 x 384 (measured with FAISS 1.15).
LINKS, EF_CONSTRUCTION, EF_SEARCH = 32, 200, 128
#: Candidates beyond ``k``, so that float32 rounding cannot decide who is among the best.
MARGIN = 16
#: Scores this close may be ranked either way in float32.
TIE = 2e-6
#: Where fewer than this share of a block's rows is allowed, scanning beats filtering the graph's answers.
SCAN_SHARE = 0.5

#: What stands before the blocks in bytes, and their number; then each block's length and its bytes.
_MAGIC = b"KITEVEC1"
_COUNT, _LENGTH = struct.Struct(">I"), struct.Struct(">Q")

Vectors = NDArray[np.float32]
Mask = NDArray[np.bool_]
Found = tuple[NDArray[np.float64], NDArray[np.int64]]


@dataclass(slots=True)
class _Block:
    """Rows ``start`` and following: their vectors, and the graph over them, if they have one yet."""

    start: int
    flat: Any
    graph: Any = None
    is_full: bool = False

    @property
    def size(self) -> int:
        return int(self.flat.ntotal)

    @property
    def end(self) -> int:
        return self.start + self.size

    def vectors(self, dim: int, library: Any) -> Vectors:
        """Return the stored vectors without copying; valid until the next row comes."""
        flat: Vectors = library.rev_swig_ptr(self.flat.get_xb(), self.size * dim)
        return flat.reshape(-1, dim)


class FaissIndex:
    """Unit vectors by row number. No lock inside: one writer, and no reader meanwhile."""

    def __init__(self, dim: int, *, flat_limit: int = BLOCK_ROWS) -> None:
        self._faiss = faiss_library()
        self._dim = dim
        self._block_rows = flat_limit
        # The first block has no graph until it is full: most installations never fill one.
        self._blocks = [_Block(0, self._faiss.IndexFlatIP(dim))]

    def __len__(self) -> int:
        return self._blocks[-1].end

    def add(self, vectors: Vectors) -> None:
        """Store (n, dim) float32 vectors as the next rows; a full first block gets its graph at once."""
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        while len(rows):
            block = self._open_block()
            room = max(self._block_rows - block.size, 0)
            self._fill(block, rows[:room])
            rows = rows[room:]

    def vectors(self, rows: Sequence[int]) -> Vectors:
        """Return a copy of these rows, (len(rows), dim) float32."""
        return self._vectors(np.asarray(rows, dtype=np.int64))

    @timed("faiss search", database("faiss", "search"))
    def search(self, vectors: Vectors, k: int, *, allowed: Mask | None = None) -> list[Found]:
        """Return, a vector, the scores and rows of the best ``k`` allowed rows, ties by row.

        Scores are inner products rounded to 6 decimals. Exact within the last block and where few rows are
        allowed, approximate otherwise.
        """
        live = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if not live or k < 1:
            nothing = (np.zeros(0), np.zeros(0, dtype=np.int64))
            return [nothing for _ in vectors]
        parts = list(self._parts(allowed))
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        return [self._best(query, min(k, live), live, parts) for query in queries]

    def to_bytes(self) -> bytes:
        """Return the index as bytes for :meth:`from_bytes`; check them by a SHA-256 of your own."""
        out = [_MAGIC, _COUNT.pack(len(self._blocks))]
        for block in self._blocks:
            stored = block.flat if block.graph is None else block.graph
            content = bytes(self._faiss.serialize_index(stored))
            out += [_LENGTH.pack(len(content)), content]
        return b"".join(out)

    @classmethod
    def from_bytes(cls, content: bytes, dim: int) -> FaissIndex:
        """Build the index that :meth:`to_bytes` was called on. FAISS trusts its input: verify it before.

        An index of one graph, as earlier versions wrote it, is taken as one full block.

        Raises:
            CorruptDataError: not an index of ``dim`` dimensions.
        """
        index = cls(dim)
        parts = list(_cut(content)) if content.startswith(_MAGIC) else [content]
        blocks: list[_Block] = []
        for part in parts:
            blocks.append(index._read(part, blocks[-1].end if blocks else 0))
        for block, _ in pairwise(blocks):
            block.is_full = True
        last = blocks[-1]
        last.is_full = last.graph is not None and last.size >= index._block_rows
        index._blocks = blocks
        return index

    def _read(self, content: bytes, start: int) -> _Block:
        library = self._faiss
        try:
            stored = library.deserialize_index(np.frombuffer(content, dtype=np.uint8))
        except RuntimeError as exc:
            raise CorruptDataError(f"The vector index cannot be read: {exc}; build it again.") from exc
        if stored.d != self._dim:
            raise CorruptDataError(
                f"The vector index has {stored.d} dimensions, not {self._dim}: build it again."
            )
        if isinstance(stored, library.IndexHNSW):
            return _Block(start, library.downcast_index(stored.storage), stored)
        return _Block(start, stored)

    def _open_block(self) -> _Block:
        last = self._blocks[-1]
        if not last.is_full:
            return last
        graph = self._new_graph()
        self._blocks.append(_Block(last.end, self._faiss.downcast_index(graph.storage), graph))
        return self._blocks[-1]

    def _fill(self, block: _Block, rows: Vectors) -> None:
        if block.graph is None:
            block.flat.add(rows)
        else:
            _link(block.graph, rows)
        if block.size >= self._block_rows:
            if block.graph is None:
                graph = self._new_graph()
                _link(graph, block.vectors(self._dim, self._faiss).copy())
                block.graph, block.flat = graph, self._faiss.downcast_index(graph.storage)
            block.is_full = True

    def _new_graph(self) -> Any:
        graph = self._faiss.IndexHNSWFlat(self._dim, LINKS, self._faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = EF_CONSTRUCTION
        return graph

    def _parts(self, allowed: Mask | None) -> Iterator[_Part]:
        """Yield each block that has an allowed row, with its mask and whether its graph may be asked."""
        seen = len(self) if allowed is None else int(np.flatnonzero(allowed)[-1]) + 1
        for block in self._blocks:
            mask = None if allowed is None else allowed[block.start : block.end]
            live = block.size if mask is None else int(np.count_nonzero(mask))
            if live:
                asked = block.is_full and block.end <= seen and live >= block.size * SCAN_SHARE
                yield _Part(block, mask if live < block.size else None, live, asked)

    def _best(self, query: Vectors, k: int, live: int, parts: list[_Part]) -> Found:
        wanted = min(k + MARGIN, live)
        while True:
            rows = self._candidates(query, wanted, parts)
            kept = self._vectors(rows).astype(np.float64)
            scores = np.round((kept * query.astype(np.float64)).sum(axis=1), 6)
            order = np.lexsort((rows, -scores))
            scores, rows = scores[order], rows[order]
            # A tie that reaches past the candidates may hide a smaller row: look further.
            if wanted >= live or len(rows) < k or scores[-1] < scores[k - 1] - TIE:
                return scores[:k], rows[:k]
            wanted = min(wanted * 4, live)

    def _candidates(self, query: Vectors, wanted: int, parts: list[_Part]) -> NDArray[np.int64]:
        """Return the best rows of every block together, by float32 scores, at most ``wanted``."""
        found = [self._of_part(query, wanted, part) for part in parts]
        scores = np.concatenate([one[0] for one in found])
        rows = np.concatenate([one[1] for one in found])
        return rows if len(rows) <= wanted else rows[np.lexsort((rows, -scores))[:wanted]]

    def _of_part(self, query: Vectors, wanted: int, part: _Part) -> tuple[Vectors, NDArray[np.int64]]:
        block, most = part.block, min(wanted, part.live)
        if part.asks_graph and most <= block.size // 8:
            fetched = most if part.mask is None else int(most * block.size / part.live) + MARGIN
            ef = self._faiss.SearchParametersHNSW(efSearch=max(EF_SEARCH, 2 * fetched))
            scores, rows = (one[0] for one in block.graph.search(query[None, :], fetched, params=ef))
            kept = rows >= 0
            if part.mask is not None:
                kept &= part.mask[rows]
            if np.count_nonzero(kept) >= most:
                return scores[kept], rows[kept] + block.start
        params = None
        if part.mask is not None:
            bits = np.packbits(part.mask, bitorder="little")
            params = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBitmap(bits))
        scores, rows = (one[0] for one in block.flat.search(query[None, :], most, params=params))
        return scores[rows >= 0], rows[rows >= 0] + block.start

    def _vectors(self, rows: NDArray[np.int64]) -> Vectors:
        """Return the stored vectors of these rows, (rows, dim) float32."""
        found = np.empty((len(rows), self._dim), dtype=np.float32)
        starts = np.array([block.start for block in self._blocks])
        places = np.searchsorted(starts, rows, side="right") - 1
        for place in np.unique(places):
            block = self._blocks[place]
            inside = places == place
            found[inside] = block.vectors(self._dim, self._faiss)[rows[inside] - block.start]
        return found


@dataclass(frozen=True, slots=True)
class _Part:
    """What of one block may be found: which rows (``None``: all), how many, and by its graph or a scan."""

    block: _Block
    mask: Mask | None
    live: int
    asks_graph: bool


def _link(graph: Any, rows: Vectors) -> None:
    # One by one: FAISS shuffles the rows of a call, so the graph would depend on how they were grouped.
    for row in rows:
        graph.add(row[None, :])


def _cut(content: bytes) -> Iterator[bytes]:
    """Yield the bytes of each block.

    Raises:
        CorruptDataError: there are fewer bytes than it says.
    """
    place = len(_MAGIC) + _COUNT.size
    try:
        (count,) = _COUNT.unpack_from(content, len(_MAGIC))
        for _ in range(count):
            (length,) = _LENGTH.unpack_from(content, place)
            place += _LENGTH.size
            if place + length > len(content):
                raise CorruptDataError("The vector index is cut short: build it again.")
            yield content[place : place + length]
            place += length
    except struct.error as exc:
        raise CorruptDataError("The vector index is cut short: build it again.") from exc


def faiss_library() -> Any:
    """Return FAISS, set up so that a result never depends on the batch or the machine's cores."""
    import faiss

    faiss.omp_set_num_threads(1)
    # Larger batches would go through BLAS, whose sums differ in the last bit with the batch's size.
    faiss.cvar.distance_compute_blas_threshold = 2**31 - 1
    return faiss
