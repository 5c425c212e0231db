"""What the ledger says of datasets, read beside its writer: definitions of all, vectors of one at a time.

Called by the dataset service, in the keeper's process or in another one of the same machine. Invariant: the
file is never written to; a row is handed out only if its hash holds on top of the row before it.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from data.chain import GENESIS, Entry, follow
from data.ledger_schema import IS_OF_DATASETS, IS_OF_VECTORS
from data.sqlite import BUSY_TIMEOUT_S, named_errors

#: Folder of the datasets' views, under the home.
FOLDER = "datasets"
#: A row with the hash of the one before it, without which its own cannot be checked.
COLUMNS = """
SELECT e.seq, e.ts, e.tenant, e.actor, e.kind, e.key, e.payload, e.sha256,
       (SELECT sha256 FROM entries WHERE seq = e.seq - 1)
FROM entries AS e
"""
# The indexes are partial: a query must say their condition in the index's own words.
_OF_DATASETS = f"{COLUMNS} WHERE {IS_OF_DATASETS} AND e.seq > ? ORDER BY e.seq LIMIT ?"
_OF_VECTORS = f"{COLUMNS} WHERE {IS_OF_VECTORS} AND e.key = ? AND e.seq > ? ORDER BY e.seq LIMIT ?"
_SEQS = (
    f"SELECT seq FROM entries WHERE {IS_OF_VECTORS} AND key = ? AND seq > ? AND seq < ? "  # noqa: S608 - constant
    "ORDER BY seq LIMIT 1"
)
_LAST_VECTORS = f"{COLUMNS} WHERE {IS_OF_VECTORS} AND e.key = ? ORDER BY e.seq DESC LIMIT 1"
_LAST_DATASETS = f"SELECT max(seq) FROM entries WHERE {IS_OF_DATASETS}"  # noqa: S608 - constant
_WRITTEN = """
SELECT e.seq, e.ts, e.tenant, e.actor, e.kind, e.key, e.payload, e.sha256,
       (SELECT sha256 FROM entries WHERE seq = e.seq - 1)
FROM idempotency AS i JOIN entries AS e ON e.seq = i.first_seq WHERE i.tenant = ? AND i.key = ?
"""


class FollowedRows(Protocol):
    """What a view of datasets is brought up with."""

    def of_datasets(self, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` rows that define or remove a dataset, after a position, in order."""
        ...

    def of_vectors(self, dataset_id: str, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` rows that write to one dataset, after a position, in order."""
        ...


class WrittenRows(FollowedRows, Protocol):
    """What a writer must know beside."""

    def is_written_between(self, dataset_id: str, after_seq: int, before_seq: int) -> bool:
        """Return whether something was written to a dataset between two positions, these left out."""
        ...

    def written(self, tenant: str, idempotency_key: str) -> Entry | None:
        """Return the first row that was written with this key, or ``None``."""
        ...


class LedgerRows:
    """Reads the ledger's file at ``path``, which need not be there yet. Any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def _number(self, sql: str, *values: object) -> int:
        rows = self._rows(sql, values)
        return int(rows[0][0] or 0) if rows else 0

    def _entries(self, sql: str, *values: object) -> list[Entry]:
        found = []
        for *columns, previous in self._rows(sql, values):
            entry = Entry(*columns)
            follow(previous or GENESIS, [entry], after=entry.seq - 1)
            found.append(entry)
        return found

    def _rows(self, sql: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._lock, named_errors(self._path):
            if self._connection is None:
                if not self._path.exists():
                    return []
                # Not read-only: such a connection cannot open a journal that nobody has open.
                self._connection = sqlite3.connect(
                    f"{self._path.resolve().as_uri()}?mode=rw",
                    uri=True,
                    timeout=BUSY_TIMEOUT_S,
                    isolation_level=None,
                    check_same_thread=False,
                )
            return self._connection.execute(sql, values).fetchall()


class DatasetRows(LedgerRows):
    """The rows of datasets and their vectors."""

    def head(self) -> int:
        """Return the last position, 0 when there is none."""
        return self._number("SELECT max(seq) FROM entries")

    def last_of_datasets(self) -> int:
        """Return the last position at which a dataset was defined or removed, 0 when there is none."""
        return self._number(_LAST_DATASETS)

    def of_datasets(self, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` rows that define or remove a dataset, after a position, in order.

        Raises:
            CorruptDataError: a row is altered.
        """
        return self._entries(_OF_DATASETS, after_seq, limit)

    def of_vectors(self, dataset_id: str, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` rows that write to one dataset, after a position, in order.

        Raises:
            CorruptDataError: a row is altered.
        """
        return self._entries(_OF_VECTORS, dataset_id, after_seq, limit)

    def last_of_vectors(self, dataset_id: str) -> Entry | None:
        """Return the last row that writes to a dataset, or ``None``."""
        found = self._entries(_LAST_VECTORS, dataset_id)
        return found[0] if found else None

    def is_written_between(self, dataset_id: str, after_seq: int, before_seq: int) -> bool:
        """Return whether something was written to a dataset between two positions, these left out."""
        return bool(self._number(_SEQS, dataset_id, after_seq, before_seq))

    def written(self, tenant: str, idempotency_key: str) -> Entry | None:
        """Return the first row that was written with this key, or ``None``."""
        found = self._entries(_WRITTEN, tenant, idempotency_key)
        return found[0] if found else None
