"""Settings of jobs and of where their files may lie. Part of ``configs.schema``."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from configs.parts import Count, Part, Seconds


class JobSettings(Part, frozen=True):
    """How many jobs run, how often one is tried, how long they are kept, and which files they may touch.

    ``concurrent`` jobs run at once; the others wait, tenants in turn, at most ``waiting`` of a tenant. A job
    whose process died is run again until it has had ``attempts``, after ``first_wait_s`` doubled each time to
    at most ``longest_wait_s``. The service looks at them every ``look_s``; one that was stopped has
    ``stop_s`` to end by itself.

    Ended jobs are kept ``keep_s``, and of a tenant the last ``keep``. A list of at most ``online_claims``
    claims goes to the running deployments at once instead of paying for a job's start; 0 turns that off.

    ``folders`` are the places that jobs may read from and write to: ``{home}`` stands for this
    installation's home, ``{tenant}`` for the tenant that asks; a place without ``{tenant}`` is open to
    every tenant's operators. Addresses such as ``s3://bucket/{tenant}`` are places too.
    """

    concurrent: Count = 2
    waiting: Count = 10_000
    attempts: Annotated[int, Meta(ge=1, le=1_000)] = 10
    first_wait_s: Seconds = 1.0
    longest_wait_s: Seconds = 60.0
    look_s: Seconds = 0.5
    stop_s: Seconds = 10.0
    keep_s: Seconds = 30 * 24 * 3600.0
    keep: Count = 1_000
    online_claims: Annotated[int, Meta(ge=0, le=1_000)] = 300
    folders: tuple[str, ...] = ("{home}/files/{tenant}",)

    def __post_init__(self) -> None:
        """Refuse waits that shrink, and places that are none."""
        if self.longest_wait_s < self.first_wait_s:
            msg = f"longest_wait_s ({self.longest_wait_s:g}) is below first_wait_s ({self.first_wait_s:g})"
            raise ValueError(msg)
        for folder in self.folders:
            if not (folder.startswith(("/", "{home}")) or "://" in folder):
                msg = f"jobs.folders: {folder!r} is no place: begin it with / or {{home}}, or give an address"
                raise ValueError(msg)
