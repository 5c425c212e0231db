"""Beginning jobs when their schedules are due.

Runs beside the dispatcher, in one place. Invariant: a moment of a schedule begins one job, however often it
is looked at and by how many: the job's id follows from the schedule and the moment, and making it is
exclusive. Moments that passed while nobody looked, or while the job before still ran, are made up for by one.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from data.claims import TenantId
from data.errors import KiteError
from data.jobs.book import JobBook
from data.jobs.erasing import MARKS
from data.jobs.folder import FOLDER
from data.jobs.kinds import read_args
from data.jobs.places import Places
from data.jobs.records import JobRecord, JobState
from data.jobs.schedules import Schedule, last_due
from data.ports import Clock

#: Letters of a schedule's id that end the ids of its jobs.
_ID_CHARS = 20
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Mark:
    """The last moment of a schedule that was seen to, seconds since the epoch, and the job that it began."""

    due_s: float
    job: str


class Timetable:
    """Begins the jobs of schedules. One thread of one process."""

    def __init__(
        self,
        home: Path,
        book: JobBook,
        schedules: Callable[[], Iterable[tuple[TenantId, Schedule]]],
        *,
        places: Places,
        clock: Clock,
    ) -> None:
        self._folder = home / FOLDER / MARKS
        self._book = book
        self._schedules = schedules
        self._places = places
        self._clock = clock

    def look(self) -> None:
        """Begin what is due."""
        for tenant, schedule in self._schedules():
            if not schedule.enabled:
                continue
            try:
                self._look_at(tenant, schedule)
            except KiteError as exc:
                _LOG.warning("The schedule %s of %s is looked at again later: %s", schedule.id, tenant, exc)

    def _look_at(self, tenant: TenantId, schedule: Schedule) -> None:
        due_s = last_due(schedule, self._clock.now_s())
        mark = self._mark(tenant, schedule.id)
        if due_s <= max(schedule.changed_s, mark.due_s if mark else 0.0):
            return
        if mark is not None and self._runs(tenant, mark.job):
            return
        job_id = job_id_of(schedule, due_s)
        self._begin(tenant, schedule, job_id)
        self._note(tenant, schedule.id, Mark(due_s, job_id))

    def _runs(self, tenant: TenantId, job_id: str) -> bool:
        record = self._book.folder(tenant, job_id).read()
        return record is not None and not record.state.is_final

    def _begin(self, tenant: TenantId, schedule: Schedule, job_id: str) -> None:
        """Write a job down; one whose arguments may not be any more fails, so that it is seen."""
        fault, args = "", schedule.args
        try:
            args = read_args(schedule.kind, schedule.args, tenant, self._places)
        except KiteError as exc:
            fault = str(exc)
        folder = self._book.create(_record(tenant, schedule, job_id, args, self._clock.now_s()))
        if fault and folder is not None:
            folder.set_state(JobState.FAILED, fault)

    def _mark(self, tenant: TenantId, schedule_id: str) -> Mark | None:
        with suppress(OSError, msgspec.DecodeError):
            return msgspec.json.decode(self._path(tenant, schedule_id).read_bytes(), type=Mark)
        return None

    def _note(self, tenant: TenantId, schedule_id: str, mark: Mark) -> None:
        path = self._path(tenant, schedule_id)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_suffix(f".{os.getpid()}.part")
        draft.write_bytes(msgspec.json.encode(mark))
        draft.replace(path)

    def _path(self, tenant: TenantId, schedule_id: str) -> Path:
        return self._folder / f"{tenant}.{schedule_id}.json"


def job_id_of(schedule: Schedule, due_s: float) -> str:
    """Return the id of the job that a moment of a schedule begins."""
    return f"{datetime.fromtimestamp(due_s, UTC):%Y%m%d-%H%M%S}-{schedule.id[:_ID_CHARS]}"


def _record(
    tenant: TenantId, schedule: Schedule, job_id: str, args: dict[str, Any], now_s: float
) -> JobRecord:
    return JobRecord(
        id=job_id,
        kind=schedule.kind,
        args=args,
        tenant=tenant,
        actor=f"schedule:{schedule.id}",
        created_s=round(now_s, 6),
        schedule=schedule.id,
        is_managed=True,
    )
