"""How long growing and shrinking take: ``python -m tests.benchmarks.scaling HOME``.

Runs the shipped ``serveConfigV2`` over a copy of HOME, loads one framework until Serve has as many replicas
of it as it may, then lets it rest until there are as few as it may. Prints one JSON document: the settings,
seconds to the first new replica that answers, to all of them, and back. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import itertools
import json
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import httpx

from tests.declared import Declared, declared_at, shipped

#: Longest wait for growing or shrinking, seconds beside the delays themselves.
PATIENCE_S = 240.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.scaling")
    parser.add_argument("home", type=Path, help="a home with a built embedder; it is copied")
    parser.add_argument("--framework", default="empirical")
    parser.add_argument("--replicas", type=int, default=3, help="as many as there may be")
    parser.add_argument("--target", type=float, default=0.1, help="batches under way in a replica")
    parser.add_argument("--up-s", type=float, default=30.0, help="upscale_after_s")
    parser.add_argument("--down-s", type=float, default=600.0, help="downscale_after_s")
    options = parser.parse_args()
    told = {
        "MAX_REPLICAS": options.replicas,
        "TARGET_ONGOING_REQUESTS": options.target,
        "UPSCALE_AFTER_S": options.up_s,
        "DOWNSCALE_AFTER_S": options.down_s,
    }
    environment = {f"KITE_SERVING__FRAMEWORK__{name}": str(value) for name, value in told.items()}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        left = shutil.ignore_patterns("cache", "run", "queue", "jobs")
        shutil.copytree(options.home.resolve(), home, symlinks=True, ignore=left)
        # More CPUs are promised than there are: what is timed is Serve, not how this machine is filled.
        environment["KITE_RAY__NUM_CPUS"] = "16"
        with declared_at(home, shipped(), environment) as declared:
            found = measured(declared, f"framework-{options.framework}", options)
            settings = {name.lower(): value for name, value in told.items()}
            print(json.dumps({"settings": settings, **found}, indent=1), flush=True)
    return 0


def measured(declared: Declared, application: str, options: argparse.Namespace) -> dict[str, Any]:
    """Return seconds from the beginning of the load, and from its end."""
    stop = threading.Event()
    asking = [threading.Thread(target=_ask, args=(declared, stop, number)) for number in range(8)]
    begun = time.perf_counter()
    for thread in asking:
        thread.start()
    up_s = PATIENCE_S + 2 * options.up_s
    first = _until(declared, application, lambda count: count > 1, up_s)
    every = _until(declared, application, lambda count: count >= options.replicas, up_s)
    stop.set()
    for thread in asking:
        thread.join()
    grown = [None if moment is None else round(moment - begun, 1) for moment in (first, every)]
    ended = time.perf_counter()
    back = _until(declared, application, lambda count: count == 1, PATIENCE_S + 2 * options.down_s)
    return {
        "first_new_replica_s": grown[0],
        "all_replicas_s": grown[1],
        "back_to_the_least_s": None if back is None else round(back - ended, 1),
    }


def _until(declared: Declared, application: str, holds: Any, patience_s: float) -> float | None:
    deadline = time.perf_counter() + patience_s
    while time.perf_counter() < deadline:
        if holds(len(declared.replicas(application, "RUNNING"))):
            return time.perf_counter()
        time.sleep(0.5)
    return None


def _ask(declared: Declared, stop: threading.Event, number: int) -> None:
    """Ask the same claims at another level each time: known to the models, so that frameworks are at work."""
    texts = [f"Report {number}-{item} is 100 pages long." for item in range(64)]
    levels = itertools.cycle(step / 1000.0 for step in range(50, 500))
    with httpx.Client(base_url=declared.head.http_url, timeout=120.0) as client:
        while not stop.is_set():
            alpha = next(levels)
            client.post("/batch/verify", json=[{"claim": text, "alpha": alpha} for text in texts])


if __name__ == "__main__":
    sys.exit(main())
