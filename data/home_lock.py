"""The lock of a home: one process writes to it, or any number of them only read.

Held by the keeper, by who works on a stopped home, and shared by those who read one at rest.
"""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from data.errors import StoreUnavailableError


def hold_home(home: Path) -> IO[bytes]:
    """Take the home for this process, for as long as the file returned (its lock file) is open.

    Raises:
        StoreUnavailableError: another process has it.
    """
    return _locked(home, fcntl.LOCK_EX, "Another keeper owns {}, or a batch reads it: stop it first.")


def share_home(home: Path) -> IO[bytes]:
    """Keep every writer out of the home for as long as the file returned is open; others may share it.

    Raises:
        StoreUnavailableError: a process that may write has it.
    """
    return _locked(home, fcntl.LOCK_SH, "A keeper owns {}: stop it first.")


def _locked(home: Path, how: int, refusal: str) -> IO[bytes]:
    path = home / "ledger" / "lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise StoreUnavailableError(refusal.format(home)) from exc
    return file
