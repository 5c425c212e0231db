"""Claims from pipes: what is there is verified together, answered in order, one answer a line."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from data.errors import InvalidValueError, UnavailableError
from tasks.commands import claim_lines
from tasks.commands.claim_lines import AT_ONCE, answers, batches, request_of


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for one in (reading, writing):
        try:
            os.close(one)
        except OSError:
            continue


def ask(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"claim": item["claim"], "verdict": {"label": "SUPPORTED"}, "asked": item} for item in items]


def test_lone_line_is_not_held_back(pipe: tuple[int, int]) -> None:
    """It is answered although the pipe is still open; the next one too."""
    reading, writing = pipe
    got = batches(reading)
    os.write(writing, b"Water boils.\n")
    assert next(got) == [b"Water boils."]
    os.write(writing, b"Ice melts.\nSnow falls.\nhalf a")
    assert next(got) == [b"Ice melts.", b"Snow falls."]
    os.write(writing, b" line\n")
    assert next(got) == [b"half a line"]
    os.close(writing)
    assert list(got) == []


def test_last_line_needs_no_end_and_blank_ones_are_no_claims(pipe: tuple[int, int]) -> None:
    """As editors leave files, with Windows' line ends too."""
    reading, writing = pipe
    os.write(writing, b"\r\na\r\n\n   \nb")
    os.close(writing)
    assert [line for group in batches(reading) for line in group] == [b"a", b"b"]


def test_full_pipe_is_cut_into_bounded_batches(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many lines are there."""
    monkeypatch.setattr(claim_lines, "BATCH_LINES", 3)
    reading, writing = pipe
    os.write(writing, b"".join(b"%d\n" % number for number in range(8)))
    os.close(writing)
    assert [len(group) for group in batches(reading)] == [3, 3, 2]


def test_endless_line_is_refused(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory is not filled with what is no list of claims."""
    monkeypatch.setattr(claim_lines, "MAX_LINE_BYTES", 100)
    reading, writing = pipe
    os.write(writing, b"x" * 200)
    with pytest.raises(InvalidValueError, match="more than 100 bytes"):
        next(batches(reading))


def test_answers_come_in_order_with_the_unreadable_among_them() -> None:
    """A line that cannot be read does not shift its neighbours."""
    lines = [b"a", b"\xff\xfe", b'{"claim": "b", "alpha": 0.2}', b'{"claim": ', b"c"]
    got = list(answers(iter([lines]), ask, {"alpha": 0.1}))
    assert [one["claim"] for one in got] == ["a", "\ufffd\ufffd", "b", '{"claim": ', "c"]
    assert [one["verdict"] is None for one in got] == [False, True, False, True, False]
    assert "not UTF-8" in got[1]["metadata"]["error"]
    assert [one["asked"]["alpha"] for one in got if one["verdict"]] == [0.1, 0.2, 0.1]


def test_batches_are_on_their_way_together_and_answered_in_order() -> None:
    """So many and no more; the last to be sent is the first to be answered, and printed last."""
    groups = [[b"%d" % number] for number in range(3 * AT_ONCE)]
    together = threading.Barrier(AT_ONCE)
    left = threading.Semaphore(0)
    here: list[str] = []
    most: list[int] = []

    def ask_together(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        here.append(items[0]["claim"])
        most.append(len(here))
        together.wait(10.0)
        if int(items[0]["claim"]) % AT_ONCE < AT_ONCE - 1:
            left.acquire(timeout=10.0)
        else:
            left.release(AT_ONCE - 1)
        here.remove(items[0]["claim"])
        return ask(items)

    told = [one["claim"] for one in answers(iter(groups), ask_together, {})]
    assert told == [str(number) for number in range(3 * AT_ONCE)]
    assert max(most) == AT_ONCE


def test_no_more_is_read_than_may_wait() -> None:
    """Who does not take the answers holds the pipe up, instead of filling the memory."""
    taken = threading.Semaphore(0)

    def endless() -> Iterator[list[bytes]]:
        while True:
            taken.release()
            yield [b"Water boils."]

    got = answers(endless(), ask, {})
    next(got)
    # The first is still being printed; beside it so many are on their way, and one waits to be.
    assert all(taken.acquire(timeout=10.0) for _ in range(AT_ONCE + 1))
    assert not taken.acquire(timeout=0.1)
    next(got)
    assert taken.acquire(timeout=10.0)


def test_fault_of_the_pipe_is_told_after_the_answers_before_it() -> None:
    """What came before it is answered."""

    def ends_badly() -> Iterator[list[bytes]]:
        yield [b"a"]
        raise InvalidValueError("Too long.")

    got = answers(ends_badly(), ask, {})
    assert next(got)["claim"] == "a"
    with pytest.raises(InvalidValueError, match="Too long"):
        next(got)


def test_failure_tells_how_far_it_was() -> None:
    """So that the rest can be sent later."""

    def fail_at_second(items: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        if items[0]["claim"] == "c":
            raise UnavailableError("Away.")
        return ask(items)

    got = answers(iter([[b"a", b"b"], [b"c"]]), fail_at_second, {})
    assert [next(got)["claim"], next(got)["claim"]] == ["a", "b"]
    with pytest.raises(UnavailableError) as caught:
        next(got)
    assert caught.value.__notes__ == ["2 claims before were answered; go on after them."]


def test_byte_order_mark_is_no_part_of_a_claim() -> None:
    """Windows' editors put one at the beginning."""
    assert request_of("\ufeffWater boils.".encode(), {}) == {"claim": "Water boils."}
