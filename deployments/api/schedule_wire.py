"""Bodies and answers of schedules. Called by their routes and by the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct, field
from typing_extensions import TypedDict

from data.jobs.records import JobKind
from data.jobs.schedules import MAX_CRON_CHARS, MAX_NAME_CHARS, Schedule, next_due
from deployments.api.job_wire import moment
from deployments.schedule_desk import ScheduleWish


class ScheduleRequest(Struct, forbid_unknown_fields=True):
    """Submit a job of ``kind`` with ``args`` at the times of ``cron`` by the clock of ``timezone``.

    Five fields: minute hour day month weekday. A job of it that still runs holds the next one up.
    """

    kind: JobKind
    cron: Annotated[str, Meta(min_length=9, max_length=MAX_CRON_CHARS)]
    args: Annotated[dict[str, Any], Meta(max_length=100)] = field(default_factory=dict)
    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    name: Annotated[str, Meta(max_length=MAX_NAME_CHARS)] = ""
    enabled: bool = True


class ScheduleAnswer(TypedDict):
    """A schedule. ``next_at`` is null while it is not enabled."""

    id: str
    name: str
    kind: JobKind
    args: dict[str, Any]
    cron: str
    timezone: str
    enabled: bool
    created_at: str
    changed_at: str
    changed_by: str
    next_at: str | None


def wish_of(asked: ScheduleRequest) -> ScheduleWish:
    """Return what a body asks for."""
    return ScheduleWish(asked.kind, asked.cron, asked.args, asked.timezone, asked.name, asked.enabled)


def schedule_answer(schedule: Schedule, now_s: float) -> dict[str, Any]:
    """Return a schedule as it is told."""
    return {
        "id": schedule.id,
        "name": schedule.name,
        "kind": schedule.kind,
        "args": schedule.args,
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "created_at": moment(schedule.created_s),
        "changed_at": moment(schedule.changed_s),
        "changed_by": schedule.actor,
        "next_at": moment(next_due(schedule, now_s)) if schedule.enabled else None,
    }
