"""What a fact may say: a unit that can be one, and an interval of validity that begins before it ends.

Called by ``data.changes`` before a fact is written. Unknown units are fine ("goals", "people/km²"); what
cannot be read as a unit is not.
"""

from __future__ import annotations

import re
from datetime import date

from data.errors import InvalidValueError
from data.knowledge import Fact

#: Longest unit, in characters: "deaths per 100,000 people and year" has 34.
MAX_UNIT_CHARS = 64

_SIGN = "%‰°µμΩ€£$¥₹₽"
#: One factor: begins with a letter or a sign, or is a number that something is counted by ("100,000 people").
_FACTOR = re.compile(rf"(?:\d[\d,.]*\s+)?[^\W\d_{_SIGN}]?[\w{_SIGN}'’.,()\- ²³⁻¹]*")
_JOINT = re.compile(r"\s*(?:/|\*(?!\*)|·|⋅|×|\bper\b)\s*")
_EXPONENT = re.compile(r"\s*(?:\*\*|\^)\s*(?:-?\d{1,2}|\(-?\d{1,2}\))\s*$")
_LETTER = re.compile(rf"[^\W\d_]|[{_SIGN}]")
_YEAR = re.compile(r"\d{4}")
_MONTH = re.compile(r"\d{4}-(?:0[1-9]|1[0-2])")


def check_unit(fact: Fact) -> None:
    """Raise ``InvalidValueError`` unless the fact's unit, if it has one, can be a unit of its value."""
    unit = fact.unit
    if unit is None:
        return
    if fact.value is None:
        raise InvalidValueError(f"The fact {fact.id!r} has a unit and no value: send the number as value.")
    if not 0 < len(unit) <= MAX_UNIT_CHARS or not all(_is_factor(one) for one in _JOINT.split(unit)):
        raise InvalidValueError(
            f"The unit {unit[:MAX_UNIT_CHARS]!r} of fact {fact.id!r} is none: write it as m, km/h, m^2, "
            "people or percent."
        )
    if not _LETTER.search(unit):
        raise InvalidValueError(f"The unit {unit!r} of fact {fact.id!r} is a number: put it into value.")


def check_interval(fact: Fact) -> None:
    """Raise ``InvalidValueError`` unless the ends are days (or months, years) in their order."""
    for name, text in (("valid_from", fact.valid_from), ("valid_to", fact.valid_to)):
        if text is not None and not _is_moment(text):
            raise InvalidValueError(
                f"{name} of fact {fact.id!r} is not a day: {text[:40]!r}; write 2024-05-31, 2024-05 or 2024."
            )
    first, last = fact.valid_from, fact.valid_to
    if first is not None and last is not None and first > f"{last}~":
        raise InvalidValueError(
            f"The fact {fact.id!r} is valid from {first} to {last}, which ends before it begins: swap them."
        )


def in_words(value: float, unit: str | None) -> str:
    """Return what a number alone says: the object of a fact that names none."""
    return f"{value:,.12g} {unit or ''}".strip()


def _is_factor(text: str) -> bool:
    base = _EXPONENT.sub("", text)
    return bool(base.strip()) and bool(_FACTOR.fullmatch(base))


def _is_moment(text: str) -> bool:
    if _YEAR.fullmatch(text) or _MONTH.fullmatch(text):
        return True
    try:
        return date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
