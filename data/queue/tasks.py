"""Queued tasks as values, and the rule by which a failed one is tried again. Pure.

Called by both queues, by the worker and by whoever puts tasks in. Invariant: a task is known by its tenant
and id together, so no tenant can meet, block or guess at another's; everything that enters is bounded here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from data.claims import TenantId
from data.errors import InvalidValueError

#: Highest priority; the lowest is 0. Whole numbers, so that every queue orders them alike.
TOP_PRIORITY = 1000
#: Longest id and kind, characters, and largest payload, bytes: a million tasks must fit beside other work.
MAX_ID_CHARS, MAX_KIND_CHARS, MAX_PAYLOAD_BYTES = 200, 40, 1 << 20
#: Most tasks taken in, or removed, in one transaction, and most bytes of payloads: others come in between.
CHUNK, CHUNK_BYTES = 1_000, 8 << 20
#: Longest error sentence kept, characters.
MAX_ERROR_CHARS = 2_000

_KIND = re.compile(rf"[a-z][a-z0-9_.-]{{0,{MAX_KIND_CHARS - 1}}}")
_ID = re.compile(rf"[!-~]{{1,{MAX_ID_CHARS}}}")


class TaskState(StrEnum):
    """Where a task stands."""

    WAITING = "waiting"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


class Place(StrEnum):
    """Where a queue keeps a task: its state, the waiting ones split by whether their time has come."""

    READY = "ready"
    DELAYED = "delayed"
    LEASED = "leased"
    DONE = "done"
    DEAD = "dead"
    CANCELLED = "cancelled"


#: The places of tasks that still cost work, and of those that do not.
OPEN_PLACES = (Place.READY, Place.DELAYED, Place.LEASED)
ENDED_PLACES = (Place.DONE, Place.DEAD, Place.CANCELLED)


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task to put in. It is not begun before ``not_before_s`` (seconds since the epoch).

    Raises:
        InvalidValueError: the id is not 1 to 200 printable ASCII characters without spaces, the kind not 1 to
            40 small letters, digits and ``_.-``, the payload over 1 MiB, or a number out of its range.
    """

    tenant: TenantId
    id: str
    kind: str
    payload: bytes
    priority: int = 0
    not_before_s: float = 0.0

    def __post_init__(self) -> None:
        if not _ID.fullmatch(self.id):
            raise InvalidValueError(
                f"The task id {self.id[:80]!r} is not 1 to {MAX_ID_CHARS} printable ASCII characters without "
                "spaces: choose another."
            )
        if not _KIND.fullmatch(self.kind):
            raise InvalidValueError(
                f"The task kind {self.kind[:80]!r} is not 1 to {MAX_KIND_CHARS} small letters, digits and "
                "'_.-' that start with a letter: choose another."
            )
        if len(self.payload) > MAX_PAYLOAD_BYTES:
            raise InvalidValueError(
                f"The payload of task {self.id} has {len(self.payload)} bytes, more than "
                f"{MAX_PAYLOAD_BYTES}: split it into several tasks."
            )
        if not 0 <= self.priority <= TOP_PRIORITY or not 0.0 <= self.not_before_s < math.inf:
            raise InvalidValueError(
                f"Task {self.id} needs a priority of 0 to {TOP_PRIORITY} and a moment since the epoch."
            )


@dataclass(frozen=True, slots=True)
class Task:
    """A task as the queue holds it. Moments are seconds since the epoch by the queue's clock.

    ``attempts`` counts the leases it was given out under and not given back from. ``error`` is the last
    failure in a sentence, empty where there was none or the task is done.
    """

    tenant: TenantId
    id: str
    kind: str
    payload: bytes
    priority: int
    state: TaskState
    attempts: int
    created_s: float
    not_before_s: float
    ended_s: float | None
    result: bytes | None
    error: str


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to finish a task. Its ``token`` is larger than that of every earlier lease of the queue."""

    tenant: TenantId
    id: str
    token: int


@dataclass(frozen=True, slots=True)
class Leased:
    """A task given to a worker until ``until_s`` unless the worker says that it is still at it."""

    task: Task
    lease: Lease
    until_s: float


@dataclass(frozen=True, slots=True)
class Finished:
    """A lease's task is done, with this result."""

    lease: Lease
    result: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """A lease's task failed for a reason in one sentence; tried again later only where that may help."""

    lease: Lease
    error: str
    retryable: bool = True


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Tasks, newest first, and where the next page begins (``None`` when this is the last)."""

    tasks: tuple[Task, ...]
    cursor: int | None


@dataclass(frozen=True, slots=True)
class KindCounts:
    """How many tasks of a kind are where: what scaling and dashboards go by.

    ``ready`` of the ``waiting`` could begin now, the oldest of them for ``oldest_s`` seconds.
    """

    kind: str
    waiting: int
    ready: int
    leased: int
    done: int
    dead: int
    cancelled: int
    oldest_s: float


@dataclass(frozen=True, slots=True)
class QueueBounds:
    """Most unfinished tasks that a queue takes, in all and of one tenant."""

    tasks: int = 2_000_000
    tenant_tasks: int = 1_000_000


@dataclass(frozen=True, slots=True)
class RetryRule:
    """When a failed task is tried again: exponential back-off with full jitter.

    The wait before the next attempt is uniform between 0 and ``min(longest_s, first_s * 2**(attempts - 1))``.

    Source: M. Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015-03-04: of the kinds
    compared there, full jitter needs the fewest calls for about the least time. The numbers are ours: eight
    attempts outlast two minutes of an outage on average, and a task that kills its worker kills eight.
    """

    max_attempts: int = 8
    first_s: float = 2.0
    longest_s: float = 300.0

    def __post_init__(self) -> None:
        if self.max_attempts < 1 or not 0.0 <= self.first_s <= self.longest_s < math.inf:
            raise InvalidValueError(
                "A retry rule needs at least one attempt and 0 <= first_s <= longest_s: mend the settings."
            )

    def ceiling_s(self, attempts: int) -> float:
        """Return the longest wait after so many attempts, seconds."""
        # 2**60 times anything sensible is beyond every bound, and larger powers would overflow.
        return min(self.longest_s, self.first_s * 2.0 ** min(max(attempts, 1) - 1, 60))

    def delay_s(self, attempts: int, chance: float) -> float:
        """Return the wait after so many attempts, seconds; ``chance`` is uniform in [0, 1)."""
        return self.ceiling_s(attempts) * chance

    def is_spent(self, attempts: int) -> bool:
        """Return whether there is no further attempt."""
        return attempts >= self.max_attempts


def priority_of(utility: float) -> int:
    """Return the priority of a task of this utility, in [0, 1].

    Raises:
        InvalidValueError: it is outside, or no number.
    """
    if not 0.0 <= utility <= 1.0:
        raise InvalidValueError(f"A utility lies between 0 and 1, not at {utility}.")
    return round(utility * TOP_PRIORITY)


def state_of(place: str) -> TaskState:
    """Return the state of a task kept at a place."""
    return TaskState.WAITING if place in {Place.READY, Place.DELAYED} else TaskState(place)


def places_of(state: TaskState | None) -> tuple[Place, ...]:
    """Return the places of a state's tasks, or all places."""
    if state is None:
        return tuple(Place)
    return (Place.READY, Place.DELAYED) if state is TaskState.WAITING else (Place(state.value),)


def states_of(tallies: Mapping[str, int]) -> dict[TaskState, int]:
    """Return how many tasks are in each state from numbers by place; every state is named."""
    told = dict.fromkeys(TaskState, 0)
    for place in Place:
        told[state_of(place)] += tallies.get(place, 0)
    return told


def chunks_of(tasks: Sequence[NewTask]) -> Iterator[list[NewTask]]:
    """Yield tasks in order, as many together as one transaction takes."""
    chunk: list[NewTask] = []
    size = 0
    for task in tasks:
        if chunk and (len(chunk) == CHUNK or size + len(task.payload) > CHUNK_BYTES):
            yield chunk
            chunk, size = [], 0
        chunk.append(task)
        size += len(task.payload)
    if chunk:
        yield chunk


def asked_id(text: str) -> str:
    """Return an id to look for; what no task can be called becomes the empty id, which none has."""
    return text if _ID.fullmatch(text) else ""


def kept_error(text: str) -> str:
    """Return an error sentence as it is kept: bounded, and without what UTF-8 cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8")[:MAX_ERROR_CHARS]


def counts_of(tallies: dict[tuple[str, str], int], ages: dict[str, float]) -> tuple[KindCounts, ...]:
    """Return the counts by kind from numbers by (kind, place) and the ages of the oldest ready tasks."""
    told = []
    for kind in sorted({kind for kind, _ in tallies}):
        at = {place: tallies.get((kind, place), 0) for place in Place}
        told.append(
            KindCounts(
                kind=kind,
                waiting=at[Place.READY] + at[Place.DELAYED],
                ready=at[Place.READY],
                leased=at[Place.LEASED],
                done=at[Place.DONE],
                dead=at[Place.DEAD],
                cancelled=at[Place.CANCELLED],
                oldest_s=round(max(0.0, ages.get(kind, 0.0)), 6),
            )
        )
    return tuple(told)
