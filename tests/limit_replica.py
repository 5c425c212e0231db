"""One replica's worth of clients that hammer a limit: a process of its own, for tests and benchmarks.

``python -m tests.limit_replica JOB``, a JSON document: ``store`` (a folder for LMDB, or a Redis address),
``rate`` (fields of ``RateSettings`` for the tenant), ``clients``, and ``attempts`` a client or ``seconds``.
Prints a line when ready, starts on a line from standard input, and prints what came of it.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from configs.schema import LimitSettings, RateSettings
from data.access.principal import Principal
from data.access.roles import Role
from data.claims import TenantId
from data.clock import SystemClock
from data.errors import RateLimitedError
from data.limits.gcra import Charge, Decision
from data.limits.policy import LimitOverrides
from data.ports import KeyValueStore
from data.stores.lmdb import LmdbStore
from data.stores.redis import RedisStore, connect
from deployments import limiter as limiter_module
from deployments.limiter import Limiter

#: A limit that is never reached, for the subjects that are not looked at.
ENDLESS = RateSettings(per_minute=1e9, per_hour=1e9, per_day=1e9, burst=1e9)


#: A limit below the tenant's, that is not reached either.
NARROW = {"per_minute": 1e8, "per_hour": 1e8, "per_day": 1e8, "burst": 1e8}
#: What an administrator set: nothing.
NONE_SET = LimitOverrides()
CALLER = Principal("key:1", TenantId("acme"), Role.VERIFIER, key_id="1")


class Watched:
    """A store that notes when, by its own clock, requests were charged and when the last was refused."""

    def __init__(self, inner: KeyValueStore) -> None:
        self._inner = inner
        self.charged_us: list[float] = []
        self.refused_us = 0.0

    def charge(self, requests: Sequence[Sequence[Charge]]) -> list[list[Decision]]:
        """Charge."""
        decided = self._inner.charge(requests)
        for decisions in decided:
            if all(decision.allowed for decision in decisions):
                self.charged_us.append(decisions[0].state.at)
            else:
                self.refused_us = max(self.refused_us, decisions[0].state.at)
        return decided

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


def open_store(where: str) -> tuple[KeyValueStore, bool]:
    """Return the store, and whether it is on the network."""
    if "://" in where:
        return RedisStore(connect(where)), True
    return LmdbStore(Path(where), SystemClock()), False


async def hammer(job: dict[str, Any], limiter: Limiter) -> dict[str, Any]:
    """Let all clients ask; return how many were let in and how many there were."""
    counts = {"allowed": 0, "asked": 0}
    until = time.monotonic() + job.get("seconds", 3600.0)

    async def client() -> None:
        left = job.get("attempts", 1 << 30)
        while left and time.monotonic() < until:
            left -= 1
            counts["asked"] += 1
            try:
                await limiter.charge(CALLER, "verify", "192.0.2.1")
                counts["allowed"] += 1
            except RateLimitedError:
                pass
            await asyncio.sleep(0)

    started, cpu_started_s = time.perf_counter(), time.process_time()
    await asyncio.gather(*(client() for _ in range(job["clients"])))
    elapsed_s, cpu_s = time.perf_counter() - started, time.process_time() - cpu_started_s
    return {
        **counts,
        "us_each": elapsed_s / counts["asked"] * 1e6,
        "cpu_us_each": cpu_s / counts["asked"] * 1e6,
        "alone": limiter.is_alone,
    }


@contextmanager
def limiter_of(job: dict[str, Any]) -> Iterator[tuple[Limiter, Watched]]:
    """Open a job's store and keep its limit."""
    inner, in_thread = open_store(job["store"])
    store = Watched(inner)
    limits = LimitSettings(
        tenant=RateSettings(**{"per_hour": 1e9, "per_day": 1e9, **job["rate"]}),
        key=RateSettings(**NARROW) if job.get("narrow") else ENDLESS,
        address=RateSettings(**NARROW) if job.get("narrow") else ENDLESS,
    )
    limiter = Limiter(store, limits, overrides=lambda _: NONE_SET, clock=SystemClock(), in_thread=in_thread)
    yield limiter, store
    limiter.close()
    store.close()


def spend(job: dict[str, Any], units: float) -> float:
    """Spend units of a job's limit at once; return the moment by the store's clock, microseconds."""
    with limiter_of(job) as (limiter, store):
        asyncio.run(limiter.charge(CALLER, "verify", "192.0.2.1", units))
        return store.charged_us[-1]


def main(argument: str) -> None:
    """Be one replica."""
    job = json.loads(argument)
    # A machine at full load may let a store wait; here it is counting that is looked at, not patience.
    limiter_module.WAIT_S = 30.0
    with limiter_of(job) as (limiter, store):
        store.ping()
        print("ready", flush=True)
        sys.stdin.readline()
        told = asyncio.run(hammer(job, limiter))
        print(
            json.dumps({**told, "charged_us": store.charged_us, "refused_us": store.refused_us}), flush=True
        )


@contextmanager
def _replicas(job: dict[str, Any], count: int) -> Iterator[list[Any]]:
    root = Path(__file__).resolve().parents[1]
    command = [sys.executable, "-m", "tests.limit_replica", json.dumps(job)]
    with ExitStack() as stack:
        started = [
            stack.enter_context(
                subprocess.Popen(command, cwd=root, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            for _ in range(count)
        ]
        try:
            yield started
        finally:
            for process in started:
                process.kill()


def run_replicas(
    job: dict[str, Any], count: int, *, when_ready: Callable[[], object] = lambda: None
) -> list[dict[str, Any]]:
    """Run ``count`` replicas that start together; return what came of each."""
    with _replicas(job, count) as processes:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        when_ready()
        for process in processes:
            process.stdin.write("go\n")
            process.stdin.flush()
        return [json.loads(process.stdout.readline()) for process in processes]


if __name__ == "__main__":
    main(sys.argv[1])
