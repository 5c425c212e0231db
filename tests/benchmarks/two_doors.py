"""What the door costs: the same calls of one replica, with and without keys, limits and the audit, by turns.

``rates`` adds an application to an installation that runs: a gateway like the installation's own, with two
doors over the same services. Both are asked through HAProxy in short turns, so that neither a busy moment of
the machine nor how a process happened to start lies on one side only.
"""

from __future__ import annotations

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import msgspec
from ray import cloudpickle, serve
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from configs.schema import Settings
from deployments.app import GATEWAY_CPUS
from deployments.replica import GatewayReplica, log_handler, without_request_id
from deployments.services import AccessServices

#: Where the application stands, and its two doors beneath.
PREFIX, OPEN, CLOSED = "/doors", "open", "closed"
#: Says what the replica has spent until now, seconds of a processor.
SPENT = "spent"
CLIENTS = 16
#: Seconds that one door is asked before the other.
TURN_S = 0.5
#: Resamplings of the turns that the interval is taken from.
RESAMPLINGS = 2_000
#: Method, path and body of a call.
Call = tuple[str, str, Any]


class TwoDoors(GatewayReplica):
    """The gateway twice over the same services: ``/open/…`` and ``/closed/…``; ``/spent`` beside them."""

    def __serve_build_asgi_app__(self) -> Any:
        """Return the ASGI application."""
        from deployments.api.asgi import create_app
        from deployments.api.logs import configure_logging

        configure_logging(self._settings.log, log_handler())
        closed = self._services()
        access = AccessServices(address_of=closed.access.address_of)
        apps = {
            f"{PREFIX}/{OPEN}": without_request_id(create_app(replace(closed, access=access))),
            f"{PREFIX}/{CLOSED}": without_request_id(create_app(closed)),
            f"{PREFIX}/{SPENT}": _spent,
        }

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await apps[f"{PREFIX}/{CLOSED}"](scope, receive, send)
            path = scope["path"] if scope["path"].startswith(PREFIX) else PREFIX + scope["path"]
            name = "/".join(path.split("/")[:3])
            return await apps[name]({**scope, "path": path[len(name) :], "root_path": ""}, receive, send)

        return served


async def _spent(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse(time.process_time())(scope, receive, send)


def rates(
    settings: Settings, address: str, key: str, calls: Mapping[str, Call], *, seconds: float
) -> dict[str, Any]:
    """Return each call's requests a second and replica's CPU time by door, and the ratio of either.

    A replica that is busy answers as many requests as its CPU time allows, and other load on the machine
    changes that less than the requests of a second. The process must be connected to the installation's
    cluster. Intervals are the bootstrap's, 95 %, over pairs of neighbouring turns.
    """
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    deployment: Any = serve.deployment(
        serve.ingress()(TwoDoors),
        name="doors",
        num_replicas=1,
        ray_actor_options={"num_cpus": GATEWAY_CPUS},
        max_ongoing_requests=settings.serving.gateway.max_ongoing_requests,
    )
    serve.run(deployment.bind(msgspec.to_builtins(settings), {}), name="doors", route_prefix=PREFIX)
    return {
        name: asyncio.run(_by_turns(address + PREFIX, key, call, seconds)) for name, call in calls.items()
    }


async def _by_turns(address: str, key: str, call: Call, seconds: float) -> dict[str, Any]:
    speeds: list[tuple[float, float]] = []
    costs: list[tuple[float, float]] = []
    async with aiohttp.ClientSession(headers={"Authorization": f"ApiKey {key}"}) as session:
        for door in (OPEN, CLOSED):
            await _turn(session, f"{address}/{door}", call, 2.0)
        ends = time.perf_counter() + 2 * seconds
        while time.perf_counter() < ends:
            first, second = (OPEN, CLOSED) if len(speeds) % 2 == 0 else (CLOSED, OPEN)
            found = {
                door: await _turn(session, f"{address}/{door}", call, TURN_S) for door in (first, second)
            }
            speeds.append((found[OPEN].per_s, found[CLOSED].per_s))
            costs.append((found[OPEN].cpu_us, found[CLOSED].cpu_us))
    opened, closed = means(speeds)
    spent_open, spent_closed = means(costs)
    return {
        "open_per_s": round(opened, 1),
        "closed_per_s": round(closed, 1),
        "closed_to_open": round(closed / opened, 3),
        "interval_95": _rounded(interval(speeds)),
        "open_cpu_us": round(spent_open),
        "closed_cpu_us": round(spent_closed),
        "open_to_closed_cpu": round(spent_open / spent_closed, 3),
        "cpu_interval_95": _rounded(interval([(after, before) for before, after in costs])),
        "turns": len(speeds),
    }


def _rounded(ends: tuple[float, float]) -> list[float]:
    return [round(end, 3) for end in ends]


@dataclass(frozen=True, slots=True)
class _Turn:
    """Answers a second, and the replica's CPU time for one, microseconds."""

    per_s: float
    cpu_us: float


async def _spent_s(session: aiohttp.ClientSession, address: str) -> float:
    async with session.get(f"{address.rsplit('/', 1)[0]}/{SPENT}") as answer:
        return float(await answer.json())


async def _turn(session: aiohttp.ClientSession, address: str, call: Call, seconds: float) -> _Turn:
    """Let clients ask one after the other; return what came of it."""
    method, path, body = call
    answered = 0
    spent_s = await _spent_s(session, address)
    begun = time.perf_counter()
    ends = begun + seconds

    async def client() -> None:
        nonlocal answered
        while time.perf_counter() < ends:
            async with session.request(method, address + path, json=body) as answer:
                await answer.read()
                assert answer.status == 200, answer.status
            answered += 1

    await asyncio.gather(*(client() for _ in range(CLIENTS)))
    took_s = time.perf_counter() - begun
    spent_s = await _spent_s(session, address) - spent_s
    return _Turn(answered / took_s, spent_s / answered * 1e6)


def means(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the mean of the first and of the second of each pair."""
    return statistics.fmean(pair[0] for pair in pairs), statistics.fmean(pair[1] for pair in pairs)


def interval(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    """Return the bootstrap's 95 % interval of the ratio of the seconds' mean to the firsts'."""
    drawn = random.Random(0)
    ratios = []
    for _ in range(RESAMPLINGS):
        opened, closed = means(drawn.choices(pairs, k=len(pairs)))
        ratios.append(closed / opened)
    ratios.sort()
    return ratios[int(0.025 * RESAMPLINGS)], ratios[int(0.975 * RESAMPLINGS)]
