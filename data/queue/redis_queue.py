"""Task queue on Redis: shared by all nodes of a cluster. Standalone, sentinel or cluster.

The production choice. Invariant: every method is one script (``put`` and ``prune`` one a thousand tasks), so
it happens whole or not at all, by the server's clock. All keys share a hash tag: on a Redis cluster one queue
lies on one node.

It is as durable as its Redis. With ``appendonly yes`` a Redis that is killed and started again has lost
nothing; ``appendfsync always`` holds that through a power cut too, ``everysec`` may then lose a last second.
It must not evict: ``maxmemory-policy noeviction``. A task takes about 1 KiB beside its payload and result. A
claim whose answer was lost on the way is asked again; what the first one leased comes back when that expires.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from data.claims import TenantId
from data.errors import StoreUnavailableError
from data.ports import Clock
from data.queue import redis_scripts as scripts
from data.queue.ports import MAX_PAGE
from data.queue.tasks import (
    CHUNK,
    ENDED_PLACES,
    Failure,
    Finished,
    KindCounts,
    Lease,
    Leased,
    NewTask,
    Place,
    QueueBounds,
    RetryRule,
    Task,
    TaskPage,
    TaskState,
    asked_id,
    chunks_of,
    counts_of,
    kept_error,
    places_of,
    state_of,
    states_of,
)

#: ARGV from 2: the tenant, then places; answers how many tasks the tenant has at each.
_STATES = """
local answer = {}
for i = 3, #ARGV do
  answer[#answer + 1] = redis.call('ZCARD', KEYS[1] .. 'list:' .. ARGV[2] .. ':' .. ARGV[i])
end
return answer
"""


class RedisQueue:
    """A ``TaskQueue`` under a hash tag of a Redis. Safe in several threads, processes and nodes.

    ``client`` is a redis-py client without response decoding, as ``data.stores.redis.connect`` makes it.
    ``chance`` gives the jitter: uniform in [0, 1). Time is ``clock``'s where one is given, else the server's.
    """

    def __init__(
        self,
        client: Any,
        *,
        name: str = "kite:queue",
        clock: Clock | None = None,
        rule: RetryRule | None = None,
        bounds: QueueBounds | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        import redis

        self._errors: tuple[type[Exception], ...] = (redis.RedisError, OSError)
        self._client = client
        self._tag = f"{{{name}}}:"
        self._clock = clock
        self._rule = rule or RetryRule()
        self._bounds = bounds or QueueBounds()
        self._chance = chance
        # By their hashes, and whole where the server does not know them yet.
        self._scripts: dict[str, Any] = {}

    def put(self, tasks: Sequence[NewTask], *, whole: bool = False) -> list[bool]:
        """Take tasks in; false for those beyond the bounds."""
        taken: list[bool] = []
        for chunk in chunks_of(tasks):
            words: list[object] = [self._bounds.tasks, self._bounds.tenant_tasks, int(whole)]
            for task in chunk:
                words += (task.tenant, task.id, task.kind, task.payload, task.priority)
                words.append(f"{task.not_before_s:.6f}")
            taken += map(bool, self._run(scripts.PUT, words))
        return taken

    def claim(self, worker: str, kinds: Sequence[str], *, limit: int, lease_s: float) -> list[Leased]:
        """Lease tasks, tenants in turn."""
        if limit < 1:
            return []
        words = [kept_error(worker), limit, lease_s, self._rule.max_attempts, *kinds]
        leased = []
        for row in self._run(scripts.CLAIM, words):
            task = _task(row)
            leased.append(Leased(task, Lease(task.tenant, task.id, int(row[1])), float(row[2])))
        return leased

    def heartbeat(self, leases: Sequence[Lease], *, lease_s: float) -> list[bool]:
        """Prolong leases; say which are held."""
        return self._each(scripts.HEARTBEAT, leases, [lease_s, *_words(leases)])

    def finish(self, finished: Sequence[Finished]) -> list[bool]:
        """Record results in one script."""
        words = [word for each in finished for word in (*_words([each.lease]), each.result)]
        return self._each(scripts.FINISH, finished, words)

    def fail(self, failures: Sequence[Failure]) -> list[TaskState | None]:
        """Record failures in one script."""
        if not failures:
            return []
        rule = self._rule
        words: list[object] = [rule.max_attempts, rule.first_s, rule.longest_s]
        for each in failures:
            chance = repr(float(self._chance()))
            words += (*_words([each.lease]), kept_error(each.error), int(each.retryable), chance)
        places = [Place(place.decode()) if place else None for place in self._run(scripts.FAIL, words)]
        gone = {None, Place.DONE, Place.CANCELLED}
        return [None if place is None or place in gone else state_of(place) for place in places]

    def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Give tasks back that were not begun."""
        return self._each(scripts.RELEASE, leases, _words(leases))

    def cancel(self, tenant: TenantId, ids: Sequence[str]) -> list[bool]:
        """Cancel what is not ended."""
        return self._each(scripts.CANCEL, ids, [tenant, *map(asked_id, ids)])

    def retry_dead(self, tenant: TenantId, ids: Sequence[str]) -> list[bool]:
        """Let dead tasks begin anew."""
        return self._each(scripts.RETRY_DEAD, ids, [tenant, *map(asked_id, ids)])

    def get(self, tenant: TenantId, task_id: str) -> Task | None:
        """Return a task of this tenant's."""
        rows = self._run(scripts.GET, [tenant, asked_id(task_id)])
        return _task(rows[0]) if rows else None

    def page(
        self, tenant: TenantId, state: TaskState | None = None, *, limit: int = 100, cursor: int | None = None
    ) -> TaskPage:
        """Return a tenant's tasks, newest first."""
        limit = max(1, min(limit, MAX_PAGE))
        before = "+inf" if cursor is None else f"({cursor}"
        rows = self._run(scripts.PAGE, [tenant, limit + 1, before, *places_of(state)])
        more = int(rows[limit - 1][0]) if len(rows) > limit else None
        return TaskPage(tuple(_task(row) for row in rows[:limit]), more)

    def counts(self) -> tuple[KindCounts, ...]:
        """Return how many tasks of each kind are where."""
        tally, ages = self._run(scripts.COUNTS, [])
        counted: dict[tuple[str, str], int] = {}
        for name, number in zip(tally[::2], tally[1::2], strict=True):
            kind, _, place = name.decode().partition(":")
            counted[kind, place] = int(number)
        oldest = zip(ages[::2], ages[1::2], strict=True)
        return counts_of(counted, {kind.decode(): float(age) for kind, age in oldest})

    def states(self, tenant: TenantId) -> dict[TaskState, int]:
        """Return how many of a tenant's tasks are in each state."""
        numbers = self._run(_STATES, [tenant, *Place])
        return states_of(dict(zip(Place, map(int, numbers), strict=True)))

    def prune(self, *, done_before_s: float, dead_before_s: float = 0.0) -> int:
        """Forget what ended long ago."""
        gone = 0
        for place in ENDED_PLACES:
            before_s = dead_before_s if place is Place.DEAD else done_before_s
            removed = CHUNK
            while removed == CHUNK:
                removed = self._run(scripts.PRUNE, [place, f"{before_s:.6f}", CHUNK])
                gone += removed
        return gone

    def erase(self, tenant: TenantId) -> int:
        """Forget a tenant's tasks; an append-only file forgets them when Redis next rewrites it."""
        gone, removed = 0, CHUNK
        while removed == CHUNK:
            removed = self._run(scripts.ERASE, [tenant, CHUNK])
            gone += removed
        return gone

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when Redis does not answer."""
        self._guarded(self._client.ping)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _each(self, script: str, asked: Sequence[object], words: Sequence[object]) -> list[bool]:
        """Run a script that answers 1 or 0 for each thing asked."""
        return [bool(answer) for answer in self._run(script, words)] if asked else []

    def _run(self, script: str, words: Sequence[object]) -> Any:
        now = "" if self._clock is None else f"{self._clock.now_s():.6f}"
        known = self._scripts.get(script)
        if known is None:
            known = self._scripts[script] = self._client.register_script(script)
        return self._guarded(lambda: known([self._tag], [now, *words]))

    def _guarded(self, work: Callable[[], Any]) -> Any:
        try:
            return work()
        except self._errors as exc:
            raise StoreUnavailableError(
                f"The Redis of the task queue cannot be used ({type(exc).__name__}): check it and retry."
            ) from exc


def _words(leases: Sequence[Lease]) -> list[object]:
    return [word for each in leases for word in (each.tenant, each.id, each.token)]


def _task(row: Sequence[bytes | None]) -> Task:
    tenant, task_id, kind, priority, place, attempts, created, begin, ended, error, payload, result = row[3:]
    return Task(
        tenant=TenantId(_text(tenant)),
        id=_text(task_id),
        kind=_text(kind),
        payload=payload or b"",
        priority=int(_text(priority)),
        state=state_of(_text(place)),
        attempts=int(_text(attempts)),
        created_s=float(_text(created)),
        not_before_s=float(_text(begin)),
        ended_s=None if ended is None else float(ended),
        result=result,
        error=_text(error),
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode()
