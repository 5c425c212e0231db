"""Which task of the SQLite queue is next. Called by ``data.queue.sqlite_queue`` inside its transactions.

Invariant: after :func:`refresh` a lane names the first of its ready tasks, or none; a claim reads one index
entry a kind and one a lane, however many tasks wait.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

Lane = tuple[str, str]


class Head(NamedTuple):
    """A kind's next lane and task, ordered as heads are taken: how many turns ahead, priority, age."""

    ahead: int
    less_priority: int
    seq: int
    kind: str
    tenant: str


class Grant(NamedTuple):
    """What a claim writes on its tasks: its token, who has them, and until when."""

    token: int
    worker: str
    until_s: float


def refresh(connection: sqlite3.Connection, lanes: Iterable[Lane]) -> None:
    """Let lanes (kind, tenant) name their first task; an empty one joins where its kind's others are."""
    for kind, tenant in lanes:
        first = connection.execute(
            "SELECT priority, seq FROM tasks WHERE place = 'ready' AND kind = ? AND tenant = ? "
            "ORDER BY priority DESC, seq LIMIT 1",
            (kind, tenant),
        ).fetchone() or (None, None)
        connection.execute(
            "INSERT INTO lanes "
            "VALUES(?1, ?2, coalesce((SELECT turn FROM rounds WHERE kind = ?1), 0), ?3, ?4) "
            "ON CONFLICT DO UPDATE SET priority = excluded.priority, seq = excluded.seq, "
            "turn = iif(lanes.seq IS NULL, max(lanes.turn, excluded.turn), lanes.turn)",
            (kind, tenant, *first),
        )


def take(connection: sqlite3.Connection, kinds: Sequence[str], grant: Grant, *, limit: int) -> list[int]:
    """Give tenants their turns; return the numbers of at most ``limit`` tasks, now leased."""
    heads = {kind: head for kind in kinds if (head := _head(connection, kind))}
    taken: list[int] = []
    while heads and len(taken) < limit:
        head = min(heads.values())
        taken.append(head.seq)
        if head.ahead:
            _move_on(connection, list(heads), head.ahead)
            heads = {kind: each._replace(ahead=each.ahead - head.ahead) for kind, each in heads.items()}
        connection.execute(
            "UPDATE tasks SET place = 'leased', attempts = attempts + 1, token = ?, worker = ?, until_s = ?, "
            "ready_s = NULL WHERE seq = ?",
            (*grant, head.seq),
        )
        connection.execute(
            "UPDATE lanes SET turn = turn + 1 WHERE kind = ? AND tenant = ?", (head.kind, head.tenant)
        )
        refresh(connection, [(head.kind, head.tenant)])
        following = _head(connection, head.kind)
        if following is None:
            del heads[head.kind]
        else:
            heads[head.kind] = following
    return taken


def _head(connection: sqlite3.Connection, kind: str) -> Head | None:
    row = connection.execute(
        "SELECT turn - coalesce((SELECT turn FROM rounds WHERE kind = ?1), 0), -priority, seq, kind, tenant "
        "FROM lanes WHERE kind = ?1 AND seq IS NOT NULL ORDER BY turn, priority DESC, seq LIMIT 1",
        (kind,),
    ).fetchone()
    return None if row is None else Head(*row)


def _move_on(connection: sqlite3.Connection, kinds: Sequence[str], turns: int) -> None:
    # All kinds asked for together, so that none of them is passed over for ever.
    connection.executemany(
        "INSERT INTO rounds VALUES(?, ?) ON CONFLICT DO UPDATE SET turn = turn + excluded.turn",
        [(kind, turns) for kind in kinds],
    )
