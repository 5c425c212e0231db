"""When backups, their stream and their checks last succeeded: what monitoring and its alerts go by.

Written by ``tasks.backup`` into the shared store, read by the gateway for ``GET /metrics``. Invariant: a mark
is made after the work is done and durable, never before; it is no proof of a backup (its manifest is), and a
lost mark only makes monitoring ask for a new one.
"""

from __future__ import annotations

import msgspec

from data.ports import Clock, KeyValueStore

PREFIX = "marks/backup/"
#: What beside the kinds of backups leaves a mark: the running stream, a reading of every byte, and a restore
#: tried out (``restore --dry-run``).
STREAM, CHECK, DRILL = "stream", "check", "drill"


class Mark(msgspec.Struct, frozen=True, omit_defaults=True):
    """One success: when (seconds since the epoch), how long it took, its size, the position it reached."""

    at_s: float
    seconds: float = 0.0
    size_bytes: int = 0
    seq: int = 0
    faults: int = 0


class BackupMarks:
    """The marks in one store."""

    def __init__(self, store: KeyValueStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def set(self, what: str, *, seconds: float, size_bytes: int = 0, seq: int = 0, faults: int = 0) -> None:
        """Note that ``what`` has just been done.

        Raises:
            StoreUnavailableError: the store is away.
        """
        mark = Mark(self._clock.now_s(), seconds, size_bytes, seq, faults)
        self._store.put(PREFIX + what, msgspec.json.encode(mark))

    def all(self) -> dict[str, Mark]:
        """Return the last mark of each thing that has one.

        Raises:
            StoreUnavailableError: the store is away.
        """
        return {
            key.removeprefix(PREFIX): msgspec.json.decode(value, type=Mark)
            for key, value in self._store.scan(PREFIX)
        }
