"""What an installation takes: ``python -m tests.benchmarks.footprint HOME [--tree FOLDER] [--write]``.

Starts an installation with the embedder of HOME, lets it rest, and prints one JSON document: seconds of each
phase of the start, memory of each process (USS: its own pages; PSS: its share of all, so that shared pages
count once), and the sizes of what the image holds. ``--tree`` measures another version, checked out there,
``--write`` puts the tables into ``docs/scaling.md``. Never a pass or a failure.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import msgspec
import psutil

from cluster.head import PROJECT_ROOT, RunningHead
from cluster.processes import end, processes_of

MB = 1_000_000
START, END = "<!-- footprint -->\n", "<!-- end of footprint -->\n"
PAGE = PROJECT_ROOT / "docs" / "scaling.md"
#: What ``.ci/slim-venv`` takes out of the image.
LEFT_OUT = {"tests", "__pycache__", "jars", "pip", "setuptools"}
_PINNED = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)(?:==| @)", re.MULTILINE)
_PHASE = re.compile(r"✓ (?P<what>.+) \((?P<seconds>[0-9.]+) s\)")
_REPLICA = re.compile(r"ray::ServeReplica:(?P<application>[^:]+):")
#: Titles of processes by what they begin with; the first that fits counts.
_KNOWN = (
    ("ray::KeeperActor", "keeper"),
    ("ray::ModelsActor", "models"),
    ("ray::PassageIndexActor", "index/passages"),
    ("ray::VectorsActor", "vectors"),
    ("ray::ServeController", "Serve: controller"),
    ("ray::ProxyActor", "Serve: proxy"),
    ("ray::HAProxyManager", "Serve: HAProxy manager"),
    ("ray::IDLE", "Ray: idle worker"),
    ("ray::", "Ray: other worker"),
    ("ray-dashboard", "Ray: dashboard"),
)
#: Programs by a word of their command line.
_WORDS = (
    ("multiprocessing", "tracker of shared resources"),
    ("ray.util.client", "Ray: client server"),
    ("monitor.py", "Ray: autoscaler"),
)
_PROGRAMS = (
    "gcs_server",
    "raylet",
    "haproxy",
    "dashboard_agent",
    "runtime_env_agent",
    "dashboard",
    "ray start",
)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.footprint")
    parser.add_argument("home", type=Path, help="a home with a built embedder; it is copied")
    parser.add_argument("--tree", type=Path, default=PROJECT_ROOT, help="the version that is measured")
    parser.add_argument("--rest-s", type=float, default=30.0, help="seconds of rest before memory is read")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/scaling.md")
    options = parser.parse_args()
    told = {**_running(options.home, options.tree.resolve(), options.rest_s), "image_mb": _image()}
    if options.write:
        page = PAGE.read_text(encoding="utf-8")
        head, _, rest = page.partition(START)
        PAGE.write_text(head + START + _table(told) + END + rest.partition(END)[2], encoding="utf-8")
    print(json.dumps(told, indent=1))
    return 0


def _running(source: Path, tree: Path, rest_s: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        (home / "models").mkdir(parents=True)
        shutil.copytree(source.resolve() / "models" / "embedder", home / "models" / "embedder")
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("RAY_", "KITE_"))}
        environment = {**clean, "KITE_ENV": "testing", "KITE_HOME": str(home), "PYTHONPATH": str(tree)}
        begun = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-m", "tasks.kite", "up"],
            cwd=tree, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        took_s = round(time.perf_counter() - begun, 1)
        state = home / "run" / "cluster.json"
        if done.returncode or not state.exists():
            sys.exit(done.stdout + done.stderr)
        head = msgspec.json.decode(state.read_bytes(), type=RunningHead)
        try:
            time.sleep(rest_s)
            memory = _memory(processes_of(head.run_id, head.temp_dir))
        finally:
            end(processes_of(head.run_id, head.temp_dir))
            end(processes_of(head.run_id, head.temp_dir))
            shutil.rmtree(head.temp_dir, ignore_errors=True)
    phases = {found["what"]: float(found["seconds"]) for found in _PHASE.finditer(done.stderr + done.stdout)}
    return {"start_s": {**phases, "whole": took_s}, **memory}


def _memory(processes: list[psutil.Process]) -> dict[str, Any]:
    """Return megabytes by what the processes are, the largest first."""
    found: dict[str, dict[str, float]] = defaultdict(lambda: {"processes": 0, "uss_mb": 0.0, "pss_mb": 0.0})
    for process in processes:
        try:
            told, title = process.memory_full_info(), " ".join(process.cmdline())
        except psutil.Error:
            continue
        row = found[_name(title)]
        row["processes"] += 1
        row["uss_mb"] += told.uss / MB
        row["pss_mb"] += told.pss / MB
    rows = {
        name: {key: round(value) for key, value in row.items()}
        for name, row in sorted(found.items(), key=lambda item: -item[1]["pss_mb"])
    }
    whole = {key: sum(row[key] for row in rows.values()) for key in ("processes", "uss_mb", "pss_mb")}
    return {"memory": rows, "memory_whole": whole}


def _name(title: str) -> str:
    replica = _REPLICA.match(title)
    if replica:
        return replica["application"]
    for begins, name in _KNOWN:
        if title.startswith(begins):
            return name
    for word, name in _WORDS:
        if word in title:
            return name
    program = next((word for word in _PROGRAMS if word in title.replace("/", " ").replace(".py", "")), None)
    return (
        f"Ray: {program}"
        if program and program != "haproxy"
        else program or Path(title.split(maxsplit=1)[0]).name
    )


def _image() -> dict[str, int]:
    """Return megabytes of what the image holds beside its base: packages of the lock, and our own."""
    sizes = {name: _package(name) for name in _locked()}
    own = {
        f"our {name}": _size(PROJECT_ROOT / name)
        for name in ("models", "demo", "data", "deployments", "tasks")
    }
    largest = dict(sorted(sizes.items(), key=lambda item: -item[1])[:14])
    rest = sum(sizes.values()) - sum(largest.values())
    return {name: round(size / MB) for name, size in {**largest, "other packages": rest, **own}.items()}


def _locked() -> list[str]:
    texts = [(PROJECT_ROOT / f"requirements{name}.lock").read_text() for name in ("", "-models")]
    return sorted({found["name"] for text in texts for found in _PINNED.finditer(text)} - LEFT_OUT)


def _package(name: str) -> int:
    """Return the bytes of an installed package; 0 of one that this system does not need."""
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        return 0
    kept = [file for file in files if not LEFT_OUT & set(file.parts)]
    return sum(Path(str(file.locate())).stat().st_size for file in kept if Path(str(file.locate())).is_file())


def _size(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, folders, files in os.walk(path):
        folders[:] = [name for name in folders if name not in {"tests", "__pycache__", "jars"}]
        total += sum(os.lstat(os.path.join(folder, name)).st_size for name in files)
    return total


def _table(told: dict[str, Any]) -> str:
    lines = ["| process | how many | own pages, MB | share of all, MB |", "|---|---|---|---|"]
    rows = {**told["memory"], "**all**": told["memory_whole"]}
    lines += [
        f"| {name} | {row['processes']} | {row['uss_mb']} | {row['pss_mb']} |" for name, row in rows.items()
    ]
    lines += ["", "| phase of the start | seconds |", "|---|---|"]
    lines += [f"| {what} | {seconds} |" for what, seconds in told["start_s"].items()]
    lines += ["", "| in the image | MB |", "|---|---|"]
    lines += [f"| {name} | {size} |" for name, size in told["image_mb"].items() if size]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
