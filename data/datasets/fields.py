"""The field index of a dataset: which rows a filter keeps, as a bitmap, without looking at the records.

Owned by the dataset's engine beside the vector index; filled from the record store, kept in memory. One
thread writes, any may read, none waits. Invariant: ``select`` is exactly the live rows for which
``data.filters.matching.matches`` holds. A batch is seen from the end of ``add`` on, a removal from its end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.field_paths import Between, PathIndex
from data.datasets.records import VectorRecord
from data.filters.matching import document_of, test_of
from data.filters.tree import METADATA, OWN_FIELDS, And, Compare, Exists, Filter, IsNull, Leaf, Not, OneOf, Or
from data.filters.values import Value, leaves_of, metadata_leaves

#: Texts longer than this are not kept here; of ``content`` nothing is: their records are looked up.
MAX_TEXT = 256
#: Paths that are indexed; what is at others is looked up in the records.
MAX_PATHS = 1_000
#: Records looked up at once.
_PAGE = 1_000
#: Rows that are gone are let go of when there are so many, and as many as live ones.
_MIN_DEAD = 10_000

#: Returns the records of those rows that are still there.
Lookup = Callable[[Sequence[int]], Mapping[int, VectorRecord]]
#: Returns the contents of those rows that are still there and have one.
Contents = Callable[[Sequence[int]], Mapping[int, str]]
#: A path's rows, and of its values the rows and the values.
_Columns = dict[str, tuple[list[int], list[int], list[Value]]]


class FieldIndex:
    """The field index of one dataset.

    ``lookup`` is ``RecordStore.records_by_row``; ``contents`` its ``contents_by_row``, which is faster where
    only contents are asked for.
    """

    def __init__(self, lookup: Lookup, contents: Contents | None = None) -> None:
        self._lookup = lookup
        self._contents = contents
        self._paths: dict[str, PathIndex] = {}
        self._beyond = BitMap()
        self._live = BitMap()
        self._dead = BitMap()
        self._to_merge: dict[str, PathIndex] = {}
        self._compacting: Iterator[None] | None = None

    def add(self, rows: Sequence[int] | NDArray[np.int64], records: Sequence[VectorRecord]) -> None:
        """Take in new rows and their records."""
        numbers = [int(row) for row in rows]
        for path, (there, with_value, values) in _columns(numbers, records).items():
            index = self._paths.get(path)
            if index is None and len(self._paths) >= MAX_PATHS and path not in OWN_FIELDS:
                self._beyond.update(there)
                continue
            if index is None:
                index = self._paths[path] = PathIndex(0 if path == "content" else MAX_TEXT)
            if index.add(there, with_value, values):
                self._to_merge[path] = index
        # Last, and as a new set: readers see all of the batch or nothing.
        self._live = self._live | BitMap(numbers)
        self._tend(1 + len(numbers) // _PAGE)

    def remove(self, rows: Iterable[int]) -> None:
        """Forget rows."""
        gone = BitMap(int(row) for row in rows) & self._live
        self._live = self._live - gone
        self._dead |= gone
        if self._compacting is None and len(self._dead) > max(_MIN_DEAD, len(self._live)):
            self._compacting = self._compact(self._dead)
            self._dead = BitMap()
        self._tend(1)

    def select(self, wanted: Filter) -> BitMap:
        """Return the live rows that a filter keeps; the caller's own."""
        live = self._live
        return self._within(wanted, live) & live

    def estimate(self, wanted: Filter) -> int:
        """Return at least how many rows a filter keeps, cheaply: no bitmap is made of a range or LIKE."""
        live = len(self._live)
        return min(live, self._bound(wanted, live))

    def count(self) -> int:
        """Return the number of live rows."""
        return len(self._live)

    def summary(self) -> dict[str, dict[str, Any]]:
        """Return, by path in the metadata, ``count``, ``types``, ``distinct``, ``min`` and ``max``."""
        live = self._live
        figures = {
            path.removeprefix(METADATA): index.summary(live)
            for path, index in sorted(self._paths.items())
            if path.startswith(METADATA)
        }
        return {path: figure for path, figure in figures.items() if figure["count"]}

    def dump(self) -> Iterator[dict[str, Any]]:
        """Yield the index in parts for ``restored``; nothing may be written meanwhile."""
        yield {"live": self._live.serialize(), "beyond": self._beyond.serialize()}
        for path, index in self._paths.items():
            yield {"path": path, **index.dump()}

    @classmethod
    def restored(
        cls, lookup: Lookup, contents: Contents | None, dump: Iterable[Mapping[str, Any]]
    ) -> FieldIndex:
        """Return the index that was dumped."""
        index = cls(lookup, contents)
        parts = iter(dump)
        sets = next(parts)
        index._live, index._beyond = (BitMap.deserialize(sets[name]) for name in ("live", "beyond"))
        for part in parts:
            index._paths[part["path"]] = PathIndex.restored(part)
        return index

    def live_rows(self) -> BitMap:
        """Return the live rows; the caller's own."""
        return self._live.copy()

    def memory_bytes(self) -> int:
        """Return about how much memory the index takes."""
        return sum(index.memory_bytes() for index in list(self._paths.values()))

    def _tend(self, paths: int) -> None:
        """Merge the segments of some paths, and let go of some of what is gone: a little with each write."""
        for path in list(self._to_merge)[:paths]:
            self._to_merge.pop(path).merge()
        if self._compacting is not None and next(self._compacting, True):
            self._compacting = None

    def _compact(self, dead: BitMap) -> Iterator[None]:
        for index in list(self._paths.values()):
            yield from index.compact(dead)
        self._beyond -= dead

    def _within(self, wanted: Filter | Between, scope: BitMap) -> BitMap:
        """Return the rows of the scope that a filter keeps."""
        if isinstance(wanted, And):
            for part in sorted(self._ranges(wanted.parts), key=self._reads):
                scope = self._within(part, scope)
            return scope
        if isinstance(wanted, Or):
            found = BitMap()
            for part in sorted(wanted.parts, key=self._reads):
                found |= self._within(part, scope - found if self._reads(part) else scope)
            return found
        if isinstance(wanted, Not):
            return scope - self._within(wanted.part, scope)
        if isinstance(wanted, Between):
            return self._paths[wanted.path].find(wanted) & scope
        return self._leaf(wanted, scope)

    def _ranges(self, parts: Sequence[Filter]) -> list[Filter | Between]:
        """Return the parts of a conjunction, a lower and an upper bound of one value as one short range."""
        bounds: dict[tuple[str, bool], list[Compare]] = {}
        for part in parts:
            if isinstance(part, Compare) and part.operator != "eq":
                bounds.setdefault((part.path, part.operator in ("gt", "gte")), []).append(part)
        planned: list[Filter | Between] = list(parts)
        for (path, is_lower), lowers in bounds.items():
            uppers, index = bounds.get((path, False), []), self._paths.get(path)
            if is_lower and index and len(lowers) == len(uppers) == 1 and index.can_join(*lowers, *uppers):
                planned = [part for part in planned if part is not lowers[0] and part is not uppers[0]]
                planned.append(Between(path, lowers[0], uppers[0]))
        return planned

    def _leaf(self, leaf: Leaf, scope: BitMap) -> BitMap:
        index = self._paths.get(leaf.path)
        found, doubtful = BitMap(), BitMap()
        if index is not None:
            found, doubtful = index.find(leaf) & scope, index.doubtful(leaf) & scope
        elif leaf.path not in OWN_FIELDS:
            doubtful = self._beyond & scope
        if isinstance(leaf, IsNull) or (isinstance(leaf, OneOf) and None in leaf.values):
            found |= index.missing(scope) if index is not None else scope - doubtful
        return found | self._looked_up(leaf, doubtful - found) if doubtful else found

    def _looked_up(self, leaf: Leaf, rows: BitMap) -> BitMap:
        """Return those rows for whose records a leaf holds."""
        holds, found = test_of(leaf), BitMap()
        for start in range(0, len(rows), _PAGE):
            page = list(rows[start : start + _PAGE])
            found.update([row for row, values in self._values_at(leaf.path, page) if holds(values)])
        return found

    def _values_at(self, path: str, rows: Sequence[int]) -> Iterator[tuple[int, Sequence[Value] | None]]:
        if path == "content" and self._contents is not None:
            for row, content in self._contents(rows).items():
                yield row, (content,)
            return
        for row, record in self._lookup(rows).items():
            yield row, leaves_of(document_of(record)).get(path)

    def _reads(self, part: Filter | Between) -> bool:
        """Return whether records must be looked up for a filter: such parts come last."""
        if isinstance(part, Not):
            return self._reads(part.part)
        if isinstance(part, (And, Or)):
            return any(self._reads(one) for one in part.parts)
        index = self._paths.get(part.path)
        return bool(self._beyond) if index is None else bool(index.doubtful(part))

    def _bound(self, wanted: Filter | Between, live: int) -> int:
        if isinstance(wanted, And):
            return min((self._bound(part, live) for part in self._ranges(wanted.parts)), default=live)
        if isinstance(wanted, Or):
            return sum(self._bound(part, live) for part in wanted.parts)
        if isinstance(wanted, Not):
            # Where the rows of the positive are known at once, their complement is.
            known = isinstance(wanted.part, (Compare, OneOf, Exists, IsNull)) and not self._reads(wanted.part)
            return len(self.select(wanted)) if known else live
        index = self._paths.get(wanted.path)
        missing = isinstance(wanted, IsNull) or (isinstance(wanted, OneOf) and None in wanted.values)
        if missing:
            return live if index is None else index.count(wanted) + len(index.missing(self._live))
        return len(self._beyond) if index is None else index.count(wanted)


def _columns(rows: list[int], records: Sequence[VectorRecord]) -> _Columns:
    """Return records by path: what is alike is then taken in together."""
    columns: _Columns = {}
    for name, value_of in _OWN.items():
        own = list(map(value_of, records))
        there = rows
        if None in own:
            there = [row for row, value in zip(rows, own, strict=True) if value is not None]
            own = [value for value in own if value is not None]
        if own:
            columns[name] = (there, there, own)
    for row, record in zip(rows, records, strict=True):
        for path, values in metadata_leaves(record.metadata).items():
            column = columns.get(path)
            if column is None:
                column = columns[path] = ([], [], [])
            column[0].append(row)
            if len(values) == 1:
                column[1].append(row)
                column[2].append(values[0])
            else:
                column[1].extend([row] * len(values))
                column[2].extend(values)
    return columns


_OWN: dict[str, Callable[[VectorRecord], Value]] = {name: attrgetter(name) for name in sorted(OWN_FIELDS)}
