"""Which things of a list belong together. Pure; called wherever a batch is asked in groups."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import TypeVar

Key = TypeVar("Key", bound=Hashable)


def places_by(keys: Iterable[Key]) -> dict[Key, list[int]]:
    """Return the places at which each key stands, keys in the order of their first."""
    found: dict[Key, list[int]] = {}
    for place, key in enumerate(keys):
        found.setdefault(key, []).append(place)
    return found
