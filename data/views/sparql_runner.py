"""SPARQL with limits of time, memory and rows: queries run in processes of their own, over checkpoints.

Called by the library. A checkpoint is made when a query comes and the statements have changed since the last
one. Invariant: no query holds up a write for longer than a checkpoint takes, nor outlives its time.
"""

from __future__ import annotations

import os
import queue
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from data.errors import CapacityError, InvalidValueError, QueryLimitError, StoreUnavailableError
from data.rdf import check_query
from data.views.sparql import SparqlAnswer
from data.views.sparql_worker import LENGTH, Answered, Asked, frame

#: Longest query, in characters: one that needs more is made by a program and holds data.
MAX_QUERY_CHARS = 100_000
#: Largest answer, in bytes: it passes through two more processes on its way.
MAX_ANSWER_BYTES = 16 * 1024 * 1024
#: Longest wait for a free process before a query is turned away.
_WAIT_S = 2.0
_DECODER = msgspec.msgpack.Decoder(Answered)


@dataclass(frozen=True, slots=True)
class SparqlLimits:
    """What one query may take, and how many run at once."""

    timeout_s: float = 10.0
    memory_bytes: int = 1024 * 1024 * 1024
    rows: int = 10_000
    workers: int = 2


class SparqlRunner:
    """Runs queries over checkpoints of one graph. Any thread may ask.

    ``version`` says which statements there are now; ``write_checkpoint`` writes them to a new folder and
    returns their version. Folders lie under ``folder``, which belongs to the runner alone.
    """

    def __init__(
        self,
        folder: Path,
        *,
        version: Callable[[], int],
        write_checkpoint: Callable[[Path], int],
        limits: SparqlLimits | None = None,
    ) -> None:
        self._limits = limits or SparqlLimits()
        self._folder = folder
        self._version = version
        self._write_checkpoint = write_checkpoint
        self._lock = threading.Lock()
        self._newest: tuple[int, Path] | None = None
        self._number = 0
        self._workers = [_Worker(self._limits.memory_bytes) for _ in range(self._limits.workers)]
        self._free: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in self._workers:
            self._free.put(worker)

    def run(self, graphs: Sequence[str], sparql: str, *, most: int | None = None) -> SparqlAnswer:
        """Answer a query whose world is ``graphs``, in at most ``most`` rows.

        Raises:
            InvalidValueError: not a query, one that calls another server, or too many rows.
            QueryLimitError: it needs more time or memory than a query may have.
            CapacityError: as many queries as may run at once are running.
        """
        if len(sparql) > MAX_QUERY_CHARS:
            raise InvalidValueError(f"The query is longer than {MAX_QUERY_CHARS} characters: shorten it.")
        check_query(sparql)
        try:
            worker = self._free.get(timeout=_WAIT_S)
        except queue.Empty:
            raise CapacityError(
                f"{len(self._workers)} SPARQL queries are running already: send this one again in a second.",
                1.0,
            ) from None
        try:
            limits = self._limits
            rows = min(limits.rows, most if most is not None else limits.rows)
            checkpoint = self._checkpoint(worker)
            told = worker.ask(Asked(str(checkpoint), list(graphs), sparql, rows, limits.timeout_s))
        finally:
            self._free.put(worker)
        if told.refusal is not None:
            raise InvalidValueError(told.refusal)
        return SparqlAnswer(told.media_type, told.body)

    def forget(self) -> None:
        """Remove the checkpoints; the next query makes one."""
        with self._lock:
            self._newest = None
            shutil.rmtree(self._folder, ignore_errors=True)

    def close(self) -> None:
        """End the processes and remove the checkpoints."""
        for worker in self._workers:
            worker.end()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _checkpoint(self, worker: _Worker) -> Path:
        """Return the checkpoint of the statements there are now; ``worker`` is about to open it."""
        with self._lock:
            if self._newest is None:
                shutil.rmtree(self._folder, ignore_errors=True)  # of a process that was killed
            if self._newest is None or self._newest[0] != self._version():
                self._number += 1
                self._folder.mkdir(parents=True, exist_ok=True)
                path = self._folder / str(self._number)
                self._newest = (self._write_checkpoint(path), path)
            worker.folder = self._newest[1]
            used = {one.folder for one in self._workers} | {self._newest[1]}
            for old in sorted(set(self._folder.iterdir()) - used):
                shutil.rmtree(old, ignore_errors=True)
            return self._newest[1]


class _Worker:
    """One process, started when it is first asked and again after it was killed. One thread at a time."""

    def __init__(self, memory_bytes: int) -> None:
        self._memory_bytes = memory_bytes
        self._process: subprocess.Popen[bytes] | None = None
        self._closed = False
        #: The checkpoint it has open, or is about to open.
        self.folder: Path | None = None

    def ask(self, asked: Asked) -> Answered:
        """Return what the process answers within the query's time."""
        process = self._running()
        assert process.stdin is not None  # noqa: S101 - started with pipes
        assert process.stdout is not None  # noqa: S101
        try:
            process.stdin.write(frame(msgspec.msgpack.encode(asked)))
            process.stdin.flush()
            blob = _read_frame(process.stdout, time.monotonic() + asked.limit_s)
        except TimeoutError:
            self._kill()
            raise _too_slow(asked.limit_s) from None
        except (OSError, EOFError):
            code = self._kill()
            raise self._ended(code, asked) from None
        except BaseException:
            self._kill()
            raise
        return _DECODER.decode(blob)

    def end(self) -> None:
        """End the process for good."""
        self._closed = True
        self._kill()

    def _running(self) -> subprocess.Popen[bytes]:
        if self._closed:
            raise StoreUnavailableError("The graph is closed: open it again.")
        if self._process is None or self._process.poll() is not None:
            self._kill()
            path = os.pathsep.join(entry for entry in sys.path if entry)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "data.views.sparql_worker", str(self._memory_bytes)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                # Each thread that RocksDB starts may take an arena of its own, 64 MB of addresses: enough of
                # them at once and a query has none left (measured: 458 to over 1,024 MB; 266 with two).
                env={**os.environ, "PYTHONPATH": path, "MALLOC_ARENA_MAX": "2"},
            )
        return self._process

    def _kill(self) -> int:
        """End the process, if there is one, and return how it ended."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            process.wait(timeout=0 if process.stdin is None else 0.05)
        except subprocess.TimeoutExpired:
            process.kill()
        code = process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not written yet has no reader any more
                    continue
        return code

    def _ended(self, code: int, asked: Asked) -> Exception:
        if code == -signal.SIGALRM:
            return _too_slow(asked.limit_s)
        if code < 0:
            return QueryLimitError(
                f"The query needs more than {self._memory_bytes // 2**20} MB of memory, or is nested too "
                "deeply: join fewer patterns, or add a LIMIT inside."
            )
        return StoreUnavailableError("The process that runs SPARQL queries has stopped: try again.")


def _too_slow(limit_s: float) -> QueryLimitError:
    return QueryLimitError(
        f"The query did not finish within {limit_s:g} s: join its patterns by shared variables, name "
        "subjects or predicates, or add a LIMIT."
    )


def _read_frame(pipe: IO[bytes], deadline: float) -> bytes:
    (size,) = LENGTH.unpack(_read(pipe.fileno(), LENGTH.size, deadline))
    if size > MAX_ANSWER_BYTES:
        raise InvalidValueError(
            f"The answer is larger than {MAX_ANSWER_BYTES // 2**20} MB: add a LIMIT, or ask for less."
        )
    return _read(pipe.fileno(), size, deadline)


def _read(descriptor: int, size: int, deadline: float) -> bytes:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    parts: list[bytes] = []
    while size:
        if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise TimeoutError
        part = os.read(descriptor, min(size, 1 << 20))
        if not part:
            raise EOFError
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
