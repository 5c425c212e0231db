"""All jobs of one home: found, listed, stopped, removed. Reads and writes their folders and nothing else.

Called by the API in every replica and by the dispatcher in the keeper. Invariant: a job is found under its
tenant only; a folder that holds no job that can be read is left alone.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import msgspec

from data.claims import TenantId
from data.errors import ConflictError, InvalidValueError, NotFoundError
from data.jobs.folder import FOLDER, JobFolder
from data.jobs.kinds import CLAIMS
from data.jobs.records import JobKind, JobRecord, JobState, check_job_id
from data.ports import Clock

#: The states of a job that nobody runs.
WAITING = frozenset({JobState.QUEUED, JobState.INTERRUPTED})
#: A job's tenant and id: what names it.
JobKey = tuple[TenantId, str]
#: What tells one file from another under the same name: inode, moment of writing, size.
Signature = tuple[int, int, int]


class JobBook:
    """The jobs below ``<home>/jobs``. Any thread of any process."""

    def __init__(self, home: Path, clock: Clock) -> None:
        self._folder = home / FOLDER
        self._clock = clock
        #: Jobs by which file they were read from: one that has ended, or whose file is the same, is not read
        #: again. A record is always another file than the one before it.
        self._known: dict[JobKey, tuple[Signature, JobRecord]] = {}

    def folder(self, tenant: TenantId, job_id: str) -> JobFolder:
        """Return where a job is, or would be.

        Raises:
            InvalidValueError: no job can be called so.
        """
        return JobFolder(self._folder / tenant / check_job_id(job_id), self._clock)

    def create(self, record: JobRecord, *, running: bool = False) -> JobFolder | None:
        """Write a new job down, claims that came with it beside it; ``None`` where it is there already.

        ``running``: this process runs it from the first moment on.
        """
        folder = self.folder(record.tenant, record.id)
        kept = folder.create(_without_claims(folder, record), running=running)
        return folder if kept else None

    def find(self, tenant: TenantId, job_id: str) -> JobRecord:
        """Return a tenant's job.

        Raises:
            NotFoundError: it has none of that id.
        """
        try:
            record = self.folder(tenant, job_id).read()
        except InvalidValueError:
            record = None
        if record is None:
            raise NotFoundError(f"There is no job {job_id[:80]!r} of yours here.")
        return record

    def page(
        self,
        tenant: TenantId,
        *,
        states: Iterable[JobState] = (),
        kind: JobKind | None = None,
        before: str = "",
        limit: int = 100,
    ) -> list[JobRecord]:
        """Return a tenant's jobs, newest id first, those before an id; of some states or a kind only."""
        wanted, found = frozenset(states), []
        for job_id in sorted(self._ids(tenant), reverse=True):
            if before and job_id >= before:
                continue
            record = self._read((tenant, job_id))
            if record is None or (wanted and record.state not in wanted):
                continue
            if kind is None or record.kind is kind:
                found.append(record)
            if len(found) == limit:
                break
        return found

    def open_jobs(self) -> list[JobRecord]:
        """Return every tenant's jobs that have not ended, by tenant and id."""
        return [record for record in self.all_jobs() if not record.state.is_final]

    def all_jobs(self) -> Iterator[JobRecord]:
        """Yield every job, by tenant and id."""
        there = [(tenant, job_id) for tenant in self._tenants() for job_id in sorted(self._ids(tenant))]
        for gone in self._known.keys() - set(there):
            self._known.pop(gone, None)
        for key in there:
            record = self._read(key)
            if record is not None:
                yield record

    def count_open(self, tenant: TenantId) -> int:
        """Return how many jobs of a tenant have not ended."""
        records = (self._read((tenant, job_id)) for job_id in self._ids(tenant))
        return sum(record is not None and not _is_over(record) for record in records)

    def stop(self, tenant: TenantId, job_id: str) -> None:
        """Have a job stopped: at once where nobody runs it, else as soon as its runner has ended.

        One that has ended stays as it is.

        Raises:
            NotFoundError: the tenant has no such job.
        """
        folder = self.folder(tenant, self.find(tenant, job_id).id)
        if not folder.set_state(JobState.STOPPED, "Stopped before it was run to its end.", only_from=WAITING):
            folder.set_state(JobState.STOPPING, "It is asked to stop.")

    def remove(self, tenant: TenantId, job_id: str) -> None:
        """Remove a job that has ended, with all that is in its folder.

        Raises:
            NotFoundError: the tenant has no such job. ConflictError: it has not ended.
        """
        record = self.find(tenant, job_id)
        if not record.state.is_final:
            raise ConflictError(f"The job {job_id} is {record.state}: stop it first.")
        self._remove(self.folder(tenant, job_id).path)

    def prune(self, *, before_s: float, keep: int) -> int:
        """Remove jobs that ended before a moment, and all but the last ``keep`` of a tenant; count them.

        A job that died and that nobody but its starter runs again counts as ended.
        """
        gone, kept = 0, dict.fromkeys(self._tenants(), 0)
        ended = [record for record in self.all_jobs() if _is_over(record)]
        for record in sorted(ended, key=lambda one: (-_ended_s(one), one.id)):
            kept[record.tenant] = kept.get(record.tenant, 0) + 1
            if _ended_s(record) < before_s or kept[record.tenant] > keep:
                self._remove(self.folder(record.tenant, record.id).path)
                gone += 1
        return gone

    def _remove(self, path: Path) -> None:
        # Out of sight first: what a crash leaves of it is no job, and goes with the next one.
        trash = self._folder / ".removed"
        trash.mkdir(exist_ok=True, mode=0o700)
        goal = trash / f"{path.parent.name}.{path.name}"
        shutil.rmtree(goal, ignore_errors=True)
        try:
            path.rename(goal)
        except FileNotFoundError:
            return
        shutil.rmtree(trash, ignore_errors=True)

    def _read(self, key: JobKey) -> JobRecord | None:
        known = self._known.get(key)
        if known is not None and known[1].state.is_final:
            return known[1]
        folder = self.folder(*key)
        signature = folder.signature()
        if known is not None and known[0] == signature:
            return known[1]
        record = folder.read()
        if record is not None and signature is not None:
            self._known[key] = (signature, record)
        return record

    def _tenants(self) -> list[TenantId]:
        return [TenantId(name) for name in sorted(_names(self._folder)) if not name.startswith(".")]

    def _ids(self, tenant: TenantId) -> list[str]:
        return _names(self._folder / tenant)


def _is_over(record: JobRecord) -> bool:
    return record.state.is_final or (record.state is JobState.INTERRUPTED and not record.is_managed)


def _ended_s(record: JobRecord) -> float:
    return record.ended_s or record.started_s or record.created_s


def _without_claims(folder: JobFolder, record: JobRecord) -> JobRecord:
    """Put claims that were sent with a job into a file, unless there is one; return the record without."""
    claims = record.args.get("claims")
    if claims is None:
        return record
    folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
    rows = [{"claim": item} if isinstance(item, str) else item for item in claims]
    if folder.read() is None:
        (folder.path / CLAIMS).write_bytes(b"".join(msgspec.json.encode(row) + b"\n" for row in rows))
    return replace(record, args={name: value for name, value in record.args.items() if name != "claims"})


def _names(folder: Path) -> list[str]:
    try:
        return [entry.name for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except (FileNotFoundError, NotADirectoryError):
        return []
