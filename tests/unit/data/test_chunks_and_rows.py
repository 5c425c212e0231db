"""Files of rows: cut anywhere, read once; bad rows are values."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.chunks import cut, lines_of, rows_of
from data.errors import InvalidValueError
from data.knowledge import Document, Fact, Source
from data.rows import BadRow, kind_of, read_row


@pytest.mark.parametrize("chunk_bytes", [1, 7, 64, 10_000])
def test_line_file_cut_anywhere_gives_every_row_once(tmp_path: Path, chunk_bytes: int) -> None:
    """Chunk borders fall inside lines and on line ends; no row is lost or doubled."""
    rows = [{"id": str(n), "text": "wörd " * (n % 5 + 1)} for n in range(40)]
    file = tmp_path / "rows.jsonl"
    file.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")

    read = [row for chunk in cut(file, chunk_bytes=chunk_bytes) for row in rows_of(chunk)]

    assert read == rows


def test_lines_without_final_break_and_with_windows_breaks(tmp_path: Path) -> None:
    """CRLF is a line end like LF, and the last line needs none."""
    file = tmp_path / "rows.nq"
    file.write_bytes(b"one\r\ntwo\r\nthree")

    assert [line for chunk in cut(file, chunk_bytes=4) for line in lines_of(chunk)] == [
        b"one",
        b"two",
        b"three",
    ]


def test_broken_lines_are_set_aside_and_neighbours_read(tmp_path: Path) -> None:
    """A line that is not JSON, or not an object, is a BadRow in its place."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'{"text": "a"}\n{"text": \n[1]\n\xff\xfe\n{"text": "b"}\n')
    (chunk,) = cut(file)
    rows = list(rows_of(chunk))

    assert [row for row in rows if isinstance(row, dict)] == [{"text": "a"}, {"text": "b"}]
    assert sum(isinstance(row, BadRow) for row in rows) == 3


@pytest.mark.parametrize(
    "content", ["a,text\nb,c\nd,{cell}\n", "a,text\nb,c\nd,e,{cell}\n", "a,{cell}\nb,c\n"]
)
def test_csv_with_a_long_cell_is_refused_whatever_the_process_allows(tmp_path: Path, content: str) -> None:
    """The library's bound is the process's: another reader may have raised it, and this one keeps its own."""
    file = tmp_path / "rows.csv"
    file.write_text(content.format(cell="x" * 131_073), encoding="utf-8")
    before = csv.field_size_limit(2**22)
    try:
        with pytest.raises(InvalidValueError, match=r"begins at line [13] is broken \(field larger"):
            [row for chunk in cut(file) for row in rows_of(chunk)]
    finally:
        csv.field_size_limit(before)


def test_csv_keeps_quoted_line_breaks_and_reports_short_rows(tmp_path: Path) -> None:
    """A quoted field may span lines; a row with too few or too many fields is set aside."""
    file = tmp_path / "rows.csv"
    file.write_text('id,text\n1,"two\nlines"\n2\n3,fine,extra\n', encoding="utf-8")
    (chunk,) = cut(file)
    rows = list(rows_of(chunk))

    assert rows[0] == {"id": "1", "text": "two\nlines"}
    assert [isinstance(row, BadRow) for row in rows] == [False, True, True]


def test_parquet_is_cut_by_row_group(tmp_path: Path) -> None:
    """Each row group is a chunk."""
    file = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": [f"t{n}" for n in range(10)]}), file, row_group_size=4)
    chunks = cut(file)

    assert len(chunks) == 3
    assert [row["text"] for chunk in chunks for row in rows_of(chunk)] == [f"t{n}" for n in range(10)]  # type: ignore[index]


def test_unknown_or_missing_file_is_refused_with_what_is_possible(tmp_path: Path) -> None:
    """The error names the file and the types there are."""
    (tmp_path / "broken.parquet").write_bytes(b"not parquet")

    with pytest.raises(InvalidValueError, match=r"'\.xlsx' is not one of"):
        cut(tmp_path / "a.xlsx")
    with pytest.raises(InvalidValueError, match="there is no such file"):
        cut(tmp_path / "a.csv")
    with pytest.raises(InvalidValueError, match="is not a Parquet file"):
        cut(tmp_path / "broken.parquet")


@pytest.mark.parametrize(
    ("columns", "kind"),
    [
        (["_id", "title", "text"], "documents"),
        (["subject", "predicate", "object"], "facts"),
        (["id", "name", "owner"], "sources"),
    ],
)
def test_kind_is_found_from_the_columns(columns: list[str], kind: str) -> None:
    """Each kind has columns of its own."""
    assert kind_of(columns) == kind


def test_columns_of_no_kind_are_refused() -> None:
    """The error lists what was there."""
    with pytest.raises(InvalidValueError, match="their columns are a, b"):
        kind_of(["b", "a"])


def test_document_row_keeps_unknown_columns_as_metadata() -> None:
    """Nothing of a row is lost; a row without an id gets one from its content."""
    row = {"_id": 7, "text": "Water boils.", "section": "Physics", "url": None, "metadata": {"lang": "en"}}
    document = read_row("documents", row)
    unnamed = read_row("documents", {"text": "Water boils."})

    assert document == Document(id="7", text="Water boils.", metadata={"section": "Physics", "lang": "en"})
    assert unnamed == read_row("documents", {"text": "Water boils."})
    assert isinstance(unnamed, Document)
    assert unnamed.id.startswith("doc-")


def test_fact_and_source_rows_from_csv_text() -> None:
    """Numbers arrive as text from CSV."""
    fact = read_row(
        "facts", {"subject": "Everest", "predicate": "height", "object": "8849 m", "value": "8849"}
    )
    source = read_row("sources", {"id": "nasa", "name": "NASA", "kind": "agency"})

    assert isinstance(fact, Fact)
    assert (fact.value, fact.subject) == (8849.0, "Everest")
    assert source == Source(id="nasa", name="NASA", kind="agency")


@pytest.mark.parametrize(
    ("kind", "row"),
    [
        ("documents", {"id": "1"}),
        ("documents", {"id": "1", "text": "  …  "}),
        ("documents", {"id": "1", "text": 5}),
        ("facts", {"subject": "a", "predicate": "b", "object": "c", "value": "many"}),
        ("facts", {"subject": " ", "predicate": "b", "object": "c"}),
        ("sources", {"name": "no id"}),
    ],
)
def test_row_that_holds_nothing_usable_is_refused(kind: str, row: dict[str, object]) -> None:
    """Every refusal is an InvalidValueError with a sentence."""
    with pytest.raises(InvalidValueError) as caught:
        read_row(kind, row)  # type: ignore[arg-type]

    assert str(caught.value).endswith(".")
