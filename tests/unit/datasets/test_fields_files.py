"""A field index from its file is the one that was saved, brought up to the store; a bad file is not used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from data.datasets import field_numbers, field_postings, field_texts
from data.datasets.field_files import open_fields, save_fields
from data.datasets.fields import FieldIndex
from data.datasets.records import VectorBatch, VectorRecord
from data.datasets.store import RecordStore
from data.filters.language import parse_filter

QUESTIONS = (
    "n < 30", "n >= 10 AND n < 12.5", "name LIKE 'name-1%'", "name = 'name-7'", "kind IN ('a', 'c')",
    "big = TRUE", "day >= '2024-01-05'", "gone IS MISSING", "tags = 'y'",
    "text LIKE '%long 3'", "content LIKE '%8'", "n = NULL",
)  # fmt: skip


def _record(number: int) -> VectorRecord:
    metadata: dict[str, Any] = {
        "n": [number, number + 0.5, None][number % 3],
        "name": f"name-{number}",
        "kind": "abc"[number % 3],
        "big": number > 50,
        "day": f"2024-01-{number % 28 + 1:02d}",
        "tags": ["x", "y"][: number % 3],
        "text": "long " * 60 + str(number % 5) if number % 7 == 0 else "short",
    }
    return VectorRecord(f"v{number}", f"d{number % 4}", content=f"content {number}", metadata=metadata)


def _put(store: RecordStore, seq: int, numbers: range) -> None:
    records = tuple(_record(number) for number in numbers)
    store.put(seq, VectorBatch(records, np.ones((len(records), 2), dtype=np.float32)))


def _answers(index: FieldIndex) -> list[list[int]]:
    return [list(index.select(parse_filter(text))) for text in QUESTIONS]


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (field_postings, field_numbers, field_texts):
        monkeypatch.setattr(module, "RECENT", 16)


class _CountingStore(RecordStore):
    """A store that counts how often its records are scanned."""

    scans = 0

    def scan_records(self, after_row: int, limit: int) -> tuple[NDArray[np.int64], list[VectorRecord]]:
        self.scans += 1
        return super().scan_records(after_row, limit)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[_CountingStore]:
    """A store of a hundred records."""
    opened = _CountingStore(tmp_path / "records.sqlite", 2)
    _put(opened, 1, range(100))
    yield opened
    opened.close()


def test_index_of_a_file_answers_as_the_one_saved(store: _CountingStore, tmp_path: Path) -> None:
    """Every kind of question, and the statistics; the records are not read for it."""
    index = open_fields(store)
    expected = _answers(index)
    assert all(expected)
    assert save_fields(index, tmp_path / "fields", store) == (tmp_path / "fields").stat().st_size
    store.scans = 0
    again = open_fields(store, tmp_path / "fields")
    assert _answers(again) == expected
    assert again.summary() == index.summary()
    assert store.scans == 0


def test_index_of_an_old_file_is_brought_up_to_the_store(store: RecordStore, tmp_path: Path) -> None:
    """What was written, replaced and removed since is as in an index filled anew."""
    save_fields(open_fields(store), tmp_path / "fields", store)
    _put(store, 2, range(90, 130))
    store.remove(3, ["v0", "v5", "v129"])
    again = open_fields(store, tmp_path / "fields")
    assert _answers(again) == _answers(open_fields(store))
    assert again.live_rows() == store.live_rows()
    _put(store, 4, range(200, 240))
    rows, records = store.scan_records(max(again.live_rows()), 100)
    again.add(rows, records)
    assert _answers(again) == _answers(open_fields(store))


def test_file_that_is_damaged_or_of_another_store_is_not_used(store: RecordStore, tmp_path: Path) -> None:
    """A bit that turned, an end that is missing, another layout, another store's file."""
    path = tmp_path / "fields"
    save_fields(open_fields(store), path, store)
    expected, whole = _answers(open_fields(store)), path.read_bytes()
    for place in range(0, len(whole), max(1, len(whole) // 12)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        assert _answers(open_fields(store, path)) == expected
        path.write_bytes(whole[:place])
        assert _answers(open_fields(store, path)) == expected
    path.write_bytes(whole)
    other = RecordStore(tmp_path / "other.sqlite", 2)
    _put(other, 1, range(50, 150))
    assert store.identity() != other.identity()
    assert _answers(open_fields(other, path)) == _answers(open_fields(other))
    other.close()


def test_index_without_a_file_is_filled_from_the_store(store: RecordStore, tmp_path: Path) -> None:
    """A first start, or a lost cache, or something else in its place."""
    assert _answers(open_fields(store, tmp_path)) == _answers(open_fields(store))
    assert _answers(open_fields(store, tmp_path / "none")) == _answers(open_fields(store))
    store.remove(2, [f"v{number}" for number in range(100)])
    assert open_fields(store, tmp_path / "none").count() == 0
