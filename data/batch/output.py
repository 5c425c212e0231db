"""Where a batch writes: a folder of this disk, or of a file system that Arrow knows. Files come whole or not.

Called by the driver and by the workers. Invariant: a file that is there under its name is complete and, on
this disk, durable; writing it again with the same bytes changes nothing, whoever else does so.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from data.batch.inputs import file_system, is_address
from data.durable import sync_folder
from data.errors import InvalidValueError, StoreUnavailableError

#: Where files are written before they get their name, below the output.
DRAFTS = "_kite/drafts"
#: How often a draft is written that other runs take away: each does so once, when it has come to its end.
_ATTEMPTS = 5
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
#: File systems on which an object appears whole, when its writer is closed.
_OBJECT_STORES = frozenset({"s3", "gcs", "abfs"})
#: What a file holds: its bytes or, where they are many, what yields them in pieces whenever it is called.
Body = bytes | Callable[[], Iterable[bytes]]


class Output(Protocol):
    """A folder of files by name; a name may hold slashes."""

    @property
    def address(self) -> str:
        """What a person calls the folder."""
        ...

    def commit(self, name: str, body: Body) -> None:
        """Write a file, in place of an earlier one.

        Raises:
            InvalidValueError: it may not be written. StoreUnavailableError: there is no room, or no answer.
        """
        ...

    def create(self, name: str, body: bytes) -> bool:
        """Write a file if there is none of that name; false where another was first. Raises as ``commit``."""
        ...

    def read(self, name: str) -> bytes | None:
        """Return a file, ``None`` where there is none."""
        ...

    def names(self, folder: str = "") -> list[str]:
        """Return the names of the files in one folder of it (not below), sorted."""
        ...

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        ...


def open_output(address: str) -> Output:
    """Return the folder of an address or a path. Nothing is made before something is written."""
    if not is_address(address):
        return FolderOutput(Path(address))
    system, path = file_system(address)
    if system.type_name == "local":
        return FolderOutput(Path(path))
    return ArrowOutput(system, path, address)


class FolderOutput:
    """A folder on this disk."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder.resolve()

    @property
    def address(self) -> str:
        """Its path."""
        return str(self._folder)

    def commit(self, name: str, body: Body) -> None:
        """Write a draft, make it durable, give it its name."""
        goal = self._folder / name
        with _in_words(goal):
            _again_where_gone(lambda: self._place(goal, body, lambda draft: draft.replace(goal)))
        sync_folder(goal.parent)

    def create(self, name: str, body: bytes) -> bool:
        """Do the same, but where a file has that name already."""
        goal = self._folder / name
        with _in_words(goal):
            try:
                _again_where_gone(lambda: self._place(goal, body, lambda draft: os.link(draft, goal)))
            except FileExistsError:
                return False
        sync_folder(goal.parent)
        return True

    def _place(self, goal: Path, body: Body, place: Callable[[Path], object]) -> None:
        draft = self._folder / DRAFTS / f"{goal.name}.{uuid.uuid4().hex}"
        for folder in (draft.parent, goal.parent):
            folder.mkdir(parents=True, exist_ok=True)
        try:
            with draft.open("wb") as stream:
                stream.writelines(_pieces(body))
                stream.flush()
                os.fsync(stream.fileno())
            place(draft)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)

    def read(self, name: str) -> bytes | None:
        """Return a file."""
        with _in_words(self._folder / name, "read"):
            try:
                return (self._folder / name).read_bytes()
            except FileNotFoundError:
                return None

    def names(self, folder: str = "") -> list[str]:
        """Return the names in one folder."""
        with _in_words(self._folder / folder, "read"):
            try:
                return sorted(one.name for one in os.scandir(self._folder / folder) if one.is_file())
            except FileNotFoundError:
                return []

    def remove(self, name: str) -> None:
        """Remove a file."""
        with _in_words(self._folder / name):
            (self._folder / name).unlink(missing_ok=True)


class ArrowOutput:
    """A folder of a file system that Arrow knows. ``address`` is what a person calls it."""

    def __init__(self, system: Any, path: str, address: str) -> None:
        self._system = system
        self._path = path.rstrip("/")
        self.address = address

    def commit(self, name: str, body: Body) -> None:
        """Write a file: on an object store at once, else as a draft that is moved."""
        goal = f"{self._path}/{name}"
        whole = self._system.type_name in _OBJECT_STORES
        draft = goal if whole else f"{self._path}/{DRAFTS}/{uuid.uuid4().hex}"
        with _in_words(goal):
            if whole:
                self._write(goal, body)
            else:
                _again_where_gone(lambda: self._place(draft, goal, body))

    def _place(self, draft: str, goal: str, body: Body) -> None:
        for path in (draft, goal):
            self._system.create_dir(path.rpartition("/")[0], recursive=True)
        self._write(draft, body)
        self._system.move(draft, goal)

    def _write(self, path: str, body: Body) -> None:
        with self._system.open_output_stream(path) as stream:
            for piece in _pieces(body):
                stream.write(piece)

    def create(self, name: str, body: bytes) -> bool:
        """Write a file unless it is there; not in one step here, so begin one batch at a time."""
        if self.read(name) is not None:
            return False
        self.commit(name, body)
        return True

    def read(self, name: str) -> bytes | None:
        """Return a file."""
        with _in_words(f"{self._path}/{name}", "read"):
            try:
                with self._system.open_input_stream(f"{self._path}/{name}") as stream:
                    return bytes(stream.read())
            except FileNotFoundError:
                return None

    def names(self, folder: str = "") -> list[str]:
        """Return the names in one folder."""
        from pyarrow import fs

        base = f"{self._path}/{folder}".rstrip("/")
        with _in_words(base, "read"):
            found = self._system.get_file_info(fs.FileSelector(base, allow_not_found=True))
        return sorted(one.base_name for one in found if one.type == fs.FileType.File)

    def remove(self, name: str) -> None:
        """Remove a file."""
        with _in_words(f"{self._path}/{name}"), suppress(FileNotFoundError):
            self._system.delete_file(f"{self._path}/{name}")


def _pieces(body: Body) -> Iterable[bytes]:
    return (body,) if isinstance(body, bytes) else body()


def _again_where_gone(write: Callable[[], None]) -> None:
    """Write a file, again where its draft was taken for one that a dead run left."""
    for left in reversed(range(_ATTEMPTS)):
        try:
            write()
        except FileNotFoundError:
            if not left:
                raise
        else:
            return


@contextmanager
def _in_words(what: object, verb: str = "written") -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        if exc.errno in _FULL:
            raise StoreUnavailableError(
                f"{what}: the disk is full. Make room and start again: what is written stays."
            ) from exc
        raise InvalidValueError(
            f"{what}: cannot be {verb} ({exc.strerror or exc}). Choose another, or mend its permissions."
        ) from exc
