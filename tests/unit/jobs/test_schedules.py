"""Schedules: when they are due on any clock, that a moment begins one job, what is made up for."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from data.claims import DEFAULT_TENANT, TenantId
from data.errors import InvalidValueError
from data.jobs.book import JobBook
from data.jobs.places import Places
from data.jobs.records import JobKind, JobRecord, JobState
from data.jobs.schedule_book import ScheduleBook
from data.jobs.schedules import Schedule, check_schedule, delete_schedule, last_due, next_due, put_schedule
from data.jobs.timetable import Timetable
from data.ledger import Ledger
from tests.fakes import FakeClock

DAY_S = 86_400.0


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def shown(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat(timespec="minutes").removesuffix("+00:00")


def schedule(cron: str, timezone: str = "UTC", **fields: object) -> Schedule:
    told: dict[str, object] = {"args": {"all": True}, **fields}
    return Schedule("nightly", JobKind.REBUILD_INDEX, cron=cron, timezone=timezone, **told)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("cron", "timezone", "after", "due"),
    [
        ("0 3 * * *", "UTC", "2026-01-01T03:00", "2026-01-02T03:00"),
        ("0 3 * * *", "Europe/Paris", "2026-01-01T00:00", "2026-01-01T02:00"),
        ("0 3 * * *", "Asia/Kolkata", "2026-01-01T00:00", "2026-01-01T21:30"),
        ("*/15 9-17 * * mon-fri", "UTC", "2026-01-02T17:45", "2026-01-05T09:00"),
        ("0 0 29 2 *", "UTC", "2026-01-01T00:00", "2028-02-29T00:00"),
        # Clocks go forward: 02:30 is not there that day, and is counted an hour later.
        ("30 2 * * *", "Europe/Berlin", "2026-03-28T12:00", "2026-03-29T01:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-03-29T01:30", "2026-03-30T00:30"),
        # Clocks go back: 02:30 is there twice, and is counted once.
        ("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00", "2026-10-25T00:30"),
        ("30 2 * * *", "Europe/Berlin", "2026-10-25T00:30", "2026-10-26T01:30"),
    ],
)
def test_next_due_counts_by_the_clock_of_the_zone(cron: str, timezone: str, after: str, due: str) -> None:
    """Five fields in local time, one instant for each, also when clocks are set."""
    assert shown(next_due(schedule(cron, timezone), at(after))) == due


@pytest.mark.parametrize(
    ("timezone", "day"),
    [
        ("UTC", "2026-01-01"),
        ("Europe/Berlin", "2026-03-28"),
        ("Europe/Berlin", "2026-10-24"),
        ("America/New_York", "2026-03-08"),
        ("America/New_York", "2026-11-01"),
        ("Australia/Lord_Howe", "2026-04-04"),
        ("Australia/Lord_Howe", "2026-10-03"),
    ],
)
@pytest.mark.parametrize("cron", ["*/20 * * * *", "30 2 * * *", "0 0 1 * *", "15 1,3 * * sun"])
def test_last_due_is_what_next_due_came_to(cron: str, timezone: str, day: str) -> None:
    """Walked on from a day on which clocks are set, the two agree: no moment is missed, none is twice."""
    one, now_s = schedule(cron, timezone), at(f"{day}T10:30")
    for _ in range(60):
        following = next_due(one, now_s)
        assert following > now_s
        assert last_due(one, following) == following
        assert last_due(one, following - 1.0) <= now_s
        now_s = following


@pytest.mark.parametrize("cron", ["", "* * * *", "0 0 0 * * *", "61 * * * *", "a b c d e", "0 0 30 2 *"])
def test_schedule_that_is_none_is_refused(cron: str) -> None:
    """In one sentence, before it is kept."""
    with pytest.raises(InvalidValueError, match="schedule"):
        check_schedule(schedule(cron))


@pytest.mark.parametrize("timezone", ["", "Nowhere/City", "../../etc/passwd", "/etc/localtime", "UTC+1:00"])
def test_schedule_of_an_unknown_zone_is_refused(timezone: str) -> None:
    """A zone is a name of the database and never a path."""
    with pytest.raises(InvalidValueError, match="time zone"):
        check_schedule(schedule("0 3 * * *", timezone))


class Desk:
    """A home whose timetable is looked at when a test says so."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.clock = FakeClock(at("2026-01-01T12:00"))
        self.book = JobBook(home, self.clock)
        self.schedules: list[tuple[TenantId, Schedule]] = []

    def keep(self, one: Schedule, tenant: TenantId = DEFAULT_TENANT) -> None:
        self.schedules.append((tenant, one))

    def look(self, after_s: float = 0.0) -> None:
        """As another process would, each time."""
        self.clock.advance(after_s)
        places = Places(("{home}/files/{tenant}",), self.home)
        Timetable(self.home, self.book, lambda: self.schedules, places=places, clock=self.clock).look()

    def jobs(self, tenant: TenantId = DEFAULT_TENANT) -> list[JobRecord]:
        return self.book.page(tenant)[::-1]

    def end_all(self) -> None:
        for record in self.jobs():
            self.book.folder(record.tenant, record.id).set_state(JobState.SUCCEEDED)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_schedule_that_is_due_begins_one_job(desk: Desk) -> None:
    """However many look, however often; the job says whose it is."""
    desk.keep(schedule("0 3 * * *", changed_s=desk.clock.now_s()))
    desk.look()
    assert desk.jobs() == []

    desk.look(DAY_S)
    desk.look()
    desk.look(60.0)

    (record,) = desk.jobs()
    assert (record.id, record.schedule, record.actor) == (
        "20260102-030000-nightly",
        "nightly",
        "schedule:nightly",
    )
    assert (record.is_managed, record.args) == (True, {"all": True})


def test_job_of_a_moment_is_made_once_though_the_mark_was_lost(desk: Desk) -> None:
    """A crash between the job and the note of it: the job's id is the same, so it is not made again."""
    desk.keep(schedule("0 3 * * *", changed_s=desk.clock.now_s()))
    desk.look(DAY_S)
    for mark in (desk.home / "jobs" / ".schedules").iterdir():
        mark.unlink()

    desk.look()

    assert len(desk.jobs()) == 1


def test_missed_moments_are_made_up_for_by_one(desk: Desk) -> None:
    """Down for a week, a daily job is begun once; then again at its next time."""
    desk.keep(schedule("0 3 * * *", changed_s=desk.clock.now_s()))
    desk.look(7 * DAY_S)
    assert [record.id for record in desk.jobs()] == ["20260108-030000-nightly"]
    desk.end_all()

    desk.look(DAY_S)

    assert [record.id[:8] for record in desk.jobs()] == ["20260108", "20260109"]


def test_job_that_still_runs_holds_the_next_one_up(desk: Desk) -> None:
    """No second one beside it; when it has ended, one makes up for those that were due meanwhile."""
    desk.keep(schedule("0 * * * *", changed_s=desk.clock.now_s()))
    desk.look(3_600.0)
    desk.look(3_600.0)
    desk.look(3_600.0)
    assert len(desk.jobs()) == 1
    desk.end_all()

    desk.look()

    assert [record.id[9:13] for record in desk.jobs()] == ["1300", "1500"]


def test_changed_schedule_is_not_due_for_what_was_before(desk: Desk) -> None:
    """A time of this morning that is set at noon comes tomorrow; a schedule that is off never comes."""
    desk.keep(schedule("0 11 * * *", changed_s=desk.clock.now_s()))
    desk.keep(schedule("0 * * * *", enabled=False), TenantId("off"))
    desk.look(3_600.0)
    assert desk.jobs() == []

    desk.look(DAY_S)

    assert [record.id[:13] for record in desk.jobs()] == ["20260102-1100"]
    assert desk.jobs(TenantId("off")) == []


def test_schedule_whose_path_is_not_allowed_any_more_fails_visibly(desk: Desk) -> None:
    """The job is there, has failed, and says why."""
    gone = Schedule(
        "s", JobKind.IMPORT_KNOWLEDGE, {"file": "/elsewhere/f.jsonl"}, cron="0 * * * *", changed_s=0.0
    )
    desk.keep(gone)

    desk.look()

    (record,) = desk.jobs()
    assert record.state is JobState.FAILED
    assert "no place that jobs of default may use" in record.reason


def test_book_follows_the_ledger(tmp_path: Path) -> None:
    """Written, changed and removed under a tenant; a damaged or other row is none of its business."""
    path = tmp_path / "ledger.sqlite"
    book = ScheduleBook(path)
    assert book.all() == []
    ledger = Ledger(path, FakeClock())
    first, second = schedule("0 3 * * *"), schedule("0 4 * * *")
    a, b = TenantId("a"), TenantId("b")
    ledger.append([put_schedule(first, a)])
    ledger.append([put_schedule(first, b)])
    assert book.all() == [(a, first), (b, first)]

    ledger.append([put_schedule(second, a)])
    ledger.append([delete_schedule("nightly", b)])

    assert (book.of(a), book.of(b)) == ([second], [])
    assert ledger.knowledge_seq() == 0
    ledger.close()
