"""Which datasets there are, whose they are, and how they are defined: folded from the ledger's rows.

Used by the dataset service, by the keeper's admission (names, quotas) and by whoever erases a tenant.
Invariant: a dataset is found under its tenant and, the shared tenant's, under all others; an id that was
removed and is defined again is a new dataset, which has nothing of the old one's vectors.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from data.chain import Entry
from data.claims import SHARED_TENANT, TenantId
from data.datasets.changes import DELETE_DATASET, read_dataset
from data.datasets.records import DatasetRecord
from data.errors import ForbiddenError, NotFoundError
from data.redaction import is_erased

#: Rows read from the ledger at a time.
_PAGE = 1_000


class DefinitionRows(Protocol):
    """The rows of a ledger that define or remove datasets."""

    def of_datasets(self, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` of them after a position, in order."""
        ...


@dataclass(frozen=True, slots=True)
class Defined:
    """A dataset that is there. Its vectors were written after ``born_seq``."""

    tenant: TenantId
    record: DatasetRecord
    born_seq: int


def no_dataset(dataset_id: str) -> NotFoundError:
    """Return what is told of a dataset that is not there, or not for whoever asks."""
    return NotFoundError(f"There is no dataset {dataset_id!r}: look at the list of datasets.")


class DatasetCatalogue:
    """The datasets of all tenants, as far as the ledger has been followed. Any thread."""

    def __init__(self, rows: DefinitionRows) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._known: dict[str, Defined] = {}
        #: Where each dataset that was not removed was first defined, though that row be erased by now.
        self._born: dict[str, int] = {}
        self._seq = 0

    def follow(self) -> list[str]:
        """Take in what the ledger has further; return the ids of datasets that went."""
        with self._lock:
            gone: list[str] = []
            while page := self._rows.of_datasets(self._seq, _PAGE):
                gone += self._take(page)
            return [key for key in gone if key not in self._known]

    def get(self, dataset_id: str) -> Defined | None:
        """Return a dataset, whosever it is."""
        return self._known.get(dataset_id)

    def found(self, tenant: TenantId, dataset_id: str) -> Defined:
        """Return a dataset that a tenant may read.

        Raises:
            NotFoundError: there is none, or it is another tenant's.
        """
        defined = self._known.get(dataset_id)
        if defined is None or defined.tenant not in (tenant, SHARED_TENANT):
            raise no_dataset(dataset_id)
        return defined

    def own(self, tenant: TenantId, dataset_id: str) -> Defined:
        """Return a dataset that a tenant may write to.

        Raises:
            NotFoundError: there is none, or it is another tenant's. ForbiddenError: it is the shared one's.
        """
        defined = self.found(tenant, dataset_id)
        if defined.tenant != tenant:
            raise ForbiddenError(
                f"The dataset {dataset_id!r} is shared: only who acts for {SHARED_TENANT!r} writes to it."
            )
        return defined

    def of(self, tenant: TenantId, *, own: bool = False) -> list[Defined]:
        """Return the datasets that a tenant may read, or its own alone, oldest first."""
        owners = (tenant,) if own else (tenant, SHARED_TENANT)
        there = [one for one in list(self._known.values()) if one.tenant in owners]
        return sorted(there, key=lambda one: (one.record.created_at, one.record.id))

    def named(self, tenant: TenantId, name: str) -> Defined | None:
        """Return a tenant's own dataset of this name."""
        for one in self.of(tenant, own=True):
            if one.record.name == name:
                return one
        return None

    def ids(self) -> frozenset[str]:
        """Return the ids of all datasets."""
        return frozenset(self._known)

    def _take(self, entries: Iterable[Entry]) -> list[str]:
        gone = []
        for entry in entries:
            self._seq = entry.seq
            if entry.kind == DELETE_DATASET:
                self._born.pop(entry.key, None)
                if self._known.pop(entry.key, None):
                    gone.append(entry.key)
            else:
                born = self._born.setdefault(entry.key, entry.seq)
                if not is_erased(entry.payload):
                    self._known[entry.key] = Defined(entry.tenant, read_dataset(entry.payload), born)
        return gone
