"""What watching costs: metrics, logs and traces on against off, in one replica, by turns; one JSON document.

``python -m tests.benchmarks.observability`` starts an installation of its own and a collector that throws
away what it gets, and adds a replica with four doors over the same actors and frameworks: ``off`` counts
nothing, logs nothing, traces nothing; ``on`` does all three, and keeps one trace in a hundred; ``slow`` keeps
slow ones too, so that every request is recorded; ``all`` keeps every trace. Each is asked in short turns, so
that no busy moment lies on one side only. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

from cluster import head as ray_head
from cluster.processes import processes_of
from configs.schema import Settings
from configs.trace_settings import TraceSettings
from tasks.session import connect
from tests.benchmarks.access import Running, installation
from tests.otlp_receiver import receiving

PREFIX, DOORS = "/watched", ("off", "on", "slow", "all")
#: Clients that ask one after the other, and seconds that one door is asked before the next.
CLIENTS, TURN_S = 8, 0.25
#: Milliseconds from which a request is kept in any case.
SLOW_MS = 1_000.0
CACHED = {"claim": "Water boils at 100 degrees Celsius at sea level."}


def fresh() -> Callable[[], dict[str, str]]:
    """Return what makes claims that nobody has asked."""
    numbers, run = itertools.count(), time.time_ns() % 1_000_000
    return lambda: {"claim": f"Mount Everest is {next(numbers)} metres high, says survey {run}."}


@dataclass(frozen=True, slots=True)
class Turn:
    """Answers a second, and processor milliseconds of the whole installation for one answer."""

    per_s: float
    cpu_ms: float


def measure(running: Running, seconds: float) -> dict[str, Any]:
    """Return rates and processor time by kind of claim and door."""
    from ray import serve

    from deployments.app import GATEWAY_CPUS
    from tests.benchmarks.watched_doors import watched_doors

    deployment: Any = serve.deployment(
        serve.ingress()(watched_doors()),
        name="watched",
        num_replicas=1,
        ray_actor_options={"num_cpus": GATEWAY_CPUS},
        max_ongoing_requests=running.settings.serving.gateway.max_ongoing_requests,
    )
    serve.run(deployment.bind(msgspec.to_builtins(running.settings), {}), name="watched", route_prefix=PREFIX)
    kinds = {"cached claim": lambda: CACHED, "fresh claim": fresh()}
    return {kind: asyncio.run(_by_turns(running, make, seconds)) for kind, make in kinds.items()}


async def _by_turns(running: Running, make: Callable[[], Any], seconds: float) -> dict[str, Any]:
    rounds: list[dict[str, Turn]] = []
    turns = random.Random(8)
    headers = {"Authorization": f"ApiKey {running.key}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        for door in DOORS:
            await _turn(session, running, door, make)
        ends = time.perf_counter() + seconds * len(DOORS)
        while time.perf_counter() < ends or len(rounds) < 2:
            order = turns.sample(DOORS, len(DOORS))
            rounds.append({door: await _turn(session, running, door, make) for door in order})
    return {"turns": len(rounds), **{door: _summary(rounds, door) for door in DOORS}}


def _summary(rounds: Sequence[dict[str, Turn]], door: str) -> dict[str, Any]:
    from tests.benchmarks.two_doors import interval, means

    rates = [(each["off"].per_s, each[door].per_s) for each in rounds]
    off, own = means(rates)
    cpu = means([(each["off"].cpu_ms, each[door].cpu_ms) for each in rounds])
    low, high = interval(rates)
    return {
        "per_s": round(own, 1),
        "to_off": round(own / off, 3),
        "interval_95": [round(low, 3), round(high, 3)],
        "cpu_ms": round(cpu[1], 3),
        "cpu_ms_more": round(cpu[1] - cpu[0], 3),
    }


async def _turn(session: aiohttp.ClientSession, running: Running, door: str, make: Callable[[], Any]) -> Turn:
    address = f"{running.address}{PREFIX}/{door}/verify"
    answered = 0
    # What a door does because nobody asked it for a while belongs to no answer.
    async with session.post(address, json=make()) as first:
        await first.read()
    before_s, begun = _cpu_s(running.settings), time.perf_counter()
    ends = begun + TURN_S

    async def client() -> None:
        nonlocal answered
        while time.perf_counter() < ends:
            async with session.post(address, json=make()) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            answered += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    took_s = time.perf_counter() - begun
    return Turn(answered / took_s, (_cpu_s(running.settings) - before_s) * 1000.0 / answered)


def _cpu_s(settings: Settings) -> float:
    head = ray_head.running(settings)
    assert head is not None
    times = [process.cpu_times() for process in processes_of(head.run_id, head.temp_dir)]
    return sum(each.user + each.system for each in times)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.observability", description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each door and kind of claim")
    options = parser.parse_args(arguments)
    with receiving(keeping=False) as collector:
        traces = TraceSettings(endpoint=collector.address, sample_ratio=0.01, slow_ms=SLOW_MS)
        chosen = [f"traces.{name}={value}" for name, value in msgspec.to_builtins(traces).items()]
        with (
            installation("auth.mode=required", "log.format=json", *chosen) as running,
            connect(running.settings),
        ):
            found = measure(running, options.seconds)
    print(json.dumps({**found, "collector_requests": collector.requests}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
