"""Filters, documents, and how a filter is spelt; for the tests of the language and of the field index."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from data.filters.tree import (
    METADATA,
    And,
    Compare,
    Exists,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Or,
    both,
    either,
)

#: Few enough that filters meet documents, odd enough that kinds meet each other.
VALUES: list[Any] = [
    None, True, False, 0, 1, 2, -3, 1.0, 1.5, 2**53, 2**53 + 1, float(2**53), 2**63 - 1, -(2**63), 2**70,
    1e300, "", "a", "ab", "abc", "b", "%", "a_c", "é", "ü", "it's", "zz" * 200, "2024-01-01",
    "2024-01-01T00:00:00Z", "2024-01-02", "2023-12-31T23:00:00-01:00", "2024-13-01", "1", "true",
]  # fmt: skip
PATTERNS = ["%", "a%", "%b", "%b%", "a_c", "_", "__", "a\\_c", "\\%", "%a%c", "", "zz%zz", "2024%", "%é"]
PATHS = [
    "id", "document_id", "language", "content", "chunk_index", "metadata.a", "metadata.b", "metadata.a.b",
    "metadata.two words", "metadata.id", "metadata.nowhere",
]  # fmt: skip
OWN = {"document_id", "language", "content", "chunk_index"}

_paths = st.sampled_from(PATHS)
_values = st.sampled_from(VALUES)
_ordered = st.sampled_from([value for value in VALUES if value is not None and not isinstance(value, bool)])
_comparable = st.sampled_from([value for value in VALUES if value is not None])
_leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Compare, _paths, st.just("eq"), _comparable),
    st.builds(Compare, _paths, st.sampled_from(["lt", "lte", "gt", "gte"]), _ordered),
    st.builds(OneOf, _paths, st.lists(_values, max_size=4).map(tuple)),
    st.builds(Like, _paths, st.sampled_from(PATTERNS)),
    st.builds(Exists, _paths),
    st.builds(IsNull, _paths),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    _leaves,
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=1, max_size=3).map(both),
        st.lists(inner, min_size=1, max_size=3).map(either),
    ),
    max_leaves=6,
)
_json = st.recursive(
    _values,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b"]), inner, max_size=2)
    ),
    max_leaves=4,
)
metadata = st.dictionaries(st.sampled_from(["a", "b", "a.b", "two words", "id"]), _json, max_size=4)
own_fields = st.fixed_dictionaries(
    {
        "document_id": st.sampled_from(["a", "b", "2024-01-01"]),
        "language": st.sampled_from([None, "a", "ab"]),
        "content": st.sampled_from([None, "a", "abc", "2024-01-01T00:00:00Z", "b" * 300]),
        "chunk_index": st.sampled_from([None, 0, 1, 2]),
    }
)


def as_mapping(wanted: Filter) -> dict[str, Any]:
    """Return a filter in operators."""
    if isinstance(wanted, And):
        return {"$and": [as_mapping(part) for part in wanted.parts]} if wanted.parts else {}
    if isinstance(wanted, Or):
        return {"$or": [as_mapping(part) for part in wanted.parts]}
    if isinstance(wanted, Not):
        return {"$not": as_mapping(wanted.part)}
    return {wanted.path: _asked(wanted)}


def as_text(wanted: Filter) -> str:
    """Return a filter as text."""
    if isinstance(wanted, (And, Or)):
        word = " AND " if isinstance(wanted, And) else " OR "
        return word.join(f"({as_text(part)})" for part in wanted.parts)
    if isinstance(wanted, Not):
        return f"NOT ({as_text(wanted.part)})"
    field = ".".join(f'"{name}"' for name in wanted.path.split("."))
    if isinstance(wanted, Compare):
        signs = {"eq": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">="}
        return f"{field} {signs[wanted.operator]} {_literal(wanted.value)}"
    if isinstance(wanted, OneOf):
        return f"{field} in ({', '.join(map(_literal, wanted.values))})"
    if isinstance(wanted, Like):
        return f"{field} Like {_literal(wanted.pattern)}"
    return f"{field} IS NULL" if isinstance(wanted, IsNull) else f"{field} is not missing"


def as_plain(wanted: Filter) -> dict[str, Any] | None:
    """Return a filter in plain equality where that can say it."""
    parts = wanted.parts if isinstance(wanted, And) else (wanted,)
    plain: dict[str, Any] = {}
    for part in parts:
        if isinstance(part, IsNull):
            plain[part.path.removeprefix(METADATA)] = None
        elif isinstance(part, Compare) and part.operator == "eq":
            plain[part.path.removeprefix(METADATA)] = part.value
        else:
            return None
    names = {part.path.removeprefix(METADATA) for part in parts}  # type: ignore[union-attr]
    return plain if len(names) == len(parts) and "id" not in names else None


def _asked(leaf: Filter) -> dict[str, Any]:
    if isinstance(leaf, Compare):
        return {f"${leaf.operator}": leaf.value}
    if isinstance(leaf, OneOf):
        return {"$in": list(leaf.values)}
    if isinstance(leaf, Like):
        return {"$like": leaf.pattern}
    return {"$exists": True} if isinstance(leaf, Exists) else {"$null": True}


def _literal(value: Any) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    if isinstance(value, bool):
        return "TRUE" if value else "False"
    return "null" if value is None else repr(value)
