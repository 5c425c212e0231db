"""Bodies and answers of ``/tasks``, for the routes and the OpenAPI document. Strict as ``api.schemas``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from data.queue.tasks import TOP_PRIORITY
from deployments.api.schemas import VerifyRequest
from deployments.api.wire import VerifyAnswer

#: A task's id stands in paths, so it has no slash.
TASK_ID_PATTERN = r"^[A-Za-z0-9._~:-]{1,128}$"


class TaskRequest(VerifyRequest):
    """A claim to verify later, and how it is to be answered.

    ``id`` is the task's; the same id with the same question is one task, however often it is sent.
    """

    id: (
        Annotated[str, Field(pattern=TASK_ID_PATTERN, description="The task's id; made when left out.")]
        | None
    ) = None
    priority: (
        Annotated[int, Field(ge=0, le=TOP_PRIORITY, description="Higher ones of yours are done first.")]
        | Annotated[
            Literal["utility"], Field(description="The more worth checking the claim is, the sooner.")
        ]
        | None
    ) = None


class TaskAnswer(TypedDict):
    """How a task stands.

    ``error`` is why the last attempt failed, null where none did or it is done. ``result`` is what
    ``/verify`` answers, in full, when it is done; null otherwise, and in lists.
    """

    id: str
    state: Literal["waiting", "leased", "done", "dead", "cancelled"]
    claim: str
    priority: int
    attempts: int
    created_at: str
    not_before: str
    ended_at: str | None
    error: str | None
    result: VerifyAnswer | None


class QueueAnswer(TypedDict):
    """How many tasks you have in each state; ``limit`` bounds those that wait or are leased."""

    waiting: int
    leased: int
    done: int
    dead: int
    cancelled: int
    limit: int


class QueueKindAnswer(TypedDict):
    """How many tasks of a kind are where, those of every tenant.

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
