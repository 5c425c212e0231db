"""Crash runs of a whole installation: ``kill -9`` of every process of the Ray cluster while clients write.

``python -m tests.crash.cluster --runs 5`` prints one JSON document and exits with 1 when an acknowledged
write is lost or doubled. Needs a machine on which a cluster can be started; takes about a minute a run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from cluster import head as ray_head
from cluster.processes import processes_of
from configs.load import load_settings
from configs.schema import Settings
from tasks.maintenance import stopped_keeper

CLIENTS = 4
#: How long clients write before the kill, seconds.
SHORTEST_S, LONGEST_S = 1.0, 6.0
#: Starts begun before a run is given up.
ATTEMPTS = 3


@dataclass(slots=True)
class Client:
    """One thread that sends documents and facts, each under a key of its own."""

    name: str
    acknowledged: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)

    def run(self, address: str) -> None:
        """Write until the service is gone; first repeat what was not answered."""
        with httpx.Client(base_url=address, timeout=30.0) as client:
            while True:
                if len(self.sent) == len(self.acknowledged):
                    self.sent.append(f"{self.name}-{len(self.sent)}")
                name = self.sent[-1]
                body = {"id": name, "text": f"The tower {name} stands at the river."}
                try:
                    answer = client.post(
                        "/api/v1/knowledge/documents", json=body, headers={"Idempotency-Key": f"key-{name}"}
                    )
                except httpx.HTTPError:
                    return
                if answer.status_code not in {200, 201}:
                    return
                self.acknowledged.append(name)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when something is wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.cluster")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--embedder", type=Path, help="folder of a built embedder, so that none is built")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="crash-cluster-") as folder:
        home = Path(folder)
        if options.embedder:
            shutil.copytree(options.embedder, home / "models" / "embedder")
        settings = load_settings(environment="testing", environ={}, overrides=[f"home={home}"])
        try:
            report = run(settings, options.runs)
        finally:
            ray_head.stop(settings)
    print(json.dumps(report, indent=1))
    return 1 if report["faults"] else 0


def run(settings: Settings, runs: int) -> dict[str, Any]:
    """Crash the installation so often, then read its home."""
    clients = [Client(f"c{n}") for n in range(CLIENTS)]
    chance, killed, started = random.Random(3), [], []
    for _ in range(runs):
        began = time.monotonic()
        _up(settings)
        started.append(round(time.monotonic() - began, 1))
        head = ray_head.recorded(settings)
        assert head is not None
        threads = [threading.Thread(target=one.run, args=(head.http_url,)) for one in clients]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(SHORTEST_S, LONGEST_S))
        processes = processes_of(head.run_id, head.temp_dir)
        for process in processes:
            process.kill()
        killed.append(len(processes))
        for thread in threads:
            thread.join()
        ray_head.stop(settings)
    return {
        "runs": runs,
        "processes_killed": killed,
        "start_s": started,
        "acknowledged": sum(len(one.acknowledged) for one in clients),
        "faults": _faults(settings, clients),
    }


def _up(settings: Settings) -> None:
    command = [sys.executable, "-m", "tasks.kite", "up", "--no-demo", "--env", "testing"]
    command += ["--set", f"home={settings.home}"]
    for attempt in range(ATTEMPTS):
        # A start that is too slow for a busy machine is no fault of what was killed: it is begun again.
        if subprocess.run(command, check=False, stdout=subprocess.DEVNULL).returncode == 0:
            return
        ray_head.stop(settings)
        sys.stderr.write(f"start {attempt + 1} did not come up\n")
    raise RuntimeError(f"The installation in {settings.home} did not start {ATTEMPTS} times.")


def _faults(settings: Settings, clients: Sequence[Client]) -> list[str]:
    with stopped_keeper(settings, with_vectors=False) as keeper:
        entries = keeper.read_entries(0, 1_000_000)
        written = Counter(entry.key for entry in entries if entry.kind == "document.put")
        acknowledged = {name for one in clients for name in one.acknowledged}
        faults = [f"lost: {name}" for name in sorted(acknowledged - written.keys())]
        faults += [f"{count} times: {name}" for name, count in sorted(written.items()) if count > 1]
        unknown = written.keys() - {name for one in clients for name in one.sent}
        faults += [f"nobody sent {name}" for name in sorted(unknown)]
        return [*faults, *keeper.check(views=True).faults]


if __name__ == "__main__":
    sys.exit(main())
