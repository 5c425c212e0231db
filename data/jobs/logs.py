"""A job's log: what its process prints, kept beside where it goes anyway.

Called by ``tasks.run_job``; the API reads the file. Invariant: what comes out on standard output and standard
error, also from libraries that write to them directly, goes to the same places as before and into the file,
which has a bound.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Largest log; what comes after it is only where it goes anyway.
MAX_BYTES = 32 * 1024 * 1024
#: How long the end of the log is waited for when a child of the process still holds the output, seconds.
PATIENCE_S = 2.0
_BLOCK = 64 * 1024


@contextmanager
def logged(path: Path) -> Iterator[None]:
    """Copy what this process prints into a file, at its end, for as long as the block lasts."""
    source, sink = os.pipe()
    kept = os.dup(1), os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    thread = threading.Thread(target=_copy, args=(source, file, kept[0]), name="job-log", daemon=True)
    thread.start()
    _flush()
    os.dup2(sink, 1)
    os.dup2(sink, 2)
    os.close(sink)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept[0], 1)
        os.dup2(kept[1], 2)
        thread.join(PATIENCE_S)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()


def _copy(source: int, file: int, shown: int) -> None:
    left = MAX_BYTES - os.fstat(file).st_size
    while block := os.read(source, _BLOCK):
        _write(shown, block)
        if left > 0:
            _write(file, block[:left])
            left -= len(block)


def _write(descriptor: int, block: bytes) -> None:
    try:
        while block:
            block = block[os.write(descriptor, block) :]
    except OSError:  # a full disk or a reader that is gone: the work goes on without this copy
        return
