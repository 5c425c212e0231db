"""The bytes of a text file, unpacked where it is gzip, and its lines. Called by the readers of this package.

Invariant: no more is held than one line of at most ``MAX_LINE_BYTES``, and no more is unpacked than
``MAX_EXPANSION`` times what came in: a file of kilobytes cannot become gigabytes here.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from data.errors import InvalidValueError

#: Longest line or JSON item: a vector of 10,000 numbers takes 0.25 MB, a long text 1 MB.
MAX_LINE_BYTES = 16 * 2**20
#: How often a packed file may be its own size once unpacked (tables of numbers and texts reach 3 to 20), and
#: the bytes that any may have.
MAX_EXPANSION, FREE_BYTES = 200, 16 * 2**20
BUFFER_BYTES = 2**20
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"


class _Unpacked(io.RawIOBase):
    """A gzip stream that stops when it has unpacked too much."""

    def __init__(self, file: BinaryIO, most: int) -> None:
        self._unpacked = gzip.GzipFile(fileobj=file, mode="rb")
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        try:
            part = self._unpacked.read1(len(buffer))
        except (EOFError, gzip.BadGzipFile, zlib.error) as exc:
            raise InvalidValueError(
                f"The gzip file is damaged or cut short: send the whole file ({str(exc).rstrip('.')})."
            ) from exc
        self._left -= len(part)
        if self._left < 0:
            raise InvalidValueError(
                f"The gzip file unpacks to more than {MAX_EXPANSION} times its size: send it unpacked."
            )
        buffer[: len(part)] = part
        return len(part)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacking it if it begins as gzip does.

    Raises:
        InvalidValueError: there is no such file; while it is read: it is damaged.
    """
    if not path.is_file():
        raise InvalidValueError(f"{path}: there is no such file.")
    with path.open("rb") as file:
        packed = file.read(2) == _GZIP
        file.seek(0)
        if not packed:
            yield file
            return
        most = FREE_BYTES + MAX_EXPANSION * path.stat().st_size
        with io.BufferedReader(cast("io.RawIOBase", _Unpacked(file, most)), BUFFER_BYTES) as unpacked:
            yield unpacked


def lines_of(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a file with their ends; ``None`` stands for one that is too long to be read."""
    first = True
    while line := file.readline(MAX_LINE_BYTES + 1):
        if len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
                pass
            yield None
        else:
            yield line.removeprefix(_BOM) if first else line
        first = False
