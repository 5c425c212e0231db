"""Small real homes for the tests of backups, and ways to look at them and to break things."""

from __future__ import annotations

import hashlib
import sqlite3
import threading
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from data import changes, segments
from data.backups.creation import Created, Place, Wanted, create
from data.backups.manifest import Catalogue, Kind, read_catalogue
from data.backups.plan import plan
from data.backups.restoration import EVERYTHING, Restored, Scope, restore
from data.backups.sealing import AesSealer, PlainSealer
from data.backups.targets import FolderTarget, Item
from data.claims import DEFAULT_TENANT, TenantId
from data.errors import UnavailableError
from data.knowledge import Change, Document, Fact
from data.ledger import Ledger
from tests.fakes import FakeClock

Rows = tuple[list[tuple[object, ...]], list[tuple[object, ...]]]
KEY = bytes(range(32))
SEALERS = {"plain": PlainSealer(), "sealed": AesSealer(KEY)}


def facts(name: str, number: int, tenant: TenantId = DEFAULT_TENANT) -> list[Change]:
    """Changes that store so many facts."""
    return [
        changes.put_fact(Fact(f"{name}{i}", "Paris", "population", str(i), float(i)), tenant)
        for i in range(number)
    ]


def segment(home: Path, *names: str, tenant: TenantId = DEFAULT_TENANT) -> Change:
    """A change that loads a segment of documents, written under the home."""
    documents = [Document(name, f"The tower {name} is tall. It stands in Paris.") for name in names]
    return changes.load_segment(segments.write_documents(home, documents), tenant)


class House:
    """A home with an open ledger, and a target for its backups. Each write comes a minute after the last."""

    def __init__(self, folder: Path, sealer: str = "plain") -> None:
        self.clock = FakeClock()
        self.home = folder / "home"
        self.ledger = Ledger(self.home / "ledger" / "ledger.sqlite", self.clock)
        self.target = FolderTarget(folder / "target")
        self.place = Place(self.home, self.target, SEALERS[sealer])

    def write(self, changes_: list[Change], key: str | None = None) -> int:
        """Append and return the last position."""
        self.clock.advance(60.0)
        return self.ledger.append(changes_, idempotency_key=key).last_seq

    def back_up(self, kind: Kind = "full", *, name: str | None = None, views: bool = False) -> Created:
        """Take a backup a minute later."""
        self.clock.advance(60.0)
        return create(self.place, self.clock, wanted=Wanted(kind, name, views))

    def catalogue(self) -> Catalogue:
        """Return what the target holds."""
        return read_catalogue(self.target, self.place.sealer)

    def restore_to(
        self,
        home: Path,
        backup_id: str | None = None,
        *,
        at: str | None = None,
        latest: bool = False,
        scope: Scope = EVERYTHING,
    ) -> Restored:
        """Restore into another home."""
        place = Place(home, self.target, self.place.sealer)
        chosen = plan(place, self.catalogue(), backup_id=backup_id, at=at, latest=latest)
        return restore(place, chosen, scope=scope)


def rows_of(home: Path, until: int = 2**62) -> Rows:
    """Return every row and idempotency key of a home's ledger up to a position."""
    with closing(sqlite3.connect(home / "ledger" / "ledger.sqlite")) as connection:
        entries = connection.execute("SELECT * FROM entries WHERE seq <= ? ORDER BY seq", (until,)).fetchall()
        keys = connection.execute(
            "SELECT * FROM idempotency WHERE last_seq <= ? ORDER BY tenant, key", (until,)
        ).fetchall()
    return entries, keys


def tree(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file below a folder, but for locks and SQLite's shared memory."""
    ignored = (".lock", "-shm", "-wal", "/lock")
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.as_posix().endswith(ignored)
    }


class FailingTarget:
    """A target that answers ``calls`` calls and is then out of reach. Reading counts by the chunk."""

    def __init__(self, target: FolderTarget, calls: int) -> None:
        self._target = target
        self._lock = threading.Lock()
        self.calls = calls

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Count, then pass on."""
        self._count(path)
        self._target.write(path, chunks)

    def read(self, path: str) -> Iterator[bytes]:
        """Count each chunk, then pass it on."""
        for chunk in self._target.read(path):
            self._count(path)
            yield chunk

    def size(self, path: str) -> int | None:
        """Count, then pass on."""
        self._count(path)
        return self._target.size(path)

    def files(self, folder: str) -> list[Item]:
        """Count, then pass on."""
        self._count(folder)
        return self._target.files(folder)

    def delete(self, path: str) -> None:
        """Count, then pass on."""
        self._count(path)
        self._target.delete(path)

    def _count(self, path: str) -> None:
        with self._lock:
            if self.calls == 0:
                raise UnavailableError(f"The target is out of reach ({path}).")
            self.calls -= 1
