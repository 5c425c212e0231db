"""Crash runs of the queue online: the workers of a running installation are killed again and again.

``python -m tests.crash.task_runs --tasks 10000 [--redis]`` starts an installation of its own, queues claims
over HTTP, kills a worker's process with ``kill -9`` every few seconds (with ``--redis`` the server too, at a
third and at two thirds), and prints one JSON document; 1 when a task was lost, is not ended, has no whole
answer to its own claim, or is dead without a reason.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx

from cluster import head as ray_head
from cluster.head import RunningHead
from cluster.processes import processes_of
from configs.load import load_settings
from tasks.kite import start
from tests.redis_server import LastingRedis, lasting_redis

#: Between two kills, seconds: a worker takes some five to start. And the longest run.
KILL_S, LONGEST_S = (4.0, 9.0), 3_600.0
#: Frameworks that are asked: one that is cheap, so that kills hit many batches.
FRAMEWORKS = ["utility"]
#: One task in so many is of a tenant that is suspended while its tasks wait.
SUSPENDED = 50


@dataclass(slots=True)
class Report:
    """What a run saw."""

    tasks: int = 0
    backend: str = "sqlite"
    kills: int = 0
    server_kills: int = 0
    done: int = 0
    dead: int = 0
    attempts: int = 0
    most_attempts: int = 0
    submit_s: float = 0.0
    drain_s: float = 0.0
    faults: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.task_runs")
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--home", type=Path, help="an empty home with models/embedder, to save its download")
    parser.add_argument("--redis", action="store_true")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="task-crash-") as folder, ExitStack() as stack:
        overrides = [f"home={options.home or folder + '/home'}", "auth.mode=required"]
        server = stack.enter_context(lasting_redis(Path(folder))) if options.redis else None
        if server is not None:
            overrides += ["queue.backend=redis", f"queue.url={server.address}"]
        settings = load_settings(environment="testing", environ={}, overrides=overrides)
        report = Report(options.tasks, "redis" if server else "sqlite")
        try:
            head = start(settings, demo=True)
            key = (Path(settings.home) / "secrets" / "admin_key").read_text(encoding="ascii").strip()
            with _clients(head, key) as (client, other):
                Run(head, client, other, server, report, random.Random(options.seed)).play()
        finally:
            ray_head.stop(settings)
    print(json.dumps(asdict(report), indent=1))
    return 1 if report.faults else 0


@contextmanager
def _clients(head: RunningHead, key: str) -> Iterator[tuple[httpx.Client, httpx.Client]]:
    def client(shown: str) -> httpx.Client:
        headers = {"Authorization": f"ApiKey {shown}"}
        return httpx.Client(base_url=f"{head.http_url}/api/v1", headers=headers, timeout=60.0)

    with client(key) as admin:
        admin.post("/admin/tenants", json={"id": "gone", "name": "gone"}).raise_for_status()
        wish = {"name": "w", "roles": ["verifier"], "tenant": "gone"}
        with client(admin.post("/admin/keys", json=wish).json()["key"]) as other:
            yield admin, other


@dataclass(slots=True)
class Run:
    """One run against a running installation; ``other`` speaks for the tenant that is suspended."""

    head: RunningHead
    client: httpx.Client
    other: httpx.Client
    server: LastingRedis | None
    report: Report
    chance: random.Random

    def play(self) -> None:
        """Queue everything, kill until nothing is open, then look at every task."""
        few = self.report.tasks // SUSPENDED
        started = time.monotonic()
        self._submit(self.other, few, "Island")
        # At once: what waits of it then is dead, with that reason.
        self.client.put("/admin/tenants/gone", json={"state": "suspended"}).raise_for_status()
        self._submit(self.client, self.report.tasks - few, "Mount")
        self.report.submit_s = round(time.monotonic() - started, 1)
        started = time.monotonic()
        self._kill_until_drained()
        self.report.drain_s = round(time.monotonic() - started, 1)
        self.client.put("/admin/tenants/gone", json={"state": "active"}).raise_for_status()
        time.sleep(2.0)
        self._check(self.other, few, "Island")
        self._check(self.client, self.report.tasks - few, "Mount")

    def _submit(self, client: httpx.Client, count: int, word: str) -> None:
        items = [
            {"claim": f"{word} Number {n} is {n} metres high.", "id": f"{n}", "frameworks": FRAMEWORKS}
            for n in range(count)
        ]
        for begin in range(0, count, 500):
            answer = _insist(lambda: client.post("/tasks/verify", json=items[begin : begin + 500]))  # noqa: B023
            if answer.status_code != 202:
                self.report.faults.append(f"not taken: {answer.status_code} {answer.text[:200]}")

    def _kill_until_drained(self) -> None:
        deadline = time.monotonic() + LONGEST_S
        thirds = [self.report.tasks * 2 // 3, self.report.tasks // 3] if self.server else []
        next_s = time.monotonic()
        while (left := self._open()) and time.monotonic() < deadline:
            if time.monotonic() >= next_s:
                self._kill_worker()
                next_s = time.monotonic() + self.chance.uniform(*KILL_S)
            if self.server and thirds and left <= thirds[0]:
                thirds.pop(0)
                self.server.restart()
                self.report.server_kills += 1
            time.sleep(0.3)
        if left:
            self.report.faults.append(f"{left} tasks were still open after {LONGEST_S:g} s")

    def _kill_worker(self) -> None:
        alive = [
            process.pid
            for process in processes_of(self.head.run_id, self.head.temp_dir)
            if "queue-worker" in " ".join(process.cmdline()).split(" ")[0]
        ]
        if alive:
            os.kill(self.chance.choice(sorted(alive)), signal.SIGKILL)
            self.report.kills += 1

    def _open(self) -> int:
        counts = _insist(lambda: self.client.get("/admin/queue")).json()
        return sum(int(each["waiting"]) + int(each["leased"]) for each in counts)

    def _check(self, client: httpx.Client, count: int, word: str) -> None:
        seen: set[str] = set()
        cursor = ""
        while True:
            page = _insist(lambda: client.get("/tasks", params={"limit": 1000, "cursor": cursor}))  # noqa: B023
            for task in page.json():
                if task["id"] in seen:
                    self.report.faults.append(f"{word} {task['id']} is there twice")
                seen.add(task["id"])
                self._check_one(client, task, word)
            cursor = page.headers.get("x-next-cursor", "")
            if not cursor:
                break
        lost = {f"{n}" for n in range(count)} - seen
        self.report.faults += [f"{word} {name} is lost" for name in sorted(lost)]

    def _check_one(self, client: httpx.Client, task: dict[str, object], word: str) -> None:
        attempts = int(str(task["attempts"]))
        self.report.attempts += attempts
        self.report.most_attempts = max(self.report.most_attempts, attempts)
        claim = f"{word} Number {task['id']} is {task['id']} metres high."
        if task["state"] == "done":
            self.report.done += 1
            # Every answer is counted, every twentieth is read.
            shown = client.get(f"/tasks/{task['id']}").json() if int(str(task["id"])) % 20 == 0 else None
            if shown is not None and (shown["result"]["claim"] != claim or not shown["result"]["verdict"]):
                self.report.faults.append(f"{word} {task['id']} has another answer")
        elif task["state"] == "dead" and task["error"]:
            self.report.dead += 1
            if word != "Island" and "lease ended" not in str(task["error"]):
                self.report.faults.append(f"{word} {task['id']} is dead: {task['error']}")
        else:
            self.report.faults.append(f"{word} {task['id']} is {task['state']}: {task['error']}")


def _insist(call: object) -> httpx.Response:
    """Return a call's answer, repeated while the service or its Redis is away."""
    deadline = time.monotonic() + 60.0
    while True:
        try:
            answer: httpx.Response = call()  # type: ignore[operator]
            if answer.status_code < 500 or time.monotonic() > deadline:
                return answer
        except httpx.HTTPError:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.3)


if __name__ == "__main__":
    sys.exit(main())
