"""Where backups are kept: a folder, or any filesystem that pyarrow reaches (S3, GCS, Azure, HDFS).

Called by everything in ``data.backups``. Invariant: a file appears under its name whole or not at all, and
names are relative to the target with ``/`` between folders.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

from data.durable import sync_folder
from data.errors import InvalidValueError, NotFoundError, UnavailableError

#: Bytes read at a time.
READ_BYTES = 1 << 20
#: Filesystems that show a file only once it is whole, and that have no folders.
_OBJECT_STORES = frozenset({"s3", "gcs", "abfs"})


@dataclass(frozen=True, slots=True)
class Item:
    """A file of the target: its name and its size in bytes."""

    path: str
    size: int


class Target(Protocol):
    """A place for backups. Any thread may call anything."""

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """Store a file, whole and durable on return; one of the same name is replaced.

        Raises:
            UnavailableError: the target cannot be used; nothing stands under the name that was not there.
        """
        ...

    def read(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes.

        Raises:
            NotFoundError: there is no such file. UnavailableError: the target cannot be used.
        """
        ...

    def size(self, path: str) -> int | None:
        """Return a file's size in bytes, ``None`` when there is none."""
        ...

    def files(self, folder: str) -> list[Item]:
        """Return every file below a folder, sorted by name; none when there is no such folder."""
        ...

    def delete(self, path: str) -> None:
        """Remove a file; one that is gone already is no error."""
        ...


class FolderTarget:
    """A folder of this machine, or one mounted on it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """See ``Target``."""
        whole = self._folder / path
        draft = whole.with_name(f".{whole.name}.{os.getpid()}.tmp")
        with _named(str(self._folder)):
            whole.parent.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("wb") as file:
                    for chunk in chunks:
                        file.write(chunk)
                    file.flush()
                    os.fsync(file.fileno())
                draft.replace(whole)
            finally:
                draft.unlink(missing_ok=True)
            sync_folder(whole.parent)

    def read(self, path: str) -> Iterator[bytes]:
        """See ``Target``."""
        with _named(str(self._folder)):
            with _missing(path):
                file = (self._folder / path).open("rb")
            with file:
                while chunk := file.read(READ_BYTES):
                    yield chunk

    def size(self, path: str) -> int | None:
        """See ``Target``."""
        with _named(str(self._folder)):
            whole = self._folder / path
            return whole.stat().st_size if whole.is_file() else None

    def files(self, folder: str) -> list[Item]:
        """See ``Target``."""
        with _named(str(self._folder)):
            found = [one for one in (self._folder / folder).rglob("*") if one.is_file()]
            names = [one for one in found if not one.name.startswith(".")]
            return sorted(
                (Item(one.relative_to(self._folder).as_posix(), one.stat().st_size) for one in names),
                key=lambda item: item.path,
            )

    def delete(self, path: str) -> None:
        """See ``Target``; a folder left empty goes too."""
        with _named(str(self._folder)):
            whole = self._folder / path
            whole.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # not empty, or gone
                whole.parent.rmdir()


class ArrowTarget:
    """A folder of a pyarrow filesystem; ``root`` is the bucket or folder in it."""

    def __init__(self, filesystem: Any, root: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")

    def write(self, path: str, chunks: Iterable[bytes]) -> None:
        """See ``Target``."""
        whole = self._whole(path)
        with _named(self._root):
            if self._filesystem.type_name in _OBJECT_STORES:
                self._pour(whole, chunks)
                return
            folder, _, name = whole.rpartition("/")
            draft = f"{folder}/.{name}.{os.getpid()}.tmp"
            self._filesystem.create_dir(folder, recursive=True)
            self._pour(draft, chunks)
            self._filesystem.move(draft, whole)

    def read(self, path: str) -> Iterator[bytes]:
        """See ``Target``."""
        with _named(self._root):
            with _missing(path):
                file = self._filesystem.open_input_stream(self._whole(path))
            with file:
                while chunk := file.read(READ_BYTES):
                    yield chunk

    def size(self, path: str) -> int | None:
        """See ``Target``."""
        with _named(self._root):
            info = self._filesystem.get_file_info(self._whole(path))
            return int(info.size) if info.is_file else None

    def files(self, folder: str) -> list[Item]:
        """See ``Target``."""
        from pyarrow.fs import FileSelector

        with _named(self._root):
            selector = FileSelector(self._whole(folder), allow_not_found=True, recursive=True)
            found = [info for info in self._filesystem.get_file_info(selector) if info.is_file]
            shown = [info for info in found if not info.base_name.startswith(".")]
            cut = len(self._root) + 1
            return sorted((Item(info.path[cut:], int(info.size)) for info in shown), key=lambda one: one.path)

    def delete(self, path: str) -> None:
        """See ``Target``."""
        with _named(self._root), contextlib.suppress(FileNotFoundError):
            self._filesystem.delete_file(self._whole(path))

    def _whole(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _pour(self, whole: str, chunks: Iterable[bytes]) -> None:
        stream = self._filesystem.open_output_stream(whole)
        try:
            for chunk in chunks:
                stream.write(chunk)
            stream.close()
        except BaseException:
            # Closing is what publishes, and there is no other way to let go: publish, then take away.
            with contextlib.suppress(OSError):
                stream.close()
                self._filesystem.delete_file(whole)
            raise


def open_target(address: str, *, endpoint: str | None = None) -> Target:
    """Return the target behind a folder's path or a URI (``file://``, ``s3://bucket/folder``, ``gs://`` …).

    ``endpoint`` is the URL of an S3-compatible server, ``http://127.0.0.1:9000`` say.

    Raises:
        InvalidValueError: not an address that pyarrow knows. UnavailableError: it cannot be reached.
    """
    parts = urlsplit(address)
    if parts.scheme in {"", "file"}:
        return FolderTarget(Path(parts.path if parts.scheme else address).expanduser().resolve())
    from pyarrow import ArrowInvalid
    from pyarrow.fs import FileSystem

    # A URI may carry credentials: they are shown nowhere.
    shown = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
    if not parts.netloc:
        raise InvalidValueError(f"{shown!r} is no backup target: name a bucket, as in s3://bucket/folder.")
    if parts.scheme == "s3":
        address = _s3_address(parts, endpoint)
    try:
        with _named(shown):
            filesystem, root = FileSystem.from_uri(address)
    except (ArrowInvalid, ValueError) as exc:
        text = f"{shown!r} is no backup target: give a folder, or s3://bucket/folder and the like."
        raise InvalidValueError(text) from exc
    return ArrowTarget(filesystem, root)


def _s3_address(parts: SplitResult, endpoint: str | None) -> str:
    """Add the server, and that files which fit one request are sent in one: half a file is never seen."""
    options = {"allow_delayed_open": "true", **dict(parse_qsl(parts.query))}
    if endpoint:
        server = urlsplit(endpoint)
        options |= {"scheme": server.scheme, "endpoint_override": server.netloc}
    return parts._replace(query=urlencode(options)).geturl()


@contextlib.contextmanager
def _named(place: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        why = exc.strerror or str(exc)
        raise UnavailableError(
            f"The backup target {place} cannot be used ({why}): mend it, then repeat."
        ) from exc


@contextlib.contextmanager
def _missing(path: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFoundError(f"The backup file {path} is missing.") from exc
