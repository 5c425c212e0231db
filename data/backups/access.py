"""Keys and tenants across a restore: what was revoked, suspended or erased since the backup stays so.

Called by the restore once the new ledger is staged. The old one knows the present state of every key; where
the staged one says otherwise, the present state is written after its end. Invariant: no key that was revoked,
and no tenant that was erased, in either of the two is let in afterwards; what a backup brings back of an
erased tenant is erased again, by whoever opens the home.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import msgspec

from data import changes
from data.access.records import SYSTEM_TENANT, KeyRecord, TenantRecord
from data.backups.staging import Staging
from data.clock import SystemClock
from data.errors import CorruptDataError
from data.knowledge import Change
from data.ledger import Ledger
from data.ledger_erasure import ERASE, ErasureRow, read_erasure
from data.redaction import is_erased

#: The last record of every key, tenant and erasure.
_LAST = f"""
SELECT kind, key, payload FROM entries WHERE seq IN
    (SELECT max(seq) FROM entries WHERE kind IN ('key.put', 'tenant.put', '{ERASE}') GROUP BY kind, key)
ORDER BY seq
"""  # noqa: S608 - a constant
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
    erasures: dict[str, ErasureRow]


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
        *(
            _asked_again(tenant, row, staging.end.sha256)
            for tenant, row in sorted(present.erasures.items())
            if tenant not in staged.erasures
        ),
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
    found = _Access({}, {}, {})
    with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
        for kind, key, payload in connection.execute(_LAST):
            if is_erased(payload):
                continue
            if kind == "key.put":
                found.keys[key] = changes.read_key(payload)
            elif kind == "tenant.put":
                found.tenants[key] = changes.read_tenant(payload)
            else:
                found.erasures[key] = read_erasure(payload)
    return found


def _asked_again(tenant: str, row: ErasureRow, head: str) -> Change:
    """Return the row that has a tenant erased; it comes after those that close the tenant."""
    asked = replace(row, state="asked", head=head, report={})
    return Change(ERASE, tenant, msgspec.json.encode(asked, order="sorted"), SYSTEM_TENANT, _ACTOR)


def _append(path: Path, rows: list[Change]) -> None:
    if not rows:
        return
    ledger = Ledger(path, SystemClock())
    try:
        ledger.append(rows)
    finally:
        ledger.close()
