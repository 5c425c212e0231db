"""Natural batching: whoever waits goes together, nobody waits for company."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from data.errors import CapacityError
from deployments.batching import Batcher


class Worker:
    """Doubles numbers; each call waits for ``gate`` and is remembered."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.gate = asyncio.Event()

    async def __call__(self, items: list[int]) -> list[int]:
        self.batches.append(items)
        await self.gate.wait()
        if -1 in items:
            raise RuntimeError("bad item")
        return [2 * item for item in items]


def batcher(
    worker: Worker, *, max_size: int = 4, in_flight: int = 1, waiting: int = 100
) -> Batcher[int, int]:
    return Batcher(worker, max_size=max_size, max_in_flight=in_flight, max_waiting=waiting)


async def submit_all(
    subject: Batcher[int, int], groups: Sequence[Sequence[int]]
) -> list[asyncio.Task[list[int]]]:
    tasks = [asyncio.create_task(subject.submit(group)) for group in groups]
    for _ in range(3):  # submit, dispatch, run
        await asyncio.sleep(0)
    return tasks


def test_lone_item_leaves_at_once() -> None:
    """With a free worker an item does not wait for others."""

    async def scenario() -> None:
        worker = Worker()
        (task,) = await submit_all(batcher(worker), [[7]])

        assert worker.batches == [[7]]
        worker.gate.set()
        assert await task == [14]

    asyncio.run(scenario())


def test_items_that_wait_leave_together_up_to_the_maximum() -> None:
    """While the worker is busy the others gather, and leave in order in batches of at most max_size."""

    async def scenario() -> None:
        worker = Worker()
        tasks = await submit_all(batcher(worker), [[n] for n in range(7)])
        worker.gate.set()

        assert [await task for task in tasks] == [[2 * n] for n in range(7)]
        assert worker.batches == [[0], [1, 2, 3, 4], [5, 6]]

    asyncio.run(scenario())


def test_large_submission_is_cut_and_keeps_its_order() -> None:
    """A list larger than a batch comes back whole and in order."""

    async def scenario() -> None:
        worker = Worker()
        worker.gate.set()

        assert await batcher(worker).submit(list(range(10))) == [2 * n for n in range(10)]
        assert [len(batch) for batch in worker.batches] == [4, 4, 2]

    asyncio.run(scenario())


def test_failure_reaches_all_of_its_batch_and_the_next_batch_runs() -> None:
    """A call that fails does not stop the queue."""

    async def scenario() -> None:
        worker = Worker()
        first, *rest = await submit_all(batcher(worker), [[1], [-1], [2]])
        worker.gate.set()

        assert await first == [2]
        for task in rest:
            with pytest.raises(RuntimeError, match="bad item"):
                await task
        assert await batcher(worker).submit([5]) == [10]

    asyncio.run(scenario())


def test_full_queue_refuses_and_takes_none() -> None:
    """More than max_waiting waiting is refused with a time to come back."""

    async def scenario() -> None:
        worker = Worker()
        subject = batcher(worker, waiting=2)
        tasks = await submit_all(subject, [[1], [2], [3]])
        with pytest.raises(CapacityError) as caught:
            await subject.submit([4])

        assert caught.value.retry_after_s == 1.0
        worker.gate.set()
        assert [await task for task in tasks] == [[2], [4], [6]]
        assert 4 not in [item for batch in worker.batches for item in batch]

    asyncio.run(scenario())


def test_item_whose_caller_left_is_not_worked_on() -> None:
    """A cancelled caller's item is dropped while it waits."""

    async def scenario() -> None:
        worker = Worker()
        busy, gone, waiting = await submit_all(batcher(worker), [[1], [2], [3]])
        gone.cancel()
        await asyncio.sleep(0)
        worker.gate.set()

        assert await waiting == [6]
        assert worker.batches == [[1], [3]]
        assert await busy == [2]

    asyncio.run(scenario())
