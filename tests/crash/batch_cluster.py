"""Batches on a cluster of two nodes of this machine, with the real models, while its parts are killed.

Called by ``tests.crash.batch_runs --cluster``. The head is what ``kite up`` starts; the second node is a
raylet of its own that joins it, and killing that takes its mappers too. Invariant: what was started here is
ended.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cluster import head as ray_head
from cluster.head import RunningHead, ray_environment
from cluster.processes import RUN_ID_VARIABLE
from configs.load import load_settings
from configs.schema import Settings
from data.batch.manifest import REPORT
from tasks.kite import start
from tests.crash.batch_runs import faults, wait_for

#: What can be killed: the second node's raylet, a mapper, the driver, the keeper of the knowledge.
KINDS = ("raylet", "mapper", "driver", "keeper")
#: Rows of a part here; the longest a batch may take, seconds; how often a batch may be started.
PART_ROWS, LONGEST_S, STARTS = 10, 240.0, 6
#: Frameworks that cost little: what is tried here is who is killed when, not what is answered.
FRAMEWORKS = "utility,power_dynamics,contextual"
_TITLES = {"mapper": "ray::MapWorker", "keeper": "ray::KeeperActor"}
#: How often the head looks whether a node lives, milliseconds: five misses are a death, 15 s as Ray has it.
_LOOKS = {"RAY_health_check_period_ms": "1000"}
_TAIL_CHARS = 2_000


@dataclass(slots=True)
class Cluster:
    """The head of a home and a second node."""

    settings: Settings
    head: RunningHead
    node: subprocess.Popen[bytes] | None = None

    def add_node(self) -> None:
        """Have a second node join, as another machine would."""
        environment = {**os.environ, **ray_environment(self.settings, Path(self.head.temp_dir))}
        self.node = subprocess.Popen(
            [sys.executable, "-m", "tests.crash.second_node", self.head.gcs_address],
            env={**environment, RUN_ID_VARIABLE: self.head.run_id},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def raylet(self) -> int | None:
        """Return the process id of the second node's raylet, ``None`` where it is not there (yet)."""
        if self.node is None or self.node.poll() is not None:
            return None
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.node.pid).children(recursive=True):
                if child.name() == "raylet":
                    return child.pid
        return None

    def replace_node(self, pid: int) -> None:
        """Kill the second node's raylet, wait until the rest of the node is gone, and have another join."""
        os.kill(pid, signal.SIGKILL)
        assert self.node is not None
        self.node.wait(60.0)
        self.add_node()

    def found(self, kind: str) -> list[int]:
        """Return the process ids of mappers or of the keeper: by title, below a raylet of this head."""
        pids = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if " ".join(process.cmdline()).startswith(_TITLES[kind]) and self._is_mine(process):
                    pids.append(process.pid)
        return pids

    def _is_mine(self, process: psutil.Process) -> bool:
        raylet = process.parent()
        return raylet is not None and self.head.temp_dir in " ".join(raylet.cmdline())


@dataclass(slots=True)
class Seen:
    """What a run has seen; ``seconds`` of each batch, ``nodes`` that did rows of it."""

    kills: Counter[str] = field(default_factory=Counter)
    starts: int = 0
    seconds: dict[str, list[float]] = field(default_factory=dict)
    nodes: Counter[int] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return it as it is printed."""
        middle = {kind: sorted(all_s)[len(all_s) // 2] for kind, all_s in self.seconds.items()}
        longest = {kind: max(all_s) for kind, all_s in self.seconds.items()}
        return {
            "kills": self.kills.total(),
            "by_kind": dict(self.kills),
            "batches": sum(map(len, self.seconds.values())),
            "starts": self.starts,
            "batches_by_nodes_that_did_rows": {str(count): n for count, n in sorted(self.nodes.items())},
            "median_s": middle,
            "longest_s": longest,
            "faults": self.faults,
        }


@contextmanager
def running_cluster(home: Path) -> Iterator[Cluster]:
    """Start the head of a home and a second node; end both."""
    settings = load_settings(environment="testing", environ={}, overrides=[f"home={home}"])
    if ray_head.running(settings) is not None:
        raise RuntimeError(f"{home} is running already: it is not this program's to end.")
    os.environ.update(_LOOKS)
    try:
        cluster = Cluster(settings, start(settings, demo=False))
        cluster.add_node()
        if not wait_for(lambda: cluster.raylet() is not None, longest_s=60.0):
            raise RuntimeError("The second node did not start.")
        yield cluster
    finally:
        ray_head.stop(settings)


@dataclass(frozen=True, slots=True)
class Plan:
    """How often is killed, what in turn, and how often during one batch."""

    kills: int
    kinds: Sequence[str]
    each: int
    chance: random.Random

    def kind(self, killed: int) -> str:
        """Return what the next batch loses."""
        return self.kinds[killed // self.each % len(self.kinds)]


def run_cluster(
    home: Path, claims: Path, kills: int, *, kinds: Sequence[str] = KINDS, each: int = 1, seed: int = 0
) -> dict[str, Any]:
    """Kill so often, ``each`` times in a batch, one kind after the other; return what was seen."""
    seen = Seen()
    with tempfile.TemporaryDirectory(prefix="batch-cluster-") as name, running_cluster(home) as cluster:
        whole = Path(name) / "whole"
        if not _is_done(_command(cluster, claims, whole)):
            raise RuntimeError(f"The batch that nobody disturbed did not end: {_log(whole)}")
        with suppress(KeyboardInterrupt):
            _disturb(cluster, claims, whole, Plan(kills, kinds, each, random.Random(seed)), seen)
    return seen.report()


def _disturb(cluster: Cluster, claims: Path, whole: Path, plan: Plan, seen: Seen) -> None:
    """Run batches until so many kills are done, and compare each with the ``whole`` one."""
    # A batch that is done before its turn is killed counts for nothing; there is an end to such.
    for number in range(2 * plan.kills + 10):
        kind, out = plan.kind(seen.kills.total()), whole.with_name(f"out-{number}")
        began_s = time.monotonic()
        seen.kills[kind] += _disturbed(cluster, claims, out, kind, plan, seen)
        took_s = round(time.monotonic() - began_s, 1)
        seen.seconds.setdefault(kind, []).append(took_s)
        told = [f"batch {number}, {kind}: {fault}" for fault in _look(claims, out, whole, seen)]
        seen.faults += told
        shutil.rmtree(out, ignore_errors=True)
        count = seen.kills.total()
        print(f"{count} kills, {kind}, {took_s} s", *told, sep="\n", file=sys.stderr, flush=True)
        if count >= plan.kills:
            return


def _look(claims: Path, out: Path, whole: Path, seen: Seen) -> list[str]:
    """Return the faults of an output, with the driver's last words where there are any."""
    found = faults(claims, out, whole)
    if found:
        return [*found[:20], f"{len(found)} faults; the drivers said: {_log(out)}"]
    report = json.loads((out / REPORT).read_bytes())
    if report["missing"] or report["degraded"]:
        found.append(f"missing {report['missing']}, degraded {report['degraded']}")
    seen.nodes[len(report["rows_by_node"] or {})] += 1
    return found


def _disturbed(cluster: Cluster, claims: Path, out: Path, kind: str, plan: Plan, seen: Seen) -> int:
    """Run a batch to its end and kill something of it again and again; return how often something was."""
    killed = 0
    for _ in range(STARTS + plan.each):
        driver = _command(cluster, claims, out)
        seen.starts += 1
        while killed < plan.each and driver.poll() is None:
            # Sometimes before the first part is there, mostly while parts come in.
            more = plan.chance.choice((0, 1, 1, 2, 3, 5))
            parts = len(_parts(out)) + more
            wait_for(
                lambda parts=parts, driver=driver: len(_parts(out)) >= parts or driver.poll() is not None,  # type: ignore[misc]
                longest_s=LONGEST_S,
                every_s=0.02,
            )
            time.sleep(plan.chance.uniform(0.0, 0.3 if more else 6.0))
            killed += _kill(cluster, kind, driver)
            if kind == "driver":
                break
        if _is_done(driver):
            return killed
    return killed


def _is_done(driver: subprocess.Popen[bytes]) -> bool:
    """Return whether a driver came to the end, dead letters or none; one that does not in time is killed."""
    try:
        return driver.wait(LONGEST_S) in (0, 3)
    except subprocess.TimeoutExpired:
        driver.kill()
        driver.wait()
        return False


def _parts(out: Path) -> list[Path]:
    return list(out.glob("part-*"))


def _kill(cluster: Cluster, kind: str, driver: subprocess.Popen[bytes]) -> int:
    """Kill one of a kind while the driver is at work; return how many were."""
    there: Callable[[], object] = cluster.raylet if kind == "raylet" else lambda: cluster.found(kind)
    if kind != "driver":
        wait_for(lambda: there() or driver.poll() is not None, longest_s=30.0)
    if driver.poll() is not None:
        return 0
    if kind == "driver":
        driver.kill()
        return 1
    if kind == "raylet":
        pid = cluster.raylet()
        if pid is not None:
            cluster.replace_node(pid)
        return int(pid is not None)
    for pid in cluster.found(kind)[:1]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            return 1
    return 0


def _command(cluster: Cluster, claims: Path, out: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tasks.verify_batch", f"--out={out}", f"--part-rows={PART_ROWS}"]
    command += ["--through=mappers", "--workers=2", f"--frameworks={FRAMEWORKS}"]
    command += ["--env=testing", f"--set=home={cluster.settings.home}", "--", str(claims)]
    # A driver that is left over when this program is stopped ends with the head.
    environment = {**os.environ, RUN_ID_VARIABLE: cluster.head.run_id}
    with _log_of(out).open("ab") as log:
        return subprocess.Popen(command, env=environment, stdout=log, stderr=log)


def _log_of(out: Path) -> Path:
    return out.with_suffix(".log")


def _log(out: Path) -> str:
    return _log_of(out).read_text(errors="replace")[-_TAIL_CHARS:]
