"""A filter as one value, whichever way it was spelt.

Made by ``data.filters.language``; read by ``data.filters.matching`` and the field index. Invariant: a path
is canonical (``canonical``), ``$ne``, ``$nin`` and ``$not_like`` are ``Not`` of their positive, and a
conjunction does not stand directly inside another, nor a disjunction in a disjunction.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from data.errors import InvalidValueError

#: A value that a filter compares with.
Scalar: TypeAlias = str | int | float | bool | None
#: A value that equality compares with, null apart.
Comparand: TypeAlias = str | float | bool
Operator = Literal["eq", "lt", "lte", "gt", "gte"]

#: What a vector has of its own; every other path leads into its metadata.
OWN_FIELDS = frozenset(
    {
        "id",
        "document_id",
        "chunk_id",
        "content",
        "content_type",
        "content_hash",
        "language",
        "chunk_index",
        "chunk_count",
        "model",
        "created_at",
        "updated_at",
    }
)
#: Before the path of everything that is in the metadata.
METADATA = "metadata."


class FilterError(InvalidValueError):
    """A filter that cannot be read; ``position`` is an offset in the text or a path such as ``$.a.$gt``."""

    def __init__(self, message: str, position: int | str = 0) -> None:
        super().__init__(message, position)
        self.position = position

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True, slots=True)
class Compare:
    """A value at ``path`` stands so to ``value``, which is text, a number or, with ``eq``, a boolean."""

    path: str
    operator: Operator
    value: Comparand


@dataclass(frozen=True, slots=True)
class OneOf:
    """A value at ``path`` equals one of these; ``None`` among them stands for ``IsNull``."""

    path: str
    values: tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Like:
    """A text at ``path`` fits a pattern (``data.filters.like``)."""

    path: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Exists:
    """There is something at ``path``, be it null or an empty list."""

    path: str


@dataclass(frozen=True, slots=True)
class IsNull:
    """There is nothing at ``path``, or null."""

    path: str


@dataclass(frozen=True, slots=True)
class And:
    """All of these hold; of nothing at all, everything."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """One of these holds."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """This does not hold."""

    part: Filter


Leaf: TypeAlias = Compare | OneOf | Like | Exists | IsNull
Filter: TypeAlias = Leaf | And | Or | Not


def canonical(path: str) -> str:
    """Return a path as filters and documents name it: an own field, or ``metadata.`` and the keys."""
    return path if path in OWN_FIELDS or path.startswith(METADATA) else METADATA + path


def both(parts: list[Filter]) -> Filter:
    """Return the conjunction of these in its one form."""
    flat: list[Filter] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, And) else (part,))
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def either(parts: list[Filter]) -> Filter:
    """Return the disjunction of these, of which there is one at least, in its one form."""
    flat: list[Filter] = []
    for part in parts:
        flat.extend(part.parts if isinstance(part, Or) else (part,))
    return flat[0] if len(flat) == 1 else Or(tuple(flat))


def equal(path: str, value: Scalar) -> Filter:
    """Return that the path has this value; equal to null is being null."""
    return IsNull(path) if value is None else Compare(path, "eq", value)
