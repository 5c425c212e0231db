"""Quantities as intervals: what a number, its comparator, its precision and its unit leave possible.

Called by ``data.exact.side`` for each text, and by ``data.exact.amounts``, which sets two values against each
other. Two numbers that bound one range ("between 5 and 10") are one value here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from data.analysis import Analysis, FindingOutcome, Quantity, Span
from data.exact.compound_units import compound_after
from data.text.number_agreement import tolerance
from data.text.profile import MAX_NUMBERS
from data.text.words import listed

_INF = math.inf
#: Rounding of a measured whole number ("330 m" is said of 329.6 m): half a unit, at most this share.
_MAX_ROUNDING = 0.025
#: Dimensions that come in whole things: there 24 is not 24.4.
_COUNTED = frozenset(("count", "ordinal"))
_EXACT = re.compile(r"(?:exactly|precisely)\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d[\d,]*(\.\d+)?")
_JOIN = re.compile(r"\s*(?:-|–|—|−|to|and|or)\s*(?:[$€£¥]\s*)?", re.IGNORECASE)
_LEAD = re.compile(r"\b(?:between|from)\s+$", re.IGNORECASE)
_RANK_LEAD = re.compile(
    r"\b(?:(?P<lower>before|ahead\s+of|prior\s+to)|after|behind|(?P<than>than))\s+(?:the\s+)?$",
    re.IGNORECASE | re.ASCII,
)
_LEAD_CHARS = 16
_RANKS = {
    word: number for number, word in enumerate(listed("one two three four five six seven eight nine ten"), 1)
}
_RANK = re.compile(
    rf"(?:\bno\s?\.\s?|\bnumber[\s-]|#\s?|№\s?)(\d{{1,4}}|{'|'.join(_RANKS)})\b(?!\s?(?:of|%)\b)",
    re.IGNORECASE | re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Value:
    """What is possible: every number from ``low`` to ``high``, ends included where ``low_in``, ``high_in``.

    A point may be off by ``slack`` as written; ``hedged`` when it says so ("about"). ``dimension`` as in
    ``Quantity``, or the dimensions of a compound unit.
    """

    low: float
    high: float
    span: Span
    dimension: str
    unit: str | None = None
    noun: str | None = None
    slack: float = 0.0
    hedged: bool = False
    low_in: bool = True
    high_in: bool = True

    @property
    def is_point(self) -> bool:
        """Whether one number is said, and not a bound or a range."""
        return self.low == self.high


def read_values(text: str, analysis: Analysis) -> tuple[Value, ...]:
    """Return the values in order; years before Christ are times, not values."""
    found: list[Value] = []
    low: Quantity | None = None
    for quantity in analysis.quantities[:MAX_NUMBERS]:
        inside = bool(found) and quantity.span.start < found[-1].span.end
        if quantity.dimension == "year" or inside or not math.isfinite(quantity.base_value):
            continue
        if low is not None and _is_range(text, low, quantity):
            found[-1] = _range(text, low, _value(text, quantity), quantity)
            low = None
            continue
        found.append(_value(text, quantity))
        low = quantity
    told = [value for value in (*found, *_ranks(text, found)) if value.low > -_INF or value.high < _INF]
    return tuple(sorted(told, key=lambda value: value.span.start))


def _is_range(text: str, low: Quantity, high: Quantity) -> bool:
    if _JOIN.fullmatch(text, low.span.end, high.span.start) is None:
        return False
    if (low.comparator, high.comparator) == (">=", "<="):
        return low.dimension == high.dimension
    return _is_unmarked(text, low, high)


def _is_unmarked(text: str, low: Quantity, high: Quantity) -> bool:
    """Return whether a number without a unit is the lower end of one with: "3 to 5 km"."""
    alike = low.dimension == "count" != high.dimension and (low.comparator, high.comparator) == ("=", "=")
    if not alike or not low.value < high.value:
        return False
    lead = _LEAD.search(text, max(0, low.span.start - _LEAD_CHARS), low.span.start)
    listed_ = text[low.span.end : high.span.start].strip().lower() in ("and", "or")
    return lead[0].lower().startswith("between") if lead else not listed_


def _range(text: str, low: Quantity, high: Value, end: Quantity) -> Value:
    """Return the range from a number to a value; a number without a unit is in the value's."""
    noun = high.noun or low.noun
    unit = end.base_value / end.value if low.dimension != end.dimension and end.value else None
    bottom = low.base_value if unit is None else low.value * unit
    lead = _LEAD.search(text, max(0, low.span.start - _LEAD_CHARS), low.span.start)
    span = Span(lead.start() if lead else low.span.start, high.span.end)
    return replace(high, low=bottom, low_in=True, high_in=True, slack=0.0, noun=noun, span=span)


def _value(text: str, quantity: Quantity) -> Value:
    read = _read(text, quantity)
    lead = _RANK_LEAD.search(text, max(0, read.span.start - _LEAD_CHARS), read.span.start)
    return _bounded(read, lead) if read.dimension == "ordinal" and lead is not None else read


def _bounded(rank: Value, lead: re.Match[str]) -> Value:
    """Return what "before the 58th" and "behind No. 2" leave possible."""
    span = Span(lead.start(), rank.span.end)
    if lead["than"]:  # "richer than the 15th": no rank is told
        return replace(rank, low=-_INF, high=_INF, span=span)
    if lead["lower"]:
        return replace(rank, low=-_INF, high_in=False, span=span)
    return replace(rank, high=_INF, low_in=False, span=span)


def _read(text: str, quantity: Quantity) -> Value:
    compound = compound_after(text, quantity)
    base, slack = quantity.base_value, _slack(text, quantity, whole=compound is None)
    dimension, unit, span = quantity.dimension, quantity.unit, quantity.span
    if compound is not None:
        base, slack = base * compound.factor, abs(slack * compound.factor)
        dimension, unit, span = compound.dimension, compound.unit, Span(span.start, compound.end)
    sign = quantity.comparator
    low = base if sign in ("=", "~", ">", ">=") else -_INF
    high = base if sign in ("=", "~", "<", "<=") else _INF
    return Value(
        low,
        high,
        span,
        dimension,
        unit=unit,
        noun=quantity.noun,
        slack=slack,
        hedged=sign == "~",
        low_in=sign != ">",
        high_in=sign != "<",
    )


def _slack(text: str, quantity: Quantity, *, whole: bool) -> float:
    """Return by how much the number may be off as written, in base units; ``whole`` things are counted."""
    said = text[quantity.span.start : quantity.span.end]
    if _EXACT.match(said):
        return 0.0
    slack = tolerance(text, quantity)
    digits = _DIGITS.search(said)
    counted = whole and quantity.dimension in _COUNTED
    if counted or digits is None or digits[1] or not quantity.value:
        return slack
    one = abs(quantity.base_value / quantity.value)
    return max(slack, min(one / 2, _MAX_ROUNDING * abs(quantity.base_value)))


def _ranks(text: str, found: Sequence[Value]) -> list[Value]:
    """Return ranks that are said as a number: "No. 3", "number one", "#12"."""
    taken = [value.span for value in found]
    ranks = []
    for match in _RANK.finditer(text):
        span = Span(match.start(), match.end())
        if any(span.start < other.end and other.start < span.end for other in taken):
            continue
        said = match[1].lower()
        number = float(_RANKS.get(said) or int(said))
        rank = Value(number, number, span, "ordinal")
        lead = _RANK_LEAD.search(text, max(0, span.start - _LEAD_CHARS), span.start)
        ranks.append(rank if lead is None else _bounded(rank, lead))
    return ranks[:MAX_NUMBERS]


def relation(mine: Value, theirs: Value) -> FindingOutcome:
    """Return how the passage's value stands to the claim's, both in one dimension.

    A point agrees within the larger slack of the two. A bound or range is entailed by whatever lies inside
    it.
    """
    if mine.is_point and theirs.is_point:
        return "agrees" if abs(mine.low - theirs.low) <= max(mine.slack, theirs.slack) else "conflicts"
    if mine.is_point:
        wide = _widened(mine, mine.slack)
        return (
            "conflicts" if _apart(wide, theirs) else "agrees" if _within(theirs, wide) else "not_comparable"
        )
    them = _widened(theirs, theirs.slack if theirs.hedged else 0.0)
    if _apart(mine, them):
        return "conflicts"
    if _within(them, mine):
        return "agrees" if _within(mine, them) else "entails"
    return "not_comparable"


def _widened(value: Value, slack: float) -> Value:
    return replace(value, low=value.low - slack, high=value.high + slack) if value.is_point else value


def _apart(one: Value, other: Value) -> bool:
    return _below(one, other) or _below(other, one)


def _below(low: Value, high: Value) -> bool:
    """Return whether all of ``low`` lies below all of ``high``."""
    return low.high < high.low or (low.high == high.low and not (low.high_in and high.low_in))


def _within(inner: Value, outer: Value) -> bool:
    low = inner.low > outer.low or (inner.low == outer.low and (outer.low_in or not inner.low_in))
    high = inner.high < outer.high or (inner.high == outer.high and (outer.high_in or not inner.high_in))
    return low and high
