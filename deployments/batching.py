"""Natural batching: a batch leaves as soon as a worker is free and takes everyone who is waiting.

Used by the ingress in front of the verifier. A lone item never waits for company; under load batches grow by
themselves. One event loop only.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from data.errors import CapacityError, RequestError

In = TypeVar("In")
Out = TypeVar("Out")


class Batcher(Generic[In, Out]):
    """Groups items that wait at the same time into calls of ``work``.

    ``work`` must return as many results as it was given items, in order. At most ``max_in_flight`` calls
    run at once, each with at most ``max_size`` items; more than ``max_waiting`` items waiting is refused.
    """

    def __init__(
        self,
        work: Callable[[list[In]], Awaitable[Sequence[Out]]],
        *,
        max_size: int,
        max_in_flight: int,
        max_waiting: int,
    ) -> None:
        self._work = work
        self._max_size = max_size
        self._free = max_in_flight
        self._max_waiting = max_waiting
        self._waiting: deque[tuple[In, asyncio.Future[Out]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """How many items wait for a worker now."""
        return len(self._waiting)

    async def submit(self, items: Sequence[In]) -> list[Out]:
        """Return the results for ``items``, in order.

        Raises:
            CapacityError: too many items wait already; none of these was taken.
        """
        if len(self._waiting) + len(items) > self._max_waiting and self._waiting:
            raise CapacityError(
                f"{len(self._waiting)} claims are waiting already: send again in a second.", 1.0
            )
        loop = asyncio.get_running_loop()
        entries = [(item, loop.create_future()) for item in items]
        self._waiting.extend(entries)
        self._dispatch()
        try:
            return [await future for _, future in entries]
        finally:
            for _, future in entries:
                future.cancel()

    def _dispatch(self) -> None:
        while self._free and self._waiting:
            batch = self._take()
            if not batch:
                return
            self._free -= 1
            task = asyncio.get_running_loop().create_task(self._run(batch))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take(self) -> list[tuple[In, asyncio.Future[Out]]]:
        batch: list[tuple[In, asyncio.Future[Out]]] = []
        while self._waiting and len(batch) < self._max_size:
            entry = self._waiting.popleft()
            if not entry[1].done():  # its caller gave up while it waited
                batch.append(entry)
        return batch

    async def _run(self, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        try:
            await self._answer(batch)
        finally:
            self._free += 1
            self._dispatch()

    async def _answer(self, batch: list[tuple[In, asyncio.Future[Out]]]) -> None:
        try:
            results = await self._work([item for item, _ in batch])
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():
                    future.set_result(result)
        except RequestError as exc:
            if len(batch) == 1:
                self._fail(batch, exc)
            # One request is at fault, and its neighbours are not to suffer: each is asked on its own.
            for entry in batch if len(batch) > 1 else ():
                await self._answer([entry])
        except Exception as exc:
            self._fail(batch, exc)

    def _fail(self, batch: list[tuple[In, asyncio.Future[Out]]], error: Exception) -> None:
        for _, future in batch:
            if not future.done():
                future.set_exception(error)
