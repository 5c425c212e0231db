"""What may be asked of schedules and who may ask: the service behind ``/schedules``.

Made by the composition root, called by the routes. No HTTP, no Ray. Invariant: a schedule is kept only with
arguments that its maker could submit as a job then; it is a row of the ledger before it is answered.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from data.access.principal import Principal
from data.claims import TenantId
from data.errors import NotFoundError, QuotaError
from data.jobs.records import JobKind
from data.jobs.schedules import MAX_SCHEDULES, Schedule, delete_schedule, put_schedule
from data.knowledge import Change
from data.ports import Clock
from deployments.job_desk import JobDesk, require_permitted

#: Writes changes to the ledger; durable and visible on return.
Write = Callable[[Sequence[Change]], object]


class Schedules(Protocol):
    """The schedules there are."""

    def of(self, tenant: TenantId) -> list[Schedule]:
        """Return a tenant's schedules, oldest first."""
        ...


@dataclass(frozen=True, slots=True)
class ScheduleWish:
    """What a caller wants of a schedule; see ``data.jobs.schedules.Schedule``."""

    kind: JobKind
    cron: str
    args: Mapping[str, Any] = field(default_factory=dict)
    timezone: str = "UTC"
    name: str = ""
    enabled: bool = True


class ScheduleDesk:
    """Makes, shows, changes and removes schedules. Blocks: call it from threads. Any thread."""

    def __init__(self, schedules: Schedules, write: Write, *, jobs: JobDesk, clock: Clock) -> None:
        self._schedules = schedules
        self._write = write
        self._jobs = jobs
        self._clock = clock

    def create(self, who: Principal, wish: ScheduleWish) -> Schedule:
        """Keep a new schedule and return it.

        Raises:
            InvalidValueError: it is none, or its arguments do not fit. ForbiddenError: not for this caller.
            QuotaError: the tenant has as many as it may.
        """
        there = len(self._schedules.of(who.tenant))
        if there >= MAX_SCHEDULES:
            raise QuotaError(f"{who.tenant} has {there} schedules, as many as may be: remove one first.")
        return self._put(who, wish, Schedule(uuid.uuid4().hex, wish.kind, created_s=self._now_s()))

    def change(self, who: Principal, schedule_id: str, wish: ScheduleWish) -> Schedule:
        """Put a schedule in place of one and return it; what was due before is not made up for.

        Raises:
            NotFoundError: the tenant has no such schedule. And as :meth:`create`.
        """
        before = self.find(who.tenant, schedule_id)
        require_permitted(who, before.kind)
        return self._put(who, wish, before)

    def find(self, tenant: TenantId, schedule_id: str) -> Schedule:
        """Return a tenant's schedule.

        Raises:
            NotFoundError: it has none of that id.
        """
        for schedule in self._schedules.of(tenant):
            if schedule.id == schedule_id:
                return schedule
        raise NotFoundError(f"There is no schedule {schedule_id[:80]!r} of yours here.")

    def of(self, tenant: TenantId) -> list[Schedule]:
        """Return a tenant's schedules, oldest first."""
        return self._schedules.of(tenant)

    def remove(self, who: Principal, schedule_id: str) -> Schedule:
        """Remove a schedule and return it; the jobs that it began stay.

        Raises:
            NotFoundError: the tenant has no such schedule. ForbiddenError: not for this caller.
        """
        before = self.find(who.tenant, schedule_id)
        require_permitted(who, before.kind)
        self._write([delete_schedule(before.id, who.tenant, actor=who.subject)])
        return before

    def _put(self, who: Principal, wish: ScheduleWish, before: Schedule) -> Schedule:
        schedule = replace(
            before,
            kind=wish.kind,
            args=self._jobs.checked(who, wish.kind, wish.args),
            cron=wish.cron,
            timezone=wish.timezone,
            name=wish.name,
            enabled=wish.enabled,
            changed_s=self._now_s(),
            actor=who.subject,
        )
        self._write([put_schedule(schedule, who.tenant, actor=who.subject)])
        return schedule

    def _now_s(self) -> float:
        return round(self._clock.now_s(), 6)
