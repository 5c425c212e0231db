"""Backups of every kind bring back the same ledger, byte for byte, as of any position."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from data.backups.creation import Place, Wanted, create
from data.backups.worker import Worker
from data.clock import SystemClock
from data.errors import (
    ConflictError,
    CorruptDataError,
    InvalidValueError,
    NotFoundError,
    UnavailableError,
)
from data.keeper import Keeper
from data.ledger import Ledger
from data.vectors.exact import ExactIndex
from data.views.vectors import PassageVectors
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink
from tests.unit.backups.homes import (
    SEALERS,
    FailingTarget,
    House,
    facts,
    rows_of,
    segment,
    tree,
)


@pytest.fixture
def house(sealed_house: House) -> House:
    """A home with two hundred facts and a segment, backed up in full."""
    made = sealed_house
    made.write(facts("a", 200), key="first")
    made.write([segment(made.home, "d1", "d2")])
    made.back_up()
    return made


def test_full_backup_restores_the_same_ledger(house: House, tmp_path: Path) -> None:
    """Rows, hashes and idempotency keys are those of the home; the segment is there and whole."""
    restored = house.restore_to(tmp_path / "new")

    assert rows_of(tmp_path / "new") == rows_of(house.home)
    assert tree(tmp_path / "new" / "segments") == tree(house.home / "segments")
    assert restored.rows == {"fact.put": 200, "segment.load": 1}


def test_incremental_chain_restores_the_same_ledger(house: House, tmp_path: Path) -> None:
    """Each incremental backup holds only what is new, and together they are the home."""
    for number in range(3):
        house.write(facts(f"b{number}", 5), key=f"write {number}")
        created = house.back_up("incremental")
        assert (created.manifest.rows, created.instead) == ({"fact.put": 5}, None)
    house.restore_to(tmp_path / "new")

    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_differential_backup_builds_on_the_last_full_one(house: House, tmp_path: Path) -> None:
    """It holds everything since the full backup, whatever incremental ones lie between."""
    house.write(facts("b", 5))
    house.back_up("incremental")
    house.write(facts("c", 5))
    created = house.back_up("differential")
    house.restore_to(tmp_path / "new", created.manifest.id)

    assert created.manifest.rows == {"fact.put": 10}
    assert created.manifest.parent is not None
    assert created.manifest.parent.id.endswith("-full")
    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_segment_is_stored_once_and_referenced_by_later_backups(house: House) -> None:
    """A second full backup names the same file and does not write it again."""
    before = tree(house.home.parent / "target" / "segments")
    again = house.back_up()
    (file,) = [file for file in again.manifest.files if file.role == "segment"]
    (first,) = [file for file in house.catalogue().backups[0].files if file.role == "segment"]

    assert (file, len(before)) == (first, 1)
    assert tree(house.home.parent / "target" / "segments") == before


def test_full_backup_stores_a_damaged_segment_again(house: House, tmp_path: Path) -> None:
    """A full backup reads back what it reuses, mends it, and the earlier backup is whole again too."""
    (stored,) = (tmp_path / "target" / "segments").iterdir()
    content = bytearray(stored.read_bytes())
    content[50] ^= 1
    stored.write_bytes(content)
    house.back_up()
    first, second = house.catalogue().backups
    worker = Worker(None, house.target, house.place.sealer)

    assert [one.fault for one in worker.check([*first.files, *second.files])] == [None] * 4


def test_incremental_of_one_percent_is_small(tmp_path: Path) -> None:
    """After changes of 1 % an incremental backup has under 3 % of the full one's bytes."""
    house = House(tmp_path)
    house.write(facts("a", 20_000))
    full = house.back_up()
    house.write(facts("b", 200))

    assert house.back_up("incremental").written_bytes < 0.03 * full.written_bytes


@pytest.mark.parametrize("at", [1, 100, 200, 201, 206])
def test_restore_to_a_position_is_the_ledger_up_to_it(house: House, tmp_path: Path, at: int) -> None:
    """Rows after the position are not there, and neither are keys of requests that were not finished."""
    house.write(facts("b", 5), key="later")
    house.back_up("incremental")
    house.write(facts("c", 5))
    house.back_up("incremental")
    house.restore_to(tmp_path / "new", at=str(at))

    assert rows_of(tmp_path / "new") == rows_of(house.home, at)


def test_restore_to_an_instant_is_what_was_there_then(house: House, tmp_path: Path) -> None:
    """The last row is the last one written at or before the instant, though the newest backup has more."""
    last = house.write(facts("b", 5))
    moment = house.ledger.read(last - 1, 1)[0].ts
    house.write(facts("c", 5))
    house.back_up("incremental")
    house.restore_to(tmp_path / "new", at=moment)

    assert rows_of(tmp_path / "new") == rows_of(house.home, last)


def test_restore_to_a_position_nobody_reached_is_refused(house: House, tmp_path: Path) -> None:
    """It says how far the backups reach, and makes no home."""
    with pytest.raises(InvalidValueError, match="reach to seq 201, not to 999"):
        house.restore_to(tmp_path / "new", at="999")

    assert not (tmp_path / "new").exists()


def test_incremental_without_a_backup_becomes_full_and_says_why(tmp_path: Path) -> None:
    """There is nothing to build on."""
    house = House(tmp_path)
    house.write(facts("a", 3))
    created = house.back_up("incremental")

    assert created.manifest.kind == "full"
    assert "no backup of this home's history" in str(created.instead)


def test_incremental_after_a_restore_becomes_full(house: House) -> None:
    """A restored home has another history: nothing is built on backups of the one before."""
    house.ledger.close()
    house.restore_to(house.home, at="100")
    created = house.back_up("incremental")

    assert created.manifest.kind == "full"
    assert created.manifest.head.seq == 100


def test_snapshot_has_a_name_and_nothing_builds_on_it(house: House) -> None:
    """A snapshot is a full backup; the next incremental one builds on what was before it."""
    snapshot = house.back_up("snapshot", name="before the upgrade")
    house.write(facts("b", 1))
    after = house.back_up("incremental")

    assert (snapshot.manifest.name, snapshot.manifest.parent) == ("before the upgrade", None)
    assert snapshot.manifest.head.seq == 201
    assert after.manifest.parent is not None
    assert after.manifest.parent.id == house.catalogue().backups[0].id


def test_snapshot_without_a_name_is_refused(house: House) -> None:
    """A snapshot that nobody can tell from others is of no use."""
    with pytest.raises(InvalidValueError, match="needs a name"):
        house.back_up("snapshot")


@pytest.mark.timeout(120)
def test_backup_while_twenty_writers_write_is_the_state_at_its_position(tmp_path: Path) -> None:
    """Twenty threads write on while backups are taken: each is exactly the rows up to its head."""
    house = House(tmp_path)
    clock, stopped = SystemClock(), threading.Event()
    ledger = Ledger(house.home / "ledger" / "ledger.sqlite", clock)

    def write(name: int) -> None:
        number = 0
        while not stopped.is_set():
            ledger.append(facts(f"{name}.{number}.", 3), idempotency_key=f"{name}.{number}")
            number += 1

    threads = [threading.Thread(target=write, args=(name,)) for name in range(20)]
    for thread in threads:
        thread.start()
    taken = []
    for kind in ("full", "incremental", "differential"):
        goal = ledger.head() + 100
        while ledger.head() < goal:
            stopped.wait(0.01)
        taken.append(create(house.place, clock, wanted=Wanted(kind)))
    head = ledger.head()
    stopped.set()
    for thread in threads:
        thread.join()

    for number, created in enumerate(taken):
        house.restore_to(tmp_path / f"new{number}", created.manifest.id)
        assert rows_of(tmp_path / f"new{number}") == rows_of(house.home, created.manifest.head.seq)
    assert 100 <= taken[0].manifest.head.seq < taken[2].manifest.head.seq <= head


def test_backup_that_is_cut_off_is_none_and_the_next_one_succeeds(tmp_path: Path) -> None:
    """Whichever call to the target fails, no backup appears, and the same command then makes one."""
    house = House(tmp_path)
    house.write([*facts("a", 3), segment(house.home, "d1")])
    for calls in range(20):
        failing = FailingTarget(house.target, calls)
        try:
            create(Place(house.home, failing, house.place.sealer), house.clock, wanted=Wanted("full"))
        except UnavailableError:
            assert house.catalogue().backups == ()
        else:
            break
    house.restore_to(tmp_path / "new")

    assert calls > 2
    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_two_backups_of_a_home_at_once_are_refused(house: House) -> None:
    """The second one is told to wait."""
    from data.backups.source import backup_lock

    with backup_lock(house.home), pytest.raises(ConflictError, match="Another backup"):
        house.back_up()


def test_backup_of_a_damaged_ledger_names_the_row_and_is_not_taken(house: House, tmp_path: Path) -> None:
    """A ledger that was altered behind our back is not passed off as a backup."""
    import sqlite3

    with sqlite3.connect(house.home / "ledger" / "ledger.sqlite") as raw:
        raw.execute("UPDATE entries SET payload = x'7b7d' WHERE seq = 77")
    raw.close()

    with pytest.raises(CorruptDataError, match="seq 77 is altered"):
        house.back_up()
    assert len(house.catalogue().backups) == 1


def test_backup_of_a_missing_segment_names_it(house: House) -> None:
    """A segment that the ledger points to and that is gone stops the next full backup."""
    (path,) = (house.home / "segments").glob("*.parquet")
    (stored,) = (house.home.parent / "target" / "segments").iterdir()
    path.unlink()
    stored.unlink()

    with pytest.raises(CorruptDataError, match=path.name):
        house.back_up()


def test_backup_of_no_home_says_so(tmp_path: Path) -> None:
    """There is no ledger to back up."""
    with pytest.raises(NotFoundError, match="no ledger"):
        create(
            Place(tmp_path, House(tmp_path / "other").target, SEALERS["plain"]),
            FakeClock(),
            wanted=Wanted("full"),
        )


def test_views_in_a_backup_need_no_rebuild(tmp_path: Path) -> None:
    """A backup with views brings them back where the ledger reaches so far, and leaves them out where not."""
    house = House(tmp_path)
    house.ledger.close()
    keeper = Keeper(house.home, house.clock, FakeVectorSink())
    keeper.append(facts("a", 20))
    keeper.append([segment(house.home, "d1")])
    created = house.back_up(views=True)
    keeper.append(facts("b", 5))
    keeper.close()
    house.restore_to(tmp_path / "whole", created.manifest.id)
    house.restore_to(tmp_path / "earlier", created.manifest.id, at="10")
    kept = tree(tmp_path / "whole" / "views")
    opened = Keeper(tmp_path / "whole", house.clock, FakeVectorSink())
    counts = opened.stats().views["passages"].counts["documents"]
    opened.close()

    assert sorted(kept) == ["history.sqlite", "passages.sqlite"]
    assert not (tmp_path / "earlier" / "views" / "passages.sqlite").exists()
    assert counts == 1


def test_vectors_in_a_backup_need_no_embedding(tmp_path: Path) -> None:
    """The saved vector files come back whole: the index opens at their position and embeds nothing."""
    house = House(tmp_path)
    house.write([segment(house.home, "d1", "d2")])
    index = vectors_of(house.home)
    index.apply(house.ledger.read(0, 10))
    index.save()
    house.back_up(views=True)
    house.write(facts("b", 1))
    index.apply(house.ledger.read(0, 10))
    index.save()
    house.restore_to(tmp_path / "new")
    restored = vectors_of(tmp_path / "new")

    assert (restored.applied_seq(), restored.counts()["vectors"]) == (1, 2)
    assert sorted(tree(tmp_path / "new" / "vectors")) == [
        "passages/manifest.json",
        "passages/v00000000000000000001/0.index",
        "passages/v00000000000000000001/0.rows",
    ]


def vectors_of(home: Path) -> PassageVectors:
    return PassageVectors(
        home / "vectors" / "passages", home, FakeEmbedder(), embedder_id="fake", kind=ExactIndex
    )


def test_backup_clears_away_what_a_killed_one_left(house: House) -> None:
    """Half-copied views of a backup that was killed are gone after the next one."""
    left = house.home / "ledger" / "backing-up" / "views" / "passages.sqlite"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    house.back_up()

    assert not (house.home / "ledger" / "backing-up").exists()
