"""A log file whose lines are written some at a time, because a process that answers must not stop for each.

A write lets other threads take the interpreter, and a request would pay for the wait to get it back. Lines
are made when they are written, so a record must say by itself what it tells of. Invariant: lines stand in the
file in the order of their records, and a warning is in the file, with all before it, when the call that
logged it returns.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import TextIO

#: Longest that a line below a warning waits for others, and most that wait.
PAUSE_S, MOST_LINES = 0.2, 256


class LineFile(RotatingFileHandler):
    """A rotated file of lines. ``pause()`` is what passes between the first line that waits and the writing.

    A process that is killed at once may lose the lines of its last ``PAUSE_S``, warnings and above excepted.
    """

    def __init__(
        self,
        file: Path,
        *,
        max_bytes: int,
        kept: int,
        pause: Callable[[], None] = lambda: time.sleep(PAUSE_S),
    ) -> None:
        super().__init__(file, maxBytes=max_bytes, backupCount=kept, encoding="utf-8")
        self._pause = pause
        self._waiting: deque[logging.LogRecord] = deque()
        self._writing = threading.Lock()
        self._some = threading.Event()
        threading.Thread(target=self._write_in_turn, name="kite-log", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record; write all that wait if it matters or they are many."""
        self._waiting.append(record)
        if record.levelno >= logging.WARNING or len(self._waiting) >= MOST_LINES:
            self.flush()
        elif not self._some.is_set():
            self._some.set()

    def flush(self) -> None:
        """Write what waits."""
        with self._writing:
            lines = []
            while self._waiting:
                lines += self._line(self._waiting.popleft())
            if not lines:
                return
            try:
                stream = self._with_room()
                stream.write(self.terminator.join([*lines, ""]))
                stream.flush()  # not the library's, which waits for whoever logs just now
            except (OSError, ValueError):  # a full disk, or closed while the process ends
                self.handleError(logging.makeLogRecord({"msg": f"{len(lines)} log lines are lost"}))

    def close(self) -> None:
        """Write what waits, and close."""
        if self.stream is not None:
            self.flush()
        super().close()

    def _line(self, record: logging.LogRecord) -> list[str]:
        try:
            return [self.format(record)]
        except Exception:  # what cannot be told must not break what it tells of
            self.handleError(record)
            return []

    def _with_room(self) -> TextIO:
        """Ask the system for the size, once a writing; the library writes each line twice to measure it."""
        if self.stream is not None and 0 < self.maxBytes <= os.fstat(self.stream.fileno()).st_size:
            self.doRollover()
        self.stream = self.stream or self._open()
        return self.stream

    def _write_in_turn(self) -> None:
        while True:
            self._some.wait()
            self._pause()
            self._some.clear()
            self.flush()
