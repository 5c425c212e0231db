"""Datasets in the ledger: payloads, what the keeper refuses, and one dataset's rows read from a big file."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np
import pytest

from data import changes as all_changes
from data.claims import SHARED_TENANT
from data.datasets import changes
from data.datasets.catalogue import DatasetCatalogue
from data.datasets.ledger_rows import DatasetRows
from data.datasets.records import DatasetRecord, IndexSettings, VectorBatch, VectorRecord
from data.errors import (
    ConflictError,
    CorruptDataError,
    ForbiddenError,
    InvalidValueError,
    NotFoundError,
    QuotaError,
)
from data.keeper import Keeper
from data.knowledge import Change, Document
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.datasets.dataset_house import ONE, THREE, TWO, A, B, allow, batch_of, defined, put


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[Keeper]:
    opened = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    yield opened
    opened.close()


@pytest.fixture
def rows(tmp_path: Path) -> DatasetRows:
    return DatasetRows(tmp_path / "ledger" / "ledger.sqlite")


def test_definition_comes_back_as_it_was_written() -> None:
    """Every field, settings and metadata among them."""
    record = DatasetRecord(
        ONE,
        "papers",
        7,
        "manhattan",
        IndexSettings("ivf", ivf_nlist=4),
        "d",
        {"a": {"b": [1, None]}},
        "x",
        "y",
    )

    assert changes.read_dataset(changes.put_dataset(record, A).payload) == record


def test_vectors_come_back_bit_for_bit() -> None:
    """Numbers of any size, records with any field."""
    values = np.array([[1e-38, -3.4e38, 0.1], [7.0, -0.0, 2.5]], dtype=np.float32)
    records = (
        VectorRecord(
            "ä", "d", "c", "Text", "hash", {"n": 1.5, "deep": {"x": [True]}}, "t", "en", 1, 2, "m", "q", "r"
        ),
        VectorRecord("b", "d"),
    )
    change = changes.put_vectors(ONE, VectorBatch(records, values), A, total=9)
    found = changes.read_vectors(change.payload)

    assert found.records == records
    assert found.values.tobytes() == values.tobytes()
    assert changes.ids_written(change.payload) == ("ä", "b")
    assert changes.total_after(change.payload) == 9


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        ({"records": [], "values": "", "total": 0}, "do not go with"),
        ({"records": [{"id": "a", "document_id": "d"}], "values": "AAAA", "total": 1}, "do not go with"),
        ({"records": [{"id": "a"}], "values": "AAAAAA==", "total": 1}, "cannot be read"),
        ({"records": [{"id": "a", "document_id": "d"}], "values": "AADAfw==", "total": 1}, "not finite"),
        ([1], "cannot be read"),
    ],
)
def test_vectors_that_no_dataset_can_hold_are_refused(payload: object, words: str) -> None:
    """No records, a broken matrix, a missing field, NaN, another shape: none reaches the ledger."""
    change = Change("vectors.put", ONE, msgspec.json.encode(payload), A)

    with pytest.raises(InvalidValueError, match=words):
        all_changes.check_change(change)


@pytest.mark.parametrize(
    "record", [defined("x"), defined("../../etc"), defined(ONE, " "), defined(ONE, "n", 0)]
)
def test_definition_that_names_no_folder_or_has_no_dimension_is_refused(record: DatasetRecord) -> None:
    """An id is 32 hexadecimal digits and nothing else: it becomes a folder's name."""
    with pytest.raises(InvalidValueError):
        changes.put_dataset(record, A)
    with pytest.raises(InvalidValueError):
        all_changes.check_change(Change("dataset.put", record.id, msgspec.json.encode(record), A))


def test_datasets_are_no_knowledge(keeper: Keeper) -> None:
    """Verdicts stay cached while vectors are written."""
    keeper.append([all_changes.put_document(Document("d", "The tower is old."))])
    keeper.append([changes.put_dataset(defined(), A)])
    keeper.append([put(["x", "y"])])
    keeper.append([changes.delete_vectors(ONE, ["x"], A, total=1)])
    keeper.append([changes.delete_dataset(ONE, A)])

    assert (keeper.knowledge_seq(), keeper.verify()) == (1, 5)


def test_rows_of_one_dataset_are_found_without_reading_the_rest(keeper: Keeper, rows: DatasetRows) -> None:
    """Through an index, whatever stands between them."""
    keeper.append([changes.put_dataset(defined(), A), changes.put_dataset(defined(TWO, "other"), B)])
    for number in range(6):
        keeper.append([put([f"x{number}"], (ONE, TWO)[number % 2], tenant=(A, B)[number % 2])])
    found = rows.of_vectors(TWO, 0, 10)

    assert [entry.seq for entry in found] == [4, 6, 8]
    assert [entry.seq for entry in rows.of_vectors(TWO, 4, 1)] == [6]
    assert [entry.seq for entry in rows.of_datasets(0, 10)] == [1, 2]
    assert (rows.head(), rows.last_of_datasets()) == (8, 2)
    assert rows.is_written_between(TWO, 4, 8)
    assert not rows.is_written_between(TWO, 6, 8)
    with sqlite3.connect(rows._path) as raw:
        for sql, values in (
            ("_OF_VECTORS", (TWO, 0, 1)),
            ("_OF_DATASETS", (0, 1)),
            ("_LAST_VECTORS", (TWO,)),
        ):
            from data.datasets import ledger_rows

            plan = str(raw.execute(f"EXPLAIN QUERY PLAN {getattr(ledger_rows, sql)}", values).fetchall())
            assert ("vector_entries" in plan) or ("dataset_entries" in plan), plan
            assert "SCAN e " not in plan
            assert "TEMP B-TREE" not in plan
    raw.close()


def test_altered_row_is_not_handed_out(keeper: Keeper, rows: DatasetRows) -> None:
    """A flipped payload is found when it is read, beside the keeper."""
    keeper.append([changes.put_dataset(defined(), A)])
    keeper.append([put(["x"])])
    with sqlite3.connect(rows._path) as raw:
        (payload,) = raw.execute("SELECT payload FROM entries WHERE seq = 2").fetchone()
        altered = payload.replace(b"Text x", b"Text y")
        raw.execute("UPDATE entries SET payload = ? WHERE seq = 2", (altered,))
    raw.close()

    with pytest.raises(CorruptDataError, match="seq 2"):
        rows.of_vectors(ONE, 0, 1)


def test_ledger_that_is_not_there_yet_has_no_rows(tmp_path: Path) -> None:
    """An actor may start before the keeper has made the file."""
    rows = DatasetRows(tmp_path / "nowhere" / "ledger.sqlite")

    assert (rows.head(), rows.of_datasets(0, 9), rows.last_of_vectors(ONE)) == (0, [], None)


def test_catalogue_follows_definitions_and_removals(keeper: Keeper, rows: DatasetRows) -> None:
    """The last definition counts; a removed one is told once and gone."""
    catalogue = DatasetCatalogue(rows)
    keeper.append([changes.put_dataset(defined(), A), changes.put_dataset(defined(TWO), SHARED_TENANT)])
    assert catalogue.follow() == []
    keeper.append([changes.put_dataset(defined(ONE, "renamed"), A)])
    keeper.append([changes.delete_dataset(TWO, SHARED_TENANT)])

    assert catalogue.found(B, TWO).record.name == "papers"
    with pytest.raises(ForbiddenError):
        catalogue.own(B, TWO)
    assert catalogue.follow() == [TWO]
    assert catalogue.own(A, ONE).record.name == "renamed"
    assert catalogue.own(A, ONE).born_seq == 1
    for lost in ((B, ONE), (A, TWO)):
        with pytest.raises(NotFoundError):
            catalogue.found(*lost)


def test_name_is_unique_in_a_tenant_and_free_once_its_dataset_is_gone(keeper: Keeper) -> None:
    """Also within one write, which may replace a dataset by one of the same name."""
    keeper.append([changes.put_dataset(defined(), A)])
    keeper.append([changes.put_dataset(defined(TWO), B)])
    with pytest.raises(ConflictError, match="named 'papers'"):
        keeper.append([changes.put_dataset(defined(THREE), A)])
    with pytest.raises(ConflictError, match="another dataset"):
        keeper.append([changes.put_dataset(defined(TWO, "mine"), A)])
    keeper.append([changes.delete_dataset(ONE, A), changes.put_dataset(defined(THREE), A)])

    assert keeper.stats().head == 4


def test_vectors_for_a_dataset_that_is_not_there_are_refused(keeper: Keeper) -> None:
    """None of that id, another tenant's, or one that was removed."""
    keeper.append([changes.put_dataset(defined(), A)])
    for change in (put(["x"], TWO), put(["x"], ONE, tenant=B), changes.delete_dataset(ONE, B)):
        with pytest.raises(NotFoundError):
            keeper.append([change])
    keeper.append([changes.delete_dataset(ONE, A)])
    with pytest.raises(NotFoundError):
        keeper.append([put(["x"])])

    assert keeper.stats().head == 2


def test_retry_of_a_definition_is_answered_as_it_was(keeper: Keeper) -> None:
    """With the same key, though the name is taken by now: by itself."""
    change = changes.put_dataset(defined(), A)
    first = keeper.append([change], idempotency_key="k")

    again = keeper.append([change], idempotency_key="k")
    assert (again.first_seq, again.replayed) == (first.first_seq, True)


def test_quota_of_datasets_holds_whoever_writes_at_the_same_time(keeper: Keeper) -> None:
    """Eight at once where three may be; redefining one is no growth."""
    allow(keeper, A, datasets=3)
    outcomes: list[bool] = []

    def write(number: int) -> None:
        try:
            keeper.append([changes.put_dataset(defined(f"{number:032x}", f"n{number}"), A)])
            outcomes.append(True)
        except QuotaError:
            outcomes.append(False)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(outcomes) == [False] * 5 + [True] * 3
    kept = keeper.read_entries(1, 9)[0]
    keeper.append([changes.put_dataset(defined(kept.key, "other"), A)])


def test_quota_of_vectors_counts_all_datasets_of_the_tenant(keeper: Keeper, tmp_path: Path) -> None:
    """What a write leaves behind counts, not what it carries; less is always let in; so after a restart."""
    keeper.append([changes.put_dataset(defined(), A), changes.put_dataset(defined(TWO, "b"), A)])
    keeper.append([put(["a", "b"], ONE, total=2)])
    allow(keeper, A, vectors=4)
    keeper.append([put(["a", "b", "c"], TWO, total=2)])
    with pytest.raises(QuotaError, match="may keep 4 vectors"):
        keeper.append([put(["d"], TWO, total=3)])
    keeper.append([changes.delete_vectors(TWO, ["a"], A, total=1)])
    keeper.append([put(["d"], TWO, total=2)])
    keeper.close()
    again = Keeper(tmp_path, FakeClock(), FakeVectorSink())
    try:
        with pytest.raises(QuotaError):
            again.append([put(["e"], ONE, total=3)])
        again.append([changes.delete_dataset(TWO, A)])
        again.append([put(["e"], ONE, total=4)])
    finally:
        again.close()


def test_vectors_are_one_text_of_their_bytes() -> None:
    """A third more than the matrix, and the rows' ids; a list of numbers would be several times as long."""
    batch = batch_of([f"v{n}" for n in range(1000)], dimensions=384)
    payload = changes.put_vectors(ONE, batch, A, total=1).payload

    matrix_bytes = 1000 * 384 * 4
    assert len(payload) < 1.6 * matrix_bytes
