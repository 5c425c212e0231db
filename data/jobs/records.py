"""What is kept of a job: what it was asked to do, how it stands, and how far it is. Pure.

Called by the folder of a job, by whoever runs one, by the API and the command line. Invariant: a job that
has ended stays as it ended; every other change of state is one of ``NEXT``.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from data.claims import DEFAULT_TENANT, TenantId
from data.errors import InvalidValueError

#: A job's id: a folder's name on every disk. Ids that are made here sort by the moment of making.
JOB_ID_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
_JOB_ID = re.compile(JOB_ID_PATTERN, re.ASCII)


class JobKind(StrEnum):
    """What jobs there are; each is a module of ``tasks``."""

    VERIFY_BATCH = "verify_batch"
    IMPORT_KNOWLEDGE = "import_knowledge"
    IMPORT_VECTORS = "import_vectors"
    EXPORT_VECTORS = "export_vectors"
    REBUILD_INDEX = "rebuild_index"
    BACKUP = "backup"
    EVALUATE = "evaluate"
    COMPACT = "compact"


class JobState(StrEnum):
    """How a job stands. ``interrupted``: whoever ran it died, and it will be run again."""

    QUEUED = "queued"
    RUNNING = "running"
    STOPPING = "stopping"
    INTERRUPTED = "interrupted"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"

    @property
    def is_final(self) -> bool:
        """Whether the job has ended for good."""
        return self in FINAL


#: The states that nothing changes any more.
FINAL = frozenset({JobState.SUCCEEDED, JobState.FAILED, JobState.STOPPED})
#: Which states may follow which.
NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.QUEUED: frozenset({JobState.RUNNING, JobState.STOPPING, JobState.INTERRUPTED}) | FINAL,
    JobState.RUNNING: frozenset({JobState.STOPPING, JobState.INTERRUPTED}) | FINAL,
    JobState.STOPPING: FINAL,
    JobState.INTERRUPTED: frozenset({JobState.QUEUED, JobState.RUNNING, JobState.STOPPING}) | FINAL,
    **dict.fromkeys(FINAL, frozenset()),
}


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job. Moments are seconds since the epoch.

    ``args`` is JSON as the kind's schema checked it; ``actor`` who asked for it. ``attempt`` counts how often
    it was begun, and names the one who may write. ``reason`` says in a sentence why it failed, was stopped
    or was interrupted. ``schedule`` is the id of the schedule that asked for it, if one did. ``is_managed``:
    the service began it and runs it again when its runner dies; else whoever started it does.
    ``submission`` is the name under which Ray's dashboard shows its last attempt, empty where there is none.
    ``trace`` is the context (``traceparent``) of the request that asked for it, where its trace is kept.
    """

    id: str
    kind: JobKind
    args: dict[str, Any] = field(default_factory=dict)
    tenant: TenantId = DEFAULT_TENANT
    actor: str = "system"
    state: JobState = JobState.QUEUED
    created_s: float = 0.0
    started_s: float | None = None
    ended_s: float | None = None
    attempt: int = 0
    reason: str = ""
    schedule: str | None = None
    is_managed: bool = False
    submission: str = ""
    trace: str = ""


@dataclass(frozen=True, slots=True)
class JobProgress:
    """How far a job is: ``done`` of ``total`` (``None`` while it is not known) things of this phase.

    ``rate`` is things a second, smoothed; ``eta_s`` seconds to the end of the phase, where both are known.
    ``at_s`` is when this was said, seconds since the epoch.
    """

    done: int = 0
    total: int | None = None
    rate: float = 0.0
    eta_s: float | None = None
    phase: str = ""
    at_s: float = 0.0


def check_job_id(text: str) -> str:
    """Return ``text`` as a job's id.

    Raises:
        InvalidValueError: it is not 1 to 63 small letters, digits and hyphens, the first no hyphen.
    """
    if not _JOB_ID.fullmatch(text):
        raise InvalidValueError(
            f"The job id {text[:80]!r} is not 1 to 63 small letters, digits and hyphens that start with a "
            "letter or digit: choose another."
        )
    return text


def new_job_id(now_s: float) -> str:
    """Return an id that nobody else has, such as ``20261121-191042-3f9a1c2b``: the moment in UTC first."""
    return f"{datetime.fromtimestamp(now_s, UTC):%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"
