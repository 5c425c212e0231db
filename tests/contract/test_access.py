"""Keys and tenants in the ledger and its view, near and far: what is written counts, and is never lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from data import changes, ledger_schema
from data.access import keys
from data.access.desk import AccessDesk, KeyWish
from data.access.directory import AccessDirectory
from data.access.records import SYSTEM_TENANT, AccessChanges, Hours, KeyRecord, TenantRecord
from data.access.roles import Role
from data.claims import TenantId
from data.codec import ACCESS
from data.errors import CapacityError, ConflictError, InvalidValueError, NotFoundError
from data.keeper import Keeper
from data.knowledge import Change, Document
from data.limits.policy import LimitOverrides, Quotas, RateLimit
from data.lookup import LocalReader
from data.ports import WriteReceipt
from tests.fakes import FakeClock, FakeVectorSink

PEPPER = b"p" * 32
A, B = TenantId("a"), TenantId("b")
WISH = KeyWish("robot", A, (Role.EDITOR,))


class House:
    """A keeper with a desk over it; ``reopen`` is a restart."""

    def __init__(self, home: Path) -> None:
        self.home, self.clock, self.sink = home, FakeClock(), FakeVectorSink()
        self.open()

    def open(self) -> None:
        self.keeper = Keeper(self.home, self.clock, self.sink)
        self.reader = LocalReader(self.keeper)
        self.desk = AccessDesk(self.reader, PEPPER, self.clock, pause=lambda _: None)

    def reopen(self) -> None:
        self.keeper.close()
        self.open()

    def key(self, **wish: object) -> KeyRecord:
        return self.desk.create_key(replace(WISH, **wish), actor="test")[1]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.desk.create_tenant(A, name="A", actor="test")
    yield made
    made.keeper.close()


def test_created_key_is_known_with_all_that_was_wished(house: House) -> None:
    """The record that comes back is the one that every replica reads."""
    house.clock.advance(0.25)
    wish = KeyWish(
        "n", A, (Role.READER,), house.clock.now_s() + 99.5, ("10.0.0.0/8",), Hours("22:00", "06:00", (4,))
    )
    text, record = house.desk.create_key(wish, actor="key:admin")

    assert house.keeper.access_changes(0).keys == (record,)
    hashed = keys.hash_of(text, PEPPER)
    assert keys.check(record, hashed, address="10.1.1.1", now_s=house.clock.now_s()) is not None
    assert (record.expires_s, record.hours, record.addresses) == (wish.expires_s, wish.hours, wish.addresses)
    (entry,) = house.keeper.read_entries(1, 9)
    assert (entry.kind, entry.tenant, entry.actor, entry.key) == ("key.put", A, "key:admin", record.id)
    assert text.encode() not in entry.payload
    assert text[18:48].encode() not in entry.payload


def test_key_of_the_installation_stands_under_no_tenant_s_name(house: House) -> None:
    """Its rows belong to the installation, as those of tenants do."""
    house.key(tenant=None)

    assert [entry.tenant for entry in house.keeper.read_entries(0, 9)] == [SYSTEM_TENANT, SYSTEM_TENANT]


def test_key_of_a_given_text_is_made_once(house: House) -> None:
    """A second one of the same id is refused."""
    text = keys.new_text()
    house.desk.create_key(WISH, actor="test", text=text)

    with pytest.raises(ConflictError, match="of this id already"):
        house.desk.create_key(WISH, actor="test", text=text)


def test_access_changes_are_those_after_a_position_as_they_are_now(house: House) -> None:
    """The position alone when there is nothing new; each record once, its last."""
    first = house.key()
    after = house.keeper.access_changes(0).seq
    second = house.key()
    ended = house.desk.revoke_key(first.id, actor="test")
    found = house.keeper.access_changes(after)

    assert (found.keys, found.tenants, found.seq) == ((second, ended), (), house.keeper.stats().head)
    assert house.keeper.access_changes(found.seq) == AccessChanges(found.seq)


def test_access_changes_travel_between_processes_unchanged(house: House) -> None:
    """Every field of keys and tenants, as the far reader gets it."""
    limits = LimitOverrides(RateLimit(1.5, 2, 3, 4), None, {"verify": RateLimit(1, 2, 3, 4)})
    house.desk.change_tenant(A, {"limits": limits, "quotas": Quotas(keys=5)}, actor="test")
    house.key(expires_s=house.clock.now_s() + 0.5, hours=Hours("22:00", "06:00"), addresses=("::1",))
    house.key(tenant=None)
    found = house.keeper.access_changes(0)

    assert ACCESS.decode(ACCESS.encode(found)) == found
    assert found.tenants[0].limits == limits


def test_access_changes_of_a_new_home_are_none(tmp_path: Path) -> None:
    """Position 0, whatever else is written."""
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    keeper.append([changes.put_document(Document("d", "The tower is old."))])

    assert keeper.access_changes(0) == AccessChanges(0)
    keeper.close()


def test_keys_and_tenants_are_no_knowledge(house: House) -> None:
    """They move no verdict's position and reach no vector."""
    house.key()

    assert (house.keeper.knowledge_seq(), house.sink.entries) == (0, [])
    assert house.keeper.seq_at("2030-01-01") == 0


def test_view_rebuilt_or_reopened_holds_the_same(house: House) -> None:
    """The ledger alone gives the same view; a check finds no difference."""
    record = house.key()
    house.key(tenant=None)
    house.desk.revoke_key(record.id, actor="test")
    (view,) = (one for one in house.keeper.views() if one.name == "access")
    before = house.keeper.access_changes(0), view.digest()
    house.keeper.rebuild("access")
    (view,) = (one for one in house.keeper.views() if one.name == "access")
    assert (house.keeper.access_changes(0), view.digest()) == before
    assert house.keeper.check(views=True).faults == ()

    house.keeper.close()
    (house.home / "views" / "access.sqlite").unlink()
    house.open()
    assert house.keeper.access_changes(0) == before[0]
    assert house.keeper.stats().views["access"].counts == {"keys": 2, "tenants": 1}


def test_compaction_leaves_keys_and_tenants(house: House) -> None:
    """What was revoked or suspended is known afterwards, from a view built anew."""
    record = house.key()
    house.desk.revoke_key(record.id, actor="test")
    house.desk.suspend_tenant(A, actor="test")
    house.keeper.append([changes.put_document(Document("d", "The tower is old.")) for _ in range(2)])
    before = house.keeper.access_changes(0)

    house.keeper.compact(house.keeper.stats().head)
    assert house.keeper.access_changes(0) == before
    house.reopen()
    assert house.keeper.access_changes(0) == before


def test_ledger_of_format_2_is_brought_forward(tmp_path: Path) -> None:
    """Only the index of what is knowledge changes; no row, and no copy of the file is needed."""
    import sqlite3

    path = tmp_path / "ledger" / "ledger.sqlite"
    house = House(tmp_path)
    house.keeper.append([changes.put_document(Document("d", "The tower is old."))])
    house.keeper.close()
    with sqlite3.connect(path) as raw:
        for index in ("rows_of_knowledge", "dataset_entries", "vector_entries", "schedule_entries"):
            raw.execute(f"DROP INDEX {index}")
        raw.execute(
            "CREATE INDEX entries_knowing ON entries(seq) WHERE "
            "kind NOT IN ('verdict.put', 'feedback.put', 'calibration.put', 'ledger.compact')"
        )
        raw.execute("PRAGMA user_version=2")
    raw.close()

    house.open()
    house.key(tenant=None)
    assert (house.keeper.knowledge_seq(), house.keeper.verify()) == (1, 2)
    assert house.keeper.check().faults == ()
    house.keeper.close()
    with sqlite3.connect(path) as raw:
        (number,) = raw.execute("PRAGMA user_version").fetchone()
        plan = raw.execute(
            f"EXPLAIN QUERY PLAN SELECT max(seq) FROM entries WHERE {ledger_schema.IS_KNOWLEDGE} AND seq <= 5"
        ).fetchall()
    raw.close()
    assert number == ledger_schema.FORMAT
    assert "rows_of_knowledge" in str(plan)
    assert [one.name for one in path.parent.glob("ledger.sqlite.format*")] == []


BAD_ROWS = [
    (Change("key.put", "x", b"{}", A), "not valid"),
    (changes.put_key(KeyRecord("k" * 12, "n", "0" * 64, B, (Role.READER,), 1.0)), "does not belong under"),
    (changes.put_key(KeyRecord("k" * 12, "n", "0" * 64, None, (Role.READER,), 1.0)), "does not belong under"),
    (changes.put_tenant(TenantRecord(A, "A", 1.0)), "does not belong under"),
]


@pytest.mark.parametrize(("bad", "told"), BAD_ROWS)
def test_row_that_names_another_owner_or_key_is_refused(house: House, bad: Change, told: str) -> None:
    """No tenant's write makes a key of another tenant or of the installation."""
    row = replace(bad, tenant=A)
    with pytest.raises(InvalidValueError, match=told):
        house.keeper.append([row])


@pytest.mark.parametrize(
    ("record", "told"),
    [
        (TenantRecord(SYSTEM_TENANT, "S", 1.0), "installation's own"),
        (TenantRecord(TenantId("A b"), "S", 1.0), "tenant id"),
        (TenantRecord(A, "", 1.0), "name of a tenant"),
        (TenantRecord(A, "A", 1.0, "active", Quotas(keys=-1)), "quota of keys"),
        (
            TenantRecord(A, "A", 1.0, "active", Quotas(), LimitOverrides(key=RateLimit(0.0, 1.0, 1.0, 1.0))),
            "A limit",
        ),
        (
            TenantRecord(
                A, "A", 1.0, "active", Quotas(), LimitOverrides(operations={"v": RateLimit(1, 1, 1, 0.5)})
            ),
            "A limit",
        ),
    ],
)
def test_tenant_that_cannot_be_is_refused(record: TenantRecord, told: str) -> None:
    """Ids, names, quotas and limits have their bounds."""
    with pytest.raises(InvalidValueError, match=told):
        changes.put_tenant(record)


def test_key_for_a_tenant_that_is_not_there_is_refused(house: House) -> None:
    """Nor for one that was erased; nothing is written."""
    head = house.keeper.stats().head
    with pytest.raises(NotFoundError, match="no tenant 'b'"):
        house.key(tenant=B)
    assert house.keeper.stats().head == head
    house.desk.mark_erased(A, actor="test")
    with pytest.raises(ConflictError, match="erased"):
        house.key()


def test_quota_of_keys_counts_those_that_work(house: House) -> None:
    """Revoked and expired ones make room; a rotated one counts once."""
    house.desk.change_tenant(A, {"quotas": Quotas(keys=2)}, actor="test")
    first, second = house.key(), house.key(expires_s=house.clock.now_s() + 50.0)
    with pytest.raises(ConflictError, match="as many keys as it may"):
        house.key()
    house.desk.rotate_key(first.id, actor="test", overlap_s=20.0)
    with pytest.raises(ConflictError, match="as many keys as it may"):
        house.key()
    house.clock.advance(50.0)
    assert not keys.is_live(second, house.clock.now_s())
    house.key()
    house.key(tenant=None)


def test_revoke_is_final_and_repeating_it_writes_nothing(house: House) -> None:
    """The moment of the first time stays."""
    record = house.key()
    ended = house.desk.revoke_key(record.id, actor="test")
    head = house.keeper.stats().head
    house.clock.advance(5.0)

    assert house.desk.revoke_key(record.id, actor="test") == ended
    assert (ended.revoked_s, house.keeper.stats().head) == (house.clock.now_s() - 5.0, head)
    with pytest.raises(NotFoundError):
        house.desk.revoke_key("nothing", actor="test")


def test_rotation_writes_successor_and_end_together(house: House) -> None:
    """One write, two rows; the old key ends by itself."""
    record = house.key()
    house.clock.advance(5.0)
    head = house.keeper.stats().head
    text, fresh = house.desk.rotate_key(record.id, actor="test", overlap_s=60.0)
    old = {one.id: one for one in house.desk.keys(A)}[record.id]

    assert keys.check(fresh, keys.hash_of(text, PEPPER), address="", now_s=house.clock.now_s()) is None
    assert (fresh.replaces, old.expires_s) == (record.id, house.clock.now_s() + 60.0)
    assert house.keeper.stats().head == head + 2


@pytest.mark.parametrize("age_s", [0.0, 5.0])
def test_rotation_without_overlap_ends_the_old_key_at_once(house: House, age_s: float) -> None:
    """Also one that was made in the same moment."""
    record = house.key()
    house.clock.advance(age_s)
    house.desk.rotate_key(record.id, actor="test", overlap_s=0.0)
    old = {one.id: one for one in house.desk.keys(A)}[record.id]

    assert not keys.is_live(old, house.clock.now_s())


def test_key_is_rotated_once_at_a_time(house: House) -> None:
    """Neither what is being replaced nor, while both work, what replaced it; nor what has ended."""
    record = house.key()
    _, fresh = house.desk.rotate_key(record.id, actor="test", overlap_s=60.0)
    with pytest.raises(ConflictError, match="replaced already"):
        house.desk.rotate_key(record.id, actor="test")
    with pytest.raises(ConflictError, match="still works"):
        house.desk.rotate_key(fresh.id, actor="test")
    house.clock.advance(60.0)
    house.desk.rotate_key(fresh.id, actor="test")
    house.desk.revoke_key(fresh.id, actor="test")
    with pytest.raises(ConflictError, match="has ended"):
        house.desk.rotate_key(fresh.id, actor="test")
    with pytest.raises(InvalidValueError, match="overlap_s"):
        house.desk.rotate_key(record.id, actor="test", overlap_s=-1.0)


def test_key_made_again_with_the_same_idempotency_key_is_not_shown_again(house: House) -> None:
    """One key was made; the caller is told what to do if its text was lost."""
    house.desk.create_key(WISH, actor="test", idempotency_key="once")
    with pytest.raises(ConflictError, match="shown only once"):
        house.desk.create_key(WISH, actor="test", idempotency_key="once")

    assert len(house.desk.keys()) == 1


def test_tenant_made_again_with_the_same_idempotency_key_is_the_same(house: House) -> None:
    """A retry is answered as the first time; another request for the id is not."""
    house.clock.advance(3.0)
    first = house.desk.create_tenant(B, name="B", actor="test", idempotency_key="once")
    house.clock.advance(3.0)
    head = house.keeper.stats().head

    assert house.desk.create_tenant(B, name="B", actor="test", idempotency_key="once") == first
    for name, key in (("B", None), ("B", "other"), ("C", "once")):
        with pytest.raises(ConflictError):
            house.desk.create_tenant(B, name=name, actor="test", idempotency_key=key)
    assert house.keeper.stats().head == head


def test_tenants_are_listed_with_those_that_need_no_record(house: House) -> None:
    """Sorted by id, in every state."""
    house.desk.suspend_tenant(TenantId("default"), actor="test")
    house.desk.mark_erased(A, actor="test")

    assert [(one.id, one.state) for one in house.desk.tenants()] == [
        ("a", "erased"),
        ("default", "suspended"),
        ("shared", "active"),
    ]
    assert house.desk.resume_tenant(TenantId("default"), actor="test").state == "active"


def test_erased_tenant_stays_erased_and_its_id_is_not_given_again(house: House) -> None:
    """For ever."""
    house.desk.mark_erased(A, actor="test")
    for change in ({"state": "active"}, {"name": "B"}):
        with pytest.raises(ConflictError, match="erased"):
            house.desk.change_tenant(A, change, actor="test")
    with pytest.raises(ConflictError, match="taken"):
        house.desk.create_tenant(A, actor="test")
    assert house.desk.mark_erased(A, actor="test").state == "erased"
    with pytest.raises(ConflictError, match="every installation"):
        house.desk.mark_erased(TenantId("shared"), actor="test")


@pytest.mark.parametrize("told", [{"state": "erased"}, {"state": "gone"}, {"id": "b"}, {"name": ""}])
def test_change_of_a_tenant_to_what_cannot_be_is_refused(house: House, told: dict[str, str]) -> None:
    """Erasing is no mere change of state."""
    with pytest.raises(InvalidValueError):
        house.desk.change_tenant(A, told, actor="test")


class Interrupted:
    """A reader at which somebody else writes right before each write, so many times."""

    def __init__(self, house: House, times: int) -> None:
        self._house, self._left = house, times

    def access_changes(self, after_seq: int) -> AccessChanges:
        return self._house.reader.access_changes(after_seq)

    def append_access(
        self, expected_seq: int, asked: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        if self._left:
            self._left -= 1
            self._house.key(tenant=None)
        return self._house.reader.append_access(expected_seq, asked, idempotency_key=idempotency_key)


def test_write_that_somebody_came_before_is_decided_anew(house: House) -> None:
    """Revoke and rotate at once: the revocation is never written over."""
    record = house.key()
    desk = AccessDesk(Interrupted(house, 3), PEPPER, house.clock, pause=lambda _: None)
    desk.revoke_key(record.id, actor="test")

    assert {one.id: one.revoked_s for one in house.desk.keys(A)}[record.id] is not None
    never = AccessDesk(Interrupted(house, 1_000), PEPPER, house.clock, pause=lambda _: None)
    with pytest.raises(CapacityError):
        never.create_key(WISH, actor="test")


def test_quota_holds_while_many_make_keys_at_once(house: House) -> None:
    """Eight threads, room for three: three keys."""
    house.desk.change_tenant(A, {"quotas": Quotas(keys=3)}, actor="test")
    refused: list[Exception] = []

    def make() -> None:
        try:
            house.key()
        except (ConflictError, CapacityError) as exc:
            refused.append(exc)

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (len(house.desk.keys(A)), len(refused)) == (3, 5)


def test_revocation_is_seen_by_a_second_directory_within_its_refresh(house: House) -> None:
    """From the desk through the ledger and its view to another replica's memory."""
    now = 0.0
    record = house.key()
    directory = AccessDirectory(house.reader.access_changes, refresh_s=0.5, monotonic=lambda: now)
    directory.refresh()
    house.desk.revoke_key(record.id, actor="test")
    now = 0.5
    assert not directory.is_fresh()
    directory.refresh()
    found = directory.key(record.id)

    assert found is not None
    assert found.revoked_s == house.clock.now_s()
