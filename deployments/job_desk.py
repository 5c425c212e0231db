"""What may be asked of jobs and who may ask: the service behind ``/jobs`` and ``/schedules``.

Made by the composition root, called by the routes. No HTTP, no Ray. Invariant: a job is written down before
anything runs, under the tenant of who asks; another tenant's is not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.schema import Settings
from data.access.principal import Principal
from data.access.roles import permits
from data.claims import TenantId
from data.errors import ConflictError, ForbiddenError, NotFoundError, QuotaError
from data.jobs.book import JobBook
from data.jobs.folder import JobFolder
from data.jobs.kinds import OUTPUT, RULES, read_args
from data.jobs.places import Places
from data.jobs.records import JobKind, JobProgress, JobRecord, JobState, new_job_id
from data.ports import Clock
from data.tracing import told_on

#: Most bytes of a log that are read at a time.
LOG_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class JobSeen:
    """A job with what its runner has said so far."""

    record: JobRecord
    progress: JobProgress | None
    report: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Online:
    """A job that this process is to run itself, and has from the first moment on: its folder and claims."""

    folder: JobFolder
    claims: list[Any]


@dataclass(frozen=True, slots=True)
class JobBounds:
    """Most jobs of a tenant that wait or run, and the longest list of claims that is answered at once."""

    waiting: int = 10_000
    online_claims: int = 0


class JobDesk:
    """Takes, shows and stops jobs. Blocks on files: call it from threads. Any thread."""

    def __init__(self, book: JobBook, places: Places, clock: Clock, bounds: JobBounds) -> None:
        self._book = book
        self._places = places
        self._clock = clock
        self._bounds = bounds

    def submit(self, who: Principal, kind: JobKind, raw: Mapping[str, Any]) -> tuple[JobSeen, Online | None]:
        """Write a job down for the dispatcher to start, or for this process to run at once.

        Raises:
            InvalidValueError: the arguments do not fit. ForbiddenError: not for this caller, or not this
            path. QuotaError: as many jobs of the tenant wait as may.
        """
        args = self.checked(who, kind, raw)
        self._require_room(who.tenant)
        now_s = round(self._clock.now_s(), 6)
        record = JobRecord(
            id=new_job_id(now_s),
            kind=kind,
            args=args,
            tenant=who.tenant,
            actor=who.subject,
            created_s=now_s,
            is_managed=True,
            trace=told_on(),
        )
        claims = self._online_claims(args)
        folder = self._book.create(record, running=claims is not None)
        online = Online(folder, claims) if folder is not None and claims is not None else None
        return self.seen(who.tenant, record.id), online

    def checked(self, who: Principal, kind: JobKind, raw: Mapping[str, Any]) -> dict[str, Any]:
        """Return arguments as they are kept.

        Raises:
            InvalidValueError, ForbiddenError: see :meth:`submit`.
        """
        require_permitted(who, kind)
        return read_args(kind, raw, who.tenant, self._places)

    def page(
        self, tenant: TenantId, *, state: JobState | None, kind: JobKind | None, before: str, limit: int
    ) -> list[JobSeen]:
        """Return a tenant's jobs, newest first, without their reports."""
        found = self._book.page(
            tenant, states=(state,) if state else (), kind=kind, before=before, limit=limit
        )
        return [
            JobSeen(record, self._book.folder(tenant, record.id).read_progress(), None) for record in found
        ]

    def seen(self, tenant: TenantId, job_id: str) -> JobSeen:
        """Return how a job stands.

        Raises:
            NotFoundError: the tenant has no such job.
        """
        record = self._book.find(tenant, job_id)
        folder = self._book.folder(tenant, record.id)
        return JobSeen(record, folder.read_progress(), folder.read_report())

    def stop(self, who: Principal, job_id: str) -> JobSeen:
        """Have a job stopped; one that has ended stays as it is.

        Raises:
            NotFoundError: the tenant has no such job. ForbiddenError: the caller could not have asked for it.
        """
        require_permitted(who, self.seen(who.tenant, job_id).record.kind)
        self._book.stop(who.tenant, job_id)
        return self.seen(who.tenant, job_id)

    def remove(self, who: Principal, job_id: str) -> JobSeen:
        """Remove a job that has ended, with its files; return how it stood.

        Raises:
            NotFoundError: the tenant has no such job. ConflictError: it has not ended. ForbiddenError: the
            caller could not have asked for it.
        """
        seen = self.seen(who.tenant, job_id)
        require_permitted(who, seen.record.kind)
        self._book.remove(who.tenant, job_id)
        return seen

    def rows(self, tenant: TenantId, job_id: str) -> list[Path]:
        """Return the files of the rows of a job that has ended, in order.

        Raises:
            NotFoundError: the tenant has no such job, or its rows are not kept with it. ConflictError: it
            has not ended.
        """
        record = self._book.find(tenant, job_id)
        if not record.state.is_final:
            raise ConflictError(f"The job {job_id} is {record.state}: its rows are there when it has ended.")
        found = sorted((self._book.folder(tenant, job_id).path / OUTPUT).glob("part-*.jsonl"))
        if not found:
            raise NotFoundError(f"The job {job_id} keeps no rows here: its args or its reason say why.")
        return found

    def read_log(self, tenant: TenantId, job_id: str, offset: int) -> tuple[bytes, bool]:
        """Return what a log holds from an offset on, a block at most, and whether the job has ended.

        Raises:
            NotFoundError: the tenant has no such job.
        """
        # The state first: what is written before a job ends is read after it was seen to have ended.
        has_ended = self._book.find(tenant, job_id).state.is_final
        try:
            with self._book.folder(tenant, job_id).log.open("rb") as file:
                file.seek(offset)
                return file.read(LOG_BLOCK), has_ended
        except FileNotFoundError:
            return b"", has_ended

    def _online_claims(self, args: Mapping[str, Any]) -> list[Any] | None:
        """Return the claims of a job that is too short to pay for a start, if it is one."""
        claims: list[Any] = args.get("claims", [])[: args.get("limit")]
        plain = args.get("format", "jsonl") == "jsonl" and args.get("order", "input") == "input"
        fits = 0 < len(claims) <= self._bounds.online_claims
        return claims if fits and plain and "output" not in args else None

    def _require_room(self, tenant: TenantId) -> None:
        waiting = self._book.count_open(tenant)
        if waiting >= self._bounds.waiting:
            raise QuotaError(f"{waiting} jobs of {tenant} wait or run, as many as may: wait for some to end.")


def require_permitted(who: Principal, kind: JobKind) -> None:
    """Raise ``ForbiddenError`` unless a caller may ask for jobs of this kind."""
    rule = RULES[kind]
    if rule.installation and not who.installation:
        raise ForbiddenError(f"Jobs of kind {kind} concern the whole installation: use one of its own keys.")
    if not permits(who.role, rule.role):
        raise ForbiddenError(f"Jobs of kind {kind} need the role {rule.role}: use another credential.")


def build_job_desk(settings: Settings, home: Path, clock: Clock) -> JobDesk:
    """Return the desk of an installation."""
    chosen = settings.jobs
    bounds = JobBounds(chosen.waiting, chosen.online_claims)
    return JobDesk(JobBook(home, clock), Places(chosen.folders, home), clock, bounds)
