"""Finds absolute dates in a text, as inclusive ISO days.

Called by the analyser before quantities, so that a year is not counted. Relative dates ("last year") are
cues, not dates; a day without a year is no date unless a later date in its phrase gives the year; years
before Christ fit no ISO day and are left to the quantity reader. Open intervals ("since 1990") end at
``LAST_DAY``, or start at ``FIRST_DAY``.
"""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass

from data.analysis import DateMention
from data.text.counted_nouns import is_plural
from data.text.stop_words import STOP_WORDS
from data.text.words import Words, listed

FIRST_DAY = "0001-01-01"
LAST_DAY = "9999-12-31"

_MONTH_NAMES = listed(
    """
january february march april may june july august september october november december
"""
)
MONTHS: dict[str, int] = {name: number for number, name in enumerate(_MONTH_NAMES, start=1)}
MONTHS |= {name[:3]: number for name, number in MONTHS.items() if name != "may"}
MONTHS |= {f"{name[:3]}.": number for name, number in list(MONTHS.items())} | {"sept": 9, "sept.": 9}
_GRAINS = ("day", "month", "year", "decade", "century")
_DAY = re.compile(r"(0?[1-9]|[12]\d|3[01])(?:st|nd|rd|th)?")
_YEAR = re.compile(r"1\d{3}|20\d\d|2100")
_SHORT_YEAR = re.compile(r"\d{3}")
_DECADE = re.compile(r"(1\d|20)(\d)0'?s")
_SHORT_DECADE = re.compile(r"['’]?([2-9])0s")
_WORD_DECADES = {
    name: 1900 + 10 * tens
    for tens, name in enumerate(
        listed("twenties thirties forties fifties sixties seventies eighties nineties"), 2
    )
}
_CENTURY = re.compile(r"(\d{1,2})(?:st|nd|rd|th)")
_WORD_ORDINALS = dict(
    zip(listed(
"""
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
"""
), range(1, 21), strict=True)
)  # fmt: skip
#: Words other than months and numbers that a date may start with.
DATE_WORDS: frozenset[str] = frozenset((*_WORD_DECADES, *_WORD_ORDINALS))
_BC = frozenset(("bc", "b.c.", "bce", "b.c.e.", "b.c"))
_AD = frozenset(("ad", "a.d.", "ce", "c.e."))
_DASHES = frozenset("-–—−/")
_SLASHED = re.compile(r"(\d{1,2})[/.](\d{1,2})[/.](1\d{3}|20\d\d)")
_SLASHED_ISO = re.compile(r"(1\d{3}|20\d\d)[/.](\d{1,2})[/.](\d{1,2})")
_COUNT_CUES = frozenset(
    ("than", "least", "most", "exceeding", "nearly", "almost", "approximately", "roughly", "over", "only")
)
_YEAR_LEADS = frozenset(
    listed("in since by of the until till before after from between and to year a , for during")
)
_UNIT_AFTER = frozenset(
    listed(
        """
people men women children feet metres meters km kilometres kilometers miles tons tonnes kg years
days hours minutes dollars euros pounds cases deaths employees votes seats points soldiers troops
students members copies residents inhabitants patients percent % acres hectares
"""
    )
)
_NOUN_LIKE = re.compile(r"[a-z]{3,}")


@dataclass(frozen=True, slots=True)
class _Point:
    """A date read from words ``[first, end)``. A missing year is 0 and may be filled in from a later date."""

    first: int
    end: int
    grain: str
    year: int
    month: int = 1
    day: int = 1


def find_dates(words: Words, starts: list[int]) -> tuple[list[DateMention], set[int]]:
    """Return the dates in order, and the words that are no numbers because they are (part of) a date.

    ``starts`` are the word indices that look like a month, a year, a decade or an ordinal.
    """
    points = _with_years(words, _points(words, starts))
    dates = _mentions(words, [point for point in points if point.year > 0])
    covered = words.inside(date.span for date in dates)
    for point in points:
        covered.update(range(point.first, point.end))
    return dates, covered


def _points(words: Words, starts: list[int]) -> list[_Point]:
    found: list[_Point] = []
    done = 0
    for index in starts:
        point = _read(words, index) if index >= done else None
        if point is not None:
            found.append(point)
            done = point.end
    return found


def _read(words: Words, index: int) -> _Point | None:
    low = words.lower[index]
    if low in MONTHS:
        return _month_first(words, index)
    for reader in (_iso, _day_first, _decade, _century, _year):
        point = reader(words, index)
        if point is not None:
            return point
    return None


def _year_at(words: Words, index: int) -> int:
    """Return the year at ``index`` in a date that has a month, or 0."""
    low = words.low(index)
    if _YEAR.fullmatch(low) or (
        _SHORT_YEAR.fullmatch(low) and low[0] != "0" and not is_plural(words.low(index + 1))
    ):
        return int(low)
    return 0


def _month_first(words: Words, index: int) -> _Point | None:
    month, at = MONTHS[words.lower[index]], index + 1
    if (
        words.lower[index] in ("may", "march", "mar", "jan", "dec", "sep")
        and not words.surface[index][0].isupper()
    ):
        return None
    at += int(words.low(at) == "the")
    match = _DAY.fullmatch(words.low(at))
    day_end = at + 1 if match else index + 1
    after = day_end + int(words.low(day_end) in (",", "of"))
    year = _year_at(words, after)
    end = after + 1 if year else day_end
    if match:
        return _day_point(index, end, year, month, int(match[1]))
    return _Point(index, end, "month", year, month) if year or words.low(index - 1) else None


def _day_first(words: Words, index: int) -> _Point | None:
    match = _DAY.fullmatch(words.lower[index])
    if match is None:
        return None
    at = index + 1 + int(words.low(index + 1) == "of")
    month = MONTHS.get(words.low(at))
    if month is None or not words.surface[at][0].isupper():
        return None
    after = at + 1 + int(words.low(at + 1) in (",", "of"))
    year = _year_at(words, after)
    return _day_point(index, after + 1 if year else at + 1, year, month, int(match[1]))


def _day_point(first: int, end: int, year: int, month: int, day: int) -> _Point | None:
    """Return a day, or its month when the calendar has no such day."""
    try:
        dt.date(year or 2000, month, day)
    except ValueError:
        return _Point(first, end, "month", year, month)
    return _Point(first, end, "day", year, month, day)


def _iso(words: Words, index: int) -> _Point | None:
    low = words.lower[index]
    if (match := _SLASHED_ISO.fullmatch(low)) is not None:
        return _checked(index, index + 1, int(match[1]), int(match[2]), int(match[3]))
    if (match := _SLASHED.fullmatch(low)) is not None:
        return _slashed(index, int(match[1]), int(match[2]), int(match[3]))
    year = _year_at(words, index)
    if (
        not year
        or words.low(index + 1) != "-"
        or not words.low(index + 2).isdecimal()
        or len(words.low(index + 2)) != 2
    ):
        return None
    month = int(words.lower[index + 2])
    if (
        words.low(index + 3) == "-"
        and words.low(index + 4)[:2].isdecimal()
        and len(words.low(index + 4)) == 2
    ):
        return _checked(index, index + 5, year, month, int(words.lower[index + 4]))
    return None


def _checked(first: int, end: int, year: int, month: int, day: int) -> _Point | None:
    return _day_point(first, end, year, month, day) if 1 <= month <= 12 and 1 <= day <= 31 else None


def _slashed(index: int, left: int, right: int, year: int) -> _Point | None:
    """Read "25/12/2020"; of "03/04/2020", which countries read differently, only the year is taken."""
    if left > 12 and 1 <= right <= 12:
        return _checked(index, index + 1, year, right, left)
    if right > 12 and 1 <= left <= 12:
        return _checked(index, index + 1, year, left, right)
    if left == right and left:
        return _checked(index, index + 1, year, left, right)
    return _Point(index, index + 1, "year", year)


def _decade(words: Words, index: int) -> _Point | None:
    low = words.lower[index]
    if (match := _DECADE.fullmatch(low)) is not None:
        # "the 1800s" mostly means the hundred years, "the 1810s" can only mean ten.
        grain = "century" if match[2] == "0" and match[1] < "20" else "decade"
        return _Point(index, index + 1, grain, int(match[1]) * 100 + int(match[2]) * 10)
    if (match := _SHORT_DECADE.fullmatch(low)) is not None and words.low(index - 1) not in (
        "her",
        "his",
        "their",
        "my",
    ):
        return _Point(index, index + 1, "decade", 1900 + int(match[1]) * 10)
    if low in _WORD_DECADES and words.low(index - 1) in ("the", "early", "late", "mid", "-"):
        return _Point(index, index + 1, "decade", _WORD_DECADES[low])
    year = _year_at(words, index)
    if (
        year
        and year % 10 == 0
        and words.low(index + 1) in ("'s", "s", "’s")
        and words.low(index - 1) in ("the", "early", "late", "mid")
    ):
        return _Point(index, index + 2, "decade", year)
    return None


def _century(words: Words, index: int) -> _Point | None:
    match = _CENTURY.fullmatch(words.lower[index])
    number = int(match[1]) if match else _WORD_ORDINALS.get(words.lower[index], 0)
    at = index + 1
    if words.low(at) in ("and", "to", "-", "–", "or") and words.low(at + 2).startswith("centur"):
        ok = 0 < number < 22 and words.low(at + 3) not in _BC
        return _Point(index, at, "century", (number - 1) * 100 + 1) if ok else None
    at += int(words.low(at) == "-")
    if not 0 < number < 22 or words.low(at) not in ("century", "centuries"):
        return None
    return None if words.low(at + 1) in _BC else _Point(index, at + 1, "century", (number - 1) * 100 + 1)


def _year(words: Words, index: int) -> _Point | None:
    low = words.lower[index]
    after, before = words.low(index + 1), words.low(index - 1)
    if after in _BC:
        return None
    if after in _AD and low.isdecimal() and 0 < len(low) < 5 and int(low):
        return _Point(index, index + 2, "year", int(low))
    if before in ("ad", "a.d.") and low.isdecimal() and 0 < len(low) < 5 and int(low):
        return _Point(index, index + 1, "year", int(low))
    if _YEAR.fullmatch(low):
        return None if _is_counted(words, index) else _Point(index, index + 1, "year", int(low))
    if (
        _SHORT_YEAR.fullmatch(low)
        and before in ("in", "from", "until", "since")
        and (not after.isalpha() or after in STOP_WORDS)
        and low[0] != "0"
    ):
        return (
            None if after in ("%", "of", "°") or after == "-" else _Point(index, index + 1, "year", int(low))
        )
    return None


def _is_counted(words: Words, index: int) -> bool:
    """Return whether a year-like number counts something: "more than 2000", "1998 people", "$ 1999"."""
    before, after = words.low(index - 1), words.low(index + 1)
    if before in _COUNT_CUES or before in ("$", "€", "£", ":", "#", "no.", "usd") or after in ("%", ":"):
        return not (before == "only" and words.low(index - 2) == "in")
    if before not in _YEAR_LEADS and before not in MONTHS and before not in _DASHES:
        counted = after in _UNIT_AFTER or (before.isalpha() and is_plural(after))
        if counted:
            return True
    return words.touches(index) and before not in _DASHES and before not in "('\"“‘["


def _with_years(words: Words, points: list[_Point]) -> list[_Point]:
    """Fill a missing year from the date that follows at once ("March 1 to April 5, 2020")."""
    filled: list[_Point] = []
    for read in reversed(points):
        point = read
        if point.year == 0 and filled and filled[-1].year and filled[-1].first - point.end <= 2:
            joined = words.lower[point.end : filled[-1].first]
            if joined and joined[-1] in ("to", "and", "-", "–", "until", "or", "through"):
                point = _Point(point.first, point.end, point.grain, filled[-1].year, point.month, point.day)
        filled.append(point)
    return filled[::-1]


def _bounds(point: _Point) -> tuple[str, str]:
    year, month = point.year, point.month
    if point.grain == "day":
        day = f"{year:04}-{month:02}-{point.day:02}"
        return day, day
    if point.grain == "month":
        last = (
            (dt.date(year + month // 12, month % 12 + 1, 1) - dt.timedelta(days=1)).day
            if (year, month) < (9999, 12)
            else 31
        )
        return f"{year:04}-{month:02}-01", f"{year:04}-{month:02}-{last:02}"
    years = {"year": 0, "decade": 9, "century": 99}[point.grain]
    return f"{year:04}-01-01", f"{year + years:04}-12-31"


def _mentions(words: Words, points: list[_Point]) -> list[DateMention]:
    found: list[DateMention] = []
    skip = False
    for index, point in enumerate(points):
        if skip:
            skip = False
            continue
        following = points[index + 1] if index + 1 < len(points) else None
        joined = _interval(words, point, following) if following is not None else None
        joined = joined or _short_interval(words, point)
        skip = (
            joined is not None and following is not None and joined.span.end >= words.ends[following.end - 1]
        )
        found.append(joined or _single(words, point))
    return found


def _interval(words: Words, left: _Point, right: _Point) -> DateMention | None:
    between = words.lower[left.end : right.first]
    lead = words.low(left.first - 1)
    lead = words.low(left.first - 2) if lead in ("the", "early", "late", "mid") else lead
    joins = [word for word in between if word not in ("the", "early", "late", "mid", "mid-")]
    if len(joins) != 1:
        return None
    join = joins[0]
    if not (
        join in ("to", "until", "till", "through", "–", "-", "—") or (join == "and" and lead == "between")
    ):
        return None
    first, last = _bounds(left)[0], _bounds(right)[1]
    if first > last or (lead in ("(", ";") and left.grain == right.grain == "day"):
        return None
    start = left.first - 1 if words.low(left.first - 1) in ("from", "between") else left.first
    return DateMention(
        first, last, max(left.grain, right.grain, key=_GRAINS.index), words.span(start, right.end)
    )


def _short_interval(words: Words, point: _Point) -> DateMention | None:
    """Read the rest of "1939-45"."""
    low = words.low(point.end + 1)
    if (
        point.grain != "year"
        or words.low(point.end) not in ("-", "–")
        or len(low) != 2
        or not low.isdecimal()
    ):
        return None
    last = point.year // 100 * 100 + int(low)
    if last <= point.year or words.low(point.end + 2) == "-":
        return None
    return DateMention(
        f"{point.year:04}-01-01", f"{last:04}-12-31", "year", words.span(point.first, point.end + 2)
    )


def _single(words: Words, point: _Point) -> DateMention:
    first, last = _bounds(point)
    at = point.first
    while (
        words.low(at - 1) in ("the", "at", "least", "early", "late", "mid", "-", "year")
        and at > point.first - 3
    ):
        at -= 1
    lead = words.low(at - 1)
    span = words.span(max(at - 1, 0), point.end)
    if lead == "since":
        return DateMention(first, LAST_DAY, point.grain, span)
    if lead in ("until", "till"):
        return DateMention(FIRST_DAY, last, point.grain, span)
    if lead in ("before", "pre", "predating"):
        return DateMention(FIRST_DAY, _next_day(first, -1), point.grain, span)
    if lead in ("after", "post", "following"):
        return DateMention(_next_day(last, 1), LAST_DAY, point.grain, span)
    return DateMention(first, last, point.grain, words.span(point.first, point.end))


def _next_day(day: str, step: int) -> str:
    try:
        return (dt.date.fromisoformat(day) + dt.timedelta(days=step)).isoformat()
    except OverflowError:
        return day
