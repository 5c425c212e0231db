"""Line files as records: where they begin, what they hold, and what is wrong with them."""

from __future__ import annotations

import io

import pytest

from data.batch import records as module
from data.batch.records import records


def lines(body: bytes, *, quoted: bool = False) -> list[tuple[int, int, bytes]]:
    return [(one.offset, one.line, one.body) for one in records(io.BytesIO(body), quoted=quoted)]


def test_records_of_lines_know_offset_and_line() -> None:
    """Each record says at which byte and on which line it begins; the last line end may be missing."""
    assert lines(b"one\ntwo\r\n\nfour") == [
        (0, 1, b"one\n"),
        (4, 2, b"two\r\n"),
        (9, 3, b"\n"),
        (10, 4, b"four"),
    ]


def test_records_with_a_byte_order_mark_lose_it_only_at_the_beginning() -> None:
    """The mark is no part of the first row, and anywhere else it is text."""
    mark = b"\xef\xbb\xbf"

    assert [one[2] for one in lines(mark + b"a\n" + mark + b"b\n")] == [b"a\n", mark + b"b\n"]


def test_records_with_quoted_line_breaks_are_one_row() -> None:
    """A cell may hold line breaks; the row after it has the right line."""
    body = b'a,"x\ny ""z""\n"\nb,2\n'

    assert lines(body, quoted=True) == [(0, 1, b'a,"x\ny ""z""\n"\n'), (15, 4, b"b,2\n")]


def test_record_with_a_quote_that_never_closes_is_bad_alone() -> None:
    """The rows after an open quote are read as if it were not there."""
    found = list(records(io.BytesIO(b'a,1\nb,"2\nc,3\nd,4\n'), quoted=True))

    assert [(one.line, bool(one.fault)) for one in found] == [(1, False), (2, True), (3, False), (4, False)]


def test_record_that_is_too_long_is_passed_over_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line beyond the bound is bad, takes little memory, and the next one begins where it ends."""
    monkeypatch.setattr(module, "MAX_BYTES", 100)
    found = list(records(io.BytesIO(b"x" * 1_000 + b"\nnext\n"), quoted=False))

    assert found[0].fault == "The line has 1001 bytes and at most 100 are read."
    assert len(found[0].body) <= 200
    assert (found[1].line, found[1].offset, found[1].body) == (2, 1_001, b"next\n")
