"""Erasing a tenant for good, with proof: from the ledger, its segments, every view, and the shared store.

Called by the keeper's actor and by ``tasks.tenants``. A row of the ledger (``tenant.erase``) says that it is
to be done; until another one carries the proof, whoever opens the home goes on where it was left. Of the
tenant's rows positions, times and kinds stay; payloads, ids and authors go, so every later row gets a new
hash and the history a new name: the next backup is a full one. Invariant: from the first row on nothing of
the tenant is written again, and its id is never given to another.
"""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from data.access.records import SYSTEM_TENANT, KeyRecord, TenantRecord
from data.backups.manifest import Catalogue
from data.backups.source import lineage_of
from data.claims import DEFAULT_TENANT, SHARED_TENANT, TenantId
from data.compaction import old_copies
from data.datasets.changes import delete_dataset
from data.datasets.erasing import dataset_ids, held_folders, remove_folders
from data.erased import Erased, Remains
from data.errors import (
    ConflictError,
    CorruptDataError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from data.jobs.erasing import held_by_jobs, remove_jobs
from data.keeper import Keeper
from data.knowledge import Change
from data.ledger import Ledger
from data.ledger_erasure import ERASE, NOBODY, ErasureRow, erase_rows, erasures, held_in_ledger, last_erasure
from data.ports import Clock, KeyValueStore
from data.queue.ports import TaskQueue
from data.redaction import content_of, is_erased
from data.store_sweep import held_in_store, sweep
from data.views.vector_files import tenants_in

#: Seconds between two attempts to finish an erasure that was cut off.
RETRY_S = 5.0
_LOG = logging.getLogger(__name__)
#: Where the passage vectors lie, under the home.
_VECTORS = Path("vectors") / "passages"


class Eraser:
    """Erases tenants of one home. One at a time; any thread."""

    def __init__(
        self,
        keeper: Keeper,
        store: KeyValueStore,
        home: Path,
        clock: Clock,
        *,
        queue: TaskQueue | None = None,
    ) -> None:
        self._keeper = keeper
        self._store = store
        self._home = home
        self._clock = clock
        self._queue = queue

    def erase(self, tenant: TenantId, *, backups: Sequence[str] = (), actor: str = "operator") -> Erased:
        """Erase a tenant, or finish what was begun, and return the proof; a second time: the same proof.

        Raises:
            InvalidValueError: a tenant that every installation has. NotFoundError: none of this id ever was.
            ConflictError: a view is being built, a backup is at work, or the ledger is being compacted.
        """
        if tenant in (SYSTEM_TENANT, SHARED_TENANT, DEFAULT_TENANT):
            raise InvalidValueError(
                f"The tenant {tenant} belongs to every installation: delete its things instead."
            )
        with self._keeper.erasing() as ledger:
            said = last_erasure(ledger, tenant)
            if said is None or said[1].state == "asked":
                asked = said or self._ask(ledger, tenant, backups, actor=actor)
                return self._carry_out(ledger, tenant, *asked)
            return msgspec.convert(said[1].report, Erased)

    def resume(self) -> list[Erased]:
        """Finish every erasure that was cut off."""
        return [self.erase(tenant) for tenant in self.pending()]

    def finish(self) -> None:
        """Finish every erasure that was cut off, trying again while a store is away or at work."""
        while True:
            try:
                self.resume()
                return
            except (UnavailableError, ConflictError) as exc:
                _LOG.warning("An erasure is not finished yet: %s", exc)
                time.sleep(RETRY_S)

    def pending(self) -> list[TenantId]:
        """Return the tenants whose erasure was asked for and has no proof yet."""
        known = erasures(self._keeper.ledger)
        return [tenant for tenant, row in known.items() if row.state == "asked"]

    def verify_erased(self, tenant: TenantId) -> Remains:
        """Count what every store has of a tenant, reading its files and the ledger again."""
        return Remains(tenant, self._counts(self._keeper.ledger, tenant))

    def _ask(
        self, ledger: Ledger, tenant: TenantId, backups: Sequence[str], *, actor: str
    ) -> tuple[int, ErasureRow]:
        """Write that the tenant is to go: from this row on it is closed, and its keys are revoked."""
        counts = self._counts(ledger, tenant)
        known = ledger.latest(SYSTEM_TENANT, "tenant.put", tenant)
        if known is None and not any(counts.values()):
            raise NotFoundError(f"There is no tenant {tenant!r}: look at the list of tenants.")
        head = ledger.read(ledger.head() - 1, 1)
        row = ErasureRow("asked", counts, head[0].sha256.hex() if head else "", tuple(backups))
        now_s = self._clock.now_s()
        gone = TenantRecord(tenant, NOBODY, now_s, state="erased")
        changes = [_change("tenant.put", tenant, gone, SYSTEM_TENANT, actor)]
        changes += [
            _change("key.put", one.id, _revoked(one, now_s), tenant, actor) for one in _keys(ledger, tenant)
        ]
        changes += [delete_dataset(key, tenant, actor=NOBODY) for key in dataset_ids(ledger, tenant)]
        changes.append(_change(ERASE, tenant, row, SYSTEM_TENANT, actor))
        return self._keeper.write_own(changes)[-1].seq, row

    def _carry_out(self, ledger: Ledger, tenant: TenantId, seq: int, asked: ErasureRow) -> Erased:
        self._sweep(ledger, tenant)
        erase_rows(ledger, self._home, tenant, before=seq)
        self._keeper.renew()
        # Again: whoever was about to answer the tenant's last question has written by now.
        self._sweep(ledger, tenant)
        after = self._counts(ledger, tenant)
        if any(after.values()):
            left = ", ".join(f"{name} {number}" for name, number in after.items() if number)
            raise CorruptDataError(f"The tenant {tenant} is not gone ({left}): repeat the erasure.")
        at = ledger.read(seq - 1, 1)[0].ts
        bare = Erased(
            tenant,
            at,
            seq,
            asked.head,
            asked.counts,
            after,
            asked.backups,
            old_copies(self._home),
            lineage_of(self._home),
        )
        proof = replace(bare, sha256=digest(bare))
        row = replace(asked, state="done", report=msgspec.to_builtins(proof))
        self._keeper.write_own([_change(ERASE, tenant, row, SYSTEM_TENANT, "keeper")])
        return proof

    def _sweep(self, ledger: Ledger, tenant: TenantId) -> None:
        sweep(self._store, tenant, self._home)
        remove_folders(ledger, self._home, tenant)
        remove_jobs(self._home, tenant)
        if self._queue is not None:
            self._queue.erase(tenant)

    def _queued(self, tenant: TenantId) -> dict[str, int]:
        return {"queue: tasks": sum(self._queue.states(tenant).values())} if self._queue else {}

    def _counts(self, ledger: Ledger, tenant: TenantId) -> dict[str, int]:
        return {
            **held_in_ledger(ledger, self._home, tenant),
            **self._keeper.held(tenant),
            "vectors": int(tenant in tenants_in(self._home / _VECTORS)),
            "datasets": held_folders(ledger, self._home, tenant),
            **held_in_store(self._store, tenant),
            **self._queued(tenant),
            **held_by_jobs(self._home, tenant),
        }


def digest(proof: Erased) -> str:
    """Return the SHA-256 (hex) of a proof without its own."""
    return hashlib.sha256(msgspec.json.encode(replace(proof, sha256=""), order="sorted")).hexdigest()


def backups_with(catalogue: Catalogue, first_seq: int, last_seq: int) -> tuple[str, ...]:
    """Return the backups whose rows lie in [first_seq, last_seq]: they may hold what was erased there."""
    return tuple(
        one.id for one in catalogue.backups if one.after.seq < last_seq and one.head.seq >= first_seq
    )


def _keys(ledger: Ledger, tenant: TenantId) -> list[KeyRecord]:
    """Return a tenant's own keys, each as it is now."""
    found: dict[str, KeyRecord] = {}
    for entry in ledger.entries_of(tenant, "key.put"):
        if not is_erased(entry.payload):
            found[entry.key] = msgspec.json.decode(content_of(entry.payload), type=KeyRecord)
    return [found[key] for key in sorted(found)]


def _revoked(key: KeyRecord, now_s: float) -> KeyRecord:
    """Return what stays of a key, so that every replica learns that it is good for nothing."""
    return KeyRecord(key.id, NOBODY, "0" * 64, key.tenant, key.roles, key.created_s, revoked_s=now_s)


def _change(kind: str, key: str, value: object, tenant: TenantId, actor: str) -> Change:
    return Change(kind, key, msgspec.json.encode(value, order="sorted"), tenant, actor)
