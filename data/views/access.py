"""The access view: the last record of every API key, every tenant and every framework. SQLite.

Built by the keeper from the ledger; replicas ask it what changed. Invariant: an id keeps its last record, so
revoked keys and erased tenants stay for ever.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from data import changes
from data.access.records import AccessChanges
from data.access.switches import PUT_FRAMEWORK, read_framework
from data.ledger import Entry
from data.views.view import SqliteView

_SCHEMA = """
CREATE TABLE IF NOT EXISTS keys(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, record BLOB NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS keys_seq ON keys(seq);
CREATE TABLE IF NOT EXISTS tenants(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, record BLOB NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tenants_seq ON tenants(seq);
CREATE TABLE IF NOT EXISTS frameworks(id TEXT PRIMARY KEY, seq INTEGER NOT NULL, record BLOB NOT NULL)
    STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS frameworks_seq ON frameworks(seq);
"""
_POSITION = """
SELECT max(ifnull((SELECT max(seq) FROM keys), 0), ifnull((SELECT max(seq) FROM tenants), 0),
           ifnull((SELECT max(seq) FROM frameworks), 0))
"""
_TABLE_OF = {"key.put": "keys", "tenant.put": "tenants", PUT_FRAMEWORK: "frameworks"}
_PUT = """
INSERT INTO {} VALUES (?, ?, ?) ON CONFLICT(id) DO UPDATE SET seq = excluded.seq, record = excluded.record
"""


class AccessView(SqliteView):
    """Keys, tenants and the words on frameworks in one SQLite file.

    Raises:
        CorruptDataError: the file is damaged; move it away and build the view again from the ledger.
    """

    name = "access"
    kinds = frozenset(_TABLE_OF)
    #: Only last records are kept, so all of it holds at any position.
    holdings = tuple(
        f"SELECT '{table}', id, seq, record FROM {table} WHERE :since >= 0"  # noqa: S608 - the tables above
        for table in sorted(_TABLE_OF.values())
    )

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def changes(self, after_seq: int) -> AccessChanges:
        """Return what was written after a position, oldest first; ``seq`` is the last of all, 0 for none."""
        with self._database.reading() as connection:
            (last,) = connection.execute(_POSITION).fetchone()
            if last <= after_seq:
                return AccessChanges(last)
            keys = _records(connection, "keys", after_seq, last)
            tenants = _records(connection, "tenants", after_seq, last)
            frameworks = _records(connection, "frameworks", after_seq, last)
        return AccessChanges(
            last,
            tuple(changes.read_key(record) for record in keys),
            tuple(changes.read_tenant(record) for record in tenants),
            tuple(read_framework(record) for record in frameworks),
        )

    def counts(self) -> dict[str, int]:
        """Return how many keys and tenants were ever made."""
        with self._database.reading() as connection:
            (keys,) = connection.execute("SELECT count(*) FROM keys").fetchone()
            (tenants,) = connection.execute("SELECT count(*) FROM tenants").fetchone()
        return {"keys": keys, "tenants": tenants}

    def _take(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        for entry in entries:
            sql = _PUT.format(_TABLE_OF[entry.kind])
            connection.execute(sql, (entry.key, entry.seq, entry.payload))


def _records(connection: sqlite3.Connection, table: str, after: int, until: int) -> list[bytes]:
    # Not beyond ``until``: a record written between two of these queries has a later position than is told.
    sql = f"SELECT record FROM {table} WHERE seq > ? AND seq <= ? ORDER BY seq"  # noqa: S608 - our tables
    return [record for (record,) in connection.execute(sql, (after, until))]
