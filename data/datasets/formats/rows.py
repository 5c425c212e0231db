"""A row of a file, as read or as refused. Made by the readers of this package; values only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in the file, its fields by column; ``number`` counts from 1."""

    number: int
    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowFault:
    """Why a row is not taken; ``row`` counts from 1."""

    row: int
    error: str


class RowReader(Protocol):
    """Reads one file, in memory that does not grow with it."""

    def count(self) -> int:
        """Return how many rows there are, having looked at the whole file.

        Raises:
            InvalidValueError: it is damaged, cut short, or not of the kind it should be.
        """
        ...

    def rows(self, after: int = 0) -> Iterator[Row | RowFault]:
        """Yield the rows after the first ``after``, in order.

        Raises:
            InvalidValueError: as :meth:`count`.
        """
        ...
