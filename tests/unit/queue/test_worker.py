"""The loop of a worker over a real queue on a file, in time that only the tests move."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from data.claims import TenantId
from data.errors import (
    CapacityError,
    ClaimRejectedError,
    InvalidValueError,
    RateLimitedError,
    StoreUnavailableError,
)
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import Failure, Finished, Lease, Leased, NewTask, RetryRule, Task, TaskState
from data.queue.worker import QueueWorker, TaskFault, WorkerSettings, fault_of
from tests.fakes import FakeClock

A = TenantId("a")
SETTINGS = WorkerSettings("w", ("verify",), batch=3, claim=6, lease_s=30.0, beat_s=10.0, longest_s=100.0)
Answers = Sequence[bytes | TaskFault]


class AwayQueue(SqliteQueue):
    """A queue whose calls fail as often as it is told."""

    def __init__(self, path: Path, clock: FakeClock) -> None:
        super().__init__(path, clock=clock, rule=RetryRule(max_attempts=3, first_s=5.0, longest_s=5.0))
        self.away: dict[str, int] = {}

    def claim(self, worker: str, kinds: Sequence[str], *, limit: int, lease_s: float) -> list[Leased]:
        self._fall("claim")
        return super().claim(worker, kinds, limit=limit, lease_s=lease_s)

    def finish(self, finished: Sequence[Finished]) -> list[bool]:
        self._fall("finish")
        return super().finish(finished)

    def heartbeat(self, leases: Sequence[Lease], *, lease_s: float) -> list[bool]:
        self._fall("heartbeat")
        return super().heartbeat(leases, lease_s=lease_s)

    def _fall(self, name: str) -> None:
        if self.away.get(name, 0) > 0:
            self.away[name] -= 1
            raise StoreUnavailableError("away")


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def queue(tmp_path: Path, clock: FakeClock) -> Iterator[AwayQueue]:
    made = AwayQueue(tmp_path / "q", clock)
    yield made
    made.close()


def put(queue: SqliteQueue, count: int) -> None:
    queue.put([NewTask(A, f"{n}", "verify", f"{n}".encode()) for n in range(count)])


def echo(tasks: list[Task]) -> Answers:
    return [b"done " + task.payload for task in tasks]


def never(event: threading.Event, seconds: float) -> bool:
    """Wait until the event, however long: nobody beats."""
    del seconds
    return event.wait()


def worker_of(
    queue: SqliteQueue,
    clock: FakeClock,
    handler: Callable[[list[Task]], Answers] = echo,
    pause: Callable[[threading.Event, float], bool] = never,
) -> QueueWorker:
    return QueueWorker(queue, handler, SETTINGS, clock=clock, pause=pause)


def states(queue: SqliteQueue) -> list[str]:
    return [task.state.value for task in reversed(queue.page(A).tasks)]


def test_worker_finishes_what_it_claims_in_batches(queue: AwayQueue, clock: FakeClock) -> None:
    """It takes what there is up to its claim, hands on batches, and keeps the results."""
    sizes: list[int] = []

    def handler(tasks: list[Task]) -> Answers:
        sizes.append(len(tasks))
        return echo(tasks)

    put(queue, 8)
    worker = worker_of(queue, clock, handler)

    assert [worker.step(), worker.step(), worker.step()] == [6, 2, 0]
    assert sizes == [3, 3, 2]
    assert worker.tally.done == 8
    found = queue.get(A, "5")
    assert found is not None
    assert found.result == b"done 5"


def test_worker_bad_task_is_a_value_and_harms_no_other(queue: AwayQueue, clock: FakeClock) -> None:
    """One fault to retry, one for good, one result."""
    put(queue, 3)
    answers: Answers = [TaskFault("later"), TaskFault("never", retryable=False), b"r"]
    worker = worker_of(queue, clock, lambda _: answers)
    worker.step()

    assert states(queue) == ["waiting", "dead", "done"]
    assert (worker.tally.done, worker.tally.retried, worker.tally.dead) == (1, 1, 1)
    found = queue.get(A, "1")
    assert found is not None
    assert found.error == "never"


def test_worker_exception_is_blamed_on_the_task_that_raises(queue: AwayQueue, clock: FakeClock) -> None:
    """When a batch raises, its tasks are done one by one: only the culprit fails."""

    def handler(tasks: list[Task]) -> Answers:
        if any(task.id == "1" for task in tasks):
            raise ZeroDivisionError("no such claim")
        return echo(tasks)

    put(queue, 3)
    worker_of(queue, clock, handler).step()

    assert states(queue) == ["done", "waiting", "done"]
    found = queue.get(A, "1")
    assert found is not None
    assert found.error == "ZeroDivisionError: no such claim"


def test_worker_unavailable_service_is_asked_once_a_batch(queue: AwayQueue, clock: FakeClock) -> None:
    """A part that is away is nobody's fault: all wait, and it is not asked for each."""
    calls: list[int] = []

    def handler(tasks: list[Task]) -> Answers:
        calls.append(len(tasks))
        raise CapacityError("saturated", 1.0)

    put(queue, 3)
    worker_of(queue, clock, handler).step()

    assert states(queue) == ["waiting"] * 3
    assert calls == [3]


def test_worker_handler_with_too_few_answers_finishes_nothing(queue: AwayQueue, clock: FakeClock) -> None:
    """Answers that cannot be told apart are none."""
    put(queue, 2)
    worker_of(queue, clock, lambda _: []).step()

    assert states(queue) == ["waiting"] * 2
    found = queue.get(A, "0")
    assert found is not None
    assert "answered 0 of 1" in found.error


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ClaimRejectedError("empty"), False),
        (RateLimitedError("slow down", 1.0), True),
        (CapacityError("full", 1.0), True),
        (KeyError("x"), True),
    ],
)
def test_fault_of_an_exception_is_retried_where_that_may_help(error: Exception, retryable: bool) -> None:
    """What its sender must mend is dead at once."""
    assert fault_of(error).retryable is retryable


class Beats:
    """A pause for one beat at a time: the beating thread waits until the handler lets it go on."""

    def __init__(self) -> None:
        self.due = threading.Semaphore(0)
        self.passed = threading.Semaphore(0)
        self.first = True

    def __call__(self, ended: threading.Event, seconds: float) -> bool:
        assert seconds == SETTINGS.beat_s
        if not self.first:
            self.passed.release()
        self.first = False
        while not self.due.acquire(timeout=0.01):
            if ended.is_set():
                return True
        return False

    def beat(self) -> None:
        """Let one beat happen, and wait until it has."""
        self.due.release()
        assert self.passed.acquire(timeout=10)


def test_worker_keeps_its_tasks_while_the_handler_works(queue: AwayQueue, clock: FakeClock) -> None:
    """Beats from a thread outlast the lease by far; nobody else gets the tasks, begun or not."""
    beats = Beats()
    others: list[Leased] = []

    def handler(tasks: list[Task]) -> Answers:
        for _ in range(9):
            clock.advance(SETTINGS.beat_s)
            beats.beat()
            others.extend(queue.claim("other", ["verify"], limit=9, lease_s=30.0))
        return echo(tasks)

    put(queue, 3)
    worker = worker_of(queue, clock, handler, beats)
    worker.step()

    assert others == []
    assert worker.tally.done == 3


def test_worker_that_hangs_loses_its_tasks(queue: AwayQueue, clock: FakeClock) -> None:
    """After the longest time for a batch it no longer says that it is at it; its late results are refused."""
    beats = Beats()
    others: list[Leased] = []

    def handler(tasks: list[Task]) -> Answers:
        for _ in range(15):
            clock.advance(SETTINGS.beat_s)
            beats.beat()
        others.extend(queue.claim("other", ["verify"], limit=9, lease_s=30.0))
        return echo(tasks)

    put(queue, 2)
    worker = worker_of(queue, clock, handler, beats)
    worker.step()

    assert len(others) == 2
    assert (worker.tally.done, worker.tally.lost) == (0, 2)


def test_worker_does_not_begin_what_was_cancelled_meanwhile(queue: AwayQueue, clock: FakeClock) -> None:
    """A task whose lease is known to be lost is left out of the next batch."""
    beats = Beats()
    seen: list[str] = []

    def handler(tasks: list[Task]) -> Answers:
        if not seen:
            queue.cancel(A, ["4"])
            beats.beat()
        seen.extend(task.id for task in tasks)
        return echo(tasks)

    put(queue, 6)
    worker = worker_of(queue, clock, handler, beats)
    worker.step()

    assert seen == ["0", "1", "2", "3", "5"]
    assert (worker.tally.done, worker.tally.lost) == (5, 1)


def test_worker_missed_beat_is_made_up_by_the_next(queue: AwayQueue, clock: FakeClock) -> None:
    """A queue that is away for a beat costs nothing."""
    beats = Beats()
    queue.away["heartbeat"] = 1

    def handler(tasks: list[Task]) -> Answers:
        for _ in range(4):
            clock.advance(SETTINGS.beat_s)
            beats.beat()
        assert queue.claim("other", ["verify"], limit=9, lease_s=30.0) == []
        return echo(tasks)

    put(queue, 1)
    worker = worker_of(queue, clock, handler, beats)
    worker.step()

    assert worker.tally.done == 1


def test_worker_asked_to_stop_gives_back_what_it_has_not_begun(queue: AwayQueue, clock: FakeClock) -> None:
    """The batch at hand is finished; the rest is ready for others at once, unharmed."""
    put(queue, 6)
    stopping: list[QueueWorker] = []

    def handler(tasks: list[Task]) -> Answers:
        stopping[0].stop()
        return echo(tasks)

    stopping.append(worker_of(queue, clock, handler))
    tally = stopping[0].run()

    assert (tally.done, tally.given_back, tally.lost) == (3, 3, 0)
    again = queue.claim("other", ["verify"], limit=9, lease_s=30.0)
    assert [each.task.attempts for each in again] == [1, 1, 1]


def test_worker_interrupted_gives_back_what_it_has_not_begun(queue: AwayQueue, clock: FakeClock) -> None:
    """An interrupt ends the worker, and its beats; what it had begun comes back when the lease ends."""

    def handler(tasks: list[Task]) -> Answers:
        raise KeyboardInterrupt

    put(queue, 6)
    worker = worker_of(queue, clock, handler)
    with pytest.raises(KeyboardInterrupt):
        worker.step()

    assert states(queue) == ["leased"] * 3 + ["waiting"] * 3
    assert [thread.name for thread in threading.enumerate() if thread.name == "queue-beat"] == []


def test_worker_runs_until_stopped_and_rests_when_idle(queue: AwayQueue, clock: FakeClock) -> None:
    """With nothing to do it pauses and looks again, also while the queue is away."""
    queue.away["claim"] = 2
    rests: list[float] = []

    def pause(event: threading.Event, seconds: float) -> bool:
        if threading.current_thread() is not threading.main_thread():
            return event.wait()
        rests.append(seconds)
        if len(rests) == 3:
            put(queue, 2)
        if len(rests) == 4:
            worker.stop()
        return event.is_set()

    worker = worker_of(queue, clock, pause=pause)
    tally = worker.run()

    assert rests == [SETTINGS.idle_s] * 4
    assert (tally.done, tally.outages) == (2, 2)


def test_worker_finishes_after_an_outage(queue: AwayQueue, clock: FakeClock) -> None:
    """A result is kept until the queue is there again."""
    queue.away["finish"] = 3

    def pause(event: threading.Event, seconds: float) -> bool:
        if threading.current_thread() is threading.main_thread():
            clock.advance(seconds)
            return False
        return event.wait()

    put(queue, 1)
    worker = worker_of(queue, clock, pause=pause)
    worker.step()

    assert states(queue) == ["done"]
    assert (worker.tally.done, worker.tally.outages) == (1, 3)


def test_worker_gives_up_a_result_when_its_lease_is_long_over(queue: AwayQueue, clock: FakeClock) -> None:
    """An outage longer than the lease ends in another attempt, not in a worker that hangs."""
    queue.away["finish"] = 10**9

    def pause(event: threading.Event, seconds: float) -> bool:
        if threading.current_thread() is threading.main_thread():
            clock.advance(seconds)
            return False
        return event.wait()

    put(queue, 1)
    worker = worker_of(queue, clock, pause=pause)
    worker.step()
    clock.advance(SETTINGS.lease_s)

    assert worker.tally.lost == 1
    assert len(queue.claim("other", ["verify"], limit=9, lease_s=30.0)) == 1


def test_worker_settings_without_sense_are_refused() -> None:
    """A lease outlasts two beats; sizes and times are above 0."""
    with pytest.raises(InvalidValueError, match="two beats"):
        WorkerSettings("w", ("verify",), lease_s=10.0, beat_s=9.0)
    with pytest.raises(InvalidValueError, match="above 0"):
        WorkerSettings("w", ("verify",), batch=0)


def test_worker_repeated_failure_ends_dead_with_its_last_reason(queue: AwayQueue, clock: FakeClock) -> None:
    """Through the whole loop: three attempts with pauses between them, then a dead letter."""
    put(queue, 1)
    worker = worker_of(queue, clock, lambda _: [TaskFault("still no source")])
    for _ in range(3):
        assert worker.step() == 1
        clock.advance(5.0)

    assert worker.step() == 0
    found = queue.get(A, "0")
    assert found is not None
    assert (found.state, found.attempts, found.error) == (TaskState.DEAD, 3, "still no source")
    assert queue.fail([Failure(Lease(A, "0", 1), "old")]) == [None]
