"""The rows of the route table for jobs and their schedules. Called by ``api.asgi``."""

from __future__ import annotations

import re
from typing import Any

from data.jobs.kinds import MAX_CLAIMS
from data.jobs.records import JobKind, JobState
from deployments.api.job_wire import JobAnswer, JobRequest
from deployments.api.knowledge_endpoints import IDEMPOTENCY_KEY
from deployments.api.knowledge_requests import TAGS_PATTERN
from deployments.api.openapi import Endpoint
from deployments.api.paging import MAX_PAGE
from deployments.api.routes.jobs import LOG_TYPE, NDJSON_TYPE, JobRoutes
from deployments.api.routes.schedules import ScheduleRoutes
from deployments.api.rules import FOLLOW, SCHEDULE, SUBMIT
from deployments.api.schedule_wire import ScheduleAnswer, ScheduleRequest
from deployments.api.vector_requests import MAX_OFFSET
from deployments.services import Services

#: The paths whose answers may take as long as a job, or as a large file.
JOB_LOGS = re.compile(r"(/api/v1)?/jobs/[^/]+/(logs|output)/?$")
_BAD_BODY = (400, 413, 415, 422)
_EXAMPLE = {"kind": "verify_batch", "args": {"input": "claims.jsonl", "output": "verdicts.jsonl"}}

_SCHEDULE = {"kind": "rebuild_index", "args": {"all": True}, "cron": "0 3 * * *", "timezone": "Europe/Paris"}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": schema}


IF_MATCH = {
    "name": "If-Match",
    "in": "header",
    "description": "Done only if the schedule has this ETag.",
    "schema": {"type": "string", "pattern": TAGS_PATTERN},
}
_FLAG = {"type": "boolean", "default": False}
_LIST = (
    _query("state", "Jobs that stand so.", {"type": "string", "enum": list(JobState)}),
    _query("kind", "Jobs of this kind.", {"type": "string", "enum": list(JobKind)}),
    _query("limit", "Jobs of a page.", {"type": "integer", "minimum": 1, "maximum": MAX_PAGE}),
    _query("cursor", "X-Next-Cursor of the page before.", {"type": "string", "maxLength": 63}),
)
_REMOVE = _query("remove", "Remove a job that has ended, with its files.", _FLAG)
_FOLLOW = _query("follow", "Go on until the job has ended.", _FLAG)
_OFFSET = _query(
    "offset", "The first byte to send.", {"type": "integer", "minimum": 0, "maximum": MAX_OFFSET}
)


def schedule_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for schedules."""
    schedules, one = ScheduleRoutes(services), "/schedules/{schedule_id}"
    problems = (*_BAD_BODY, 404, 409, 412, 503)
    return [
        Endpoint(
            "POST", "/schedules", schedules.create, "Make a schedule", ScheduleRequest, ScheduleAnswer,
            problems=(*_BAD_BODY, 409, 503), queries=(IDEMPOTENCY_KEY,), example=_SCHEDULE, status=201,
            access=SCHEDULE,
        ),
        Endpoint(
            "GET", "/schedules", schedules.listing, "List schedules", answer=list[ScheduleAnswer],
            problems=(503,), access=FOLLOW,
        ),
        Endpoint(
            "GET", one, schedules.show, "Show a schedule", answer=ScheduleAnswer, problems=(404, 503),
            access=FOLLOW,
        ),
        Endpoint(
            "PUT", one, schedules.change, "Change a schedule", ScheduleRequest, ScheduleAnswer,
            problems=problems, queries=(IDEMPOTENCY_KEY, IF_MATCH), example=_SCHEDULE, access=SCHEDULE,
        ),
        Endpoint(
            "DELETE", one, schedules.delete, "Remove a schedule", answer=ScheduleAnswer,
            problems=(400, 404, 412, 503), queries=(IF_MATCH,), access=SCHEDULE,
        ),
    ]  # fmt: skip


def job_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for jobs."""
    jobs, one = JobRoutes(services), "/jobs/{job_id}"
    return [
        Endpoint(
            "POST", "/jobs", jobs.submit, "Submit a job", JobRequest, JobAnswer,
            problems=(*_BAD_BODY, 409, 503), queries=(IDEMPOTENCY_KEY,), example=_EXAMPLE, status=202,
            limits={"items": MAX_CLAIMS}, access=SUBMIT,
        ),
        Endpoint(
            "GET", "/jobs", jobs.listing, "List jobs", answer=list[JobAnswer], problems=(400, 503),
            queries=_LIST, access=FOLLOW,
        ),
        Endpoint(
            "GET", one, jobs.show, "How a job stands", answer=JobAnswer, problems=(404, 503), access=FOLLOW,
        ),
        Endpoint(
            "GET", f"{one}/logs", jobs.logs, "What a job printed", media_type=LOG_TYPE,
            problems=(400, 404, 503), queries=(_FOLLOW, _OFFSET), access=FOLLOW,
        ),
        Endpoint(
            "GET", f"{one}/output", jobs.output, "The rows of a job", media_type=NDJSON_TYPE,
            problems=(404, 409, 503), access=FOLLOW,
        ),
        Endpoint(
            "DELETE", one, jobs.delete, "Stop a job, or remove one", answer=JobAnswer,
            problems=(400, 404, 409, 503), queries=(_REMOVE,), access=SUBMIT,
        ),
    ]  # fmt: skip
