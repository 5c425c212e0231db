"""What one tenant's flood costs another: answers of a quiet tenant, alone and beside another, by turns.

``python -m tests.benchmarks.access --only neighbour`` calls ``measure``. Both sides speak HTTP over sockets
that stay open, at an even rate whether or not answers have come, and with as little work as that takes: on a
small machine the one who asks would else be what is measured. The loud one asks from a process of its own.
What its asking takes of the machine by itself is seen beside a flood of a server that only refuses.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import socket
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

#: A loud turn begins this long before it is measured, and ends as much later, seconds.
MARGIN_S = 0.5
#: Calls that one side may have under way at once.
LANES = 8
#: Resamplings of the turns that the interval is taken from.
RESAMPLINGS = 1_000
#: Seconds of a turn's answers, by who was there.
Turn = Mapping[str, Sequence[float]]
#: A server that refuses as the ingress does, and does nothing else.
REFUSER = """
global
    nbthread 1
defaults
    mode http
    timeout client 60s
frontend refuser
    bind fd@{socket}
    http-request return status 429 content-type application/problem+json string "{{}}"
"""


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
    statuses: Counter[int] = field(default_factory=Counter)


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
            found.statuses += asked.statuses
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
            found.statuses[status] += 1
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


@contextmanager
def refuser(binary: str, folder: Path) -> Iterator[str]:
    """Run HAProxy as a server that refuses everything; yield its address."""
    file = folder / "refuser.cfg"
    # It is given a socket that listens already, so whoever comes before it is ready waits.
    with socket.create_server(("127.0.0.1", 0)) as listening:
        file.write_text(REFUSER.format(socket=listening.fileno()), encoding="ascii")
        command, given = [binary, "-f", str(file)], (listening.fileno(),)
        with subprocess.Popen(command, pass_fds=given, stderr=subprocess.DEVNULL) as server:
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.terminate()


def measure(
    quiet: Caller,
    sides: Mapping[str, Caller | None],
    compared: Sequence[tuple[str, str]],
    *,
    rounds: int,
    seconds: float,
) -> dict[str, Any]:
    """Ask by turns beside each of ``sides``, by name; ``None``: beside nobody.

    Return the spread of each, and the ratios of p99 ``compared`` with 95 % intervals over resampled turns.
    """
    context = multiprocessing.get_context("spawn")
    callers, answered = context.Queue(), context.Queue()
    other = context.Process(target=_ask_beside, args=(seconds + 2 * MARGIN_S, callers, answered))
    other.start()
    ask_evenly(quiet, seconds)
    turns: list[Turn] = []
    statuses, others = Counter[int](), {name: Counter[int]() for name, loud in sides.items() if loud}
    try:
        for _ in range(rounds):
            turn = {}
            for name, loud in sides.items():
                callers.put(loud)
                time.sleep(MARGIN_S)
                asked = ask_evenly(quiet, seconds)
                turn[name] = asked.seconds
                statuses += asked.statuses
                if loud:
                    others[name] += answered.get()
            turns.append(turn)
    finally:
        callers.put("done")
        other.join()
    return {
        "quiet per s": quiet.per_s,
        "the other per s": {name: loud.per_s for name, loud in sides.items() if loud},
        "statuses of the quiet one": dict(statuses),
        "statuses of the other": {name: dict(counted) for name, counted in others.items()},
        **{name: spread(_all(turns, name)) for name in sides},
        **{f"p99, {loud} to {calm}": _told(turns, loud, calm) for loud, calm in compared},
    }


def _ask_beside(seconds: float, callers: Any, answered: Any) -> None:
    """Ask as each caller that comes, and answer with the statuses."""
    while (caller := callers.get()) != "done":
        if caller:
            answered.put(ask_evenly(caller, seconds).statuses)


def spread(times: Sequence[float]) -> dict[str, float]:
    """Return how many answers there were, and quantiles in milliseconds."""
    ordered = sorted(times)
    shares = {"p50_ms": 0.5, "p90_ms": 0.9, "p95_ms": 0.95, "p99_ms": 0.99}
    return {
        "answers": len(ordered),
        **{name: round(ordered[int(len(ordered) * share)] * 1000, 2) for name, share in shares.items()},
    }


def _all(turns: Sequence[Turn], side: str) -> list[float]:
    return [one for turn in turns for one in turn[side]]


def _told(turns: Sequence[Turn], loud: str, calm: str) -> dict[str, Any]:
    """Return how a p99 stands to another, with its interval."""

    def ratio(some: Sequence[Turn]) -> float:
        return spread(_all(some, loud))["p99_ms"] / spread(_all(some, calm))["p99_ms"]

    drawn = random.Random(0)
    quantiles = statistics.quantiles(
        [ratio(drawn.choices(turns, k=len(turns))) for _ in range(RESAMPLINGS)], n=40
    )
    interval = [round(quantiles[0], 3), round(quantiles[-1], 3)]
    return {"ratio": round(ratio(turns), 3), "interval_95": interval}
