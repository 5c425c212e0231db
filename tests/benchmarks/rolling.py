"""Requests lost while everything changes: ``python -m tests.benchmarks.rolling HOME [--requests 10000]``.

Runs the shipped ``serveConfigV2`` over a copy of HOME and sends requests without a pause, most of them asked
before and some new, while versions of the gateway, of frameworks and of the queue's workers are replaced, the
keeper, the models and the index end and start again, and weights change. Prints one JSON document: every
answer by its status, the time each change took, and how long callers waited. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.benchmarks.http_load import read_answer, request
from tests.declared import Declared, declared_at, released, shipped, until

#: Claims that are asked again and again, and one in how many requests is about a claim that nobody asked.
KNOWN, NEW_EVERY = 50, 10
ROLLED = ("gateway", "framework-empirical", "framework-utility", "queue-worker")
ACTORS = ("keeper", "models", "index/passages")


@dataclass
class Asked:
    """Every answer by its status, or by what happened instead, and seconds by the number of the request."""

    outcomes: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    reconnects: int = 0

    def quantile_s(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return round(ordered[min(int(len(ordered) * share), len(ordered) - 1)], 3)


class Asking:
    """Sends ``count`` requests over ``clients`` connections in a thread of its own."""

    def __init__(self, url: str, count: int, clients: int) -> None:
        self._url = url
        self._numbers = iter(range(count))
        self._ended = False
        self._clients = clients
        self.asked = Asked()
        self.thread = threading.Thread(target=lambda: asyncio.run(self._all()))

    @property
    def done(self) -> int:
        return self.asked.outcomes.total()

    def end(self) -> None:
        """Send no more than is on its way."""
        self._ended = True

    async def _all(self) -> None:
        await asyncio.gather(*(self._client() for _ in range(self._clients)))

    async def _client(self) -> None:
        place = urlsplit(self._url)
        writer = None
        for number in self._numbers:
            if self._ended:
                break
            sent = time.perf_counter()
            try:
                if writer is None or reader.at_eof():  # noqa: F821 - made together with the writer
                    self.asked.reconnects += writer is not None
                    reader, writer = await asyncio.open_connection(place.hostname, place.port)
                writer.write(self._request(number))
                status, _ = await asyncio.wait_for(read_answer(reader), 60.0)
                outcome = str(status)
            except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError) as exc:
                outcome, writer = type(exc).__name__, None
            self.asked.seconds.append(time.perf_counter() - sent)
            self.asked.outcomes[outcome] += 1

    def _request(self, number: int) -> bytes:
        which = f"new {number}" if number % NEW_EVERY == 0 else f"known {number % KNOWN}"
        body = json.dumps({"claim": f"Mount Everest is 8,849 metres high, says report {which}."})
        return request(self._url, "/verify", body.encode())


def main() -> int:
    """Run it and print what happened."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.rolling")
    parser.add_argument("home", type=Path, help="a home with a built embedder; it is copied")
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--most-s", type=float, default=3600.0, help="no request is sent later than that")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        left = shutil.ignore_patterns("cache", "run", "queue", "jobs")
        shutil.copytree(options.home.resolve(), home, symlinks=True, ignore=left)
        with declared_at(home, shipped(), {"KITE_RAY__NUM_CPUS": "8"}) as declared:
            told = measured(declared, options.requests, options.clients, options.most_s)
            print(json.dumps(told, indent=1), flush=True)  # before all is stopped, which takes its time
    return 0


def measured(declared: Declared, count: int, clients: int, most_s: float) -> dict[str, Any]:
    """Ask and change by turns; every change begins when its share of the requests is answered."""
    asking = Asking(declared.head.http_url, count, clients)
    begun = time.perf_counter()
    ending = threading.Timer(most_s, asking.end)
    ending.start()
    asking.thread.start()
    changes = _changes(declared)
    events = []
    for turn, (what, change) in enumerate(changes, 1):
        while asking.done < count * turn / (len(changes) + 2) and asking.thread.is_alive():
            time.sleep(0.05)
        first, started = asking.done, time.perf_counter()
        change()
        took = round(time.perf_counter() - started, 1)
        events.append({"change": what, "seconds": took, "answered_meanwhile": asking.done - first})
    asking.thread.join()
    ending.cancel()
    asked = asking.asked
    return {
        "requests": asking.done,
        "outcomes": dict(asked.outcomes),
        "failed": asking.done - asked.outcomes["200"],
        "seconds": round(time.perf_counter() - begun, 1),
        "answer_s": {
            "p50": asked.quantile_s(0.5),
            "p99": asked.quantile_s(0.99),
            "max": asked.quantile_s(1.0),
        },
        "reconnects": asked.reconnects,
        "changes": events,
    }


def _changes(declared: Declared) -> list[tuple[str, Callable[[], None]]]:
    config = shipped()
    rolls = [(f"new version of {name}", _roll(declared, config, name)) for name in ROLLED]
    weights = {"framework_weights": {"utility": 0.5}}
    return [
        *rolls[:2],
        ("weights by user_config", lambda: _configure(declared, config, weights)),
        *((f"{name} ends and starts again", lambda name=name: _restart(declared, name)) for name in ACTORS),
        *rolls[2:],
        ("all back to the version before", _roll_all(declared)),
    ]


def _roll(declared: Declared, config: dict[str, Any], name: str) -> Callable[[], None]:
    def roll() -> None:
        before = declared.replicas(name)
        config.update(released(config, name, version="2"))
        declared.put(config)
        until(
            lambda: declared.states() == {"RUNNING"} and declared.replicas(name).isdisjoint(before),
            declared.applications,
        )

    return roll


def _roll_all(declared: Declared) -> Callable[[], None]:
    """Roll everything back: the config of before is put again."""

    def back() -> None:
        before = {name: declared.replicas(name) for name in ROLLED}
        declared.put(shipped())
        until(
            lambda: (
                declared.states() == {"RUNNING"}
                and all(declared.replicas(name).isdisjoint(old) for name, old in before.items())
            ),
            declared.applications,
        )

    return back


def _configure(declared: Declared, config: dict[str, Any], live: dict[str, Any]) -> None:
    for each in config["applications"]:
        if each["name"] in {"gateway", "queue-worker"}:
            each["deployments"] = [{"name": each["name"], "user_config": live}]
    declared.put(config)
    until(lambda: declared.states() == {"RUNNING"}, declared.applications)


def _restart(declared: Declared, name: str) -> None:
    """Have one of the shared actors end, as a new version of it does, and wait until it answers again."""
    from cluster.names import NAMESPACE
    from tasks.session import connect

    with connect(declared.settings):
        import ray

        ray.kill(ray.get_actor(name, namespace=NAMESPACE), no_restart=False)
    until(declared.is_healthy, declared.applications)


if __name__ == "__main__":
    sys.exit(main())
