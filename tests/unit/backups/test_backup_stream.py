"""Streaming and recovery: what was written up to the last step survives the loss of the machine."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from data.backups.creation import Place
from data.backups.manifest import Position
from data.backups.recovery import recover
from data.backups.stream import Follower, Piece, pieces_of, tail
from data.clock import SystemClock
from data.errors import ConflictError, CorruptDataError, NotFoundError, UnavailableError
from data.keeper import Keeper
from data.ledger import Ledger
from tests.fakes import FakeVectorSink
from tests.unit.backups.homes import (
    FailingTarget,
    House,
    facts,
    rows_of,
    segment,
    tree,
)


@pytest.fixture
def house(sealed_house: House) -> House:
    """A home with a full backup."""
    made = sealed_house
    made.write(facts("a", 20), key="first")
    made.back_up()
    return made


def recovered(house: House, home: Path) -> Place:
    """Recover into another home and return its place."""
    place = Place(home, house.target, house.place.sealer)
    recover(place)
    return place


def test_stream_holds_what_was_written_after_the_backup(house: House, tmp_path: Path) -> None:
    """Rows, keys and segments of several steps come back, and nothing that was written after the last."""
    follower = Follower(house.place)
    house.write(facts("b", 5), key="second")
    first = follower.step()
    house.write([segment(house.home, "d1")])
    second = follower.step()
    written = house.ledger.head()
    house.write(facts("lost", 3))
    recovered(house, tmp_path / "new")

    assert (first.rows, second.rows, first.pieces) == (5, 1, 1)
    assert rows_of(tmp_path / "new") == rows_of(house.home, written)
    assert tree(tmp_path / "new" / "segments") == tree(house.home / "segments")


def test_stream_step_without_news_writes_nothing(house: House) -> None:
    """No piece appears."""
    follower = Follower(house.place)

    assert (follower.step().pieces, pieces_of(house.target)) == (0, [])


def test_follower_started_again_goes_on_where_it_stopped(house: House, tmp_path: Path) -> None:
    """Killed after a step, a new one copies only what is new; both together are the whole."""
    house.write(facts("b", 5))
    Follower(house.place).step()
    house.write(facts("c", 5))

    assert Follower(house.place).step().rows == 5
    recovered(house, tmp_path / "new")
    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_follower_and_backups_side_by_side(house: House, tmp_path: Path) -> None:
    """A backup in the middle of a streamed piece leads on into it."""
    follower = Follower(house.place)
    house.write(facts("b", 5))
    house.back_up("incremental")
    house.write([*facts("c", 5), segment(house.home, "d1")])
    assert follower.step().rows == 11
    recovered(house, tmp_path / "new")

    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_follower_without_a_backup_says_what_to_do(tmp_path: Path) -> None:
    """There is nothing that streamed rows could follow."""
    house = House(tmp_path)
    house.write(facts("a", 1))

    with pytest.raises(NotFoundError, match="create a full one first"):
        Follower(house.place)


def test_follower_outlives_an_unreachable_target(house: House, tmp_path: Path) -> None:
    """The step that failed is done by the next one, whole."""
    follower = Follower(house.place)
    failing = FailingTarget(house.target, 0)
    follower._place = Place(house.home, failing, house.place.sealer)
    house.write([*facts("b", 5), segment(house.home, "d1")])
    for _ in range(3):
        with pytest.raises(UnavailableError):
            follower.step()
        failing.calls = 1
    failing.calls = 100
    assert follower.step().seq == 26
    recovered(house, tmp_path / "new")

    assert rows_of(tmp_path / "new") == rows_of(house.home)


def test_follower_of_a_restored_home_stops(house: House) -> None:
    """The home has another history now: its rows must not be mixed with those streamed before."""
    follower = Follower(house.place)
    house.ledger.close()
    house.restore_to(house.home)

    with pytest.raises(ConflictError, match="restored"):
        follower.step()


def test_restored_home_is_not_recovered_into_its_old_future(house: House, tmp_path: Path) -> None:
    """Rows that were streamed before a restore to an earlier position do not come back after it."""
    house.write(facts("old", 5))
    Follower(house.place).step()
    house.ledger.close()
    house.restore_to(house.home, at="10")
    house.ledger = Ledger(house.home / "ledger" / "ledger.sqlite", house.clock)
    house.back_up()
    house.write(facts("new", 5))
    Follower(house.place).step()
    recovered(house, tmp_path / "new")

    assert rows_of(tmp_path / "new") == rows_of(house.home)
    assert len(rows_of(tmp_path / "new")[0]) == 15


def test_recovery_stops_before_a_damaged_piece_and_says_so(house: House, tmp_path: Path) -> None:
    """What comes before it is brought back; the report names the file and the position."""
    follower = Follower(house.place)
    house.write(facts("b", 5))
    follower.step()
    house.write(facts("c", 5))
    follower.step()
    damaged = pieces_of(house.target)[1]
    path = tmp_path / "target" / damaged.path
    path.write_bytes(path.read_bytes()[:-1])
    done = recover(Place(tmp_path / "new", house.target, house.place.sealer))

    assert rows_of(tmp_path / "new") == rows_of(house.home, 25)
    assert done.lost_after_seq == 25
    assert [damaged.path in text for text in done.refused] == [True]


def test_recovery_stops_before_a_damaged_streamed_segment(house: House, tmp_path: Path) -> None:
    """Rows before the one that points to it come back."""
    follower = Follower(house.place)
    house.write(facts("b", 5))
    follower.step()
    house.write([segment(house.home, "d1")])
    follower.step()
    (stored,) = (tmp_path / "target" / "segments").iterdir()
    stored.write_bytes(stored.read_bytes()[:-1])
    done = recover(Place(tmp_path / "new", house.target, house.place.sealer))

    assert rows_of(tmp_path / "new") == rows_of(house.home, 25)
    assert (done.lost_after_seq, len(done.refused)) == (25, 1)


def test_recovery_without_a_good_backup_changes_nothing(house: House, tmp_path: Path) -> None:
    """Every backup is named, and the home is as it was."""
    for path in (tmp_path / "target" / "backups").rglob("*.parquet"):
        path.write_bytes(b"")
    before = rows_of(house.home)
    house.ledger.close()

    with pytest.raises(CorruptDataError, match="No backup is whole"):
        recover(house.place)
    assert rows_of(house.home) == before


def test_recovery_from_nothing_says_so(house: House, tmp_path: Path) -> None:
    """An empty target has nothing to recover from."""
    empty = House(tmp_path / "empty").target

    with pytest.raises(NotFoundError, match="no backup"):
        recover(Place(tmp_path / "new", empty, house.place.sealer))


def test_recovered_home_serves(house: House, tmp_path: Path) -> None:
    """The keeper opens it at once: its views are built, and it takes writes."""
    house.write(facts("b", 5))
    Follower(house.place).step()
    place = recovered(house, tmp_path / "new")
    keeper = Keeper(place.home, house.clock, FakeVectorSink())
    counts = keeper.stats().views["facts"].counts["facts"]
    seq = keeper.append(facts("n", 1)).last_seq
    keeper.close()

    assert (counts, seq) == (25, 26)


def test_loss_of_the_machine_costs_less_than_ten_seconds(tmp_path: Path) -> None:
    """A writer at full speed, two steps a second: what is lost is what was written since the last step."""
    house = House(tmp_path)
    house.write(facts("a", 1))
    house.back_up()
    ledger = Ledger(house.home / "ledger" / "ledger.sqlite", SystemClock())
    stopped = threading.Event()
    written: list[tuple[float, int]] = []

    def write() -> None:
        while not stopped.is_set():
            seq = ledger.append(facts(f"w{len(written)}.", 2)).last_seq
            written.append((time.monotonic(), seq))

    writer = threading.Thread(target=write)
    writer.start()
    follower = Follower(house.place)
    for _ in range(4):
        stopped.wait(0.5)
        follower.step()
    lost_at = time.monotonic()  # the machine is gone: only the target is left
    stopped.set()
    writer.join()
    recovered(house, tmp_path / "new")
    entries, _ = rows_of(tmp_path / "new")
    lost = [at for at, seq in written if seq > len(entries) and at <= lost_at]

    assert rows_of(tmp_path / "new") == rows_of(house.home, len(entries))
    assert len(entries) > 10
    assert not lost or lost_at - lost[0] < 10.0


def piece(first: int, last: int) -> Piece:
    return Piece(f"{first}-{last}", "l", first, last, "", 0)


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        ([(1, 5), (6, 9)], [(6, 9)]),
        ([(6, 7), (8, 9), (11, 12)], [(6, 7), (8, 9)]),
        ([(3, 7), (6, 7), (8, 9)], [(3, 7), (8, 9)]),
        ([(6, 7), (6, 9), (10, 10)], [(6, 9), (10, 10)]),
        ([(7, 9)], []),
        ([], []),
    ],
)
def test_tail_leads_on_without_a_gap(pieces: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    """From position 5: overlaps are no harm, and after a gap nothing counts."""
    found = tail([piece(*span) for span in pieces], Position(5, ""))

    assert [(one.first_seq, one.last_seq) for one in found] == expected
