"""Parts: the same rows however they are cut, each with its line, bad ones as values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.batch.inputs import find_files
from data.batch.parts import Part, Plan
from data.batch.planning import plan
from data.batch.reading import DeadRow, InputRow, rows_of
from data.batch.tables import TableReader
from data.errors import InvalidValueError


def planned(*paths: Path, part_rows: int = 2, limit: int | None = None) -> Plan:
    return plan(find_files([str(path) for path in paths]), part_rows=part_rows, limit=limit)


def read(found: Plan) -> list[InputRow | DeadRow]:
    table = TableReader()
    rows: list[InputRow | DeadRow] = []
    for part in found.parts:
        own = list(table.rows_of(part) if part.form == "parquet" else rows_of(part))
        assert len(own) == part.rows
        rows += own
    return rows


def shape(rows: list[InputRow | DeadRow]) -> list[tuple[int, Any]]:
    return [(row.line, row.columns if isinstance(row, InputRow) else row.reason) for row in rows]


def test_json_lines_with_every_kind_of_bad_row_name_line_and_reason(tmp_path: Path) -> None:
    """A mark, CRLF, blank lines, invalid JSON, other encodings and other values: each row on its own."""
    file = tmp_path / "claims.jsonl"
    file.write_bytes(
        b'\xef\xbb\xbf{"claim": "one"}\r\n\r\n{"claim": \n"two"\n{"claim": "caf\xe9"}\n[1]\n{"claim": "six"}'
    )
    rows = shape(read(planned(file)))

    assert rows[0] == (1, {"claim": "one"})
    assert rows[1][0] == 3
    assert rows[1][1].startswith("The line is not JSON: ")
    assert rows[2] == (4, {"claim": "two"})
    assert rows[3] == (5, "The line is not UTF-8 at its byte 15.")
    assert rows[4] == (6, "The line is neither a JSON object nor a text.")
    assert rows[5] == (7, {"claim": "six"})


def test_csv_rows_keep_their_lines_and_bad_ones_their_reason(tmp_path: Path) -> None:
    """Line breaks in cells, an open quote, and too many fields; empty cells are left out."""
    file = tmp_path / "claims.csv"
    file.write_text('id,claim,note\n1,"two\nlines",x\n2,plain,\n3,"open,y\n4,a,b,c\n5,last,z\n')
    rows = shape(read(planned(file)))

    assert rows[0] == (2, {"id": "1", "claim": "two\nlines", "note": "x"})
    assert rows[1] == (4, {"id": "2", "claim": "plain"})
    assert rows[2][0] == 5
    assert rows[2][1].startswith("A quote is opened and never closed")
    assert rows[3] == (6, "The row has 4 fields and the header 3: quote cells with commas.")
    assert rows[4] == (7, {"id": "5", "claim": "last", "note": "z"})


@pytest.mark.parametrize("part_rows", [1, 2, 3, 100])
@pytest.mark.parametrize("ending", ["jsonl", "csv", "parquet", "txt"])
def test_parts_of_any_size_hold_every_row_once(tmp_path: Path, ending: str, part_rows: int) -> None:
    """Cut finely or coarsely, the parts hold the same rows in the same order."""
    claims = [f"Claim {number} is “true”." for number in range(11)]
    file = tmp_path / f"claims.{ending}"
    if ending == "parquet":
        pq.write_table(pa.table({"claim": claims}), file, row_group_size=4)
    elif ending == "jsonl":
        file.write_text("".join(json.dumps({"claim": one}) + "\n" for one in claims))
    else:
        file.write_text(("claim\n" if ending == "csv" else "") + "".join(f"{one}\n" for one in claims))
    found = planned(file, part_rows=part_rows)

    assert [row.columns["claim"] for row in read(found) if isinstance(row, InputRow)] == claims
    assert found.rows == 11
    assert max(part.rows for part in found.parts) <= part_rows
    assert found.files[0].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_limit_keeps_the_first_rows_of_all_files(tmp_path: Path) -> None:
    """The limit counts over the files together."""
    for name in "ab":
        (tmp_path / f"{name}.txt").write_text("1\n2\n3\n")
    found = planned(tmp_path, part_rows=2, limit=4)

    assert [(row.file, row.line) for row in read(found)] == [
        ("a.txt", 1),
        ("a.txt", 2),
        ("a.txt", 3),
        ("b.txt", 1),
    ]


def test_digest_covers_a_file_that_was_read_back_and_forth(tmp_path: Path) -> None:
    """An open quote has the reader step back; the digest is still that of the file."""
    file = tmp_path / "a.csv"
    file.write_text('claim\n"open\nb\nc\n')

    assert planned(file).files[0].sha256 == hashlib.sha256(file.read_bytes()).hexdigest()


def test_parquet_that_is_cut_short_is_one_dead_row(tmp_path: Path) -> None:
    """The rest of the inputs is not harmed by it."""
    whole, broken = tmp_path / "b.parquet", tmp_path / "a.parquet"
    pq.write_table(pa.table({"claim": ["x"]}), whole)
    broken.write_bytes(whole.read_bytes()[:-7])
    rows = read(planned(tmp_path))

    assert isinstance(rows[0], DeadRow)
    assert rows[0].reason.startswith("a.parquet: is no whole Parquet file")
    assert isinstance(rows[1], InputRow)


def test_parquet_with_a_damaged_row_group_loses_those_rows_only(tmp_path: Path) -> None:
    """Every row of the damaged group is named; those of the others are read."""
    file = tmp_path / "a.parquet"
    texts = [f"claim number {number} of a table" * 5 for number in range(9)]
    pq.write_table(
        pa.table({"claim": texts}), file, row_group_size=3, compression="zstd", use_dictionary=False
    )
    meta = pq.ParquetFile(file).metadata.row_group(1).column(0)
    body = bytearray(file.read_bytes())
    size = meta.total_compressed_size
    body[meta.data_page_offset : meta.data_page_offset + size] = b"\xff" * size
    file.write_bytes(bytes(body))
    rows = read(planned(file, part_rows=2))

    assert [row.line for row in rows if isinstance(row, DeadRow)] == [4, 5, 6]
    assert "Row group 1 of the file is damaged" in next(
        row.reason for row in rows if isinstance(row, DeadRow)
    )


def test_text_in_utf16_is_refused_as_a_whole(tmp_path: Path) -> None:
    """No line of it could be read, so the mistake is told at once."""
    file = tmp_path / "a.txt"
    file.write_text("claim\n", encoding="utf-16")

    with pytest.raises(InvalidValueError, match="UTF-16: convert it to UTF-8"):
        planned(file)


def test_header_that_names_a_column_twice_is_refused(tmp_path: Path) -> None:
    """It is not known which of the two is meant."""
    file = tmp_path / "a.csv"
    file.write_text("claim,claim\na,b\n")

    with pytest.raises(InvalidValueError, match="names a column twice"):
        planned(file)


def test_file_that_shrank_after_planning_is_refused(tmp_path: Path) -> None:
    """Rows that are not there any more are no rows that were lost silently."""
    file = tmp_path / "a.txt"
    file.write_text("1\n2\n3\n")
    found = planned(file, part_rows=3)
    file.write_text("1\n")

    with pytest.raises(InvalidValueError, match="has changed while the batch ran"):
        list(rows_of(found.parts[0]))


def test_line_of_a_megabyte_is_a_row_like_any_other(tmp_path: Path) -> None:
    """Whether the claim is too long is not the reader's to say."""
    file = tmp_path / "a.jsonl"
    file.write_text(json.dumps({"claim": "x" * 2**20}) + '\n{"claim": "y"}\n')
    rows = read(planned(file))

    assert [len(row.columns["claim"]) for row in rows if isinstance(row, InputRow)] == [2**20, 1]


def test_files_are_found_by_folder_pattern_and_name_once(tmp_path: Path) -> None:
    """What a batch leaves (_kite, hidden files) and other kinds of files are none of them."""
    for name in ("b.csv", "a.jsonl", "sub/c.txt", "_kite/d.jsonl", ".e.jsonl", "f.bin"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("claim\n")
    below = [file.name for file in find_files([str(tmp_path)])]
    matched = [
        file.name for file in find_files([f"{tmp_path}/**/*.txt", f"{tmp_path}/b.csv", f"{tmp_path}/*.csv"])
    ]

    assert below == ["a.jsonl", "b.csv", "c.txt"]
    assert matched == ["c.txt", "b.csv"]


def test_files_of_an_arrow_file_system_are_found_and_read(tmp_path: Path) -> None:
    """An address works like a path, with patterns and folders."""
    (tmp_path / "in").mkdir()
    for name in ("a.jsonl", "b.jsonl", "c.csv"):
        (tmp_path / "in" / name).write_text('{"claim": "x"}\n' if name != "c.csv" else "claim\nx\n")
    matched = find_files([f"file://{tmp_path}/in/*.jsonl"])
    below = find_files([f"file://{tmp_path}/in"])

    assert [file.name for file in matched] == ["a.jsonl", "b.jsonl"]
    assert len(below) == 3
    assert shape(read(plan(matched))) == [(1, {"claim": "x"}), (1, {"claim": "x"})]


@pytest.mark.parametrize(
    ("name", "words"),
    [("nothing.jsonl", "there is no such file"), ("a.gz", "Unpack it first"), ("a.bin", "is none of")],
)
def test_input_that_cannot_be_taken_is_named(tmp_path: Path, name: str, words: str) -> None:
    """Missing, packed and unknown files are refused with what to do."""
    if name != "nothing.jsonl":
        (tmp_path / name).write_text("x")

    with pytest.raises(InvalidValueError, match=words):
        find_files([str(tmp_path / name)])


def test_dead_part_of_a_line_file_yields_its_fault() -> None:
    """A part that stands for a file that cannot be read is one dead row."""
    part = Part(0, "x", "x.jsonl", "jsonl", 0, 0, 1, fault="gone")

    assert list(rows_of(part)) == [DeadRow("x.jsonl", 0, "gone")]
