"""Schedules of jobs: what is kept of one, its changes in the ledger, and when it is due. Pure.

Called by the timetable beside the keeper, by the API, and by ``data.changes``, which lists the readers with
all others. Invariant: a moment of a schedule is one instant, also on days on which clocks are set:
a time that such a day leaves out is counted an hour later, one that it has twice is its first.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from data.claims import TenantId
from data.errors import CorruptDataError, InvalidValueError
from data.jobs.records import JobKind, check_job_id
from data.knowledge import Change
from data.redaction import content_of

PUT_SCHEDULE, DELETE_SCHEDULE = "schedule.put", "schedule.delete"
#: Longest expression and name, characters, and most schedules of a tenant.
MAX_CRON_CHARS, MAX_NAME_CHARS, MAX_SCHEDULES = 200, 200, 1_000
#: Steps back from a moment that lies ahead because of a clock that is set.
_STEPS = 64


@dataclass(frozen=True, slots=True)
class Schedule:
    """A job of ``kind`` with ``args`` at the times of ``cron``, five fields by the clock of ``timezone``.

    ``changed_s`` is when it was last written, seconds since the epoch: nothing before it is due.
    ``actor`` wrote it.
    """

    id: str
    kind: JobKind
    args: dict[str, Any] = field(default_factory=dict)
    cron: str = ""
    timezone: str = "UTC"
    name: str = ""
    enabled: bool = True
    created_s: float = 0.0
    changed_s: float = 0.0
    actor: str = "system"


def next_due(schedule: Schedule, after_s: float) -> float:
    """Return the first moment of a schedule after a moment, seconds since the epoch.

    Raises:
        InvalidValueError: the expression or the zone is none, or the time never comes.
    """
    zone = _zone(schedule.timezone)
    walk = _walk(schedule.cron, _local(after_s, zone), forward=True)
    found = _instant(walk(), zone)
    for _ in range(_STEPS):
        if found > after_s:
            break
        found = _instant(walk(), zone)
    return found


def last_due(schedule: Schedule, now_s: float) -> float:
    """Return the last moment of a schedule that is not after now, seconds since the epoch.

    Raises:
        InvalidValueError: the expression or the zone is none, or the time never comes.
    """
    zone = _zone(schedule.timezone)
    walk = _walk(schedule.cron, _local(now_s, zone) + timedelta(seconds=1), forward=False)
    found = _instant(walk(), zone)
    for _ in range(_STEPS):
        if found <= now_s:
            break
        found = _instant(walk(), zone)
    return found


def check_schedule(schedule: Schedule) -> None:
    """Raise ``InvalidValueError`` for a schedule that cannot be kept."""
    check_job_id(schedule.id)
    if len(schedule.name) > MAX_NAME_CHARS or not schedule.name.isprintable():
        raise InvalidValueError(f"A schedule's name has at most {MAX_NAME_CHARS} printable characters.")
    next_due(schedule, schedule.changed_s)


def check_value(value: object, key: str) -> None:
    """Raise ``InvalidValueError`` for what a payload of the change ``key`` held and cannot be kept."""
    if isinstance(value, Schedule):
        check_schedule(value)
        if value.id != key:
            raise InvalidValueError(f"The change {key!r} carries another id, {value.id!r}.")


def put_schedule(schedule: Schedule, tenant: TenantId, *, actor: str = "system") -> Change:
    """Store a schedule; the last one of an id counts.

    Raises:
        InvalidValueError: no such schedule can be.
    """
    check_schedule(schedule)
    payload = msgspec.json.encode(schedule, order="sorted")
    return Change(PUT_SCHEDULE, schedule.id, payload, tenant, actor)


def delete_schedule(schedule_id: str, tenant: TenantId, *, actor: str = "system") -> Change:
    """Remove a schedule; jobs that it began stay."""
    return Change(DELETE_SCHEDULE, schedule_id, b"{}", tenant, actor)


def read_schedule(payload: bytes) -> Schedule:
    """Return the schedule of a ``schedule.put`` payload."""
    try:
        return msgspec.json.decode(content_of(payload), type=Schedule)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CorruptDataError(f"A payload of a schedule cannot be read: {exc}.") from exc


#: The kinds of change and the readers of their payloads.
READERS: dict[str, Callable[[bytes], object] | None] = {PUT_SCHEDULE: read_schedule, DELETE_SCHEDULE: None}


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):
        raise InvalidValueError(
            f"There is no time zone {name[:80]!r}: write one such as UTC or Europe/Paris."
        ) from None


def _local(at_s: float, zone: ZoneInfo) -> datetime:
    return datetime.fromtimestamp(at_s, UTC).astimezone(zone).replace(tzinfo=None, microsecond=0)


def _instant(local: datetime, zone: ZoneInfo) -> float:
    return local.replace(tzinfo=zone).timestamp()


def _walk(cron: str, start: datetime, *, forward: bool) -> Callable[[], datetime]:
    """Return what steps through the times of an expression from a start, which is left out."""
    from croniter import CroniterBadDateError, CroniterError, croniter

    if len(cron) > MAX_CRON_CHARS or len(cron.split()) != 5:
        raise InvalidValueError(f"{cron[:80]!r} is no schedule: write minute hour day month weekday.")
    try:
        walk = croniter(cron, start)
    except (CroniterError, ValueError, TypeError, KeyError) as exc:
        raise InvalidValueError(f"{cron[:80]!r} is no schedule ({str(exc)[:200]}): try '0 3 * * *'.") from exc

    def step() -> datetime:
        try:
            found: datetime = walk.get_next(datetime) if forward else walk.get_prev(datetime)
        except CroniterBadDateError as exc:
            raise InvalidValueError(f"The schedule {cron[:80]!r} never comes: look at its day.") from exc
        return found

    return step
