"""Bodies and answers of jobs. Called by their routes and by the OpenAPI document."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta, Struct, field
from typing_extensions import TypedDict

from data.jobs.records import JobKind, JobProgress, JobRecord, JobState
from deployments.job_desk import JobSeen


class JobRequest(Struct, forbid_unknown_fields=True):
    """Do what ``kind`` says with ``args``, whose fields depend on the kind."""

    kind: JobKind
    args: Annotated[dict[str, Any], Meta(max_length=100)] = field(default_factory=dict)


class JobProgressAnswer(TypedDict):
    """``done`` of ``total`` things of a phase, ``rate`` a second; null where it is not known."""

    done: int
    total: int | None
    rate: float
    eta_s: float | None
    phase: str


class JobAnswer(TypedDict):
    """How a job stands. ``reason`` says why it failed, was stopped or was interrupted.

    ``report`` is null in lists and until the job has made one. ``submission`` names it in Ray's dashboard.
    """

    id: str
    kind: JobKind
    status: JobState
    args: dict[str, Any]
    progress: JobProgressAnswer
    report: dict[str, Any] | None
    reason: str
    attempt: int
    submitted_by: str
    schedule_id: str | None
    submission: str | None
    created_at: str
    started_at: str | None
    ended_at: str | None


def job_answer(seen: JobSeen) -> dict[str, Any]:
    """Return how a job stands, as it is told."""
    record = seen.record
    return {
        "id": record.id,
        "kind": record.kind,
        "status": record.state,
        "args": record.args,
        "progress": _progress(seen.progress or JobProgress(), record),
        "report": seen.report,
        "reason": record.reason,
        "attempt": record.attempt,
        "submitted_by": record.actor,
        "schedule_id": record.schedule,
        "submission": record.submission or None,
        "created_at": moment(record.created_s),
        "started_at": moment(record.started_s),
        "ended_at": moment(record.ended_s),
    }


def _progress(told: JobProgress, record: JobRecord) -> dict[str, Any]:
    """Return how far a job is; one that does not run goes at no rate and comes to no end."""
    runs = record.state in {JobState.RUNNING, JobState.STOPPING}
    return {
        "done": told.done,
        "total": told.total,
        "rate": told.rate,
        "eta_s": told.eta_s if runs else None,
        "phase": told.phase,
    }


def moment(at_s: float | None) -> str | None:
    """Return a moment as ISO 8601 in UTC, to the millisecond."""
    return None if at_s is None else datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
