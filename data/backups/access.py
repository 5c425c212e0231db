"""Keys and tenants across a restore: what was revoked, suspended or erased since the backup stays so.

Called by the restore once the new ledger is staged. The old one knows the present state of every key; where
the staged one says otherwise, the present state is written after its end. Invariant: no key that was revoked,
and no tenant that was erased, in either of the two is let in afterwards.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from data import changes
from data.access.records import KeyRecord, TenantRecord
from data.backups.staging import Staging
from data.clock import SystemClock
from data.errors import CorruptDataError
from data.knowledge import Change
from data.ledger import Ledger

#: The last record of every key and tenant.
_LAST = """
SELECT kind, payload FROM entries WHERE seq IN
    (SELECT max(seq) FROM entries WHERE kind IN ('key.put', 'tenant.put') GROUP BY kind, key)
ORDER BY seq
"""
#: As whose work it stands in the ledger.
_ACTOR = "restore"
_UNKNOWN = (
    "{} What was revoked, suspended or erased after the last position restored is not known here: "
    "list keys and tenants, and do it again."
)

Record = TypeVar("Record", KeyRecord, TenantRecord)


@dataclass(frozen=True, slots=True)
class Carried:
    """How many rows were written after the restored ones, and what a person has to look after."""

    rows: int
    note: str | None = None


@dataclass(frozen=True, slots=True)
class _Access:
    keys: dict[str, KeyRecord]
    tenants: dict[str, TenantRecord]


def carry_access(old: Path, staging: Staging) -> Carried:
    """Write after the staged rows how keys and tenants stand in the ledger ``old``, where that differs.

    Raises:
        CorruptDataError: the staged ledger cannot be read.
    """
    staged = _read(staging.ledger)
    if not old.exists():
        told = _UNKNOWN.format("There was no ledger before.") if staged.keys or staged.tenants else None
        return Carried(0, told)
    try:
        present = _read(old)
    except (sqlite3.Error, CorruptDataError):
        return Carried(0, _UNKNOWN.format("The ledger before cannot be read."))
    rows = [
        *(changes.put_tenant(one, actor=_ACTOR) for one in _differing(present.tenants, staged.tenants)),
        *(changes.put_key(one, actor=_ACTOR) for one in _differing(present.keys, staged.keys)),
    ]
    _append(staging.ledger, rows)
    return Carried(len(rows))


def _differing(present: dict[str, Record], staged: dict[str, Record]) -> list[Record]:
    """Return the records that must be written, sorted by id."""
    joined = {name: _joined(one, staged[name]) if name in staged else one for name, one in present.items()}
    return [one for name, one in sorted(joined.items()) if staged.get(name) != one]


def _joined(present: Record, staged: Record) -> Record:
    """Return the present record, with an end that only the staged one knows."""
    if isinstance(present, KeyRecord) and isinstance(staged, KeyRecord):
        revoked = [one.revoked_s for one in (present, staged) if one.revoked_s is not None]
        expires = [one.expires_s for one in (present, staged) if one.expires_s is not None]
        return replace(present, revoked_s=min(revoked, default=None), expires_s=min(expires, default=None))
    if isinstance(staged, TenantRecord) and staged.state == "erased":
        return staged
    return present


def _read(path: Path) -> _Access:
    keys, tenants = dict[str, KeyRecord](), dict[str, TenantRecord]()
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for kind, payload in connection.execute(_LAST):
            if kind == "key.put":
                key = changes.read_key(payload)
                keys[key.id] = key
            else:
                tenant = changes.read_tenant(payload)
                tenants[tenant.id] = tenant
    return _Access(keys, tenants)


def _append(path: Path, rows: list[Change]) -> None:
    if not rows:
        return
    ledger = Ledger(path, SystemClock())
    try:
        ledger.append(rows)
    finally:
        ledger.close()
