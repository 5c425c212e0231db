"""What a crash run of the task queue is made of: the queue's place, its tasks, and a worker that gets killed.

Called by ``tests.crash.queue_runs``. Invariant: what a worker says it finished, it wrote down only after the
queue had told it so; a line written with one call survives the kill of who wrote it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data.claims import TenantId
from data.queue.ports import TaskQueue
from data.queue.redis_queue import RedisQueue
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import Finished, NewTask, RetryRule, Task
from data.queue.worker import QueueWorker, TaskFault, WorkerSettings
from data.stores.redis import connect

RULE = RetryRule(max_attempts=4, first_s=0.05, longest_s=0.4)
TENANTS = tuple(TenantId(name) for name in ("a", "b", "c"))
#: Rounds of hashing a task: some two milliseconds of work.
ROUNDS = 4_000
#: One task in so many is refused by its handler, one in so many fails at its first attempts.
BAD, SHAKY = 50, 20


@dataclass(frozen=True, slots=True)
class House:
    """Where the queue is (a file, or a Redis's address) and where workers write down what they finished."""

    place: str
    notes: Path

    def open(self) -> TaskQueue:
        """Open the queue as a process of its own does."""
        if "://" in self.place:
            return RedisQueue(connect(self.place), rule=RULE)
        return SqliteQueue(Path(self.place), rule=RULE)


def make_tasks(count: int) -> list[NewTask]:
    """Return the tasks of a run: the first tenant has most of them."""
    return [
        NewTask(TENANTS[max(0, n % 5 - 2)], f"{n}", "hash", f"claim {n}".encode(), n * 37 % 1001)
        for n in range(count)
    ]


def result_of(payload: bytes) -> bytes:
    """Return what the task's work gives."""
    return hashlib.pbkdf2_hmac("sha256", payload, b"queue", ROUNDS).hex().encode()


def is_bad(task_id: str) -> bool:
    """Return whether the handler refuses the task, for good."""
    return int(task_id) % BAD == 7


def answer(tasks: Sequence[Task]) -> list[bytes | TaskFault]:
    """Do the work; some tasks are bad, some work only at the second attempt."""
    return [_answer(task) for task in tasks]


def _answer(task: Task) -> bytes | TaskFault:
    if is_bad(task.id):
        return TaskFault(f"Task {task.id} is bad.", retryable=False)
    if int(task.id) % SHAKY == 3 and task.attempts == 1:
        return TaskFault("not at the first attempt")
    return result_of(task.payload)


class NotedQueue:
    """A queue that writes down every finish which the queue said counts."""

    def __init__(self, queue: TaskQueue, notes: Path) -> None:
        self._queue = queue
        self._notes = os.open(notes, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def __getattr__(self, name: str) -> object:
        return getattr(self._queue, name)

    def finish(self, finished: Sequence[Finished]) -> list[bool]:
        """Finish, then note."""
        kept = self._queue.finish(finished)
        lines = [
            json.dumps([each.lease.id, each.lease.token]) + "\n"
            for each, is_kept in zip(finished, kept, strict=True)
            if is_kept
        ]
        os.write(self._notes, "".join(lines).encode())
        return kept


def work(house: House, name: str) -> None:
    """Work until killed."""
    queue: object = NotedQueue(house.open(), house.notes / name)
    settings = WorkerSettings(
        name, ("hash",), batch=4, claim=12, lease_s=0.6, beat_s=0.15, longest_s=60.0, idle_s=0.02
    )
    QueueWorker(queue, answer, settings).run()  # type: ignore[arg-type]
