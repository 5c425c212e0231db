"""The lock of a home: one process writes to it. Held by the keeper, or by who works on a stopped home."""

from __future__ import annotations

import fcntl
from pathlib import Path
from typing import IO

from data.errors import StoreUnavailableError


def hold_home(path: Path) -> IO[bytes]:
    """Take the home for this process, for as long as the file returned (its lock file) is open.

    Raises:
        StoreUnavailableError: another process has it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise StoreUnavailableError(f"Another keeper owns {path.parent.parent}: stop it first.") from exc
    return file
