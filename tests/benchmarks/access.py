"""What the door costs, and whether limits are exact over several ingress replicas: one JSON document.

``python -m tests.benchmarks.access`` starts installations of its own, one after the other. First, by turns,
with the door open and closed: requests a second of calls that cost next to nothing and of claims that are in
the verdict cache. Then, with three ingress replicas, 64 clients at once far over one tenant's limit: on the
embedded store and on Redis (where installed). Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import httpx

from cluster import head as ray_head
from cluster.processes import processes_of
from configs.load import load_settings
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
#: What was measured with the door open and closed, round by round.
Rounds = dict[str, list[dict[str, float]]]
#: The limit that is hammered: units at once, and refilled a minute.
BURST, PER_MINUTE = 500.0, 60.0


@dataclass(frozen=True)
class Running:
    """An installation that answers."""

    address: str
    key: str
    gateways: int


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
            yield Running(head.http_url, key, gateways)
        finally:
            ray_head.stop(settings)


async def rate(running: Running, call: tuple[str, str, Any], seconds: float) -> dict[str, float]:
    """Return requests a second, and the milliseconds of one, of 16 clients that ask one after the other."""
    method, path, body = call
    headers = {"Authorization": f"ApiKey {running.key}"} if running.key else {}
    times: list[float] = []
    ends = time.perf_counter() + seconds

    async def client(session: aiohttp.ClientSession) -> None:
        while time.perf_counter() < ends:
            begun = time.perf_counter()
            async with session.request(method, running.address + path, json=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            times.append(time.perf_counter() - begun)

    begun = time.perf_counter()
    async with aiohttp.ClientSession() as session:
        await asyncio.gather(*(client(session) for _ in range(16)))
    took_s = time.perf_counter() - begun
    return {"per_s": round(len(times) / took_s, 1), "p50_ms": round(statistics.median(times) * 1000, 2)}


def door(rounds: int, seconds: float) -> dict[str, Any]:
    """Compare open and closed, by turns."""
    found: dict[str, dict[str, list[dict[str, float]]]] = {
        name: {"open": [], "required": []} for name in CALLS
    }
    for number in range(rounds):
        for mode in ("open", "required") if number % 2 == 0 else ("required", "open"):
            with installation(f"auth.mode={mode}") as running:
                for name, call in CALLS.items():
                    asyncio.run(rate(running, call, 2.0))
                    found[name][mode].append(asyncio.run(rate(running, call, seconds)))
    return {name: {**modes, "closed_to_open": _ratio(modes)} for name, modes in found.items()}


def _ratio(modes: Rounds) -> float:
    medians = {mode: statistics.median(one["per_s"] for one in rounds) for mode, rounds in modes.items()}
    return round(medians["required"] / medians["open"], 3)


def limits(backend: str, requests: int) -> dict[str, Any]:
    """Hammer one tenant's limit over three replicas; return what was let through and what should have."""
    with tempfile.TemporaryDirectory() as folder, _store(backend, Path(folder)) as address:
        chosen = ["cache.backend=redis", f"cache.url={address}"] if address else []
        replicas = [f"serving.gateway.{name}_replicas=3" for name in ("min", "max")]
        with installation("auth.mode=required", *chosen, *replicas) as running:
            key = _limited_key(running)
            statuses, took_s = asyncio.run(_hammer(Running(running.address, key, 3), requests))
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


def _store(backend: str, folder: Path) -> AbstractContextManager[str]:
    return redis_server(folder) if backend == "redis" else nullcontext("")


def _limited_key(running: Running) -> str:
    rates = {"per_minute": PER_MINUTE, "per_hour": 1e6, "per_day": 1e6, "burst": BURST}
    headers = {"Authorization": f"ApiKey {running.key}"}
    with httpx.Client(base_url=running.address, headers=headers, timeout=60.0) as admin:
        admin.post("/admin/tenants", json={"id": "hammered", "name": "H", "limits": {"tenant": rates}})
        told = admin.post("/admin/keys", json={"name": "h", "roles": ["reader"], "tenant": "hammered"})
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


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2, help="installations of each kind (default 2)")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long each call is asked")
    parser.add_argument("--requests", type=int, default=3_000, help="sent at the limit")
    parser.add_argument("--only", choices=["door", "lmdb", "redis"])
    options = parser.parse_args(arguments)
    told: dict[str, Any] = {}
    if options.only in (None, "door"):
        told["door"] = door(options.rounds, options.seconds)
    for backend in ("lmdb", "redis"):
        if options.only in (None, backend) and (backend == "lmdb" or shutil.which("redis-server")):
            told[f"limits on {backend}"] = limits(backend, options.requests)
    print(json.dumps(told, indent=2))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
