"""How large a filter may be, counted while it is read.

Used by the two parsers. Invariant: what passes costs no more to read than its size, and no
more to answer than ``MAX_TERMS`` look-ups.
"""

from __future__ import annotations

import math
from typing import Any

from data.filters.tree import FilterError, Scalar

#: Most characters of a filter: of the text, or of all names and texts of a mapping, other values being one.
MAX_SIZE = 65_536
#: Most levels of parentheses, NOT, and objects.
MAX_DEPTH = 32
#: Most comparisons.
MAX_TERMS = 256
#: Most values of one IN list.
MAX_LIST = 1_000
#: Most characters of a LIKE pattern and of a field name.
MAX_PATTERN, MAX_PATH = 256, 512

Position = int | str


class Budget:
    """Counts what a filter has used of its limits; every method raises ``FilterError`` beyond them."""

    def __init__(self) -> None:
        self._size = 0
        self._terms = 0

    def spend(self, characters: int, at: Position) -> None:
        """Count characters."""
        self._size += characters
        if self._size > MAX_SIZE:
            raise fault(f"it is longer than {MAX_SIZE:,} characters", at)

    def term(self, at: Position) -> None:
        """Count one comparison."""
        self._terms += 1
        if self._terms > MAX_TERMS:
            raise fault(
                f"it has more than {MAX_TERMS} comparisons; a list of values is one with IN or $in", at
            )


def fault(what: str, at: Position) -> FilterError:
    """Return the error for a fault at a place."""
    where = f"offset {at}" if isinstance(at, int) else at
    return FilterError(f"The filter cannot be read at {where}: {what}.", at)


def check_depth(depth: int, at: Position) -> None:
    """Raise ``FilterError`` where parts are nested too deeply."""
    if depth > MAX_DEPTH:
        raise fault(f"it is nested more than {MAX_DEPTH} levels deep", at)


def check_path(path: str, at: Position) -> str:
    """Return a field name.

    Raises:
        FilterError: it is empty or too long.
    """
    if not path:
        raise fault("a field name is empty", at)
    if len(path) > MAX_PATH:
        raise fault(f"a field name is longer than {MAX_PATH} characters", at)
    return path


def check_pattern(pattern: Any, at: Position) -> str:
    """Return a LIKE pattern.

    Raises:
        FilterError: it is no text, or too long.
    """
    if not isinstance(pattern, str):
        raise fault("a LIKE pattern must be a text", at)
    if len(pattern) > MAX_PATTERN:
        raise fault(f"a LIKE pattern is longer than {MAX_PATTERN} characters", at)
    return pattern


def check_list(values: list[Scalar], at: Position) -> tuple[Scalar, ...]:
    """Return the values of an IN list.

    Raises:
        FilterError: there are too many.
    """
    if len(values) > MAX_LIST:
        raise fault(f"a list has more than {MAX_LIST:,} values", at)
    return tuple(values)


def check_ordered(value: Scalar, at: Position) -> str | float:
    """Return a value that has an order.

    Raises:
        FilterError: it is a boolean or null.
    """
    if value is None or isinstance(value, bool):
        raise fault("only numbers, texts and dates have an order; a boolean or null can only be equal", at)
    return value


def check_number(value: float, at: Position) -> int | float:
    """Return a number.

    Raises:
        FilterError: it is not finite.
    """
    if isinstance(value, float) and not math.isfinite(value):
        raise fault("a number must be finite", at)
    return value
