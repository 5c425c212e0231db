"""The ledger: order, chain, time, idempotency."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from data.changes import Feedback, VerdictRecord, put_fact, put_feedback, put_verdict
from data.claims import TenantId
from data.errors import ConflictError, CorruptDataError, InvalidValueError
from data.knowledge import Change, Fact
from data.ledger import Ledger, Writing
from tests.fakes import FakeClock


def fact(number: int) -> Change:
    return put_fact(Fact(f"f{number}", "Paris", "population", str(number), float(number)))


def verdict(name: str) -> Change:
    return put_verdict(VerdictRecord(name, "Paris is large.", "ab", "SUPPORTED", 0.9, b'{"id": "x"}'))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def ledger(tmp_path: Path, clock: FakeClock) -> Ledger:
    return Ledger(tmp_path / "ledger.sqlite", clock)


def test_ledger_append_gives_consecutive_positions(ledger: Ledger) -> None:
    """Positions follow each other without a gap, across appends."""
    first = ledger.append([fact(1), fact(2)])
    second = ledger.append([fact(3)])

    assert (first.first_seq, first.last_seq, second.first_seq) == (1, 2, 3)
    assert [entry.key for entry in ledger.read(0, 10)] == ["f1", "f2", "f3"]


def test_ledger_reopened_continues_the_chain(tmp_path: Path, clock: FakeClock) -> None:
    """A ledger that was closed goes on where it stopped, and the chain holds across."""
    first = Ledger(tmp_path / "ledger.sqlite", clock)
    first.append([fact(1)])
    first.close()
    again = Ledger(tmp_path / "ledger.sqlite", clock)
    again.append([fact(2)])

    assert again.verify() == 2


@pytest.mark.parametrize("column", ["ts", "tenant", "actor", "kind", "key", "payload"])
def test_ledger_verify_altered_column_names_the_seq(tmp_path: Path, ledger: Ledger, column: str) -> None:
    """Whatever column is changed behind the ledger's back, the walk names the row."""
    ledger.append([fact(number) for number in range(5)])
    with sqlite3.connect(tmp_path / "ledger.sqlite") as raw:
        kind = "BLOB" if column == "payload" else "TEXT"
        raw.execute(f"UPDATE entries SET {column} = CAST('z' AS {kind}) WHERE seq = 3")

    with pytest.raises(CorruptDataError, match="seq 3"):
        ledger.verify()


def test_ledger_verify_missing_row_names_the_seq(tmp_path: Path, ledger: Ledger) -> None:
    """A row cut out is noticed at its place."""
    ledger.append([fact(number) for number in range(5)])
    with sqlite3.connect(tmp_path / "ledger.sqlite") as raw:
        raw.execute("DELETE FROM entries WHERE seq = 2")

    with pytest.raises(CorruptDataError, match="seq 2"):
        ledger.verify()


def test_ledger_flipped_byte_in_file_is_found(tmp_path: Path, ledger: Ledger, clock: FakeClock) -> None:
    """A byte of a payload flipped on disk, with SQLite none the wiser, breaks the chain at that row."""
    ledger.append([fact(number) for number in range(5)])
    ledger.close()
    path = tmp_path / "ledger.sqlite"
    content = bytearray(path.read_bytes())
    place = content.index(b'"id":"f3"') + 6
    content[place] ^= 0x01
    path.write_bytes(content)

    with pytest.raises(CorruptDataError, match="seq 4"):
        Ledger(path, clock).verify()


def test_ledger_torn_file_is_refused(tmp_path: Path, ledger: Ledger, clock: FakeClock) -> None:
    """A file cut in half is refused on opening, with a clear error."""
    for start in range(0, 400, 50):
        ledger.append([fact(number) for number in range(start, start + 50)])
    ledger.close()
    path = tmp_path / "ledger.sqlite"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 // 4096 * 4096])

    with pytest.raises(CorruptDataError, match=r"ledger\.sqlite"):
        Ledger(path, clock).verify()


def test_ledger_same_key_and_changes_answers_the_first_receipt(ledger: Ledger) -> None:
    """A retry with the same key writes nothing and says so."""
    first = ledger.append([fact(1)], "k")
    ledger.append([fact(2)])
    again = ledger.append([fact(1)], "k")

    assert (again.first_seq, again.last_seq, again.replayed) == (first.first_seq, first.last_seq, True)
    assert ledger.head() == 2


def test_ledger_same_key_other_changes_is_a_conflict(ledger: Ledger) -> None:
    """A key used for something else is refused."""
    ledger.append([fact(1)], "k")

    with pytest.raises(ConflictError, match="idempotency key"):
        ledger.append([fact(2)], "k")
    assert ledger.head() == 1


def test_ledger_same_key_of_another_tenant_is_another_key(ledger: Ledger) -> None:
    """Idempotency keys belong to a tenant."""
    ledger.append([fact(1)], "k")
    other = put_fact(Fact("f1", "Rome", "population", "2"), TenantId("b"))

    assert not ledger.append([other], "k").replayed


def test_ledger_group_refuses_one_and_writes_the_others(ledger: Ledger) -> None:
    """In a group commit a refused request does not harm its neighbours."""
    ledger.append([fact(1)], "k")
    refused, written = ledger.append_all([Writing((fact(2),), "k"), Writing((fact(3),))])

    assert isinstance(refused.receipt, ConflictError)
    assert [entry.key for entry in written.entries] == ["f3"]


def test_ledger_same_verdict_is_written_once_in_one_group(ledger: Ledger) -> None:
    """A verdict's id is its content: two callers who bring it together leave one row."""
    first, second = ledger.append_all([Writing((verdict("v"),)), Writing((verdict("v"),))])

    assert (len(first.entries), len(second.entries)) == (1, 0)
    assert ledger.head() == 1


def test_ledger_empty_append_is_refused(ledger: Ledger) -> None:
    """Nothing to write is the caller's mistake."""
    with pytest.raises(InvalidValueError, match="no change"):
        ledger.append([])


def test_ledger_knowledge_seq_ignores_verdicts_and_feedback(ledger: Ledger) -> None:
    """Verdicts and feedback do not move the knowledge."""
    ledger.append([fact(1), verdict("v"), put_feedback(Feedback("v", "REFUTED"))])

    assert (ledger.head(), ledger.knowledge_seq()) == (3, 1)


def test_ledger_seq_at_day_means_its_end(ledger: Ledger, clock: FakeClock) -> None:
    """A day holds all that was written on it; an instant only what was written before."""
    ledger.append([fact(1)])
    clock.advance(12 * 3600)
    ledger.append([fact(2), verdict("v")])
    clock.advance(24 * 3600)
    ledger.append([fact(3)])

    assert ledger.seq_at("2025-12-31") == 0
    assert ledger.seq_at("2026-01-01") == 2
    assert ledger.seq_at("2026-01-01T06:00:00Z") == 1
    assert ledger.seq_at("2026-01-01T13:00:00+02:00") == 1
    assert ledger.seq_at("2030-01-01") == 4


@pytest.mark.parametrize("moment", ["", "yesterday", "2026-13-01", "2026-01-01T25:00"])
def test_ledger_seq_at_bad_moment_is_refused(ledger: Ledger, moment: str) -> None:
    """What is not a day or an instant is told so."""
    with pytest.raises(InvalidValueError, match="not a day"):
        ledger.seq_at(moment)


def test_ledger_clock_set_back_keeps_time_in_order(ledger: Ledger, clock: FakeClock) -> None:
    """Time in the ledger never runs backwards, whatever the clock does."""
    ledger.append([fact(1)])
    clock.advance(-3600)
    ledger.append([fact(2)])
    first, second = ledger.read(0, 10)

    assert second.ts == first.ts


def test_ledger_latest_is_the_last_of_its_key(ledger: Ledger) -> None:
    """The last entry of a key is found, and only that tenant's."""
    ledger.append([fact(1), fact(1)])
    found = ledger.latest(TenantId("default"), "fact.put", "f1")

    assert found is not None
    assert found.seq == 2
    assert ledger.latest(TenantId("b"), "fact.put", "f1") is None
