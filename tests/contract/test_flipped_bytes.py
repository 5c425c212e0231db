"""One byte flipped anywhere in the ledger's file or in a segment: found and named, or without any effect."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from data import changes, segments
from data.errors import CorruptDataError, KiteError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ledger import Ledger
from data.scrub import checked
from tests.fakes import FakeClock, FakeVectorSink

FLIPS = 400


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with rows of several kinds, keys, a segment and erased payloads."""
    folder = tmp_path_factory.mktemp("home")
    clock = FakeClock()
    keeper = Keeper(folder, clock, FakeVectorSink())
    for number in range(60):
        clock.advance(3600)
        document = changes.put_document(Document(f"d{number % 40}", f"The tower {number} stands in Paris."))
        fact = changes.put_fact(Fact(f"f{number}", "Paris", "p", str(number)))
        keeper.append([document, fact], idempotency_key=f"key-{number}")
    ref = segments.write_documents(folder, [Document(f"s{n}", f"A text in bulk {n}.") for n in range(20)])
    keeper.append([changes.load_segment(ref), changes.delete_document("d3")])
    keeper.compact(80)
    keeper.close()
    return folder


def answers(path: Path) -> object:
    """Return everything a ledger tells."""
    ledger = Ledger(path, FakeClock())
    try:
        rows = ledger.read(0, 10_000)
        days = [ledger.seq_at(f"2026-01-0{day}") for day in range(1, 5)]
        latest = [ledger.latest(row.tenant, row.kind, row.key) for row in rows]
        keys = [ledger.append([*_request(number)], f"key-{number}") for number in range(0, 60, 7)]
        return rows, days, latest, keys, ledger.head(), ledger.horizon(), ledger.knowledge_seq()
    finally:
        ledger.close()


def _request(number: int) -> Iterator[Change]:
    yield changes.put_document(Document(f"d{number % 40}", f"The tower {number} stands in Paris."))
    yield changes.put_fact(Fact(f"f{number}", "Paris", "p", str(number)))


def test_byte_flipped_in_the_ledger_is_found_or_changes_no_answer(home: Path, tmp_path: Path) -> None:
    """Four hundred places: opening or the check names the file or the seq, or every answer is as it was."""
    original = (home / "ledger" / "ledger.sqlite").read_bytes()
    place = tmp_path / "ledger.sqlite"
    place.write_bytes(original)
    expected = repr(answers(place))
    chance, found, silent = random.Random(11), 0, list[int]()
    for _ in range(FLIPS):
        offset, bit = chance.randrange(len(original)), 1 << chance.randrange(8)
        content = bytearray(original)
        content[offset] ^= bit
        for old in tmp_path.iterdir():
            old.unlink()
        place.write_bytes(content)
        faults = _faults(place, home)
        if faults:
            found += 1
            assert all("seq" in fault or "ledger.sqlite" in fault or "file" in fault for fault in faults)
        elif repr(answers(place)) != expected:
            silent.append(offset)

    assert silent == []
    assert found > FLIPS // 4


def _faults(place: Path, home: Path) -> list[str]:
    try:
        ledger = Ledger(place, FakeClock())
    except KiteError as exc:
        return [str(exc)]
    try:
        return list(checked(ledger, home).faults)
    finally:
        ledger.close()


def test_byte_flipped_in_a_segment_is_found_at_every_place(home: Path, tmp_path: Path) -> None:
    """Each flip is named by the check, and a reader refuses the segment."""
    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    ledger = Ledger(copy / "ledger" / "ledger.sqlite", FakeClock())
    (path,) = (copy / "segments").iterdir()
    original = path.read_bytes()
    (entry,) = (one for one in ledger.read(0, 10_000) if one.kind == "segment.load")
    chance = random.Random(5)
    for _ in range(100):
        content = bytearray(original)
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)

        assert [
            path.name in fault and f"seq {entry.seq}" in fault for fault in checked(ledger, copy).faults
        ] == [True]
        with pytest.raises(CorruptDataError, match=path.name):
            list(segments.read_documents(copy, changes.read_segment_ref(entry.payload)))
    ledger.close()


def test_altered_row_never_reaches_a_view(home: Path, tmp_path: Path) -> None:
    """Views that are built from a damaged ledger stop at the row and name it."""
    import sqlite3

    copy = tmp_path / "copy"
    shutil.copytree(home, copy)
    shutil.rmtree(copy / "views")
    with sqlite3.connect(copy / "ledger" / "ledger.sqlite") as raw:
        text = "replace(CAST(payload AS TEXT), 'Paris', 'Porto')"
        raw.execute(f"UPDATE entries SET payload = CAST({text} AS BLOB) WHERE seq = 110")
    raw.close()

    with pytest.raises(CorruptDataError, match="seq 110"):
        Keeper(copy, FakeClock(), FakeVectorSink())
