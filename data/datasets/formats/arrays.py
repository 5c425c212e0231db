"""Vectors of ``.npy`` and ``.fvecs`` files: numbers alone, each vector's id being its number from 0.

Made by ``formats.reading``. Nothing in such a file is ever unpickled or mapped into memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from data.datasets.formats.rows import Row
from data.datasets.records import MAX_DIMENSIONS
from data.errors import InvalidValueError

#: Bytes read at a time.
_PART_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class _Shape:
    """Where the vectors begin, how many there are, their length, and the type of one as it is stored."""

    start: int
    count: int
    dimensions: int
    record: np.dtype[np.void]


class _Fixed:
    """Reads records of one length. ``_shape`` finds it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """Return how many vectors there are."""
        with _opened(self._path) as file:
            shape = self._shape(file)
            for records, first in _parts(file, shape, 0):
                self._check(records, first, shape)
            return shape.count

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Yield the vectors after the first ``after``."""
        with _opened(self._path) as file:
            shape = self._shape(file)
            for records, first in _parts(file, shape, after):
                self._check(records, first, shape)
                for number, values in enumerate(records["values"].astype(np.float64).tolist(), first):
                    yield Row(number + 1, {"id": str(number), "values": values})

    def _shape(self, file: BinaryIO) -> _Shape:
        raise NotImplementedError

    def _check(self, records: NDArray[np.void], first: int, shape: _Shape) -> None:
        """Raise ``InvalidValueError`` where records are not what the file's beginning says."""


class Npy(_Fixed):
    """Reads a two-dimensional NumPy array of numbers, a vector a row."""

    def _shape(self, file: BinaryIO) -> _Shape:
        try:
            version = np.lib.format.read_magic(file)
            read = (
                np.lib.format.read_array_header_1_0
                if version == (1, 0)
                else np.lib.format.read_array_header_2_0
            )
            shape, by_column, kind = read(file)
        except (ValueError, OSError, EOFError, SyntaxError, RecursionError) as exc:
            told = str(exc).partition("\n")[0].rstrip(".")[:160]
            raise InvalidValueError(f"The file is not a whole .npy file: {told}.") from exc
        if len(shape) != 2 or kind.kind not in "fiu" or by_column:
            raise InvalidValueError(
                f"The .npy file holds an array of shape {shape} and type {kind}"
                f"{' stored by column' if by_column else ''}: "
                "save a two-dimensional array of numbers, a vector a row, in C order."
            )
        count, dimensions = shape
        _require_length(dimensions)
        record = np.dtype([("values", kind, (dimensions,))])
        return _whole(file, _Shape(file.tell(), count, dimensions, record))


class Fvecs(_Fixed):
    """Reads vectors of float32, each with its length before it (TEXMEX's ``.fvecs``)."""

    def _shape(self, file: BinaryIO) -> _Shape:
        length = np.frombuffer(file.read(4), "<i4") if _size(file) >= 4 else np.zeros(1, "<i4")
        dimensions = int(length[0])
        _require_length(dimensions)
        record = np.dtype([("length", "<i4"), ("values", "<f4", (dimensions,))])
        count, rest = divmod(_size(file), record.itemsize)
        if rest:
            raise InvalidValueError(
                f"The .fvecs file is cut short or damaged: its {_size(file)} bytes are not whole vectors of "
                f"{dimensions} numbers."
            )
        return _Shape(0, count, dimensions, record)

    def _check(self, records: NDArray[np.void], first: int, shape: _Shape) -> None:
        wrong = np.flatnonzero(records["length"] != shape.dimensions)
        if len(wrong):
            raise InvalidValueError(
                f"The .fvecs file is damaged: vector {first + int(wrong[0])} says that it has "
                f"{int(records['length'][wrong[0]])} numbers, the first one {shape.dimensions}."
            )


def _opened(path: Path) -> BinaryIO:
    if not path.is_file():
        raise InvalidValueError(f"{path}: there is no such file.")
    return path.open("rb")


def _parts(file: BinaryIO, shape: _Shape, after: int) -> Iterator[tuple[NDArray[np.void], int]]:
    """Yield some records at a time and the number, from 0, of the first of them."""
    step = max(1, _PART_BYTES // shape.record.itemsize)
    file.seek(shape.start + after * shape.record.itemsize)
    for first in range(after, shape.count, step):
        size = min(step, shape.count - first) * shape.record.itemsize
        yield np.frombuffer(file.read(size), shape.record), first


def _whole(file: BinaryIO, shape: _Shape) -> _Shape:
    said, there = shape.count * shape.record.itemsize, _size(file) - shape.start
    if said != there:
        raise InvalidValueError(
            f"The .npy file is cut short or damaged: {shape.count} vectors of {shape.dimensions} "
            f"numbers take {said} bytes, and {there} are there."
        )
    return shape


def _require_length(dimensions: int) -> None:
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise InvalidValueError(
            f"The file's vectors have {dimensions} numbers, or it is damaged: 1 to {MAX_DIMENSIONS} go."
        )


def _size(file: BinaryIO) -> int:
    here = file.tell()
    size = file.seek(0, 2)
    file.seek(here)
    return size
