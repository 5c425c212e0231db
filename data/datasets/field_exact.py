"""Numbers compared exactly, whether they are integers or floats: 2**53 + 1 is not 2.0**53.

Used by ``data.datasets.field_paths``. Invariant: an integer within 64 bits is never compared as a float; a
bound of the one kind is put into the other without rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from pyroaring import BitMap

from data.datasets.field_numbers import NumberColumn
from data.datasets.field_postings import Bound, Dump, joined
from data.filters.tree import Operator
from data.filters.values import LEAST_INTEGER, MOST_INTEGER, Value, number_of


class ExactNumbers:
    """Rows by number, one column for each kind."""

    def __init__(self) -> None:
        self._integers = NumberColumn(np.int64)
        self._floats = NumberColumn(np.float64)
        self._columns = (self._integers, self._floats)

    def add(self, rows: Sequence[int], values: Sequence[Value]) -> bool:
        """Take in rows and those of their values that are numbers (``values.number_of``).

        Returns whether ``merge`` may have something to do.
        """
        numbers = [
            (row, number)
            for row, value in zip(rows, values, strict=True)
            if (number := number_of(value)) is not None
        ]
        sealed = False
        for kind, column in zip((int, float), self._columns, strict=True):
            own = [(row, number) for row, number in numbers if type(number) is kind]
            if own:
                sealed |= column.add([row for row, _ in own], [number for _, number in own])
        return sealed

    def merge(self) -> None:
        """Make large segments of small ones."""
        for column in self._columns:
            column.merge()

    def select(self, bounds: Sequence[Bound]) -> BitMap:
        """See ``Column``."""
        return joined([column.select(own) for column, own in self._by_column(bounds)])

    def count(self, bounds: Sequence[Bound]) -> int:
        """See ``Column``."""
        return sum(column.count(own) for column, own in self._by_column(bounds))

    def edge(self, live: BitMap, *, highest: bool) -> float | None:
        """Return the lowest or the highest number of the live rows."""
        edges = (column.edge(live, highest=highest) for column in self._columns)
        found = [edge for edge in edges if edge is not None]
        if not found:
            return None
        return max(found) if highest else min(found)

    def compact(self, dead: BitMap) -> Iterator[None]:
        """Let go of rows that are gone, a segment a step."""
        for column in self._columns:
            yield from column.compact(dead)

    def dump(self) -> list[list[Dump]]:
        """Return the segments for ``restore``; the writer calls it."""
        return [column.dump() for column in self._columns]

    def restore(self, dumps: Sequence[Sequence[Dump]]) -> None:
        """Take the place of the columns that were dumped."""
        for column, dump in zip(self._columns, dumps, strict=True):
            column.restore(dump)

    @property
    def columns(self) -> tuple[NumberColumn, NumberColumn]:
        """The two columns: integers and floats."""
        return self._columns

    def _by_column(self, bounds: Sequence[Bound]) -> list[tuple[NumberColumn, list[Bound]]]:
        """Return the columns in which something can fit, and the bounds as they can compare them."""
        integers = [bound if isinstance(bound[1], int) else _among_integers(*bound) for bound in bounds]
        floats = [bound if isinstance(bound[1], float) else _among_floats(*bound) for bound in bounds]
        both = ((self._integers, integers), (self._floats, floats))
        return [
            (column, [bound for bound in own if bound is not None]) for column, own in both if None not in own
        ]


def _among_integers(operator: Operator, value: float) -> Bound | None:
    """Return a comparison with a float as one among 64-bit integers; ``None`` where none can fit."""
    below = operator in ("lt", "lte")
    if value > MOST_INTEGER:
        return ("lte", MOST_INTEGER) if below else None
    if value < LEAST_INTEGER:
        return None if below or operator == "eq" else ("gte", LEAST_INTEGER)
    if operator == "eq":
        return ("eq", int(value)) if value.is_integer() else None
    whole = math.ceil(value) if operator in ("lt", "gte") else math.floor(value)
    return operator, whole


def _among_floats(operator: Operator, value: int) -> Bound | None:
    """Return a comparison with a 64-bit integer as one among floats; ``None`` where none can fit."""
    near = float(value)
    if int(near) == value:
        return operator, near
    if operator == "eq":
        return None
    # No float lies between the integer and the float nearest to it.
    if operator in ("lt", "lte"):
        return ("lt", near) if near > value else ("lte", near)
    return ("gte", near) if near > value else ("gt", near)
