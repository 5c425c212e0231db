"""What the task queues do in a second: one JSON document, never a pass or a failure.

``python -m tests.benchmarks.queue``. Put, claim and finish on SQLite (on this machine's disk, every answer
after an fsync) and on Redis (with an append-only file, where installed), one at a time and many together,
with few and with many tasks waiting; beside it the milliseconds of counting and of opening the queue. The
sizes alternate in rounds, and the best round counts: the machine's other work can only slow one down.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from data.claims import TenantId
from data.queue.ports import TaskQueue
from data.queue.redis_queue import RedisQueue
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import Finished, Leased, NewTask
from data.stores.redis import connect
from tests.redis_server import lasting_redis

TENANTS = 20
#: Sizes of a claim's request and of its verdict.
PAYLOAD, RESULT = b"p" * 300, b"r" * 3_000


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="queue", description=__doc__)
    parser.add_argument("--waiting", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 64])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="where the files are made")
    options = parser.parse_args(arguments)
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="kite-queue-", dir=options.folder) as name:
        folder = Path(name)
        for waiting in options.waiting:
            make = partial(SqliteQueue, folder / f"{waiting}")
            told[f"sqlite, {waiting} waiting"] = measure(
                make, waiting, options.batches, rounds=options.rounds
            )
        if shutil.which("redis-server"):
            told.update(_on_redis(folder, options))
    print(json.dumps(told, indent=1))
    return 0


def _on_redis(folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    told: dict[str, Any] = {}
    with lasting_redis(folder) as server:
        for waiting in options.waiting:
            make = partial(RedisQueue, connect(server.address), name=f"{waiting}")
            told[f"redis, {waiting} waiting"] = measure(make, waiting, options.batches, rounds=options.rounds)
    return told


def measure(
    make: Callable[[], TaskQueue], waiting: int, batches: Sequence[int], *, rounds: int
) -> dict[str, Any]:
    """Return the rates of a queue in which so many tasks wait."""
    queue = make()
    numbers = Numbers()
    told: dict[str, Any] = {
        "fill_per_s": round(waiting / timed(lambda: queue.put(numbers.tasks(waiting)))[0])
    }
    rates: dict[str, list[float]] = {}
    for _ in range(rounds):
        for batch in batches:
            for step, rate in once(queue, numbers, batch).items():
                rates.setdefault(f"{step} by {batch}", []).append(rate)
    told.update({f"{step}, per s": round(max(each)) for step, each in rates.items()})
    told["count_ms"] = round(statistics.median(timed(queue.counts)[0] for _ in range(9)) * 1000, 2)
    told["open_ms"] = round(timed(lambda: make().ping())[0] * 1000, 1)
    queue.close()
    return told


def once(queue: TaskQueue, numbers: Numbers, batch: int) -> dict[str, float]:
    """Put, claim and finish some tasks, a batch at a time; return the rates. As many wait as before."""
    calls = max(1, 512 // batch) if batch > 1 else 100
    new = [numbers.tasks(batch) for _ in range(calls)]
    leased: list[list[Leased]] = []
    total = calls * batch
    put_s, _ = timed(lambda: [queue.put(each) for each in new])
    claim_s, _ = timed(
        lambda: leased.extend(queue.claim("w", ["verify"], limit=batch, lease_s=600.0) for _ in range(calls))
    )
    done = [[Finished(each.lease, RESULT) for each in some] for some in leased]
    finish_s, kept = timed(lambda: [queue.finish(each) for each in done])
    assert sum(map(sum, kept)) == total
    return {"put": total / put_s, "claim": total / claim_s, "finish": total / finish_s}


class Numbers:
    """Tasks with ids of their own, of several tenants and priorities."""

    def __init__(self) -> None:
        self._last = 0

    def tasks(self, count: int) -> list[NewTask]:
        """Return so many new ones."""
        first, self._last = self._last, self._last + count
        return [
            NewTask(TenantId(f"t{n % TENANTS}"), f"{n}", "verify", PAYLOAD, n * 37 % 1001)
            for n in range(first, self._last)
        ]


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds of a call, and its answer."""
    started = time.perf_counter()
    answer = call()
    return time.perf_counter() - started, answer


if __name__ == "__main__":
    raise SystemExit(main())
