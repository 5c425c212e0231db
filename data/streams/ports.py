"""The seam of a stream of claims: what comes in, and verdicts or refusals that go out. Pure.

Implemented by ``data.streams.redis_stream`` and ``data.streams.kafka_stream``.
Invariant: an entry that was read is pending until it is settled, whoever dies; of all that work on an entry
one settles it, and its verdict goes out in the same step, so there is one verdict an entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Entry:
    """What came in: its id in the stream, its bytes, and how often it was given out, this time included.

    ``key`` is its sender's own name for it, empty where none came; it goes out with the verdict.
    """

    id: str
    body: bytes
    key: str = ""
    deliveries: int = 1


@dataclass(frozen=True, slots=True)
class Settled:
    """What an entry came to: a verdict, or why there never will be one."""

    entry: Entry
    verdict: bytes | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class StreamNames:
    """Three streams, and the group that reads the first. On a Redis cluster they share a part in braces."""

    claims: str = "{kite}:claims"
    verdicts: str = "{kite}:verdicts"
    dead: str = "{kite}:dead"
    group: str = "kite"


class ClaimStream(Protocol):
    """One consumer's side of a stream. One thread. Raises ``StoreUnavailableError`` while the broker is away.

    After that every call may be repeated.
    """

    def read(self, limit: int, *, wait_s: float) -> list[Entry]:
        """Return at most ``limit`` entries, waiting ``wait_s`` for the first.

        What another consumer took long ago and did not settle comes first.
        """
        ...

    def settle(self, settled: Sequence[Settled]) -> list[bool]:
        """Send verdicts and refusals out and settle their entries, each in one step with the other.

        Says of each whether it was this call that settled it; false: another had, and nothing went out.
        """
        ...

    def room(self) -> int:
        """Return how many more verdicts may go out before their readers have caught up."""
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...
