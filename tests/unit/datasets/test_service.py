"""The dataset service where things go wrong: crashes, lost folders, cut links, writers beside searches."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.claims import TenantId
from data.datasets.changes import delete_dataset
from data.datasets.engine import Dataset
from data.datasets.opened import DatasetsConfig
from data.datasets.opening import folder_of
from data.datasets.ports import InsertReport, NewVector, SearchAnswer, SearchOptions, SearchRequest
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.datasets.service import LocalVectorDatasets
from data.erasure import Eraser
from data.errors import (
    ForbiddenError,
    IndexUnavailableError,
    KiteError,
    ModelUnavailableError,
    NotFoundError,
    QuotaError,
    StoreUnavailableError,
)
from data.keeper import Keeper
from data.knowledge import Change
from data.ports import WriteReceipt
from data.stores.memory import MemoryStore
from data.vectors.dense import MainIndex
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink
from tests.unit.datasets.dataset_house import ONE, TWO, A, B, FakeStance, allow

DIM = 4


class Log:
    """The keeper as a log whose answers can be lost on the way back, or whose writes can come late."""

    def __init__(self, keeper: Keeper) -> None:
        self._keeper = keeper
        self.loses_answer = False
        self.before_append: list[Change] = []

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        for change in self.before_append:
            self._keeper.append([change])
        self.before_append = []
        receipt = self._keeper.append(changes, idempotency_key=idempotency_key)
        if self.loses_answer:
            self.loses_answer = False
            raise StoreUnavailableError("keeper is away at the moment: try again in a few seconds.")
        return receipt


@dataclass
class House:
    """A home with a keeper, and the service over it, which can be opened anew."""

    home: Path
    keeper: Keeper
    log: Log
    service: LocalVectorDatasets

    def reopen(self, **options: object) -> None:
        self.service.close()
        self.service = open_service(self.home, self.log, **options)

    def made(self, key: str = ONE, tenant: TenantId = A, **fields: object) -> str:
        record = DatasetRecord(key, f"set {key[:3]} {tenant}", DIM, **fields)  # type: ignore[arg-type]
        return self.service.create(tenant, record).record.id

    def insert(
        self,
        ids: Sequence[str],
        key: str = ONE,
        tenant: TenantId = A,
        *,
        seed: int = 0,
        request: str | None = None,
    ) -> InsertReport:
        return self.service.insert(tenant, key, vectors_of(ids, seed=seed), "overwrite", request=request)

    def ids(self, key: str = ONE, tenant: TenantId = A) -> list[str]:
        page = self.service.vectors(tenant, key, limit=10_000)
        assert page.total == len(page.vectors)
        return sorted(one.record.id for one in page.vectors)

    def search(self, key: str = ONE, tenant: TenantId = A, **options: object) -> SearchAnswer:
        asked = SearchOptions(**{"top_k": 50, **options})  # type: ignore[arg-type]
        (answer,) = self.service.search(
            tenant, [SearchRequest(key, vector=[1.0, 0.5, 0.2, 0.1], options=asked)]
        )
        assert isinstance(answer, SearchAnswer), answer
        return answer


def open_service(home: Path, log: Log, **options: object) -> LocalVectorDatasets:
    models: Any = options.pop("models", (None, FakeStance()))
    return LocalVectorDatasets(
        home,
        log,
        clock=FakeClock(),
        models=models,
        config=DatasetsConfig(**options),  # type: ignore[arg-type]
    )


def vectors_of(ids: Sequence[str], *, seed: int = 0) -> list[NewVector]:
    values = np.random.default_rng(seed).normal(size=(len(ids), DIM))
    return [
        NewVector(VectorRecord(one, f"doc {one}", content=f"Text of {one}."), row.tolist())
        for one, row in zip(ids, values, strict=True)
    ]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    keeper = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    log = Log(keeper)
    opened = House(tmp_path, keeper, log, open_service(tmp_path, log))
    yield opened
    opened.service.close()
    keeper.close()


NAMES = [f"v{n:02d}" for n in range(30)]


def test_service_opened_again_finds_everything(house: House) -> None:
    """The last version of each vector, from the folder as it is."""
    house.made()
    house.insert(NAMES)
    house.insert(NAMES[:3], seed=5)
    house.service.delete_vectors(A, ONE, NAMES[-2:])
    before = house.search()
    house.reopen()

    assert house.search().hits == before.hits
    assert house.ids() == NAMES[:-2]


@pytest.mark.parametrize("damage", ["lost", "torn", "empty", "behind"])
def test_folder_that_is_not_sound_is_built_again_from_the_ledger(house: House, damage: str) -> None:
    """Lost, cut short, emptied, or from before the last writes: the same answers."""
    house.made()
    house.insert(NAMES[:20])
    folder = folder_of(house.home, ONE)
    copy = house.home / "copy"
    house.reopen()
    shutil.copytree(folder, copy)
    house.insert(NAMES[10:], seed=3)
    before = house.search()
    house.service.close()
    if damage in {"lost", "behind"}:
        shutil.rmtree(folder)
    if damage == "behind":
        copy.rename(folder)
    if damage in {"torn", "empty"}:
        file = folder / "records.sqlite"
        content = file.read_bytes()
        for journal in folder.glob("records.sqlite-*"):
            journal.unlink()
        file.write_bytes(content[: len(content) // 2] if damage == "torn" else b"")
    house.service = open_service(house.home, house.log)

    assert [hit.vector.record.id for hit in house.search().hits] == [
        hit.vector.record.id for hit in before.hits
    ]
    assert [hit.score for hit in house.search().hits] == [hit.score for hit in before.hits]
    assert house.ids() == NAMES


def test_folder_ahead_of_the_ledger_is_built_again(house: House) -> None:
    """A restored home has another history: what its ledger does not say is not found."""
    house.made()
    house.insert(NAMES[:4])
    house.insert(NAMES)
    house.service.close()
    with sqlite3.connect(house.home / "ledger" / "ledger.sqlite") as raw:
        raw.execute("DELETE FROM entries WHERE seq = 3")
    raw.close()
    house.service = open_service(house.home, house.log)

    assert house.ids() == NAMES[:4]


def test_write_whose_answer_was_lost_is_found_and_told_the_same_when_repeated(house: House) -> None:
    """It is in the ledger: a repetition with its name writes nothing."""
    house.made()
    house.insert(NAMES[:5])
    house.log.loses_answer = True
    fresh = vectors_of(["x", "y", NAMES[0]], seed=2)
    with pytest.raises(StoreUnavailableError):
        house.service.insert(A, ONE, fresh, "skip", request="r1")
    again = house.service.insert(A, ONE, fresh, "skip", request="r1")

    assert again == InsertReport(2, 1)
    assert house.keeper.stats().head == 3
    assert house.ids() == sorted([*NAMES[:5], "x", "y"])
    house.log.loses_answer = True
    with pytest.raises(StoreUnavailableError):
        house.service.delete_vectors(A, ONE, ["x", "nobody"], request="r2")
    assert house.service.delete_vectors(A, ONE, ["x", "nobody"], request="r2") == 1
    assert house.keeper.stats().head == 4


def test_repeated_insert_after_a_restart_reports_as_the_first(house: House) -> None:
    """The process died after the ledger had the rows and before it answered."""
    house.made()
    fresh = [*vectors_of(NAMES[:3]), NewVector(VectorRecord("bad", "d"), [1.0])]
    first = house.service.insert(A, ONE, fresh, "fail", request="r")
    house.reopen()

    assert house.service.insert(A, ONE, fresh, "fail", request="r") == first
    assert (first.inserted, [number for number, _ in first.failures]) == (3, [3])


def test_write_that_came_in_late_is_applied_in_its_place(house: House) -> None:
    """One that was given up reaches the ledger just before the next: both are there, in its order."""
    from data.datasets.changes import put_vectors
    from data.datasets.records import VectorBatch

    house.made()
    house.insert(["a"])
    late = VectorBatch((VectorRecord("late", "d"), VectorRecord("b", "late")), np.ones((2, DIM), np.float32))
    house.log.before_append = [put_vectors(ONE, late, A, total=3)]
    house.insert(["b"], seed=9)

    assert house.ids() == ["a", "b", "late"]
    assert house.service.vector(A, ONE, "b").record.document_id == "doc b"
    house.reopen()
    assert house.service.vector(A, ONE, "b").record.document_id == "doc b"


def test_write_applied_in_part_opens_the_dataset_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ledger has it, the index failed: the next request finds all of it."""
    from data.datasets.fields import FieldIndex

    house.made()
    house.insert(["a"])
    with monkeypatch.context() as broken:
        broken.setattr(FieldIndex, "add", lambda *_: (_ for _ in ()).throw(MemoryError("no room")))
        with pytest.raises(MemoryError):
            house.insert(["b"])

    assert house.ids() == ["a", "b"]
    house.insert(["c"])
    assert {hit.vector.record.id for hit in house.search().hits} == {"a", "b", "c"}


def test_content_without_values_is_embedded_where_the_dimensions_fit(house: House) -> None:
    """And is found by the vector of its words; in a dataset of other dimensions it is a failure."""
    house.reopen(models=(FakeEmbedder(), None))
    fits = house.service.create(A, DatasetRecord(TWO, "fits", FakeEmbedder.dim)).record.id
    house.made()
    texts = [NewVector(VectorRecord(one, "d", content=one)) for one in ("red apples", "blue sky")]
    report = house.service.insert(A, fits, texts, "fail")
    other = house.service.insert(A, ONE, texts, "fail")

    assert (report.inserted, other.inserted) == (2, 0)
    assert "16 numbers" in other.failures[0][1]
    query = FakeEmbedder().embed(["red apples"])[0].tolist()
    (answer,) = house.service.search(A, [SearchRequest(fits, vector=query)])
    assert isinstance(answer, SearchAnswer)
    assert answer.hits[0].vector.record.id == "red apples"
    assert answer.hits[0].score == pytest.approx(1.0, abs=1e-5)


def test_rerank_reads_the_candidates_again(house: House) -> None:
    """What speaks to the question moves up by its relevance, which is told; words are needed for it."""
    house.made()
    house.insert(NAMES)

    def request(**options: object) -> SearchRequest:
        return SearchRequest(
            ONE,
            vector=[1.0, 0.0, 0.0, 0.0],
            text="Who wrote v17",
            text_weight=0.0,
            vector_weight=1.0,
            options=SearchOptions(**options),  # type: ignore[arg-type]
        )

    plain, reranked = house.service.search(A, [request(top_k=30), request(rerank=True, top_k=30)])
    assert isinstance(plain, SearchAnswer)
    assert isinstance(reranked, SearchAnswer), reranked
    scores = {hit.vector.record.id: hit.score for hit in plain.hits}
    low, high = min(scores.values()), max(scores.values())
    expected = {
        key: 0.8 * (score - low) / (high - low) + 0.2 * (0.9 if key == "v17" else 0.2)
        for key, score in scores.items()
    }

    assert {hit.vector.record.id: hit.score for hit in reranked.hits} == pytest.approx(expected, abs=2e-6)
    assert [hit.score for hit in reranked.hits] == sorted((hit.score for hit in reranked.hits), reverse=True)
    ranks = [{hit.vector.record.id: hit.rank for hit in one.hits}["v17"] for one in (plain, reranked)]
    assert ranks[1] < ranks[0]
    (told,) = [hit for hit in reranked.hits if hit.vector.record.id == "v17"]
    assert told.parts == {"vector": scores["v17"], "rerank": pytest.approx(0.9, abs=1e-6)}
    few = house.service.search(A, [request(rerank=True, top_k=5)])[0]
    assert isinstance(few, SearchAnswer)
    assert few.hits == reranked.hits[:5]
    (mute,) = house.service.search(
        A, [SearchRequest(ONE, vector=[1.0] * DIM, options=SearchOptions(rerank=True))]
    )
    assert isinstance(mute, KiteError)
    house.reopen(models=(None, None))
    (away,) = house.service.search(A, [request(rerank=True)])
    assert isinstance(away, ModelUnavailableError)


def test_search_beside_an_update_never_misses_the_vector(house: House) -> None:
    """One vector is written again and again while four threads look for it: always found, once."""
    house.made()
    house.insert(NAMES)
    missed: list[object] = []
    stop = threading.Event()

    def look() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            found = house.search(top_k=40, min_score=-2.0 - number * 1e-9)
            ids = [hit.vector.record.id for hit in found.hits]
            if sorted(ids) != NAMES:
                missed.append(ids)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(60):
        house.insert(NAMES[5:9], seed=number)
    stop.set()
    for thread in threads:
        thread.join()

    assert missed == []


def test_open_datasets_are_closed_when_memory_is_needed(house: House) -> None:
    """Those asked for longest ago; they come back when they are asked for."""
    house.reopen(memory_bytes=1)
    for key in (ONE, TWO):
        house.made(key)
        house.insert(NAMES, key)

    assert not house.service._opened.shelf.is_open(ONE)
    assert house.service._opened.shelf.is_open(TWO)
    assert house.service.dataset(A, ONE).vector_count == 30
    assert not house.service._opened.shelf.is_open(ONE)
    assert len(house.search(ONE).hits) == 30
    assert len(house.search(TWO).hits) == 30


def test_dataset_larger_than_an_actor_may_hold_is_told_in_the_log(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    """With what would help; it is served all the same."""
    house.reopen(memory_bytes=1)
    house.made()
    house.insert(NAMES)
    house.reopen(memory_bytes=1)

    assert len(house.search().hits) == 30
    (line,) = (record.getMessage() for record in caplog.records if ONE in record.getMessage())
    assert "shards" in line


def test_deleted_dataset_leaves_no_folder_and_one_left_behind_goes_at_the_start(house: House) -> None:
    """Also what a crash between the ledger's row and the folder's removal left."""
    house.made()
    house.insert(NAMES)
    folder = folder_of(house.home, ONE)
    assert (folder / "records.sqlite").exists()
    house.service.delete(A, ONE)
    assert not folder.exists()
    folder.mkdir()
    (folder / "records.sqlite").write_bytes(b"left")
    house.reopen()

    assert not folder.exists()
    with pytest.raises(NotFoundError):
        house.service.vectors(A, ONE, limit=1)


def test_quota_of_vectors_refuses_a_write_whole(house: House) -> None:
    """Nothing of it is written, and replacing is no growth."""
    house.made()
    allow(house.keeper, A, vectors=10)
    house.insert(NAMES[:8])
    with pytest.raises(QuotaError):
        house.insert(NAMES[6:12])

    assert house.ids() == NAMES[:8]
    house.insert(NAMES[:8], seed=4)
    house.insert(NAMES[8:10])
    assert len(house.ids()) == 10


def test_index_builds_itself_once_enough_was_written(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the background; what is written meanwhile stays beside it; a restart loads it."""
    monkeypatch.setattr("data.vectors.dense.STALE_ROWS", 50)
    house.made(index=IndexSettings("hnsw", hnsw_m=8))
    house.insert([f"n{n}" for n in range(200)])
    house.service._opened.builds._pool.submit(lambda: None).result(30)
    house.insert(["late"], seed=7)
    told = house.service.index(A, ONE)
    before = house.search(exact=True).hits
    house.reopen()
    again = house.service.index(A, ONE)

    assert (told.kind, told.indexed, told.delta, told.version) == ("hnsw", 200, 1, 1)
    assert (again.kind, again.indexed, again.delta, again.version) == ("hnsw", 200, 1, 1)
    assert house.search(exact=True).hits == before
    assert len(house.search(top_k=500).hits) == 201


def test_index_built_for_a_dataset_that_went_meanwhile_leaves_no_folder(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The build ends after the dataset: nothing of it comes back."""
    from data.datasets import building

    house.made()
    house.insert(NAMES)
    really = building.build

    def build_late(dataset: Dataset) -> MainIndex:
        main = really(dataset)
        house.keeper.append([delete_dataset(ONE, A)])
        return main

    monkeypatch.setattr(building, "build", build_late)
    house.service.build_index(A, ONE, IndexSettings("hnsw"))
    house.service._opened.builds._pool.submit(lambda: None).result(30)

    assert not folder_of(house.home, ONE).exists()


def test_settings_changed_while_an_index_is_built_count_for_the_next(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which is begun at once: what is told as the settings is what was built."""
    from data.datasets import building

    house.made()
    house.insert([f"n{n}" for n in range(100)])
    really, begun = building.build, []

    def build_slowly(dataset: Dataset) -> MainIndex:
        begun.append(dataset.record.index)
        main = really(dataset)
        if len(begun) == 1:
            house.service.update(A, DatasetRecord(ONE, "other", DIM, index=IndexSettings("flat")))
        return main

    monkeypatch.setattr(building, "build", build_slowly)
    house.service.build_index(A, ONE, IndexSettings("hnsw"))
    house.service._opened.builds._pool.submit(lambda: None).result(30)

    assert [settings.index_type for settings in begun] == ["hnsw", "flat"]
    told = house.service.index(A, ONE)
    assert (told.kind, told.settings.index_type, told.indexed, told.version) == ("flat", "flat", 100, 2)


def test_depth_of_searches_is_changed_without_a_build(house: House) -> None:
    """The same main index is searched by the new settings, with what came since beside it."""
    house.made(index=IndexSettings("hnsw"))
    house.insert([f"n{n}" for n in range(100)])
    house.service.build_index(A, ONE, None)
    house.service._opened.builds._pool.submit(lambda: None).result(30)
    house.insert(["late"], seed=3)
    house.service.delete_vectors(A, ONE, ["n1"])
    before = house.search(exact=True).hits
    house.service.update(A, DatasetRecord(ONE, "other", DIM, index=IndexSettings("hnsw", hnsw_ef_search=300)))
    told = house.service.index(A, ONE)

    assert (told.version, told.indexed, told.delta, told.removed, told.state) == (1, 100, 1, 1, "ready")
    assert told.settings.hnsw_ef_search == 300
    assert house.search(exact=True).hits == before


def test_index_file_that_was_altered_is_passed_over(house: House) -> None:
    """A flipped byte in the main index: every vector is still found, beside it."""
    house.made()
    house.insert([f"n{n}" for n in range(100)])
    house.service.build_index(A, ONE, IndexSettings("hnsw"))
    house.service._opened.builds._pool.submit(lambda: None).result(30)
    before = house.search(exact=True).hits
    house.service.close()
    (file,) = folder_of(house.home, ONE).glob("index/main-*.index")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.unlink()
    file.write_bytes(content)
    house.service = open_service(house.home, house.log)

    assert house.service.index(A, ONE).indexed == 0
    assert house.search(exact=True).hits == before


def test_index_built_by_another_process_is_adopted(house: House) -> None:
    """Its files lie in the folder: they are swapped in, and only once."""
    from data.datasets.building import INDEX
    from data.vectors.dense import build_main, save_main

    house.made()
    house.insert([f"n{n}" for n in range(100)])
    store = house.service._opened.shelf._places[ONE].dataset.views.store  # type: ignore[union-attr]
    rows = np.array(store.live_rows().to_array(), dtype=np.int64)
    main = build_main(rows, store.values, DIM, "cosine", IndexSettings("hnsw"))
    save_main(main, folder_of(house.home, ONE) / INDEX, 7)
    house.insert(["late"], seed=3)
    before = house.search(exact=True).hits
    told = house.service.adopt_index(A, ONE)

    assert (told.kind, told.version, told.indexed, told.delta) == ("hnsw", 7, 100, 1)
    assert house.search(exact=True).hits == before
    assert house.service.adopt_index(A, ONE) == told


def test_compaction_erases_vectors_that_were_replaced_and_nothing_else(house: House) -> None:
    """Texts of replaced, removed and dropped vectors leave the ledger; a folder built anew is as before."""
    from data import changes
    from data.knowledge import Fact

    house.made()
    house.made(TWO)
    house.insert(["old-one", "old-two"])
    house.insert(["dropped"], TWO)
    house.insert(["old-one", "kept"], seed=1)
    house.insert(["old-two"], seed=2)
    house.service.delete(A, TWO)
    house.keeper.append([changes.put_fact(Fact("f", "Paris", "p", "o"))])
    before = house.search()
    horizon = house.keeper.stats().head
    told = house.keeper.compact(horizon)
    erased = [
        entry.seq for entry in house.keeper.read_entries(0, 99) if entry.payload.startswith(b"\0redacted")
    ]

    # Row 3 holds old-one and old-two; rows 2 and 4 are the dropped dataset's.
    assert erased == [2, 3, 4]
    assert told.payloads == 3
    house.service.close()
    shutil.rmtree(house.home / "datasets")
    house.service = open_service(house.home, house.log)
    assert [hit.vector.record.id for hit in house.search().hits] == [
        hit.vector.record.id for hit in before.hits
    ]
    assert house.keeper.verify() == house.keeper.stats().head


def test_renamed_dataset_keeps_its_vectors_after_a_compaction(house: House) -> None:
    """The first definition is erased; what was written under it is not older than the dataset."""
    from data import changes
    from data.knowledge import Fact

    house.made()
    house.insert(NAMES[:3])
    house.service.update(A, DatasetRecord(ONE, "renamed", DIM))
    house.keeper.append([changes.put_fact(Fact("f", "Paris", "p", "o"))])
    house.keeper.compact(house.keeper.stats().head)
    house.service.close()
    shutil.rmtree(house.home / "datasets")
    house.service = open_service(house.home, house.log)

    assert house.ids() == NAMES[:3]
    assert house.service.dataset(A, ONE).record.name == "renamed"


def test_erased_tenant_leaves_no_dataset_behind(house: House) -> None:
    """Folders, rows and names are gone and counted zero; the other tenant's stay; nothing more is written."""
    house.made()
    house.made(TWO, B)
    for key, tenant in ((ONE, A), (TWO, B)):
        house.insert(NAMES, key, tenant)
    eraser = Eraser(house.keeper, MemoryStore(FakeClock()), house.home, FakeClock())
    proof = eraser.erase(A)

    assert (proof.before["datasets"], proof.after["datasets"]) == (1, 0)
    assert not any(eraser.verify_erased(A).counts.values())
    assert not folder_of(house.home, ONE).exists()
    assert b"Text of v01" not in b"".join(
        entry.payload for entry in house.keeper.read_entries(0, 99) if entry.tenant == A
    )
    house.service.follow()
    with pytest.raises(NotFoundError):
        house.ids()
    assert house.ids(TWO, B) == NAMES
    with pytest.raises(ForbiddenError):
        house.made("3" * 32)
    assert eraser.erase(A) == proof
    house.reopen()
    assert not folder_of(house.home, ONE).exists()
    assert house.keeper.verify() == house.keeper.stats().head


def test_dataset_that_is_being_reopened_says_so(house: House) -> None:
    """A writer that still holds the broken one is told to repeat."""
    house.made()
    house.insert(["a"])
    with house.service._opened.shelf.lend(ONE) as dataset:
        dataset.is_broken = True
        with pytest.raises(IndexUnavailableError):
            dataset.insert(vectors_of(["b"]), "fail")
    house.insert(["b"])
    assert house.ids() == ["a", "b"]


def test_large_dataset_whose_index_is_lost_answers_at_once_and_is_indexed_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every vector is scanned until the build that is begun has ended."""
    monkeypatch.setattr("data.datasets.opening.MOST_LINKED", 50)
    house.made(index=IndexSettings("hnsw"))
    house.insert([f"n{n}" for n in range(200)])
    before = house.search(exact=True).hits
    house.service.close()
    shutil.rmtree(folder_of(house.home, ONE))
    house.service = open_service(house.home, house.log)
    answer = house.search(exact=True)
    house.service._opened.builds._pool.submit(lambda: None).result(30)
    told = house.service.index(A, ONE)

    assert answer.hits == before
    assert (told.kind, told.indexed, told.delta, told.version) == ("hnsw", 200, 0, 1)
    assert house.search(exact=True).hits == before
    house.insert(["late"], seed=3)
    house.reopen()
    assert (folder_of(house.home, ONE) / "fields.bin").exists()
    assert house.service.vectors(A, ONE, limit=9, filters={"document_id": "doc late"}).total == 1
    assert house.service.vectors(A, ONE, limit=9, filters={"document_id": "doc n7"}).total == 1
