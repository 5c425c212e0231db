"""The tables of the ledger's file, their format number, and the way from an older format to this one.

Called by ``data.ledger`` when a file is opened. Invariant: a file is changed to this format whole or not at
all, after a copy of it was made; a file of a newer format is never written to.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from data.chain import GENESIS, Entry, chained, page_of
from data.durable import sync_folder
from data.errors import CorruptDataError
from data.sqlite import BUSY_TIMEOUT_S, named_errors

#: 1: the chain covers payloads themselves. 2: it covers their SHA-256, so that they can be erased.
#: 3: keys and tenants are no knowledge, so the index of what is has other rows.
#: 4: nor are vector datasets, and what was written to one is found without reading the rest.
#: 5: nor are schedules of jobs, which are found in the same way.
#: 6: nor is what an administrator says of a framework.
FORMAT = 6
#: The format from which on the chain is as it is now.
_RECHAINED = 2
#: Kinds that are no knowledge, as SQL writes them: a query must say it in the partial index's own words.
NOT_KNOWLEDGE = (
    "verdict.put",
    "feedback.put",
    "calibration.put",
    "key.put",
    "tenant.put",
    "ledger.compact",
    "dataset.put",
    "dataset.delete",
    "vectors.put",
    "vectors.delete",
    "schedule.put",
    "schedule.delete",
    "framework.put",
)
IS_KNOWLEDGE = (
    "kind NOT IN "
    "('verdict.put', 'feedback.put', 'calibration.put', 'key.put', 'tenant.put', 'ledger.compact', "
    "'dataset.put', 'dataset.delete', 'vectors.put', 'vectors.delete', 'schedule.put', 'schedule.delete', "
    "'framework.put')"
)
#: Which rows make and remove datasets, and which write to one, as SQL writes them.
IS_OF_DATASETS = "kind IN ('dataset.put', 'dataset.delete')"
IS_OF_VECTORS = "kind IN ('vectors.put', 'vectors.delete')"
#: Which rows make, change and remove schedules.
IS_OF_SCHEDULES = "kind IN ('schedule.put', 'schedule.delete')"

#: What the chain does not cover stands in an index too, whole: a flipped byte in either is a difference.
SCHEMA = f"""
CREATE TABLE IF NOT EXISTS entries(
    seq INTEGER PRIMARY KEY, ts TEXT NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, payload BLOB NOT NULL, sha256 BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entries_key ON entries(tenant, kind, key, seq);
CREATE INDEX IF NOT EXISTS entries_ts ON entries(ts);
CREATE INDEX IF NOT EXISTS rows_of_knowledge ON entries(seq) WHERE {IS_KNOWLEDGE};
CREATE INDEX IF NOT EXISTS dataset_entries ON entries(seq) WHERE {IS_OF_DATASETS};
CREATE INDEX IF NOT EXISTS vector_entries ON entries(key, seq) WHERE {IS_OF_VECTORS};
CREATE INDEX IF NOT EXISTS schedule_entries ON entries(seq) WHERE {IS_OF_SCHEDULES};
CREATE TABLE IF NOT EXISTS idempotency(
    tenant TEXT NOT NULL, key TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    request BLOB NOT NULL, PRIMARY KEY (tenant, key)) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS idempotency_whole ON idempotency(last_seq, first_seq, request);
CREATE TABLE IF NOT EXISTS compaction(done_seq INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS compaction_done ON compaction(done_seq);
CREATE TABLE IF NOT EXISTS discarded(uri TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;
"""
#: Indexes of older formats that another has replaced.
_GONE = (
    "entries_knowledge",
    "entries_known",
    "entries_knowing",
    "entries_of_knowledge",
    "knowledge_entries",
    "knowledge_rows",
    "idempotency_last",
)
_ROWS = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries WHERE seq > ? ORDER BY seq LIMIT ?
"""
_PAGE = 2_000


def prepare(path: Path) -> None:
    """Give a new file its format, and bring one of an older format to this one.

    Raises:
        CorruptDataError: the format is newer than this software, or a row of the old one does not hold.
        StoreUnavailableError: the file cannot be used now.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        named_errors(path),
        closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None)) as found,
    ):
        number, tables = _found(found)
        if number == FORMAT:
            _check_tables(tables, path)
            return
        if number > FORMAT:
            raise CorruptDataError(
                f"The ledger {path} has the format {number} and this software knows {FORMAT}: "
                "use the software that wrote it, or a newer one."
            )
        with _alone(path):
            number, tables = _found(found)
            if number < _RECHAINED and tables:
                _copy(found, path)
            elif number < FORMAT and tables:
                # A missing table must not be made anew, empty; indexes that go need not be as declared.
                going = {f"index {name}" for name in _GONE}
                _check_tables({name: sql for name, sql in tables.items() if name not in going}, path)
            if number < FORMAT:
                _migrate(found, path, rechains=bool(tables) and number < _RECHAINED)


def rechain(connection: sqlite3.Connection, path: Path) -> int:
    """Give every row its hash of this format, inside an open transaction; return how many had another.

    Backups hold the hashes of before: the history gets a new name, so that the next one is a full one.

    Raises:
        CorruptDataError: names the first row that does not hold.
    """
    old, new, changed, after = GENESIS, GENESIS, 0, 0
    while page := page_of(connection.execute(_ROWS, (after, _PAGE))):
        fresh = []
        for entry in page:
            after += 1
            here = chained(old, entry)
            if entry.seq != after or here != entry.sha256:
                raise CorruptDataError(f"The ledger is altered at seq {after}: restore it from a backup.")
            old, bare = here, _bare(entry)
            new = chained(new, bare)
            if new != entry.sha256:
                fresh.append((new, entry.seq))
        connection.executemany("UPDATE entries SET sha256 = ? WHERE seq = ?", fresh)
        changed += len(fresh)
    if changed:
        path.with_name("lineage").unlink(missing_ok=True)
    return changed


def _bare(entry: Entry) -> Entry:
    return Entry(entry.seq, entry.ts, entry.tenant, entry.actor, entry.kind, entry.key, entry.payload, b"")


def _found(connection: sqlite3.Connection) -> tuple[int, dict[str, str]]:
    """Return the file's format, and its tables and indexes by name as they were declared."""
    (number,) = connection.execute("PRAGMA user_version").fetchone()
    found = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL")
    return int(number), {f"{kind} {name}": " ".join(sql.split()) for kind, name, sql in found}


def _check_tables(found: dict[str, str], path: Path) -> None:
    """Refuse a file whose tables are not those of this format: a missing one must not be made anew, empty."""
    with closing(sqlite3.connect(":memory:")) as memory:
        memory.executescript(SCHEMA)
        _, wanted = _found(memory)
    missing = [name for name in wanted if name.startswith("table ") and name not in found]
    odd = [name for name, sql in found.items() if wanted.get(name) != sql]
    if missing or odd:
        raise CorruptDataError(
            f"The store {path} is damaged (its {(missing + odd)[0]!r} is not as declared): restore it."
        )


def _copy(connection: sqlite3.Connection, path: Path) -> None:
    """Keep the file as it is under another name; a copy that was cut off is made again."""
    copy, draft = (path.with_name(f"{path.name}.{end}") for end in ("format-1", "format-1.draft"))
    if not copy.exists():
        draft.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(draft),))
        with draft.open("rb") as file:
            os.fsync(file.fileno())
        draft.replace(copy)
        sync_folder(path.parent)


def _migrate(connection: sqlite3.Connection, path: Path, *, rechains: bool) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for index in _GONE:
            connection.execute(f"DROP INDEX IF EXISTS {index}")
        for statement in SCHEMA.split(";"):
            connection.execute(statement)
        if rechains:
            rechain(connection, path)
        connection.execute(f"PRAGMA user_version={FORMAT}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Let one process at a time change the format; the others wait and find it done."""
    with path.with_name("format.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
