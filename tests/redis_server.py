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


class LastingRedis:
    """A Redis on a socket in ``folder`` that appends to a file, and can be killed and started on it again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self.address = f"unix://{self._path}"

    def start(self) -> None:
        """Start it on what it left; return when it answers."""
        program = _program()
        command = [program, "--port", "0", "--unixsocket", str(self._path), "--save", ""]
        command += ["--dir", str(self._folder), "--appendonly", "yes", "--appendfsync", "everysec"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _wait_for(self._answers)

    def kill(self) -> None:
        """Kill it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def restart(self) -> None:
        """Kill it and start it again."""
        self.kill()
        self.start()

    def _answers(self) -> bool:
        import redis

        try:
            with redis.Redis(unix_socket_path=str(self._path)) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


@contextmanager
def lasting_redis(folder: Path) -> Iterator[LastingRedis]:
    """Run a Redis that forgets nothing when it is killed."""
    server = LastingRedis(folder)
    server.start()
    try:
        yield server
    finally:
        server.kill()


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
    program = _program()
    server = subprocess.Popen(
        [program, *arguments, "--save", "", "--dir", str(folder)], stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        server.kill()
        server.wait()


def _program() -> str:
    program = shutil.which("redis-server")
    if program is None:
        if os.environ.get("CI"):
            pytest.fail("redis-server is not installed: CI must test the Redis store")
        pytest.skip("redis-server is not installed")
    return program


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
