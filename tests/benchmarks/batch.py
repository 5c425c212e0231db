"""How fast batches go, how much memory they take, and from how many rows on a job pays.

``python -m tests.benchmarks.batch rate|readers|memory|crossover|pool|celery HOME CLAIMS`` prints one JSON
document. HOME has the embedder and knowledge, CLAIMS are JSON Lines. All but ``readers`` and ``memory`` start
the installation of that home and end it again.

- ``rate``: one process alone (``--local``) on one core; then the whole installation with a mapper a core, on
  one core and on two: rows a second once rows are coming, start apart, and CPU time a claim. With ``--rows
  3000,100000`` all but the last are told from fewer rows. On a machine that others use, compare the CPU time.
- ``readers``: the same on a home that is not running, whose files the mappers read themselves.
- ``memory``: the largest resident memory of a batch at several numbers of rows.
- ``crossover``: seconds to the end for small inputs, through the deployments and through mappers.
- ``pool``: the same engine in a plain ``multiprocessing`` pool, which keeps nothing when it is killed.
- ``celery``: that, and the same engine in Celery workers over Redis (``pip install celery``), in one run.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

import psutil

from cluster import head as ray_head
from configs.load import load_settings
from configs.schema import Settings
from data.claims import DEFAULT_TENANT, make_claim
from data.questions import Question
from data.verdicts import Verdict
from deployments.api.answers import verify_answer
from deployments.api.responses import encode
from tasks.kite import start
from tasks.session import connect
from tasks.verify_batch_engine import Engine, open_engine

#: Rows of the small inputs of ``crossover``.
SMALL = (1, 100, 200, 400, 800, 1_600)
#: Claims, others than those measured, that a pool or the deployments answer first.
WARM = 256
_ENGINE: dict[str, Engine] = {}
#: What keeps the engine of a pool's process open: dropped, it would disconnect.
_OPEN = ExitStack()


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.batch", description=__doc__)
    parser.add_argument("what", choices=sorted(_MEASURES))
    parser.add_argument("home", type=Path)
    parser.add_argument("claims", type=Path)
    parser.add_argument("--rows", default="2000", help="rows, or several numbers of them with commas")
    parser.add_argument("--frameworks", default="", help="only these; all if left out")
    options = parser.parse_args(arguments)
    settings = load_settings(environment="testing", environ={}, overrides=[f"home={options.home}"])
    rows = [int(number) for number in options.rows.split(",")]
    with tempfile.TemporaryDirectory(prefix="batch-bench-") as folder:
        bench = Bench(settings, options.claims, Path(folder), options.frameworks)
        print(json.dumps(_MEASURES[options.what](bench, rows), indent=1))
    return 0


class Bench:
    """Runs batches of one home as commands, and watches them."""

    def __init__(self, settings: Settings, claims: Path, folder: Path, frameworks: str) -> None:
        self.settings = settings
        self.folder = folder
        self.frameworks = frameworks
        self._claims = claims
        self._count = itertools.count()

    def source(self, rows: int, first: int = 0) -> Path:
        """Return a file of so many claims from the ``first`` on; ids count on where they come again."""
        path = self.folder / f"claims-{first}-{rows}.jsonl"
        if not path.exists():
            with path.open("w") as stream, self._claims.open() as given:
                lines = itertools.islice(itertools.cycle(given.readlines()), first, first + rows)
                for number, line in enumerate(lines):
                    stream.write(json.dumps({**json.loads(line), "id": number}) + "\n")
        return path

    def claims(self, rows: int) -> list[str]:
        """Return so many claims, the words alone."""
        return [json.loads(line)["claim"] for line in self.source(rows).read_text().splitlines()]

    def run(self, rows: int, *words: str, first: int = 0) -> dict[str, Any]:
        """Run a batch as a command; return its report with wall-clock seconds and the largest memory."""
        out = self.folder / f"out-{next(self._count)}"
        command = [sys.executable, "-m", "tasks.verify_batch", f"--out={out}", *words]
        command += ["--env=testing", f"--set=home={self.settings.home}"]
        command += [f"--frameworks={self.frameworks}"] if self.frameworks else []
        began_s = time.monotonic()
        process = subprocess.Popen([*command, "--", str(self.source(rows, first))], stdout=subprocess.PIPE)
        largest = 0
        while process.poll() is None:
            largest = max(largest, _memory(process.pid))
            time.sleep(0.5)
        told: dict[str, Any] = json.loads(process.communicate()[0])
        return {**told, "wall_s": time.monotonic() - began_s, "largest_mb": largest // 2**20}


def rate(bench: Bench, rows: Sequence[int]) -> dict[str, Any]:
    """Return rows a second and CPU milliseconds a claim, and how they stand to one another."""
    return _beside_one_process(bench, rows, partial(_running, bench.settings))


def readers(bench: Bench, rows: Sequence[int]) -> dict[str, Any]:
    """Return what ``rate`` does, where no installation runs."""
    return _beside_one_process(bench, rows, nullcontext)


def _beside_one_process(
    bench: Bench, rows: Sequence[int], installation: Callable[[], AbstractContextManager[Any]]
) -> dict[str, Any]:
    """Measure on one core and on two; one process alone on a core before and after, for machines drift."""
    found: dict[str, dict[str, Any]] = {}
    _one_process(bench, rows[0], found, "one process")
    for cores, count in ((1, rows[0]), (2, rows[-1])):
        with _on_cores(cores), installation():
            report = bench.run(count, "--through=mappers", f"--workers={cores}", "--part-rows=100")
        _keep(found, f"cores {cores}", report)
    _one_process(bench, rows[0], found, "one process, after")
    before, one, two, after = (each["rows_per_s"] for each in found.values())
    ratios = {"two cores to one": two / one, "two cores to two processes alone": two / (before + after)}
    return {**found, "ratios": {name: round(ratio, 3) for name, ratio in ratios.items()}}


def _one_process(bench: Bench, rows: int, found: dict[str, dict[str, Any]], name: str) -> None:
    with _on_cores(1):
        _keep(found, name, bench.run(rows, "--local", "--part-rows=100"))


def _keep(found: dict[str, dict[str, Any]], name: str, report: dict[str, Any]) -> None:
    """Add a run's rates, and tell them at once: the whole takes most of an hour."""
    found[name] = _rates(report)
    print(json.dumps({name: found[name]}), file=sys.stderr, flush=True)


@contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """Let this process, and what it starts, use so many of its cores."""
    every = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(every)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, every)


@contextmanager
def _running(settings: Settings) -> Iterator[None]:
    start(settings, demo=False)
    try:
        yield
    finally:
        ray_head.stop(settings)


def memory(bench: Bench, rows: Sequence[int]) -> dict[str, Any]:
    """Return the largest resident memory, in MB, of a batch in one process, by rows."""
    found = {}
    for number in rows:
        report = bench.run(number, "--local")
        found[str(number)] = {"largest_mb": report["largest_mb"], **_rates(report)}
    return found


def crossover(bench: Bench, _rows: Sequence[int]) -> dict[str, Any]:
    """Return the seconds that small inputs take, either way: claims that nobody has asked before."""
    found: dict[str, Any] = {}
    with _running(bench.settings):
        bench.run(WARM, "--through=deployments")
        first = WARM
        for rows, through in itertools.product(SMALL, ("deployments", "mappers")):
            report = bench.run(rows, f"--through={through}", first=first)
            found.setdefault(str(rows), {})[through] = round(report["wall_s"], 2)
            first += rows
    return found


def pool(bench: Bench, rows: Sequence[int]) -> dict[str, Any]:
    """Return the rate of two processes of a plain pool beside that of two mappers."""
    with _running(bench.settings):
        return _beside_mappers(bench, rows[0])


def celery(bench: Bench, rows: Sequence[int]) -> dict[str, Any]:
    """Return the rates of two mappers, a plain pool of two, and two Celery processes over Redis.

    Raises:
        SystemExit: Celery is not installed.
    """
    try:
        from tests.benchmarks import celery_pool
    except ModuleNotFoundError as exc:
        raise SystemExit(f"{exc.name} is not installed: pip install celery, for this comparison.") from exc
    with _running(bench.settings):
        claims = bench.claims(rows[0] + WARM)
        return {
            **_beside_mappers(bench, rows[0]),
            **celery_pool.rates(bench.settings.home, claims, bench.folder),
        }


def _beside_mappers(bench: Bench, rows: int) -> dict[str, Any]:
    report = bench.run(rows, "--through=mappers", "--workers=2", "--part-rows=100")
    claims = bench.claims(rows + WARM)
    context = multiprocessing.get_context("spawn")
    with context.Pool(2, open_pooled, (bench.settings.home,)) as workers:
        workers.map(verify_pooled, _groups(claims[-WARM:]), chunksize=1)
        processes = [psutil.Process(child.pid) for child in multiprocessing.active_children() if child.pid]
        used_s, began_s = cpu_s(processes), time.monotonic()
        answers = workers.map(verify_pooled, _groups(claims[:-WARM]), chunksize=1)
        passed_s, took_s = time.monotonic() - began_s, cpu_s(processes) - used_s
    count = sum(map(len, answers))
    told = {"rows_per_s": round(count / passed_s, 2), "cpu_ms_per_claim": round(took_s / count * 1000, 2)}
    return {"mappers 2": _rates(report), "pool of 2": told}


def _groups(claims: Sequence[str]) -> list[Sequence[str]]:
    return [claims[place : place + 64] for place in range(0, len(claims), 64)]


def open_pooled(home: str) -> None:
    """Open the engine of a pool's process, for as long as the process lives."""
    settings = load_settings(environment="testing", environ={}, overrides=[f"home={home}"])
    _OPEN.enter_context(connect(settings))
    _ENGINE["engine"] = _OPEN.enter_context(open_engine(settings, "mappers"))


def verify_pooled(claims: Sequence[str]) -> list[bytes]:
    """Return the documents of claims, in a process in which :func:`open_pooled` was called."""
    engine = _ENGINE["engine"]
    questions = [Question(make_claim(claim), engine.frameworks) for claim in claims]
    verdicts = engine.answer(questions, engine.standpoint(DEFAULT_TENANT))
    documents = []
    for verdict, question in zip(verdicts, questions, strict=True):
        assert isinstance(verdict, Verdict)
        documents.append(encode(verify_answer(verdict, question)))
    return documents


def cpu_s(processes: Sequence[psutil.Process]) -> float:
    """Return the CPU seconds that processes have used."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def _rates(report: dict[str, Any]) -> dict[str, Any]:
    run = report["this_run"]
    return {
        "rows": report["rows"],
        "rows_per_s": run["rows_per_s"],
        "start_s": run["start_s"],
        "cpu_ms_per_claim": report["cpu_ms_per_claim"],
        "degraded": report["degraded"],
    }


def _memory(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


_MEASURES = {
    "rate": rate,
    "readers": readers,
    "memory": memory,
    "crossover": crossover,
    "pool": pool,
    "celery": celery,
}

if __name__ == "__main__":
    sys.exit(main())
