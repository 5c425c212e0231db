"""The loop of one consumer of a stream: read, work in batches, settle; wait while nobody reads the verdicts.

Called by whoever runs workers. Invariant: an entry is settled once, with a verdict or a reason, or stays
pending for another consumer; a bad entry harms no other of its batch.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from data.errors import StoreUnavailableError
from data.queue.worker import TaskFault, answers_of
from data.streams.ports import ClaimStream, Entry, Settled

#: Gets at most a batch of entries; answers each, in order, with its verdict's document or a fault.
StreamHandler = Callable[[list[Entry]], Sequence[bytes | TaskFault]]


@dataclass(frozen=True, slots=True)
class StreamWorkerSettings:
    """At most ``batch`` entries are read at once, and each is tried ``max_deliveries`` times.

    With nothing to read it waits ``wait_s`` and asks again; as long while the broker is away or nobody reads
    the verdicts.
    """

    batch: int = 64
    max_deliveries: int = 8
    wait_s: float = 1.0


@dataclass(slots=True)
class StreamTally:
    """What a consumer did. ``lost`` entries had been settled by another meanwhile."""

    verdicts: int = 0
    dead: int = 0
    left: int = 0
    lost: int = 0
    outages: int = 0
    waits: int = 0


class StreamWorker:
    """One consumer: :meth:`run` in a thread of its own, :meth:`stop` from anywhere."""

    def __init__(
        self,
        stream: ClaimStream,
        handler: StreamHandler,
        settings: StreamWorkerSettings,
        *,
        pause: Callable[[threading.Event, float], bool] = threading.Event.wait,
    ) -> None:
        self.tally = StreamTally()
        self._stream = stream
        self._handler = handler
        self._settings = settings
        self._pause = pause
        self._stopped = threading.Event()

    def run(self) -> StreamTally:
        """Work until stopped, then let go of the stream; return what was done."""
        try:
            while not self._stopped.is_set():
                self.step()
        finally:
            with suppress(StoreUnavailableError):
                self._stream.close()
        return self.tally

    def stop(self) -> None:
        """Settle the batch at hand and let :meth:`run` return."""
        self._stopped.set()

    def step(self) -> int:
        """Read once and work on it; return how many entries were read."""
        settings = self._settings
        try:
            room = self._stream.room()
            if room == 0:
                self.tally.waits += 1
                self._pause(self._stopped, settings.wait_s)
                return 0
            entries = self._stream.read(min(room, settings.batch), wait_s=settings.wait_s)
        except StoreUnavailableError:
            self.tally.outages += 1
            self._pause(self._stopped, settings.wait_s)
            return 0
        if entries:
            self._work(entries)
        return len(entries)

    def _work(self, entries: list[Entry]) -> None:
        worn = [entry for entry in entries if entry.deliveries > self._settings.max_deliveries]
        fresh = [entry for entry in entries if entry.deliveries <= self._settings.max_deliveries]
        settled = [Settled(entry, None, _worn(entry)) for entry in worn]
        for entry, answer in zip(fresh, answers_of(self._handler, fresh) if fresh else (), strict=True):
            outcome = self._settled(entry, answer)
            if outcome is None:
                self.tally.left += 1
            else:
                settled.append(outcome)
        self._settle(settled)

    def _settled(self, entry: Entry, answer: bytes | TaskFault) -> Settled | None:
        """Return what an entry came to; ``None`` where it is to be tried again, by whoever takes it over."""
        if not isinstance(answer, TaskFault):
            return Settled(entry, answer)
        if answer.retryable and entry.deliveries < self._settings.max_deliveries:
            return None
        return Settled(entry, None, answer.error)

    def _settle(self, settled: Sequence[Settled]) -> None:
        # An entry that cannot be settled now stays pending: it is taken over later and worked on again.
        while settled:
            try:
                mine = self._stream.settle(settled)
            except StoreUnavailableError:
                self.tally.outages += 1
                if self._pause(self._stopped, self._settings.wait_s):
                    return
                continue
            for each, is_mine in zip(settled, mine, strict=True):
                self.tally.lost += not is_mine
                self.tally.verdicts += is_mine and each.verdict is not None
                self.tally.dead += is_mine and each.verdict is None
            return


def _worn(entry: Entry) -> str:
    return f"{entry.deliveries - 1} consumers took it and none settled it."
