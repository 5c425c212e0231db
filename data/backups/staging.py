"""A restored home before it is one: a ledger, segments and views beside those in use.

Called by the restore and the merge. Everything lies in ``ledger/restoring`` under the home. Invariant:
nothing that is in use is touched here; a folder left behind by a restore that was killed is thrown away by
the next.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import msgspec

from data.backups.manifest import Position
from data.backups.parts import Row
from data.backups.source import START
from data.changes import SegmentRef, read_segment_ref
from data.claims import TenantId
from data.clock import SystemClock
from data.durable import sync_folder
from data.errors import CorruptDataError
from data.ledger import GENESIS, Entry, Ledger, chained

_INSERT_ROW = "INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_REQUEST = "INSERT OR REPLACE INTO idempotency VALUES (?, ?, ?, ?, ?)"
_INDEXES = "SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL"


class Staging:
    """The folder of a restore under way, with its ledger open for filling. One thread."""

    def __init__(self, home: Path) -> None:
        self.folder = home / "ledger" / "restoring"
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.ledger = self.folder / "ledger.sqlite"
        self.end = START
        self.rows: Counter[str] = Counter()
        self.loads: dict[str, SegmentRef] = {}

    def fill(self, pages: Iterable[list[Row]]) -> None:
        """Write the ledger from its rows, in order, and check that it holds them.

        Raises:
            CorruptDataError: the ledger that came out is not the one that went in.
        """
        Ledger(self.ledger, SystemClock()).close()
        with closing(sqlite3.connect(self.ledger, isolation_level=None)) as connection:
            # Nothing here has to survive a crash: the next restore begins again. Indexes are made once, at
            # the end, when the ledger is opened below.
            connection.execute("PRAGMA journal_mode=OFF")
            connection.execute("PRAGMA synchronous=OFF")
            for (name,) in connection.execute(_INDEXES).fetchall():
                connection.execute(f'DROP INDEX "{name}"')
            connection.execute("BEGIN")
            for page in pages:
                self._insert(connection, page)
            connection.execute("COMMIT")
        made = Ledger(self.ledger, SystemClock())
        head, last = made.head(), made.read(max(self.end.seq - 1, 0), 1)
        made.close()
        if head != self.end.seq or (last and last[-1].sha256.hex() != self.end.sha256):
            raise CorruptDataError(
                f"The restored ledger ends at seq {head}, not at {self.end.seq}: restore again."
            )
        sync_folder(self.ledger)

    def write(self, name: str, chunks: Iterable[bytes]) -> None:
        """Write a file that will lie at ``name`` under the home."""
        path = self.home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            for chunk in chunks:
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())

    def names(self) -> list[str]:
        """Return the files written, sorted."""
        root = self.home
        return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())

    @property
    def home(self) -> Path:
        """The folder that will become part of the home."""
        return self.folder / "home"

    def path(self, name: str) -> Path:
        """Return where a written file lies for now."""
        return self.home / name

    def discard(self) -> None:
        """Throw everything away."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _insert(self, connection: sqlite3.Connection, page: list[Row]) -> None:
        if not page:
            return
        entries = [row.entry for row in page]
        connection.executemany(_INSERT_ROW, [_values(entry) for entry in entries])
        connection.executemany(
            _INSERT_REQUEST,
            [
                (one.tenant, one.key, one.first_seq, row.entry.seq, one.request)
                for row in page
                for one in row.requests
            ],
        )
        self.rows.update(entry.kind for entry in entries)
        loads = (read_segment_ref(entry.payload) for entry in entries if entry.kind == "segment.load")
        self.loads.update((ref.uri, ref) for ref in loads)
        self.end = Position(entries[-1].seq, entries[-1].sha256.hex(), entries[-1].ts)


def rows_of_tenant(pages: Iterable[list[Row]], tenant: TenantId) -> Iterator[list[Row]]:
    """Yield a tenant's rows as a ledger of their own: numbered and chained anew, the rest as it was.

    Compactions come along, at their new horizon: what was erased is refused in the new ledger too.
    """
    last, numbers = GENESIS, dict[int, int]()
    for page in pages:
        kept = []
        for row in page:
            entry = _asked_for(row.entry, tenant, numbers)
            if entry is None:
                continue
            numbers[entry.seq] = seq = len(numbers) + 1
            entry = _renumbered(entry, seq, last)
            last = entry.sha256
            requests = tuple(
                type(one)(one.tenant, one.key, numbers.get(one.first_seq, seq), one.request)
                for one in row.requests
                if one.tenant == tenant
            )
            kept.append(Row(entry, requests))
        yield kept


def _asked_for(entry: Entry, tenant: TenantId, numbers: dict[int, int]) -> Entry | None:
    """Return a row of or about the tenant as it is, a compaction with the horizon's new number, no other."""
    if entry.kind == "tenant.put":
        return entry if entry.key == tenant else None
    if entry.kind != "ledger.compact":
        return entry if entry.tenant == tenant else None
    horizon = int(msgspec.json.decode(entry.payload, type=dict[str, int])["horizon"])
    new = max((seq for old, seq in numbers.items() if old <= horizon), default=0)
    return replace(entry, payload=msgspec.json.encode({"horizon": new})) if new else None


def _renumbered(entry: Entry, seq: int, last: bytes) -> Entry:
    bare = replace(entry, seq=seq, sha256=b"")
    return replace(bare, sha256=chained(last, bare))


def _values(entry: Entry) -> tuple[int, str, TenantId, str, str, str, bytes, bytes]:
    return (
        entry.seq,
        entry.ts,
        entry.tenant,
        entry.actor,
        entry.kind,
        entry.key,
        entry.payload,
        entry.sha256,
    )
