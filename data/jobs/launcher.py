"""The seam between deciding that a job runs and running it.

Implemented by ``cluster.jobs`` over Ray's job submission, and by a fake in tests. Invariant: a submission is
known by its name, and the same name never runs twice in one cluster, so asking again after a crash is safe.
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Protocol

from data.jobs.records import JobRecord


class RunState(StrEnum):
    """What is known of a submission: nothing, alive (waiting for its process, or running), or ended."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    ENDED = "ended"


def submission_name(record: JobRecord, attempt: int) -> str:
    """Return the name of an attempt: the same for the same, so that one can be found again."""
    return f"kite-{record.tenant}-{record.id}-{attempt}"


class Launcher(Protocol):
    """Starts the processes of jobs. Every method raises ``UnavailableError`` while that cannot be done."""

    def start(self, submission: str, record: JobRecord, folder: Path) -> None:
        """Start a process that runs the job of ``folder``; nothing where this submission is known already."""
        ...

    def state(self, submission: str) -> RunState:
        """Return what is known of a submission."""
        ...

    def stop(self, submission: str) -> None:
        """End the process of a submission, if it lives: politely first."""
        ...

    def why(self, submission: str) -> str:
        """Return in a sentence how a submission ended, empty where that is not known."""
        ...
