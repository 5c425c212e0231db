"""Keys and tenants across a restore: an older moment brings back knowledge, not rights taken away since."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from data import changes
from data.access.records import AccessChanges, KeyRecord, TenantRecord
from data.access.roles import Role
from data.backups.creation import Place, Wanted, create
from data.backups.manifest import read_catalogue
from data.backups.plan import plan
from data.backups.recovery import recover
from data.backups.restoration import Scope, restore
from data.backups.sealing import PlainSealer
from data.backups.targets import FolderTarget
from data.claims import TenantId
from data.erasure import Eraser
from data.keeper import Keeper
from data.ledger import Ledger
from data.stores.memory import MemoryStore
from data.views.facts import FactFilter
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.backups.homes import House, facts

A = TenantId("a")
OLD = KeyRecord("old000000000", "old", "0" * 64, A, (Role.EDITOR,), 1.0)
ADMIN = replace(OLD, id="admin0000000", tenant=None, roles=(Role.ADMIN,))
LATE = replace(OLD, id="late00000000", name="late")
TENANT = TenantRecord(A, "A", 1.0)


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A home with a tenant and two keys, backed up; nothing happened since."""
    made = House(tmp_path)
    made.write(facts("f", 3))
    made.write([changes.put_tenant(TENANT), changes.put_key(ADMIN), changes.put_key(OLD)])
    made.back_up()
    return made


def access(home: Path) -> AccessChanges:
    """Open a home as the keeper does, check its chain and views, and return its keys and tenants."""
    keeper = Keeper(home, FakeClock(), FakeVectorSink())
    try:
        assert keeper.check(views=True).faults == ()
        return keeper.access_changes(0)
    finally:
        keeper.close()


def by_id(found: AccessChanges) -> dict[str, KeyRecord | TenantRecord]:
    return {one.id: one for one in (*found.keys, *found.tenants)}


def test_key_revoked_since_the_backup_stays_revoked(house: House) -> None:
    """So do a rotated key's end, its successor, and the state of a tenant; the report counts the rows."""
    revoked, ending = replace(OLD, revoked_s=9.0), replace(ADMIN, expires_s=99.0)
    suspended = replace(TENANT, state="suspended")
    house.write([changes.put_key(revoked), changes.put_key(ending), changes.put_key(LATE)])
    house.write([changes.put_tenant(suspended), *facts("g", 4)])
    house.ledger.close()
    restored = house.restore_to(house.home)

    assert by_id(access(house.home)) == {one.id: one for one in (revoked, ending, LATE, suspended)}
    assert (restored.kept_access, restored.access_note, restored.end.seq) == (4, None, 6)


def test_restore_over_what_a_killed_keeper_left_knows_the_last_revocation(house: House) -> None:
    """It stands in the journal alone: the ledger's file was never closed."""
    house.write([changes.put_key(replace(OLD, revoked_s=9.0))])
    ledger = house.home / "ledger"
    other = ledger.parents[1] / "killed"
    shutil.copytree(ledger, other / "ledger", ignore=shutil.ignore_patterns("*-shm"))
    assert (other / "ledger" / "ledger.sqlite-wal").stat().st_size > 0
    house.ledger.close()
    restored = house.restore_to(other)

    assert (restored.kept_access, by_id(access(other))[OLD.id]) == (1, replace(OLD, revoked_s=9.0))


def test_restore_where_nothing_was_taken_away_writes_nothing_more(house: House) -> None:
    """The ledger is row for row the backup's."""
    house.write(facts("g", 4))
    house.ledger.close()
    restored = house.restore_to(house.home)

    assert (restored.kept_access, restored.access_note) == (0, None)
    assert access(house.home).seq == 6


def test_restore_twice_or_of_a_newer_backup_brings_nothing_back(house: House, tmp_path: Path) -> None:
    """Neither direction forgets: what either of the two ledgers ended has ended."""
    house.write(
        [changes.put_key(replace(OLD, revoked_s=9.0)), changes.put_tenant(replace(TENANT, state="erased"))]
    )
    house.back_up()
    older, newer = (manifest.id for manifest in house.catalogue().backups)
    house.ledger.close()
    other = tmp_path / "other"
    house.restore_to(other, older)
    assert by_id(access(other))[OLD.id] == OLD
    for backup in (newer, older, older):
        house.restore_to(other, backup)
        found = by_id(access(other))
        assert (found[OLD.id], found[A]) == (replace(OLD, revoked_s=9.0), replace(TENANT, state="erased"))


@pytest.mark.parametrize("content", [None, b"no database, " * 999])
def test_restore_that_cannot_know_what_was_revoked_says_so(house: House, content: bytes | None) -> None:
    """Without the ledger before, or with a damaged one: a person has to look."""
    house.ledger.close()
    ledger = house.home / "ledger" / "ledger.sqlite"
    ledger.unlink()
    if content is not None:
        ledger.write_bytes(content)
    restored = house.restore_to(house.home)

    assert restored.kept_access == 0
    assert "list keys and tenants" in str(restored.access_note)
    assert by_id(access(house.home))[OLD.id] == OLD


def test_restore_without_keys_says_nothing_of_them(tmp_path: Path) -> None:
    """An installation that asks nobody for a key."""
    made = House(tmp_path)
    made.write(facts("f", 3))
    made.back_up()
    made.ledger.close()

    assert made.restore_to(tmp_path / "new").access_note is None


def test_recovery_of_a_home_with_later_revocations_is_verified(house: House) -> None:
    """The rows written after the restored ones are counted, and are not taken for streamed ones."""
    house.write([changes.put_key(replace(OLD, revoked_s=9.0))])
    house.ledger.close()
    done = recover(Place(house.home, house.target, house.place.sealer))

    assert (done.restored.end.seq, done.restored.kept_access, done.chain_rows) == (6, 1, 7)
    assert by_id(access(house.home))[OLD.id] == replace(OLD, revoked_s=9.0)


def test_restore_of_one_tenant_brings_its_keys_and_its_record(house: House, tmp_path: Path) -> None:
    """And no key of the installation or of another tenant."""
    house.write(
        [
            changes.put_tenant(replace(TENANT, id=TenantId("b"))),
            changes.put_key(replace(LATE, tenant=TenantId("b"))),
        ]
    )
    house.back_up()
    house.ledger.close()
    restored = house.restore_to(tmp_path / "new", scope=Scope(A))

    assert by_id(access(tmp_path / "new")) == {A: TENANT, OLD.id: OLD}
    assert (restored.kept_access, restored.access_note) == (0, None)


def test_tenant_erased_since_the_backup_is_erased_again(tmp_path: Path) -> None:
    """Its data come back with the backup, and go as soon as the home is opened; what is proved holds."""
    other, clock = TenantId("b"), FakeClock()
    keeper, store = Keeper(tmp_path / "home", clock, FakeVectorSink()), MemoryStore(clock)
    keeper.append(
        [changes.put_tenant(TENANT), changes.put_key(OLD), *facts("f", 3, A), *facts("f", 3, other)]
    )
    place = Place(tmp_path / "home", FolderTarget(tmp_path / "target"), PlainSealer())
    create(place, clock, wanted=Wanted("full"))
    Eraser(keeper, store, place.home, clock).erase(A)
    keeper.close()
    chosen = plan(place, read_catalogue(place.target, place.sealer))
    restored = restore(place, chosen)

    keeper = Keeper(place.home, clock, FakeVectorSink())
    eraser = Eraser(keeper, store, place.home, clock)
    found = by_id(keeper.access_changes(0))
    closed = found[OLD.id], found[A]
    assert isinstance(closed[0], KeyRecord)
    assert closed[0].revoked_s is not None
    assert isinstance(closed[1], TenantRecord)
    assert closed[1].state == "erased"
    assert (restored.kept_access, eraser.pending()) == (3, [A])
    assert eraser.verify_erased(A).counts["ledger: rows"] > 0

    (proof,) = eraser.resume()
    assert set(proof.after.values()) == {0}
    assert [len(keeper.facts(tenant, FactFilter(limit=10))) for tenant in (A, other)] == [0, 3]
    assert keeper.verify() == keeper.stats().head
    keeper.close()


def test_restored_ledger_ends_after_the_rows_that_were_kept(house: House) -> None:
    """Their chain goes on from the backup's end; the work is told to be the restore's."""
    house.write([changes.put_key(replace(OLD, revoked_s=9.0))])
    house.ledger.close()
    house.restore_to(house.home)
    ledger = Ledger(house.home / "ledger" / "ledger.sqlite", FakeClock())
    (row,) = ledger.read(6, 9)

    assert (ledger.verify(), row.actor, row.kind, row.key, row.tenant) == (7, "restore", "key.put", OLD.id, A)
    ledger.close()
    with sqlite3.connect(house.home / "ledger" / "ledger.sqlite") as raw:
        assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    raw.close()
