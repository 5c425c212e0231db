"""Finding and ending exactly the processes of one run, and no others.

Everything that ``kite`` starts inherits ``KITE_RUN_ID`` and keeps its logs under the run's own temporary
folder. Ray overwrites the environment of processes it renames, so either sign counts. Whatever is left
after an orderly stop (HAProxy outlives ``ray stop``) is ended here, by process id.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable

import psutil

#: Environment variable that marks the processes of a run.
RUN_ID_VARIABLE = "KITE_RUN_ID"


def processes_of(run_id: str, temp_dir: str) -> list[psutil.Process]:
    """Return the living processes of a run, this one and its ancestors excepted."""
    mine = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [
        process
        for process in psutil.process_iter()
        if process.pid not in mine and _belongs(process, run_id, temp_dir)
    ]


def end(processes: Iterable[psutil.Process], *, patience_s: float = 5.0) -> None:
    """Ask these processes to end, and kill those that have not after ``patience_s``."""
    asked = list(processes)
    for process in asked:
        _quietly(process.terminate)
    _, alive = psutil.wait_procs(asked, timeout=patience_s)
    for process in alive:
        _quietly(process.kill)
    psutil.wait_procs(alive, timeout=patience_s)


def _belongs(process: psutil.Process, run_id: str, temp_dir: str) -> bool:
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if process.environ().get(RUN_ID_VARIABLE) == run_id:
            return True
        return any(opened.path.startswith(f"{temp_dir}/") for opened in process.open_files())
    except (psutil.Error, OSError):
        return False


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except psutil.NoSuchProcess:
        return
