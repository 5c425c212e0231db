"""When a backup is due, by a cron expression. Pure; called by ``tasks.backup create --schedule``.

Expressions have the five fields of cron and count in UTC.
"""

from __future__ import annotations

from datetime import datetime

from data.errors import InvalidValueError


def next_after(expression: str, moment: datetime) -> datetime:
    """Return the first moment of a schedule after an aware instant, in UTC.

    Raises:
        InvalidValueError: not a cron expression of five fields, or one that never comes.
    """
    from datetime import UTC

    from croniter import CroniterBadDateError, CroniterError, croniter

    if len(expression.split()) != 5:
        raise InvalidValueError(_not_cron(expression, "it does not have five fields"))
    try:
        found = croniter(expression, moment.astimezone(UTC)).get_next(datetime)
    except CroniterBadDateError as exc:
        raise InvalidValueError(
            f"The schedule {expression!r} never comes: look at its day and month."
        ) from exc
    except (CroniterError, ValueError) as exc:
        raise InvalidValueError(_not_cron(expression, str(exc))) from exc
    return datetime.fromtimestamp(found.timestamp(), UTC)


def due(expression: str, now: datetime, last: datetime | None) -> bool:
    """Return whether a moment of the schedule has passed since ``last`` (``None``: never run, so it is due).

    Raises:
        InvalidValueError: not a cron expression of five fields, or one that never comes.
    """
    following = next_after(expression, last if last is not None else now)
    return last is None or following <= now


def _not_cron(expression: str, why: str) -> str:
    return (
        f"{expression!r} is not a schedule ({why}): write minute hour day month weekday, such as '0 3 * * *'."
    )
