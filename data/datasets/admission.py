"""Which writes of datasets the keeper lets pass: names are a tenant's own, and quotas hold.

Asked by ``data.admission`` under the keeper's lock, before the ledger. Invariant: what passes together keeps
every name unique and every quota, whichever process decided on the write.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data.claims import TenantId
from data.datasets.catalogue import DatasetCatalogue
from data.datasets.changes import (
    DELETE_DATASET,
    DELETE_VECTORS,
    PUT_DATASET,
    PUT_VECTORS,
    read_dataset,
    total_after,
)
from data.datasets.ledger_rows import DatasetRows
from data.datasets.shards import is_shard
from data.errors import ConflictError, KiteError, NotFoundError, QuotaError
from data.knowledge import Change
from data.limits.policy import Quotas
from data.redaction import is_erased

KINDS = frozenset({PUT_DATASET, DELETE_DATASET, PUT_VECTORS, DELETE_VECTORS})


class DatasetAdmission:
    """Names, datasets and vectors of all tenants, as far as writes depend on them. One thread at a time."""

    def __init__(self, rows: DatasetRows) -> None:
        self._rows = rows
        self._catalogue = DatasetCatalogue(rows)
        #: Vectors in each dataset, where they were counted.
        self._totals: dict[str, int] = {}
        #: Owner and name of each dataset after the writes that passed in this group; ``None``: removed.
        self._passed: dict[str, tuple[TenantId, str] | None] = {}

    def forget(self) -> None:
        """Count anew from now on: something that passed was not written after all."""
        self._totals.clear()

    def begin(self) -> None:
        """Begin a group of writes: everything before is in the ledger."""
        self._passed.clear()
        self._catalogue.follow()

    def refusal(
        self, changes: Sequence[Change], quotas_of: Callable[[TenantId], Quotas | None]
    ) -> KiteError | None:
        """Return why these changes, to be written together, are refused; otherwise they count as written."""
        passed, totals = dict(self._passed), dict(self._totals)
        for change in changes:
            if change.kind in KINDS:
                refusal = self._take(change, quotas_of(change.tenant))
                if refusal is not None:
                    self._passed, self._totals = passed, totals
                    return refusal
        return None

    def _take(self, change: Change, quotas: Quotas | None) -> KiteError | None:
        if change.kind == PUT_DATASET:
            return self._define(change, quotas)
        owner = self._owner(change.key)
        if owner is None or owner[0] != change.tenant:
            return NotFoundError(f"There is no dataset {change.key!r}: it may have been deleted meanwhile.")
        if change.kind == DELETE_DATASET:
            self._passed[change.key] = None
            self._totals.pop(change.key, None)
            return None
        return self._fill(change, quotas)

    def _define(self, change: Change, quotas: Quotas | None) -> KiteError | None:
        record, before = read_dataset(change.payload), self._owner(change.key)
        if before is not None and before[0] != change.tenant:
            return ConflictError(f"The id {change.key!r} is another dataset's: make a new one.")
        there = self._of(change.tenant)
        if any(name == record.name and key != record.id for key, name in there.items()):
            return ConflictError(f"There is a dataset named {record.name!r}: choose another name.")
        most = None if quotas is None or is_shard(record.id) else quotas.datasets
        if most is not None and before is None and sum(not is_shard(key) for key in there) >= most:
            return QuotaError(f"The tenant may keep {most} datasets: delete some, or ask for a higher quota.")
        self._passed[record.id] = (change.tenant, record.name)
        return None

    def _fill(self, change: Change, quotas: Quotas | None) -> KiteError | None:
        most = quotas.vectors if quotas else None
        if most is None:
            self._totals.pop(change.key, None)
            return None
        total = total_after(change.payload)
        others = sum(self._total(key) for key in self._of(change.tenant) if key != change.key)
        if total > self._total(change.key) and others + total > most:
            return QuotaError(f"The tenant may keep {most} vectors: delete some, or ask for a higher quota.")
        self._totals[change.key] = total
        return None

    def _total(self, dataset_id: str) -> int:
        if dataset_id not in self._totals:
            self._totals[dataset_id] = self._counted(dataset_id)
        return self._totals[dataset_id]

    def _counted(self, dataset_id: str) -> int:
        last, defined = self._rows.last_of_vectors(dataset_id), self._catalogue.get(dataset_id)
        if last is None or is_erased(last.payload) or defined is None or last.seq < defined.born_seq:
            return 0
        return total_after(last.payload)

    def _owner(self, dataset_id: str) -> tuple[TenantId, str] | None:
        if dataset_id in self._passed:
            return self._passed[dataset_id]
        defined = self._catalogue.get(dataset_id)
        return (defined.tenant, defined.record.name) if defined else None

    def _of(self, tenant: TenantId) -> dict[str, str]:
        """Return the names of a tenant's datasets by id."""
        there = {one.record.id: one.record.name for one in self._catalogue.of(tenant, own=True)}
        for key, passed in self._passed.items():
            there.pop(key, None)
            if passed is not None and passed[0] == tenant:
                there[key] = passed[1]
        return there
