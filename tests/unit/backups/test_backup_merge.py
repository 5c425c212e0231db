"""Restoring into a running system: the keeper gets what is missing, and nothing else."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from data import changes
from data.backups.merging import Merge, Merged, merge
from data.backups.plan import plan
from data.claims import DEFAULT_TENANT, TenantId
from data.datasets import changes as datasets
from data.datasets.records import DatasetRecord, VectorBatch, VectorRecord
from data.datasets.service import LocalVectorDatasets
from data.errors import InvalidValueError, StoreUnavailableError
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.ports import WriteReceipt
from data.views.facts import FactFilter
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.backups.homes import House, facts, rows_of, segment

OTHER = TenantId("other")


@pytest.fixture
def house(tmp_path: Path) -> House:
    """A home of two tenants, backed up; nothing has it open."""
    made = House(tmp_path)
    made.write([*facts("a", 4), *facts("b", 3, OTHER)])
    made.write([segment(made.home, "d1", "d2", "d3"), changes.put_document(Document("d4", "It is old."))])
    made.write([changes.put_graph("<http://e/a> <http://e/b> <http://e/c> .", "g1")])
    made.write([changes.put_verdict(changes.VerdictRecord("v1", "c", "fp", "REFUTED", 0.5, b"{}"))])
    made.back_up()
    made.ledger.close()
    return made


def merged(house: House, keeper: Keeper, wanted: Merge, *, dry_run: bool = False) -> Merged:
    return merge(house.place, plan(house.place, house.catalogue()), keeper, wanted=wanted, dry_run=dry_run)


def held(keeper: Keeper, tenant: TenantId = DEFAULT_TENANT) -> dict[str, str | None]:
    return {fact.id: fact.object for fact in keeper.facts(tenant, FactFilter(limit=100))}


def test_merge_brings_back_what_is_gone_and_leaves_the_rest(house: House, keeper: Keeper) -> None:
    """A deleted fact and a deleted document of a segment come back; a changed and a new fact stay."""
    keeper.append([changes.delete_fact("a1"), changes.delete_document("d2"), changes.delete_document("d4")])
    keeper.append([changes.put_fact(Fact("a2", "Paris", "population", "new")), *facts("n", 1)])
    done = merged(house, keeper, Merge(DEFAULT_TENANT))

    assert (done.restored, done.removed) == ({"document": 2, "fact": 1}, {})
    assert held(keeper) == {"a0": "0", "a1": "1", "a2": "new", "a3": "3", "n0": "0"}
    assert keeper.document(DEFAULT_TENANT, "d2") == Document(
        "d2", "The tower d2 is tall. It stands in Paris."
    )
    assert keeper.document(DEFAULT_TENANT, "d4") == Document("d4", "It is old.")
    assert keeper.verify() == len(rows_of(house.home)[0])


def test_merge_exact_makes_a_tenant_as_it_was(house: House, keeper: Keeper) -> None:
    """What was changed is changed back, what was added is removed, and the other tenant is left alone."""
    keeper.append([changes.delete_fact("a1"), *facts("n", 2)])
    keeper.append([changes.put_fact(Fact("a2", "Paris", "population", "new")), changes.delete_graph("g1")])
    keeper.append(facts("other", 1, OTHER))
    done = merged(house, keeper, Merge(DEFAULT_TENANT, exact=True))

    assert (done.restored, done.removed) == ({"fact": 2, "graph": 1}, {"fact": 2})
    assert held(keeper) == {"a0": "0", "a1": "1", "a2": "2", "a3": "3"}
    assert held(keeper, OTHER) == {"b0": "0", "b1": "1", "b2": "2", "other0": "0"}
    assert keeper.stats().views["graph"].counts["graphs"] == 1


def test_merge_of_chosen_stores_touches_no_other(house: House, keeper: Keeper) -> None:
    """Facts only: the document stays deleted."""
    keeper.append([changes.delete_fact("a1"), changes.delete_document("d4")])
    done = merged(house, keeper, Merge(stores=frozenset({"fact"})))

    assert done.restored == {"fact": 1}
    assert keeper.document(DEFAULT_TENANT, "d4") is None


def test_merge_of_a_whole_segment_loads_it_again(house: House, keeper: Keeper) -> None:
    """One row, with the file back in its place, instead of one row a document."""
    keeper.append([changes.delete_document(name) for name in ("d1", "d2", "d3")])
    for path in (house.home / "segments").iterdir():
        path.rename(path.with_suffix(".away"))
    (away,) = (house.home / "segments").iterdir()
    away.rename(away.with_suffix(".parquet"))
    before = keeper.stats().head
    merged(house, keeper, Merge(DEFAULT_TENANT))
    (row,) = keeper.read_entries(before, 10)

    assert (row.kind, row.actor) == ("segment.load", "restore")
    assert keeper.document(DEFAULT_TENANT, "d3") is not None


def test_merge_of_nothing_missing_writes_nothing(house: House, keeper: Keeper) -> None:
    """The difference is empty, for everybody."""
    before = keeper.stats().head

    assert merged(house, keeper, Merge()).restored == {}
    assert keeper.stats().head == before


def test_merge_dry_run_tells_and_writes_nothing(house: House, keeper: Keeper) -> None:
    """It counts what would come back."""
    keeper.append([changes.delete_fact("a1")])
    before = keeper.stats().head
    done = merged(house, keeper, Merge(exact=True), dry_run=True)

    assert (done.restored, done.dry_run) == ({"fact": 1}, True)
    assert keeper.stats().head == before


def test_merge_cut_off_and_started_again_writes_nothing_twice(
    house: House, keeper: Keeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper goes away after a batch; the second attempt writes only the rest."""
    monkeypatch.setattr("data.backups.merging._BATCH", 2)
    keeper.append([changes.delete_fact(f"a{number}") for number in range(4)])

    class Leaving:
        def __init__(self) -> None:
            self.left = 1

        def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
            if self.left == 0:
                raise StoreUnavailableError("The keeper is away.")
            self.left -= 1
            return keeper.append(changes, idempotency_key=idempotency_key)

    chosen = plan(house.place, house.catalogue())
    with pytest.raises(StoreUnavailableError):
        merge(house.place, chosen, Leaving(), wanted=Merge())
    before = keeper.stats().head
    merge(house.place, chosen, keeper, wanted=Merge())

    assert keeper.stats().head == before + 2
    assert len(held(keeper)) == 4


def test_merge_of_one_tenant_while_another_writes_keeps_every_write(house: House, keeper: Keeper) -> None:
    """The other tenant's writes go on, all of them stay, and it is given nothing of what came back."""
    keeper.append([changes.delete_fact(f"a{number}") for number in range(4)])
    written, stopped = list[str](), threading.Event()

    def write() -> None:
        while not stopped.is_set():
            keeper.append(facts(f"w{len(written)}.", 1, OTHER))
            written.append(f"w{len(written)}.0")

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(written) < 5:
            stopped.wait(0.01)
        done = merged(house, keeper, Merge(DEFAULT_TENANT, exact=True))
    finally:
        stopped.set()
        writer.join()

    assert done.restored == {"fact": 4}
    assert set(held(keeper, OTHER)) >= {"b0", "b1", "b2", *written[:90]}
    assert sorted(held(keeper)) == ["a0", "a1", "a2", "a3"]


def test_merge_again_after_another_loss_is_no_replay(house: House, keeper: Keeper) -> None:
    """The same loss twice is mended twice."""
    for _ in range(2):
        keeper.append([changes.delete_fact("a1")])
        merged(house, keeper, Merge())

        assert "a1" in held(keeper)


def test_merge_of_an_unknown_store_is_refused() -> None:
    """It names the stores that exist."""
    with pytest.raises(InvalidValueError, match="document, fact"):
        Merge(stores=frozenset({"facts"}))


def test_merge_brings_a_vector_dataset_back_whole_and_leaves_one_that_is_there(tmp_path: Path) -> None:
    """A dataset that was removed has its vectors again; the other keeps what was written since."""
    house = House(tmp_path)
    gone, kept = "1" * 32, "2" * 32

    def put(key: str, *ids: str) -> Change:
        batch = VectorBatch(tuple(VectorRecord(one, "d") for one in ids), np.ones((len(ids), 2), np.float32))
        return datasets.put_vectors(key, batch, DEFAULT_TENANT, total=len(ids))

    for key in (gone, kept):
        house.write([datasets.put_dataset(DatasetRecord(key, f"set {key[0]}", 2), DEFAULT_TENANT)])
        house.write([put(key, "a", "b", "c")])
    house.write([datasets.delete_vectors(gone, ["b"], DEFAULT_TENANT, total=2)])
    house.back_up()
    house.ledger.close()
    keeper = Keeper(house.home, FakeClock(), FakeVectorSink())
    try:
        keeper.append([datasets.delete_dataset(gone, DEFAULT_TENANT), put(kept, "new")])
        done = merged(house, keeper, Merge(DEFAULT_TENANT, exact=True))
        service = LocalVectorDatasets(house.home, keeper, clock=FakeClock())
        held_now = {
            key: sorted(one.record.id for one in service.vectors(DEFAULT_TENANT, key, limit=9).vectors)
            for key in (gone, kept)
        }
        again = merged(house, keeper, Merge(DEFAULT_TENANT, exact=True))
        service.close()
    finally:
        keeper.close()

    assert done.restored == {"dataset": 1}
    assert held_now == {gone: ["a", "c"], kept: ["a", "b", "c", "new"]}
    assert again.restored == {}
