"""Taking a tenant's rows out of the ledger's file: payloads, ids and authors, and what requests were named.

Called by ``data.erasure`` inside the keeper. Invariant: all of it, and the new hashes of every later row, is
one transaction; a row that does not hold stops it before anything is changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import msgspec

from data import segments
from data.access.records import SYSTEM_TENANT
from data.changes import read_segment_ref
from data.claims import TenantId
from data.ledger import Entry, Ledger
from data.redaction import content_of, is_erased, is_redacted, redacted

#: The kind of the rows that ask for an erasure and prove it; their key is the tenant.
ERASE = "tenant.erase"
#: What stands in place of an author.
NOBODY = "erased"
_PAGE = 2_000


@dataclass(frozen=True, slots=True)
class ErasureRow:
    """The payload of ``tenant.erase``: what there was, the chain's end then, and, once done, the proof."""

    state: Literal["asked", "done"]
    counts: dict[str, int]
    head: str
    backups: tuple[str, ...] = ()
    report: dict[str, Any] = field(default_factory=dict)


def read_erasure(payload: bytes) -> ErasureRow:
    """Return the row of a ``tenant.erase`` payload."""
    return msgspec.json.decode(content_of(payload), type=ErasureRow)


def last_erasure(ledger: Ledger, tenant: TenantId) -> tuple[int, ErasureRow] | None:
    """Return the last row on a tenant's erasure with its position, ``None`` where none was asked."""
    entry = ledger.latest(SYSTEM_TENANT, ERASE, tenant)
    return (entry.seq, read_erasure(entry.payload)) if entry else None


def erasures(ledger: Ledger) -> dict[TenantId, ErasureRow]:
    """Return every tenant that was, or is to be, erased with its last row."""
    return {
        TenantId(entry.key): read_erasure(entry.payload) for entry in ledger.entries_of(SYSTEM_TENANT, ERASE)
    }


def held_in_ledger(ledger: Ledger, home: Path, tenant: TenantId) -> dict[str, int]:
    """Count the rows that still tell something of a tenant, its segments, and the names of its requests."""
    rows, files = 0, 0
    for entry in chain(ledger.entries_of(tenant), _records(ledger, tenant)):
        rows += _tells(ledger, entry)
        files += _holds_segment(home, entry)
    return {"ledger: rows": rows, "ledger: requests": ledger.requests_of(tenant), "segments": files}


def erase_rows(ledger: Ledger, home: Path, tenant: TenantId, *, before: int) -> None:
    """Take out every row of a tenant up to the position ``before``, and the earlier records of the tenant.

    Rows written for it in the same breath as the row that asked (revoked keys) tell nothing and stay.

    Raises:
        CorruptDataError: the ledger or a segment is damaged; nothing is changed.
    """
    changed: dict[int, Entry] = {}
    discarded: list[str] = []
    for entry in chain(ledger.entries_of(tenant), _records(ledger, tenant)):
        if entry.seq < before and _tells(ledger, entry):
            changed[entry.seq] = _bare(home, entry, discarded)
    ledger.replace_rows(changed, tenant, discarded)


def _records(ledger: Ledger, tenant: TenantId) -> Iterator[Entry]:
    """Yield what the installation kept of a tenant: its records, which have its name."""
    yield from (entry for entry in ledger.entries_of(SYSTEM_TENANT, "tenant.put") if entry.key == tenant)


def _is_last_record(ledger: Ledger, entry: Entry) -> bool:
    """Return whether this is the last word on a key, dataset or tenant to be erased: it tells nothing."""
    if entry.kind not in {"key.put", "tenant.put", "dataset.delete"}:
        return False
    last = ledger.latest(entry.tenant, entry.kind, entry.key)
    of = TenantId(entry.key) if entry.kind == "tenant.put" else entry.tenant
    return last is not None and last.seq == entry.seq and last_erasure(ledger, of) is not None


def _tells(ledger: Ledger, entry: Entry) -> bool:
    """Return whether a row still tells something of its tenant."""
    is_bare = entry.actor == NOBODY and is_redacted(entry.payload)
    return not is_bare and not _is_last_record(ledger, entry)


def _bare(home: Path, entry: Entry, discarded: list[str]) -> Entry:
    """Return a row that tells no more than that there was one; a bulk load points to an empty file."""
    rest = b""
    if entry.kind == "segment.load" and not is_erased(entry.payload):
        ref = read_segment_ref(entry.payload)
        empty = segments.write_rest(home, ref, [])
        if empty.uri != ref.uri:
            discarded.append(ref.uri)
        rest = msgspec.json.encode(empty, order="sorted")
    key = entry.key if entry.kind in {"key.put", "tenant.put"} else f"erased:{entry.seq}"
    payload = redacted(entry.payload, rest)
    return Entry(entry.seq, entry.ts, entry.tenant, NOBODY, entry.kind, key, payload, b"")


def _holds_segment(home: Path, entry: Entry) -> bool:
    if entry.kind != "segment.load" or is_erased(entry.payload):
        return False
    ref = read_segment_ref(entry.payload)
    return ref.rows > 0 and (home / ref.uri).exists()
