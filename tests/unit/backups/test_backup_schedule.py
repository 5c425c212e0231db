"""A cron expression says when a backup is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from data.backups.schedule import due, next_after
from data.errors import InvalidValueError

NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 3 * * *", datetime(2026, 3, 15, 3, tzinfo=UTC)),
        ("*/15 * * * *", datetime(2026, 3, 14, 12, 15, tzinfo=UTC)),
        ("30 2 * * sun", datetime(2026, 3, 15, 2, 30, tzinfo=UTC)),
        ("0 0 1 * *", datetime(2026, 4, 1, tzinfo=UTC)),
        ("0 0 29 2 *", datetime(2028, 2, 29, tzinfo=UTC)),
    ],
)
def test_next_moment_of_a_schedule(expression: str, expected: datetime) -> None:
    """Minutes, steps, weekdays, months and leap days."""
    assert next_after(expression, NOON) == expected


@pytest.mark.parametrize(
    ("last", "expected"),
    [(timedelta(hours=8), False), (timedelta(hours=10), True), (timedelta(days=3), True), (None, True)],
)
def test_due_once_a_moment_has_passed(last: timedelta | None, expected: bool) -> None:
    """At noon, with a backup at 3: due unless one was taken since; due when there never was one."""
    assert due("0 3 * * *", NOON, None if last is None else NOON - last) is expected


def test_schedule_counts_in_utc_whatever_the_zone() -> None:
    """The same instant in another zone has the same next moment."""
    elsewhere = NOON.astimezone(timezone(timedelta(hours=9)))

    assert next_after("0 3 * * *", elsewhere) == next_after("0 3 * * *", NOON)


@pytest.mark.parametrize("expression", ["", "daily", "0 3 * *", "61 * * * *", "0 3 * * * *", "0 0 31 2 *"])
def test_schedule_that_is_none_is_refused(expression: str) -> None:
    """One sentence that says what to write, or that it never comes."""
    with pytest.raises(InvalidValueError, match=r"schedule"):
        next_after(expression, NOON)
