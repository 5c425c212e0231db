"""Where imports and exports are ordered, told, run and taken over. One a process: the API's, or a command's.

Files lie below one folder, a tenant's in a folder of its own, which goes with the tenant. Jobs run in threads
of this process; whoever asks for a job whose runner died has it continued here, if its file is here.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from data.claims import TenantId
from data.datasets.formats.rows import RowReader
from data.datasets.ports import VectorDatasets
from data.datasets.transfer import (
    KEEP_S,
    LEASE_S,
    JobBook,
    Kind,
    Lease,
    LeaseLostError,
    Order,
    TransferJob,
    moment_of,
    new_runner,
)
from data.datasets.transfer_export import ExportParts, run_export
from data.datasets.transfer_import import ImportParts, OnBatch, run_import
from data.errors import (
    ConflictError,
    KiteError,
    NotFoundError,
    RateLimitedError,
    RequestError,
    UnavailableError,
)
from data.ports import Clock, KeyValueStore

#: Jobs that run at once in one process, and those of a tenant that may wait or run.
WORKERS, MAX_RUNNING = 2, 16
#: Files that are kept of a tenant: many more than those of jobs that may run.
MAX_FILES = 64
#: How long after its lease ended a job whose file nobody has is given up, seconds.
LOST_S = 3600.0

_LOG = logging.getLogger("kite.transfers")
Spawn = Callable[[Callable[[], None]], None]


class Transfers:
    """Imports and exports. Any thread. ``spawn`` runs a job apart from who asks; threads, if left out."""

    def __init__(
        self,
        datasets: VectorDatasets,
        store: KeyValueStore,
        clock: Clock,
        folder: Path,
        *,
        spawn: Spawn | None = None,
    ) -> None:
        self._datasets = datasets
        self._clock = clock
        self.folder = folder
        self._runner = new_runner()
        self._spawn = spawn or _threads()
        self._lock = threading.Lock()
        self._here: set[str] = set()
        self.book = JobBook(store, clock)

    def new_file(self, tenant: TenantId, name: str) -> str:
        """Return where a tenant's new file is to be, as an order names it; the oldest ones make room."""
        own = self.folder / tenant
        own.mkdir(parents=True, exist_ok=True)
        there = sorted(_dated(own), reverse=True)
        for number, (written_s, path) in enumerate(there, 1):
            if number >= MAX_FILES or self._clock.now_s() - written_s > KEEP_S:
                path.unlink(missing_ok=True)
        return f"{tenant}/{name}"

    def check(self, tenant: TenantId, dataset_id: str) -> None:
        """Raise ``NotFoundError`` unless the tenant has this dataset."""
        self._datasets.dataset(tenant, dataset_id)

    def path_of(self, order: Order) -> Path:
        """Return where the file of an order is."""
        return self.folder / order.file

    def start(self, tenant: TenantId, order: Order, job_id: str | None = None) -> tuple[TransferJob, bool]:
        """Take an order and run it apart; return its job and whether it is new.

        With a ``job_id`` that was used for the same order that job is returned.

        Raises:
            NotFoundError: there is no such dataset. InvalidValueError: a filter that is none.
            ConflictError: the id was used for something else. RateLimitedError: too many run already.
        """
        if order.kind == "export":
            self._datasets.vectors(tenant, order.dataset_id, limit=1, filters=order.filters)
        else:
            self.check(tenant, order.dataset_id)
        if self.book.running(tenant) >= MAX_RUNNING:
            raise RateLimitedError(
                f"{MAX_RUNNING} imports and exports are running or waiting: wait until one is done.", 5.0
            )
        job = TransferJob(
            id=job_id or uuid.uuid4().hex,
            tenant=tenant,
            order=order,
            started_at=moment_of(self._clock),
            runner=self._runner,
            leased_until=self._clock.now_s() + LEASE_S,
        )
        there = self.book.add(job)
        if there is not None:
            if not there.order.asks_same(order):
                raise ConflictError("This Idempotency-Key was used for another request: choose another.")
            return there, False
        self._submit(job)
        return job, True

    def job(self, tenant: TenantId, kind: Kind, job_id: str) -> TransferJob:
        """Return how a job stands; one whose runner died is continued.

        Raises:
            NotFoundError: the tenant has none of that id.
        """
        job = self.book.find(tenant, kind, job_id)
        if job.is_running and job.is_free(self._clock.now_s()):
            if kind == "export" or self.path_of(job.order).exists():
                self._submit(job)
            elif job.leased_until + LOST_S < self._clock.now_s():
                return self._given_up(job)
        return job

    def file(self, tenant: TenantId, job_id: str) -> tuple[TransferJob, Path]:
        """Return a finished export and its file.

        Raises:
            NotFoundError: there is none of that id, or its file is gone. ConflictError: it is not done.
        """
        job = self.job(tenant, "export", job_id)
        if job.is_running:
            raise ConflictError("The export is not done yet: ask again when its status is completed.")
        path = self.path_of(job.order)
        if job.status == "failed" or not path.exists():
            raise NotFoundError("The file of this export is not there: export again.")
        return job, path

    def run(
        self,
        tenant: TenantId,
        kind: Kind,
        job_id: str,
        *,
        on_batch: OnBatch = lambda _job, _faults: None,
        reader: RowReader | None = None,
    ) -> TransferJob:
        """Do what is left of a job here and now; return how it stands then.

        An import tells ``on_batch``, and takes its rows from ``reader`` where one is given.

        Raises:
            NotFoundError: there is no such job. UnavailableError: a part stayed away; ask again later.
        """
        lease = self.book.claim(tenant, kind, job_id, self._runner)
        if lease is not None:
            with lease.beating():
                self._run(lease, on_batch, reader)
        return self.book.find(tenant, kind, job_id)

    def _run(self, lease: Lease, on_batch: OnBatch, reader: RowReader | None) -> None:
        order = lease.job.order
        path = self.path_of(order)
        try:
            if order.kind == "import":
                run_import(lease, ImportParts(self._datasets, path, on_batch, reader))
            else:
                run_export(lease, ExportParts(self._datasets, path))
        except LeaseLostError:
            return
        except UnavailableError:
            lease.leave()
            raise
        except Exception as exc:
            told = str(exc) if isinstance(exc, RequestError) else "Something went wrong on our side."
            if not isinstance(exc, RequestError):
                _LOG.exception("%s failed", order.kind)
            lease.finish(lease.job, "failed", told)
        if order.kind == "import" and not order.keeps_file:
            path.unlink(missing_ok=True)

    def _submit(self, job: TransferJob) -> None:
        with self._lock:
            if job.id in self._here:
                return
            self._here.add(job.id)
        self._spawn(lambda: self._apart(job))

    def _apart(self, job: TransferJob) -> None:
        try:
            self.run(job.tenant, job.order.kind, job.id)
        except KiteError as exc:
            _LOG.warning("%s waits: %s", job.order.kind, type(exc).__name__)
        except Exception:
            _LOG.exception("%s stopped", job.order.kind)
        finally:
            with self._lock:
                self._here.discard(job.id)

    def _given_up(self, job: TransferJob) -> TransferJob:
        lease = self.book.claim(job.tenant, job.order.kind, job.id, self._runner)
        if lease is not None:
            lease.finish(lease.job, "failed", "The file of this import is lost: send it again.")
        return self.book.find(job.tenant, job.order.kind, job.id)


def _dated(folder: Path) -> Iterator[tuple[float, Path]]:
    """Yield the files of a folder and when they were written; one that goes meanwhile is none."""
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            yield path.stat().st_mtime, path


def _threads() -> Spawn:
    """Return what runs work in threads, ``WORKERS`` at once; none keeps the process from its end."""
    turns = threading.Semaphore(WORKERS)

    def run(work: Callable[[], None]) -> None:
        with turns:
            work()

    def spawn(work: Callable[[], None]) -> None:
        threading.Thread(target=run, args=(work,), name="transfer", daemon=True).start()

    return spawn
