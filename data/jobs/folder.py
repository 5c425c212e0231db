"""The folder of one job, the only thing that its runner, the API and the command line share.

``<home>/jobs/<tenant>/<job id>/`` holds ``job.json`` (what was asked for and how it stands, written before
anything runs), ``progress.json``, ``report.json`` and ``log.txt``. Invariants: files are replaced whole, so
a reader sees the old one or the new one; a job is created by one and run by one process at a time (the
kernel's lock on ``run.lock``, gone with the process however it dies); who was overtaken by a later attempt,
or comes after the end, changes nothing.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from data.claims import TenantId
from data.clock import SystemClock
from data.durable import sync_folder
from data.errors import ConflictError, NotFoundError
from data.jobs.pace import Pace
from data.jobs.records import NEXT, JobProgress, JobRecord, JobState, check_job_id
from data.ports import Clock

#: Folder of all jobs, below the home.
FOLDER = "jobs"
#: Environment variable that tells a task the folder of the job that it runs.
JOB_VARIABLE = "KITE_JOB"
#: Shortest time between two writes of the progress, seconds.
WRITE_EVERY_S = 0.25
_RECORD, _PROGRESS, _REPORT = "job.json", "progress.json", "report.json"

Value = TypeVar("Value")


def folder_of(home: Path, tenant: TenantId, job_id: str) -> Path:
    """Return where a job's folder is.

    Raises:
        InvalidValueError: no job can be called so.
    """
    return home / FOLDER / tenant / check_job_id(job_id)


class JobFolder:
    """One job's folder. Any process may read; one thread of the process that runs the job writes progress."""

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._pace = Pace()
        self._written_s: float | None = None
        self._unwritten: JobProgress | None = None
        self._attempt: int | None = None
        self._run_lock: int | None = None
        self._has_ended = False

    @property
    def log(self) -> Path:
        """Where the runner's output goes."""
        return self.path / "log.txt"

    def create(self, record: JobRecord, *, running: bool = False) -> bool:
        """Write a new job down; false where it is there already, whoever was first.

        ``running``: this process runs it from the first moment on, so nobody else begins it.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        if running:
            self._take_run_lock()
            now = self._clock.now_s()
            record = replace(record, state=JobState.RUNNING, attempt=1, started_s=round(now, 6))
            self._attempt = 1
        draft = self._draft(_RECORD, record)
        try:
            os.link(draft, self.path / _RECORD)
        except FileExistsError:
            self.release()
            return False
        finally:
            draft.unlink(missing_ok=True)
        sync_folder(self.path)
        sync_folder(self.path.parent)
        return True

    def read(self) -> JobRecord | None:
        """Return the job; ``None`` where there is none or its record cannot be read."""
        return self._load(_RECORD, JobRecord)

    def signature(self) -> tuple[int, int, int] | None:
        """Return what tells the job's record from every other one: inode, moment of writing (ns), size."""
        try:
            found = os.stat(self.path / _RECORD)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size

    def read_progress(self) -> JobProgress | None:
        """Return how far the job is, if it has said so."""
        return self._load(_PROGRESS, JobProgress)

    def read_report(self) -> dict[str, Any] | None:
        """Return the job's report, if it has made one."""
        return self._load(_REPORT, dict[str, Any])

    def begin(self, submission: str = "") -> JobRecord:
        """Become the one who runs this job: take its lock, count an attempt, and say that it runs.

        ``submission`` is the name of this attempt in Ray's dashboard, if it is there.

        Raises:
            NotFoundError: there is no job here. ConflictError: somebody runs it, it has ended or is to stop.
        """
        self._take_run_lock()
        with self._locked():
            record = self._record()
            if JobState.RUNNING not in NEXT[record.state] and record.state is not JobState.RUNNING:
                self.release()
                raise ConflictError(f"The job {record.id} is {record.state}: submit another.")
            started = replace(
                record,
                state=JobState.RUNNING,
                attempt=record.attempt + 1,
                started_s=record.started_s or round(self._clock.now_s(), 6),
                reason="",
                submission=submission or record.submission,
            )
            self._replace(_RECORD, started)
            self._attempt = started.attempt
        return started

    def is_running(self) -> bool:
        """Return whether a living process of this machine runs the job."""
        try:
            descriptor = os.open(self.path / "run.lock", os.O_RDWR)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def set_state(
        self, state: JobState, reason: str = "", *, only_from: Collection[JobState] = frozenset(JobState)
    ) -> bool:
        """Say how the job stands; false, with nothing changed, if that cannot follow or one was overtaken."""
        if state.is_final:
            self.flush()
        with self._locked():
            record = self.read()
            if record is None or state not in NEXT[record.state] or record.state not in only_from:
                return False
            if self._attempt is not None and record.attempt != self._attempt:
                return False
            ended = round(self._clock.now_s(), 6) if state.is_final else None
            self._replace(_RECORD, replace(record, state=state, reason=reason, ended_s=ended))
            self._has_ended = state.is_final
        return True

    def submitted(self, submission: str) -> bool:
        """Note under which name the next attempt is about to be submitted; false if the job waits no more."""
        with self._locked():
            record = self.read()
            if record is None or record.state is not JobState.QUEUED:
                return False
            self._replace(_RECORD, replace(record, submission=submission))
        return True

    def queue_again(self) -> bool:
        """Have an interrupted job wait for another attempt; false if it is none."""
        with self._locked():
            record = self.read()
            if record is None or record.state is not JobState.INTERRUPTED:
                return False
            self._replace(_RECORD, replace(record, state=JobState.QUEUED, submission=""))
        return True

    def lost(self, attempt: int, reason: str) -> bool:
        """Say that an attempt died, if it still is the last one and has not ended: the job can run again."""
        with self._locked():
            record = self.read()
            if record is None or record.attempt > attempt or JobState.INTERRUPTED not in NEXT[record.state]:
                return False
            told = replace(record, state=JobState.INTERRUPTED, attempt=attempt, reason=reason)
            self._replace(_RECORD, told)
        return True

    def should_stop(self) -> bool:
        """Return whether the one who runs the job is to end soon: stopped, or overtaken by another."""
        if self._has_ended:
            return False
        record = self.read()
        if record is None:
            return True
        overtaken = self._attempt is not None and record.attempt != self._attempt
        return overtaken or record.state is JobState.STOPPING or record.state.is_final

    def progress(self, done: int, total: int | None = None, phase: str = "") -> None:
        """Say how far the job is, in things of a phase; kept a few times a second at most."""
        told = self._pace.tell(done, total, phase, now_s=self._clock.now_s())
        last = self._written_s
        is_due = last is None or not 0.0 <= told.at_s - last < WRITE_EVERY_S
        if is_due or self._pace.is_new_phase or done == total:
            self._write_progress(told)
        else:
            self._unwritten = told

    def flush(self) -> None:
        """Write the last progress down if it has not been."""
        if self._unwritten is not None:
            self._write_progress(self._unwritten)

    def report(self, document: dict[str, Any]) -> None:
        """Keep the report of the job, in place of an earlier one."""
        self._replace(_REPORT, document)

    def release(self) -> None:
        """Let another run the job."""
        if self._run_lock is not None:
            os.close(self._run_lock)
            self._run_lock = None

    def _take_run_lock(self) -> None:
        if self._run_lock is not None:
            return
        if not self.path.is_dir():
            raise NotFoundError(f"There is no job in {self.path}.")
        descriptor = os.open(self.path / "run.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise ConflictError(f"The job in {self.path} is run by another process: wait for it.") from None
        self._run_lock = descriptor

    def _record(self) -> JobRecord:
        record = self.read()
        if record is None:
            self.release()
            raise NotFoundError(f"There is no job in {self.path}.")
        return record

    def _write_progress(self, told: JobProgress) -> None:
        self._replace(_PROGRESS, told, durable=False)
        self._written_s, self._unwritten = told.at_s, None

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self.path / "state.lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _replace(self, name: str, value: object, *, durable: bool = True) -> None:
        self._draft(name, value, durable=durable).replace(self.path / name)
        if durable:
            sync_folder(self.path)

    def _draft(self, name: str, value: object, *, durable: bool = True) -> Path:
        draft = self.path / f"{name}.{os.getpid()}.part"
        with draft.open("wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n")
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        return draft

    def _load(self, name: str, shape: type[Value]) -> Value | None:
        with suppress(OSError, msgspec.DecodeError, UnicodeDecodeError):
            return msgspec.json.decode((self.path / name).read_bytes(), type=shape)
        return None
