"""The seam of the task queue: what the API puts in and a worker takes out, whoever keeps it.

Implemented by ``data.queue.sqlite_queue`` (one machine, no server) and ``data.queue.redis_queue`` (all
nodes). Invariant of both: a task that was put is, whatever dies, waiting, leased, done, dead or cancelled,
and its result is that of one lease. Delivery is at least once; the token of a lease makes finishing happen
once.

Order of claims. Tenants take turns within a kind: of those with tasks ready, who has had the fewest turns is
next (a tenant that was away joins where the others are). In a round of turns the tenant whose best task has
the highest priority goes first. Of a tenant's tasks the highest priority is next, among equals the oldest.
Source: P. Goyal, H. Vin, H. Cheng, "Start-time Fair Queuing", SIGCOMM 1996, with every task of cost 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from data.claims import TenantId
from data.queue.tasks import Failure, Finished, KindCounts, Lease, Leased, NewTask, Task, TaskPage, TaskState

#: Most delayed tasks, and most expired leases, that one claim makes ready: it costs the same after an outage.
SWEEP = 200
#: Most tasks of a page.
MAX_PAGE = 1_000


class TaskQueue(Protocol):
    """A durable queue with leases. Safe in several threads and processes.

    Every method raises ``StoreUnavailableError`` while the queue cannot be used; all may then be repeated.
    """

    def put(self, tasks: Sequence[NewTask], *, whole: bool = False) -> list[bool]:
        """Take tasks in, in order; say of each whether the queue has it.

        A task whose tenant and id are known is left as it is, whatever its state (true). One beyond the
        queue's bounds is refused (false); with ``whole``, all new ones of at most ``CHUNK`` are then.
        """
        ...

    def claim(self, worker: str, kinds: Sequence[str], *, limit: int, lease_s: float) -> list[Leased]:
        """Lease at most ``limit`` tasks of these kinds, in the order said above; each counts as an attempt.

        First, expired leases come back: to waiting, or to dead after the last attempt.
        """
        ...

    def heartbeat(self, leases: Sequence[Lease], *, lease_s: float) -> list[bool]:
        """Prolong leases to ``lease_s`` from now; say of each whether it is still held."""
        ...

    def finish(self, finished: Sequence[Finished]) -> list[bool]:
        """Record results, all in one transaction; say of each whether it is this lease's result that counts.

        A lease that was lost changes nothing (false). The same twice is once (true).
        """
        ...

    def fail(self, failures: Sequence[Failure]) -> list[TaskState | None]:
        """Record failures: waiting for a later attempt, or dead. ``None`` where the lease was lost.

        The same twice is once.
        """
        ...

    def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Give back tasks that were not begun: at once ready for others, and no attempt. False: lost."""
        ...

    def cancel(self, tenant: TenantId, ids: Sequence[str]) -> list[bool]:
        """Cancel tasks that are waiting or leased (their lease is lost); true where it is cancelled now."""
        ...

    def retry_dead(self, tenant: TenantId, ids: Sequence[str]) -> list[bool]:
        """Give dead tasks all their attempts again, at once; true for those that were dead."""
        ...

    def get(self, tenant: TenantId, task_id: str) -> Task | None:
        """Return a task, or ``None`` where this tenant has none of that id."""
        ...

    def page(
        self, tenant: TenantId, state: TaskState | None = None, *, limit: int = 100, cursor: int | None = None
    ) -> TaskPage:
        """Return a tenant's tasks, newest first, of one state or all; ``cursor`` from the page before."""
        ...

    def counts(self) -> tuple[KindCounts, ...]:
        """Return how many tasks of each kind are where, by kind; costs the same however many there are."""
        ...

    def states(self, tenant: TenantId) -> dict[TaskState, int]:
        """Return how many of a tenant's tasks are in each state; costs the same however many there are."""
        ...

    def prune(self, *, done_before_s: float, dead_before_s: float = 0.0) -> int:
        """Forget tasks done or cancelled before a moment, and dead ones before another; return how many."""
        ...

    def erase(self, tenant: TenantId) -> int:
        """Forget all of a tenant's tasks, whatever their state, leaving no trace; return how many there were.

        Leases on them are lost. Repeated after an interruption it does the rest.
        """
        ...

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the queue does not answer."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...
