"""Formats of the ledger: the one before is brought forward whole or not at all, a newer one is refused."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest

from data import changes, ledger_schema
from data.access.records import FrameworkRecord
from data.access.switches import put_framework
from data.backups.creation import Place, Wanted, create
from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.restoration import restore
from data.backups.sealing import PlainSealer
from data.backups.targets import open_target
from data.chain import GENESIS
from data.claims import DEFAULT_TENANT
from data.clock import SystemClock
from data.errors import CorruptDataError
from data.jobs.records import JobKind
from data.jobs.schedules import Schedule, put_schedule
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ledger import Ledger
from tests.fakes import FakeClock, FakeVectorSink

ROWS = 300
#: The tables as format 1 had them.
FORMAT_1 = """
CREATE TABLE entries(
    seq INTEGER PRIMARY KEY, ts TEXT NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, payload BLOB NOT NULL, sha256 BLOB NOT NULL) STRICT;
CREATE INDEX entries_key ON entries(tenant, kind, key, seq);
CREATE INDEX entries_ts ON entries(ts);
CREATE INDEX entries_known ON entries(seq)
    WHERE kind NOT IN ('verdict.put', 'feedback.put', 'calibration.put');
CREATE TABLE idempotency(
    tenant TEXT NOT NULL, key TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    request BLOB NOT NULL, PRIMARY KEY (tenant, key)) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_last ON idempotency(last_seq);
"""


def written() -> list[Change]:
    half = [changes.put_document(Document(f"d{n}", f"The tower {n} is old.")) for n in range(ROWS // 2)]
    return half + [changes.put_fact(Fact(f"f{n}", "Paris", "p", str(n))) for n in range(ROWS // 2)]


def lengths_and(columns: Sequence[object]) -> bytes:
    parts = [one if isinstance(one, bytes) else str(one).encode() for one in columns]
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def write_format_1(home: Path) -> list[tuple[object, ...]]:
    """Write a ledger as the software of format 1 did, and return its rows without their hashes."""
    path = home / "ledger" / "ledger.sqlite"
    path.parent.mkdir(parents=True)
    rows, last = [], GENESIS
    with sqlite3.connect(path) as raw:
        raw.executescript(FORMAT_1)
        for seq, one in enumerate(written(), 1):
            row = (seq, "2025-06-01T00:00:00.000000Z", one.tenant, one.actor, one.kind, one.key, one.payload)
            last = hashlib.sha256(last + lengths_and(row)).digest()
            raw.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (*row, last))
            rows.append(row)
        one = written()[0]
        request = hashlib.sha256(lengths_and((one.tenant, one.kind, one.key, one.payload))).digest()
        raw.execute("INSERT INTO idempotency VALUES ('default', 'k', 1, 1, ?)", (request,))
    raw.close()
    return rows


def rows_in(path: Path) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as raw:
        found = raw.execute("SELECT seq, ts, tenant, actor, kind, key, payload FROM entries").fetchall()
    raw.close()
    return found


def test_ledger_of_format_1_is_brought_forward_with_every_row(tmp_path: Path) -> None:
    """Rows, times and idempotency keys stay, the chain holds, and a copy of the file is kept."""
    rows = write_format_1(tmp_path)
    path = tmp_path / "ledger" / "ledger.sqlite"

    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())

    assert rows_in(path) == rows
    assert (keeper.verify(), keeper.stats().views["passages"].counts["documents"]) == (ROWS, ROWS // 2)
    assert keeper.append([written()[0]], idempotency_key="k").replayed
    keeper.append([changes.delete_document("d3")])
    assert keeper.compact(ROWS + 1).payloads == 1
    assert not keeper.check().faults
    keeper.close()
    assert rows_in(path.with_name("ledger.sqlite.format-1")) == rows


def test_migration_cut_off_leaves_format_1_and_is_done_by_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped before it commits, the file is as it was."""
    rows = write_format_1(tmp_path)
    path = tmp_path / "ledger" / "ledger.sqlite"

    def cut_off(connection: sqlite3.Connection, where: Path) -> int:
        real(connection, where)
        raise OSError("the process ends here")

    real = ledger_schema.rechain
    with monkeypatch.context() as patch:
        patch.setattr(ledger_schema, "rechain", cut_off)
        with pytest.raises(OSError, match="ends here"):
            Ledger(path, FakeClock())
    with sqlite3.connect(path) as raw:
        assert raw.execute("PRAGMA user_version").fetchone() == (0,)
    raw.close()
    ledger = Ledger(path, FakeClock())

    assert (ledger.verify(), rows_in(path)) == (ROWS, rows)
    ledger.close()


def test_damaged_ledger_of_format_1_is_not_brought_forward(tmp_path: Path) -> None:
    """An altered row is named, and the file stays of format 1."""
    write_format_1(tmp_path)
    path = tmp_path / "ledger" / "ledger.sqlite"
    with sqlite3.connect(path) as raw:
        raw.execute("UPDATE entries SET key = 'x' WHERE seq = 77")
    raw.close()

    for _ in range(2):
        with pytest.raises(CorruptDataError, match="seq 77"):
            Ledger(path, FakeClock())


def test_ledger_of_a_newer_format_is_refused_and_not_touched(tmp_path: Path) -> None:
    """One sentence says which format it has and what to do."""
    path = tmp_path / "ledger.sqlite"
    Ledger(path, FakeClock()).close()
    with sqlite3.connect(path) as raw:
        raw.execute("PRAGMA user_version=9")
    raw.close()
    content = path.read_bytes()

    with pytest.raises(CorruptDataError, match="has the format 9 and this software knows 6"):
        Ledger(path, FakeClock())
    assert path.read_bytes() == content


def place_of(home: Path, folder: Path) -> Place:
    return Place(home, open_target(str(folder)), PlainSealer())


def restored(tmp_path: Path, name: str) -> Keeper:
    """Bring the newest backup into a home of its own and open it."""
    place = place_of(tmp_path / name, tmp_path / "backups")
    restore(place, plan(place, read_catalogue(place.target, place.sealer)))
    return Keeper(tmp_path / name, FakeClock(), FakeVectorSink())


def test_backup_of_format_1_is_restored_by_this_software(tmp_path: Path) -> None:
    """Rows with the hashes of then are followed, kept, and rechained when a compaction needs it."""
    home = tmp_path / "home"
    write_format_1(home)
    with sqlite3.connect(home / "ledger" / "ledger.sqlite") as raw:
        raw.execute(f"PRAGMA user_version={ledger_schema.FORMAT}")  # as a restore leaves it: old hashes
    raw.close()
    create(place_of(home, tmp_path / "backups"), SystemClock(), wanted=Wanted("full"))

    keeper = restored(tmp_path, "again")

    assert keeper.verify() == ROWS
    keeper.append([changes.delete_document("d3")])
    assert keeper.compact(ROWS + 1).payloads == 1
    assert keeper.verify() == ROWS + 2
    keeper.close()


def test_ledger_of_format_3_gets_the_indexes_of_datasets(tmp_path: Path) -> None:
    """Its rows stay as they are, and what is knowledge is counted as before, without a copy of the file."""
    path = tmp_path / "ledger" / "ledger.sqlite"
    Ledger(path, SystemClock()).append(written())
    before = rows_in(path)
    with sqlite3.connect(path) as raw:
        for index in ("rows_of_knowledge", "dataset_entries", "vector_entries", "schedule_entries"):
            raw.execute(f"DROP INDEX {index}")
        raw.execute(
            "CREATE INDEX entries_of_knowledge ON entries(seq) WHERE kind NOT IN ('verdict.put', "
            "'feedback.put', 'calibration.put', 'key.put', 'tenant.put', 'ledger.compact')"
        )
        raw.execute("PRAGMA user_version=3")
    raw.close()

    ledger = Ledger(path, SystemClock())
    assert (ledger.verify(), ledger.knowledge_seq()) == (ROWS, ROWS)
    ledger.close()
    with sqlite3.connect(path) as raw:
        (number,) = raw.execute("PRAGMA user_version").fetchone()
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
    raw.close()
    assert (number, rows_in(path)) == (ledger_schema.FORMAT, before)
    assert {"rows_of_knowledge", "dataset_entries", "vector_entries", "schedule_entries"} <= names
    assert "entries_of_knowledge" not in names
    assert list(path.parent.glob("ledger.sqlite.format*")) == []


def test_ledger_of_format_4_counts_schedules_apart(tmp_path: Path) -> None:
    """The index of what is knowledge has other rows, and a schedule moves no position of knowledge."""
    path = tmp_path / "ledger" / "ledger.sqlite"
    Ledger(path, SystemClock()).append(written())
    before = rows_in(path)
    with sqlite3.connect(path) as raw:
        for index in ("rows_of_knowledge", "schedule_entries"):
            raw.execute(f"DROP INDEX {index}")
        raw.execute(
            "CREATE INDEX knowledge_entries ON entries(seq) WHERE kind NOT IN ('verdict.put', "
            "'feedback.put', 'calibration.put', 'key.put', 'tenant.put', 'ledger.compact', 'dataset.put', "
            "'dataset.delete', 'vectors.put', 'vectors.delete')"
        )
        raw.execute("PRAGMA user_version=4")
    raw.close()

    ledger = Ledger(path, SystemClock())
    ledger.append([put_schedule(Schedule("nightly", JobKind.BACKUP, cron="0 3 * * *"), DEFAULT_TENANT)])

    assert (ledger.verify(), ledger.knowledge_seq()) == (ROWS + 1, ROWS)
    ledger.close()
    assert rows_in(path)[:ROWS] == before
    with sqlite3.connect(path) as raw:
        names = {name for (name,) in raw.execute("SELECT name FROM sqlite_master WHERE type = 'index'")}
        assert raw.execute("PRAGMA user_version").fetchone() == (ledger_schema.FORMAT,)
    raw.close()
    assert "rows_of_knowledge" in names
    assert "knowledge_entries" not in names


def test_ledger_of_format_5_counts_words_on_frameworks_apart(tmp_path: Path) -> None:
    """Switching a framework moves no position of knowledge, so answers from before it hold again after it."""
    path = tmp_path / "ledger" / "ledger.sqlite"
    Ledger(path, SystemClock()).append(written())
    with sqlite3.connect(path) as raw:
        raw.execute("DROP INDEX rows_of_knowledge")
        raw.execute(
            "CREATE INDEX knowledge_rows ON entries(seq) WHERE kind NOT IN ('verdict.put', "
            "'feedback.put', 'calibration.put', 'key.put', 'tenant.put', 'ledger.compact', 'dataset.put', "
            "'dataset.delete', 'vectors.put', 'vectors.delete', 'schedule.put', 'schedule.delete')"
        )
        raw.execute("PRAGMA user_version=5")
    raw.close()

    ledger = Ledger(path, SystemClock())
    ledger.append([put_framework(FrameworkRecord("utility", enabled=False))])

    assert (ledger.verify(), ledger.knowledge_seq()) == (ROWS + 1, ROWS)
    ledger.close()
