"""How long ended tasks are kept, over a real queue on a file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from data.claims import TenantId
from data.queue.retention import Retention
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import Failure, Finished, NewTask, TaskState
from tests.fakes import FakeClock

A = TenantId("a")
KEPT = Retention(done_s=100.0, dead_s=1_000.0, most_done=4)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[SqliteQueue]:
    made = SqliteQueue(tmp_path / "tasks.sqlite", clock=clock)
    yield made
    made.close()


def do(queue: SqliteQueue, name: str, *, fails: bool = False) -> None:
    queue.put([NewTask(A, name, "verify", b"x")])
    (leased,) = queue.claim("w", ["verify"], limit=1, lease_s=60.0)
    if fails:
        queue.fail([Failure(leased.lease, "No good.", retryable=False)])
    else:
        queue.finish([Finished(leased.lease, b"yes")])


def test_answers_go_first_dead_ones_later_and_waiting_ones_never(
    queue: SqliteQueue, clock: FakeClock
) -> None:
    """Each by its own time."""
    do(queue, "done")
    do(queue, "dead", fails=True)
    queue.put([NewTask(A, "waits", "verify", b"x")])
    told = []
    for seconds in (50.0, 100.0, 1_000.0):
        clock.advance(seconds)
        told.append(KEPT.apply(queue, clock.now_s()))

    assert told == [0, 1, 1]
    assert queue.states(A)[TaskState.WAITING] == 1


def test_too_many_answers_lose_the_oldest_before_their_time(queue: SqliteQueue, clock: FakeClock) -> None:
    """Ten in fifty seconds, four may be kept: the newest are among those that stay."""
    for number in range(10):
        do(queue, f"{number}")
        clock.advance(5.0)
    KEPT.apply(queue, clock.now_s())
    left = [task.id for task in queue.page(A).tasks]

    assert left
    assert len(left) <= 4
    assert left == [f"{number}" for number in range(9, 9 - len(left), -1)]
