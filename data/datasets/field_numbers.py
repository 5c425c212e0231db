"""The numbers, or moments, at one path: sorted segments and a short unsorted end.

Used by ``data.datasets.field_paths``. One thread writes, any may read. Invariant: segments never change and
are replaced together with the end in one step, so a reader sees each row in one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.field_postings import (
    RECENT,
    Bound,
    Dump,
    Postings,
    RowArray,
    bitmap_of,
    grouped,
    joined,
    postings_of,
    survivors,
    to_merge,
)
from data.filters.tree import Operator

Keys = NDArray[Any]


@dataclass(frozen=True, slots=True)
class _Segment:
    keys: Keys
    postings: Postings

    def span(self, bounds: Sequence[Bound]) -> tuple[int, int]:
        """Return the keys, from and to before, that stand so to every bound's."""
        spans = [self._span(*bound) for bound in bounds]
        low = max(first for first, _ in spans)
        return low, max(low, min(last for _, last in spans))

    def _span(self, operator: Operator, value: float) -> tuple[int, int]:
        typed = self.keys.dtype.type(value)
        left, right = (int(np.searchsorted(self.keys, typed, side)) for side in ("left", "right"))
        size = len(self.keys)
        spans = {"eq": (left, right), "lt": (0, left), "lte": (0, right), "gt": (right, size)}
        return spans.get(operator, (left, size))


class _End:
    """The last rows, in the order they came; ``count`` of the places are taken."""

    def __init__(self, dtype: type[np.number[Any]], size: int = 64) -> None:
        self.keys = np.zeros(min(size, RECENT), dtype=dtype)
        self.rows = np.zeros(len(self.keys), dtype=np.uint32)
        self.count = 0

    def grown(self) -> _End:
        """Return the same with more room."""
        larger = _End(self.keys.dtype.type, min(4 * len(self.keys), RECENT))
        larger.keys[: self.count], larger.rows[: self.count] = self.keys, self.rows
        larger.count = self.count
        return larger

    def fitting(self, bounds: Sequence[Bound]) -> NDArray[np.bool_]:
        """Return which of the rows stand so to every bound's."""
        keys = self.keys[: self.count]
        fits = np.ones(len(keys), dtype=np.bool_)
        for operator, value in bounds:
            fits &= _ORDERS[operator](keys, self.keys.dtype.type(value))
        return fits


class NumberColumn:
    """Rows by number. Values asked for must be of the column's kind, int64 or float64."""

    def __init__(self, dtype: type[np.number[Any]]) -> None:
        self._dtype = dtype
        self._state: tuple[tuple[_Segment, ...], _End] = ((), _End(dtype))

    def add(self, rows: Sequence[int], keys: Sequence[float]) -> bool:
        """Take in rows and their numbers; return whether ``merge`` may have something to do."""
        place, sealed = 0, False
        while place < len(rows):
            end = self._state[1]
            taken = min(len(rows) - place, len(end.keys) - end.count)
            new = slice(end.count, end.count + taken)
            end.keys[new] = keys[place : place + taken]
            end.rows[new] = rows[place : place + taken]
            end.count += taken
            place += taken
            if end.count == RECENT:
                self._seal()
                sealed = True
            elif end.count == len(end.keys):
                self._state = (self._state[0], end.grown())
        return sealed

    def merge(self) -> None:
        """Make large segments of small ones."""
        segments, end = self._state
        while number := to_merge(segments):
            segments = (*segments[:-number], _merged(segments[-number:], BitMap()))
            self._state = (segments, end)

    def select(self, bounds: Sequence[Bound]) -> BitMap:
        """See ``Column``."""
        segments, end = self._state
        spans = [(segment, segment.span(bounds)) for segment in segments]
        parts = [segment.postings.span(*span) for segment, span in spans if span[0] < span[1]]
        fits = end.fitting(bounds)
        if fits.any():
            parts.append(bitmap_of(end.rows[: len(fits)][fits]))
        return joined(parts)

    def count(self, bounds: Sequence[Bound]) -> int:
        """See ``Column``."""
        segments, end = self._state
        spans = (segment.postings.count(*segment.span(bounds)) for segment in segments)
        return sum(spans) + int(end.fitting(bounds).sum())

    def edge(self, live: BitMap, *, highest: bool) -> float | None:
        """Return the lowest or the highest number of the live rows."""
        segments, end = self._state
        candidates: list[float] = []
        for segment in segments:
            places: Any = range(len(segment.keys))
            for place in reversed(places) if highest else places:
                if segment.postings.of(place).intersect(live):
                    candidates.append(segment.keys[place].item())
                    break
        candidates += [key for key, row in _pairs(end) if row in live]
        if not candidates:
            return None
        return max(candidates) if highest else min(candidates)

    def distinct(self, live: BitMap) -> Iterator[float]:
        """Yield the numbers of live rows, some more than once."""
        segments, end = self._state
        for segment in segments:
            for place, key in enumerate(segment.keys):
                if segment.postings.of(place).intersect(live):
                    yield key.item()
        yield from (key for key, row in _pairs(end) if row in live)

    def compact(self, dead: BitMap) -> Iterator[None]:
        """Let go of rows that are gone, a segment a step; rows may be added between the steps."""
        for old in self._state[0]:
            lean = _merged([old], dead)
            segments, end = self._state
            left = (lean if one is old else one for one in segments)
            self._state = (tuple(one for one in left if len(one.keys)), end)
            yield

    def dump(self) -> list[Dump]:
        """Return the segments for ``restore``; the writer calls it."""
        segments, end = self._state
        if end.count:
            segments = (*segments, _Segment(*grouped(end.keys[: end.count], end.rows[: end.count])))
        return [[segment.keys.tobytes(), *segment.postings.dump()] for segment in segments]

    def restore(self, dumps: Sequence[Dump]) -> None:
        """Take the place of the column that was dumped."""
        restored = [
            _Segment(np.frombuffer(keys, dtype=self._dtype), postings_of(postings))
            for keys, *postings in dumps
        ]
        self._state = (tuple(restored), _End(self._dtype))

    def memory_bytes(self) -> int:
        """Return about how much memory this takes."""
        segments, end = self._state
        return (
            end.keys.nbytes
            + end.rows.nbytes
            + sum(s.keys.nbytes + s.postings.memory_bytes() for s in segments)
        )

    def _seal(self) -> None:
        segments, end = self._state
        keys, postings = grouped(end.keys, end.rows)
        self._state = ((*segments, _Segment(keys, postings)), _End(self._dtype))


def _merged(segments: Sequence[_Segment], dead: BitMap) -> _Segment:
    keys = np.concatenate([np.repeat(s.keys, np.diff(s.postings.starts)) for s in segments])
    rows: RowArray = np.concatenate([s.postings.rows for s in segments])
    kept = survivors(rows, dead)
    return _Segment(*grouped(keys[kept], rows[kept]))


def _pairs(end: _End) -> list[tuple[float, int]]:
    count = end.count
    return list(zip(end.keys[:count].tolist(), end.rows[:count].tolist(), strict=True))


_ORDERS: dict[str, Any] = {
    "eq": np.equal,
    "lt": np.less,
    "lte": np.less_equal,
    "gt": np.greater,
    "gte": np.greater_equal,
}
