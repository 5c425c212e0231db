"""Fair queueing: tenants take turns, and whoever fills the room gives way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from data.errors import CapacityError
from deployments.batching import Batcher

Item = tuple[str, int]
Task = asyncio.Task[list[Item]]


class Queue:
    """A batcher keyed by the first part of its items; its first call is held until ``go``."""

    def __init__(self, *, max_size: int = 4, max_waiting: int = 100) -> None:
        self.batches: list[list[Item]] = []
        self.gate = asyncio.Event()
        self.batcher: Batcher[Item, Item] = Batcher(
            self._work, max_size=max_size, max_in_flight=1, max_waiting=max_waiting, key=lambda item: item[0]
        )

    async def _work(self, items: list[Item]) -> list[Item]:
        self.batches.append(items)
        await self.gate.wait()
        return items

    async def busy(self) -> None:
        """Occupy the only worker and the place beside it, so that all who come now wait."""
        await self.send("busy", [0])
        await self.send("beside", [0])

    async def send(self, tenant: str, numbers: list[int]) -> Task:
        """Submit the items of one tenant together; they wait when this returns."""
        task = asyncio.create_task(self.batcher.submit([(tenant, number) for number in numbers]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return task

    async def end(self) -> list[Item]:
        """Let the worker go; return all items in the order of the work, less the first two."""
        self.gate.set()
        while self.batcher.waiting or not all(self.batches):
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)
        return [item for batch in self.batches[2:] for item in batch]


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(scenario())  # type: ignore[arg-type]


def test_tenants_take_turns_and_each_keeps_its_order() -> None:
    """One that sent much first does not hold back one that sent little later."""

    async def scenario() -> None:
        queue = Queue()
        await queue.busy()
        await queue.send("a", list(range(10)))
        await queue.send("b", [0, 1])
        await queue.send("c", [0])
        order = await queue.end()

        assert order[:5] == [("a", 0), ("b", 0), ("c", 0), ("a", 1), ("b", 1)]
        assert order[5:] == [("a", number) for number in range(2, 10)]

    run(scenario)


def test_turns_go_on_from_batch_to_batch() -> None:
    """Whose turn it is outlasts a batch: an odd size does not favour the first."""

    async def scenario() -> None:
        queue = Queue(max_size=3)
        await queue.busy()
        for tenant in "ab":
            await queue.send(tenant, list(range(6)))
        order = await queue.end()

        assert [tenant for tenant, _ in order] == ["a", "b"] * 6

    run(scenario)


def test_tenant_alone_has_every_place() -> None:
    """With nobody else waiting, batches are full of one tenant."""

    async def scenario() -> None:
        queue = Queue()
        await queue.busy()
        await queue.send("a", list(range(8)))
        await queue.end()

        assert [len(batch) for batch in queue.batches] == [1, 1, 4, 4]

    run(scenario)


def test_full_room_tenant_with_most_gives_way_to_another() -> None:
    """Another tenant's item is taken; what came last of the one that filled the room is refused."""

    async def scenario() -> None:
        queue = Queue(max_waiting=4)
        await queue.busy()
        kept = [await queue.send("a", [number]) for number in range(3)]
        last = await queue.send("a", [3])
        other = await queue.send("b", [0])
        with pytest.raises(CapacityError, match="send again"):
            await last
        assert queue.batcher.waiting == 4
        await queue.end()

        assert await other == [("b", 0)]
        assert [await task for task in kept] == [[("a", 0)], [("a", 1)], [("a", 2)]]

    run(scenario)


def test_full_room_tenant_with_most_is_refused_itself() -> None:
    """Whoever fills the room gets no more of it, and nobody gives way."""

    async def scenario() -> None:
        queue = Queue(max_waiting=4)
        await queue.busy()
        others = [await queue.send("b", [0]), await queue.send("a", [0, 1, 2])]
        with pytest.raises(CapacityError):
            await (await queue.send("a", [3]))
        with pytest.raises(CapacityError):
            await (await queue.send("b", [1, 2, 3]))
        await queue.end()

        assert [len(await task) for task in others] == [1, 3]

    run(scenario)


def test_submission_that_gives_way_goes_as_a_whole() -> None:
    """A batch of one caller is answered or refused, not half of it; its places are free at once."""

    async def scenario() -> None:
        queue = Queue(max_waiting=6)
        await queue.busy()
        first = await queue.send("a", [0, 1])
        second = await queue.send("a", [2, 3, 4, 5])
        other = await queue.send("b", [0])
        assert queue.batcher.waiting == 3
        with pytest.raises(CapacityError):
            await second
        order = await queue.end()

        assert order == [("a", 0), ("b", 0), ("a", 1)]
        assert (await first, await other) == ([("a", 0), ("a", 1)], [("b", 0)])

    run(scenario)


def test_small_tenant_is_never_refused_while_a_large_one_fills_the_room() -> None:
    """Twenty requests of one tenant against a flood: all are taken, and the room is never exceeded."""

    async def scenario() -> None:
        queue = Queue(max_waiting=50)
        await queue.busy()
        flood: list[Task] = []
        small: list[Task] = []
        for number in range(20):
            flood += [await queue.send("a", [20 * number + step]) for step in range(20)]
            small.append(await queue.send("b", [number]))
            assert queue.batcher.waiting <= 50
        await queue.end()

        assert [await task for task in small] == [[("b", number)] for number in range(20)]
        refused = [task for task in flood if isinstance(task.exception(), CapacityError)]
        assert len(refused) == 400 - 30

    run(scenario)


def test_turn_is_not_lost_to_callers_who_left() -> None:
    """Items whose caller gave up do not cost their tenant its turns."""

    async def scenario() -> None:
        queue = Queue(max_size=2)
        await queue.busy()
        gone = await queue.send("a", [0, 1, 2])
        await queue.send("a", [3])
        await queue.send("b", [0, 1])
        gone.cancel()
        await asyncio.sleep(0)
        order = await queue.end()

        assert order == [("a", 3), ("b", 0), ("b", 1)]

    run(scenario)


def test_tenant_that_comes_while_another_holds_all_workers_does_not_wait() -> None:
    """Its first batch goes beside, at once; what it sends after that waits like everybody's."""

    async def scenario() -> None:
        queue = Queue()
        await queue.send("a", list(range(4)))
        await queue.send("a", list(range(4, 12)))
        await queue.send("b", [0, 1])
        await queue.send("b", [2])
        await queue.send("c", [0])
        assert [[tenant for tenant, _ in batch] for batch in queue.batches] == [["a"] * 4, ["b"] * 2]
        order = await queue.end()

        assert order[:4] == [("a", 4), ("b", 2), ("c", 0), ("a", 5)]

    run(scenario)


def held(queue: Queue) -> list[asyncio.Event]:
    """Hold each call of a queue's work by a gate of its own."""
    gates = [asyncio.Event() for _ in range(9)]

    async def work(items: list[Item]) -> list[Item]:
        queue.batches.append(items)
        await gates[len(queue.batches) - 1].wait()
        return items

    queue.batcher._work = work
    return gates


async def settle() -> None:
    for _ in range(9):
        await asyncio.sleep(0)


def test_place_beside_is_given_to_the_next_in_turn_when_it_is_free_again() -> None:
    """One batch at a time goes beside (of one worker), those who came first before others."""

    async def scenario() -> None:
        queue = Queue(max_size=2)
        gates = held(queue)
        await queue.send("a", [0, 1])
        await queue.send("b", [0])
        await queue.send("c", [0])
        await queue.send("d", [0])
        assert queue.batches == [[("a", 0), ("a", 1)], [("b", 0)]]
        gates[1].set()
        await settle()
        assert queue.batches[2:] == [[("c", 0)]]
        gates[2].set()
        await settle()
        assert queue.batches[3:] == [[("d", 0)]]
        for gate in gates:
            gate.set()

    run(scenario)


def test_place_beside_stays_empty_while_many_wait() -> None:
    """Where more than two keys wait all go by turns, together, in full batches."""

    async def scenario() -> None:
        queue = Queue(max_size=4)
        gates = held(queue)
        for tenant in "abcde":
            await queue.send(tenant, [0])
        assert queue.batches == [[("a", 0)], [("b", 0)]]
        gates[1].set()
        await settle()
        assert len(queue.batches) == 2
        gates[0].set()
        await settle()
        assert queue.batches[2:] == [[("c", 0), ("d", 0), ("e", 0)]]
        for gate in gates:
            gate.set()

    run(scenario)


def test_tenant_alone_has_no_more_at_work_than_one_may() -> None:
    """The places beside are for others: a single key never has more than ``max_in_flight`` batches."""

    async def scenario() -> None:
        queue = Queue(max_size=1)
        gates = held(queue)
        await queue.send("a", [0, 1, 2])
        await settle()
        assert queue.batches == [[("a", 0)]]
        for gate in gates:
            gate.set()
        await settle()

    run(scenario)
