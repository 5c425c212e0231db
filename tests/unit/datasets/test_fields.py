"""The field index keeps exactly the rows for which a filter holds."""

from __future__ import annotations

import random
import threading
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyroaring import BitMap

from data.datasets import field_numbers, field_postings, field_texts, fields
from data.datasets.fields import FieldIndex
from data.datasets.records import VectorRecord
from data.filters.language import parse_filter
from data.filters.matching import document_of, matches
from data.filters.tree import Compare, Filter
from tests.unit.filters.spelling import filters, metadata, own_fields

_records = st.builds(lambda own, more: VectorRecord("v", metadata=more, **own), own_fields, metadata)
#: Batches of records to add, each followed by the places (of all so far) to remove.
_histories = st.lists(
    st.tuples(st.lists(_records, max_size=12), st.sets(st.integers(0, 40), max_size=8)),
    min_size=1,
    max_size=6,
)


class _Dataset:
    """A field index and the records it is of."""

    def __init__(self) -> None:
        self.records: dict[int, VectorRecord] = {}
        self.index = FieldIndex(lambda rows: {row: self.records[row] for row in rows if row in self.records})
        self.next_row = 1

    def add(self, *records: VectorRecord) -> list[int]:
        """Add records under the next rows."""
        rows = list(range(self.next_row, self.next_row + len(records)))
        self.next_row += len(rows) + 1
        self.records.update(zip(rows, records, strict=True))
        self.index.add(rows, records)
        return rows

    def remove(self, rows: list[int]) -> None:
        """Remove rows."""
        self.index.remove(rows)
        for row in rows:
            self.records.pop(row, None)

    def matching(self, wanted: Filter) -> list[int]:
        """Return what the language says of each record."""
        return [row for row, record in self.records.items() if matches(wanted, document_of(record))]


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few rows make segments, merges, heavy values, blocks, long texts, unindexed paths and compactions."""
    for module in (field_postings, field_numbers, field_texts):
        monkeypatch.setattr(module, "RECENT", 8, raising=True)
    monkeypatch.setattr(field_postings, "HEAVY", 3)
    monkeypatch.setattr(field_postings, "_BLOCK", 4)
    monkeypatch.setattr(fields, "_MIN_DEAD", 4)
    monkeypatch.setattr(fields, "MAX_PATHS", 8)
    monkeypatch.setattr(fields, "_PAGE", 5)


def _metadata(**values: Any) -> VectorRecord:
    return VectorRecord("v", "d", metadata=values)


@settings(max_examples=50, deadline=None)
@given(_histories, st.lists(filters, min_size=1, max_size=5))
def test_select_is_what_matches_says_of_each_record(
    history: list[tuple[list[VectorRecord], set[int]]], asked: list[Filter]
) -> None:
    """On random records, removals and filters index and language agree; estimates are never too low."""
    dataset = _Dataset()
    for records, removed in history:
        dataset.add(*records)
        present = sorted(dataset.records)
        dataset.remove([present[place] for place in removed if place < len(present)])
        for wanted in asked:
            expected = dataset.matching(wanted)
            assert list(dataset.index.select(wanted)) == expected
            assert len(expected) <= dataset.index.estimate(wanted) <= len(dataset.records)


@pytest.mark.parametrize("small", [True, False])
def test_select_over_many_segments_is_what_matches_says(
    monkeypatch: pytest.MonkeyPatch,
    small: bool,
) -> None:
    """A thousand records with few and with many different values, some removed, in every kind of question."""
    if not small:
        monkeypatch.setattr(field_texts, "RECENT", 200)
        monkeypatch.setattr(field_numbers, "RECENT", 200)
    rng = random.Random(7)
    dataset = _Dataset()
    for batch in range(20):
        dataset.add(
            *(
                VectorRecord(
                    f"id-{batch}-{n}",
                    f"doc-{rng.randrange(30)}",
                    content=rng.choice([None, f"words {n} of {batch}"]),
                    metadata={
                        "year": rng.randrange(1990, 2025),
                        "score": rng.random(),
                        "day": f"20{rng.randrange(10, 25)}-0{rng.randrange(1, 10)}-1{rng.randrange(10)}",
                        "tags": rng.sample(["a", "b", "c", "d"], rng.randrange(3)),
                        "open": rng.random() < 0.5,
                    },
                )
                for n in range(50)
            )
        )
        dataset.remove(rng.sample(sorted(dataset.records), 5))
    for text in (
        "year = 2000", "year BETWEEN 1995 AND 2010", "score < 0.25", "score >= 0.1 AND score < 0.9",
        "tags = 'a'", "NOT tags IN ('a', 'b')", "day >= '2015-05-05'", "day < '2015-05-15T00:00:00Z'",
        "id LIKE 'id-1%-_'",
        "id LIKE 'id-1%'",
        "id IN ('id-3-7', 'id-3-8', 'id-4-9')", "id > 'id-15' OR open = TRUE", "id < 'id-15'",
        "id >= 'id-15' AND id <= 'id-3'", "document_id LIKE '%1%'",
        "content LIKE '%7 of%' AND year > 2000", "year IN (1990, 1995, 2024) AND NOT open = FALSE",
    ):  # fmt: skip
        wanted = parse_filter(text)
        expected = dataset.matching(wanted)
        assert expected, text
        assert list(dataset.index.select(wanted)) == expected, text


def test_numbers_of_both_kinds_compare_exactly() -> None:
    """Integers and floats at the ends of what each can hold, every one against every other."""
    numbers: list[float] = [
        0, 1, -1, 0.5, -0.5, 1.0, 2**53, 2**53 + 1, float(2**53), -(2**53) - 1, 2**62 + 1,
        2**63 - 1, -(2**63), float(2**63), -float(2**63), 2**63, 2**64, -(2**64), 2**1100, -(2**1100),
        1e300, -1e300, 2**63 - 1025.0,
    ]  # fmt: skip
    dataset = _Dataset()
    dataset.add(*(_metadata(n=number) for number in numbers))
    for number in numbers:
        for operator in ("eq", "lt", "lte", "gt", "gte"):
            wanted = Compare("metadata.n", operator, number)
            assert list(dataset.index.select(wanted)) == dataset.matching(wanted), wanted


def test_select_is_the_callers_own_set() -> None:
    """Whoever changes what was selected changes nothing else."""
    dataset = _Dataset()
    dataset.add(*(_metadata(a="x", n=None) for _ in range(10)))
    for text in ("a = 'x'", "a IS NOT MISSING", "n IS NULL", "NOT a = 'y'"):
        dataset.index.select(parse_filter(text)).clear()
        assert len(dataset.index.select(parse_filter(text))) == 10
    assert len(dataset.index.select(parse_filter({}))) == 10


def test_texts_too_long_to_keep_are_looked_up() -> None:
    """A long text is found by equality, order and LIKE, as a short one is."""
    dataset = _Dataset()
    long, other = "long " * 100, "long " * 99 + "other"
    first, second, _ = dataset.add(_metadata(a=long), _metadata(a=other), _metadata(a="short"))
    select = dataset.index.select
    assert list(select(parse_filter({"a": long}))) == [first]
    assert list(select(parse_filter({"a": {"$like": "%other"}}))) == [second]
    assert list(select(parse_filter({"a": {"$lt": "m"}}))) == [first, second]
    assert list(select(parse_filter({"a": "short"}))) == [second + 1]


def test_content_is_looked_up_only_where_the_rest_of_the_filter_leaves_rows() -> None:
    """Records are read last, and only those that can still match."""
    asked: list[int] = []
    records = {row: VectorRecord(f"v{row}", "d", content=f"text {row}") for row in range(1, 101)}

    def lookup(rows: Any) -> dict[int, VectorRecord]:
        asked.extend(rows)
        return {row: records[row] for row in rows}

    index = FieldIndex(lookup)
    index.add(list(records), list(records.values()))
    wanted = parse_filter("content LIKE '%7' AND id IN ('v7', 'v8', 'v17')")
    assert list(index.select(wanted)) == [7, 17]
    assert sorted(asked) == [7, 8, 17]


def test_summary_tells_paths_types_and_bounds_of_live_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Statistics are of what is there now, by path in the metadata."""
    monkeypatch.setattr(fields, "MAX_PATHS", 100)
    dataset = _Dataset()
    gone = dataset.add(_metadata(year=1900, day="1900-01-01", only=1))
    dataset.add(
        _metadata(year=2020, day="2024-03-01", tags=["x", "y"], flag=True, none=None),
        _metadata(year=2021.5, day="2024-01-01T10:00:00Z", tags=["y"], flag=1, deep={"er": "z"}),
    )
    dataset.remove(gone)
    assert dataset.index.summary() == {
        "day": {
            "count": 2, "types": ["date", "text"], "distinct": 2,
            "min": "2024-01-01T10:00:00Z", "max": "2024-03-01",
        },
        "flag": {"count": 2, "types": ["boolean", "number"], "distinct": 2, "min": 1, "max": 1},
        "none": {"count": 1, "types": ["null"], "distinct": 0},
        "tags": {"count": 2, "types": ["text"], "distinct": 2},
        "year": {"count": 2, "types": ["number"], "distinct": 2, "min": 2020, "max": 2021.5},
        "deep": {"count": 1, "types": [], "distinct": 0},
        "deep.er": {"count": 1, "types": ["text"], "distinct": 1},
    }  # fmt: skip


def test_distinct_values_are_counted_up_to_a_bound() -> None:
    """A path with a value of its own in each record costs no set of them all."""
    dataset = _Dataset()
    dataset.add(*(_metadata(key=f"k{n}") for n in range(1_200)))
    assert dataset.index.summary()["key"]["distinct"] == 1_000


def test_removed_rows_are_forgotten_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """After as many removals as there are rows, columns hold the live rows only."""
    monkeypatch.setattr(fields, "MAX_PATHS", 100)
    dataset = _Dataset()
    rows = dataset.add(*(_metadata(key=f"key-{n}", number=n) for n in range(400)))
    before = dataset.index.memory_bytes()
    dataset.remove(rows[:360])
    for _ in range(1_000):
        # Each write does a little of it.
        dataset.index.remove([])
    assert dataset.index.memory_bytes() < before / 3
    assert list(dataset.index.select(parse_filter("number >= 380"))) == rows[380:]


def test_readers_beside_a_writer_see_whole_batches() -> None:
    """A filter and its complement make up the live rows at every moment; batches come and go as one."""
    dataset = _Dataset()
    wanted, denied = parse_filter("a = 'x' AND n >= 0"), parse_filter("NOT (a = 'x' AND n >= 0)")
    faults: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            kept = dataset.index.select(wanted)
            if len(kept) % 10:
                faults.append(kept)
            if dataset.index.select(denied):
                faults.append("a row without its values")

    readers = [threading.Thread(target=read) for _ in range(3)]
    for reader in readers:
        reader.start()
    try:
        for _ in range(60):
            rows = dataset.add(*(_metadata(a="x", n=n) for n in range(10)))
            if len(dataset.records) > 200:
                dataset.index.remove(rows)
    except BaseException as error:
        faults.append(error)
        raise
    finally:
        done.set()
        for reader in readers:
            reader.join()
    assert not faults
    assert isinstance(dataset.index.select(wanted), BitMap)
