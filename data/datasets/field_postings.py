"""Rows by key: which rows have each of many sorted keys, in four bytes a row.

Used by the columns of the field index. Invariant: a ``Postings`` never changes, so any thread may read it.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.filters.tree import Operator

#: From so many rows on a key has a bitmap of its own: an equality is then a look-up.
HEAVY = 64
#: Rows in each bitmap of a range, of those side by side in key order.
_BLOCK = 4_096
#: Rows that a column takes in before they are a segment, segments merged into one, rows of the largest.
RECENT, _FACTOR, _LARGEST = 16_384, 4, 400_000

RowArray = NDArray[np.uint32]
#: Arrays as they lie in memory.
Dump: TypeAlias = list[bytes]
#: A comparison and what with: a key of the column's kind.
Bound: TypeAlias = tuple[Operator, Any]


def bitmap_of(rows: RowArray) -> BitMap:
    """Return the set of rows in any order."""
    ordered = array("I")
    # Rising and in an array of the standard library: what the bitmap takes in fastest.
    ordered.frombytes(np.sort(rows).tobytes())
    return BitMap(ordered)


def joined(parts: Sequence[BitMap]) -> BitMap:
    """Return the union of bitmaps, the caller's own."""
    if len(parts) > 1:
        return BitMap.union(*parts)
    return parts[0].copy() if parts else BitMap()


class Postings:
    """The rows of keys 0..n-1: ``rows`` sorted by key and row, those of key i from ``starts[i]``."""

    def __init__(self, starts: NDArray[np.uint32], rows: RowArray) -> None:
        self.starts = starts
        self.rows = rows
        self._blocks: list[BitMap] | None = None
        heavy = np.flatnonzero(np.diff(starts) >= HEAVY)
        self._heavy = {int(key): bitmap_of(rows[starts[key] : starts[key + 1]]) for key in heavy}

    def of(self, key: int) -> BitMap:
        """Return the rows of a key."""
        heavy = self._heavy.get(key)
        return bitmap_of(self.rows[self.starts[key] : self.starts[key + 1]]) if heavy is None else heavy

    def span(self, low: int, high: int) -> BitMap:
        """Return the rows of the keys from ``low`` to before ``high``."""
        if high - low == 1:
            return self.of(low)
        first, last = int(self.starts[low]), int(self.starts[high])
        before, after = -(-first // _BLOCK), last // _BLOCK
        if after <= before:
            return bitmap_of(self.rows[first:last])
        blocks = self._by_block()[before:after]
        edges = np.concatenate([self.rows[first : before * _BLOCK], self.rows[after * _BLOCK : last]])
        return BitMap.union(bitmap_of(edges), *blocks)

    def gather(self, keys: Sequence[int]) -> BitMap:
        """Return the rows of some keys."""
        heavy = [self._heavy[key] for key in keys if key in self._heavy]
        light = [self.rows[self.starts[key] : self.starts[key + 1]] for key in keys if key not in self._heavy]
        return joined([*heavy, bitmap_of(np.concatenate(light))] if light else heavy)

    def count(self, low: int, high: int) -> int:
        """Return how many rows the keys from ``low`` to before ``high`` have."""
        return int(self.starts[high] - self.starts[low])

    def dump(self) -> Dump:
        """Return what ``postings_of`` makes the same of."""
        return [self.starts.tobytes(), self.rows.tobytes()]

    def memory_bytes(self) -> int:
        """Return about how much memory this takes."""
        blocks = 2 * len(self.rows) if self._blocks else 0
        return int(self.starts.nbytes + self.rows.nbytes + blocks + 300 * len(self._heavy))

    def _by_block(self) -> list[BitMap]:
        # Made when a range is asked for first; two threads at once make the same.
        if self._blocks is None:
            whole = range(0, len(self.rows) - _BLOCK + 1, _BLOCK)
            self._blocks = [bitmap_of(self.rows[start : start + _BLOCK]) for start in whole]
        return self._blocks


def postings_of(dump: Dump) -> Postings:
    """Return the postings that were dumped."""
    starts, rows = (np.frombuffer(part, dtype=np.uint32) for part in dump)
    return Postings(starts, rows)


def grouped(codes: NDArray[Any], rows: RowArray) -> tuple[NDArray[Any], Postings]:
    """Return the distinct codes, rising, and the postings of each."""
    order = np.lexsort((rows, codes))
    codes, rows = codes[order], rows[order]
    firsts = np.flatnonzero(
        np.concatenate([np.ones(min(len(codes), 1), dtype=bool), codes[1:] != codes[:-1]])
    )
    starts = np.append(firsts, len(codes)).astype(np.uint32)
    return codes[firsts], Postings(starts, rows)


def survivors(rows: RowArray, dead: BitMap) -> NDArray[np.bool_]:
    """Return which of the rows are not among the dead."""
    if not len(rows) or not dead:
        return np.ones(len(rows), dtype=np.bool_)
    low, high = int(rows.min()), int(rows.max())
    gone = dead & BitMap(range(low, high + 1))
    mask = np.ones(high - low + 1, dtype=np.bool_)
    mask[np.array(gone.to_array(), dtype=np.int64) - low] = False
    kept: NDArray[np.bool_] = mask[rows.astype(np.int64) - low]
    return kept


class Column(Protocol):
    """Rows by key of one kind."""

    def select(self, bounds: Sequence[Bound]) -> BitMap:
        """Return the rows of which one key stands so to every bound's; the caller's own."""
        ...

    def count(self, bounds: Sequence[Bound]) -> int:
        """Return at least how many rows ``select`` finds, those removed included."""
        ...


class Segment(Protocol):
    """Sorted keys and their postings."""

    @property
    def postings(self) -> Postings:
        """The rows of each key."""
        ...


AnySegment = TypeVar("AnySegment", bound=Segment)


def to_merge(segments: Sequence[AnySegment]) -> int:
    """Return how many of the last segments should become one; 0 for none."""
    last = [len(segment.postings.rows) for segment in segments[-_FACTOR:]]
    if len(last) < _FACTOR or sum(last) > _LARGEST:
        return 0
    return _FACTOR if last[0] <= 2 * max(last[-1], 1) else 0
