"""The loop of one worker: claim, work in batches, say that it is still at it, finish.

Called by whoever runs workers: a Serve replica, a process of its own, a test. Invariant: a task is finished
or failed only under the lease it was worked on under; a bad task is a value and harms no other of its batch.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeVar

from data.clock import SystemClock
from data.errors import (
    ConfigError,
    CorruptDataError,
    InvalidValueError,
    KiteError,
    RateLimitedError,
    RequestError,
    StoreUnavailableError,
    UnavailableError,
)
from data.ports import Clock
from data.queue.ports import TaskQueue
from data.queue.tasks import Failure, Finished, Lease, Leased, Task, TaskState

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class TaskFault:
    """What a handler answers for a task it cannot do: why, and whether a later attempt may help."""

    error: str
    retryable: bool = True


#: Gets at most a batch of tasks; answers each, in order, with its result or a fault.
Handler = Callable[[list[Task]], Sequence[bytes | TaskFault]]


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker works.

    It leases what there is, at most ``claim`` tasks, without waiting for more, and hands ``batch`` of them at
    a time to its handler. Every ``beat_s`` it prolongs its leases to ``lease_s``, but for no batch longer
    than ``longest_s``: then the handler is taken to hang. With nothing to do it looks every ``idle_s``.

    Raises:
        InvalidValueError: a number is not above 0, or a lease would end before it is prolonged.
    """

    name: str
    kinds: tuple[str, ...]
    batch: int = 64
    claim: int = 128
    lease_s: float = 30.0
    beat_s: float = 8.0
    longest_s: float = 600.0
    idle_s: float = 0.25

    def __post_init__(self) -> None:
        if min(self.batch, self.claim) < 1 or min(self.beat_s, self.longest_s, self.idle_s) <= 0.0:
            raise InvalidValueError("A worker's batch, claim, beat_s, longest_s and idle_s are above 0.")
        if self.lease_s < 2 * self.beat_s:
            raise InvalidValueError("A lease lasts at least two beats: raise lease_s or lower beat_s.")


@dataclass(slots=True)
class WorkerTally:
    """What a worker did. ``lost`` tasks were taken from it, by expiry or by being cancelled, and not counted.

    ``outages`` counts the calls that found no queue.
    """

    done: int = 0
    retried: int = 0
    dead: int = 0
    lost: int = 0
    given_back: int = 0
    outages: int = 0


class QueueWorker:
    """One worker of a queue: :meth:`run` in a thread or process of its own, :meth:`stop` from anywhere.

    ``pause`` waits for an event so many seconds, and says whether it happened.
    """

    def __init__(
        self,
        queue: TaskQueue,
        handler: Handler,
        settings: WorkerSettings,
        *,
        clock: Clock | None = None,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.tally = WorkerTally()
        self._queue = queue
        self._handler = handler
        self._settings = settings
        self._clock = clock or SystemClock()
        self._pause = pause
        self._stopped = threading.Event()
        self._lock = threading.Lock()
        self._held: dict[Lease, None] = {}
        self._begun_s = 0.0

    def run(self) -> WorkerTally:
        """Work until stopped; return what was done.

        Raises:
            CorruptDataError: the queue is damaged.
        """
        while not self._stopped.is_set():
            if not self.step():
                self._pause(self._stopped, self._settings.idle_s)
        return self.tally

    def stop(self) -> None:
        """Finish the batch at hand, give back the rest, and let :meth:`run` return."""
        self._stopped.set()

    def step(self) -> int:
        """Claim once and work on it; return how many tasks were claimed."""
        settings = self._settings
        try:
            leased = self._queue.claim(
                settings.name, settings.kinds, limit=settings.claim, lease_s=settings.lease_s
            )
        except StoreUnavailableError:
            self.tally.outages += 1
            return 0
        waiting = deque(leased)
        with self._beating(leased):
            try:
                while waiting and not self._stopped.is_set():
                    self._work([waiting.popleft() for _ in range(min(settings.batch, len(waiting)))])
            finally:
                self._give_back(waiting)
        return len(leased)

    def beat(self) -> None:
        """Prolong the leases at hand and forget those that were lost. Called by the worker's own thread."""
        with self._lock:
            leases, begun_s = list(self._held), self._begun_s
        if not leases or self._clock.now_s() - begun_s > self._settings.longest_s:
            return
        try:
            held = self._queue.heartbeat(leases, lease_s=self._settings.lease_s)
        except StoreUnavailableError:
            return  # the next beat may get through before the leases end
        with self._lock:
            for lease, is_held in zip(leases, held, strict=True):
                if not is_held:
                    self._held.pop(lease, None)

    @contextmanager
    def _beating(self, leased: Sequence[Leased]) -> Iterator[None]:
        if not leased:
            yield
            return
        with self._lock:
            self._held = {each.lease: None for each in leased}
            self._begun_s = self._clock.now_s()
        ended = threading.Event()
        thread = threading.Thread(target=self._beat_until, args=(ended,), name="queue-beat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def _beat_until(self, ended: threading.Event) -> None:
        while not self._pause(ended, self._settings.beat_s):
            self.beat()

    def _work(self, batch: Sequence[Leased]) -> None:
        with self._lock:
            still = [each for each in batch if each.lease in self._held]
            self._begun_s = self._clock.now_s()
        self.tally.lost += len(batch) - len(still)
        if not still:
            return
        answers = answers_of(self._handler, [each.task for each in still])
        finished, failures = [], []
        for each, answer in zip(still, answers, strict=True):
            if isinstance(answer, TaskFault):
                failures.append(Failure(each.lease, answer.error, answer.retryable))
            else:
                finished.append(Finished(each.lease, answer))
        self._settle(finished, failures)
        with self._lock:
            for each in still:
                self._held.pop(each.lease, None)

    def _settle(self, finished: Sequence[Finished], failures: Sequence[Failure]) -> None:
        kept = self._insist(lambda: self._queue.finish(finished)) or [False] * len(finished)
        states = self._insist(lambda: self._queue.fail(failures)) or [None] * len(failures)
        self.tally.done += sum(kept)
        self.tally.retried += states.count(TaskState.WAITING)
        self.tally.dead += states.count(TaskState.DEAD)
        self.tally.lost += kept.count(False) + states.count(None)

    def _insist(self, call: Callable[[], list[Result]]) -> list[Result] | None:
        """Repeat a call through an outage, while the leases may still be ours."""
        until_s = self._clock.now_s() + self._settings.lease_s
        never = threading.Event()
        while True:
            try:
                return call()
            except StoreUnavailableError:
                self.tally.outages += 1
                if self._clock.now_s() >= until_s:
                    return None
                self._pause(never, self._settings.idle_s)

    def _give_back(self, waiting: Sequence[Leased]) -> None:
        if not waiting:
            return
        # Where the queue is away they come back when their leases end.
        with suppress(StoreUnavailableError):
            given = self._queue.release([each.lease for each in waiting])
            self.tally.given_back += sum(given)
            self.tally.lost += given.count(False)


def answers_of(
    handler: Callable[[list[Item]], Sequence[bytes | TaskFault]], items: list[Item]
) -> Sequence[bytes | TaskFault]:
    """Return the handler's answer to each item, in order; where it breaks they are asked one by one.

    A handler that answers more or fewer than it was asked breaks too.
    """
    try:
        answers = handler(items)
        if len(answers) != len(items):
            raise ValueError(f"the handler answered {len(answers)} of {len(items)}")
    except UnavailableError as exc:
        return [fault_of(exc)] * len(items)  # none of them is at fault
    except Exception as exc:
        if len(items) == 1:
            return [fault_of(exc)]
        # One by one, to find whose fault it is.
        return [answer for item in items for answer in answers_of(handler, [item])]
    return answers


def fault_of(exc: Exception) -> TaskFault:
    """Return what an exception makes of a task: tried again unless its sender or an operator must mend it."""
    if not isinstance(exc, KiteError):
        return TaskFault(f"{type(exc).__name__}: {exc}")
    lasting = isinstance(exc, RequestError | CorruptDataError | ConfigError)
    return TaskFault(str(exc), retryable=isinstance(exc, RateLimitedError) or not lasting)
