"""A Redis of our own for tests and benchmarks: skipped on a laptop without one, a failure in CI."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis on a socket in ``folder``; yield its address."""
    path = folder / "s"
    with _running("--port", "0", "--unixsocket", str(path), folder=folder):
        _wait_for(path.exists)
        yield f"unix://{path}"


@contextmanager
def redis_cluster(folder: Path) -> Iterator[str]:
    """Run a cluster of one Redis, which refuses scripts over keys of different slots; yield its address."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    # The bus would take the port plus 10,000, which may be none.
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        bus = taken.getsockname()[1]
    with _running("--port", str(port), "--cluster-port", str(bus), "--cluster-enabled", "yes", folder=folder):
        _wait_for(lambda: _ask(port, "PING") == "True")
        _ask(port, "CLUSTER", "ADDSLOTSRANGE", "0", "16383")
        _wait_for(lambda: "cluster_state:ok" in _ask(port, "CLUSTER", "INFO"))
        yield f"redis+cluster://127.0.0.1:{port}"


@contextmanager
def _running(*arguments: str, folder: Path) -> Iterator[None]:
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed: CI must test the Redis store")
        pytest.skip("redis-server is not installed")
    server = subprocess.Popen(
        [program, *arguments, "--save", "", "--dir", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _ask(port: int, *words: str) -> str:
    """Send one command; return its answer, empty while nobody listens."""
    import redis

    try:
        with redis.Redis(port=port, decode_responses=True) as client:
            return str(client.execute_command(*words))
    except redis.RedisError:
        return ""


def _wait_for(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not ready():
        assert time.monotonic() < deadline, "redis-server does not answer"
        time.sleep(0.02)
