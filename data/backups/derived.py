"""Views that take long to rebuild, as files of a backup: passages, history and passage vectors.

Called by creation (copies beside a running keeper) and by the restore (which of them may be used). Invariant:
a copied view says up to which position it goes; a restore uses it only where the ledger reaches at least as
far. The others are rebuilt: facts and graph belong to one process, access takes no time.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from data.backups.manifest import StoredFile
from data.errors import StoreUnavailableError

#: Where the passage vectors lie, under the home.
VECTORS = "vectors/passages"
_DATABASES = ("views/passages.sqlite", "views/history.sqlite")
#: A vector version may be replaced while it is linked: then the newer one is taken.
_ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class ViewFile:
    """A copied file: its path under the home, where the copy is, and the position it stands for."""

    name: str
    path: Path
    applied_seq: int


def copies_of_views(home: Path, folder: Path) -> list[ViewFile]:
    """Copy what a home has of the views into ``folder``, each as it was at one moment."""
    copied = [_database(home / name, folder / name, name) for name in _DATABASES if (home / name).is_file()]
    return copied + _vectors(home / VECTORS, folder / VECTORS)


def usable(files: Sequence[StoredFile], seq: int) -> list[StoredFile]:
    """Return the views' files that a ledger up to ``seq`` can go on from."""
    return [file for file in files if file.applied_seq is not None and file.applied_seq <= seq]


def _database(source: Path, copy: Path, name: str) -> ViewFile:
    copy.parent.mkdir(parents=True, exist_ok=True)
    try:
        with (
            closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as live,
            closing(sqlite3.connect(copy)) as draft,
        ):
            live.backup(draft)
            draft.execute("PRAGMA journal_mode=DELETE")
            row = draft.execute("SELECT value FROM meta WHERE key = 'applied_seq'").fetchone()
    except sqlite3.Error as exc:
        raise StoreUnavailableError(f"The view {name} cannot be copied: {exc}.") from exc
    return ViewFile(name, copy, int(row[0]) if row else 0)


def _vectors(source: Path, copy: Path) -> list[ViewFile]:
    for _ in range(_ATTEMPTS):
        try:
            content = (source / "manifest.json").read_bytes()
        except FileNotFoundError:
            return []
        manifest: dict[str, Any] = msgspec.json.decode(content)
        version = copy / manifest["version"]
        try:
            _link_all(source / manifest["version"], version)
        except FileNotFoundError:
            shutil.rmtree(copy, ignore_errors=True)
            continue
        (copy / "manifest.json").write_bytes(content)
        files = [copy / "manifest.json", *sorted(version.iterdir())]
        seq = int(manifest["applied_seq"])
        return [ViewFile(f"{VECTORS}/{one.relative_to(copy).as_posix()}", one, seq) for one in files]
    raise StoreUnavailableError("The passage vectors change too fast to be copied: repeat the backup.")


def _link_all(source: Path, copy: Path) -> None:
    copy.mkdir(parents=True, exist_ok=True)
    for file in sorted(source.iterdir()):
        try:
            os.link(file, copy / file.name)
        except PermissionError:  # a filesystem without links
            shutil.copyfile(file, copy / file.name)
