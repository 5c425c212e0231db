"""Crash runs: writers at full speed, ``kill -9`` of the keeper at a random instant, reopen, check everything.

``make crash`` (``RUNS=200``) prints one JSON document and exits with 1 when anything was lost, doubled or
torn; a few runs belong to the tests. A home lives through several crashes before a new one is made.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

from tests.crash.checker import Found, check
from tests.crash.house import serve
from tests.crash.writers import Write, Writer, start_all

#: Crashes that one home lives through.
LIVES = 5
WRITERS = 8
#: Longest life of a keeper, seconds after it answered; the share of runs killed before it does, and of those
#: in which a compaction begins with the writers.
LONGEST_S, EARLY_SHARE, COMPACT_SHARE = 0.6, 0.15, 0.3
#: Longest wait for a keeper to answer.
START_S = 60.0


@dataclass(slots=True)
class Report:
    """What all runs together saw."""

    runs: int = 0
    killed_while_opening: int = 0
    compactions_begun: int = 0
    rows_erased: int = 0
    acknowledged: int = 0
    rows: int = 0
    unanswered: int = 0
    unanswered_but_written: int = 0
    faults: list[str] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and print; 1 when a fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.runs")
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=20_260_101)
    parser.add_argument("--folder", type=Path, default=quick_folder(), help="where the homes are made")
    options = parser.parse_args(arguments)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="crash-", dir=options.folder) as folder:
        report = run(Path(folder), options.runs, seed=options.seed)
    told = {name: getattr(report, name) for name in Report.__slots__}
    print(json.dumps({**told, "seconds": round(time.monotonic() - started, 1)}, indent=1))
    return 1 if report.faults else 0


def quick_folder() -> Path | None:
    """Return a folder in memory where there is one: ``kill -9`` leaves the system's page cache as it is.

    So the disk's speed only decides how much is written between two crashes.
    """
    memory = Path("/dev/shm")
    return memory if os.access(memory, os.W_OK) else None


def run(folder: Path, runs: int, *, seed: int) -> Report:
    """Return what became of so many crashes."""
    context = multiprocessing.get_context("forkserver")
    # Forked from a process that has imported everything already, a keeper is up in a fraction of a second.
    # DuckDB imports pandas where it is installed; a name that is not there is passed over.
    libraries = ["duckdb", "pyarrow.parquet", "pyoxigraph", "pandas"]
    context.set_forkserver_preload(["tests.crash.checker", *libraries])
    report, chance = Report(), random.Random(seed)
    writers: list[Writer] = []
    home = folder
    for number in range(runs):
        if number % LIVES == 0:
            _count(report, writers)
            home = folder / f"home{number}"
            home.mkdir()
            writers = [Writer(home, f"w{n}", random.Random(chance.random())) for n in range(WRITERS)]
        _crash(context, home, writers, chance=chance, report=report)
        writes = [write for writer in writers for write in writer.writes]
        found = _checked(context, home, writes)
        report.runs += 1
        report.faults += [f"run {number}: {fault}" for fault in found.faults]
        report.unanswered += sum(write.receipt is None for write in writes)
        report.unanswered_but_written += found.happened
        if (number + 1) % LIVES == 0 or number + 1 == runs:
            report.rows += found.rows
            report.rows_erased += found.erased
    _count(report, writers)
    return report


def _count(report: Report, writers: Sequence[Writer]) -> None:
    report.acknowledged += sum(write.receipt is not None for one in writers for write in one.writes)
    report.faults += [f"refused: {text}" for one in writers for text in one.refused]


def _crash(context: Any, home: Path, writers: list[Writer], *, chance: random.Random, report: Report) -> None:
    """Let a keeper live for a while under its writers, and kill it."""
    address = str(home / "socket")
    Path(address).unlink(missing_ok=True)
    keeper = context.Process(target=serve, args=(home, address), daemon=True)
    keeper.start()
    if chance.random() < EARLY_SHARE:
        time.sleep(chance.random() * 0.2)
        report.killed_while_opening += 1
        threads = []
    else:
        _wait(address)
        threads = start_all(writers, address)
        if chance.random() < COMPACT_SHARE:
            report.compactions_begun += 1
            threads.append(threading.Thread(target=_compact, args=(address,)))
            threads[-1].start()
        time.sleep(0.01 + chance.random() * LONGEST_S)
    keeper.kill()
    keeper.join()
    for thread in threads:
        thread.join()


def _compact(address: str) -> None:
    with suppress(EOFError, OSError), Client(address) as connection:
        connection.send(("compact",))
        connection.recv()


def _wait(address: str) -> None:
    """Wait until the keeper answers."""
    deadline = time.monotonic() + START_S
    while True:
        try:
            with Client(address) as connection:
                connection.send(("knowledge_seq",))
                connection.recv()
            return
        except (OSError, EOFError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _checked(context: Any, home: Path, writes: list[Write]) -> Found:
    with context.Pool(1) as pool:
        found: Found = pool.apply(check, (home, writes))
    return found


if __name__ == "__main__":
    sys.exit(main())
