"""The two spellings of a filter that are JSON: plain equality and operators.

Called by ``data.filters.language``. ``{"a": 1}`` is equality, ``{"a": {"$gt": 3, "$lt": 9}}`` all of these,
``{"$or": [...]}`` combines filters, ``{"a": {"b": 1}}`` is ``{"a.b": 1}``. Invariant: every fault is told
with the path to it, such as ``$.a.$in[3]``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from data.filters.limits import (
    Budget,
    check_depth,
    check_list,
    check_number,
    check_ordered,
    check_path,
    check_pattern,
    fault,
)
from data.filters.tree import (
    Compare,
    Exists,
    Filter,
    IsNull,
    Like,
    Not,
    OneOf,
    Operator,
    Scalar,
    both,
    canonical,
    either,
    equal,
)


def read_mapping(value: Mapping[str, Any]) -> Filter:
    """Return the filter that a mapping spells; an empty one keeps everything.

    Raises:
        FilterError: it cannot be read.
    """
    return _Reader().filter(value, "$", 1)


class _Reader:
    """Reads one mapping."""

    def __init__(self) -> None:
        self._budget = Budget()

    def filter(self, value: Any, at: str, depth: int) -> Filter:
        """Read a filter: fields and combinations, all of which must hold."""
        check_depth(depth, at)
        if not isinstance(value, Mapping):
            raise fault(f"a filter must be an object, not {_kind(value)}", at)
        parts = []
        for key, content in value.items():
            place = self._place(key, at)
            if key in ("$and", "$or"):
                parts.append(self._combined(key, content, place, depth))
            elif key == "$not":
                parts.append(Not(self.filter(content, place, depth + 1)))
            elif key.startswith("$"):
                raise fault(
                    f"{_quoted(key)} is not one of $and, $or, $not, and no field name begins with $", place
                )
            else:
                parts.append(self._field(check_path(key, place), content, place, depth + 1))
        return both(parts)

    def _combined(self, key: str, content: Any, at: str, depth: int) -> Filter:
        if not isinstance(content, (list, tuple)) or not content:
            raise fault(f"{key} needs a list of at least one filter", at)
        parts = []
        for number, one in enumerate(content):
            if isinstance(one, Mapping) and not one:
                self._budget.term(at)
            parts.append(self.filter(one, f"{at}[{number}]", depth + 1))
        return both(parts) if key == "$and" else either(parts)

    def _field(self, path: str, content: Any, at: str, depth: int) -> Filter:
        """Read what is asked of one field: a value, operators, or fields inside it."""
        check_depth(depth, at)
        if not isinstance(content, Mapping):
            self._budget.term(at)
            return equal(canonical(path), self._scalar(content, at))
        if not content:
            raise fault("an empty object asks for nothing; $exists asks whether the field is there", at)
        parts = []
        for key, value in content.items():
            place = self._place(key, at)
            if key.startswith("$"):
                parts.append(self._operator(path, key, value, place, depth))
            else:
                parts.append(
                    self._field(check_path(f"{path}.{key}" if key else "", place), value, place, depth + 1)
                )
        return both(parts)

    def _operator(self, path: str, key: str, value: Any, at: str, depth: int) -> Filter:
        if key == "$not":
            if not isinstance(value, Mapping):
                raise fault("$not needs an object of operators", at)
            return Not(self._field(path, value, at, depth + 1))
        read = _OPERATORS.get(key)
        if read is None:
            raise fault(f"{_quoted(key)} is not one of {', '.join((*_OPERATORS, '$not'))}", at)
        self._budget.term(at)
        return read(self, canonical(path), value, at)

    def equality(self, path: str, value: Any, at: str) -> Filter:
        """Read ``$eq``."""
        return equal(path, self._scalar(value, at))

    def order(self, operator: Operator, path: str, value: Any, at: str) -> Filter:
        """Read ``$lt``, ``$lte``, ``$gt``, ``$gte``."""
        return Compare(path, operator, check_ordered(self._scalar(value, at), at))

    def one_of(self, path: str, value: Any, at: str) -> Filter:
        """Read ``$in``."""
        if not isinstance(value, (list, tuple)):
            raise fault(f"a list of values is needed, not {_kind(value)}", at)
        check_list(list(value), at)
        return OneOf(path, tuple(self._scalar(one, f"{at}[{number}]") for number, one in enumerate(value)))

    def like(self, path: str, value: Any, at: str) -> Filter:
        """Read ``$like``."""
        return Like(path, check_pattern(self._scalar(value, at), at))

    def is_there(self, path: str, value: Any, at: str) -> Filter:
        """Read ``$exists``."""
        return Exists(path) if _flag(value, at) else Not(Exists(path))

    def is_null(self, path: str, value: Any, at: str) -> Filter:
        """Read ``$null``."""
        return IsNull(path) if _flag(value, at) else Not(IsNull(path))

    def _place(self, key: Any, at: str) -> str:
        if not isinstance(key, str):
            raise fault(f"a name must be a text, not {_kind(key)}", at)
        self._budget.spend(len(key), at)
        return f"{at}.{_shown(key)}"

    def _scalar(self, value: Any, at: str) -> Scalar:
        if isinstance(value, str):
            self._budget.spend(len(value), at)
            return value
        self._budget.spend(1, at)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, (int, float)):
            return check_number(value, at)
        if isinstance(value, (list, tuple)):
            raise fault("a list cannot be compared; $in asks for one of several values", at)
        raise fault(f"a value must be a text, a number, a boolean or null, not {_kind(value)}", at)


_Read = Callable[[_Reader, str, Any, str], Filter]


def _ordered(operator: Operator) -> _Read:
    return lambda reader, path, value, at: reader.order(operator, path, value, at)


def _denied(read: _Read) -> _Read:
    return lambda reader, path, value, at: Not(read(reader, path, value, at))


_OPERATORS: dict[str, _Read] = {
    "$eq": _Reader.equality,
    "$ne": _denied(_Reader.equality),
    "$lt": _ordered("lt"),
    "$lte": _ordered("lte"),
    "$gt": _ordered("gt"),
    "$gte": _ordered("gte"),
    "$in": _Reader.one_of,
    "$nin": _denied(_Reader.one_of),
    "$like": _Reader.like,
    "$not_like": _denied(_Reader.like),
    "$exists": _Reader.is_there,
    "$null": _Reader.is_null,
}

_KINDS = {
    dict: "an object",
    list: "a list",
    str: "a text",
    int: "a number",
    float: "a number",
    bool: "a boolean",
}


def _flag(value: Any, at: str) -> bool:
    if not isinstance(value, bool):
        raise fault(f"true or false is needed, not {_kind(value)}", at)
    return value


def _kind(value: Any) -> str:
    return "null" if value is None else _KINDS.get(type(value), type(value).__name__)


def _quoted(key: str) -> str:
    return repr(_shown(key))


def _shown(key: str) -> str:
    """Return a name as an error shows it."""
    return key if len(key) <= 40 else key[:40] + "…"
