"""A home with jobs, a launcher that does what a test says, and a dispatcher over both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.claims import DEFAULT_TENANT, TenantId
from data.errors import UnavailableError
from data.jobs.book import JobBook
from data.jobs.dispatcher import Dispatcher, JobRules
from data.jobs.folder import JobFolder
from data.jobs.launcher import RunState
from data.jobs.records import JobKind, JobRecord, JobState
from tests.fakes import FakeClock


class FakeLauncher:
    """Remembers what it was asked to start; a test says what became of it."""

    def __init__(self) -> None:
        self.started: list[str] = []
        self.stopped: list[str] = []
        self.states: dict[str, RunState] = {}
        self.is_away = False

    def start(self, submission: str, record: JobRecord, folder: Path) -> None:
        self._check()
        assert (folder / "job.json").exists()
        if self.state(submission) is RunState.UNKNOWN:
            self.started.append(submission)
            self.states[submission] = RunState.ALIVE

    def state(self, submission: str) -> RunState:
        self._check()
        return self.states.get(submission, RunState.UNKNOWN)

    def stop(self, submission: str) -> None:
        self._check()
        self.stopped.append(submission)

    def why(self, submission: str) -> str:
        return "Its process ended with -9."

    def _check(self) -> None:
        if self.is_away:
            raise UnavailableError("The job server is away.")


class JobHouse:
    """``submit`` writes a job down, ``begin`` runs it as its driver would, ``die`` lets the driver vanish."""

    def __init__(self, home: Path, **rules: Any) -> None:
        self.home = home
        self.clock = FakeClock()
        self.book = JobBook(home, self.clock)
        self.launcher = FakeLauncher()
        self.suspended: set[str] = set()
        self.rules = JobRules(**rules)
        self.restart()

    def restart(self) -> None:
        """Begin to look after the jobs anew, as another process would."""
        self.dispatcher = Dispatcher(
            JobBook(self.home, self.clock),
            self.launcher,
            self.clock,
            self.rules,
            is_active=lambda tenant: tenant not in self.suspended,
        )

    def submit(self, name: str, tenant: str = DEFAULT_TENANT, **fields: Any) -> JobFolder:
        told = {"kind": JobKind.IMPORT_KNOWLEDGE, "args": {"file": "f"}, "is_managed": True, **fields}
        record = JobRecord(name, tenant=TenantId(tenant), created_s=self.clock.now_s(), **told)
        folder = self.book.folder(record.tenant, name)
        assert folder.create(record)
        self.clock.advance(1)
        return folder

    def look(self, times: int = 1, *, after_s: float = 0.0) -> None:
        for _ in range(times):
            self.clock.advance(after_s)
            self.dispatcher.look()

    def begin(self, name: str, tenant: str = DEFAULT_TENANT) -> JobFolder:
        """Run a job as a driver does; keep what is returned for as long as the driver lives."""
        driver = JobFolder(self.book.folder(TenantId(tenant), name).path, self.clock)
        driver.begin()
        return driver

    def end(self, driver: JobFolder, tenant: str = DEFAULT_TENANT) -> None:
        driver.set_state(JobState.SUCCEEDED)
        self.die(driver, tenant)

    def die(self, driver: JobFolder, tenant: str = DEFAULT_TENANT) -> None:
        """Let a driver vanish without a word."""
        record = driver.read()
        assert record is not None
        driver.release()
        self.launcher.states[record.submission] = RunState.ENDED

    def state(self, name: str, tenant: str = DEFAULT_TENANT) -> JobState:
        return self.record(name, tenant).state

    def record(self, name: str, tenant: str = DEFAULT_TENANT) -> JobRecord:
        record = self.book.folder(TenantId(tenant), name).read()
        assert record is not None
        return record
