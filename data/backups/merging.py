"""Restoring into a running system: what is missing comes back as ordinary changes, written by the keeper.

Called by ``tasks.backup restore --into-running``. The past of the ledger stays as it is; a restore is one
more thing that happened. Invariant: what is written is the difference between the state in the backup and
the state now, so a merge that was cut off and is started again finishes and writes nothing twice.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import msgspec

from data import changes, segments
from data.backups.creation import Place
from data.backups.plan import Plan, planned_rows
from data.backups.source import LedgerSource, backup_lock, ledger_path, writable
from data.backups.staging import Staging
from data.backups.worker import segment_content
from data.chain import PAGE_BYTES
from data.changes import SegmentRef, read_segment_ref
from data.claims import TenantId
from data.datasets.changes import DELETE_DATASET, VECTOR_KINDS
from data.errors import InvalidValueError
from data.knowledge import Change
from data.ledger import Entry
from data.ports import WriteReceipt
from data.redaction import is_erased

#: Chosen stores: the kinds of things that a ledger holds.
STORES = ("document", "fact", "source", "pattern", "graph", "verdict", "feedback", "calibration", "dataset")
#: What was said stays said: these come back but are neither changed nor removed. So does a vector dataset:
#: one that is gone comes back whole, one that is there stays as it is.
_HISTORY = frozenset({"verdict", "feedback", "calibration", "dataset"})
_BATCH = 500
#: What a thing is called: its store and its id.
Key = tuple[str, str]


class Appends(Protocol):
    """What takes changes: the keeper, or a link to it."""

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write all or nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Merge:
    """What is to come back. ``tenant`` ``None``: everybody's; ``stores`` ``None``: all of ``STORES``.

    Without ``exact`` only what is gone comes back; with it, what was changed since is changed back and what
    was added since is removed.
    """

    tenant: TenantId | None = None
    stores: frozenset[str] | None = None
    exact: bool = False

    def __post_init__(self) -> None:
        """Refuse a store that does not exist."""
        for name in sorted(self.stores or ()):
            if name not in STORES:
                raise InvalidValueError(f"There is no store {name!r}: use some of {', '.join(STORES)}.")


@dataclass(frozen=True, slots=True)
class Merged:
    """What was written (or would be): by store how many things came back, and how many were removed."""

    restored: dict[str, int]
    removed: dict[str, int]
    seq: int
    dry_run: bool


@dataclass(frozen=True, slots=True)
class _Thing:
    """How a thing is: a digest of its value, the row that made it, and the segment if it came with one."""

    digest: bytes
    seq: int
    segment: SegmentRef | None = None


def merge(place: Place, chosen: Plan, keeper: Appends, *, wanted: Merge, dry_run: bool = False) -> Merged:
    """Write, through the keeper, what the backup has and the running system lacks.

    What other callers write meanwhile to the same things may be written over.

    Raises:
        CorruptDataError: a file of the backup is damaged; nothing was written. StoreUnavailableError: the
        keeper went away in between: start again, and the rest is written.
    """
    restored: Counter[str] = Counter()
    removed: Counter[str] = Counter()
    with writable(place.home), backup_lock(place.home):
        staging = Staging(place.home)
        try:
            staging.fill(planned_rows(place, chosen))
            stored = {file.name: file for file in chosen.files() if file.role == "segment"}
            for uri, ref in sorted(staging.loads.items()):
                staging.write(uri, segment_content(place.target, place.sealer, ref, file=stored.get(uri)))
            with LedgerSource(staging.ledger) as past, LedgerSource(ledger_path(place.home)) as now:
                seq = now.head().seq
                tenants = [wanted.tenant] if wanted.tenant else sorted({*past.tenants(), *now.tenants()})
                for tenant in tenants:
                    then = _chosen(_state(past.entries_of(tenant), staging.home), wanted)
                    here = _chosen(_state(now.entries_of(tenant), place.home), wanted)
                    back, gone = difference(then, here, exact=wanted.exact)
                    restored.update(key[0] for key in back)
                    removed.update(key[0] for key in gone)
                    if dry_run:
                        continue
                    written = _writing(past, staging, tenant, {key: then[key] for key in back})
                    _append(place.home, staging, keeper, [*written, *_removals(gone, tenant)], seq=seq)
        finally:
            staging.discard()
    return Merged(dict(sorted(restored.items())), dict(sorted(removed.items())), seq, dry_run)


def difference(
    then: dict[Key, _Thing], here: dict[Key, _Thing], *, exact: bool
) -> tuple[list[Key], list[Key]]:
    """Return what has to come back and what has to go for ``here`` to have what ``then`` had."""
    back, gone = [], []
    for key, thing in sorted(then.items()):
        other = here.get(key)
        if other is None or (exact and other.digest != thing.digest and key[0] not in _HISTORY):
            back.append(key)
    if exact:
        gone = [key for key in sorted(here) if key not in then and key[0] not in _HISTORY]
    return back, gone


def _chosen(state: dict[Key, _Thing], wanted: Merge) -> dict[Key, _Thing]:
    stores = wanted.stores or STORES
    return {key: thing for key, thing in state.items() if key[0] in stores}


def _state(entries: Iterable[Entry], home: Path) -> dict[Key, _Thing]:
    """Return what a tenant has after these rows, by its key."""
    state: dict[Key, _Thing] = {}
    for entry in entries:
        store, _, verb = entry.kind.partition(".")
        if entry.kind == "segment.load":
            ref = read_segment_ref(entry.payload)
            for key, value in _values_of(home, ref):
                state[key] = _Thing(_digest(value), entry.seq, ref)
        elif verb == "delete":
            state.pop((store, entry.key), None)
        elif not is_erased(entry.payload):  # what was erased has been replaced or removed
            state[store, entry.key] = _Thing(_digest(_value(entry)), entry.seq)
    return state


def _value(entry: Entry) -> Any:
    """Return what a row stores, comparable with what a segment stores."""
    if entry.kind == "document.put":
        return changes.read_document(entry.payload)[0]
    if entry.kind == "fact.put":
        return changes.read_fact(entry.payload)
    if entry.kind == "source.put":
        return changes.read_source(entry.payload)
    return entry.payload


def _values_of(home: Path, ref: SegmentRef) -> Iterator[tuple[Key, Any]]:
    if ref.kind == "documents":
        for one in segments.read_documents(home, ref):
            yield ("document", one.document.id), one.document
    elif ref.kind == "facts":
        for fact in segments.read_facts(home, ref):
            yield ("fact", fact.id), fact
    elif ref.kind == "sources":
        for source in segments.read_sources(home, ref):
            yield ("source", source.id), source
    else:
        yield ("graph", ref.uri), segments.read_graph(home, ref)


def _digest(value: Any) -> bytes:
    content = value if isinstance(value, bytes) else msgspec.json.encode(value, order="sorted")
    return hashlib.sha256(content).digest()


def _writing(
    past: LedgerSource, staging: Staging, tenant: TenantId, back: dict[Key, _Thing]
) -> Iterator[Change]:
    """Yield the changes that bring things back: as they were written, or with the whole segment if it was."""
    loaded: dict[str, SegmentRef] = {}
    numbers: Counter[str] = Counter()
    for thing in back.values():
        if thing.segment is None:
            entry = past.entry(thing.seq)
            yield Change(entry.kind, entry.key, entry.payload, tenant, "restore")
        else:
            loaded[thing.segment.uri] = thing.segment
            numbers[thing.segment.uri] += 1
    yield from _vectors_of({key for store, key in back if store == "dataset"}, past, tenant)
    for uri, ref in sorted(loaded.items()):
        if ref.kind == "graph" or numbers[uri] == ref.rows:
            yield changes.load_segment(ref, tenant, actor="restore")
            continue
        for key, value in _values_of(staging.home, ref):
            if key in back and back[key].segment == ref:
                yield _put(key, value, tenant)


def _vectors_of(datasets: set[str], past: LedgerSource, tenant: TenantId) -> Iterator[Change]:
    """Yield what was written to datasets that come back, in its order."""
    if not datasets:
        return
    # What was written to one that was removed and made again is the later one's alone.
    born = {entry.key: entry.seq for entry in past.entries_of(tenant) if entry.kind == DELETE_DATASET}
    for entry in past.entries_of(tenant):
        is_written = entry.key in datasets and entry.kind in VECTOR_KINDS and not is_erased(entry.payload)
        if is_written and entry.seq > born.get(entry.key, 0):
            yield Change(entry.kind, entry.key, entry.payload, tenant, "restore")


def _put(key: Key, value: Any, tenant: TenantId) -> Change:
    if key[0] == "document":
        return changes.put_document(value, tenant, actor="restore")
    if key[0] == "fact":
        return changes.put_fact(value, tenant, actor="restore")
    return changes.put_source(value, tenant, actor="restore")


def _removals(gone: Iterable[Key], tenant: TenantId) -> Iterator[Change]:
    for store, name in gone:
        yield Change(f"{store}.delete", name, b"{}", tenant, "restore")


def _batches(wanted: Iterable[Change]) -> Iterator[list[Change]]:
    """Yield changes to be written together: so many, or so many bytes."""
    batch: list[Change] = []
    for change in wanted:
        batch.append(change)
        if len(batch) >= _BATCH or sum(len(one.payload) for one in batch) >= PAGE_BYTES:
            yield batch
            batch = []
    if batch:
        yield batch


def _append(home: Path, staging: Staging, keeper: Appends, wanted: Iterable[Change], *, seq: int) -> None:
    for number, batch in enumerate(_batches(wanted)):
        for change in batch:
            if change.kind == "segment.load":
                segments.durable_write(home / change.key, staging.path(change.key).read_bytes())
        digest = hashlib.sha256(
            b"".join(_digest([c.tenant, c.kind, c.key, c.payload]) for c in batch)
        ).hexdigest()
        # The position makes the key of another restore another one; the content, that of another batch.
        keeper.append(batch, idempotency_key=f"restore/{seq}/{number}/{digest}")
