"""What measurements of backups share: prepared homes, commands in processes of their own, noted failures.

Used by ``tests.benchmarks.backups`` and its parts. Invariant: a prepared home is never written to; each
measurement works on a copy.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from data.backups.creation import Created, Place, Wanted, create
from data.backups.manifest import Kind
from data.backups.sealing import PlainSealer
from data.backups.targets import FolderTarget
from data.clock import SystemClock
from tests.benchmarks.backup_homes import clone, fill

Report = dict[str, Any]
T = TypeVar("T")
ROOT = Path(__file__).resolve().parents[2]
#: Passages of the home in which damage and kills are tried many times.
SMALL = 5_000


class Bench:
    """The homes that are measured, the chances that are taken, and what did not hold."""

    def __init__(self, folder: Path, passages: int, runs: int) -> None:
        self.passages, self.runs = passages, runs
        self.failures: list[str] = []
        self.chance = random.Random(20260101)
        self.folder, self.work = folder, folder / "work"
        shutil.rmtree(self.work, ignore_errors=True)

    def home(self, passages: int, name: str = "home") -> Path:
        """Return a copy of a home of so many passages, which is prepared once."""
        prepared, draft = self.folder / f"home-{passages}", self.folder / f"draft-{passages}"
        if not prepared.exists():
            shutil.rmtree(draft, ignore_errors=True)
            fill(draft, passages)
            draft.rename(prepared)
        return clone(prepared, self.work / name)

    def target(self, name: str = "target") -> Path:
        """Return a folder for backups in which there is nothing."""
        shutil.rmtree(self.work / name, ignore_errors=True)
        return self.work / name

    def expect(self, holds: bool, told: str) -> None:
        """Note what does not hold."""
        if not holds:
            self.failures.append(told)


def place_of(home: Path, target: Path) -> Place:
    """Return a home and where its backups are, unsealed."""
    return Place(home, FolderTarget(target), PlainSealer())


def backed_up(home: Path, target: Path, kind: Kind = "full", *, views: bool = False) -> Created:
    """Take a backup in this process."""
    return create(place_of(home, target), SystemClock(), wanted=Wanted(kind, None, views))


def command(name: str, home: Path, target: Path, *arguments: str) -> Report:
    """Run a command of ``tasks.backup`` to its end and return its report."""
    child = start(name, home, target, *arguments)
    out, _ = child.communicate()
    if child.returncode:
        raise RuntimeError(f"{name} of {home} failed with {child.returncode}")
    return dict(json.loads(out))


def start(name: str, home: Path, target: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Start a command: ``recover`` is one of ``tasks.kite``, the others are of ``tasks.backup``."""
    module = "tasks.kite" if name == "recover" else "tasks.backup"
    line = [sys.executable, "-m", module, name, *arguments, "--target", str(target), "--set", f"home={home}"]
    line += ["--json"] if name == "recover" else []
    return subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE)


def timed(work: Callable[[], T]) -> tuple[T, float]:
    """Return what some work gave and how many seconds it took."""
    started = time.perf_counter()
    done = work()
    return done, round(time.perf_counter() - started, 3)


def wait_for(reached: Callable[[], bool], *, seconds: float = 300.0) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it never was.
    """
    deadline = time.monotonic() + seconds
    while not reached():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not reached within {seconds:g} s")
        time.sleep(0.05)
