"""The same engine in Celery workers over Redis, for ``tests.benchmarks.batch``. No part of the product.

Celery is no dependency of ours: ``pip install celery`` for this. Workers import this module: two prefork
processes, JSON both ways, results kept in Redis, everything else as Celery has it by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from celery import Celery, group
from celery.signals import worker_process_init

from tests.benchmarks.batch import WARM, cpu_s, open_pooled, verify_pooled
from tests.redis_server import redis_server

#: Where the workers find Redis and the home.
_REDIS, _HOME = "KITE_BENCH_REDIS", "KITE_BENCH_HOME"
app = Celery("kite-bench", broker=os.environ.get(_REDIS), backend=os.environ.get(_REDIS))
# The engine takes longer to open than Celery waits for a process by itself, and wants a real standard output.
app.conf.update(worker_proc_alive_timeout=600.0, worker_redirect_stdouts=False)


@worker_process_init.connect
def _open(**_: Any) -> None:
    open_pooled(os.environ[_HOME])


@app.task
def verify(claims: list[str]) -> list[str]:
    """Return the document of each claim."""
    return [document.decode() for document in verify_pooled(claims)]


def rates(home: str, claims: Sequence[str], folder: Path) -> dict[str, Any]:
    """Return rates of two Celery processes: a task for each claim, and one for every 64."""
    with redis_server(folder) as address:
        where = address.replace("unix://", "redis+socket://")
        app.conf.update(broker_url=where, result_backend=where)
        return {f"Celery, {size} a task": _rate(home, where, claims, size) for size in (1, 64)}


def _rate(home: str, redis: str, claims: Sequence[str], size: int) -> dict[str, Any]:
    with _worker(home, redis) as worker:
        _collect(claims[-WARM:], size)
        processes = [worker, *worker.children(recursive=True)]
        used_s, began_s = cpu_s(processes), time.monotonic()
        count = _collect(claims[:-WARM], size)
        passed_s = time.monotonic() - began_s
        return {
            "rows_per_s": round(count / passed_s, 2),
            "cpu_ms_per_claim": round((cpu_s(processes) - used_s) / count * 1000, 2),
        }


def _collect(claims: Sequence[str], size: int) -> int:
    """Send claims, so many a task, and fetch all answers; return how many there are."""
    sent = group(
        verify.s(list(claims[place : place + size])) for place in range(0, len(claims), size)
    ).apply_async()
    count = sum(len(documents) for documents in sent.get())
    if count != len(claims):
        raise RuntimeError(f"Celery answered {count} of {len(claims)} claims.")
    sent.forget()
    return count


@contextmanager
def _worker(home: str, redis: str) -> Iterator[psutil.Process]:
    environment = {**os.environ, _REDIS: redis, _HOME: home}
    command = [sys.executable, "-m", "celery", "-A", __name__, "worker"]
    command += ["--pool=prefork", "--concurrency=2", "--loglevel=WARNING"]
    process = subprocess.Popen(command, env=environment, stdout=sys.stderr)
    try:
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(60)
