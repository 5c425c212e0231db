"""Values of facts and claims in comparable form: numbers in SI base units with precision, dates as days.

Used by the fact and ordering readers of this package.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from data.analysis import DateMention, Quantity
from data.text.lemmas import lemma_of
from data.text.units import UNITS, Unit, exact_unit

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ISO = re.compile(r"^(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?(?:t.*|z)?$")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_LONG = re.compile(
    r"^(?:(?P<day>\d{1,2})(?:st|nd|rd|th)?\s+)?(?P<month>[a-z]{3,9})\.?\s*(?:(?P<after>\d{1,2})(?:st|nd|rd|th)?,?\s+|,?\s*)?"
    r"(?P<year>\d{4})$"
)
_MEASURE = re.compile(r"^\s*([-+]?\d[\d,]*(?:\.\d+)?)\s*(.*?)\s*$")
#: "About 5,000" admits a tenth on either side (a convention of this file).
APPROXIMATE = 0.1
#: However round a number is, it does not admit more than this share: "1,000 people" is not 1,400.
_ROUNDEST = 0.05


@dataclass(frozen=True, slots=True)
class Measure:
    """A number in the base unit of its dimension; ``precision`` is half a step of the last digit stated."""

    value: float
    dimension: str
    precision: float = 0.0


@dataclass(frozen=True, slots=True)
class Period:
    """Day numbers, both included."""

    first: float
    last: float


def half_step(digits: str) -> float:
    """Return half a step of the last digit stated ("8,800": 50, "3.14": 0.005), at most 5 % of the number."""
    plain = digits.replace(",", "")
    if "." in plain:
        return float(0.5 * 10.0 ** -len(plain.split(".")[1]))
    zeros = len(plain) - len(plain.rstrip("0"))
    return min(0.5 * 10.0**zeros, max(0.5, _ROUNDEST * float(plain)))


def claim_measure(text: str, quantity: Quantity) -> Measure:
    """Return a quantity of a claim with the precision it is written in."""
    if quantity.comparator == "~":
        return Measure(quantity.base_value, quantity.dimension, abs(quantity.base_value) * APPROXIMATE)
    match = _NUMBER.search(text, quantity.span.start, quantity.span.end)
    if match is None or float(match[0].replace(",", "")) == 0:
        return Measure(quantity.base_value, quantity.dimension, abs(quantity.base_value) * 0.01)
    written = float(match[0].replace(",", ""))
    scale = abs(quantity.base_value) / written if quantity.dimension != "temperature" else 1.0
    return Measure(quantity.base_value, quantity.dimension, half_step(match[0]) * scale)


def fact_measure(value: float | None, unit: str | None, words: str) -> Measure | None:
    """Return a fact's number from its typed value, or from its object ("8,849 m")."""
    if value is None:
        match = _MEASURE.match(words)
        if match is None:
            return None
        value, unit = float(match[1].replace(",", "")), unit or match[2] or None
    if not unit:
        return Measure(value, "count")
    known = unit_named(unit)
    return None if known is None else Measure(known.to_base(value), known.dimension)


@lru_cache(maxsize=1_024)
def unit_named(name: str) -> Unit | None:
    """Return the unit that a fact names by symbol or word ("m", "square kilometres"), or ``None``."""
    words = [lemma_of(word) for word in name.strip().casefold().split()]
    return exact_unit(name.strip()) or UNITS.get(name.strip().casefold()) or UNITS.get(" ".join(words))


@lru_cache(maxsize=4_096)
def period_named(words: str) -> Period | None:
    """Return the days of "1879", "1879-03-14", "14 March 1879" or "March 14, 1879", or ``None``."""
    text = words.strip().casefold()
    iso = _ISO.match(text)
    if iso:
        return _period(iso[1], iso[2], iso[3])
    long = _LONG.match(text)
    if long is None or long["month"][:3] not in _MONTHS:
        return None
    month = str(_MONTHS.index(long["month"][:3]) + 1)
    return _period(long["year"], month, long["day"] or long["after"])


def _period(year: str, month: str | None, day: str | None) -> Period | None:
    number = int(year)
    low, high = (int(month), int(month)) if month and int(month) else (1, 12)
    try:
        first = date(number, low, int(day) if day and int(day) else 1)
        last = first if day and int(day) else date(number, high, monthrange(number, high)[1])
    except ValueError:
        return None
    return Period(float(first.toordinal()), float(last.toordinal()))


def mention_period(mention: DateMention) -> Period | None:
    """Return a date of a claim as days, or ``None`` for one before the year 1."""
    try:
        first, last = (date.fromisoformat(day) for day in (mention.first_day, mention.last_day))
    except ValueError:
        return None
    return Period(float(first.toordinal()), float(last.toordinal()))
