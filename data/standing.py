"""Where the knowledge stands, in memory that the processes of one machine share: reading it asks nobody.

The keeper's process writes a board, verification reads it at every batch. Invariants: what ``read`` returned
was true while it was asked, for the kernel's lock on the board goes with its writer, however that ends; a
process of another machine, or of another container, finds no board and asks the keeper; a board is told of
a write before the write is acknowledged.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import threading
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

#: Memory that is a file, and never that of another machine. Where there is none, there are no boards.
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - names there are random, and a board is opened only where it is ours
#: Where a home says which board is its keeper's.
NAME = Path("run") / "standing"
_PREFIX = "kite-"
#: Words of 8 bytes: position, edition, and which folder the home is (a copy of a home has its note, too).
_BYTES = 4 * 8


def unknown_edition() -> Hashable | None:
    """Say that nobody but the keeper knows whether something was written."""
    return None


class Standing(NamedTuple):
    """``position`` of the last change of knowledge; ``edition`` of everything that is written.

    An edition is other after every write that is no verdict. Editions of two boards have nothing to do with
    each other: ``board`` tells them apart.
    """

    position: int
    edition: int
    board: str


@dataclass(slots=True)
class _Opened:
    name: str
    descriptor: int
    memory: mmap.mmap
    words: memoryview

    def close(self) -> None:
        self.words.release()
        self.memory.close()
        os.close(self.descriptor)


class Board:
    """The writer's side: one for each keeper, made anew when it starts."""

    def __init__(self, home: Path, *, folder: Path = SHARED_MEMORY) -> None:
        """Make a board. The caller owns the home, so nobody else makes one of it."""
        self._home = home
        self._note = home / NAME
        self._folder = folder
        self._opened: _Opened | None = None
        self._edition = 0

    def tell(self, position: int) -> None:
        """Show a position, under a new edition. The first call makes the board known."""
        self._edition += 1
        if self._opened is not None:
            self._opened.words[0], self._opened.words[1] = position, self._edition
        elif self._edition == 1 and self._folder.is_dir():
            self._opened = self._made(position)

    def close(self) -> None:
        """Take the board away: readers ask the keeper from now on."""
        if self._opened is not None:
            (self._folder / self._opened.name).unlink(missing_ok=True)
            self._opened.close()
            self._opened = None

    def _made(self, position: int) -> _Opened | None:
        self._remove_dead()
        name = _PREFIX + secrets.token_hex(16)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(self._folder / name, flags, 0o600)
        except OSError:  # shared memory is full, or not ours to write: everyone asks
            return None
        os.ftruncate(descriptor, _BYTES)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        memory = mmap.mmap(descriptor, _BYTES)
        words = memoryview(memory).cast("Q")
        words[0], words[1] = position, self._edition
        words[2], words[3] = _identity(self._home)
        self._note.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._note.with_name(f"{name}.fresh")
        fresh.write_text(name, "ascii")
        fresh.replace(self._note)
        return _Opened(name, descriptor, memory, words)

    def _remove_dead(self) -> None:
        """Remove the board of a keeper that was killed."""
        with suppress(OSError, ValueError):
            path = self._folder / _checked(self._note.read_text("ascii"))
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                if not _is_written(descriptor):
                    path.unlink()
            finally:
                os.close(descriptor)


class BoardReader:
    """The reader's side. Any thread may call it."""

    def __init__(self, home: Path, *, folder: Path = SHARED_MEMORY) -> None:
        self._home = home
        self._note = home / NAME
        self._folder = folder
        self._lock = threading.Lock()
        self._opened: _Opened | None = None

    def read(self) -> Standing | None:
        """Return where the knowledge stands, ``None`` where only the keeper can say."""
        with self._lock:
            if self._opened is not None and not _is_written(self._opened.descriptor):
                self._opened.close()
                self._opened = None
            if self._opened is None:
                self._opened = self._found()
            if self._opened is None:
                return None
            return Standing(self._opened.words[0], self._opened.words[1], self._opened.name)

    def edition(self) -> tuple[str, int] | None:
        """Return what changes with every write but verdicts, ``None`` where only the keeper can say."""
        known = self.read()
        return (known.board, known.edition) if known else None

    def _found(self) -> _Opened | None:
        try:
            name = _checked(self._note.read_text("ascii"))
            descriptor = os.open(self._folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        told = os.fstat(descriptor)
        if told.st_uid != os.geteuid() or told.st_size != _BYTES or not _is_written(descriptor):
            os.close(descriptor)
            return None
        memory = mmap.mmap(descriptor, _BYTES, prot=mmap.PROT_READ)
        opened = _Opened(name, descriptor, memory, memoryview(memory).cast("Q"))
        if (opened.words[2], opened.words[3]) != _identity(self._home):
            opened.close()
            return None
        return opened


def _identity(home: Path) -> tuple[int, int]:
    told = home.stat()
    return told.st_dev, told.st_ino


def _is_written(descriptor: int) -> bool:
    """Return whether a board's writer lives: it holds the lock for as long as it does."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    return False


def _checked(name: str) -> str:
    """Return the name of a board; anything else in its place is none."""
    if not (name.startswith(_PREFIX) and name.removeprefix(_PREFIX).isalnum()):
        raise ValueError(name)
    return name
