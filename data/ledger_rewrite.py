"""Other rows in the place of some of the ledger's, and new hashes from the first of them on.

Called by ``data.ledger`` to erase a tenant. Invariant: the old chain is followed while the new one is made,
so that damage is never sealed in; the history gets a new name, for backups hold the hashes of before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path

from data.chain import GENESIS, Entry, chained, follow, page_of

_ROWS = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries WHERE seq > ? ORDER BY seq LIMIT ?
"""
_UPDATE = "UPDATE entries SET actor = ?, key = ?, payload = ?, sha256 = ? WHERE seq = ?"
_PAGE = 2_000


def rewrite(connection: sqlite3.Connection, path: Path, changed: Mapping[int, Entry]) -> None:
    """Replace author, id and payload of these rows inside an open transaction; the rest stays as it was.

    Raises:
        CorruptDataError: names the first row that does not hold.
    """
    if not changed:
        return
    connection.execute("PRAGMA secure_delete=ON")
    # Before the transaction ends: should the process end in between, a full backup is taken once too often.
    path.with_name("lineage").unlink(missing_ok=True)
    after = min(changed) - 1
    before = [Entry(*row) for row in connection.execute(_ROWS, (after - 1, 1))] if after else []
    old = new = before[0].sha256 if before else GENESIS
    while page := page_of(connection.execute(_ROWS, (after, _PAGE))):
        old = follow(old, page, after=after)
        fresh = []
        for entry in page:
            row = changed.get(entry.seq, entry)
            new = chained(new, _bare(row))
            fresh.append((row.actor, row.key, row.payload, new, entry.seq))
        connection.executemany(_UPDATE, fresh)
        after = page[-1].seq


def _bare(entry: Entry) -> Entry:
    """Return the row without its hash: one of an earlier format is not taken over."""
    return Entry(entry.seq, entry.ts, entry.tenant, entry.actor, entry.kind, entry.key, entry.payload, b"")
