"""Rows of a Parquet file, read by a process of its own: a file of kilobytes can unpack to gigabytes.

Made by ``formats.reading``; the child is this module run as a program, told by a pipe of length-prefixed
MessagePack. It may take ``MEMORY_BYTES`` beyond what it has at its start, so a file that breaks it breaks
nothing else. Invariant: the caller's process never unpacks a page.
"""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import msgspec

from data.datasets.formats.rows import Row
from data.datasets.records import MAX_DIMENSIONS
from data.errors import InvalidValueError
from data.memory_bound import bound_memory

#: Most memory of the reader beyond what it has at its start: a page, a batch of rows, and Arrow's own.
MEMORY_BYTES = 1024 * 2**20
#: Most columns, nested ones counted by their leaves: one a number of the longest vector, and some more.
MAX_COLUMNS = MAX_DIMENSIONS + 256
#: Rows, and about how many bytes of them, are read at a time.
_BATCH_ROWS, _BATCH_BYTES = 1_000, 16 * 2**20
_LENGTH = struct.Struct("<I")
_MODULE = "data.datasets.formats.parquet"


class Parquet:
    """Reads the rows of a Parquet file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def count(self) -> int:
        """Return how many rows there are, having unpacked all of them."""
        return sum(int(told["rows"]) for told in _told_by_child(self._path, 0, checking=True))

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Yield the rows after the first ``after``."""
        number = after
        for told in _told_by_child(self._path, after, checking=False):
            for fields in told["fields"]:
                number += 1
                yield Row(
                    number, {name: _plain(value) for name, value in fields.items() if value is not None}
                )


def _told_by_child(path: Path, after: int, *, checking: bool) -> Iterator[Mapping[str, Any]]:
    if not path.is_file():
        raise InvalidValueError(f"{path}: there is no such file.")
    ended = False
    with _child(path, after, checking=checking) as pipe:
        while head := pipe.read(_LENGTH.size):
            told = msgspec.msgpack.decode(pipe.read(*_LENGTH.unpack(head)))
            if "fault" in told:
                raise InvalidValueError(told["fault"])
            ended = "end" in told
            if not ended:
                yield told
    if not ended:
        raise InvalidValueError(
            f"The Parquet file is damaged, or needs more than {MEMORY_BYTES // 2**20} MiB to be read: write "
            "it anew with smaller row groups and pages."
        )


@contextmanager
def _child(path: Path, after: int, *, checking: bool) -> Iterator[IO[bytes]]:
    """Lend what the child writes; it is gone when the block ends, whether it had finished or not."""
    command = [sys.executable, "-m", _MODULE, str(path), str(after), "check" if checking else "read"]
    folders = os.pathsep.join(entry for entry in sys.path if entry)
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={
            **os.environ,
            "PYTHONPATH": folders,
            "OMP_NUM_THREADS": "1",
            "ARROW_DEFAULT_MEMORY_POOL": "system",
        },
    )
    if child.stdout is None:
        raise RuntimeError("the pipe of a child was not made")
    try:
        with child.stdout as pipe:
            yield pipe
    finally:
        child.kill()
        child.wait()


def _plain(value: Any) -> Any:
    """Return a cell as JSON could hold it: moments as text, text that came as bytes as text."""
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def _tell(told: Mapping[str, Any]) -> None:
    body = msgspec.msgpack.encode(told, enc_hook=str)
    sys.stdout.buffer.write(_LENGTH.pack(len(body)) + body)


def _read(path: Path, after: int, *, checking: bool) -> None:
    """Tell the rows of a file after the first ``after``, or only how many there are."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path, pre_buffer=False, buffer_size=2**20) as file:
        metadata = file.metadata
        if metadata.num_columns > MAX_COLUMNS:
            raise InvalidValueError(
                f"The Parquet file has {metadata.num_columns} columns: at most {MAX_COLUMNS} are read."
            )
        first, groups = _groups_after(metadata, after)
        if not groups:
            return
        skipped = after - first
        for batch in file.iter_batches(_batch_rows(metadata), row_groups=groups, use_threads=False):
            there = batch.slice(min(skipped, batch.num_rows))
            skipped -= batch.num_rows - there.num_rows
            if there.num_rows:
                _tell({"rows": there.num_rows} if checking else {"fields": _fields(there)})


def _groups_after(metadata: Any, after: int) -> tuple[int, list[int]]:
    """Return the row groups that hold rows after the first ``after``, and the rows before them."""
    before = 0
    for group in range(metadata.num_row_groups):
        rows = metadata.row_group(group).num_rows
        if before + rows > after:
            return before, list(range(group, metadata.num_row_groups))
        before += rows
    return before, []


def _batch_rows(metadata: Any) -> int:
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    size: int = sum(group.total_byte_size for group in groups) // max(1, metadata.num_rows)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES // max(1, size)))


def _fields(batch: Any) -> list[dict[str, Any]]:
    columns = [_cells(column) for column in batch.columns]
    names = batch.schema.names
    return [dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True)]


def _cells(column: Any) -> list[Any]:
    """Return a column's cells; lists of numbers by way of NumPy, which takes a twentieth of the time."""
    import pyarrow.compute as pc
    import pyarrow.types as kinds

    kind = column.type
    is_list = kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind)
    if not is_list or not kinds.is_floating(kind.value_type) or column.null_count:
        found: list[Any] = column.to_pylist(maps_as_pydicts="lossy")
        return found
    numbers = column.flatten().to_numpy(zero_copy_only=False).astype("float64").tolist()
    ends = [0, *pc.list_value_length(column).to_numpy(zero_copy_only=False).cumsum().tolist()]
    return [numbers[start:end] for start, end in pairwise(ends)]


def main(path: Path, after: int, *, checking: bool) -> None:
    """Tell on standard output what a file holds, within the bound of memory; or what is wrong with it."""
    import pyarrow as pa
    import pyarrow.parquet

    bound_memory(MEMORY_BYTES)
    try:
        _read(path, after, checking=checking)
        _tell({"end": True})
    except InvalidValueError as exc:
        _tell({"fault": str(exc)})
    except MemoryError:  # Arrow's own is one too; the caller says so where there is no end
        return
    except (pa.ArrowException, OSError, ValueError) as exc:
        told = str(exc).strip().partition("\n")[0].rstrip(".")[:200]
        _tell({"fault": f"The file is not a whole Parquet file: {told}."})


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), checking=sys.argv[3] == "check")
