"""Dates as people write them, as inclusive ISO days."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis

Read = Callable[[str], Analysis]


@pytest.mark.parametrize(
    ("text", "first", "last", "grain"),
    [
        ("It opened on 2014-05-02.", "2014-05-02", "2014-05-02", "day"),
        ("It opened on May 2, 2014.", "2014-05-02", "2014-05-02", "day"),
        ("It opened on the 2nd of May 2014.", "2014-05-02", "2014-05-02", "day"),
        ("It opened on 25/12/2014.", "2014-12-25", "2014-12-25", "day"),
        ("It opened on 03/04/2014.", "2014-01-01", "2014-12-31", "year"),
        ("It opened in February 2020.", "2020-02-01", "2020-02-29", "month"),
        ("It opened in 1770.", "1770-01-01", "1770-12-31", "year"),
        ("He died in 985 AD.", "0985-01-01", "0985-12-31", "year"),
        ("It was big in the 1990s.", "1990-01-01", "1999-12-31", "decade"),
        ("It was big in the '90s.", "1990-01-01", "1999-12-31", "decade"),
        ("It was big in the nineties.", "1990-01-01", "1999-12-31", "decade"),
        ("It was built in the 19th century.", "1801-01-01", "1900-12-31", "century"),
        ("It was built in the nineteenth century.", "1801-01-01", "1900-12-31", "century"),
        ("He ruled from 1939 to 1945.", "1939-01-01", "1945-12-31", "year"),
        ("He ruled between March 1, 1939 and 1945.", "1939-03-01", "1945-12-31", "year"),
        ("The war (1939–45) was long.", "1939-01-01", "1945-12-31", "year"),
        ("It stayed open from March 1 to April 5, 2020.", "2020-03-01", "2020-04-05", "day"),
        ("He has ruled since 1990.", "1990-01-01", "9999-12-31", "year"),
        ("He ruled until June 1990.", "0001-01-01", "1990-06-30", "month"),
        ("She was born before 1944.", "0001-01-01", "1943-12-31", "year"),
        ("She was born after April 1397.", "1397-05-01", "9999-12-31", "month"),
        ("It closed on 31 February 2015.", "2015-02-01", "2015-02-28", "month"),
    ],
)
def test_date_is_read_as_days_and_grain(read: Read, text: str, first: str, last: str, grain: str) -> None:
    """Each form gives one mention with its bounds."""
    (found,) = read(text).dates
    assert (found.first_day, found.last_day, found.grain) == (first, last, grain)


@pytest.mark.parametrize(
    "text",
    [
        "More than 2000 people came.",
        "It cost $1999.",
        "He may march in line.",
        "Room 1998:12 is free.",
        "It happened in 250 BC.",
    ],
)
def test_number_that_looks_like_a_year_is_no_date(read: Read, text: str) -> None:
    """Counts, prices and verbs are not taken for dates."""
    assert read(text).dates == ()


def test_birth_and_death_in_brackets_are_two_dates(read: Read) -> None:
    """A life is told by its ends, not by one long interval."""
    days = [
        date.first_day
        for date in read("Darius Milhaud (4 September 1892 – 22 June 1974) was a composer.").dates
    ]
    assert days == ["1892-09-04", "1974-06-22"]


def test_date_span_covers_its_words(read: Read) -> None:
    """The span can be quoted."""
    text = "It was open between May 2001 and June 2003 only."
    (found,) = read(text).dates
    assert text[found.span.start : found.span.end] == "between May 2001 and June 2003"
