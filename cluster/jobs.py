"""Jobs over Ray: the processes of jobs are Ray job drivers, and the keeper's process looks after them.

Used by the keeper's actor. Drivers are started through Ray's own job server, so that they stand in the Ray
dashboard beside those of ``ray job submit``, run on the head node, take no CPU for themselves, and die with
their cluster.
"""

from __future__ import annotations

import logging
import os
import shlex
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from cluster.head import home_of
from cluster.names import KEEPER, at_home
from cluster.remote import ActorLink
from configs.schema import Settings
from data.access.records import AccessChanges
from data.claims import TenantId
from data.clock import SystemClock
from data.errors import StoreUnavailableError, UnavailableError
from data.jobs.book import JobBook
from data.jobs.dispatcher import Dispatcher, JobRules
from data.jobs.launcher import RunState
from data.jobs.places import Places
from data.jobs.records import JobRecord
from data.jobs.schedule_book import ScheduleBook
from data.jobs.schedules import Schedule
from data.jobs.timetable import Timetable

#: Longest sentence that is kept of how a driver ended, characters.
MAX_WHY_CHARS = 500
_LOG = logging.getLogger(__name__)
_ALIVE = frozenset({"PENDING", "RUNNING"})


class RayLauncher:
    """``data.jobs.launcher.Launcher`` over Ray's job server. One thread; Ray must be connected."""

    def __init__(self, settings_file: Path, resources: Mapping[str, float] | None = None) -> None:
        self._settings_file = settings_file
        # A driver reads and writes the job's folder: on a cluster of many nodes it runs where the home is.
        self._resources = dict(resources or {})
        self._client: Any = None

    def start(self, submission: str, record: JobRecord, folder: Path) -> None:
        """Start a driver that runs the job of ``folder``; nothing where this submission is known already."""
        if self.state(submission) is not RunState.UNKNOWN:
            return
        words = [
            sys.executable,
            "-m",
            "tasks.run_job",
            f"--job={folder}",
            f"--settings={self._settings_file}",
        ]
        self._call(
            "submit_job",
            entrypoint=shlex.join(words),
            submission_id=submission,
            entrypoint_resources=self._resources or None,
            metadata={"kind": record.kind, "tenant": record.tenant, "job": record.id},
        )

    def state(self, submission: str) -> RunState:
        """Return what is known of a submission."""
        info = self._info(submission)
        if info is None:
            return RunState.UNKNOWN
        return RunState.ALIVE if info.status.value in _ALIVE else RunState.ENDED

    def stop(self, submission: str) -> None:
        """End the driver of a submission, if it lives: SIGTERM first, SIGKILL three seconds later."""
        if self.state(submission) is RunState.ALIVE:
            self._call("stop_job", submission)

    def why(self, submission: str) -> str:
        """Return how a submission ended, empty where that is not known."""
        info = self._info(submission)
        if info is None or info.status.value in _ALIVE:
            return ""
        code = info.driver_exit_code
        first = " ".join((info.message or "").split())[:MAX_WHY_CHARS]
        return f"Its process ended with {code}." if code is not None else first

    def _info(self, submission: str) -> Any:
        try:
            return self._call("get_job_info", submission)
        except _UnknownError:
            return None

    def _call(self, method: str, *args: Any, **options: Any) -> Any:
        try:
            if self._client is None:
                self._client = _client()
            return getattr(self._client, method)(*args, **options)
        except Exception as exc:  # bare RuntimeErrors, and those of requests
            if "404" in str(exc) or "does not exist" in str(exc):
                raise _UnknownError(submission_of(args, options)) from exc
            self._client = None
            raise UnavailableError(
                f"Ray's job server does not answer ({type(exc).__name__}): it is asked again."
            ) from exc


class _UnknownError(Exception):
    """The job server knows no such submission."""


def submission_of(args: tuple[Any, ...], options: dict[str, Any]) -> str:
    """Return which submission a call was about."""
    return str(args[0] if args else options.get("submission_id", ""))


def _client() -> Any:
    import ray
    from ray.job_submission import JobSubmissionClient

    return JobSubmissionClient(ray.get_runtime_context().gcs_address)


def job_rules(settings: Settings) -> JobRules:
    """Return what the settings say of jobs."""
    chosen = settings.jobs
    return JobRules(
        concurrent=chosen.concurrent,
        attempts=chosen.attempts,
        first_wait_s=chosen.first_wait_s,
        longest_wait_s=chosen.longest_wait_s,
        stop_s=chosen.stop_s,
        keep_s=chosen.keep_s,
        keep=chosen.keep,
    )


def write_settings(settings: Settings) -> Path:
    """Write the settings in force where drivers read them, for nobody else's eyes; return where."""
    path = home_of(settings) / "run" / "settings.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(msgspec.json.encode(settings))
    return draft.replace(path)


#: A tenant's schedules between processes.
SCHEDULES = msgspec.msgpack.Decoder(list[Schedule])


class RemoteSchedules:
    """The schedules of the running installation, asked of the keeper's process."""

    def __init__(self) -> None:
        self._link = ActorLink(KEEPER, StoreUnavailableError)

    def of(self, tenant: TenantId) -> list[Schedule]:
        """Return a tenant's schedules, oldest first."""
        return SCHEDULES.decode(self._link.call("schedules", tenant))


class JobsThread:
    """Looks after the jobs and schedules of a home for as long as this process lives.

    ``access(0)`` tells the tenants: for one that is suspended or erased nothing is begun.
    """

    def __init__(self, settings: Settings, access: Callable[[int], AccessChanges]) -> None:
        clock = SystemClock()
        launcher = RayLauncher(write_settings(settings), at_home(settings))
        book = JobBook(home_of(settings), clock)
        home = home_of(settings)
        self.schedules = ScheduleBook(home / "ledger" / "ledger.sqlite")
        places = Places(settings.jobs.folders, home)
        self._access = access
        self._timetable = Timetable(home, book, self._active_schedules, places=places, clock=clock)
        self._dispatcher = Dispatcher(book, launcher, clock, job_rules(settings), is_active=self._is_active)
        self._every_s = settings.jobs.look_s
        self._ended = threading.Event()

    def start(self) -> None:
        """Begin to look."""
        threading.Thread(target=self._run, name="jobs", daemon=True).start()

    def _active_schedules(self) -> list[tuple[TenantId, Schedule]]:
        known = self.schedules.all()
        away = self._away() if known else frozenset[TenantId]()
        return [(tenant, schedule) for tenant, schedule in known if tenant not in away]

    def _is_active(self, tenant: TenantId) -> bool:
        return tenant not in self._away()

    def _away(self) -> frozenset[TenantId]:
        return frozenset(record.id for record in self._access(0).tenants if record.state != "active")

    def _run(self) -> None:
        while not self._ended.wait(self._every_s):
            try:
                self._timetable.look()
                self._dispatcher.look()
            except Exception as exc:
                # A full disk, say: whatever it is, jobs are looked at again.
                _LOG.warning("Jobs are looked at again later: %s: %s", type(exc).__name__, exc)
