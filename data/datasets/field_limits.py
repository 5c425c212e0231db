"""Which metadata can be kept: JSON within bounds that storage, filters and exports hold to.

Called by ``data.datasets.checks``. Invariant: what passes survives JSON unchanged, and a filter
can name its paths.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from data.filters.values import LEAST_INTEGER, MOST_INTEGER

#: Most levels, keys and single values of one vector's metadata, characters of a key, of all keys and texts.
MAX_DEPTH, MAX_KEYS, MAX_VALUES, MAX_KEY, MAX_SIZE = 16, 256, 10_000, 256, 65_536


def metadata_fault(metadata: object) -> str | None:
    """Return why metadata cannot be kept, after "its metadata", or ``None``."""
    if not isinstance(metadata, Mapping):
        return "must be an object"
    return _Walk().fault(metadata)


def surrogate_fault(text: str) -> str | None:
    """Return what is wrong with a text that has half a surrogate pair, or ``None``."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as exc:
        return f"has half a surrogate pair at character {exc.start}, which is no text"
    return None


class _Walk:
    """Goes through one object and counts."""

    def __init__(self) -> None:
        self._keys = self._values = self._size = 0

    def fault(self, metadata: Mapping[Any, Any]) -> str | None:
        """Return the first fault."""
        waiting: list[tuple[Any, int]] = [(metadata, 1)]
        while waiting:
            value, depth = waiting.pop()
            if depth > MAX_DEPTH:
                return f"is nested more than {MAX_DEPTH} levels deep"
            if isinstance(value, Mapping):
                found = self._names(value)
                waiting.extend((one, depth + 1) for one in value.values())
            elif isinstance(value, (list, tuple)):
                found = None
                waiting.extend((one, depth + 1) for one in value)
            else:
                found = self._single(value)
            found = found or self._too_much(len(waiting))
            if found:
                return found
        return None

    def _names(self, value: Mapping[Any, Any]) -> str | None:
        self._keys += len(value)
        for key in value:
            if not isinstance(key, str):
                return "has a key that is no text"
            if not 1 <= len(key) <= MAX_KEY:
                return f"has a key that is empty or longer than {MAX_KEY} characters"
            wrong = surrogate_fault(key)
            if wrong:
                return f"has a key that {wrong}"
            self._size += len(key)
        return None

    def _single(self, value: Any) -> str | None:
        self._values += 1
        if value is None or isinstance(value, bool):
            return None
        if isinstance(value, str):
            self._size += len(value)
            wrong = surrogate_fault(value)
            return f"has a text that {wrong}" if wrong else None
        if isinstance(value, int):
            return None if LEAST_INTEGER <= value <= MOST_INTEGER else "has an integer beyond 64 bits"
        if isinstance(value, float):
            return None if math.isfinite(value) else "has a number that is not finite"
        return f"has a value that JSON does not know ({type(value).__name__})"

    def _too_much(self, waiting: int) -> str | None:
        if self._keys > MAX_KEYS:
            return f"has more than {MAX_KEYS} keys"
        if self._values + waiting > MAX_VALUES:
            return f"has more than {MAX_VALUES:,} values"
        return f"is longer than {MAX_SIZE:,} characters" if self._size > MAX_SIZE else None
