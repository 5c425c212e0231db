"""Running a job: however its block is left, the folder says how it stands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from data.errors import InvalidValueError
from data.jobs.folder import JOB_VARIABLE, JobFolder
from data.jobs.records import JobKind, JobRecord, JobState
from data.jobs.running import JobEnded, open_job, running_job, submission_of, tell
from tasks import run_job

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def folder(tmp_path: Path) -> JobFolder:
    made = JobFolder(tmp_path / "jobs" / "default" / "one")
    assert made.create(JobRecord("one", JobKind.COMPACT, {"older_than": "30d"}))
    return made


def state_of(folder: JobFolder) -> tuple[JobState, str]:
    record = JobFolder(folder.path).read()
    assert record is not None
    return record.state, record.reason


def leave(error: BaseException | None) -> None:
    if error is not None:
        raise error


@pytest.mark.parametrize(
    ("error", "state", "reason"),
    [
        (None, JobState.SUCCEEDED, ""),
        (SystemExit(0), JobState.SUCCEEDED, ""),
        (SystemExit(3), JobState.FAILED, "It ended with 3: see the job's log."),
        (InvalidValueError("The file is empty."), JobState.FAILED, "The file is empty."),
        (KeyError("x"), JobState.FAILED, "KeyError: 'x'"),
        (KeyboardInterrupt(), JobState.STOPPED, "Stopped on demand."),
    ],
)
def test_job_stands_as_its_block_was_left(
    folder: JobFolder, error: BaseException | None, state: JobState, reason: str
) -> None:
    """Errors go on after they were noted."""
    wanted = type(error) if error else InvalidValueError
    try:
        with running_job(folder):
            leave(error)
    except wanted:
        assert error is not None

    assert state_of(folder) == (state, reason)
    assert not JobFolder(folder.path).is_running()


def test_job_that_is_told_to_end_is_interrupted(folder: JobFolder) -> None:
    """SIGTERM without anybody's word that it is to stop: it will be run again."""

    def ends() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    with pytest.raises(JobEnded), running_job(folder):
        ends()

    assert state_of(folder) == (JobState.INTERRUPTED, "Its process was asked to end.")


def test_job_that_is_stopped_ends_by_itself(folder: JobFolder) -> None:
    """Its process looks, and leaves the block wherever it is."""

    def waits() -> None:
        JobFolder(folder.path).set_state(JobState.STOPPING)
        signal.pause()

    with pytest.raises(JobEnded), running_job(folder):
        waits()

    assert state_of(folder) == (JobState.STOPPED, "Stopped on demand.")


def test_task_inside_a_job_belongs_to_it(folder: JobFolder) -> None:
    """A task that opens its job inside the block of the same one gets that one, and its word is the last."""
    environment = {JOB_VARIABLE: str(folder.path)}

    def task() -> None:
        same = open_job(folder.path, JobKind.COMPACT, {}, environment=environment)
        with running_job(same) as inner:
            tell(3, 4, "inside")
            assert inner is folder
            raise InvalidValueError("Not this.")

    with running_job(folder), pytest.raises(InvalidValueError):
        task()

    assert state_of(folder) == (JobState.FAILED, "Not this.")
    told = folder.read_progress()
    assert told is not None
    assert (told.done, told.total, told.phase) == (3, 4, "inside")


def test_open_job_without_one_makes_a_new_one(tmp_path: Path) -> None:
    """By hand, a task writes its own job down; the service shows it and does not run it."""
    made = open_job(tmp_path, JobKind.BACKUP, {"kind": "full"}, environment={})

    record = made.read()
    assert record is not None
    assert (record.kind, record.args, record.is_managed) == (JobKind.BACKUP, {"kind": "full"}, False)
    assert made.path.parent == tmp_path / "jobs" / "default"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metadata": null}', '{"metadata": {}}'])
def test_submission_of_a_process_that_ray_does_not_run_is_none(text: str) -> None:
    """Whatever the variable holds."""
    assert submission_of({"RAY_JOB_CONFIG_JSON_ENV_VAR": text} if text else {}) == ""


def test_submission_is_the_name_that_ray_gave() -> None:
    """By it a job is found in Ray's dashboard."""
    told = json.dumps({"metadata": {"job_submission_id": "raysubmit_1"}})

    assert submission_of({"RAY_JOB_CONFIG_JSON_ENV_VAR": told}) == "raysubmit_1"


def test_log_holds_what_the_process_prints(tmp_path: Path) -> None:
    """Also what libraries write past Python; it goes where it went before, too."""
    script = (
        "import os, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from data.jobs.logs import logged\n"
        "with logged(Path(sys.argv[1])):\n    print('one', flush=True)\n    os.write(2, b'two\\n')\n"
        "print('after')\n"
    )
    words = [sys.executable, "-c", script, str(tmp_path / "log.txt"), str(ROOT)]

    done = subprocess.run(words, capture_output=True, text=True, check=True)

    assert (tmp_path / "log.txt").read_text().splitlines() == ["one", "two"]
    assert done.stdout.splitlines() == ["one", "two", "after"]


def test_run_job_notes_why_its_task_failed(
    folder: JobFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last line of its log is the reason."""
    monkeypatch.setenv("KITE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv(JOB_VARIABLE, "")

    assert run_job.main(["--job", str(folder.path)]) == 2

    state, reason = state_of(folder)
    assert state is JobState.FAILED
    assert reason.startswith(f"Kite is not running for {tmp_path / 'home'}")


def test_stream_whose_last_line_is_kept_is_still_a_stream(tmp_path: Path) -> None:
    """Ray writes its faults to the file descriptor of standard error, whoever stands in front of it."""
    with (tmp_path / "shown").open("w") as shown:
        stream = run_job.LastLine(shown)
        print("one\ntwo\n\n", file=stream, flush=True)
        print("half", end="", file=stream)

        assert (stream.fileno(), stream.line) == (shown.fileno(), "two")
    assert (tmp_path / "shown").read_text() == "one\ntwo\n\n\nhalf"


def killed(folder: JobFolder, act: Callable[[subprocess.Popen[str]], None]) -> subprocess.Popen[str]:
    script = (
        "import sys, time; sys.path.insert(0, sys.argv[2]); from pathlib import Path\n"
        "from data.jobs.folder import JobFolder; from data.jobs.running import running_job\n"
        "with running_job(JobFolder(Path(sys.argv[1]))) as job:\n"
        "    job.progress(1, 2)\n    print('begun', flush=True)\n    time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder.path), str(ROOT)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begun\n"
    act(process)
    process.wait()
    process.stdout.close()
    return process


def test_job_of_a_killed_process_can_be_begun_again(folder: JobFolder) -> None:
    """SIGKILL takes the lock with it, and leaves what was written whole."""

    def kill(process: subprocess.Popen[str]) -> None:
        assert folder.is_running()
        process.kill()

    killed(folder, kill)

    assert not folder.is_running()
    assert state_of(folder)[0] is JobState.RUNNING
    assert folder.begin().attempt == 2
