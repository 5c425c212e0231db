"""The texts at one path: a sorted dictionary in one block of bytes, and a short end beside it.

Used by ``data.datasets.field_paths``. One thread writes, any may read. Invariant: segments never change and
are replaced together with the end in one step. A text costs its UTF-8 bytes and eight more, not an object.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from heapq import merge
from itertools import chain, repeat

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
from data.filters.like import like_test, literal_prefix, longest_literal
from data.filters.matching import ORDERS
from data.filters.tree import Operator


class _Segment:
    """Distinct texts, sorted by code points (which is the order of their UTF-8), and their rows."""

    def __init__(self, buffer: bytes, ends: NDArray[np.uint32], postings: Postings) -> None:
        self.postings = postings
        self.size = len(ends) - 1
        self._buffer = buffer
        # Its elements are plain integers, which those of an array are not.
        self._offsets = ends.data

    @classmethod
    def of(cls, texts: Sequence[bytes], postings: Postings) -> _Segment:
        """Return the segment of sorted texts."""
        # Offsets beyond four bytes cannot be: a segment has few hundred thousand short texts.
        ends = np.zeros(len(texts) + 1, dtype=np.uint32)
        np.cumsum(np.fromiter(map(len, texts), dtype=np.uint32, count=len(texts)), out=ends[1:])
        return cls(b"".join(texts), ends, postings)

    def dump(self) -> Dump:
        """Return the parts in memory."""
        return [self._buffer, self._offsets.tobytes(), *self.postings.dump()]

    def at(self, place: int) -> bytes:
        """Return one of the texts."""
        return self._buffer[self._offsets[place] : self._offsets[place + 1]]

    def texts(self) -> list[bytes]:
        """Return all texts in order."""
        return [self.at(place) for place in range(self.size)]

    def span(self, bounds: Sequence[tuple[Operator, bytes]]) -> tuple[int, int]:
        """Return the texts, from and to before, that stand so to every bound's."""
        spans = [self._span(*bound) for bound in bounds]
        low = max(first for first, _ in spans)
        return low, max(low, min(last for _, last in spans))

    def _span(self, operator: Operator, text: bytes) -> tuple[int, int]:
        if operator in ("lt", "gte"):
            left = self._left(text)
            return (0, left) if operator == "lt" else (left, self.size)
        if operator == "eq":
            left = self._left(text)
            return left, left + (left < self.size and self.at(left) == text)
        right = bisect_right(range(self.size), text, key=self.at)
        return (0, right) if operator == "lte" else (right, self.size)

    def beginning(self, prefix: bytes) -> tuple[int, int]:
        """Return the texts, from and to before, that begin so."""
        low = self._left(prefix)
        size = len(prefix)
        return low, bisect_right(range(self.size), prefix, lo=low, key=lambda place: self.at(place)[:size])

    def like(self, pattern: str) -> BitMap:
        """Return the rows of texts that fit a pattern; the caller's own."""
        prefix = literal_prefix(pattern)
        low, high = self.beginning(_encoded(prefix))
        if pattern == prefix + "%":
            return self.postings.span(low, high).copy() if low < high else BitMap()
        fits = like_test(pattern)
        literal = _encoded(longest_literal(pattern))
        places = self._holding(literal, low, high) if literal else range(low, high)
        return self.postings.gather([place for place in places if fits(_decoded(self.at(place)))])

    def _holding(self, literal: bytes, low: int, high: int) -> Iterator[int]:
        """Yield the texts in which a literal may begin: one search through all of them at once."""
        offsets, buffer = self._offsets, self._buffer
        end = offsets[high]
        found = buffer.find(literal, offsets[low], end)
        while found >= 0:
            place = bisect_right(offsets, found) - 1
            yield place
            found = buffer.find(literal, offsets[place + 1], end)

    def _left(self, text: bytes) -> int:
        return bisect_left(range(self.size), text, key=self.at)

    def memory_bytes(self) -> int:
        """Return about how much memory this takes."""
        return len(self._buffer) + self._offsets.nbytes + self.postings.memory_bytes()


class _End:
    """The last rows by text: one row as it is, more as a bitmap."""

    def __init__(self) -> None:
        self.rows: dict[str, int | BitMap] = {}
        self.count = 0

    def add(self, text: str, rows: Sequence[int]) -> None:
        """Take in the rows of a text."""
        known = self.rows.get(text)
        if known is None:
            self.rows[text] = rows[0] if len(rows) == 1 else BitMap(rows)
        elif isinstance(known, int):
            self.rows[text] = BitMap((known, *rows))
        else:
            known.update(rows)
        self.count += len(rows)

    def pairs(self) -> list[tuple[str, int | BitMap]]:
        """Return what is here, taken in one step: the writer may go on meanwhile."""
        return list(self.rows.items())


class TextColumn:
    """Rows by text."""

    def __init__(self) -> None:
        self._state: tuple[tuple[_Segment, ...], _End] = ((), _End())

    def add(self, texts: Mapping[str, Sequence[int]]) -> bool:
        """Take in texts and the rows of each; return whether ``merge`` may have something to do."""
        end, sealed = self._state[1], False
        for text, rows in texts.items():
            end.add(text, rows)
            if end.count >= RECENT:
                self._seal()
                end, sealed = self._state[1], True
        return sealed

    def merge(self) -> None:
        """Make large segments of small ones."""
        segments, end = self._state
        while number := to_merge(segments):
            segments = (*segments[:-number], _merged(segments[-number:], BitMap()))
            self._state = (segments, end)

    def equal(self, text: str) -> BitMap:
        """Return the rows of which a text is this one; the caller's own."""
        segments, end = self._state
        bounds: list[tuple[Operator, bytes]] = [("eq", _encoded(text))]
        spans = [(segment, segment.span(bounds)) for segment in segments]
        parts = [segment.postings.of(low) for segment, (low, high) in spans if low < high]
        recent = end.rows.get(text)
        if recent is not None:
            parts.append(_as_bitmap(recent))
        return joined(parts)

    def select(self, bounds: Sequence[Bound]) -> BitMap:
        """See ``Column``; texts are ordered by code points."""
        if len(bounds) == 1 and bounds[0][0] == "eq":
            return self.equal(bounds[0][1])
        segments, end = self._state
        encoded = [(operator, _encoded(text)) for operator, text in bounds]
        spans = [(segment, segment.span(encoded)) for segment in segments]
        parts = [segment.postings.span(*span) for segment, span in spans if span[0] < span[1]]
        orders = [(ORDERS[operator], text) for operator, text in bounds]
        recent = (rows for key, rows in end.pairs() if all(order(key, text) for order, text in orders))
        return joined([*parts, _all(recent)])

    def like(self, pattern: str) -> BitMap:
        """Return the rows of which a text fits a pattern; the caller's own."""
        segments, end = self._state
        fits = like_test(pattern)
        parts = [segment.like(pattern) for segment in segments]
        return joined([*parts, _all(rows for text, rows in end.pairs() if fits(text))])

    def count(self, bounds: Sequence[Bound]) -> int:
        """See ``Column``."""
        segments, end = self._state
        recent = end.count
        if len(bounds) == 1 and bounds[0][0] == "eq":
            found = end.rows.get(bounds[0][1])
            recent = 0 if found is None else len(_as_bitmap(found))
        encoded = [(operator, _encoded(text)) for operator, text in bounds]
        return recent + sum(s.postings.count(*s.span(encoded)) for s in segments)

    def count_like(self, pattern: str) -> int:
        """Return at least how many rows ``like`` finds, those removed included."""
        segments, end = self._state
        prefix = _encoded(literal_prefix(pattern))
        return end.count + sum(s.postings.count(*s.beginning(prefix)) for s in segments)

    def distinct(self, live: BitMap) -> Iterator[str]:
        """Yield the texts of live rows, some more than once."""
        segments, end = self._state
        for segment in segments:
            for place in range(segment.size):
                if segment.postings.of(place).intersect(live):
                    yield _decoded(segment.at(place))
        yield from (text for text, rows in end.pairs() if _as_bitmap(rows).intersect(live))

    def compact(self, dead: BitMap) -> Iterator[None]:
        """Let go of rows that are gone, a segment a step; rows may be added between the steps."""
        for old in self._state[0]:
            lean = _merged([old], dead)
            segments, end = self._state
            left = (lean if one is old else one for one in segments)
            self._state = (tuple(one for one in left if one.size), end)
            yield

    def dump(self) -> list[Dump]:
        """Return the segments for ``restore``; the writer calls it."""
        segments, end = self._state
        return [segment.dump() for segment in ((*segments, _sealed(end)) if end.count else segments)]

    def restore(self, dumps: Sequence[Dump]) -> None:
        """Take the place of the column that was dumped."""
        restored = [
            _Segment(buffer, np.frombuffer(ends, dtype=np.uint32), postings_of(postings))
            for buffer, ends, *postings in dumps
        ]
        self._state = (tuple(restored), _End())

    def memory_bytes(self) -> int:
        """Return about how much memory this takes."""
        segments, end = self._state
        return 250 * len(end.rows) + sum(segment.memory_bytes() for segment in segments)

    def _seal(self) -> None:
        segments, end = self._state
        self._state = ((*segments, _sealed(end)), _End())


def _sealed(end: _End) -> _Segment:
    pairs = sorted((_encoded(text), rows) for text, rows in end.rows.items())
    maps = [(rows,) if isinstance(rows, int) else rows.to_array() for _, rows in pairs]
    starts = np.cumsum([0, *map(len, maps)], dtype=np.uint32)
    rows = np.fromiter(chain.from_iterable(maps), dtype=np.uint32, count=int(starts[-1]))
    return _Segment.of([text for text, _ in pairs], Postings(starts, rows))


def _merged(segments: Sequence[_Segment], dead: BitMap) -> _Segment:
    every: list[bytes] = []
    places: list[list[int]] = [[] for _ in segments]
    # Merged one by one and not sorted at once: a long call into C would make every other thread wait.
    for text, number in merge(*(zip(s.texts(), repeat(number)) for number, s in enumerate(segments))):
        if not every or every[-1] != text:
            every.append(text)
        places[number].append(len(every) - 1)
    codes = np.concatenate(
        [
            np.repeat(np.array(own, dtype=np.int64), np.diff(segment.postings.starts))
            for own, segment in zip(places, segments, strict=True)
        ]
    )
    rows: RowArray = np.concatenate([segment.postings.rows for segment in segments])
    kept = survivors(rows, dead)
    used, postings = grouped(codes[kept], rows[kept])
    return _Segment.of([every[place] for place in used.tolist()], postings)


def _all(rows: Iterator[int | BitMap]) -> BitMap:
    found = BitMap()
    single = []
    for one in rows:
        if isinstance(one, int):
            single.append(one)
        else:
            found |= one
    found |= bitmap_of(np.array(single, dtype=np.uint32))
    return found


def _as_bitmap(rows: int | BitMap) -> BitMap:
    return BitMap((rows,)) if isinstance(rows, int) else rows


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogatepass")
