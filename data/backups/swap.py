"""Putting a restored home in the place of the old one.

Called by the restore, under the keeper's lock. The ledger is the truth and everything else follows from it,
so one rename decides: before it the old state is in force (its views may have to be rebuilt, which the
keeper does by itself), after it the new one. Invariant: whenever the process is killed, the home holds one
of the two states whole, and a restore that is started again ends with the new one.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from data.backups.derived import VECTORS
from data.backups.source import new_lineage
from data.backups.staging import Staging
from data.datasets.ledger_rows import FOLDER as DATASETS
from data.durable import sync_folder
from data.errors import ConflictError, CorruptDataError
from data.segments import FOLDER as SEGMENTS
from data.views.library import FOLDER as VIEWS

#: What follows from the ledger, and the cache, whose verdicts would be of another history.
_FOLLOWING = (VIEWS, VECTORS, DATASETS, "cache")


def swap_in(home: Path, staging: Staging) -> Path | None:
    """Make the staged state the home's, and return where the old ledger is kept (``None``: there was none).

    Raises:
        ConflictError: another process still has the ledger open.
    """
    names = staging.names()
    # Segments are named by their content: more of them, or the same again, change nothing for the old state.
    _move(staging, home, [name for name in names if name.startswith(f"{SEGMENTS}/")])
    ledger = home / "ledger" / "ledger.sqlite"
    kept = _keep_old(ledger) if ledger.exists() else None
    for name in _FOLLOWING:
        _set_aside(home / name)
    new_lineage(home / "ledger" / "lineage")
    staging.ledger.replace(ledger)  # here the new state begins
    sync_folder(ledger.parent)
    _move(staging, home, [name for name in names if not name.startswith(f"{SEGMENTS}/")])
    for name in _FOLLOWING:
        shutil.rmtree(_aside(home / name), ignore_errors=True)
    return kept


def _keep_old(ledger: Path) -> Path:
    """Close what the ledger's journal holds into it, and give the file a second name."""
    try:
        with closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
            busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            row = connection.execute("SELECT seq, sha256 FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
    except sqlite3.OperationalError as exc:
        raise ConflictError(f"Another process uses {ledger} ({exc}): stop it first.") from exc
    except sqlite3.DatabaseError:
        busy, row = 0, None  # damaged: kept as it is, journal included
    journals = [ledger.with_name(f"{ledger.name}{suffix}") for suffix in ("-wal", "-shm")]
    if busy:
        raise ConflictError(f"Another process still reads {ledger}: stop it first.")
    kept = ledger.with_name(f"{ledger.name}.before-{_label(row)}")
    if not kept.exists():
        kept.hardlink_to(ledger)
    for journal in journals:
        if journal.exists():
            journal.replace(kept.with_name(kept.name + journal.name.removeprefix(ledger.name)))
    sync_folder(ledger.parent)
    return kept


def _label(row: tuple[int, bytes] | None) -> str:
    return f"{row[0]}-{row[1].hex()[:8]}" if row else "damaged"


def _aside(path: Path) -> Path:
    return path.with_name(f"{path.name}.replaced")


def _set_aside(path: Path) -> None:
    if not path.exists():
        return
    shutil.rmtree(_aside(path), ignore_errors=True)
    path.rename(_aside(path))
    sync_folder(path.parent)


def _move(staging: Staging, home: Path, names: Sequence[str]) -> None:
    """Move staged files to their places, durably."""
    for name in names:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        staging.path(name).replace(home / name)
    # A folder that is new stands in the one above it.
    for folder in sorted({home / above for name in names for above in Path(name).parents}):
        sync_folder(folder)


def require_empty(home: Path) -> None:
    """Raise ``ConflictError`` unless nothing was ever written to this home's ledger."""
    ledger = home / "ledger" / "ledger.sqlite"
    if not ledger.exists():
        return
    try:
        with closing(sqlite3.connect(ledger)) as connection:
            row = connection.execute("SELECT 1 FROM entries LIMIT 1").fetchone()
    except sqlite3.Error as exc:
        raise CorruptDataError(f"The ledger {ledger} cannot be read ({exc}): give an empty home.") from exc
    if row is not None:
        raise ConflictError(
            f"{home} holds knowledge already: restore a tenant into an empty home or a running system."
        )
