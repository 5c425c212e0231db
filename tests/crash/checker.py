"""What must hold after a crash, checked against the writers' memory and against a fold of the ledger.

Called by ``tests.crash.runs`` in a process of its own, which opens the home as a restarted keeper does.
The fold here shares no code with the views; beside it every view is built anew and compared by its digest.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from data import changes, segments
from data.claims import TenantId
from data.keeper import Keeper
from data.knowledge import Change
from data.ledger import Entry
from data.redaction import is_redacted, payload_sha256
from data.views.facts import FactFilter
from data.views.library import Library
from tests.crash.house import open_keeper, open_vectors
from tests.crash.writers import TENANTS, Write

MANY = 1_000_000


@dataclass(slots=True)
class Found:
    """What a check saw: rows in the ledger, faults in words, and which unanswered writes had happened."""

    rows: int = 0
    erased: int = 0
    faults: list[str] = field(default_factory=list)
    happened: int = 0


def check(home: Path, writes: Sequence[Write]) -> Found:
    """Open the home and compare."""
    found = Found()
    keeper = open_keeper(home)
    try:
        _wait_for_compaction(keeper)
        entries = keeper.read_entries(0, MANY)
        found.rows = len(entries)
        found.erased = sum(is_redacted(entry.payload) for entry in entries)
        if keeper.verify() != len(entries):
            found.faults.append("the chain is shorter than the ledger")
        _check_writes(entries, writes, found)
        _check_state(keeper, home, entries, found)
        _check_digests(keeper, home, entries, found)
    finally:
        keeper.close()
    return found


def _wait_for_compaction(keeper: Keeper) -> None:
    """Wait until a compaction that was cut off is finished, as a restarted keeper does by itself."""
    if keeper._compaction:
        keeper._compaction.join(timeout=120.0)


def _said(row: Entry | Change) -> tuple[str, str, str, bytes]:
    """Return what a row or a change says; an erased payload is known by its hash."""
    return row.tenant, row.kind, row.key, payload_sha256(row.payload)


def _check_writes(entries: Sequence[Entry], writes: Sequence[Write], found: Found) -> None:
    place = {_said(entry): entry.seq for entry in entries}
    rows = sum(entry.kind == "ledger.compact" for entry in entries)
    for write in writes:
        seq = place.get(_said(write.changes[0]))
        if write.receipt is not None and seq != write.receipt[0]:
            found.faults.append(f"acknowledged at {write.receipt}, found at {seq}: {write.key}")
        if seq is None:
            continue
        found.happened += write.receipt is None
        there = entries[seq - 1 : seq - 1 + len(write.changes)]
        if [_said(one) for one in there] != [_said(one) for one in write.changes]:
            found.faults.append(f"not whole at {seq}: {write.key}")
        rows += len(write.changes)
    if rows != len(entries):
        # Each write counted once is all there is: nothing twice, nothing torn, nothing else.
        found.faults.append(f"{len(entries)} rows, and the writes make {rows}")


def _check_state(keeper: Keeper, home: Path, entries: Sequence[Entry], found: Found) -> None:
    state = fold(home, entries)
    counts = Counter(kind for kind, _, _ in state)
    counts["verdict"] = sum(entry.kind == "verdict.put" for entry in entries)
    told = {name: each.counts for name, each in keeper.states().items()}
    shown = {
        "document": told["passages"]["documents"],
        "source": told["passages"]["sources"],
        "fact": told["facts"]["facts"],
        "graph": told["graph"]["graphs"],
        "verdict": told["history"]["verdicts"],
    }
    if shown != {kind: counts[kind] for kind in shown}:
        found.faults.append(f"views show {shown}, the ledger has {dict(counts)}")
    for tenant in TENANTS:
        facts = {fact.id: fact for fact in keeper.facts(tenant, FactFilter(limit=MANY))}
        if facts != {
            key: value for (kind, own, key), value in state.items() if (kind, own) == ("fact", tenant)
        }:
            found.faults.append(f"facts of {tenant} differ")
    for (kind, tenant, key), value in state.items():
        if kind == "document" and keeper.document(TenantId(tenant), key) != value:
            found.faults.append(f"document {key} of {tenant} differs")


def fold(home: Path, entries: Sequence[Entry]) -> dict[tuple[str, str, str], Any]:
    """Return what is there after these rows, by kind, tenant and id."""
    state: dict[tuple[str, str, str], Any] = {}
    for entry in entries:
        kind, _, verb = entry.kind.partition(".")
        if entry.kind == "segment.load":
            for one in segments.read_documents(home, changes.read_segment_ref(entry.payload)):
                state["document", entry.tenant, one.document.id] = one.document
        elif verb == "delete" or is_redacted(entry.payload):
            state.pop((kind, entry.tenant, entry.key), None)
        elif kind == "fact":
            state[kind, entry.tenant, entry.key] = changes.read_fact(entry.payload)
        elif kind == "document":
            state[kind, entry.tenant, entry.key] = changes.read_document(entry.payload)[0]
        elif kind in {"graph", "source"}:
            state[kind, entry.tenant, entry.key] = msgspec.json.decode(entry.payload)
    return state


def _check_digests(keeper: Keeper, home: Path, entries: Sequence[Entry], found: Found) -> None:
    folder = Path(tempfile.mkdtemp(prefix="anew-", dir=home.parent))
    try:
        (folder / segments.FOLDER).symlink_to(home / segments.FOLDER)
        (home / segments.FOLDER).mkdir(exist_ok=True)
        anew, vectors = Library(folder), open_vectors(home, folder / "vectors")
        anew.apply(entries)
        vectors.apply(entries)
        for served, fresh in zip(keeper.views(), anew.views(), strict=True):
            if served.digest() != fresh.digest():
                found.faults.append(f"the view {served.name} is not what the ledger gives")
        if keeper._vectors.digest() != vectors.digest():  # type: ignore[attr-defined]
            found.faults.append("the vectors are not what the ledger gives")
        anew.close()
    finally:
        shutil.rmtree(folder)
