"""Ending exactly the processes of one run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from cluster.processes import RUN_ID_VARIABLE, end, processes_of

SLEEP = [sys.executable, "-c", "import sys,time; print('up', flush=True); time.sleep(60)"]
STUBBORN = [
    sys.executable,
    "-c",
    "import signal as s, time; s.signal(s.SIGTERM, s.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def started(command: list[str], **environment: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    return process


def test_processes_are_known_by_their_mark_and_others_are_left_alone(tmp_path: Path) -> None:
    """Only what carries the run's mark is found and ended, even if it ignores SIGTERM."""
    mine = [started(SLEEP, **{RUN_ID_VARIABLE: "run-a"}), started(STUBBORN, **{RUN_ID_VARIABLE: "run-a"})]
    other = started(SLEEP, **{RUN_ID_VARIABLE: "run-b"})
    try:
        found = processes_of("run-a", str(tmp_path))
        assert {process.pid for process in found} == {process.pid for process in mine}

        end(found, patience_s=0.5)

        assert processes_of("run-a", str(tmp_path)) == []
        assert other.poll() is None
    finally:
        other.kill()
        for process in (*mine, other):
            process.wait()


def test_process_without_the_mark_is_known_by_its_open_log(tmp_path: Path) -> None:
    """Ray overwrites the environment of processes it renames; their logs give them away."""
    log = tmp_path / "worker.log"
    code = f"import time; f = open({str(log)!r}, 'w'); print('up', flush=True); time.sleep(60)"
    process = started([sys.executable, "-c", code])
    try:
        assert [found.pid for found in processes_of("no-such-run", str(tmp_path))] == [process.pid]
    finally:
        process.kill()
        process.wait()
