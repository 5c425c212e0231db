"""A home moved to another place answers the same: ``python -m tests.benchmarks.moving HOME [CLAIMS]``.

Does what docs/operations.md tells: starts an installation over a copy of HOME, asks it, stops it, copies its
home as to another machine, starts that with nothing but the copy, and compares each answer byte by byte; then
once more without what the cache remembers. Prints one JSON document; exits with 1 if a byte differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx

from cluster import head as ray_head
from configs.load import load_settings
from tests.kite_command import kite

#: What is read beside verdicts: knowledge, its history, vectors, jobs and the settings of tenants.
READ = (
    "/api/v1/verdicts?limit=50",
    "/api/v1/knowledge/facts?limit=100",
    "/api/v1/knowledge/sources",
    "/api/v1/knowledge/patterns",
    "/api/v1/datasets/",
    "/api/v1/schedules",
    "/api/v1/jobs",
    "/api/v1/admin/tenants",
    "/api/v1/admin/frameworks",
    "/api/v1/calibration",
)


def main() -> int:
    """Move and compare."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.moving")
    parser.add_argument("home", type=Path, help="a home with a built embedder; it is copied")
    parser.add_argument(
        "claims", type=Path, nargs="?", help="a file with a claim a line, or JSON with `claim`"
    )
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    claims = _claims(options.claims, options.count)
    with tempfile.TemporaryDirectory() as folder:
        places = [Path(folder) / name for name in ("here", "there", "afresh")]
        left = shutil.ignore_patterns("cache", "run")
        shutil.copytree(options.home.resolve(), places[0], symlinks=True, ignore=left)
        told = [_answers(places[0], claims)]
        for before, after in pairwise(places):
            subprocess.run(["cp", "-a", str(before), str(after)], check=True)
            shutil.rmtree(before)  # nothing of the old place is left to lean on
            if after.name == "afresh":
                shutil.rmtree(after / "cache")
            told.append(_answers(after, claims))
    differ = {
        name: [what for what in told[0] if one[what] != told[0][what]]
        for name, one in zip(("moved", "moved, cache lost"), told[1:], strict=True)
    }
    print(json.dumps({"compared": len(told[0]), "claims": len(claims), "differ": differ}, indent=1))
    return 1 if any(differ.values()) else 0


def _claims(file: Path | None, count: int) -> list[str]:
    if file is None:
        return [f"Mount Everest is {8_840 + number} metres high." for number in range(count)]
    lines = file.read_text(encoding="utf-8").splitlines()[:count]
    return [json.loads(line)["claim"] if line.startswith("{") else line for line in lines]


def _answers(home: Path, claims: list[str]) -> dict[str, str]:
    """Return the SHA-256 of every answer of an installation over this home, started and stopped for it."""
    chosen = [f"home={home}"]
    settings = load_settings(environment="testing", environ={}, overrides=chosen)
    begun = time.perf_counter()
    try:
        kite("up", environment="testing", settings=chosen)
        head = ray_head.running(settings)
        assert head is not None
        with httpx.Client(base_url=head.http_url, timeout=120.0) as client:
            found = _asked(client, claims)
        kite("down", environment="testing", settings=chosen)
    finally:
        ray_head.stop(settings)
    print(f"{home.name}: {len(found)} answers in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
    return found


def _asked(client: httpx.Client, claims: list[str]) -> dict[str, str]:
    found: dict[str, Any] = {}
    for claim in claims:
        answer = client.post("/verify", json={"claim": claim})
        found[f"verify {claim}"] = answer
        identity = answer.json()["verdict"]["id"]
        found[f"replay {claim}"] = client.post(f"/api/v1/verdicts/{identity}/replay")
    found |= {path: client.get(path) for path in READ}
    for what, answer in found.items():
        assert answer.status_code == 200, (what, answer.text)
    return {what: hashlib.sha256(answer.content).hexdigest() for what, answer in found.items()}


if __name__ == "__main__":
    sys.exit(main())
