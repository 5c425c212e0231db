"""Single tasks of the SQLite queue. Called by ``data.queue.sqlite_queue`` inside its transactions."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from data.claims import TenantId
from data.queue.sqlite_lanes import refresh
from data.queue.tasks import Finished, NewTask, Place, Task, state_of

#: A task whole; the first three columns are not part of the value.
TASK = (
    "SELECT seq, token, until_s, tenant, id, kind, payload, priority, place, attempts, created_s, "
    "not_before_s, ended_s, result, error FROM tasks JOIN payloads USING(seq) "
)


def open_tasks(connection: sqlite3.Connection, tenant: str) -> int:
    """Return how many tasks of a tenant (or, for the empty name, of all) are not ended."""
    (count,) = connection.execute(
        "SELECT coalesce(sum(n), 0) FROM tallies "
        "WHERE tenant = ? AND place IN ('ready', 'delayed', 'leased')",
        (tenant,),
    ).fetchone()
    return int(count)


def is_known(connection: sqlite3.Connection, task: NewTask) -> bool:
    """Return whether the tenant has a task of this id, in whatever state."""
    asked = "SELECT 1 FROM tasks WHERE tenant = ? AND id = ?"
    return connection.execute(asked, (task.tenant, task.id)).fetchone() is not None


def insert(connection: sqlite3.Connection, task: NewTask, now_s: float) -> None:
    """Store a task that is not there yet."""
    not_before_s = max(round(task.not_before_s, 6), now_s)
    place = Place.DELAYED if not_before_s > now_s else Place.READY
    seq = connection.execute(
        "INSERT INTO tasks(tenant, id, kind, priority, place, created_s, not_before_s, ready_s) "
        "VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        (task.tenant, task.id, task.kind, task.priority, place, now_s, not_before_s, now_s),
    ).lastrowid
    connection.execute("INSERT INTO payloads VALUES(?, ?)", (seq, task.payload))


def finish(connection: sqlite3.Connection, finished: Finished, now_s: float) -> bool:
    """Record a result under its lease; say whether it is what counts."""
    lease = finished.lease
    known = (lease.tenant, lease.id, lease.token)
    done = connection.execute(
        "UPDATE tasks SET place = 'done', result = ?, ended_s = ?, until_s = NULL, error = '' "
        "WHERE tenant = ? AND id = ? AND token = ? AND place = 'leased'",
        (finished.result, now_s, *known),
    ).rowcount
    if done:
        return True
    again = "SELECT 1 FROM tasks WHERE tenant = ? AND id = ? AND token = ? AND place = 'done'"
    return connection.execute(again, known).fetchone() is not None


def make_ready(
    connection: sqlite3.Connection, seq: int, now_s: float, *, attempts: int, error: str | None = None
) -> None:
    """Let a task be claimed again; who held it until now cannot finish it any more."""
    connection.execute(
        "UPDATE tasks SET place = 'ready', ready_s = ?, attempts = ?, token = 0, until_s = NULL, "
        "ended_s = NULL, error = coalesce(?, error) WHERE seq = ?",
        (now_s, attempts, error, seq),
    )


def end(
    connection: sqlite3.Connection, seq: int, place: Place, *, now_s: float, error: str | None, token: int = 0
) -> None:
    """Let a task be dead or cancelled. Its token stays where a repeated failure must be known again."""
    connection.execute(
        "UPDATE tasks SET place = ?, ended_s = ?, token = ?, until_s = NULL, ready_s = NULL, "
        "error = coalesce(?, error) WHERE seq = ?",
        (place, now_s, token, error, seq),
    )


def cancel(connection: sqlite3.Connection, tenant: TenantId, task_id: str, *, now_s: float) -> bool:
    """Cancel a task that is not done or dead; say whether it is cancelled now."""
    row = connection.execute(
        "SELECT seq, kind, place FROM tasks WHERE tenant = ? AND id = ?", (tenant, task_id)
    ).fetchone()
    if row is None or row[2] in {Place.DONE, Place.DEAD}:
        return False
    if row[2] != Place.CANCELLED:
        end(connection, row[0], Place.CANCELLED, now_s=now_s, error=None)
        refresh(connection, [(row[1], tenant)])
    return True


def erase(connection: sqlite3.Connection, tenant: TenantId, *, limit: int) -> int:
    """Remove some tasks of a tenant, and with the last of them all that tells of it; return how many."""
    removed = connection.execute(
        "DELETE FROM tasks WHERE seq IN (SELECT seq FROM tasks WHERE tenant = ? LIMIT ?)", (tenant, limit)
    ).rowcount
    if removed < limit:
        connection.execute("DELETE FROM lanes WHERE tenant = ?", (tenant,))
        connection.execute("DELETE FROM tallies WHERE tenant = ?", (tenant,))
    else:
        kinds = connection.execute("SELECT kind FROM lanes WHERE tenant = ?", (tenant,)).fetchall()
        refresh(connection, [(kind, tenant) for (kind,) in kinds])
    return removed


def read_task(row: Sequence[object]) -> Task:
    """Return a row of ``TASK`` as a value."""
    fields: list[object] = list(row[3:])
    fields[5] = state_of(str(fields[5]))
    return Task(*fields)  # type: ignore[arg-type]
