"""What a document holds at each path, and how single values compare.

Called by ``data.filters.matching``, which decides a filter for one document, and by the field index, which
decides it for all. Invariant: both read documents and values through here, so they cannot disagree.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, TypeAlias

from data.filters.tree import METADATA, OWN_FIELDS

#: A value in a document that a filter can meet.
Value: TypeAlias = str | int | float | bool | None
#: A path and the values there; no value where there is only an object or an empty list.
Leaves: TypeAlias = dict[str, list[Value]]

#: The integers that are compared exactly; others count as the nearest float.
LEAST_INTEGER, MOST_INTEGER = -(2**63), 2**63 - 1

_MICROSECONDS = 1_000_000
_DAY = 24 * 60 * 60 * _MICROSECONDS
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:[.,]([0-9]{1,9}))?)?"
    r"(?:[Zz]|([+-])([0-9]{2}):?([0-9]{2}))?)?"
)


def moment_of(text: str) -> int | None:
    """Return the microseconds from the year 1 (UTC) to an ISO day or instant; ``None`` for any other text.

    A day is its first instant, an instant without offset is UTC, digits after the microseconds are cut off.
    """
    if not may_be_moment(text):
        return None
    if len(text) == 10:
        return _first_instant(text)
    found = _MOMENT.fullmatch(text)
    if found is None:
        return None
    midnight = _first_instant(text[:10])
    hour, minute, second, fraction, sign, off_hours, off_minutes = found.groups()
    hours, minutes, seconds = int(hour or 0), int(minute or 0), int(second or 0)
    ahead_hours, ahead_minutes = int(off_hours or 0), int(off_minutes or 0)
    if midnight is None or max(hours, ahead_hours) > 23 or max(minutes, seconds, ahead_minutes) > 59:
        return None
    ahead = ahead_hours * 60 + ahead_minutes
    minutes += hours * 60 + (ahead if sign == "-" else -ahead)
    micros = int((fraction or "0")[:6].ljust(6, "0"))
    return midnight + (minutes * 60 + seconds) * _MICROSECONDS + micros


def may_be_moment(text: str) -> bool:
    """Return whether a text may be an ISO day or instant, cheaply."""
    return len(text) >= 10 and text[4] == "-" and text[7] == "-"


def _first_instant(day: str) -> int | None:
    try:
        return date.fromisoformat(day).toordinal() * _DAY
    except ValueError:
        return None


def text_of_moment(moment: int) -> str:
    """Return a moment within the years 1 to 9999 as text: a day, or an instant in UTC."""
    days, micros = divmod(moment, _DAY)
    day = date.fromordinal(days)
    if not micros:
        return day.isoformat()
    instant = datetime(day.year, day.month, day.day) + timedelta(microseconds=micros)  # noqa: DTZ001 - UTC by Z
    return instant.isoformat() + "Z"


def number_of(value: Any) -> int | float | None:
    """Return a value as a number that compares, or ``None``: a boolean is none, nor is NaN."""
    kind = type(value)
    if kind is int:
        return value if LEAST_INTEGER <= value <= MOST_INTEGER else _nearest(value)
    if kind is float:
        return None if value != value else value  # noqa: PLR0124 # NaN
    return None


def leaves_of(document: Mapping[str, Any]) -> Leaves:
    """Return what a document (``matching.document_of``) holds, by canonical path.

    A list stands for its elements, also of lists and objects in it; an object for what is in it, a key with
    dots being the same as so many keys. Own fields that are ``None`` are not there.
    """
    leaves = metadata_leaves(document.get("metadata") or {})
    for name in OWN_FIELDS:
        value = document.get(name)
        if value is not None:
            leaves[name] = [value]
    return leaves


def metadata_leaves(metadata: Mapping[str, Any]) -> Leaves:
    """Return what metadata holds, as in ``leaves_of``."""
    leaves: Leaves = {}
    _walk(metadata, METADATA, leaves)
    return leaves


def _walk(mapping: Mapping[str, Any], prefix: str, leaves: Leaves) -> None:
    for key, value in mapping.items():
        path = prefix + key
        values = leaves.get(path)
        if values is None:
            values = leaves[path] = []
        kind = type(value)
        if kind is str or kind is int or kind is float or value is None or kind is bool:
            values.append(value)
        else:
            _take(value, path, values, leaves)


def _take(value: Any, path: str, values: list[Value], leaves: Leaves) -> None:
    if isinstance(value, (list, tuple)):
        for element in value:
            _take(element, path, values, leaves)
    elif isinstance(value, Mapping):
        _walk(value, path + ".", leaves)
    else:
        values.append(value)


def _nearest(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
