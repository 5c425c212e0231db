"""Task queue in one SQLite file: durable with no server to start, for the processes of one machine.

The embedded default. Invariant: every method is one transaction (``put`` and ``prune`` one a thousand tasks),
on disk before it returns (WAL, ``synchronous=FULL``), so a process killed at any instant leaves either all of
it or nothing; what it had leased comes back when the lease expires.
"""

from __future__ import annotations

import fcntl
import random
import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from data.claims import TenantId
from data.clock import SystemClock
from data.ports import Clock
from data.queue.ports import MAX_PAGE, SWEEP
from data.queue.sqlite_lanes import Grant, Lane, refresh, take
from data.queue.sqlite_rows import (
    TASK,
    cancel,
    end,
    erase,
    finish,
    insert,
    is_known,
    make_ready,
    open_tasks,
    read_task,
)
from data.queue.sqlite_schema import SCHEMA
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
from data.sqlite import Database


class SqliteQueue:
    """A ``TaskQueue`` in a file on a local disk. Safe in several threads and processes of one machine.

    ``chance`` gives the jitter: uniform in [0, 1).

    Raises:
        CorruptDataError: the file is not a sound SQLite database.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        rule: RetryRule | None = None,
        bounds: QueueBounds | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock or SystemClock()
        self._rule = rule or RetryRule()
        self._bounds = bounds or QueueBounds()
        self._chance = chance
        path.parent.mkdir(parents=True, exist_ok=True)
        # One process at a time: the change of a new file to WAL does not wait for another's.
        with path.with_name(path.name + ".opening").open("ab") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            self._database = Database(path, schema=SCHEMA, synchronous="FULL")

    def put(self, tasks: Sequence[NewTask], *, whole: bool = False) -> list[bool]:
        """Take tasks in; false for those beyond the bounds."""
        taken: list[bool] = []
        for chunk in chunks_of(tasks):
            taken += self._put(chunk, whole=whole)
        return taken

    def claim(self, worker: str, kinds: Sequence[str], *, limit: int, lease_s: float) -> list[Leased]:
        """Lease tasks, tenants in turn."""
        wanted = list(dict.fromkeys(kinds))
        if limit < 1 or not self._has_work(wanted):
            return []  # nothing is written, so an idle worker costs no disk
        with self._database.writing() as connection:
            now_s = self._now_s()
            self._return_due(connection, now_s)
            (token,) = connection.execute("SELECT token + 1 FROM tokens").fetchone()
            grant = Grant(token, kept_error(worker), round(now_s + lease_s, 6))
            numbers = take(connection, wanted, grant, limit=limit)
            if numbers:
                connection.execute("UPDATE tokens SET token = ?", (token,))
            return [self._leased(connection, seq) for seq in numbers]

    def heartbeat(self, leases: Sequence[Lease], *, lease_s: float) -> list[bool]:
        """Prolong leases; say which are held."""
        if not leases:
            return []
        with self._database.writing() as connection:
            until_s = round(self._now_s() + lease_s, 6)
            return [
                connection.execute(
                    "UPDATE tasks SET until_s = ? "
                    "WHERE tenant = ? AND id = ? AND token = ? AND place = 'leased'",
                    (until_s, each.tenant, each.id, each.token),
                ).rowcount
                == 1
                for each in leases
            ]

    def finish(self, finished: Sequence[Finished]) -> list[bool]:
        """Record results in one transaction."""
        if not finished:
            return []
        with self._database.writing() as connection:
            now_s = self._now_s()
            return [finish(connection, each, now_s) for each in finished]

    def fail(self, failures: Sequence[Failure]) -> list[TaskState | None]:
        """Record failures in one transaction."""
        if not failures:
            return []
        with self._database.writing() as connection:
            now_s = self._now_s()
            return [self._fail(connection, each, now_s) for each in failures]

    def release(self, leases: Sequence[Lease]) -> list[bool]:
        """Give tasks back that were not begun."""
        if not leases:
            return []
        with self._database.writing() as connection:
            given: list[bool] = []
            for each in leases:
                row = connection.execute(
                    "SELECT seq, kind, attempts FROM tasks "
                    "WHERE tenant = ? AND id = ? AND token = ? AND place = 'leased'",
                    (each.tenant, each.id, each.token),
                ).fetchone()
                given.append(row is not None)
                if row is not None:
                    make_ready(connection, row[0], self._now_s(), attempts=row[2] - 1)
                    refresh(connection, [(row[1], each.tenant)])
            return given

    def cancel(self, tenant: TenantId, ids: Sequence[str]) -> list[bool]:
        """Cancel what is not ended."""
        if not ids:
            return []
        with self._database.writing() as connection:
            now_s = self._now_s()
            return [cancel(connection, tenant, asked_id(task_id), now_s=now_s) for task_id in ids]

    def retry_dead(self, tenant: TenantId, ids: Sequence[str]) -> list[bool]:
        """Let dead tasks begin anew."""
        if not ids:
            return []
        with self._database.writing() as connection:
            revived: list[bool] = []
            for task_id in ids:
                row = connection.execute(
                    "SELECT seq, kind FROM tasks WHERE tenant = ? AND id = ? AND place = 'dead'",
                    (tenant, asked_id(task_id)),
                ).fetchone()
                revived.append(row is not None)
                if row is not None:
                    make_ready(connection, row[0], self._now_s(), attempts=0)
                    refresh(connection, [(row[1], tenant)])
            return revived

    def get(self, tenant: TenantId, task_id: str) -> Task | None:
        """Return a task of this tenant's."""
        with self._database.reading() as connection:
            row = connection.execute(
                TASK + "WHERE tenant = ? AND id = ?", (tenant, asked_id(task_id))
            ).fetchone()
        return None if row is None else read_task(row)

    def page(
        self, tenant: TenantId, state: TaskState | None = None, *, limit: int = 100, cursor: int | None = None
    ) -> TaskPage:
        """Return a tenant's tasks, newest first."""
        limit = max(1, min(limit, MAX_PAGE))
        rows: list[tuple[object, ...]] = []
        with self._database.reading() as connection:
            for place in places_of(state):
                rows += connection.execute(
                    TASK + "WHERE tenant = ? AND place = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
                    (tenant, place, (1 << 62) if cursor is None else cursor, limit + 1),
                ).fetchall()
        rows.sort(key=lambda row: -int(str(row[0])))
        more = int(str(rows[limit - 1][0])) if len(rows) > limit else None
        return TaskPage(tuple(read_task(row) for row in rows[:limit]), more)

    def counts(self) -> tuple[KindCounts, ...]:
        """Return how many tasks of each kind are where."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT kind, place, n FROM tallies WHERE tenant = ''").fetchall()
            now_s = self._now_s()
            ages = {}
            for kind in {kind for kind, _, _ in rows}:
                (oldest_s,) = connection.execute(
                    "SELECT min(ready_s) FROM tasks WHERE place = 'ready' AND kind = ?", (kind,)
                ).fetchone()
                ages[kind] = 0.0 if oldest_s is None else now_s - oldest_s
        return counts_of({(kind, place): n for kind, place, n in rows}, ages)

    def states(self, tenant: TenantId) -> dict[TaskState, int]:
        """Return how many of a tenant's tasks are in each state."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT place, sum(n) FROM tallies WHERE tenant = ? GROUP BY place", (tenant,)
            ).fetchall()
        return states_of({place: int(n) for place, n in rows})

    def prune(self, *, done_before_s: float, dead_before_s: float = 0.0) -> int:
        """Forget what ended long ago."""
        gone = 0
        for place in ENDED_PLACES:
            before_s = dead_before_s if place is Place.DEAD else done_before_s
            removed = CHUNK
            while removed == CHUNK:
                removed = self._prune(place, before_s)
                gone += removed
        return gone

    def erase(self, tenant: TenantId) -> int:
        """Forget a tenant's tasks, and write the file anew so that no bytes of them remain."""
        gone, removed = 0, CHUNK
        while removed == CHUNK:
            with self._database.writing() as connection:
                removed = erase(connection, tenant, limit=CHUNK)
            gone += removed
        self._database.reclaim()
        return gone

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the file cannot be read."""
        with self._database.reading() as connection:
            connection.execute("SELECT token FROM tokens").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _now_s(self) -> float:
        return round(self._clock.now_s(), 6)

    def _put(self, tasks: Sequence[NewTask], *, whole: bool) -> list[bool]:
        with self._database.writing() as connection:
            now_s = self._now_s()
            room = self._room(connection, tasks)
            if whole and not self._fit(connection, tasks, room):
                room.clear()
            taken, lanes = [], dict[Lane, None]()
            for task in tasks:
                known = is_known(connection, task)
                fits = room[""] > 0 and room[task.tenant] > 0
                if not known and fits:
                    insert(connection, task, now_s)
                    room.subtract(("", task.tenant))
                    lanes[task.kind, task.tenant] = None
                taken.append(bool(known or fits))
            refresh(connection, lanes)
            return taken

    def _room(self, connection: sqlite3.Connection, tasks: Sequence[NewTask]) -> Counter[str]:
        """Return how many more tasks there may be in all (under the empty name) and of each tenant."""
        room = Counter({"": self._bounds.tasks - open_tasks(connection, "")})
        for tenant in {task.tenant for task in tasks}:
            room[tenant] = self._bounds.tenant_tasks - open_tasks(connection, tenant)
        return room

    def _fit(self, connection: sqlite3.Connection, tasks: Sequence[NewTask], room: Counter[str]) -> bool:
        new = Counter(task.tenant for task in tasks if not is_known(connection, task))
        return new.total() <= room[""] and all(count <= room[tenant] for tenant, count in new.items())

    def _has_work(self, kinds: Sequence[str]) -> bool:
        with self._database.reading() as connection:
            now_s = self._now_s()
            due = "SELECT 1 FROM tasks WHERE place = 'delayed' AND not_before_s <= ? LIMIT 1"
            expired = "SELECT 1 FROM tasks WHERE place = 'leased' AND until_s <= ? LIMIT 1"
            ready = "SELECT 1 FROM tasks WHERE place = 'ready' AND kind = ? LIMIT 1"
            asked: list[tuple[str, float | str]] = [(due, now_s), (expired, now_s)]
            asked += [(ready, kind) for kind in kinds]
            return any(connection.execute(query, (value,)).fetchone() for query, value in asked)

    def _return_due(self, connection: sqlite3.Connection, now_s: float) -> None:
        """Make delayed tasks ready whose time has come, and take expired leases back."""
        due = connection.execute(
            "SELECT seq, kind, tenant FROM tasks WHERE place = 'delayed' AND not_before_s <= ? "
            "ORDER BY not_before_s LIMIT ?",
            (now_s, SWEEP),
        ).fetchall()
        for seq, _, _ in due:
            connection.execute("UPDATE tasks SET place = 'ready', ready_s = ? WHERE seq = ?", (now_s, seq))
        expired = connection.execute(
            "SELECT seq, kind, tenant, attempts, worker FROM tasks WHERE place = 'leased' AND until_s <= ? "
            "ORDER BY until_s LIMIT ?",
            (now_s, SWEEP),
        ).fetchall()
        for seq, _, _, attempts, worker in expired:
            error = f"The worker {worker} did not finish it before its lease ended."
            if self._rule.is_spent(attempts):
                end(connection, seq, Place.DEAD, now_s=now_s, error=error)
            else:
                make_ready(connection, seq, now_s, attempts=attempts, error=error)
        refresh(connection, {(row[1], row[2]): None for row in [*due, *expired]})

    def _leased(self, connection: sqlite3.Connection, seq: int) -> Leased:
        row = connection.execute(TASK + "WHERE seq = ?", (seq,)).fetchone()
        task = read_task(row)
        return Leased(task, Lease(task.tenant, task.id, row[1]), row[2])

    def _fail(self, connection: sqlite3.Connection, failure: Failure, now_s: float) -> TaskState | None:
        lease, chance = failure.lease, self._chance()
        row = connection.execute(
            "SELECT seq, place, attempts FROM tasks WHERE tenant = ? AND id = ? AND token = ?",
            (lease.tenant, lease.id, lease.token),
        ).fetchone()
        if row is None or row[1] in {Place.DONE, Place.CANCELLED}:
            return None
        seq, place, attempts = row
        if place != Place.LEASED:
            return state_of(place)  # said before: only a failure leaves its token behind
        error = kept_error(failure.error)
        if not failure.retryable or self._rule.is_spent(attempts):
            end(connection, seq, Place.DEAD, now_s=now_s, error=error, token=lease.token)
            return TaskState.DEAD
        connection.execute(
            "UPDATE tasks SET place = 'delayed', not_before_s = ?, until_s = NULL, error = ? WHERE seq = ?",
            (round(now_s + self._rule.delay_s(attempts, chance), 6), error, seq),
        )
        return TaskState.WAITING

    def _prune(self, place: Place, before_s: float) -> int:
        with self._database.writing() as connection:
            return connection.execute(
                "DELETE FROM tasks WHERE seq IN "
                "(SELECT seq FROM tasks WHERE place = ? AND ended_s IS NOT NULL AND ended_s < ? LIMIT ?)",
                (place, before_s, CHUNK),
            ).rowcount
