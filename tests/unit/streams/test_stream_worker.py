"""The loop of a stream's consumer, over a stream in memory."""

from __future__ import annotations

from collections.abc import Sequence

from data.queue.worker import TaskFault
from data.streams.ports import Entry, Settled
from data.streams.worker import StreamWorker, StreamWorkerSettings


class FakeClaimStream:
    """Gives out what it has, once; keeps what it is told."""

    def __init__(self, count: int) -> None:
        self.entries = [Entry(f"{number}", b"claim") for number in range(count)]
        self.settled: list[Settled] = []
        self.is_closed = False
        self.stop = lambda: None

    def read(self, limit: int, *, wait_s: float) -> list[Entry]:
        if not self.entries:
            self.stop()
        found, self.entries = self.entries[:limit], self.entries[limit:]
        return found

    def settle(self, settled: Sequence[Settled]) -> list[bool]:
        self.settled += settled
        return [True] * len(settled)

    def room(self) -> int:
        return 1_000

    def close(self) -> None:
        self.is_closed = True


def test_stream_worker_handler_that_answers_too_few_is_asked_one_by_one() -> None:
    """It forgets the last of a batch: the worker goes on, and every entry has its own answer."""

    def forgets(entries: list[Entry]) -> list[bytes | TaskFault]:
        return [entry.id.encode() for entry in (entries[:-1] if len(entries) > 1 else entries)]

    stream = FakeClaimStream(3)
    worker = StreamWorker(stream, forgets, StreamWorkerSettings())
    worker.step()

    assert [(each.entry.id, each.verdict) for each in stream.settled] == [
        ("0", b"0"),
        ("1", b"1"),
        ("2", b"2"),
    ]


def test_stream_worker_handler_that_never_answers_leaves_entries_to_be_tried_again() -> None:
    """Nothing goes out for them until they have had all their attempts."""
    stream = FakeClaimStream(2)
    worker = StreamWorker(stream, lambda _: [], StreamWorkerSettings())
    worker.step()

    assert (stream.settled, worker.tally.left) == ([], 2)


def test_stream_worker_that_was_stopped_lets_go_of_its_stream() -> None:
    """So that others have its share at once."""
    stream = FakeClaimStream(3)
    worker = StreamWorker(stream, lambda entries: [b"yes"] * len(entries), StreamWorkerSettings(batch=2))
    stream.stop = worker.stop

    assert worker.run().verdicts == 3
    assert stream.is_closed
