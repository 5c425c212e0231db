"""Calls for jobs and queued tasks. Pure; sent by the clients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from deployments.client.calls import API, Call, Page, Repeat, get, pages, part, query_of, write

if TYPE_CHECKING:
    from deployments.api.job_wire import JobAnswer
    from deployments.api.task_schemas import QueueAnswer, TaskAnswer


def submit_job(
    kind: str, args: Mapping[str, Any] | None = None, *, idempotency_key: str | None = None
) -> Call[JobAnswer]:
    """Have a job done in the background; ``args`` as ``POST /jobs`` takes them for the kind."""
    return write("POST", f"{API}/jobs", {"kind": kind, "args": dict(args or {})}, key=idempotency_key)


def jobs_page(
    *, kind: str | None = None, state: str | None = None, limit: int | None = None
) -> Call[Page[JobAnswer]]:
    """Return the first page of the jobs, newest first, without their reports."""
    return pages(f"{API}/jobs", query_of(kind=kind, state=state, limit=limit))


def job(job_id: str) -> Call[JobAnswer]:
    """Tell how a job stands, how far it is, and what it reported."""
    return get(f"{API}/jobs/{part(job_id)}")


def job_logs(job_id: str, *, follow: bool = False) -> Call[str]:
    """Return what a job printed; with ``lines`` of the clients it is followed until the job has ended."""
    query = {"follow": "true"} if follow else {}
    path = f"{API}/jobs/{part(job_id)}/logs"
    call: Call[str] = Call("GET", path, query, repeat=Repeat.SAFE, read=lambda response: response.text)
    return replace(call, is_endless=follow)


def stop_job(job_id: str) -> Call[JobAnswer]:
    """Have a job stop; one that has ended stays as it is."""
    return Call("DELETE", f"{API}/jobs/{part(job_id)}", repeat=Repeat.SAFE)


def remove_job(job_id: str) -> Call[JobAnswer]:
    """Remove a job that has ended, with its files."""
    return Call("DELETE", f"{API}/jobs/{part(job_id)}", {"remove": "true"})


def submit_tasks(
    items: Sequence[Mapping[str, Any]],
    *,
    label_scheme: str | None = None,
    idempotency_key: str | None = None,
) -> Call[list[TaskAnswer]]:
    """Put claims into the queue, all or none; ``items`` as ``/verify`` takes them, and id and priority."""
    return Call(
        "POST",
        f"{API}/tasks/verify",
        query_of(label_scheme=label_scheme),
        body=[dict(one) for one in items],
        repeat=Repeat.KEYED,
        key=idempotency_key,
    )


def tasks_page(*, state: str | None = None, limit: int | None = None) -> Call[Page[TaskAnswer]]:
    """Return the first page of the tasks, newest first, without their results."""
    return pages(f"{API}/tasks", query_of(state=state, limit=limit))


def task(task_id: str) -> Call[TaskAnswer]:
    """Tell how a task stands; with its result when it is done."""
    return get(f"{API}/tasks/{part(task_id)}")


def retry_task(task_id: str) -> Call[TaskAnswer]:
    """Give a dead task all its attempts again."""
    return Call("POST", f"{API}/tasks/{part(task_id)}/retry")


def cancel_task(task_id: str) -> Call[TaskAnswer]:
    """Give up a task that has not ended."""
    return Call("DELETE", f"{API}/tasks/{part(task_id)}")


def queue() -> Call[QueueAnswer]:
    """Tell how many tasks there are in each state."""
    return get(f"{API}/queue")
