"""Crash runs of batches: whatever does the work is killed with ``kill -9``, and the batch started again.

``python -m tests.crash.batch_runs --kills 50`` kills the driver of a batch whose engine answers at once, at
random instants, and prints one JSON document; it exits with 1 when a row is lost, comes twice, or differs
from those of a batch that ran through. ``--cluster HOME CLAIMS`` runs the batches of
``tests.crash.batch_cluster`` instead: real models on two nodes, of which raylet, mapper, driver and keeper
are killed in turn (``--kinds``).
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from data.batch.inputs import find_files
from data.batch.manifest import DEAD, SUCCESS
from data.batch.planning import plan
from data.batch.reading import rows_of
from tests.crash.house_of_batches import drive, write_input

#: Rows of one batch, and how long a group of eight takes: a batch is some two seconds of work.
ROWS, PAUSE_S = 1_200, 0.01


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.batch_runs")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--cluster", nargs=2, type=Path, metavar=("HOME", "CLAIMS"), help="on two nodes")
    parser.add_argument(
        "--kinds", default="raylet,mapper,driver,keeper", help="what --cluster kills, in turn"
    )
    parser.add_argument("--each", type=int, default=1, help="how often --cluster kills during one batch")
    options = parser.parse_args(arguments)
    if options.cluster:
        return _told(_on_cluster(options))
    with tempfile.TemporaryDirectory(prefix="batch-crash-") as folder:
        return _told(run(Path(folder), options.kills, seed=options.seed))


def _told(report: dict[str, Any]) -> int:
    print(json.dumps(report, indent=1))
    return 1 if report["faults"] else 0


def _on_cluster(options: argparse.Namespace) -> dict[str, Any]:
    # Here, for that module looks for faults by this one.
    from tests.crash.batch_cluster import KINDS, run_cluster

    kinds = options.kinds.split(",")
    if unknown := sorted(set(kinds) - set(KINDS)):
        raise SystemExit(f"--kinds: {', '.join(unknown)}: use some of {', '.join(KINDS)}.")
    home, claims = options.cluster
    return run_cluster(home, claims, options.kills, kinds=kinds, each=max(1, options.each), seed=options.seed)


def run(folder: Path, kills: int, *, seed: int, rows: int = ROWS, pause_s: float = PAUSE_S) -> dict[str, Any]:
    """Kill drivers so often, each batch going on until it is done; return what was seen."""
    chance = random.Random(seed)
    source = folder / "claims.jsonl"
    write_input(source, rows)
    whole = {form: folder / f"whole-{form}" for form in ("jsonl", "parquet")}
    for form, out in whole.items():
        drive(source, out, form)
    told: dict[str, Any] = {"kills": 0, "batches": 0, "starts": 0, "faults": []}
    while told["kills"] < kills:
        form = ("jsonl", "parquet")[told["batches"] % 2]
        out = folder / f"out-{told['batches']}"
        _play(source, out, form, chance, told, kills=kills, pause_s=pause_s)
        told["faults"] += [f"{out.name}: {fault}" for fault in faults(source, out, whole[form])]
        told["batches"] += 1
    return told


def _play(
    source: Path,
    out: Path,
    form: str,
    chance: random.Random,
    told: dict[str, Any],
    *,
    kills: int,
    pause_s: float,
) -> None:
    """Start a batch and kill it, again and again, until it has come to its end."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.house_of_batches", "pyarrow.parquet"])
    while not (out / SUCCESS).exists():
        driver = context.Process(target=drive, args=(source, out, form), kwargs={"pause_s": pause_s})
        driver.start()
        told["starts"] += 1
        if told["kills"] >= kills:
            driver.join()
            continue
        driver.join(chance.uniform(0.02, 0.9))
        if driver.exitcode is None:
            driver.kill()
            driver.join()
            told["kills"] += 1
        elif driver.exitcode:
            told["faults"].append(f"{out.name}: a driver ended by itself with {driver.exitcode}")
            return


def faults(source: Path, out: Path, whole: Path | None = None) -> list[str]:
    """Return what is wrong with an output: rows lost, twice, of nobody; files unlike those of ``whole``."""
    wanted = {
        (row.file, row.line)
        for part in plan(find_files([str(source)]), part_rows=10_000).parts
        for row in rows_of(part)
    }
    counted = Counter(place for part in sorted(out.glob("part-*")) for place in _places(part))
    if (out / DEAD).exists():
        counted.update((row["file"], row["line"]) for row in map(json.loads, _lines(out / DEAD)))
    found = [f"lost: {place}" for place in sorted(wanted - counted.keys())]
    found += [f"{count} times: {place}" for place, count in sorted(counted.items()) if count > 1]
    found += [f"nobody's: {place}" for place in sorted(counted.keys() - wanted)]
    if whole is not None:
        mine, theirs = _bytes(out), _bytes(whole)
        found += [
            f"differs: {name}" for name in sorted(mine.keys() | theirs) if mine.get(name) != theirs.get(name)
        ]
    if not (out / SUCCESS).exists():
        found.append("it is not done")
    return found


def _places(part: Path) -> list[tuple[str, int]]:
    if part.suffix == ".parquet":
        return [
            (row["file"], row["line"]) for row in pq.read_table(part, columns=["file", "line"]).to_pylist()
        ]
    return [(row["file"], row["line"]) for row in map(json.loads, _lines(part))]


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def _bytes(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (*out.glob("part-*"), *out.glob(DEAD))}


def wait_for(is_true: Any, *, longest_s: float, every_s: float = 0.1) -> bool:
    """Wait until something holds; false when it does not in time."""
    deadline = time.monotonic() + longest_s
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(every_s)
    return True


if __name__ == "__main__":
    sys.exit(main())
