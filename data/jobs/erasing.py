"""What jobs keep of a tenant on disk: counted, and removed for good. Called by ``data.erasure``.

Invariant: a job whose folder is gone ends by itself, for its runner looks whether it is to stop, and what it
still writes has no folder to go to.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from data.claims import TenantId
from data.jobs.folder import FOLDER

#: Where the settings' first place for files of jobs lies, below the home.
FILES = "files"
#: Folder of what schedules began last, below that of all jobs.
MARKS = ".schedules"


def held_by_jobs(home: Path, tenant: TenantId) -> dict[str, int]:
    """Count the files of a tenant's jobs, of its schedules' marks, and those that were put there for jobs."""
    return {
        "jobs: files": sum(_files(path) for path in (home / FOLDER / tenant, *_marks(home, tenant))),
        "jobs: input and output": _files(home / FILES / tenant),
    }


def remove_jobs(home: Path, tenant: TenantId) -> None:
    """Remove them."""
    for path in (home / FOLDER / tenant, home / FILES / tenant):
        shutil.rmtree(path, ignore_errors=True)
    for mark in _marks(home, tenant):
        mark.unlink(missing_ok=True)


def _marks(home: Path, tenant: TenantId) -> list[Path]:
    return sorted((home / FOLDER / MARKS).glob(f"{tenant}.*"))


def _files(path: Path) -> int:
    if path.is_file():
        return 1
    return sum(not one.is_dir() for one in path.rglob("*"))
