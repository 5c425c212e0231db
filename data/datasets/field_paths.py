"""What is at one path in all records, for every kind of question a filter has about it.

Used by ``data.datasets.fields``. One thread writes, any may read. Invariant: with the rows in ``doubtful``
looked up in their records, ``find`` answers what ``data.filters.matching`` says of each record.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from pyroaring import BitMap

from data.datasets.field_exact import ExactNumbers
from data.datasets.field_numbers import NumberColumn
from data.datasets.field_postings import Bound, Column, joined
from data.datasets.field_texts import TextColumn
from data.filters.tree import Comparand, Compare, Exists, IsNull, Leaf, Like, OneOf, Operator, Scalar
from data.filters.values import Value, may_be_moment, moment_of, number_of, text_of_moment

#: Different values that ``summary`` counts at most.
MAX_DISTINCT = 1_000


@dataclass(frozen=True, slots=True)
class Between:
    """Two comparisons of one path that one value must meet."""

    path: str
    lower: Compare
    upper: Compare


class PathIndex:
    """One path. Texts longer than ``longest`` characters are not kept: their records are looked up."""

    def __init__(self, longest: int) -> None:
        self._longest = longest
        self._exists, self._nulls, self._long = BitMap(), BitMap(), BitMap()
        self._booleans = {False: BitMap(), True: BitMap()}
        self._texts = TextColumn()
        self._moments = NumberColumn(np.int64)
        self._numbers = ExactNumbers()
        self._dated = self._numbered = self._several = False

    def add(self, there: Sequence[int], rows: Sequence[int], values: Sequence[Value]) -> bool:
        """Take in the rows that have the path, and each value with its row.

        Returns whether ``merge`` may have something to do.
        """
        self._exists.update(there)
        self._several = self._several or (rows is not there and len(set(rows)) < len(rows))
        kinds = set(map(type, values))
        sealed = False
        if str in kinds:
            sealed |= self._add_texts(rows, values)
        if int in kinds or float in kinds:
            self._numbered = True
            sealed |= self._numbers.add(rows, values)
        if bool in kinds or type(None) in kinds:
            self._add_constants(rows, values)
        return sealed

    def merge(self) -> None:
        """Make large segments of small ones."""
        for column in (self._texts, self._moments, self._numbers):
            column.merge()

    def can_join(self, lower: Compare, upper: Compare) -> bool:
        """Return whether two comparisons are as good as a ``Between``: no row has several values here."""
        alike = _kind_of(lower.value) == _kind_of(upper.value)
        return alike and not self._several and not self.doubtful(lower) and not self.doubtful(upper)

    def find(self, leaf: Leaf | Between) -> BitMap:
        """Return the rows for which the leaf holds for sure; rows that are gone may be among them.

        ``IsNull`` answers only for rows that have the path.
        """
        if isinstance(leaf, Exists):
            return self._exists
        if isinstance(leaf, IsNull):
            return self._nulls
        if isinstance(leaf, Like):
            return self._texts.like(leaf.pattern)
        if isinstance(leaf, OneOf):
            return joined([self._compared([("eq", value)]) for value in _different(leaf.values)])
        return self._compared(_bounds_of(leaf))

    def doubtful(self, leaf: Leaf | Between) -> BitMap:
        """Return the rows of which the record must be asked, too."""
        if isinstance(leaf, (Exists, IsNull, Between)) or not self._long:
            return BitMap()
        if isinstance(leaf, Like):
            return self._long
        values = (leaf.value,) if isinstance(leaf, Compare) else leaf.values
        operator = leaf.operator if isinstance(leaf, Compare) else "eq"
        return self._long if any(self._asks_long(operator, value) for value in values) else BitMap()

    def missing(self, scope: BitMap) -> BitMap:
        """Return the rows in scope that do not have the path."""
        return scope - self._exists

    def count(self, leaf: Leaf | Between) -> int:
        """Return at least how many rows ``find`` and ``doubtful`` have, rows that are gone included."""
        if isinstance(leaf, (Exists, IsNull)):
            return len(self.find(leaf))
        if isinstance(leaf, Like):
            found = self._texts.count_like(leaf.pattern)
        elif isinstance(leaf, OneOf):
            found = sum(self._counted([("eq", value)]) for value in _different(leaf.values))
        else:
            found = self._counted(_bounds_of(leaf))
        return found + len(self.doubtful(leaf))

    def summary(self, live: BitMap) -> dict[str, Any]:
        """Return figures of the path in the live rows.

        ``count``, ``types``; ``distinct``, the number of different texts, numbers and booleans, counted up to
        ``MAX_DISTINCT``; ``min`` and ``max`` where there are numbers, or else dates.
        """
        lowest, highest = self._edges(live)
        figures: dict[str, Any] = {
            "count": self._exists.intersection_cardinality(live),
            "types": self._types(live, has_numbers=lowest is not None),
            "distinct": self._distinct(live),
        }
        if lowest is None:
            lowest, highest = self._dates(live)
        if lowest is not None:
            figures.update(min=lowest, max=highest)
        return figures

    def compact(self, dead: BitMap) -> Iterator[None]:
        """Let go of rows that are gone, a segment a step; rows may be added between the steps."""
        for rows in self._sets():
            rows.difference_update(dead)
        for column in (self._texts, self._moments, self._numbers):
            yield from column.compact(dead)

    def dump(self) -> dict[str, Any]:
        """Return everything for ``restored``; the writer calls it."""
        return {
            "longest": self._longest,
            "flags": [self._dated, self._numbered, self._several],
            "sets": [rows.serialize() for rows in self._sets()],
            "texts": self._texts.dump(),
            "moments": self._moments.dump(),
            "numbers": self._numbers.dump(),
        }

    @classmethod
    def restored(cls, dump: Mapping[str, Any]) -> PathIndex:
        """Return the path that was dumped."""
        index = cls(dump["longest"])
        index._dated, index._numbered, index._several = dump["flags"]
        for rows, kept in zip(index._sets(), dump["sets"], strict=True):
            rows.update(BitMap.deserialize(kept))
        index._texts.restore(dump["texts"])
        index._moments.restore(dump["moments"])
        index._numbers.restore(dump["numbers"])
        return index

    def memory_bytes(self) -> int:
        """Return about how much memory this takes, bitmaps of the whole path apart."""
        columns = (self._texts, self._moments, *self._numbers.columns)
        return sum(column.memory_bytes() for column in columns)

    def _sets(self) -> tuple[BitMap, ...]:
        return (self._exists, self._nulls, self._long, self._booleans[False], self._booleans[True])

    def _add_texts(self, rows: Sequence[int], values: Sequence[Value]) -> bool:
        texts: dict[str, list[int]] = {}
        for row, value in zip(rows, values, strict=True):
            if isinstance(value, str):
                known = texts.get(value)
                if known is None:
                    texts[value] = [row]
                else:
                    known.append(row)
        for text in [text for text in texts if len(text) > self._longest]:
            self._long.update(texts.pop(text))
        return self._texts.add(texts) | self._add_moments(texts)

    def _add_moments(self, texts: dict[str, list[int]]) -> bool:
        rows: list[int] = []
        moments: list[int] = []
        for text in filter(may_be_moment, texts):
            moment = moment_of(text)
            if moment is not None:
                rows.extend(texts[text])
                moments.extend([moment] * len(texts[text]))
        self._dated = self._dated or bool(rows)
        return self._moments.add(rows, moments)

    def _add_constants(self, rows: Sequence[int], values: Sequence[Value]) -> None:
        for wanted, bitmap in ((None, self._nulls), *self._booleans.items()):
            bitmap.update([row for row, value in zip(rows, values, strict=True) if value is wanted])

    def _compared(self, bounds: Sequence[Bound]) -> BitMap:
        value = bounds[0][1]
        if value is None or isinstance(value, bool):
            return self._nulls if value is None else self._booleans[value]
        column, own = self._column(bounds)
        return column.select(own)

    def _counted(self, bounds: Sequence[Bound]) -> int:
        value = bounds[0][1]
        if value is None or isinstance(value, bool):
            return len(self._compared(bounds))
        column, own = self._column(bounds)
        return column.count(own)

    def _column(self, bounds: Sequence[Bound]) -> tuple[Column, list[Bound]]:
        """Return what answers bounds of one kind, and the bounds in its keys."""
        kind = _kind_of(bounds[0][1])
        if kind == "text":
            return self._texts, list(bounds)
        if kind == "moment":
            return self._moments, [(operator, moment_of(text)) for operator, text in bounds]
        return self._numbers, [(operator, number_of(number)) for operator, number in bounds]

    def _asks_long(self, operator: Operator, value: Scalar) -> bool:
        if not isinstance(value, str):
            return False
        if operator == "eq":
            return len(value) > self._longest or (
                moment_of(value) is not None and self._longest < _LONGEST_DATE
            )
        return moment_of(value) is None or self._longest < _LONGEST_DATE

    def _types(self, live: BitMap, *, has_numbers: bool) -> list[str]:
        texts = bool(self._long.intersect(live)) or next(self._texts.distinct(live), None) is not None
        found = {
            "boolean": any(rows.intersect(live) for rows in self._booleans.values()),
            "date": self._dated and self._moments.edge(live, highest=False) is not None,
            "null": self._nulls.intersect(live),
            "number": has_numbers,
            "text": texts,
        }
        return [name for name, there in found.items() if there]

    def _edges(self, live: BitMap) -> tuple[Any, Any]:
        if not self._numbered:
            return None, None
        return self._numbers.edge(live, highest=False), self._numbers.edge(live, highest=True)

    def _dates(self, live: BitMap) -> tuple[str | None, str | None]:
        edges = (self._moments.edge(live, highest=highest) for highest in (False, True))
        lowest, highest = (None if edge is None else text_of_moment(int(edge)) for edge in edges)
        return lowest, highest

    def _distinct(self, live: BitMap) -> int:
        seen: set[object] = {value for value, rows in self._booleans.items() if rows.intersect(live)}
        found = len(seen)
        numbers = chain.from_iterable(column.distinct(live) for column in self._numbers.columns)
        for kind in (self._texts.distinct(live), numbers):
            # A set of each kind: in one of all, 1 would be true.
            values: set[object] = set()
            for value in kind:
                values.add(value)
                if found + len(values) >= MAX_DISTINCT:
                    return MAX_DISTINCT
            found += len(values)
        return found


#: Characters of the longest ISO instant that is read: nine digits of a second, an offset.
_LONGEST_DATE = 35


def _bounds_of(leaf: Compare | Between) -> list[Bound]:
    parts = (leaf.lower, leaf.upper) if isinstance(leaf, Between) else (leaf,)
    return [(part.operator, part.value) for part in parts]


def _kind_of(value: Comparand) -> str:
    """Return as what a value is compared."""
    if isinstance(value, str):
        return "text" if moment_of(value) is None else "moment"
    return "boolean" if isinstance(value, bool) else "number"


def _different(values: Sequence[Scalar]) -> list[Scalar]:
    """Return the values without those that are there twice; 1 and true are two."""
    return list({(type(value), value): value for value in values}.values())
