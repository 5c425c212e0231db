"""Files of vectors are read row by row; what is wrong with a row or a file is told."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.datasets.formats.names import Form, form_of
from data.datasets.formats.reading import reader_of
from data.datasets.formats.rows import Row, RowFault
from data.datasets.formats.streams import BUFFER_BYTES
from data.errors import InvalidValueError

ROWS: list[dict[str, Any]] = [
    {"id": "a", "document_id": "d1", "values": [0.25, -1.0], "content": 'He said "no", twice\n[sic] {'},
    {"id": "b", "document_id": "d1", "values": [0.5, 2.0], "metadata": {"year": 2024, "tags": ["x", "]"]}},
    {"id": "c", "document_id": "d2", "values": [1.5, 0.0], "content": "Ærø, 日本"},
]


def read(path: Path, form: Form, after: int = 0) -> list[Row | RowFault]:
    """Return all that a reader yields."""
    return list(reader_of(path, form).rows(after))


def written(folder: Path, name: str, body: bytes | str) -> Path:
    """Write a file and return its path."""
    path = folder / name
    path.write_bytes(body.encode() if isinstance(body, str) else body)
    return path


def faults(found: list[Row | RowFault]) -> dict[int, str]:
    """Return the faults by row."""
    return {item.row: item.error for item in found if isinstance(item, RowFault)}


def parquet(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write a Parquet file of these rows, two a row group."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=2)
    return path


@pytest.mark.parametrize("indent", [None, 2])
def test_json_array_with_brackets_in_strings_gives_each_item(tmp_path: Path, indent: int | None) -> None:
    """Items are told apart whatever their strings hold and however they are laid out."""
    path = written(tmp_path, "v.json", json.dumps(ROWS, indent=indent, ensure_ascii=False))
    reader = reader_of(path, "json")
    assert reader.count() == 3
    assert [row.fields for row in reader.rows() if isinstance(row, Row)] == ROWS


def test_json_array_larger_than_its_buffer_gives_every_item_once(tmp_path: Path) -> None:
    """Items that lie across the edge of a buffer are whole, escapes at the edge among them."""
    many = [{"id": str(n), "content": "\\" * (n % 7) + '"' * 3_000} for n in range(900)]
    body = json.dumps(many)
    assert len(body) > 4 * BUFFER_BYTES
    path = written(tmp_path, "v.json", body)
    assert [row.fields for row in read(path, "json") if isinstance(row, Row)] == many


def test_json_array_with_a_broken_item_reads_its_neighbours(tmp_path: Path) -> None:
    """An item that is no JSON object is a fault of its own row."""
    found = read(written(tmp_path, "v.json", '[{"id": 1}, {"id": nope}, 5, {"id": 4}]'), "json")
    assert [item.number for item in found if isinstance(item, Row)] == [1, 4]
    assert faults(found)[2].startswith("The row is not JSON: ")
    assert faults(found)[3] == "The row is not a JSON object."


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('{"id": 1}', "not a JSON array"),
        ("", "not a JSON array"),
        ('[{"id": 1}, {"id": 2}', "never closed"),
        ('[{"id": 1, "content": "never ends}]', "never closed"),
        ('[{"id": 1}] [2]', "goes on after the end"),
    ],
)
def test_json_that_is_not_one_whole_array_is_one_error(tmp_path: Path, body: str, told: str) -> None:
    """A file that is no array, or is cut short, is refused by the count, before anything is read."""
    with pytest.raises(InvalidValueError, match=told):
        reader_of(written(tmp_path, "v.json", body), "json").count()


def test_json_of_an_empty_array_has_no_rows(tmp_path: Path) -> None:
    """An empty array is whole and holds nothing."""
    reader = reader_of(written(tmp_path, "v.json", " [ ] \n"), "json")
    assert reader.count() == 0
    assert list(reader.rows()) == []


def test_json_lines_skip_empty_ones_and_tell_broken_ones(tmp_path: Path) -> None:
    """Empty lines are no rows; a line that is no object is a fault; a mark of byte order is no fault."""
    path = written(tmp_path, "v.jsonl", b'\xef\xbb\xbf{"id": "a"}\n\n  \n[1]\r\n{"id": "c"}')
    reader = reader_of(path, "jsonl")
    found = list(reader.rows())
    assert reader.count() == 3
    assert faults(found) == {2: "The row is not a JSON object."}
    assert [row.fields["id"] for row in found if isinstance(row, Row)] == ["a", "c"]


def test_json_lines_with_a_line_too_long_go_on_behind_it(tmp_path: Path) -> None:
    """A line beyond the bound is a fault and is never held; the next one is read."""
    body = b'{"id": "a"}\n{"content": "' + b"x" * (17 * 2**20) + b'"}\n{"id": "c"}\n'
    found = read(written(tmp_path, "v.jsonl", body), "jsonl")
    assert faults(found) == {2: "The line is longer than 16 MiB."}
    assert [item.number for item in found if isinstance(item, Row)] == [1, 3]


def test_csv_with_quoted_lines_gives_each_row(tmp_path: Path) -> None:
    """A quoted cell may hold line breaks and commas; an empty cell is a missing value."""
    path = written(tmp_path, "v.csv", 'id,values,content\na,"[1,2]","one\ntwo, ""three"""\n\nb,"[3,4]",\n')
    reader = reader_of(path, "csv")
    assert reader.count() == 2
    assert [row.fields for row in reader.rows() if isinstance(row, Row)] == [
        {"id": "a", "values": "[1,2]", "content": 'one\ntwo, "three"'},
        {"id": "b", "values": "[3,4]"},
    ]


def test_csv_with_broken_rows_reads_the_others(tmp_path: Path) -> None:
    """Too few cells, bytes that are no text and a misplaced quote are faults of their rows."""
    body = b'id,values\na,1\nb\nc,\xff\n"d"x,1\ne,2\nf,"open\n'
    found = read(written(tmp_path, "v.csv", body), "csv")
    assert [item.fields["id"] for item in found if isinstance(item, Row)] == ["a", "e"]
    assert faults(found) == {
        2: "The row has 1 cells, the header 2.",
        3: "The row is not UTF-8.",
        4: "The row is broken: ',' expected after '\"'.",
        6: "The row is broken: a quote is never closed.",
    }


@pytest.mark.parametrize(("body", "told"), [("", "is empty"), ("id,id\n1,2\n", "more than once")])
def test_csv_without_a_usable_header_is_one_error(tmp_path: Path, body: str, told: str) -> None:
    """Without names of columns no row means anything."""
    with pytest.raises(InvalidValueError, match=told):
        reader_of(written(tmp_path, "v.csv", body), "csv").count()


def test_csv_quote_that_swallows_the_file_is_one_error(tmp_path: Path) -> None:
    """An open quote before megabytes of rows is not one huge cell."""
    body = 'id,content\na,"open\n' + "b,text\n" * 700_000
    with pytest.raises(InvalidValueError, match="never closed"):
        reader_of(written(tmp_path, "v.csv", body), "csv").count()


def test_gzip_of_text_is_read_whatever_its_name(tmp_path: Path) -> None:
    """A packed file is known by its first bytes."""
    path = written(tmp_path, "v.jsonl", gzip.compress(b'{"id": "a"}\n{"id": "b"}\n'))
    assert reader_of(path, "jsonl").count() == 2
    assert form_of("v.jsonl.gz") == "jsonl"


def test_gzip_cut_short_is_one_error(tmp_path: Path) -> None:
    """A packed file without its end is refused."""
    body = gzip.compress(json.dumps(ROWS).encode() * 100)
    with pytest.raises(InvalidValueError, match="damaged or cut short"):
        reader_of(written(tmp_path, "v.jsonl.gz", body[:-20]), "jsonl").count()


def test_gzip_bomb_is_stopped_while_it_unpacks(tmp_path: Path) -> None:
    """A packed file that unpacks to far more than its size is refused before it is unpacked."""
    body = gzip.compress(b"\n" * (64 * 2**20))
    assert len(body) < 100_000
    with pytest.raises(InvalidValueError, match="unpacks to more than 200 times"):
        reader_of(written(tmp_path, "v.jsonl.gz", body), "jsonl").count()


def test_parquet_with_lists_of_numbers_gives_them_exactly(tmp_path: Path) -> None:
    """Numbers of a list column, nested metadata and missing cells come as they were written."""
    path = parquet(tmp_path / "v.parquet", [{"content": None, "metadata": None, **row} for row in ROWS])
    reader = reader_of(path, "parquet")
    found = [row for row in reader.rows() if isinstance(row, Row)]
    assert reader.count() == 3
    assert [row.fields["values"] for row in found] == [[0.25, -1.0], [0.5, 2.0], [1.5, 0.0]]
    assert found[1].fields["metadata"] == {"year": 2024, "tags": ["x", "]"]}
    assert "content" not in found[1].fields


def test_parquet_after_some_rows_goes_on_with_the_next(tmp_path: Path) -> None:
    """Reading can begin within a row group."""
    path = parquet(tmp_path / "v.parquet", [{"id": str(n), "values": [float(n)]} for n in range(7)])
    found = [row for row in read(path, "parquet", after=3) if isinstance(row, Row)]
    assert [(row.number, row.fields["id"]) for row in found] == [(4, "3"), (5, "4"), (6, "5"), (7, "6")]


@pytest.mark.parametrize("kept", [0.5, 0.98])
def test_parquet_cut_short_is_one_error(tmp_path: Path, kept: float) -> None:
    """A file without its end is refused by the count."""
    body = parquet(tmp_path / "v.parquet", ROWS).read_bytes()
    with pytest.raises(InvalidValueError, match="not a whole Parquet file"):
        reader_of(written(tmp_path, "w.parquet", body[: int(len(body) * kept)]), "parquet").count()


def test_parquet_with_a_damaged_page_is_found_by_the_count(tmp_path: Path) -> None:
    """Bytes that were changed in the middle are found before a row is used."""
    from data.datasets.formats.writing import writer_of
    from data.datasets.ports import StoredVector
    from data.datasets.records import VectorRecord

    path = tmp_path / "v.parquet"
    with writer_of(path, "parquet", 8) as writer:
        writer.write([StoredVector(VectorRecord(str(n), "d"), (n / 7,) * 8) for n in range(500)])
    body = bytearray(path.read_bytes())
    for at in range(200, len(body) // 2, 40):
        body[at] ^= 0x55
    with pytest.raises(InvalidValueError):
        reader_of(written(tmp_path, "w.parquet", bytes(body)), "parquet").count()


def test_npy_gives_vectors_whose_ids_are_their_numbers(tmp_path: Path) -> None:
    """A row of the array is a vector; its id counts from 0."""
    values = np.arange(6, dtype=np.float32).reshape(3, 2) / 3
    np.save(tmp_path / "v.npy", values)
    reader = reader_of(tmp_path / "v.npy", "npy")
    found = [row for row in reader.rows(1) if isinstance(row, Row)]
    assert reader.count() == 3
    assert [(row.number, row.fields["id"]) for row in found] == [(2, "1"), (3, "2")]
    assert np.array_equal(np.array([row.fields["values"] for row in found], np.float32), values[1:])


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros(4, np.float32), "two-dimensional"),
        (np.zeros((2, 3), np.complex64), "two-dimensional"),
        (np.asfortranarray(np.zeros((2, 3), np.float32)), "stored by column"),
        (np.zeros((2, 0), np.float32), "0 numbers"),
        (np.array([[object()]]), "two-dimensional"),
    ],
)
def test_npy_that_is_no_table_of_numbers_is_refused(tmp_path: Path, array: Any, told: str) -> None:
    """Shapes and types that hold no vectors are refused; objects are never unpickled."""
    np.save(tmp_path / "v.npy", array, allow_pickle=True)
    with pytest.raises(InvalidValueError, match=told):
        reader_of(tmp_path / "v.npy", "npy").count()


@pytest.mark.parametrize("size", [0, 5, 40, 1_000])
def test_npy_cut_short_is_one_error(tmp_path: Path, size: int) -> None:
    """A file whose size is not what its header says is refused, wherever it ends."""
    np.save(tmp_path / "v.npy", np.zeros((100, 8), np.float32))
    body = (tmp_path / "v.npy").read_bytes()
    with pytest.raises(InvalidValueError, match=r"\.npy file"):
        reader_of(written(tmp_path, "w.npy", body[:size]), "npy").count()


def fvecs(vectors: list[list[float]]) -> bytes:
    """Return vectors as TEXMEX writes them."""
    return b"".join(np.array([len(one)], "<i4").tobytes() + np.array(one, "<f4").tobytes() for one in vectors)


def test_fvecs_gives_each_vector(tmp_path: Path) -> None:
    """Vectors with their lengths before them are read."""
    path = written(tmp_path, "v.fvecs", fvecs([[1.0, 2.5], [3.0, -4.0]]))
    assert [row.fields["values"] for row in read(path, "fvecs") if isinstance(row, Row)] == [
        [1.0, 2.5],
        [3.0, -4.0],
    ]


def test_fvecs_damaged_is_one_error(tmp_path: Path) -> None:
    """A file cut short, one with a wrong length inside, and one of nonsense are refused."""
    whole = fvecs([[1.0, 2.5], [3.0, -4.0]])
    wrong = whole[:12] + np.array([7], "<i4").tobytes() + whole[16:]
    for body, told in ((whole[:-3], "cut short"), (wrong, "vector 1 says"), (b"\xff" * 24, "numbers")):
        with pytest.raises(InvalidValueError, match=told):
            reader_of(written(tmp_path, "v.fvecs", body), "fvecs").count()


@pytest.mark.parametrize("form", ["csv", "json", "jsonl"])
def test_text_after_some_rows_goes_on_with_the_next(tmp_path: Path, form: Form) -> None:
    """A reader that starts in the middle numbers rows as one that starts at the beginning."""
    rows = [{"id": str(n), "values": "[1]"} for n in range(5)]
    body = {
        "csv": "id,values\n" + "".join(f"{row['id']},[1]\n" for row in rows),
        "json": json.dumps(rows),
        "jsonl": "\n".join(map(json.dumps, rows)),
    }[form]
    path = written(tmp_path, f"v.{form}", body)
    assert read(path, form, after=3) == read(path, form)[3:]
    assert len(read(path, form, after=3)) == 2


@pytest.mark.parametrize("name", ["v.txt", "v.npy.gz", "parquet", "v.parquet.gz"])
def test_form_of_an_unknown_ending_is_refused(name: str) -> None:
    """A name that tells no kind is refused with the kinds there are."""
    with pytest.raises(InvalidValueError, match="does not say what the file holds"):
        form_of(name)


@pytest.mark.parametrize("form", ["csv", "json", "jsonl", "npy", "fvecs"])
def test_file_of_any_size_is_read_in_little_memory(tmp_path: Path, form: Form) -> None:
    """Twenty megabytes are counted and read while a fraction of that is held."""
    import tracemalloc

    values = np.ones((1_300, 2_000), dtype="<f4")
    row = json.dumps({"values": [1.123456] * 2_000})
    cells = '"' + json.dumps([1.123456] * 2_000) + '"\n'
    lengths = np.full(1_300, 2_000, "<i4").view("<f4")
    body: dict[str, bytes | str] = {
        "csv": "values\n" + cells * 1_300,
        "json": "[" + ",".join([row] * 1_300) + "]",
        "jsonl": (row + "\n") * 1_300,
        "npy": b"",
        "fvecs": np.column_stack([lengths, values]).tobytes(),
    }
    path = written(tmp_path, f"v.{form}", body[form])
    if form == "npy":
        np.save(path, values)
    assert path.stat().st_size > 10_000_000
    tracemalloc.start()
    try:
        reader = reader_of(path, form)
        assert reader.count() == sum(1 for _ in reader.rows()) == 1_300
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # Of arrays a megabyte is read at a time, and each number becomes an object of 32 bytes.
    assert peak < (14_000_000 if form in ("npy", "fvecs") else 6_000_000)
