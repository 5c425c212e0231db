"""Dates and intervals as ranges of days, and how one stands to another.

Called by ``data.exact.side`` for each text and by ``data.exact.dates``. Beside the dates of the analysis it
reads years before Christ, days without a year ("by March 16"), and "by" as an end. A day is a proleptic
Gregorian ordinal; a day without a year lies in year 4 (a leap year) and is compared with such days only, or
with the month and day of a full date.
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass, replace
from functools import lru_cache

from data.analysis import Analysis, DateMention, FindingOutcome, Span
from data.text.dates import FIRST_DAY, LAST_DAY, MONTHS

_INF = math.inf
_NO_YEAR = 4
_DAYS_A_YEAR = 365.2425
_MAX_TIMES = 60
_FIRST, _LAST = 1, dt.date.max.toordinal()
#: What bounds a date, beside the words the analysis knows.
_AHEAD = re.compile(
    r"\b(?:(?P<by>by)|(?P<earlier>prior\s+to|preceding|earlier\s+than|ahead\s+of)"
    r"|(?P<later>succeeding|later\s+than|subsequent\s+to))"
    r"\s+(?:the\s+)?(?:end\s+of\s+)?(?:late\s+|early\s+)?$",
    re.IGNORECASE | re.ASCII,
)
_LEAD_CHARS = 32
#: Quotation marks: a year between two of them is a title.
_QUOTES = re.compile(r"[\"“”'‘’`]")
_LASTING = re.compile(r"(?:since|until|till)\b", re.IGNORECASE)
_MONTH = "|".join(sorted((re.escape(name) for name in MONTHS), key=len, reverse=True))
_YEARLESS = re.compile(
    rf"\b(?:(?P<m1>{_MONTH})\s+(?P<d1>\d{{1,2}})(?:st|nd|rd|th)?|(?P<d2>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<m2>{_MONTH}))"
    r"(?!\w|\s*,?\s*\d{4})(?!\s?[-–:/]\s?\d)",
    re.IGNORECASE | re.ASCII,
)
_LEADS = re.compile(r"\b(before|until|till|by|after|since|from)\s+(?:the\s+)?$", re.IGNORECASE)
_CUE = re.compile(rf"\b(?:{_MONTH})", re.IGNORECASE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Time:
    """The days from ``first`` to ``last``; an end that is not stated is ``-inf`` or ``inf``.

    ``lasting`` when something is said to go on for all of it ("since 1990", "until 2005").
    """

    first: float
    last: float
    grain: str
    span: Span
    yearless: bool = False
    lasting: bool = False


def read_times(text: str, analysis: Analysis) -> tuple[Time, ...]:
    """Return the times in order."""
    found = [_time(text, date) for date in analysis.dates[:_MAX_TIMES] if not _is_title(text, date.span)]
    for quantity in analysis.quantities:
        if quantity.dimension == "year":
            first = (quantity.base_value - 1) * _DAYS_A_YEAR
            found.append(Time(first, first + 365.0, "year", quantity.span))
    if _CUE.search(text):
        found += _yearless(text, found)
    return tuple(sorted(found, key=lambda time: time.span.start)[:_MAX_TIMES])


def _is_title(text: str, span: Span) -> bool:
    before, after = (
        text[max(0, span.start - 2) : span.start].rstrip()[-1:],
        text[span.end : span.end + 2].lstrip()[:1],
    )
    return bool(_QUOTES.fullmatch(before) and _QUOTES.fullmatch(after))


@lru_cache(maxsize=8_192)
def _ordinal(day: str) -> int:
    return dt.date.fromisoformat(day).toordinal()


def _time(text: str, date: DateMention) -> Time:
    first = -_INF if date.first_day == FIRST_DAY else float(_ordinal(date.first_day))
    last = _INF if date.last_day == LAST_DAY else float(_ordinal(date.last_day))
    lead = _AHEAD.search(text, max(0, date.span.start - _LEAD_CHARS), date.span.start)
    if lead is None:
        lasting = _LASTING.match(text, date.span.start) is not None
        return Time(first, last, date.grain, date.span, lasting=lasting)
    span = Span(lead.start(), date.span.end)
    if lead["by"]:
        return Time(-_INF, last, date.grain, span)
    if lead["earlier"]:
        return Time(-_INF, first - 1.0, date.grain, span)
    return Time(last + 1.0, _INF, date.grain, span)


def _yearless(text: str, dated: list[Time]) -> list[Time]:
    """Return days that are said without a year, outside of what is dated already."""
    found = []
    for match in _YEARLESS.finditer(text):
        month = MONTHS[(match["m1"] or match["m2"]).lower()]
        word = match["m1"] or match["m2"]
        span = Span(match.start(), match.end())
        if not word[0].isupper() or any(span.start < t.span.end and t.span.start < span.end for t in dated):
            continue
        try:
            day = float(dt.date(_NO_YEAR, month, int(match["d1"] or match["d2"])).toordinal())
        except ValueError:
            continue
        found.append(_led(text, Time(day, day, "day", span, yearless=True)))
    return found[:_MAX_TIMES]


def _led(text: str, time: Time) -> Time:
    lead = _LEADS.search(text, max(0, time.span.start - 16), time.span.start)
    if lead is None:
        return time
    word, span = lead[1].lower(), Span(lead.start(), time.span.end)
    if word in ("before",):
        return replace(time, first=-_INF, last=time.first - 1, span=span)
    if word in ("until", "till", "by"):
        return replace(time, first=-_INF, span=span)
    if word == "after":
        return replace(time, first=time.last + 1, last=_INF, span=span)
    return replace(time, last=_INF, span=span) if word == "since" else time


def relation(mine: Time, theirs: Time) -> FindingOutcome | None:
    """Return how the passage's time stands to the claim's; ``None`` where they cannot be set side by side."""
    if mine.yearless != theirs.yearless:
        full, bare = (theirs, mine) if mine.yearless else (mine, theirs)
        bared = _without_year(full)
        if bared is None:
            return None
        mine, theirs = (bare, bared) if mine.yearless else (bared, bare)
    if theirs.first > mine.last or theirs.last < mine.first:
        return "conflicts"
    if (mine.first, mine.last) == (theirs.first, theirs.last):
        return "agrees"
    if mine.lasting and theirs.lasting:
        return "conflicts"
    if mine.first <= theirs.first and theirs.last <= mine.last:
        return "entails"
    # "in 1939" is what "from 1939 to 1945" says of a beginning.
    edge = mine.grain == theirs.grain and (mine.first == theirs.first or mine.last == theirs.last)
    return "entails" if edge and mine.last - mine.first < _LAST and _closed(theirs) else "not_comparable"


def _closed(time: Time) -> bool:
    return time.first > -_INF and time.last < _INF


def _without_year(time: Time) -> Time | None:
    """Return the same day of the year of no year; ``None`` for anything but one day or an open end at one."""
    if time.grain != "day":
        return None
    ends = []
    for end in (time.first, time.last):
        if end in (-_INF, _INF):
            ends.append(end)
        else:
            ends.append(float(dt.date.fromordinal(int(end)).replace(year=_NO_YEAR).toordinal()))
    return replace(time, first=ends[0], last=ends[1], yearless=True) if ends[0] <= ends[1] else None
