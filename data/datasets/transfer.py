"""Imports and exports of datasets as jobs: how one stands, kept in the shared store, run by one at a time.

Called by the loops (``transfer_import``, ``transfer_export``) and by ``transfer_desk``. A job is one small
JSON value under ``transfer/<tenant>/<kind>/<id>``, so any process can tell it; it is replaced only by
compare-and-swap. Invariant: whoever runs a job holds its lease, and learns at its next save if somebody else
has taken it over; a runner that died stops renewing the lease, and the next who asks goes on.
"""

from __future__ import annotations

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import msgspec

from data.claims import TenantId
from data.datasets.formats.rows import RowFault
from data.datasets.ports import FilterValue
from data.errors import KiteError, NotFoundError
from data.ports import Clock, KeyValueStore

Kind = Literal["import", "export"]
Status = Literal["running", "completed", "completed_with_errors", "failed"]
#: What an import does with an id that is there.
OnPresent = Literal["overwrite", "skip"]

#: Folder of the files, below the home; a tenant's are in a folder of its own.
FOLDER = "transfers"
#: How long a job can be asked for after its last change, and its file is kept, seconds.
KEEP_S = 7 * 24 * 3600.0
#: How long a lease lasts, and how often its holder renews it, seconds.
LEASE_S, BEAT_S = 60.0, 15.0
#: Faults of rows that are kept with a job; all are counted.
MAX_FAULTS = 100
_SEPARATOR = "|"


class LeaseLostError(KiteError):
    """Somebody else runs the job now."""


@dataclass(frozen=True, slots=True)
class Order:
    """What a job was asked to do; never changes.

    ``file`` is a path below the transfers' folder, or anywhere where ``keeps_file``. ``source`` begins the
    ids of rows that have none: the same file makes the same ids.
    """

    kind: Kind
    dataset_id: str
    form: str
    file: str
    source: str = ""
    keeps_file: bool = False
    on_present: OnPresent = "overwrite"
    limit: int | None = None
    filters: FilterValue | None = None

    def asks_same(self, other: Order) -> bool:
        """Return whether another order, wherever its file lies, wants the same."""
        return replace(self, file="") == replace(other, file="")


@dataclass(frozen=True, slots=True)
class TransferJob:
    """How an import or export stands. Moments are ISO 8601, UTC.

    ``processed_rows`` is the position to go on from: every row before it was written, skipped or refused.
    ``message`` says why a job failed. ``leased_until`` is in seconds since the epoch.
    """

    id: str
    tenant: TenantId
    order: Order
    started_at: str
    status: Status = "running"
    total_rows: int | None = None
    processed_rows: int = 0
    successful_rows: int = 0
    skipped_rows: int = 0
    failed_rows: int = 0
    errors: tuple[RowFault, ...] = ()
    completed_at: str | None = None
    message: str | None = None
    runner: str = ""
    leased_until: float = 0.0

    @property
    def is_running(self) -> bool:
        """Whether there is more to do."""
        return self.status == "running"

    @property
    def progress(self) -> float:
        """How much is done, in per cent."""
        if self.status in ("completed", "completed_with_errors"):
            return 100.0
        return round(100.0 * self.processed_rows / self.total_rows, 2) if self.total_rows else 0.0

    def is_free(self, now_s: float) -> bool:
        """Whether nobody runs it: its lease is over, or its runner was a process here that is gone."""
        return self.leased_until <= now_s or _is_gone(self.runner)


def _is_gone(runner: str) -> bool:
    """Return whether a runner was a process of this machine that has ended."""
    machine, _, rest = runner.partition(_SEPARATOR)
    number = rest.partition(_SEPARATOR)[0]
    if machine != socket.gethostname() or not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:  # it is there, and another user's
        return False
    return False


def new_runner() -> str:
    """Return the name of a runner in this process: machine, process, and what nobody else has."""
    return _SEPARATOR.join((socket.gethostname(), str(os.getpid()), uuid.uuid4().hex))


def with_faults(job: TransferJob, faults: list[RowFault]) -> TransferJob:
    """Return the job with further rows that were not taken, in order, as many as are kept."""
    kept = (*job.errors, *sorted(faults, key=lambda fault: fault.row))[:MAX_FAULTS]
    return replace(job, errors=kept, failed_rows=job.failed_rows + len(faults))


def moment_of(clock: Clock) -> str:
    """Return the time it is."""
    return datetime.fromtimestamp(clock.now_s(), UTC).isoformat(timespec="milliseconds")


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(TransferJob)


class JobBook:
    """The jobs of one installation. Any thread of any process."""

    def __init__(self, store: KeyValueStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def add(self, job: TransferJob) -> TransferJob | None:
        """Note a new job; return the one of the same id where there is one already."""
        key = _key(job.tenant, job.order.kind, job.id)
        if self._store.swap(key, None, _ENCODER.encode(job), ttl_s=KEEP_S):
            return None
        return self.find(job.tenant, job.order.kind, job.id)

    def find(self, tenant: TenantId, kind: Kind, job_id: str) -> TransferJob:
        """Return a job.

        Raises:
            NotFoundError: the tenant has none of that id.
        """
        return self._read(tenant, kind, job_id)[1]

    def forget(self, tenant: TenantId, kind: Kind, job_id: str) -> None:
        """Have a job never been."""
        self._store.delete(_key(tenant, kind, job_id))

    def running(self, tenant: TenantId) -> int:
        """Return how many jobs of a tenant are not done."""
        kept = self._store.scan(f"transfer/{tenant}/")
        return sum(_DECODER.decode(value).is_running for _, value in kept)

    def claim(self, tenant: TenantId, kind: Kind, job_id: str, runner: str) -> Lease | None:
        """Return the lease of a running job that nobody else holds now, else ``None``.

        Raises:
            NotFoundError: there is no such job.
        """
        held, job = self._read(tenant, kind, job_id)
        if not job.is_running or not (job.runner == runner or job.is_free(self._clock.now_s())):
            return None
        lease = Lease(self._store, self._clock, job, held)
        try:
            lease.save(replace(job, runner=runner))
        except LeaseLostError:
            return None
        return lease

    def _read(self, tenant: TenantId, kind: Kind, job_id: str) -> tuple[bytes, TransferJob]:
        held = self._store.get(_key(tenant, kind, job_id))
        if held is None:
            raise NotFoundError(f"There is no {kind} {job_id[:100]!r} of yours here.")
        return held, _DECODER.decode(held)


class Lease:
    """The right to run one job, and how the job stands. Any thread."""

    def __init__(self, store: KeyValueStore, clock: Clock, job: TransferJob, held: bytes) -> None:
        self._store = store
        self._clock = clock
        self._held = held
        self._lock = threading.Lock()
        self.job = job

    def save(self, job: TransferJob) -> None:
        """Store how the job stands now, and renew the lease.

        Raises:
            LeaseLostError: somebody else has taken the job over.
        """
        with self._lock:
            self._swap(replace(job, leased_until=self._clock.now_s() + LEASE_S))

    def renew(self) -> None:
        """Renew the lease of the job as it was saved last.

        Raises:
            LeaseLostError: somebody else has taken the job over.
        """
        with self._lock:
            self._swap(replace(self.job, leased_until=self._clock.now_s() + LEASE_S))

    def leave(self) -> None:
        """Let somebody else go on at once, if the lease is still held."""
        with self._lock:
            gone = replace(self.job, leased_until=0.0, runner="")
            self._store.swap(self._key(), self._held, _ENCODER.encode(gone), ttl_s=KEEP_S)

    def finish(self, job: TransferJob, status: Status, message: str | None = None) -> None:
        """Store how the job ended."""
        self.save(replace(job, status=status, message=message, completed_at=moment_of(self._clock)))

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Renew the lease from time to time for as long as the block lasts."""
        ended = threading.Event()
        beats = threading.Thread(target=self._beat, args=(ended,), name="transfer-lease", daemon=True)
        beats.start()
        try:
            yield
        finally:
            ended.set()
            beats.join()

    def _beat(self, ended: threading.Event) -> None:
        while not ended.wait(BEAT_S):
            try:
                self.renew()
            except KiteError:  # lost, or the store is away: the next save tells
                continue

    def _swap(self, job: TransferJob) -> None:
        value = _ENCODER.encode(job)
        if not self._store.swap(self._key(), self._held, value, ttl_s=KEEP_S):
            raise LeaseLostError(f"The {job.order.kind} {job.id} is run by somebody else.")
        self._held, self.job = value, job

    def _key(self) -> str:
        return _key(self.job.tenant, self.job.order.kind, self.job.id)


def _key(tenant: TenantId, kind: Kind, job_id: str) -> str:
    return f"transfer/{tenant}/{kind}/{job_id}"
