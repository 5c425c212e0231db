"""Natural batching: a batch leaves as soon as a worker is free and takes everyone who is waiting.

Used by the ingress in front of the verifier. A lone item never waits for company; under load batches grow by
themselves. Those who wait are taken in turns over their keys (tenants), so that whoever sends most waits
longest. One event loop only.

Source: J. Nagle, "On packet switches with infinite storage", IEEE Trans. Communications 35 (1987): fair
queueing by turns. Deficit round robin (Shreedhar & Varghese, SIGCOMM 1995) is the same where every item costs
the same. When the room is full the longest queue gives way: P. McKenney, "Stochastic fairness queuing",
Internetworking: Research and Experience 2 (1991).
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Coroutine, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from data.errors import CapacityError, RequestError
from data.shared_spans import Shared
from data.tracing import OpenSpan, current

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, slots=True, eq=False)
class _Entry(Generic[In, Out]):
    """An item that waits; ``submission`` is the same object for all that came together.

    ``span`` is the one that waits for it, where its sender records.
    """

    key: Hashable
    item: In
    future: asyncio.Future[Out]
    submission: object
    span: OpenSpan | None


class Batcher(Generic[In, Out]):
    """Groups items that wait at the same time into calls of ``work``.

    ``work`` must return as many results as it was given items, in order. At most ``max_in_flight`` calls
    run at once, each with at most ``max_size`` items; and as many beside while no more than two keys wait, so
    that neither waits for what the other has at work. Items of one ``key`` leave in the order in which they
    came, and different keys by turns; a key that waits alone has all the room. More than ``max_waiting``
    items waiting is refused: those that came last of the key that has most waiting.
    """

    def __init__(
        self,
        work: Callable[[list[In]], Awaitable[Sequence[Out]]],
        *,
        max_size: int,
        max_in_flight: int,
        max_waiting: int,
        key: Callable[[In], Hashable] | None = None,
    ) -> None:
        self._work = work
        self._max_size = max_size
        self._max_in_flight = max_in_flight
        self._free = max_in_flight
        self._max_waiting = max_waiting
        self._key = key
        self._waiting = 0
        # In the order of turns: the first key's turn is next. No queue in it is empty.
        self._queues: OrderedDict[Hashable, deque[_Entry[In, Out]]] = OrderedDict()
        # Batches at work that have items of a key.
        self._at_work: Counter[Hashable] = Counter()
        self._beside = max_in_flight
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many items wait for a worker now."""
        return self._waiting

    async def submit(self, items: Sequence[In]) -> list[Out]:
        """Return the results for ``items`` (all of one key), in order.

        Raises:
            CapacityError: too many items wait already. None of these was taken, or they had to give way to
                another key's.
        """
        if not items:
            return []
        key = self._key(items[0]) if self._key else None
        self._make_room(key, len(items))
        loop = asyncio.get_running_loop()
        submission = object()
        span = current()
        entries = [_Entry(key, item, loop.create_future(), submission, span) for item in items]
        self._queues.setdefault(key, deque()).extend(entries)
        self._waiting += len(entries)
        self._dispatch()
        try:
            return [await entry.future for entry in entries]
        finally:
            for entry in entries:
                entry.future.cancel()

    def _make_room(self, key: Hashable, count: int) -> None:
        """Let others give way until ``count`` items fit, or raise when it is this key that has too many."""
        if self._waiting + count <= self._max_waiting or not self._waiting:
            return
        mine = len(self._queues.get(key, ())) + count
        # What others have beyond what this key would have is theirs to give; looked at only when full.
        spare = sum(max(0, len(queue) - mine) for queue in self._queues.values())
        if self._waiting + count - spare > self._max_waiting:
            raise _saturated(self._waiting)
        while self._waiting + count > self._max_waiting:
            self._give_way(max(self._queues, key=lambda each: len(self._queues[each])))

    def _give_way(self, key: Hashable) -> None:
        """Refuse what came last of a key, as a whole."""
        queue = self._queues[key]
        refused = [queue.pop()]
        while queue and queue[-1].submission is refused[0].submission:
            refused.append(queue.pop())
        self._waiting -= len(refused)
        if not queue:
            del self._queues[key]
        # The error goes to the first of them, for which their sender waits; the others are told nothing.
        for entry in refused[:-1]:
            entry.future.cancel()
        self._fail(refused[-1:], _saturated(self._waiting))

    def _dispatch(self) -> None:
        while self._free and self._queues:
            batch = self._take()
            if not batch:
                break
            self._free -= 1
            self._start(self._run(batch), batch)
        self._let_by()

    def _let_by(self) -> None:
        """Let a key that has not its own ``max_in_flight`` at work go beside, as long as few keys wait.

        When many wait, batches of one key each would be small and many: then all go by turns together.
        """
        while self._beside and len(self._queues) <= 2:
            key = next((key for key in self._queues if self._at_work[key] < self._max_in_flight), None)
            if key is None:
                return
            if batch := self._take_of(key):
                self._beside -= 1
                self._start(self._run_beside(batch), batch)

    def _take_of(self, key: Hashable) -> list[_Entry[In, Out]]:
        queue = self._queues.pop(key)
        taken = [queue.popleft() for _ in range(min(len(queue), self._max_size))]
        self._waiting -= len(taken)
        if queue:
            self._queues[key] = queue
        return [entry for entry in taken if not entry.future.done()]

    def _start(self, work: Coroutine[None, None, None], batch: list[_Entry[In, Out]]) -> None:
        self._at_work.update({entry.key for entry in batch})
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _take(self) -> list[_Entry[In, Out]]:
        batch: list[_Entry[In, Out]] = []
        while self._queues and len(batch) < self._max_size:
            key, queue = next(iter(self._queues.items()))
            self._waiting -= 1
            entry = queue.popleft()
            if not queue:
                del self._queues[key]
            # One whose caller gave up while it waited costs its key no turn.
            if not entry.future.done():
                batch.append(entry)
                if queue:
                    self._queues.move_to_end(key)
        return batch

    async def _run(self, batch: list[_Entry[In, Out]]) -> None:
        try:
            await self._work_on(batch)
        finally:
            self._free += 1
            self._dispatch()

    async def _run_beside(self, batch: list[_Entry[In, Out]]) -> None:
        try:
            await self._work_on(batch)
        finally:
            self._beside += 1
            self._dispatch()

    async def _work_on(self, batch: list[_Entry[In, Out]]) -> None:
        try:
            await self._answer(batch)
        finally:
            for key in {entry.key for entry in batch}:
                self._at_work[key] -= 1
                if not self._at_work[key]:
                    del self._at_work[key]

    async def _answer(self, batch: list[_Entry[In, Out]]) -> None:
        try:
            with Shared("batch", [entry.span for entry in batch], {"kite.items": len(batch)}):
                results = await self._work([entry.item for entry in batch])
            for entry, result in zip(batch, results, strict=True):
                if not entry.future.done():
                    entry.future.set_result(result)
        except RequestError as exc:
            if len(batch) == 1:
                self._fail(batch, exc)
            # One request is at fault, and its neighbours are not to suffer: each is asked on its own.
            for entry in batch if len(batch) > 1 else ():
                await self._answer([entry])
        except Exception as exc:
            self._fail(batch, exc)

    def _fail(self, batch: list[_Entry[In, Out]], error: Exception) -> None:
        for entry in batch:
            if not entry.future.done():
                entry.future.set_exception(error)


def _saturated(waiting: int) -> CapacityError:
    return CapacityError(f"{waiting} claims are waiting already: send again in a second.", 1.0)
