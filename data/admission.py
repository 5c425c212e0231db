"""What may be written now: nothing for a tenant that is erased, nothing beyond a tenant's quotas.

Asked by the keeper for each group of writes, under its lock and before the ledger. Invariant: what it lets
pass together keeps every quota, whoever writes at the same time; replacing a thing is never refused.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import msgspec

from data import segments
from data.access.records import SYSTEM_TENANT, TenantRecord
from data.catalogue import CatalogueKind, CatalogueQuery, CatalogueRow
from data.changes import read_segment_ref
from data.claims import TenantId
from data.datasets.admission import KINDS as DATASET_KINDS
from data.datasets.admission import DatasetAdmission
from data.datasets.ledger_rows import DatasetRows
from data.errors import ForbiddenError, KiteError, QuotaError
from data.knowledge import Change
from data.ledger import Ledger, Writing
from data.ledger_erasure import erasures
from data.limits.policy import Quotas
from data.redaction import content_of

#: The quota of what a change adds, and what it is in the catalogue.
_KINDS: dict[str, tuple[str, CatalogueKind]] = {
    "document": ("documents", "document"),
    "fact": ("facts", "fact"),
    "graph": ("graph_loads", "graph"),
    "source": ("sources", "source"),
    "pattern": ("patterns", "pattern"),
}
#: Kinds of segments as kinds of changes.
_LOADED = {"documents": "document", "facts": "fact", "graph": "graph", "sources": "source"}

#: Whose things of which kind.
Shelf = tuple[TenantId, str]


class Counted(Protocol):
    """The views, as far as they are counted here."""

    def live_count(self, kind: str, tenant: TenantId) -> int:
        """Return how many things of a kind a tenant itself has now."""
        ...

    def live_keys(self, tenant: TenantId) -> set[str]:
        """Return the keys of a tenant's graph loads."""
        ...

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return one thing."""
        ...


class Admission:
    """Lets writes pass or refuses them. One thread at a time."""

    def __init__(self, ledger: Ledger, views: Counted, home: Path) -> None:
        self._ledger = ledger
        self._views = views
        self._home = home
        #: At most so many things are there: deletions are not counted until the quota is reached.
        self._known: dict[Shelf, int] = {}
        self._erased = frozenset(erasures(ledger))
        self._datasets = DatasetAdmission(DatasetRows(home / "ledger" / "ledger.sqlite"))

    def forget(self) -> None:
        """Count anew from now on: something was written past this, or was not written after all."""
        self._known.clear()
        self._datasets.forget()
        self._erased = frozenset(erasures(self._ledger))

    def refusals(self, writings: Sequence[Writing]) -> list[KiteError | None]:
        """Return, a writing, why it is refused; what passes is taken for written from now on."""
        waiting: dict[Shelf, set[str]] = defaultdict(set)
        quotas: dict[TenantId, Quotas | None] = {}
        if any(change.kind in DATASET_KINDS for one in writings for change in one.changes):
            self._datasets.begin()
        return [self._refusal(one, waiting, quotas) for one in writings]

    def _refusal(
        self, writing: Writing, waiting: dict[Shelf, set[str]], quotas: dict[TenantId, Quotas | None]
    ) -> KiteError | None:
        changes = writing.changes
        # The erasure's own rows go past this: its word on the tenant and its keys is the last.
        for tenant in {_owner(change) for change in changes} & self._erased:
            return ForbiddenError(f"The tenant {tenant} is erased: nothing can be written for it.")
        wanted: dict[Shelf, set[str]] = {}
        for change in changes:
            store = change.kind.partition(".")[0]
            if change.kind == "segment.load" or (store in _KINDS and change.kind.endswith(".put")):
                if change.tenant not in quotas:
                    quotas[change.tenant] = self._quotas(change.tenant)
                self._gather(change, store, quotas[change.tenant], wanted)
        for shelf, ids in wanted.items():
            most = getattr(quotas[shelf[0]], _KINDS[shelf[1]][0])
            if not self._fits(shelf, ids, waiting[shelf], most) and not self._is_written(writing):
                return QuotaError(
                    f"The tenant may keep {most} {_KINDS[shelf[1]][0].replace('_', ' ')}: "
                    "delete some, or ask for a higher quota."
                )
        for shelf, ids in wanted.items():
            waiting[shelf] |= ids
        if any(change.kind in DATASET_KINDS for change in changes) and not self._is_written(writing):
            return self._datasets.refusal(changes, self._quotas)
        return None

    def _is_written(self, writing: Writing) -> bool:
        """Return whether this was written before: a retry is answered as it was then."""
        key = writing.idempotency_key
        return key is not None and self._ledger.is_written(writing.changes[0].tenant, key)

    def _gather(
        self, change: Change, store: str, quotas: Quotas | None, wanted: dict[Shelf, set[str]]
    ) -> None:
        """Note what a change adds, where there is a quota on it."""
        ids: Sequence[str] = (change.key,)
        if change.kind == "segment.load":
            ref = read_segment_ref(change.payload)
            store = _LOADED[ref.kind]
        if quotas is None or getattr(quotas, _KINDS[store][0]) is None:
            return
        if change.kind == "segment.load" and store != "graph":
            ids = segments.ids_in(self._home, ref)
        wanted.setdefault((change.tenant, store), set()).update(ids)

    def _fits(self, shelf: Shelf, ids: set[str], waiting: set[str], most: int) -> bool:
        known = self._known.get(shelf)
        if known is not None and known + len(ids) <= most:
            self._known[shelf] = known + len(ids)
            return True
        there = self._views.live_count(_KINDS[shelf[1]][1], shelf[0])
        total = there + len(self._missing(shelf, ids | waiting))
        if total > most and self._missing(shelf, ids - waiting):
            return False
        self._known[shelf] = total
        return True

    def _missing(self, shelf: Shelf, ids: set[str]) -> set[str]:
        tenant, store = shelf
        if store == "graph":
            return ids - self._views.live_keys(tenant)
        kind = _KINDS[store][1]
        return {one for one in ids if not self._views.listed(CatalogueQuery(kind, tenant, one, own=True))}

    def _quotas(self, tenant: TenantId) -> Quotas | None:
        entry = self._ledger.latest(SYSTEM_TENANT, "tenant.put", tenant)
        if entry is None:
            return None
        return msgspec.json.decode(content_of(entry.payload), type=TenantRecord).quotas


def _owner(change: Change) -> TenantId:
    """Return whose a change is: a tenant's record stands under the installation and is the tenant's own."""
    return TenantId(change.key) if change.kind == "tenant.put" else change.tenant
