"""The dispatcher: a bound on what runs, tenants in turn, deaths found and paid for, stops carried out."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.claims import DEFAULT_TENANT, TenantId
from data.errors import ConflictError
from data.jobs.launcher import RunState
from data.jobs.records import JobState
from tests.unit.jobs.job_house import JobHouse


def test_look_starts_as_many_jobs_as_may_run(tmp_path: Path) -> None:
    """Two places, three jobs: the third waits for an end."""
    house = JobHouse(tmp_path, concurrent=2)
    for name in ("a", "b", "c"):
        house.submit(name)
    house.look(3)
    assert house.launcher.started == ["kite-default-a-1", "kite-default-b-1"]

    house.end(house.begin("a"))
    house.look()

    assert house.launcher.started[2:] == ["kite-default-c-1"]


def test_look_gives_tenants_turns(house: JobHouse) -> None:
    """Whoever sends a hundred jobs first does not hold up who sends one."""
    for name in ("a1", "a2", "a3"):
        house.submit(name, "a")
    house.submit("b1", "b")

    for _ in range(4):
        house.look()
        tenant, name = house.launcher.started[-1].split("-")[1:3]
        house.end(house.begin(name, tenant), tenant=tenant)
        house.clock.advance(1)

    assert house.launcher.started == ["kite-a-a1-1", "kite-b-b1-1", "kite-a-a2-1", "kite-a-a3-1"]


def test_look_runs_a_job_again_whose_driver_died(house: JobHouse) -> None:
    """The death is found by the lock that went with the process, and the job begins its next attempt."""
    house.submit("a")
    house.look()
    house.die(house.begin("a"))
    house.look()
    assert house.state("a") is JobState.INTERRUPTED

    house.look(2, after_s=1.0)

    assert house.launcher.started == ["kite-default-a-1", "kite-default-a-2"]
    house.end(house.begin("a"))
    assert (house.record("a").attempt, house.state("a")) == (2, JobState.SUCCEEDED)


def test_look_waits_longer_after_each_death(house: JobHouse) -> None:
    """A job that dies at once does not take the machine: one second, then two."""
    house.submit("a")
    house.look()
    house.die(house.begin("a"))
    house.look(4)
    assert len(house.launcher.started) == 1

    house.look(after_s=1.0)
    house.die(house.begin("a"))
    house.look(3)
    house.look(after_s=1.0)
    assert len(house.launcher.started) == 2

    house.look(after_s=1.0)
    assert len(house.launcher.started) == 3


def test_look_gives_a_job_up_after_its_last_attempt(house: JobHouse) -> None:
    """Three deaths are enough; the reason says how the last one was."""
    house.submit("a")
    for _ in range(3):
        house.look(3, after_s=100.0)
        house.die(house.begin("a"))
    house.look(3, after_s=100.0)

    record = house.record("a")
    assert (record.state, record.attempt) == (JobState.FAILED, 3)
    assert record.reason == "Given up after 3 attempts. The last one: Its process ended with -9."
    assert len(house.launcher.started) == 3


def test_look_counts_a_driver_that_died_before_it_began(house: JobHouse) -> None:
    """A driver that cannot even start is not started for ever."""
    house.submit("a")
    for attempt in (1, 2, 3):
        house.look(3, after_s=100.0)
        house.launcher.states[f"kite-default-a-{attempt}"] = RunState.ENDED
        house.look(after_s=100.0)
    house.look(2)

    assert house.state("a") is JobState.FAILED
    assert len(house.launcher.started) == 3


def test_look_after_a_new_start_of_the_cluster_goes_on(house: JobHouse) -> None:
    """No submission is known then: what ran is run again, what was only submitted loses nothing."""
    house.rules = JobHouse(house.home, concurrent=2, attempts=3).rules
    house.restart()
    house.submit("ran")
    house.submit("waited")
    house.look()
    house.begin("ran").release()
    house.launcher.states.clear()
    house.launcher.started.clear()
    house.restart()

    house.look(3, after_s=1.0)

    assert sorted(house.launcher.started) == ["kite-default-ran-2", "kite-default-waited-1"]


def test_look_by_another_dispatcher_starts_nothing_twice(house: JobHouse) -> None:
    """A keeper that died after it had submitted a job finds it submitted."""
    house.submit("a")
    house.look()
    house.restart()

    house.look(3)

    assert house.launcher.started == ["kite-default-a-1"]


def test_look_while_the_job_server_is_away_loses_no_job(house: JobHouse) -> None:
    """What cannot be started or asked about now stands as it stood, and is done when the server is back."""
    house.submit("a")
    house.launcher.is_away = True
    house.look(3)
    assert house.state("a") is JobState.QUEUED

    house.launcher.is_away = False
    house.look(2)

    assert house.launcher.started == ["kite-default-a-1"]


def test_stop_of_a_waiting_job_ends_it_at_once(house: JobHouse) -> None:
    """Nobody runs it, so nobody is waited for; and it never is run."""
    house.submit("a")
    house.book.stop(DEFAULT_TENANT, "a")
    house.look(2)

    assert house.state("a") is JobState.STOPPED
    assert house.launcher.started == []


def test_stop_of_a_submitted_job_keeps_its_driver_from_beginning(house: JobHouse) -> None:
    """Between submission and beginning a job can be stopped, too."""
    house.submit("a")
    house.look()
    house.book.stop(DEFAULT_TENANT, "a")

    with pytest.raises(ConflictError, match="stopped"):
        house.begin("a")


def test_stop_of_a_running_job_waits_for_its_driver_and_then_ends_it(house: JobHouse) -> None:
    """The driver is asked first; Ray ends it when it has not ended by itself in time."""
    house.submit("a")
    house.look()
    driver = house.begin("a")
    house.book.stop(DEFAULT_TENANT, "a")
    assert driver.should_stop()
    house.look(2)
    assert (house.state("a"), house.launcher.stopped) == (JobState.STOPPING, [])

    house.look(after_s=10.0)
    assert house.launcher.stopped == ["kite-default-a-1"]
    house.die(driver)
    house.look()

    assert house.state("a") is JobState.STOPPED


def test_stop_of_a_job_that_has_ended_leaves_it(house: JobHouse) -> None:
    """What has succeeded has succeeded."""
    house.submit("a")
    house.look()
    house.end(house.begin("a"))

    house.book.stop(DEFAULT_TENANT, "a")

    assert house.state("a") is JobState.SUCCEEDED


def test_look_leaves_jobs_alone_that_others_began(house: JobHouse) -> None:
    """A job begun by hand takes no place and is not run by the service when it died; that is told."""
    house.submit("hand", is_managed=False)
    house.submit("mine")
    driver = house.begin("hand")
    house.look()
    assert house.launcher.started == ["kite-default-mine-1"]

    driver.release()
    house.look(3, after_s=100.0)

    assert house.state("hand") is JobState.INTERRUPTED
    assert house.launcher.started == ["kite-default-mine-1"]


def test_look_removes_old_jobs_and_all_but_the_last(tmp_path: Path) -> None:
    """Kept by age and by number; what has not ended stays, however old."""
    house = JobHouse(tmp_path, concurrent=1, keep=2, keep_s=1_000.0)
    for name in ("a", "b", "c"):
        house.submit(name)
        house.look()
        house.end(house.begin(name))
    house.submit("open", "other")
    house.look(after_s=100.0)
    assert [record.id for record in house.book.page(DEFAULT_TENANT)] == ["c", "b"]

    house.look(after_s=1_000.0)

    assert house.book.page(DEFAULT_TENANT) == []
    assert [record.id for record in house.book.page(TenantId("other"))] == ["open"]
    assert not list((tmp_path / "jobs").glob(".removed/*"))


def test_jobs_of_a_suspended_tenant_wait_until_it_is_active(house: JobHouse) -> None:
    """They hold nobody up, and are begun when the tenant is back."""
    house.submit("a", "away")
    house.submit("b")
    house.suspended.add("away")
    house.look(2)
    assert house.launcher.started == ["kite-default-b-1"]
    house.end(house.begin("b"))

    house.suspended.clear()
    house.look()

    assert house.launcher.started[1:] == ["kite-away-a-1"]


def test_book_sees_every_change_at_once(house: JobHouse) -> None:
    """What was read before is not read again unless it is another file: each change makes one."""
    folder = house.submit("a")
    seen = []
    for change in (folder.begin, folder.release, lambda: folder.lost(1, "Died."), folder.queue_again):
        change()
        seen.append(house.book.open_jobs()[0].state)

    assert seen == [JobState.RUNNING, JobState.RUNNING, JobState.INTERRUPTED, JobState.QUEUED]


def test_look_removes_a_dead_job_that_was_begun_by_hand(tmp_path: Path) -> None:
    """Nobody runs it again, so it goes with the old ones; one that the service runs again stays."""
    house = JobHouse(tmp_path, concurrent=1, keep_s=1_000.0)
    house.submit("hand", is_managed=False)
    house.begin("hand").release()
    house.submit("mine")
    house.look(2)
    assert house.state("hand") is JobState.INTERRUPTED

    house.look(after_s=2_000.0)

    assert [record.id for record in house.book.page(DEFAULT_TENANT)] == ["mine"]


def test_page_walks_the_newest_first(house: JobHouse) -> None:
    """Pages join without a gap, narrowed or not."""
    for name in ("a", "b", "c", "d"):
        house.submit(name)
    house.book.stop(DEFAULT_TENANT, "b")

    first = house.book.page(DEFAULT_TENANT, limit=2)
    rest = house.book.page(DEFAULT_TENANT, before=first[-1].id)

    assert [record.id for record in (*first, *rest)] == ["d", "c", "b", "a"]
    assert [one.id for one in house.book.page(DEFAULT_TENANT, states=[JobState.STOPPED])] == ["b"]
