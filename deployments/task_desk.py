"""Tasks as their senders meet them: put in, looked at, given up, tried again. Called by the API's routes.

Invariant: every call names a tenant and reaches no other's tasks; what one request puts in is taken whole or
not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from msgspec.structs import replace

from data.claims import TenantId
from data.errors import CapacityError, ConflictError, NotFoundError, RateLimitedError
from data.queue.ports import TaskQueue
from data.queue.tasks import (
    CHUNK,
    KindCounts,
    NewTask,
    QueueBounds,
    Task,
    TaskPage,
    TaskState,
    priority_of,
)
from data.tracing import Kind, span, told_on
from deployments.task_documents import VERIFY, QueuedQuestion, ask_the_same, payload_of

#: What the queue is to a trace, by OpenTelemetry's conventions for messages.
MESSAGING = {"messaging.system": "kite", "messaging.destination.name": VERIFY}
#: Tells of sentences how worth checking each is, in [0, 1]; may block.
Worth = Callable[[Sequence[str]], Sequence[float]]
#: When to come back to a full queue, seconds.
FULL_S = 30.0
#: Most tasks that one request may put in: the queue takes so many in one transaction.
MOST_AT_ONCE = CHUNK


@dataclass(frozen=True, slots=True)
class TaskWish:
    """A question to put in. ``priority`` ``None`` takes how worth checking the claim is.

    ``named``: its sender chose the id, and may send it again.
    """

    id: str
    queued: QueuedQuestion
    priority: int | None = 0
    named: bool = False


@dataclass(frozen=True, slots=True)
class TenantDepth:
    """How many tasks a tenant has in each state, and how many may be unfinished."""

    states: dict[TaskState, int]
    most: int


class TaskDesk:
    """Takes in and shows the tasks of tenants. Any event loop; what blocks runs in threads."""

    def __init__(self, queue: TaskQueue, bounds: QueueBounds, *, worth: Worth | None = None) -> None:
        self._queue = queue
        self._bounds = bounds
        self._worth = worth

    async def submit(self, tenant: TenantId, wishes: Sequence[TaskWish]) -> list[Task]:
        """Put questions in, all or none, and return how their tasks stand; known ones are left as they are.

        Raises:
            ConflictError: an id is in use for another question.
            RateLimitedError: the tenant has too many unfinished tasks. CapacityError: the queue is full.
        """
        return await asyncio.to_thread(self._submit, tenant, wishes)

    async def task(self, tenant: TenantId, task_id: str) -> Task:
        """Return a tenant's task.

        Raises:
            NotFoundError: it has none of this id.
        """
        return await asyncio.to_thread(self._task, tenant, task_id)

    async def page(
        self, tenant: TenantId, state: TaskState | None, *, limit: int, cursor: int | None
    ) -> TaskPage:
        """Return a tenant's tasks of a state, or of all, newest first."""
        return await asyncio.to_thread(self._queue.page, tenant, state, limit=limit, cursor=cursor)

    async def retry(self, tenant: TenantId, task_id: str) -> Task:
        """Give a dead task all its attempts again; one that waits or is at work is left as it is.

        Raises:
            NotFoundError: the tenant has none of this id. ConflictError: it is done or cancelled.
        """
        return await asyncio.to_thread(self._retry, tenant, task_id)

    async def cancel(self, tenant: TenantId, task_id: str) -> Task:
        """Give a task up; one that is cancelled is left as it is.

        Raises:
            NotFoundError: the tenant has none of this id. ConflictError: it has ended otherwise.
        """
        return await asyncio.to_thread(self._cancel, tenant, task_id)

    async def depth(self, tenant: TenantId) -> TenantDepth:
        """Return how many tasks a tenant has in each state."""
        return TenantDepth(await asyncio.to_thread(self._queue.states, tenant), self._bounds.tenant_tasks)

    async def counts(self) -> tuple[KindCounts, ...]:
        """Return how many tasks of each kind are where, those of all tenants."""
        return await asyncio.to_thread(self._queue.counts)

    def _submit(self, tenant: TenantId, wishes: Sequence[TaskWish]) -> list[Task]:
        new = self._new_tasks(tenant, wishes)
        for wish, task in zip(wishes, new, strict=True):
            known = self._queue.get(tenant, wish.id) if wish.named else None
            if known is not None and not ask_the_same(known.payload, task.payload, tenant):
                raise ConflictError(f"The task {wish.id} has another question: choose another id.")
        with span("queue put", {**MESSAGING, "messaging.batch.message_count": len(new)}, Kind.PRODUCER):
            if not all(self._queue.put(new, whole=True)):
                raise self._full(tenant, len(new))
        return [self._task(tenant, task.id) for task in new]

    def _new_tasks(self, tenant: TenantId, wishes: Sequence[TaskWish]) -> list[NewTask]:
        open_ones = [place for place, wish in enumerate(wishes) if wish.priority is None]
        priorities = [wish.priority or 0 for wish in wishes]
        if open_ones and self._worth is not None:
            worth = self._worth([wishes[place].queued.question.claim.text for place in open_ones])
            for place, value in zip(open_ones, worth, strict=True):
                priorities[place] = priority_of(value)
        trace = told_on()
        return [
            NewTask(tenant, wish.id, VERIFY, payload_of(replace(wish.queued, trace=trace)), priority)
            for wish, priority in zip(wishes, priorities, strict=True)
        ]

    def _full(self, tenant: TenantId, wanted: int) -> Exception:
        states, most = self._queue.states(tenant), self._bounds.tenant_tasks
        unfinished = states[TaskState.WAITING] + states[TaskState.LEASED]
        if unfinished + wanted > most:
            return RateLimitedError(
                f"You have {unfinished} unfinished tasks and may have {most}: send these {wanted} when some "
                "are done.",
                FULL_S,
            )
        return CapacityError(f"The queue is full: send these {wanted} tasks again later.", FULL_S)

    def _task(self, tenant: TenantId, task_id: str) -> Task:
        found = self._queue.get(tenant, task_id)
        if found is None:
            raise NotFoundError(f"There is no task {task_id[:100]!r} of yours here; ended ones are removed.")
        return found

    def _retry(self, tenant: TenantId, task_id: str) -> Task:
        self._queue.retry_dead(tenant, [task_id])
        task = self._task(tenant, task_id)
        if task.state in {TaskState.DONE, TaskState.CANCELLED}:
            raise ConflictError(f"The task {task_id} is {task.state}: only dead ones are tried again.")
        return task

    def _cancel(self, tenant: TenantId, task_id: str) -> Task:
        self._queue.cancel(tenant, [task_id])
        task = self._task(tenant, task_id)
        if task.state is not TaskState.CANCELLED:
            raise ConflictError(f"The task {task_id} is {task.state}: there is nothing to cancel.")
        return task
