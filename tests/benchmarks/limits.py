"""What limits cost and what they are worth: one JSON document, never a pass or a failure.

``python -m tests.benchmarks.limits``. First the microseconds of one charge through the limiter, on LMDB and
on Redis (where installed), by one process and by three at once. Then how long a tenant waits for verdicts
while another asks for twenty times its limit: over the real verifier and batcher, with frameworks that take
a fixed time. Arrivals are the same in every kind of round (open loop, Poisson). Both in simulated time, where
only the queue counts and every run is the same, and by the clock, where the machine's other work counts too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import statistics
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from configs.schema import LimitSettings, RateSettings
from data.access.principal import Principal
from data.access.roles import Role
from data.analysis import Analysis
from data.claims import TenantId, make_claim
from data.clock import SystemClock
from data.errors import CapacityError, RateLimitedError
from data.evidence import ClaimBatch
from data.ports import KeyValueStore
from data.questions import Question
from data.stores.lmdb import LmdbStore
from data.verdicts import Opinion, Outcome, Probabilities, Verdict, VerdictLabel
from deployments.fusion import FusionConfig
from deployments.limiter import Limiter
from deployments.verdict_cache import VerdictCache
from deployments.verification import Steps, Verifier
from tests.limit_replica import NONE_SET, run_replicas
from tests.redis_server import redis_server
from tests.simulated_time import LoopClock, run_simulated

#: The limit of every tenant, units a second, and how much more the loud one asks for.
LIMIT_PER_S, TIMES = 50.0, 20
#: What the frameworks take for a batch and, on top, for each claim, seconds.
BATCH_S, CLAIM_S = 0.010, 0.001
#: How often the quiet tenant asks.
QUIET_PER_S = (5.0, LIMIT_PER_S / 2)
QUIET, LOUD = TenantId("quiet"), TenantId("loud")


@dataclass(frozen=True, slots=True)
class Round:
    """How often the loud tenant asks, with or without limits, and whether it is one of its own."""

    loud_per_s: float
    limited: bool
    told_apart: bool = True


ROUNDS = {
    "alone": Round(0.0, limited=True),
    "other_at_its_limit": Round(LIMIT_PER_S, limited=True),
    "other_at_20_times_its_limit": Round(LIMIT_PER_S * TIMES, limited=True),
    "other_at_20_times_fair_queue_only": Round(LIMIT_PER_S * TIMES, limited=False),
    "other_at_20_times_neither": Round(LIMIT_PER_S * TIMES, limited=False, told_apart=False),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="limits", description=__doc__)
    parser.add_argument("--attempts", type=int, default=100, help="a client, of 64 a process")
    parser.add_argument("--seconds", type=float, default=10.0, help="a round")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(arguments)
    report = {
        "us_a_charge": charge_costs(options.attempts),
        "waiting_simulated": {
            f"{rate:g} a second": run_simulated(waiting(rate, options.seconds, options.rounds))
            for rate in QUIET_PER_S
        },
        "waiting": {
            f"{rate:g} a second": asyncio.run(waiting(rate, options.seconds, options.rounds))
            for rate in QUIET_PER_S
        },
    }
    print(json.dumps(report, indent=2))
    return 0


def charge_costs(attempts: int) -> dict[str, Any]:
    """Return the microseconds a charge by store, number of subjects and number of processes."""
    told: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="kite-limits-") as folder:
        told["lmdb"] = _costs_on(f"{folder}/kv", attempts)
        if shutil.which("redis-server"):
            with redis_server(Path(folder)) as address:
                told["redis"] = _costs_on(address, attempts)
    return told


def _costs_on(store: str, attempts: int) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for subjects, narrow in (("one_subject", False), ("three_subjects", True)):
        for processes in (1, 3):
            job = {
                "store": store,
                "rate": {"burst": 1e9, "per_minute": 1e9},
                "clients": 64,
                "attempts": attempts,
                "narrow": narrow,
            }
            each = run_replicas(job, processes)
            told[f"{subjects}_{processes}_processes"] = {
                "wall": round(statistics.mean(one["us_each"] for one in each), 1),
                "cpu": round(statistics.mean(one["cpu_us_each"] for one in each), 1),
                "charges_per_s_all": round(sum(1e6 / one["us_each"] for one in each)),
            }
    return told


async def waiting(quiet_per_s: float, seconds: float, rounds: int) -> dict[str, Any]:
    """Return how long the quiet tenant waits in each kind of round; they alternate, to share drift."""
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in ROUNDS}
    for number in range(rounds):
        for name, asked in ROUNDS.items():
            with tempfile.TemporaryDirectory(prefix="kite-limits-") as folder:
                store = LmdbStore(Path(folder), LoopClock())
                seen[name].append(await play(asked, quiet_per_s, store, seconds=seconds, seed=number))
                store.close()
    return {name: _summary(results, seconds, seen["alone"]) for name, results in seen.items()}


def _summary(results: list[dict[str, Any]], seconds: float, alone: list[dict[str, Any]]) -> dict[str, Any]:
    times = sorted(one for result in results for one in result["times_ms"])
    p99_ms = p99(results)
    return {
        "p50_ms": round(statistics.median(times), 2),
        "p99_ms": round(p99_ms, 2),
        "p99_rise_percent": round((p99_ms / p99(alone) - 1.0) * 100.0, 1),
        "answered": len(times),
        "refused": sum(result["quiet_refused"] for result in results),
        "other_answered_per_s": round(
            sum(result["loud_answered"] for result in results) / seconds / len(results), 1
        ),
    }


def p99(results: Sequence[dict[str, Any]]) -> float:
    """Return the time within which 99 of 100 of the quiet tenant's requests were answered, milliseconds."""
    times = sorted(one for result in results for one in result["times_ms"])
    return float(times[int(len(times) * 0.99)])


async def play(
    asked: Round, quiet_per_s: float, store: KeyValueStore, *, seconds: float, seed: int
) -> dict[str, Any]:
    """Play one round; return the quiet tenant's times and both tenants' counts."""
    rate = RateSettings(per_minute=LIMIT_PER_S * 60, per_hour=1e9, per_day=1e9, burst=LIMIT_PER_S)
    limits = LimitSettings(tenant=rate, key=rate, address=rate)
    limiter = Limiter(store, limits, overrides=lambda _: NONE_SET, clock=LoopClock())
    house = House(_verifier(), limiter if asked.limited else None)
    times: list[float] = []
    loud_times: list[float] = []
    loud = LOUD if asked.told_apart else QUIET
    refused, _ = await asyncio.gather(
        _arrivals(quiet_per_s, seconds, random.Random(seed), lambda n: house.ask(QUIET, n, times)),
        _arrivals(asked.loud_per_s, seconds, random.Random(~seed), lambda n: house.ask(loud, -n, loud_times)),
    )
    return {"times_ms": times, "quiet_refused": refused, "loud_answered": len(loud_times)}


async def _arrivals(
    per_s: float, seconds: float, dice: random.Random, ask: Callable[[int], Awaitable[bool]]
) -> int:
    """Ask at random moments, waiting for no answer; return how many were refused."""
    asked: list[asyncio.Task[bool]] = []
    due_s, started = 0.0, _now_s()
    while per_s and (due_s := due_s + dice.expovariate(per_s)) < seconds:
        await asyncio.sleep(max(0.0, due_s - (_now_s() - started)))
        asked.append(asyncio.ensure_future(ask(len(asked) + 1)))
    return sum(not answered for answered in await asyncio.gather(*asked))


@dataclass(slots=True)
class House:
    """What a request goes through: the limiter, then the verifier."""

    verifier: Verifier
    limiter: Limiter | None

    async def ask(self, tenant: TenantId, number: int, times: list[float]) -> bool:
        """Ask for one verdict and note its milliseconds; return whether there was one."""
        started = _now_s()
        try:
            if self.limiter is not None:
                await self.limiter.charge(Principal("key:1", tenant, Role.VERIFIER), "verify", "192.0.2.1")
            claim = make_claim(f"The bridge has {number} arches.", tenant=tenant)
            await self.verifier.answer([Question(claim, ("empirical",))])
        except (RateLimitedError, CapacityError):
            return False
        times.append((_now_s() - started) * 1000.0)
        return True


def _now_s() -> float:
    return asyncio.get_running_loop().time()


def _verifier() -> Verifier:
    async def position() -> int:
        return 1

    async def record(answered: Sequence[tuple[Question, Verdict]]) -> None:
        del answered

    def likely(row: Probabilities, alpha: float) -> tuple[VerdictLabel, ...]:
        del row, alpha
        return ("REFUTED",)

    return Verifier(
        Steps(position, _gather, {"empirical": _refutes}, record, likely),
        cache=VerdictCache(None, model_bundle="none", capacity=1),
        fusion=FusionConfig({}),
        clock=SystemClock(),
    )


async def _gather(questions: Sequence[Question], at: int) -> ClaimBatch:
    count = len(questions)
    return ClaimBatch(
        claims=tuple(question.claim for question in questions),
        analyses=(Analysis((), (), (), (), (), ()),) * count,
        embeddings=b"\0" * 4 * count,
        evidence=((),) * count,
        histories=((),) * count,
        pattern_hits=((),) * count,
        knowledge_seq=at,
    )


async def _refutes(batch: ClaimBatch) -> list[Outcome]:
    await asyncio.sleep(BATCH_S + CLAIM_S * len(batch))
    return [Opinion(-0.5, 0.9, "REFUTED", "found", probabilities=(0.0, 0.9, 0.1, 0.0)) for _ in batch.claims]


if __name__ == "__main__":
    raise SystemExit(main())
