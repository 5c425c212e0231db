"""SQLite as the ledger and the views use it: WAL files, one writer, readers borrowed from a pool.

Called by ``data.ledger`` and ``data.views``. Invariant: a connection is used by one thread at a time, so
readers run side by side (SQLite releases the GIL) and none is left behind when a thread ends.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from data.errors import CorruptDataError, StoreUnavailableError

#: How long a connection waits for another process's lock before it gives up, seconds.
BUSY_TIMEOUT_S = 10.0


class Database:
    """One SQLite file: a writer connection behind a lock, and a pool of readers.

    Raises:
        CorruptDataError: the file is not a sound SQLite database.
    """

    def __init__(self, path: Path, *, schema: str, synchronous: str) -> None:
        self._path = path
        self._free: list[sqlite3.Connection] = []
        self._all: list[sqlite3.Connection] = []
        self._pool_lock = threading.Lock()
        self._write_lock = threading.RLock()
        self._closed = False
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._named_errors():
            self._writer = self._connect()
            self._writer.execute(f"PRAGMA synchronous={synchronous}")
            self._check()
            self._writer.executescript(schema)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for reading."""
        with self._named_errors():
            connection = self._borrow()
            try:
                yield connection
            finally:
                with self._pool_lock:
                    self._free.append(connection)

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Lend the writer inside one transaction: committed at the end, rolled back on any error."""
        with self._named_errors(), self._write_lock:
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
                self._writer.execute("COMMIT")
            except BaseException:
                if self._writer.in_transaction:
                    self._writer.execute("ROLLBACK")
                raise

    def reclaim(self) -> None:
        """Write the file anew without free space or remains of what was deleted, and empty the journal.

        Raises:
            StoreUnavailableError: others read the file all the time; it is compact, its journal is not empty.
        """
        with self._named_errors(), self._write_lock:
            self._writer.execute("VACUUM")
            deadline = time.monotonic() + BUSY_TIMEOUT_S
            # A reader that is at it keeps the journal from being emptied; readers are short.
            while self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > deadline:
                    raise StoreUnavailableError(f"The journal of {self._path.name} is being read: try again.")
                time.sleep(0.05)

    def close(self) -> None:
        """Close every connection; later use raises ``StoreUnavailableError``."""
        with self._write_lock, self._pool_lock:
            self._closed = True
            for connection in self._all:
                connection.close()
            self._all.clear()
            self._free.clear()

    def _borrow(self) -> sqlite3.Connection:
        with self._pool_lock:
            if self._closed:
                raise StoreUnavailableError(f"The store {self._path.name} is closed: open it again.")
            if self._free:
                return self._free.pop()
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA cache_size=-65536")
        with self._pool_lock:
            self._all.append(connection)
        return connection

    def _check(self) -> None:
        (answer,) = self._writer.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise CorruptDataError(f"The store {self._path} is damaged ({answer}): rebuild or restore it.")

    def _named_errors(self) -> AbstractContextManager[None]:
        return named_errors(self._path)


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite raises on a file into errors that name it.

    Raises:
        CorruptDataError: the file is damaged. StoreUnavailableError: it cannot be used now.
    """
    try:
        yield
    except UnicodeDecodeError as exc:
        raise CorruptDataError(f"The store {path} is damaged: {exc}; rebuild or restore it.") from exc
    except sqlite3.Error as exc:
        # Damage is a plain DatabaseError, or text that is none; its subclasses are locks and full disks.
        if type(exc) is sqlite3.DatabaseError or "decode to UTF-8" in str(exc):
            raise CorruptDataError(f"The store {path} is damaged: {exc}; rebuild or restore it.") from exc
        raise StoreUnavailableError(f"The store {path.name} cannot be used: {exc}.") from exc


def storable(text: str) -> str:
    """Return ``text`` with what UTF-8 cannot hold (lone surrogates) replaced: binding it never fails."""
    return text.encode("utf-8", "replace").decode("utf-8")
