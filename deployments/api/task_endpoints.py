"""The rows of the route table for queued tasks. Called by ``api.asgi``, which lists all."""

from __future__ import annotations

from typing import Any

from data.queue.tasks import TaskState
from deployments.api.knowledge_endpoints import IDEMPOTENCY_KEY
from deployments.api.labels import LABEL_SCHEME
from deployments.api.openapi import Endpoint
from deployments.api.paging import DEFAULT_PAGE, MAX_CURSOR_CHARS, MAX_PAGE
from deployments.api.routes.tasks import TaskRoutes
from deployments.api.rules import READ, TASK, VERIFY, VERIFY_MANY, WATCH
from deployments.api.task_schemas import QueueAnswer, QueueKindAnswer, TaskAnswer, TaskRequest
from deployments.services import Services

_BAD_BODY = (400, 413, 415, 422)
_STATE: dict[str, Any] = {
    "name": "state",
    "in": "query",
    "description": "Tasks of this state only.",
    "schema": {"type": "string", "enum": list(map(str, TaskState))},
}
_PAGE: tuple[dict[str, Any], ...] = (
    {
        "name": "limit",
        "in": "query",
        "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
    },
    {
        "name": "cursor",
        "in": "query",
        "description": "X-Next-Cursor of the page before.",
        "schema": {"type": "string", "maxLength": MAX_CURSOR_CHARS, "pattern": "^[A-Za-z0-9_-]*$"},
    },
)
_EXAMPLE = {"claim": "Water boils at 100 degrees Celsius at sea level.", "priority": "utility"}


def task_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for tasks and for the queue that holds them."""
    tasks = TaskRoutes(services)
    one = "/tasks/{task_id}"
    return [
        Endpoint(
            "POST", "/tasks/verify", tasks.submit, "Queue claims", TaskRequest | list[TaskRequest],
            TaskAnswer | list[TaskAnswer], problems=(*_BAD_BODY, 409, 429, 503), status=202,
            queries=(LABEL_SCHEME, IDEMPOTENCY_KEY), example=_EXAMPLE,
            limits={"items": services.limits.batch_claims}, access=VERIFY_MANY,
        ),
        Endpoint(
            "GET", "/tasks", tasks.listing, "List tasks", answer=list[TaskAnswer], problems=(400, 503),
            queries=(_STATE, *_PAGE), access=READ,
        ),
        Endpoint(
            "GET", one, tasks.show, "Show a task", answer=TaskAnswer, problems=(404, 503), access=READ,
        ),
        Endpoint(
            "POST", f"{one}/retry", tasks.retry, "Try a dead task again", answer=TaskAnswer,
            problems=(404, 409, 503), access=VERIFY,
        ),
        Endpoint(
            "DELETE", one, tasks.cancel, "Cancel a task", answer=TaskAnswer, problems=(404, 409, 503),
            access=TASK,
        ),
        Endpoint(
            "GET", "/queue", tasks.depth, "Your tasks by state", answer=QueueAnswer, problems=(503,),
            access=READ,
        ),
        Endpoint(
            "GET", "/admin/queue", tasks.counts, "All tasks by kind", answer=list[QueueKindAnswer],
            problems=(503,), access=WATCH,
        ),
    ]  # fmt: skip
