"""Tasks as values and the retry rule."""

from __future__ import annotations

import random

import pytest

from data.claims import TenantId
from data.errors import InvalidValueError
from data.queue.tasks import (
    CHUNK_BYTES,
    MAX_ERROR_CHARS,
    MAX_PAYLOAD_BYTES,
    NewTask,
    RetryRule,
    TaskState,
    chunks_of,
    kept_error,
    places_of,
    priority_of,
    state_of,
)

A = TenantId("a")


@pytest.mark.parametrize("task_id", ["", "x" * 201, "a b", "é", "a\n", "\0"])
def test_task_with_a_bad_id_is_refused(task_id: str) -> None:
    """Ids are short and printable."""
    with pytest.raises(InvalidValueError, match="task id"):
        NewTask(A, task_id, "verify", b"")


@pytest.mark.parametrize("kind", ["", "Verify", "a:b", "9a", "x" * 41, "a\n"])
def test_task_with_a_bad_kind_is_refused(kind: str) -> None:
    """Kinds are names; a colon would end one within a key."""
    with pytest.raises(InvalidValueError, match="kind"):
        NewTask(A, "x", kind, b"")


def test_task_with_too_large_a_payload_is_refused() -> None:
    """A queue is no file store."""
    with pytest.raises(InvalidValueError, match="payload"):
        NewTask(A, "x", "verify", b"x" * (MAX_PAYLOAD_BYTES + 1))


@pytest.mark.parametrize(
    ("priority", "not_before_s"), [(-1, 0.0), (1001, 0.0), (0, -1.0), (0, float("nan")), (0, float("inf"))]
)
def test_task_with_a_number_out_of_range_is_refused(priority: int, not_before_s: float) -> None:
    """Priorities and moments have their ranges."""
    with pytest.raises(InvalidValueError, match="priority"):
        NewTask(A, "x", "verify", b"", priority, not_before_s)


@pytest.mark.parametrize(("utility", "priority"), [(0.0, 0), (1.0, 1000), (0.5, 500), (0.1234, 123)])
def test_priority_rises_with_utility(utility: float, priority: int) -> None:
    """Utility in thousandths."""
    assert priority_of(utility) == priority


@pytest.mark.parametrize("utility", [-0.01, 1.01, float("nan")])
def test_priority_of_no_utility_is_refused(utility: float) -> None:
    """What is no utility is not taken for one."""
    with pytest.raises(InvalidValueError):
        priority_of(utility)


def test_retry_ceiling_doubles_to_its_bound() -> None:
    """1, 2, 4, 8 seconds and so on, never over the longest, however many attempts."""
    rule = RetryRule(max_attempts=9, first_s=1.0, longest_s=60.0)

    assert [rule.ceiling_s(n) for n in (1, 2, 3, 4, 6, 7, 100, 10**9)] == [1, 2, 4, 8, 32, 60, 60, 60]


def test_retry_delay_is_spread_over_the_whole_ceiling() -> None:
    """Full jitter: from nothing to the ceiling, evenly, and the same for the same dice."""
    rule, dice = RetryRule(first_s=8.0, longest_s=8.0), random.Random(1)
    delays = [rule.delay_s(3, dice.random()) for _ in range(4_000)]

    assert min(delays) < 0.1
    assert 7.9 < max(delays) < 8.0
    assert sum(delays) / len(delays) == pytest.approx(4.0, abs=0.15)
    assert rule.delay_s(3, 0.25) == 2.0


def test_retry_rule_is_spent_after_its_last_attempt() -> None:
    """Three attempts are three."""
    assert [RetryRule(max_attempts=3).is_spent(n) for n in (1, 2, 3, 4)] == [False, False, True, True]


@pytest.mark.parametrize(("most", "first_s", "longest_s"), [(0, 1.0, 2.0), (1, 3.0, 2.0), (1, -1.0, 2.0)])
def test_retry_rule_without_sense_is_refused(most: int, first_s: float, longest_s: float) -> None:
    """A rule has attempts, and waits in order."""
    with pytest.raises(InvalidValueError):
        RetryRule(most, first_s, longest_s)


def test_chunks_hold_a_thousand_tasks_or_eight_mebibytes() -> None:
    """Order is kept; a chunk is bounded both ways."""
    small = [NewTask(A, f"{n}", "verify", b"") for n in range(2_500)]
    large = [NewTask(A, f"{n}", "verify", b"x" * (1 << 20)) for n in range(20)]

    assert [len(chunk) for chunk in chunks_of(small)] == [1_000, 1_000, 500]
    assert [task for chunk in chunks_of(small) for task in chunk] == small
    assert next(sum(len(task.payload) for task in chunk) for chunk in chunks_of(large)) == CHUNK_BYTES
    assert list(chunks_of([])) == []


def test_states_and_places_agree() -> None:
    """Every place of a state is of that state, and every place is of one."""
    assert {state_of(place) for place in places_of(None)} == set(TaskState)
    for state in TaskState:
        assert {state_of(place) for place in places_of(state)} == {state}


def test_kept_error_is_bounded_and_storable() -> None:
    """Whatever a handler says can be stored."""
    assert kept_error("a\ud800b") == "a?b"
    assert len(kept_error("x" * 10_000)) == MAX_ERROR_CHARS
