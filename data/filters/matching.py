"""What a filter means: whether it holds for one document.

Called where single records are looked at; the field index answers the same for all records of a dataset.
What holds where:

- A path is an own field of the vector (``tree.OWN_FIELDS``) or leads into its metadata, ``a.b`` and
  ``metadata.a.b`` being the same. A list stands for its elements: any one that fits will do.
- *Missing* is a path that is not there, also an own field without value. *Null* is missing, or a null among
  the values. ``$exists`` asks for being there, be it null, an empty list or an object.
- Equality holds between values of one kind: texts, numbers, booleans, dates. A boolean is no number, ``"1"``
  is not 1, 1 is 1.0. Integers within 64 bits are compared exactly.
- A text that is an ISO day or instant is a date (a day is its first instant, UTC). A filter that compares
  with a date meets dates only, as moments; one that compares with any other text meets every text, as text.
- Order is that of numbers, moments, or code points; values of different kinds have none, booleans and null
  neither. ``LIKE`` looks at texts as they are written, case matters (``data.filters.like``).
- ``$ne``, ``$nin``, ``$not_like`` and ``$not`` are exact complements: they hold for missing values too.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from data.datasets.records import VectorRecord
from data.filters.like import like_test
from data.filters.tree import (
    OWN_FIELDS,
    And,
    Comparand,
    Compare,
    Exists,
    Filter,
    IsNull,
    Leaf,
    Like,
    Not,
    OneOf,
    Or,
)
from data.filters.values import Leaves, Value, leaves_of, moment_of, number_of

#: Tells from the values at a leaf's path, ``None`` where it is missing, whether the leaf holds.
Test = Callable[[Sequence[Value] | None], bool]

#: The comparisons by name.
ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "lt": operator.lt,
    "lte": operator.le,
    "gt": operator.gt,
    "gte": operator.ge,
}


def document_of(record: VectorRecord) -> dict[str, Any]:
    """Return a record as filters see it: own fields by name, and ``metadata``."""
    document: dict[str, Any] = {name: getattr(record, name) for name in _OWN_NAMES}
    document["metadata"] = record.metadata
    return document


def matches(wanted: Filter, document: Mapping[str, Any]) -> bool:
    """Return whether a filter holds for a document of own fields and ``metadata``."""
    return holds(wanted, leaves_of(document))


def holds(wanted: Filter, leaves: Leaves) -> bool:
    """Return whether a filter holds for a document by what is at its paths."""
    if isinstance(wanted, And):
        return all(holds(part, leaves) for part in wanted.parts)
    if isinstance(wanted, Or):
        return any(holds(part, leaves) for part in wanted.parts)
    if isinstance(wanted, Not):
        return not holds(wanted.part, leaves)
    return test_of(wanted)(leaves.get(wanted.path))


def test_of(leaf: Leaf) -> Test:
    """Return the test of one leaf."""
    if isinstance(leaf, Exists):
        return lambda values: values is not None
    if isinstance(leaf, IsNull):
        return _is_null
    if isinstance(leaf, Like):
        return _any_of(_like(leaf.pattern))
    if isinstance(leaf, Compare):
        return _any_of(_compare(leaf.operator, leaf.value))
    return _one_of(leaf)


def _is_null(values: Sequence[Value] | None) -> bool:
    return values is None or None in values


def _one_of(leaf: OneOf) -> Test:
    tests = [_compare("eq", value) for value in leaf.values if value is not None]
    wants_null = None in leaf.values

    def test(values: Sequence[Value] | None) -> bool:
        if wants_null and _is_null(values):
            return True
        return values is not None and any(fits(value) for fits in tests for value in values)

    return test


def _any_of(fits: Callable[[Value], bool]) -> Test:
    return lambda values: values is not None and any(fits(value) for value in values)


def _like(pattern: str) -> Callable[[Value], bool]:
    fits = like_test(pattern)
    return lambda value: isinstance(value, str) and fits(value)


def _compare(name: str, wanted: Comparand) -> Callable[[Value], bool]:
    order = ORDERS[name]
    if isinstance(wanted, bool):
        return lambda value: value is wanted
    if isinstance(wanted, str):
        return _compare_text(order, wanted)
    number = number_of(wanted)

    def fits(value: Value) -> bool:
        found = number_of(value)
        return found is not None and order(found, number)

    return fits


def _compare_text(order: Callable[[Any, Any], bool], wanted: str) -> Callable[[Value], bool]:
    moment = moment_of(wanted)
    if moment is None:
        return lambda value: isinstance(value, str) and order(value, wanted)

    def fits(value: Value) -> bool:
        found = moment_of(value) if isinstance(value, str) else None
        return found is not None and order(found, moment)

    return fits


_OWN_NAMES = tuple(sorted(OWN_FIELDS))
