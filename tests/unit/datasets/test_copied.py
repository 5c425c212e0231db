"""A copy of datasets answers as they do, sees every write at the next search, and takes none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from data.chain import Entry
from data.claims import SHARED_TENANT, TenantId
from data.datasets.catalogue import Defined
from data.datasets.copied import CopiedDatasets
from data.datasets.engine import Dataset, EnginePorts
from data.datasets.ledger_rows import DatasetRows
from data.datasets.ports import NewVector, SearchAnswer, SearchOptions, SearchRequest
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.datasets.service import LocalVectorDatasets
from data.errors import (
    CorruptDataError,
    ForbiddenError,
    IndexUnavailableError,
    KiteError,
    NotFoundError,
    StoreUnavailableError,
)
from data.keeper import Keeper
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.datasets.dataset_house import ONE, TWO, A, B

DIM = 4


class CountedRows:
    """The ledger's rows, and how many of vectors were handed out."""

    def __init__(self, rows: DatasetRows) -> None:
        self._rows = rows
        self.handed_out = 0

    def of_datasets(self, after_seq: int, limit: int) -> list[Entry]:
        return self._rows.of_datasets(after_seq, limit)

    def of_vectors(self, dataset_id: str, after_seq: int, limit: int) -> list[Entry]:
        found = self._rows.of_vectors(dataset_id, after_seq, limit)
        self.handed_out += len(found)
        return found


class House:
    """Datasets with a keeper, and a copy of them in another folder."""

    def __init__(self, folder: Path) -> None:
        self.keeper = Keeper(folder / "home", FakeClock(), FakeVectorSink())
        self.datasets = LocalVectorDatasets(folder / "home", self.keeper, clock=FakeClock())
        self._ledger = DatasetRows(folder / "home" / "ledger" / "ledger.sqlite")
        self.rows = CountedRows(self._ledger)
        self.folder = folder / "copy"
        self.copy = CopiedDatasets(self.folder, self.rows, clock=FakeClock())

    def made(self, key: str = ONE, tenant: TenantId = A) -> None:
        self.datasets.create(tenant, DatasetRecord(key, f"set {key[:3]}", DIM))

    def insert(self, *ids: str, key: str = ONE, tenant: TenantId = A) -> None:
        vectors = [NewVector(VectorRecord(one, "d", content=one), _values(one)) for one in ids]
        assert self.datasets.insert(tenant, key, vectors, "overwrite").inserted == len(ids)

    def both(self, key: str = ONE, tenant: TenantId = A) -> tuple[SearchAnswer | KiteError, ...]:
        """Return what the dataset and its copy answer to one question."""
        asked = [SearchRequest(key, vector=[1.0, 0.5, 0.2, 0.1], options=SearchOptions(top_k=50))]
        return self.datasets.search(tenant, asked)[0], self.copied(key, tenant)

    def copied(self, key: str = ONE, tenant: TenantId = A) -> SearchAnswer | KiteError:
        asked = [SearchRequest(key, vector=[1.0, 0.5, 0.2, 0.1], options=SearchOptions(top_k=50))]
        return self.copy.search(tenant, asked)[0]

    def opened(self, key: str = ONE, tenant: TenantId = A) -> None:
        """Open the copy as its actor does: when it was asked for."""
        with pytest.raises(IndexUnavailableError, match="being opened"):
            self.copied(key, tenant)
        self.copy.tend()

    def reopen(self) -> None:
        self.copy.close()
        self.copy = CopiedDatasets(self.folder, self.rows, clock=FakeClock())

    def close(self) -> None:
        self.copy.close()
        self._ledger.close()
        self.datasets.close()
        self.keeper.close()


def _values(name: str) -> list[float]:
    return [float(ord(name[0]) % 7 + 1), float(len(name)), 1.0, float(ord(name[-1]) % 5)]


def _ids(answer: SearchAnswer | KiteError) -> list[str]:
    assert isinstance(answer, SearchAnswer), answer
    return [hit.vector.record.id for hit in answer.hits]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    house = House(tmp_path)
    yield house
    house.close()


def test_a_copy_that_was_opened_answers_as_the_dataset_does(house: House) -> None:
    """First it says that it is being opened; then hits, scores and order are the same."""
    house.made()
    house.insert("a1", "b22", "c333")
    house.opened()
    original, copied = house.both()
    assert _ids(copied) == _ids(original)
    assert isinstance(original, SearchAnswer)
    assert isinstance(copied, SearchAnswer)
    assert [hit.score for hit in copied.hits] == [hit.score for hit in original.hits]


def test_every_write_is_seen_by_the_next_search_of_a_copy(house: House) -> None:
    """What was written, overwritten and deleted, with nobody tending the copy in between."""
    house.made()
    house.insert("a1")
    house.opened()
    house.insert("b22", "c333")
    assert sorted(_ids(house.copied())) == ["a1", "b22", "c333"]
    house.datasets.delete_vectors(A, ONE, ["a1"])
    assert sorted(_ids(house.copied())) == ["b22", "c333"]
    house.insert("c333")
    original, copied = house.both()
    assert _ids(copied) == _ids(original)


def test_a_copy_counts_words_as_the_dataset_does(house: House) -> None:
    """A sharded search weighs words by them, wherever each shard is read."""
    house.made()
    house.insert("tower", "bridge")
    house.opened()
    house.insert("tower bridge")
    asked = [(ONE, "the tower")]
    assert house.copy.word_counts(A, asked) == house.datasets.word_counts(A, asked)


def test_a_dataset_that_was_removed_is_gone_from_its_copy(house: House) -> None:
    """No answer, and no file of it; one made anew under the same id has nothing of it."""
    house.made()
    house.insert("a1")
    house.opened()
    house.datasets.delete(A, ONE)
    assert isinstance(house.copied(), NotFoundError)
    assert not list(house.folder.rglob("records.sqlite"))
    house.made()
    house.insert("b22")
    house.opened()
    assert _ids(house.copied()) == ["b22"]


def test_a_removed_dataset_goes_though_nobody_asks_the_copy(house: House) -> None:
    """Erasure does not wait for a search."""
    house.made()
    house.insert("a1")
    house.opened()
    house.datasets.delete(A, ONE)
    house.copy.tend()
    assert not list(house.folder.rglob("records.sqlite"))


def test_a_copy_shows_a_tenant_its_own_datasets_and_the_shared_ones(house: House) -> None:
    """Nobody else's, opened or not."""
    house.made()
    house.insert("a1")
    house.opened()
    assert isinstance(house.copied(tenant=B), NotFoundError)
    house.made(TWO, SHARED_TENANT)
    house.insert("b22", key=TWO, tenant=SHARED_TENANT)
    house.opened(TWO, B)
    assert _ids(house.copied(TWO, B)) == ["b22"]


def test_a_copy_opened_again_asks_only_for_what_is_new(house: House) -> None:
    """Its folder is gone on from, not filled again."""
    house.made()
    house.insert("a1")
    house.insert("b22")
    house.opened()
    house.reopen()
    house.insert("c333")
    house.rows.handed_out = 0
    house.opened()
    assert sorted(_ids(house.copied())) == ["a1", "b22", "c333"]
    # The last row it had, to see that the folder is of this history, and the new one.
    assert house.rows.handed_out == 2


def test_a_copy_whose_files_are_damaged_is_filled_again(house: House) -> None:
    """From the ledger's rows alone."""
    house.made()
    house.insert("a1", "b22")
    house.opened()
    house.copy.close()
    (records,) = house.folder.rglob("records.sqlite")
    records.write_bytes(b"rubbish" * 1_000)
    house.reopen()
    house.opened()
    assert sorted(_ids(house.copied())) == ["a1", "b22"]


def test_a_copy_that_cannot_read_what_it_has_says_so_instead_of_answering(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dataset itself can answer: no searcher is told of the copy's trouble."""
    house.made()
    house.insert("a1")
    house.opened()

    def damaged(*_: object) -> None:
        raise CorruptDataError("records.sqlite is damaged.")

    monkeypatch.setattr(Dataset, "search", damaged)
    with pytest.raises(StoreUnavailableError):
        house.copied()


def test_a_copy_searches_as_deep_as_the_dataset_is_told_to(house: House) -> None:
    """Depth is taken over at the next search, another kind of index once it is built."""
    house.made()
    house.insert("a1", "b22", "c333")
    house.opened()
    record = house.datasets.dataset(A, ONE).record
    deep = replace(record.index, hnsw_ef_search=333)
    house.datasets.update(A, replace(record, index=deep))
    house.copied()
    with house.copy._opened.shelf.lend(ONE) as dataset:
        assert dataset.settings == deep

    flat = IndexSettings(index_type="flat")
    house.datasets.update(A, replace(record, index=flat))
    house.copied()
    house.copy._opened.builds._pool.submit(lambda: None).result(30)
    with house.copy._opened.shelf.lend(ONE) as dataset:
        assert dataset.settings == flat
    assert sorted(_ids(house.copied())) == ["a1", "b22", "c333"]


def test_a_copy_begins_before_the_keeper_does(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that the ledger is away until it is there, and then goes on."""
    house.made()
    house.insert("a1")

    def away(*_: object) -> None:
        raise StoreUnavailableError("keeper is away at the moment: try again in a few seconds.")

    with monkeypatch.context() as before:
        before.setattr(CountedRows, "of_datasets", away)
        house.reopen()
        with pytest.raises(StoreUnavailableError):
            house.copied()
        with pytest.raises(StoreUnavailableError):
            house.copy.tend()
    house.opened()
    assert _ids(house.copied()) == ["a1"]


def test_one_dataset_that_cannot_be_opened_keeps_no_other_from_it(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure of any kind is logged, and the next dataset is opened."""
    from data.datasets import opened

    for key in (ONE, TWO):
        house.made(key)
        house.insert("a1", key=key)
    open_sound = opened.open_dataset

    def open_but_one(home: Path, defined: Defined, ports: EnginePorts) -> Dataset:
        if defined.record.id == ONE:
            raise OSError(28, "No space left on device")
        return open_sound(home, defined, ports)

    monkeypatch.setattr(opened, "open_dataset", open_but_one)
    with pytest.raises(IndexUnavailableError):
        house.copied(ONE)
    house.opened(TWO)
    assert _ids(house.copied(TWO)) == ["a1"]
    with pytest.raises(IndexUnavailableError):
        house.copied(ONE)


def test_a_copy_takes_no_writes(house: House) -> None:
    """Only the dataset does, so that there is one order of writes."""
    house.made()
    house.insert("a1")
    house.opened()
    with house.copy._opened.shelf.lend(ONE) as dataset, pytest.raises(ForbiddenError, match="no writes"):
        dataset.insert([NewVector(VectorRecord("x", "d"), [1.0] * DIM)], "overwrite")
    assert _ids(house.copied()) == ["a1"]
