"""Running one job in this process, from taking its folder to saying how it ended.

Called by every task that is a job: it works inside ``running_job`` and tells the folder how far it is.
Invariant: when the block is left, however (an error, an exit, a signal), the folder says how the job stands;
when the process dies without leaving it, the lock is gone and the next look finds the job.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import msgspec

from data.claims import DEFAULT_TENANT, TenantId
from data.clock import SystemClock
from data.errors import KiteError, NotFoundError
from data.jobs.folder import JOB_VARIABLE, JobFolder, folder_of
from data.jobs.records import JobKind, JobRecord, JobState, new_job_id
from data.ports import Clock

#: The states of a job that a process is at.
AT_WORK = frozenset({JobState.RUNNING, JobState.STOPPING})
#: How often a running job looks whether it is to stop, seconds.
LOOK_S = 0.5
#: Where Ray tells a driver under which name it was submitted.
_RAY_JOB = "RAY_JOB_CONFIG_JSON_ENV_VAR"
#: The jobs that this process runs now, by folder: a task called inside a job's block belongs to that job.
_RUNNING: dict[Path, JobFolder] = {}


class JobEnded(BaseException):
    """The process was asked to end (SIGTERM) while it ran a job; no handler of errors takes it."""


def open_job(
    home: Path,
    kind: JobKind,
    args: dict[str, Any],
    *,
    tenant: TenantId = DEFAULT_TENANT,
    environment: Mapping[str, str] = os.environ,
    clock: Clock | None = None,
) -> JobFolder:
    """Return the folder of the job that this process is to run: the one it was given, else a new one.

    Raises:
        NotFoundError: the folder it was given holds no job.
    """
    clock = clock or SystemClock()
    given = environment.get(JOB_VARIABLE)
    if given:
        folder = _RUNNING.get(Path(given)) or JobFolder(Path(given), clock)
        if folder.read() is None:
            raise NotFoundError(f"There is no job in {given}: unset {JOB_VARIABLE} to begin a new one.")
        return folder
    job_id = new_job_id(clock.now_s())
    folder = JobFolder(folder_of(home, tenant, job_id), clock)
    actor = "command line"
    folder.create(JobRecord(job_id, kind, args, tenant, actor, created_s=round(clock.now_s(), 6)))
    return folder


@contextmanager
def running_job(folder: JobFolder) -> Iterator[JobFolder]:
    """Run the job of ``folder`` for as long as the block lasts; errors of the block go on after being noted.

    Left without an error the job has succeeded, unless the block has said otherwise with ``set_state``.
    Inside a block of the same job it only notes how the inner block ended.

    Raises:
        ConflictError: somebody else runs it, or it has ended. JobEnded: SIGTERM came meanwhile.
    """
    if folder.path in _RUNNING:
        with _noting(_RUNNING[folder.path]) as same:
            yield same
        return
    folder.begin(submission_of(os.environ))
    _RUNNING[folder.path] = folder
    try:
        with _ending_at_sigterm(folder), _noting(folder):
            yield folder
    finally:
        del _RUNNING[folder.path]
        folder.flush()
        folder.release()


def submission_of(environment: Mapping[str, str]) -> str:
    """Return the name under which Ray runs this driver as a job, empty where it does not."""
    try:
        told = msgspec.json.decode(environment.get(_RAY_JOB, "{}"))
        return str(told.get("metadata", {}).get("job_submission_id", ""))
    except (msgspec.DecodeError, AttributeError):
        return ""


def tell(done: int, total: int | None = None, phase: str = "") -> None:
    """Say how far the job is that this process runs, if it runs one."""
    for folder in _RUNNING.values():
        folder.progress(done, total, phase)


@contextmanager
def _noting(folder: JobFolder) -> Iterator[JobFolder]:
    try:
        yield folder
    except (KeyboardInterrupt, JobEnded) as ending:
        _note_ending(folder, by_hand=isinstance(ending, KeyboardInterrupt))
        raise
    except SystemExit as exiting:
        if exiting.code in (None, 0):
            _note_end(folder, JobState.SUCCEEDED)
        else:
            _note_end(folder, JobState.FAILED, f"It ended with {exiting.code}: see the job's log.")
        raise
    except BaseException as error:
        _note_end(folder, JobState.FAILED, sentence_of(error))
        raise
    else:
        _note_end(folder, JobState.SUCCEEDED)


def _note_end(folder: JobFolder, state: JobState, reason: str = "") -> None:
    # What was said to be interrupted is run again: that its process goes on to its end changes nothing.
    folder.set_state(state, reason, only_from=AT_WORK)


def _note_ending(folder: JobFolder, *, by_hand: bool) -> None:
    record = folder.read()
    if by_hand or (record is not None and record.state is JobState.STOPPING):
        folder.set_state(JobState.STOPPED, "Stopped on demand.")
    else:
        folder.set_state(JobState.INTERRUPTED, "Its process was asked to end.")


def sentence_of(error: BaseException) -> str:
    """Return the sentence that a job's record keeps of an error."""
    if isinstance(error, KiteError):
        return str(error)
    return f"{type(error).__name__}: {error}"[:2_000]


@contextmanager
def _ending_at_sigterm(folder: JobFolder) -> Iterator[None]:
    """Turn SIGTERM, and the word that the job is to stop, into an error in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _end)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(folder, ended), name="job-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()
        signal.signal(signal.SIGTERM, before)


def _watch(folder: JobFolder, ended: threading.Event) -> None:
    while not ended.wait(LOOK_S):
        if folder.should_stop() and not ended.is_set():
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _end(_number: int, _frame: FrameType | None) -> NoReturn:
    raise JobEnded("The job's process was asked to end.")
