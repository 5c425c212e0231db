"""The folder of a job: created once, run by one, read whole, closed for good when it has ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.claims import DEFAULT_TENANT
from data.errors import ConflictError, InvalidValueError
from data.jobs.folder import JobFolder, folder_of
from data.jobs.records import JobKind, JobProgress, JobRecord, JobState, new_job_id
from tests.fakes import FakeClock

RECORD = JobRecord("one", JobKind.BACKUP, {"kind": "full"}, created_s=5.0)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(1_000.0)


@pytest.fixture
def folder(tmp_path: Path, clock: FakeClock) -> JobFolder:
    made = JobFolder(tmp_path / "one", clock)
    assert made.create(RECORD)
    return made


def other(folder: JobFolder, clock: FakeClock) -> JobFolder:
    return JobFolder(folder.path, clock)


def test_create_of_a_job_that_is_there_changes_nothing(folder: JobFolder, clock: FakeClock) -> None:
    """Two that make the same job make it once."""
    again = JobRecord("one", JobKind.COMPACT, {}, created_s=6.0)

    assert not other(folder, clock).create(again)
    assert folder.read() == RECORD


def test_begin_while_another_runs_the_job_is_refused(folder: JobFolder, clock: FakeClock) -> None:
    """One process runs a job at a time; when it is gone, another may."""
    folder.begin()
    with pytest.raises(ConflictError, match="another process"):
        other(folder, clock).begin()

    folder.release()

    assert other(folder, clock).begin().attempt == 2


def test_begin_of_a_job_that_has_ended_is_refused(folder: JobFolder, clock: FakeClock) -> None:
    """What has ended is not run again."""
    folder.begin()
    folder.set_state(JobState.SUCCEEDED)
    folder.release()

    with pytest.raises(ConflictError, match="succeeded"):
        other(folder, clock).begin()


def test_begin_of_a_job_created_as_running_is_refused(tmp_path: Path, clock: FakeClock) -> None:
    """Whoever creates a job to run it himself has it from the first moment on."""
    mine = JobFolder(tmp_path / "two", clock)
    assert mine.create(RECORD, running=True)

    with pytest.raises(ConflictError):
        JobFolder(mine.path, clock).begin()
    assert mine.set_state(JobState.SUCCEEDED)


def test_set_state_after_the_end_is_refused(folder: JobFolder, clock: FakeClock) -> None:
    """A late writer cannot bring a job back."""
    folder.begin()
    assert other(folder, clock).set_state(JobState.STOPPING)
    assert other(folder, clock).set_state(JobState.STOPPED)

    assert not folder.set_state(JobState.SUCCEEDED)
    record = folder.read()
    assert record is not None
    assert (record.state, record.ended_s) == (JobState.STOPPED, 1_000.0)


def test_set_state_by_an_overtaken_attempt_is_refused(folder: JobFolder, clock: FakeClock) -> None:
    """Whoever was thought dead and replaced says nothing any more."""
    folder.begin()
    folder.release()
    later = other(folder, clock)
    later.begin()

    assert not folder.set_state(JobState.FAILED, "I am late.")
    assert folder.should_stop()
    assert not later.should_stop()


def test_lost_of_an_earlier_attempt_leaves_the_later_one(folder: JobFolder, clock: FakeClock) -> None:
    """The death of attempt 1, noticed while attempt 2 runs, is none of its business."""
    folder.begin()
    folder.release()
    later = other(folder, clock)
    later.begin()

    assert not folder.lost(1, "Its process died.")


@pytest.mark.parametrize("content", [b"", b'{"id": "on', b"[]", b"\xff\xfe"])
def test_read_of_a_torn_file_tells_nothing(folder: JobFolder, content: bytes) -> None:
    """A file that cannot be read is as good as none."""
    for name in ("job.json", "progress.json", "report.json"):
        (folder.path / name).write_bytes(content)

    assert (folder.read(), folder.read_progress(), folder.read_report()) == (None, None, None)


def test_progress_tells_rate_and_time_left(folder: JobFolder, clock: FakeClock) -> None:
    """Ten a second of a hundred, with fifty done: five seconds more."""
    for step in range(6):
        folder.progress(10 * step, 100, "verifying")
        clock.advance(1.0)

    assert folder.read_progress() == JobProgress(50, 100, 10.0, 5.0, "verifying", 1_005.0)


def test_progress_is_written_a_few_times_a_second_at_most(folder: JobFolder, clock: FakeClock) -> None:
    """A thousand words in a second make five writes; the last word comes with the flush."""
    seen = set()
    for step in range(1_000):
        folder.progress(step, 2_000)
        clock.advance(0.001)
        told = folder.read_progress()
        assert told is not None
        seen.add(told.done)
    folder.flush()

    assert len(seen) <= 5
    last = folder.read_progress()
    assert last is not None
    assert last.done == 999


def test_progress_of_a_new_phase_begins_anew(folder: JobFolder, clock: FakeClock) -> None:
    """The rate of reading says nothing of the rate of writing."""
    folder.progress(0, 10, "reading")
    clock.advance(1.0)
    folder.progress(10, 10, "reading")
    folder.progress(0, 10, "writing")

    told = folder.read_progress()
    assert told is not None
    assert (told.phase, told.rate, told.eta_s) == ("writing", 0.0, None)


def test_rate_after_a_stall_falls_but_slowly(folder: JobFolder, clock: FakeClock) -> None:
    """One slow block does not make hours of minutes: 100 a second, then a second of nothing, is above 80."""
    for step in range(11):
        folder.progress(100 * step, None)
        clock.advance(1.0)
    folder.progress(1_000, None)

    told = folder.read_progress()
    assert told is not None
    assert 80.0 < told.rate < 100.0


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "-a", "a" * 64, "a\n"])
def test_folder_of_an_id_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """An id never leads out of its tenant's folder."""
    with pytest.raises(InvalidValueError):
        folder_of(tmp_path, DEFAULT_TENANT, name)


def test_new_ids_sort_by_the_moment_of_making() -> None:
    """Pages of jobs are walked by id."""
    ids = [new_job_id(second) for second in (0.0, 1_767_225_600.0, 1_767_225_601.0, 1_800_000_000.0)]

    assert ids == sorted(ids)
