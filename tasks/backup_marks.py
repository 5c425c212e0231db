"""Tells monitoring what ``tasks.backup`` has done. Invariant: a store that is away harms no backup."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from cluster.wiring import open_store
from configs.schema import Settings
from data.backups.marks import STREAM, BackupMarks
from data.clock import SystemClock
from data.errors import KiteError

#: Seconds between two marks of a running stream.
STREAM_EVERY_S = 10.0


class Teller:
    """Marks successes in the installation's store; ``seconds`` counts from when it was made."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._begun_s = time.monotonic()
        self._streamed_s: float | None = None

    def tell(self, what: str, *, size_bytes: int = 0, seq: int = 0, faults: int = 0) -> None:
        """Note that ``what`` has just been done; when that cannot be noted, say so and go on."""
        seconds = round(time.monotonic() - self._begun_s, 3)
        try:
            marks = BackupMarks(open_store(self._settings), SystemClock())
            marks.set(what, seconds=seconds, size_bytes=size_bytes, seq=seq, faults=faults)
        except KiteError as exc:
            print(f"backup: monitoring was not told of it: {exc}", file=sys.stderr)  # noqa: T201

    def streamed(self, seq: int, now_s: Callable[[], float] = time.monotonic) -> None:
        """Note how far the stream is, every few seconds."""
        if self._streamed_s is None or now_s() - self._streamed_s >= STREAM_EVERY_S:
            self._streamed_s = now_s()
            self.tell(STREAM, seq=seq)
