"""What one tenant's flood costs another: answers of a quiet tenant, alone and beside another, by turns.

``python -m tests.benchmarks.access --only neighbour`` calls ``measure``. Both sides speak HTTP over sockets
that stay open, at an even rate whether or not answers have come, and with as little work as that takes: on a
small machine the one who asks would else be what is measured. The loud one asks from a process of its own.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import socket
import statistics
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlsplit

#: A loud turn begins this long before it is measured, and ends as much later, seconds.
MARGIN_S = 0.5
#: Calls that one side may have under way at once.
LANES = 8
#: Resamplings of the turns that the interval is taken from.
RESAMPLINGS = 1_000
#: Who is there, in the order of a turn; and the seconds of a turn's answers, in that order.
SIDES = ("alone", "beside one at its limit", "beside one at 20 times it")
Turn = tuple[list[float], list[float], list[float]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks what, and how often a second."""

    address: str
    key: str
    path: str
    body: Any
    per_s: float

    def request(self) -> bytes:
        """Return the request as it goes over the wire."""
        body = json.dumps(self.body).encode()
        head = (
            f"POST {urlsplit(self.address).path}{self.path} HTTP/1.1\r\nHost: kite\r\n"
            f"Content-Type: application/json\r\nAuthorization: ApiKey {self.key}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


@dataclass(slots=True)
class Asked:
    """Seconds of each answer, and how many had which status."""

    seconds: list[float] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)


def ask_evenly(caller: Caller, seconds: float) -> Asked:
    """Ask at the caller's rate for this long and return what came of it.

    Each lane has a socket and a thread that waits in the kernel; they take turns. An answer that comes after
    its lane's next turn delays that one, whose time counts from its turn.
    """
    found, begun = Asked(), time.perf_counter()
    numbers = range(int(caller.per_s * seconds))
    with ThreadPoolExecutor(LANES) as lanes:
        for asked in lanes.map(lambda lane: _ask_in_turn(caller, begun, numbers[lane::LANES]), range(LANES)):
            found.seconds.extend(asked.seconds)
            for status, count in asked.statuses.items():
                found.statuses[status] = found.statuses.get(status, 0) + count
    return found


def _ask_in_turn(caller: Caller, begun: float, numbers: Sequence[int]) -> Asked:
    parts, data, found = urlsplit(caller.address), caller.request(), Asked()
    with socket.create_connection((parts.hostname or "", parts.port or 80)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for number in numbers:
            turn = begun + number / caller.per_s
            wait_s = turn - time.perf_counter()
            if wait_s > 0.0:
                time.sleep(wait_s)
                turn = time.perf_counter()
            connection.sendall(data)
            status = _read(connection)
            found.seconds.append(time.perf_counter() - turn)
            found.statuses[status] = found.statuses.get(status, 0) + 1
    return found


def _read(connection: socket.socket) -> int:
    came = _some(connection)
    while (end := came.find(b"\r\n\r\n")) < 0:
        came += _some(connection)
    head = came[:end].lower() + b"\r\n"
    at = head.index(b"content-length:") + len(b"content-length:")
    left = int(head[at : head.index(b"\r\n", at)]) - (len(came) - end - 4)
    while left > 0:
        left -= len(_some(connection))
    return int(head[9:12])


def _some(connection: socket.socket) -> bytes:
    came = connection.recv(65_536)
    if not came:
        raise ConnectionError("The service ended the connection in the middle of an answer.")
    return came


def measure(
    quiet: Caller, loud: Caller, limit_per_s: float, *, rounds: int, seconds: float
) -> dict[str, Any]:
    """Ask by turns: alone, beside a tenant at its limit, and beside it at the loud one's rate.

    Return the three spreads, and the ratios of their p99 with 95 % intervals over resampled turns.
    """
    context = multiprocessing.get_context("spawn")
    rates, answered = context.Queue(), context.Queue()
    other = context.Process(target=_ask_beside, args=(loud, seconds + 2 * MARGIN_S, rates, answered))
    other.start()
    ask_evenly(quiet, seconds)
    turns: list[Turn] = []
    statuses: dict[int, int] = {}
    try:
        for _ in range(rounds):
            turn: list[list[float]] = []
            for rate in (0.0, limit_per_s, loud.per_s):
                rates.put(rate)
                time.sleep(MARGIN_S)
                asked = ask_evenly(quiet, seconds)
                time.sleep(2 * MARGIN_S)
                turn.append(asked.seconds)
                for status, count in asked.statuses.items():
                    statuses[status] = statuses.get(status, 0) + count
            turns.append((turn[0], turn[1], turn[2]))
    finally:
        rates.put(None)
        others = answered.get()
        other.join()
    return {
        "quiet per s": quiet.per_s,
        "limit per s": limit_per_s,
        "offered per s": loud.per_s,
        "statuses of the quiet one": statuses,
        "statuses of the other at 20 times its limit": others,
        **{name: spread(_all(turns, side)) for side, name in enumerate(SIDES)},
        "p99, 20 times to alone": _told(turns, 2, 0),
        "p99, 20 times to at the limit": _told(turns, 2, 1),
    }


def _ask_beside(loud: Caller, seconds: float, rates: Any, answered: Any) -> None:
    """Ask at each rate that is told, and tell at the end what the loud one's statuses were."""
    statuses: dict[int, int] = {}
    while (rate := rates.get()) is not None:
        if rate:
            asked = ask_evenly(replace(loud, per_s=rate), seconds)
            for status, count in asked.statuses.items() if rate == loud.per_s else ():
                statuses[status] = statuses.get(status, 0) + count
    answered.put(statuses)


def spread(times: Sequence[float]) -> dict[str, float]:
    """Return how many answers there were, and quantiles in milliseconds."""
    ordered = sorted(times)
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        "answers": len(ordered),
        **{name: round(ordered[int(len(ordered) * share)] * 1000, 2) for name, share in shares.items()},
    }


def _all(turns: Sequence[Turn], side: int) -> list[float]:
    return [one for turn in turns for one in turn[side]]


def _told(turns: Sequence[Turn], loud: int, quiet: int) -> dict[str, Any]:
    """Return how a p99 stands to another, with its interval."""

    def ratio(some: Sequence[Turn]) -> float:
        return spread(_all(some, loud))["p99_ms"] / spread(_all(some, quiet))["p99_ms"]

    drawn = random.Random(0)
    quantiles = statistics.quantiles(
        [ratio(drawn.choices(turns, k=len(turns))) for _ in range(RESAMPLINGS)], n=40
    )
    interval = [round(quantiles[0], 3), round(quantiles[-1], 3)]
    return {"ratio": round(ratio(turns), 3), "interval_95": interval}
