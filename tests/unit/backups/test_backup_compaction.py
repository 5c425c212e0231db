"""Backups of a ledger from which things were erased: before, meanwhile, after."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from data import changes
from data.backups.creation import Place
from data.backups.merging import Merge, merge
from data.backups.plan import plan
from data.backups.recovery import recover
from data.backups.restoration import Scope
from data.backups.source import LedgerSource, backup_lock, ledger_path
from data.backups.stream import Follower, pieces_of
from data.backups.targets import FolderTarget
from data.backups.verification import verify_backup
from data.backups.worker import Worker
from data.claims import DEFAULT_TENANT, TenantId
from data.errors import ConflictError, CorruptDataError, InvalidValueError, StoreUnavailableError
from data.keeper import Keeper
from data.knowledge import Document
from data.views.facts import FactFilter
from tests.fakes import FakeVectorSink
from tests.unit.backups.homes import House, facts, rows_of, segment

GONE = "It was the secret of Waldemar."


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A home with a document and a document of a segment that were deleted."""
    made = House(tmp_path)
    made.write([*facts("a", 3), changes.put_document(Document("d", GONE)), segment(made.home, "s1", "s2")])
    made.write([changes.delete_document("d"), changes.delete_document("s2"), *facts("b", 2)])
    made.ledger.close()
    return made


def test_backup_of_a_compacted_ledger_is_that_ledger(house: House, keeper: Keeper, tmp_path: Path) -> None:
    """Rows, hashes and the rewritten segment come back; what was erased is in no file of the backup."""
    keeper.compact(keeper.knowledge_seq())
    created = house.back_up()
    house.restore_to(tmp_path / "new")
    worker = Worker(None, house.target, house.place.sealer)
    faults = verify_backup(house.catalogue(), created.manifest.id, sealer=house.place.sealer, runner=worker)
    opened = Keeper(tmp_path / "new", house.clock, FakeVectorSink())
    length, shown = opened.verify(), opened.document(DEFAULT_TENANT, "s1")
    opened.close()

    assert faults.faults == ()
    assert rows_of(tmp_path / "new")[0] == rows_of(house.home)[0]
    assert (length, shown is not None) == (10, True)
    assert GONE.encode() not in b"".join(row[6] for row in rows_of(tmp_path / "new")[0])  # type: ignore[misc]


def test_restore_of_a_backup_from_before_a_compaction_erases_again(
    house: House, keeper: Keeper, tmp_path: Path
) -> None:
    """The full backup still has the text; the row after it says what has to go, and the keeper does it."""
    house.back_up()
    keeper.compact(keeper.knowledge_seq())
    house.back_up("incremental")
    recover(Place(tmp_path / "new", house.target, house.place.sealer))
    opened = Keeper(tmp_path / "new", house.clock, FakeVectorSink())
    with pytest.raises(InvalidValueError, match="erased"):
        opened.document(DEFAULT_TENANT, "d", as_of=4)
    opened.close()  # waits until it is done

    assert GONE.encode() not in b"".join(row[6] for row in rows_of(tmp_path / "new")[0])  # type: ignore[misc]


class CompactingTarget(FolderTarget):
    """A target during whose first write the ledger is compacted."""

    def __init__(self, folder: Path, keeper: Keeper) -> None:
        super().__init__(folder)
        self._keeper: Keeper | None = keeper

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.compact(keeper.knowledge_seq())
        super().write(path, chunks)


def test_stream_step_while_the_ledger_is_compacted_is_done_again(
    house: House, keeper: Keeper, tmp_path: Path
) -> None:
    """Rows and segments of that step would not fit together: nothing is stored, and the next step does it."""
    house.back_up()
    follower = Follower(house.place)
    keeper.append([segment(house.home, "s3", "s4")])
    keeper.append([changes.delete_document("s4")])
    target = CompactingTarget(tmp_path / "target", keeper)
    follower._place = Place(house.home, target, house.place.sealer)
    with pytest.raises(StoreUnavailableError, match="repeat"):
        follower.step()
    assert pieces_of(house.target) == []
    follower.step()
    place = Place(tmp_path / "new", house.target, house.place.sealer)
    recovered = recover(place)

    assert (recovered.lost_after_seq, recovered.refused) == (None, ())
    assert recovered.chain_rows == keeper.verify()


def test_compaction_waits_for_a_backup(house: House, keeper: Keeper) -> None:
    """While one is taken, or pruned, nothing is erased."""
    with backup_lock(house.home), pytest.raises(ConflictError, match="Another backup"):
        keeper.compact(keeper.knowledge_seq())


def test_stream_goes_on_over_a_compaction(house: House, keeper: Keeper, tmp_path: Path) -> None:
    """Pieces from before and after it lead to a home that serves."""
    house.back_up()
    follower = Follower(house.place)
    keeper.append([segment(house.home, "s3", "s4")])
    follower.step()
    keeper.append([changes.delete_document("s4")])
    keeper.compact(keeper.knowledge_seq())
    keeper.append(facts("late", 1))
    follower.step()
    place = Place(tmp_path / "new", house.target, house.place.sealer)
    assert recover(place).lost_after_seq is None
    opened = Keeper(place.home, house.clock, FakeVectorSink())
    found = opened.facts(DEFAULT_TENANT, FactFilter(limit=100))
    shown = [opened.document(DEFAULT_TENANT, name) for name in ("s3", "s4")]
    opened.close()

    assert "late0" in {fact.id for fact in found}
    assert [one is not None for one in shown] == [True, False]


def test_exact_merge_after_a_compaction_leaves_the_ledgers_own_rows_alone(
    house: House, keeper: Keeper
) -> None:
    """The row that asks for a compaction is no thing that could be brought back or removed."""
    keeper.append([changes.delete_fact("a1")])
    house.back_up()
    keeper.append(facts("c", 1))
    keeper.compact(keeper.knowledge_seq())
    done = merge(house.place, plan(house.place, house.catalogue()), keeper, wanted=Merge(exact=True))

    assert (done.restored, done.removed) == ({}, {"fact": 1})


def test_one_tenant_keeps_the_horizon_of_what_was_erased(
    house: House, keeper: Keeper, tmp_path: Path
) -> None:
    """Positions are numbered anew, and what was erased is still refused, not answered wrongly."""
    keeper.append(facts("other", 2, TenantId("other")))
    keeper.compact(keeper.knowledge_seq())
    keeper.append(facts("late", 1))
    house.back_up()
    house.restore_to(tmp_path / "new", scope=Scope(tenant=DEFAULT_TENANT))
    opened = Keeper(tmp_path / "new", house.clock, FakeVectorSink())
    with pytest.raises(InvalidValueError, match="before seq 9 "):
        opened.document(DEFAULT_TENANT, "d", as_of=4)
    length = opened.verify()
    opened.close()

    assert length == 11


def test_what_stands_in_an_erased_place_is_checked(house: House, keeper: Keeper) -> None:
    """No chain covers it, so it has a hash of its own: a backup of an altered one is not taken."""
    import sqlite3
    from contextlib import closing

    keeper.compact(keeper.knowledge_seq())
    with closing(sqlite3.connect(ledger_path(house.home))) as raw, raw:
        raw.execute("UPDATE entries SET payload = CAST(payload || x'20' AS BLOB) WHERE kind = 'segment.load'")
    with LedgerSource(ledger_path(house.home)) as source, pytest.raises(CorruptDataError):
        source.segments(0, 100)
    with pytest.raises(CorruptDataError, match="altered"):
        house.back_up()
