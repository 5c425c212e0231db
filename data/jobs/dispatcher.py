"""Deciding which job runs next, which has died and runs again, and which has had enough.

Runs in one place, beside the keeper, which owns the home; looks at the folders every moment or so. Invariant:
all that is decided follows from the folders and from what the launcher knows, so a dispatcher that starts
anew goes on where the last one was, and two decisions are never taken for the same attempt.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

from data.claims import TenantId
from data.errors import KiteError
from data.jobs.book import JobBook, JobKey
from data.jobs.launcher import Launcher, RunState, submission_name
from data.jobs.records import JobRecord, JobState
from data.ports import Clock

#: How often old jobs are looked for, seconds.
PRUNE_EVERY_S = 60.0
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JobRules:
    """How many jobs run at once, how often one is tried, how long ended ones stay; see ``JobSettings``."""

    concurrent: int = 2
    attempts: int = 10
    first_wait_s: float = 1.0
    longest_wait_s: float = 60.0
    stop_s: float = 10.0
    keep_s: float = 30 * 24 * 3600.0
    keep: int = 1_000

    def wait_s(self, attempts: int) -> float:
        """Return how long a job waits that has died in so many attempts, seconds."""
        return min(self.longest_wait_s, self.first_wait_s * 2.0 ** min(max(attempts, 1) - 1, 60))


class Place(Enum):
    """Where a job belongs: it takes a place at work, could take one, or neither."""

    BUSY = auto()
    WAITING = auto()
    ASIDE = auto()


class Dispatcher:
    """Looks after the jobs of one home. One thread of one process.

    Nothing is started for a tenant that is not active now.
    """

    def __init__(
        self,
        book: JobBook,
        launcher: Launcher,
        clock: Clock,
        rules: JobRules,
        *,
        is_active: Callable[[TenantId], bool] = lambda _tenant: True,
    ) -> None:
        self._book = book
        self._launcher = launcher
        self._clock = clock
        self._rules = rules
        self._is_active = is_active
        self._ready_s: dict[JobKey, float] = {}
        self._stopped_s: dict[JobKey, float] = {}
        self._pruned_s: float | None = None
        #: What was said of each job last, so that it is not said twice a second.
        self._said: dict[JobKey, str] = {}

    def look(self) -> None:
        """Bring every job one step further; what cannot be done now is left for the next look."""
        open_jobs = self._book.open_jobs()
        waiting: list[JobRecord] = []
        busy: list[JobRecord] = []
        for record in open_jobs:
            place = self._look_at(record)
            if place is not Place.ASIDE:
                (waiting if place is Place.WAITING else busy).append(record)
        self._start(waiting, busy)
        self._forget(open_jobs)
        self._prune()

    def _look_at(self, record: JobRecord) -> Place:
        """Note a death or an end, if there was one; return where the job belongs now."""
        try:
            if record.state is JobState.QUEUED:
                return self._see_queued(record) if record.is_managed else Place.ASIDE
            if record.state is JobState.INTERRUPTED:
                return self._try_again(record) if record.is_managed else Place.ASIDE
            return self._see_running(record)
        except KiteError as exc:
            self._warn(record, exc)
            return Place.BUSY if record.is_managed and record.submission else Place.ASIDE

    def _see_queued(self, record: JobRecord) -> Place:
        if record.submission:
            state = self._launcher.state(record.submission)
            if state is RunState.ALIVE:
                return Place.BUSY
            if state is RunState.ENDED:  # before it said that it runs
                self._note_death(record, record.attempt + 1)
                return Place.ASIDE
        ready_s = self._ready_s.get((record.tenant, record.id), 0.0)
        return Place.WAITING if ready_s <= self._clock.now_s() else Place.ASIDE

    def _see_running(self, record: JobRecord) -> Place:
        key = (record.tenant, record.id)
        if not self._lives(record):
            if record.state is JobState.STOPPING:
                self._book.folder(*key).set_state(JobState.STOPPED, "Stopped on demand.")
            else:
                self._note_death(record, record.attempt)
            return Place.ASIDE
        if record.state is JobState.STOPPING:
            asked_s = self._stopped_s.setdefault(key, self._clock.now_s())
            if record.submission and self._clock.now_s() - asked_s >= self._rules.stop_s:
                self._launcher.stop(record.submission)
        return Place.BUSY if record.is_managed and record.submission else Place.ASIDE

    def _lives(self, record: JobRecord) -> bool:
        """Return whether a process runs a job, on this machine or another."""
        if self._book.folder(record.tenant, record.id).is_running():
            return True
        return bool(record.submission) and self._launcher.state(record.submission) is RunState.ALIVE

    def _note_death(self, record: JobRecord, attempt: int) -> None:
        why = self._launcher.why(record.submission) if record.submission else ""
        self._book.folder(record.tenant, record.id).lost(attempt, why or "Its process died.")

    def _try_again(self, record: JobRecord) -> Place:
        """Have an interrupted job wait for another attempt, or give it up."""
        folder = self._book.folder(record.tenant, record.id)
        if record.attempt >= self._rules.attempts:
            reason = f"Given up after {record.attempt} attempts. The last one: {record.reason}"
            folder.set_state(JobState.FAILED, reason)
            return Place.ASIDE
        wait_s = self._rules.wait_s(record.attempt)
        self._ready_s[record.tenant, record.id] = self._clock.now_s() + wait_s
        folder.queue_again()
        return Place.ASIDE

    def _start(self, waiting: list[JobRecord], busy: list[JobRecord]) -> None:
        free = self._rules.concurrent - len(busy)
        if free <= 0 or not waiting:
            return
        active = {tenant: self._is_active(tenant) for tenant in {record.tenant for record in waiting}}
        waiting = [record for record in waiting if active[record.tenant]]
        turns = _Turns(self._book.all_jobs(), busy)
        for _ in range(min(free, len(waiting))):
            record = turns.take(waiting)
            try:
                self._launch(record)
            except KiteError as exc:
                self._warn(record, exc)
                return

    def _launch(self, record: JobRecord) -> None:
        folder = self._book.folder(record.tenant, record.id)
        submission = submission_name(record, record.attempt + 1)
        if folder.submitted(submission):
            self._launcher.start(submission, record, folder.path)

    def _warn(self, record: JobRecord, error: KiteError) -> None:
        key, words = (record.tenant, record.id), str(error)
        if self._said.get(key) != words:
            _LOG.warning("The job %s of %s is looked at again later: %s", record.id, record.tenant, words)
        self._said[key] = words

    def _forget(self, open_jobs: Iterable[JobRecord]) -> None:
        there = {(record.tenant, record.id) for record in open_jobs}
        for key in (self._ready_s.keys() | self._stopped_s.keys() | self._said.keys()) - there:
            self._ready_s.pop(key, None)
            self._stopped_s.pop(key, None)
            self._said.pop(key, None)

    def _prune(self) -> None:
        now_s = self._clock.now_s()
        if self._pruned_s is None or not 0.0 <= now_s - self._pruned_s < PRUNE_EVERY_S:
            self._pruned_s = now_s
            self._book.prune(before_s=now_s - self._rules.keep_s, keep=self._rules.keep)


class _Turns:
    """Whose turn it is: the tenant with the fewest jobs at work, then the one whose turn is longest ago."""

    def __init__(self, jobs: Iterable[JobRecord], busy: Iterable[JobRecord]) -> None:
        self._at_work: dict[TenantId, int] = {}
        self._last_s: dict[TenantId, float] = {}
        for record in busy:
            self._at_work[record.tenant] = self._at_work.get(record.tenant, 0) + 1
        for record in jobs:
            last = self._last_s.get(record.tenant, 0.0)
            self._last_s[record.tenant] = max(last, record.started_s or 0.0)
        self._newest = max(self._last_s.values(), default=0.0)

    def take(self, waiting: list[JobRecord]) -> JobRecord:
        """Take the job that is next out of those that wait."""
        record = min(waiting, key=self._rank)
        waiting.remove(record)
        self._at_work[record.tenant] = self._at_work.get(record.tenant, 0) + 1
        self._newest += 1.0
        self._last_s[record.tenant] = self._newest
        return record

    def _rank(self, record: JobRecord) -> tuple[int, float, float, str, str]:
        at_work = self._at_work.get(record.tenant, 0)
        last_s = self._last_s.get(record.tenant, 0.0)
        return at_work, last_s, record.created_s, record.id, record.tenant
