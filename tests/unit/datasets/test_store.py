"""The record store: what was put is there under its row, after a restart and under a filter too."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from data.datasets.records import VectorBatch, VectorRecord
from data.datasets.store import RecordStore
from data.errors import CorruptDataError

FULL = VectorRecord(
    "v", "doc", "chunk", "The café's words.", "hash", {"b": [1, {"c": None}], "a": 1.5},
    "text/plain", "fr", 0, 3, "model", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z",
)  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RecordStore]:
    """An empty store of three dimensions."""
    opened = RecordStore(tmp_path / "records.sqlite", 3)
    yield opened
    opened.close()


def _record(identity: str, content: str | None = None, **more: Any) -> VectorRecord:
    return VectorRecord(identity, more.pop("document_id", "doc"), content=content, **more)


def _batch(*records: VectorRecord, start: float = 0.0) -> VectorBatch:
    values = np.arange(start, start + 3 * len(records), dtype=np.float32).reshape(-1, 3)
    return VectorBatch(records, values)


def test_put_returns_rows_that_lead_to_records_and_vectors(store: RecordStore) -> None:
    """Everything of a record and its numbers comes back, in the order asked for."""
    batch = _batch(FULL, _record("w"))
    rows, removed = store.put(1, batch)
    first, second = rows.tolist()
    assert first < second
    assert removed.tolist() == []
    assert store.records([second, first]) == [batch.records[1], FULL]
    assert np.array_equal(store.values([second, first, second]), batch.values[[1, 0, 1]])
    assert store.contents_by_row([second, first]) == {first: FULL.content}
    assert store.rows_of(["w", "v", "x"]) == {"v": first, "w": second}
    assert (store.count(), store.document_count(), store.applied_seq()) == (2, 1, 1)


def test_put_of_a_known_id_replaces_it_under_a_new_row(store: RecordStore) -> None:
    """An update is the old row removed and a new one, higher than all before."""
    (old, _), _ = store.put(1, _batch(_record("v", "old words"), _record("w")))
    (new,), removed = store.put(2, _batch(_record("v", "new words"), start=9))
    assert removed.tolist() == [old]
    assert new > old + 1
    assert store.records([new])[0].content == "new words"
    assert store.records([old]) == []
    assert np.isnan(store.values([old, new])[0]).all()
    assert store.live_rows() == BitMap([old + 1, new])
    assert store.search_text("old", 5) == []


def test_put_with_one_id_twice_keeps_the_later_one(store: RecordStore) -> None:
    """Rows still come one a record; that of the earlier one is removed at once."""
    rows, removed = store.put(1, _batch(_record("v", "first"), _record("w"), _record("v", "second")))
    assert len(rows) == 3
    assert removed.tolist() == [rows[0]]
    assert store.rows_of(["v"]) == {"v": rows[2]}
    assert store.records([int(rows[2])])[0].content == "second"


def test_rows_are_never_used_twice(tmp_path: Path) -> None:
    """Not even when everything is removed and the store opened again."""
    store = RecordStore(tmp_path / "records.sqlite", 3)
    rows, _ = store.put(1, _batch(_record("a"), _record("b")))
    assert store.remove(2, ["b", "a", "b", "x"]).tolist() == rows.tolist()
    store.close()
    again = RecordStore(tmp_path / "records.sqlite", 3)
    new, _ = again.put(3, _batch(_record("a")))
    again.close()
    assert new[0] > rows[-1]


def test_entry_taken_in_before_changes_nothing(store: RecordStore) -> None:
    """Replaying the ledger over a store that is ahead of it is harmless."""
    store.put(5, _batch(_record("a", "one")))
    before = store.digest()
    rows, removed = store.put(5, _batch(_record("a", "two")))
    assert (len(rows), len(removed)) == (0, 0)
    assert store.remove(4, ["a"]).tolist() == []
    assert (store.digest(), store.applied_seq()) == (before, 5)


def test_position_survives_closing(tmp_path: Path) -> None:
    """Also one that was only advanced to."""
    store = RecordStore(tmp_path / "records.sqlite", 3)
    store.put(5, _batch(_record("a", "one")))
    store.advance(9)
    store.advance(7)
    digest = store.digest()
    store.close()
    again = RecordStore(tmp_path / "records.sqlite", 3)
    assert (again.applied_seq(), again.count(), again.digest()) == (9, 1, digest)
    assert again.search_text("one", 3)
    again.close()


def test_failed_put_leaves_nothing_behind(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows and position are written together or not at all."""
    store.put(1, _batch(_record("a", "one")))
    before = store.digest()

    def fail(*_: object) -> None:
        raise RuntimeError("no room")

    monkeypatch.setattr("data.datasets.store.write_meta", fail)
    with pytest.raises(RuntimeError):
        store.put(2, _batch(_record("a", "two"), _record("b", "three")))
    monkeypatch.undo()
    assert (store.digest(), store.count(), store.applied_seq()) == (before, 1, 1)
    store.put(2, _batch(_record("a", "two")))
    assert [row for row, _ in store.search_text("two", 5)] == store.page(5)


def test_page_goes_through_what_is_there_and_allowed(store: RecordStore) -> None:
    """In the order of writing."""
    rows = store.put(1, _batch(*(_record(str(n)) for n in range(10))))[0].tolist()
    store.remove(2, ["3"])
    left = [row for row in rows if row != rows[3]]
    assert store.page(4) == left[:4]
    assert store.page(4, 7) == left[7:]
    assert store.page(4, 99) == []
    assert store.page(9, 1, BitMap(rows[2:5])) == [rows[4]]


def test_scans_read_everything_in_pages(store: RecordStore) -> None:
    """Indexes are filled from pages of vectors and of records."""
    batch = _batch(*(_record(str(n)) for n in range(7)))
    rows, _ = store.put(1, batch)
    store.remove(2, ["2"])
    kept = [0, 1, 3, 4, 5, 6]
    after, seen, vectors, records = 0, [], [], []
    while True:
        page, values = store.scan(after, 2)
        numbered, found = store.scan_records(after, 2)
        assert page.tolist() == numbered.tolist()
        if not len(page):
            break
        after = int(page[-1])
        seen += page.tolist()
        vectors.append(values)
        records += found
    assert seen == rows[kept].tolist()
    assert np.array_equal(np.concatenate(vectors), batch.values[kept])
    assert records == [batch.records[n] for n in kept]
    assert store.scan(10_000, 5)[1].shape == (0, 3)


def test_many_rows_are_fetched_as_few_are(store: RecordStore) -> None:
    """Thousands in one call keep their order, those gone left out or NaN."""
    records = [_record(str(n), document_id=f"d{n % 7}") for n in range(3_000)]
    rows = store.put(1, _batch(*records))[0].tolist()
    asked = [*reversed(rows), 99_999]
    assert [record.id for record in store.records(asked)] == [str(n) for n in reversed(range(3_000))]
    values = store.values(asked)
    assert values[0].tolist() == [8_997.0, 8_998.0, 8_999.0]
    assert np.isnan(values[-1]).all()
    assert len(store.rows_of([str(n) for n in range(3_000)])) == 3_000
    assert store.document_count() == 7
    assert store.bytes() > 3_000 * 12


def test_values_of_no_rows_are_an_empty_matrix(store: RecordStore) -> None:
    """Nothing in, nothing out, of the right width."""
    assert store.values([]).shape == (0, 3)
    assert store.records([]) == []
    assert np.isnan(store.values([4])).all()


def test_digest_is_of_contents_not_of_rows(tmp_path: Path) -> None:
    """A store built another way to the same contents has the same digest, another content another one."""
    first = RecordStore(tmp_path / "a.sqlite", 3)
    first.put(1, _batch(_record("a", "x"), _record("b", metadata={"p": 1, "q": 2})))
    first.put(2, _batch(_record("a", "y"), start=50))
    second = RecordStore(tmp_path / "b.sqlite", 3)
    second.put(1, _batch(_record("a", "y"), start=50))
    second.put(2, _batch(_record("b", metadata={"q": 2, "p": 1}), start=3))
    assert first.digest() == second.digest()
    second.put(3, _batch(_record("b", metadata={"q": 2, "p": 1}), start=4))
    assert first.digest() != second.digest()
    first.close()
    second.close()


def test_search_finds_words_best_first(store: RecordStore) -> None:
    """Stemmed, without accents or stop words; rarer words and shorter texts count more; ties by row."""
    texts = ["the cats sat", "a cat and a dog and a bird and a tree", "café", None, "cats sat", "dogs bark"]
    rows = store.put(1, _batch(*(_record(str(n), text) for n, text in enumerate(texts))))[0].tolist()
    assert [row for row, _ in store.search_text("cat", 5)] == [rows[4], rows[0], rows[1]]
    assert [row for row, _ in store.search_text("CAFE", 5)] == [rows[2]]
    assert [row for row, _ in store.search_text("bark cat", 1)] == [rows[5]]
    scores = [score for _, score in store.search_text("cat dog", 5)]
    assert scores == sorted(scores, reverse=True)
    assert min(scores) > 0
    for query in ("", "  ", '"', "NEAR(", "OR zebra", "zebra*", "content:x", "\x00\ud800", "zebra"):
        assert store.search_text(query, 3) == []
    assert store.search_text("cat", 0) == []


def test_search_under_a_filter_gives_k_where_k_exist(store: RecordStore) -> None:
    """However bad the allowed ones are, with the scores that they have without the filter."""
    texts = ["cat cat cat"] * 500 + ["a cat among so many other words that it hardly counts"] * 5
    rows = store.put(1, _batch(*(_record(str(n), text) for n, text in enumerate(texts))))[0].tolist()
    allowed = BitMap([*rows[500:], 99_999])
    found = store.search_text("cat", 5, allowed)
    assert [row for row, _ in found] == rows[500:]
    assert found == [hit for hit in store.search_text("cat", 505) if hit[0] in allowed]
    assert store.search_text("cat", 5, BitMap()) == []


_words = st.lists(st.sampled_from(["cat", "cats", "dog", "the", "café", "x1"]), max_size=6).map(" ".join)
_steps = st.lists(
    st.one_of(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.none() | _words), min_size=1, max_size=4),
        st.sampled_from("abcdef"),
        st.just("search"),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(_steps, st.sampled_from([0, 2, 1_000]), st.sampled_from([1, 5, 1_000]))
def test_search_after_any_writes_is_that_of_a_fresh_store(
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
    steps: list[Any],
    pending: int,
    unasked: int,
) -> None:
    """What is kept in memory follows the writes: a store opened anew finds the same with the same scores."""
    monkeypatch.setattr("data.datasets.store_text.MAX_PENDING", pending)
    monkeypatch.setattr("data.datasets.store_text.MAX_UNASKED", unasked)
    path = tmp_path_factory.mktemp("store") / "records.sqlite"
    store = RecordStore(path, 3)
    for seq, step in enumerate(steps, 1):
        if step == "search":
            store.search_text("cat the dog", 3)
        elif isinstance(step, str):
            store.remove(seq, [step])
        else:
            store.put(seq, _batch(*(_record(*pair) for pair in step)))
    found = [store.search_text(query, 9) for query in ("cat", "the", "cafe dog x1")]
    live = store.live_rows()
    store.close()
    again = RecordStore(path, 3)
    assert found == [again.search_text(query, 9) for query in ("cat", "the", "cafe dog x1")]
    assert live == again.live_rows()
    again.close()


def test_readers_beside_a_writer_are_served(store: RecordStore) -> None:
    """Searches, pages and records while batches are written: no error, whole batches."""
    faults: list[object] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                if store.count() % 5:
                    faults.append("part of a batch")
                found = store.search_text("cat number", 10)
                store.records([row for row, _ in found])
                store.values(store.page(20))
        except BaseException as error:
            faults.append(error)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for seq in range(1, 60):
            store.put(seq, _batch(*(_record(f"{seq % 20}-{n}", f"cat number {n}") for n in range(5))))
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not faults


def test_damaged_file_is_told(tmp_path: Path) -> None:
    """So that the dataset is built again from the ledger."""
    path = tmp_path / "records.sqlite"
    store = RecordStore(path, 3)
    store.put(1, _batch(*(_record(str(n), "words " * 50) for n in range(200))))
    store.close()
    body = bytearray(path.read_bytes())
    body[4096 : len(body) // 2] = b"\x5a" * (len(body) // 2 - 4096)
    path.write_bytes(body)
    with pytest.raises(CorruptDataError, match=r"records\.sqlite"):
        RecordStore(path, 3)


def test_file_that_was_just_begun_is_made_whole(tmp_path: Path) -> None:
    """A crash between creating the file and its tables is no damage."""
    path = tmp_path / "records.sqlite"
    path.touch()
    store = RecordStore(path, 3)
    store.put(1, _batch(_record("a")))
    assert store.count() == 1
    store.close()


def test_postings_in_memory_are_bounded(store: RecordStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Letting go of them costs time, not results."""
    monkeypatch.setattr("data.datasets.store_text.MAX_POSTINGS", 3)
    rows, _ = store.put(1, _batch(*(_record(str(n), f"cat number{n % 5}") for n in range(20))))
    for _ in range(2):
        for number in range(5):
            found = [row for row, _ in store.search_text(f"number{number} cat", 6)]
            assert found[:4] == rows[number::5].tolist()
            assert len(found) == 6


def test_file_of_another_format_or_dataset_is_refused(tmp_path: Path) -> None:
    """Another number of dimensions, another format, another program's file."""
    path = tmp_path / "records.sqlite"
    RecordStore(path, 3).close()
    with pytest.raises(CorruptDataError, match="3 dimensions, not 1 and 4"):
        RecordStore(path, 4)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = 99 WHERE key = 'format'")
    connection.close()
    with pytest.raises(CorruptDataError, match="format 99"):
        RecordStore(path, 3)
    other = sqlite3.connect(tmp_path / "other.sqlite")
    other.execute("CREATE TABLE x(y)")
    other.close()
    with pytest.raises(CorruptDataError, match="format 0"):
        RecordStore(tmp_path / "other.sqlite", 3)
    (tmp_path / "text.sqlite").write_text("no database at all " * 100)
    with pytest.raises(CorruptDataError):
        RecordStore(tmp_path / "text.sqlite", 3)


def test_records_without_vectors_are_damage(tmp_path: Path) -> None:
    """Sound tables that do not fit together are told too, as is metadata that is not JSON."""
    path = tmp_path / "records.sqlite"
    store = RecordStore(path, 3)
    (row, _), _ = store.put(1, _batch(_record("a", metadata={"x": 1}), _record("b")))
    store.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE records SET metadata = '{' WHERE id = 'a'")
    connection.close()
    again = RecordStore(path, 3)
    with pytest.raises(CorruptDataError, match="'a'"):
        again.records([int(row)])
    again.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE vectors SET vector = x'00'")
    connection.close()
    again = RecordStore(path, 3)
    with pytest.raises(CorruptDataError, match="12 bytes"):
        again.values([int(row)])
    again.close()
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM vectors WHERE row = ?", (int(row),))
    connection.close()
    with pytest.raises(CorruptDataError, match="2 records have 1 vectors"):
        RecordStore(path, 3)


def test_words_that_nothing_has_are_not_kept(store: RecordStore) -> None:
    """There is no end of them; one that comes to be written is found."""
    store.put(1, _batch(_record("a", "cat")))
    for number in range(50):
        assert store.search_text(f"absent{number}", 5) == []
    assert set(store._text._postings) == set()
    store.put(2, _batch(_record("b", "absent7")))

    assert [row for row, _ in store.search_text("absent7", 5)] == store.page(1, 1)
    assert len(store._text._postings) == 1
