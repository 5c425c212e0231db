"""Imports and patterns made to hurt: wide, deep, and far larger than they look."""

from __future__ import annotations

import io
import json
import resource
import time
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.claims import TenantId
from data.errors import InvalidValueError
from data.knowledge import Pattern
from data.wording import Matcher, check_pattern
from deployments.api.errors import BodyTooLargeError
from deployments.knowledge_import import read_import

A = TenantId("a")


def parquet(columns: dict[str, Any], **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(columns), sink, compression="zstd", **options)
    return sink.getvalue()


def test_table_of_very_many_columns_is_refused() -> None:
    """One megabyte of header would be filled once for every row."""
    with pytest.raises(InvalidValueError, match="columns"):
        read_import(b"a," * 500_000 + b"b\n" + b"x\n" * 10_000, "csv", A)
    with pytest.raises(InvalidValueError, match="columns"):
        read_import(parquet({f"c{number}": pa.nulls(2, pa.int8()) for number in range(300)}), "parquet", A)


@pytest.mark.parametrize(
    "body",
    [
        parquet({"id": ["a"], "text": ["a" * 50_000_000]}, use_dictionary=False),
        parquet({"id": ["a"], "text": pa.array([[0] * 6_000_000], pa.list_(pa.int8()))}),
        parquet({"id": [str(n) for n in range(500)], "text": ["a" * 1_000_000] * 500}),
        parquet({"id": ["x"] * 10_001, "text": ["a b"] * 10_001}),
    ],
    ids=["one value", "one list", "one value often", "rows"],
)
def test_parquet_that_unpacks_to_very_much_is_refused(body: bytes) -> None:
    """A few kilobytes that stand for gigabytes are refused before they are unpacked."""
    assert len(body) < 200_000
    before = pa.total_allocated_bytes()
    with pytest.raises(BodyTooLargeError):
        read_import(body, "parquet", A)
    assert pa.total_allocated_bytes() - before < 64 * 2**20


def lying(body: bytes) -> bytes:
    """Return the Parquet file with sizes in its footer that are far smaller than those of its pages."""
    column = pq.ParquetFile(io.BytesIO(body)).metadata.row_group(0)
    size = int.from_bytes(body[-8:-4], "little")
    footer = body[-8 - size : -8]
    for told in {column.column(1).total_uncompressed_size, column.total_byte_size}:
        true = varint(told << 1)
        assert footer.count(true) == 1
        footer = footer.replace(true, bytes([0xA0, *[0x80] * (len(true) - 2), 0x00]))
    return body[: -8 - size] + footer + body[-8:]


def varint(number: int) -> bytes:
    """Return a number as Thrift writes it: seven bits a byte."""
    digits = b""
    while number > 127:
        digits, number = digits + bytes([number & 127 | 128]), number >> 7
    return digits + bytes([number])


def test_parquet_that_lies_about_its_size_takes_no_memory_here() -> None:
    """Ten kilobytes whose one page unpacks to 700 MB: the reader's process ends, this one does not notice."""
    honest = parquet({"id": ["a"], "text": ["a" * 700_000_000]}, use_dictionary=False, write_statistics=False)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(BodyTooLargeError):
        read_import(lying(honest), "parquet", A)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024


def test_parquet_of_every_type_is_read_as_before() -> None:
    """Values of any type come back from the other process, and a plain file is taken."""
    body = parquet(
        {"id": ["a", "b"], "text": ["Some words.", "Other words."], "published_at": ["2024-05-31", None]}
    )
    found = read_import(body, "parquet", A)
    assert (found.taken, found.rejected) == (2, 0)


def test_line_nested_very_deeply_is_a_bad_row() -> None:
    """One such line does not stop the others."""
    body = b'{"id":"a","text":"Some words."}\n{"id":' + b"[" * 1_000_000 + b"\n"
    found = read_import(body + b'{"id":"b","text":"Other words."}\n', "jsonl", A)
    assert (found.taken, found.rejected) == (2, 1)
    assert "deep" in found.errors[0]["reason"]


@pytest.mark.parametrize("body", [b"[" * 1_900_000, b'{"a":' * 300_000 + b"1" + b"}" * 300_000])
def test_feed_nested_very_deeply_is_refused(body: bytes) -> None:
    """Depth costs nothing."""
    with pytest.raises(InvalidValueError, match="deep"):
        read_import(body, "feed", A)


@pytest.mark.parametrize(
    "query",
    [
        "NEAR(" + "a b " * 100 + ", 3)",
        "NEAR(" + '"a a" ' * 120 + ", 100000)",
        '"' + "a b " * 400 + '"',
        " OR ".join(["a"] * 400),
        "(" * 500 + "a" + ")" * 500,
        "a" * 20_000,
        '"' + ".".join(["a"] * 400) + '"',
    ],
)
def test_pattern_that_would_take_long_is_refused(query: str) -> None:
    """Every claim of the tenant is held against every pattern."""
    with pytest.raises(InvalidValueError):
        check_pattern(Pattern("p", "f", "n", query, "m"))


@pytest.mark.parametrize(
    "query",
    [
        "NEAR(" + "a b " * 7 + ", 1000)",
        '"' + "a b " * 120 + 'a a"',
        " OR ".join(["a"] * 120),
        " ".join(["a*"] * 255),
    ],
)
def test_largest_patterns_are_quick(query: str) -> None:
    """What is let through takes milliseconds for a batch of the longest claims."""
    pattern = Pattern("p", "f", "n", query, "m")
    check_pattern(pattern)
    started = time.process_time()
    Matcher().match(["a b " * 500] * 64, [pattern])
    assert time.process_time() - started < 2.0


@pytest.mark.parametrize(
    "unit", ["10**10**10 m", "m**999999999", "m^^9", "m" * 65, "__import__('os')", "m if 1 else s;", "{m}"]
)
def test_unit_that_would_be_calculated_is_refused_or_kept_as_a_word(unit: str) -> None:
    """Units are compared as words; nothing a caller sends is evaluated."""
    row = json.dumps({"id": "a", "subject": "s", "predicate": "p", "object": "o", "value": 1, "unit": unit})
    started = time.process_time()
    found = read_import(f"{row}\n".encode(), "jsonl", A)
    assert time.process_time() - started < 1.0
    assert found.taken + found.rejected == 1
