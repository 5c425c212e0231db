"""The filter language of vector datasets: one language, three spellings, one value.

Called wherever a filter comes in. Plain equality ``{"a": 1}``, operators ``{"a": {"$gt": 3}}`` and text
``a > 3 AND b IN ('x', 'y')`` become the same tree; what it means is told in ``data.filters.matching``.
Invariant: a filter that was read is within the bounds of ``data.filters.limits``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from data.filters.limits import fault
from data.filters.mapping import read_mapping
from data.filters.text import read_text
from data.filters.tree import Filter


def parse_filter(value: Mapping[str, Any] | str) -> Filter:
    """Return the filter that a text or a mapping spells; an empty mapping keeps everything.

    Raises:
        FilterError: it cannot be read; the message and ``position`` tell where.
    """
    if isinstance(value, str):
        return read_text(value)
    if isinstance(value, Mapping):
        return read_mapping(value)
    raise fault("a filter must be a text or an object", "$")
