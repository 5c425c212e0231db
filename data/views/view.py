"""What a view is: a store derived from the ledger, and the part of it that the SQLite views share.

Used by the keeper and by followers. Invariant: a view's ``applied_seq`` is stored in the same transaction
as the rows it stands for, so a crash leaves a view behind the ledger but never beside it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from data.errors import CorruptDataError
from data.ledger import Entry
from data.redaction import is_erased
from data.sqlite import Database

#: ``removed_seq`` of rows that are still there.
LIVE = 2**62
#: How many entries of no interest pass before the position is stored, one of many bytes counting as many:
#: bounds the replay after a crash.
IDLE_LIMIT, IDLE_BYTES = 10_000, 8_192

_META = "CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;"


class View(Protocol):
    """A store that the ledger can always rebuild. Reads from any thread; ``apply`` from one at a time."""

    @property
    def name(self) -> str:
        """The view's name, as health and metrics show it."""
        ...

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; those at or before ``applied_seq`` are skipped."""
        ...

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        ...

    def digest(self, since: int = 0) -> str:
        """Return a hash of everything that holds at some position from ``since`` on (see ``digest_of``)."""
        ...

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the view does not answer."""
        ...

    def close(self) -> None:
        """Write what is pending and release the files."""
        ...


def weight_of(entries: Iterable[Entry]) -> int:
    """Return how much of ``IDLE_LIMIT`` entries use up."""
    return sum(1 + len(entry.payload) // IDLE_BYTES for entry in entries)


class SqliteView:
    """The bookkeeping of a view in one SQLite file. Subclasses give ``name``, ``kinds`` and ``_take``.

    Raises:
        CorruptDataError: the file is damaged or has another ``format``; the library then moves it away and
        builds the view again from the ledger.
    """

    name = ""
    #: The kinds of change the view is interested in.
    kinds: frozenset[str] = frozenset()
    #: Number of the tables' layout and of what is written into them; a file with another one is not used.
    format = 0
    #: Queries for what the view holds, without what follows from the order of writing; bind ``:since``.
    holdings: tuple[str, ...] = ()

    def __init__(self, path: Path, schema: str) -> None:
        self._check_format(path)
        # synchronous=NORMAL: a power cut may cost the last transactions, which replay brings back.
        self._database = Database(path, schema=_META + schema, synchronous="NORMAL")
        with self._database.reading() as connection:
            self._stored_seq = read_meta(connection, "applied_seq")
        self._applied_seq = self._stored_seq
        self._idle = 0

    def _check_format(self, path: Path) -> None:
        """Refuse a file of another format; give a new one its format before any table is made."""
        is_new = not path.exists()
        database = Database(path, schema=_META, synchronous="FULL")
        try:
            if is_new:
                with database.writing() as connection:
                    write_meta(connection, "format", self.format)
            with database.reading() as connection:
                found = read_meta(connection, "format")
        finally:
            database.close()
        if found != self.format:
            raise CorruptDataError(
                f"The view {path.name} has the format {found} and this software writes {self.format}: "
                "let it be built again from the ledger."
            )

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; rows and position in one transaction."""
        fresh = [entry for entry in entries if entry.seq > self._applied_seq]
        if not fresh:
            return
        wanted = [entry for entry in fresh if entry.kind in self.kinds and not is_erased(entry.payload)]
        last = fresh[-1].seq
        self._idle += weight_of(fresh)
        if wanted or self._idle >= IDLE_LIMIT:
            with self._database.writing() as connection:
                self._take(connection, wanted)
                write_meta(connection, "applied_seq", last)
            self._stored_seq, self._idle = last, 0
        self._applied_seq = last

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        return self._applied_seq

    def digest(self, since: int = 0) -> str:
        """See ``View``."""
        with self._database.reading() as connection:
            return digest_of(
                row for sql in self.holdings for row in connection.execute(sql, {"since": since})
            )

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the file cannot be read."""
        with self._database.reading() as connection:
            connection.execute("SELECT 1 FROM meta").fetchone()

    def close(self) -> None:
        """Store the position and close the file."""
        if self._applied_seq > self._stored_seq:
            with self._database.writing() as connection:
                write_meta(connection, "applied_seq", self._applied_seq)
            self._stored_seq = self._applied_seq
        self._database.close()

    def _take(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        raise NotImplementedError


def read_meta(connection: sqlite3.Connection, key: str) -> int:
    """Return a number of the view's own bookkeeping, 0 when it was never written."""
    row = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return int(row[0]) if row else 0


def write_meta(connection: sqlite3.Connection, key: str, value: int) -> None:
    """Keep a number of the view's own bookkeeping."""
    connection.execute(
        "INSERT INTO meta VALUES (?, ?) ON CONFLICT(key) DO UPDATE SET value = excluded.value", (key, value)
    )


def digest_of(rows: Iterable[tuple[object, ...]]) -> str:
    """Return a hash of rows that does not depend on their order; two views with one digest hold the same.

    The sum of the rows' SHA-256, modulo 2**256: a row that is there twice counts twice.
    """
    total = 0
    for row in rows:
        total += int.from_bytes(hashlib.sha256(repr(row).encode("utf-8", "surrogatepass")).digest(), "big")
    return f"{total % 2**256:064x}"
