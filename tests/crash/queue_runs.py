"""Crash runs of the task queue: workers killed with ``kill -9`` again and again while they empty it.

``python -m tests.crash.queue_runs --tasks 10000`` prints one JSON document and exits with 1 when a task was
lost, done under two leases, done with a wrong result, or dead without its reason. On Redis the server too is
killed and started again. A few tasks belong to the tests.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from data.errors import StoreUnavailableError
from data.queue.ports import TaskQueue
from data.queue.tasks import Task, TaskState
from tests.crash.house_of_tasks import TENANTS, House, is_bad, make_tasks, result_of, work
from tests.redis_server import LastingRedis, lasting_redis

WORKERS = 3
#: Between two kills, seconds, and the longest run.
KILL_S, LONGEST_S = (0.05, 0.35), 600.0


@dataclass(slots=True)
class Report:
    """What a run saw."""

    tasks: int = 0
    kills: int = 0
    server_kills: int = 0
    done: int = 0
    dead_bad: int = 0
    dead_worn: int = 0
    attempts: int = 0
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run on both queues and print; 1 when a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.queue_runs")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20_260_101)
    options = parser.parse_args(arguments)
    told = {}
    for kind in ("sqlite", "redis"):
        if kind == "redis" and not shutil.which("redis-server"):
            continue
        with tempfile.TemporaryDirectory(prefix="queue-crash-") as folder:
            report = run(Path(folder), kind, options.tasks, seed=options.seed)
        told[kind] = {name: getattr(report, name) for name in Report.__slots__}
    print(json.dumps(told, indent=1))
    return 1 if any(each["faults"] for each in told.values()) else 0


def run(folder: Path, kind: str, tasks: int, *, seed: int) -> Report:
    """Put so many tasks, let workers that die do them, and return what became of all."""
    notes = folder / "notes"
    notes.mkdir()
    with lasting_redis(folder) if kind == "redis" else _no_server() as server:
        house = House(server.address if server else str(folder / "queue.sqlite"), notes)
        queue = house.open()
        report, started = Report(tasks=tasks), time.monotonic()
        if asked(lambda: queue.put(make_tasks(tasks))) != [True] * tasks:
            report.faults.append("a task was refused")
        crew = Crew(house, random.Random(seed), report, server)
        crew.play(queue, tasks)
        report.seconds = round(time.monotonic() - started, 1)
        _check(queue, notes, report)
        queue.close()
    return report


Answer = TypeVar("Answer")


@contextmanager
def _no_server() -> Iterator[LastingRedis | None]:
    yield None


@dataclass(slots=True)
class Crew:
    """Workers that are killed and replaced until the queue is empty."""

    house: House
    chance: random.Random
    report: Report
    server: LastingRedis | None
    workers: list[Any] = field(default_factory=list)
    hired: int = 0

    def play(self, queue: TaskQueue, tasks: int) -> None:
        """Kill a worker again and again until nothing is open; Redis at a third and at two thirds."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["tests.crash.house_of_tasks", "redis", "redis.cluster"])
        deadline = time.monotonic() + LONGEST_S
        thirds = [tasks * 2 // 3, tasks // 3] if self.server else []
        try:
            while (left := asked(lambda: _open(queue))) and time.monotonic() < deadline:
                while len(self.workers) < WORKERS:
                    self._hire(context)
                time.sleep(self.chance.uniform(*KILL_S))
                self._kill_worker()
                if self.server and thirds and left <= thirds[0]:
                    thirds.pop(0)
                    self._restart_server()
            if left:
                self.report.faults.append(f"{left} tasks were still open after {LONGEST_S} s")
        finally:
            for worker in self.workers:
                worker.kill()
                worker.join()

    def _hire(self, context: Any) -> None:
        self.hired += 1
        worker = context.Process(target=work, args=(self.house, f"w{self.hired}"), daemon=True)
        worker.start()
        self.workers.append(worker)

    def _kill_worker(self) -> None:
        worker = self.workers.pop(self.chance.randrange(len(self.workers)))
        if worker.exitcode is not None:
            self.report.faults.append(f"{worker.name} ended by itself with {worker.exitcode}")
        worker.kill()
        worker.join()
        self.report.kills += 1

    def _restart_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        time.sleep(self.chance.uniform(*KILL_S))
        self.server.start()
        self.report.server_kills += 1


def asked(call: Callable[[], Answer]) -> Answer:
    """Return a call's answer, repeated while the queue is away."""
    deadline = time.monotonic() + 30.0
    while True:
        try:
            return call()
        except StoreUnavailableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _open(queue: TaskQueue) -> int:
    return sum(each.waiting + each.leased for each in queue.counts())


def _check(queue: TaskQueue, notes: Path, report: Report) -> None:
    acknowledged: dict[str, set[int]] = {}
    for path in notes.iterdir():
        for line in path.read_text(encoding="utf-8").splitlines():
            task_id, token = json.loads(line)
            acknowledged.setdefault(task_id, set()).add(token)
    report.faults += [
        f"{name} was done under {len(by)} leases" for name, by in acknowledged.items() if len(by) > 1
    ]
    found = {task.id: task for task in _all(queue)}
    for new in make_tasks(report.tasks):
        task = found.get(new.id)
        fault = "lost" if task is None or task.tenant != new.tenant else _fault(task, report)
        if fault:
            report.faults.append(f"{new.id}: {fault}")
        if new.id in acknowledged and (task is None or task.state is not TaskState.DONE):
            report.faults.append(f"{new.id}: it was acknowledged, and is not done")
    states = Counter(task.state for task in found.values())
    counts = queue.counts()[0]
    if (counts.done, counts.dead) != (states[TaskState.DONE], states[TaskState.DEAD]):
        report.faults.append(f"counted {counts}, found {dict(states)}")


def _fault(task: Task, report: Report) -> str:
    """Count a task, and say what is wrong with it, if anything is."""
    report.attempts += task.attempts
    if task.state is TaskState.DONE:
        report.done += 1
        return "" if task.result == result_of(task.payload) and not is_bad(task.id) else "a wrong result"
    if task.state is not TaskState.DEAD:
        return f"it is {task.state}"
    if is_bad(task.id) and task.error == f"Task {task.id} is bad.":
        report.dead_bad += 1
        return ""
    report.dead_worn += 1
    worn = task.attempts == 4 and (
        "did not finish it before its lease ended" in task.error or "attempt" in task.error
    )
    return "" if worn else f"dead after {task.attempts} attempts: {task.error!r}"


def _all(queue: TaskQueue) -> Iterator[Task]:
    for tenant in TENANTS:
        cursor = None
        while True:
            page = queue.page(tenant, limit=1_000, cursor=cursor)
            yield from page.tasks
            cursor = page.cursor
            if cursor is None:
                break


if __name__ == "__main__":
    sys.exit(main())
