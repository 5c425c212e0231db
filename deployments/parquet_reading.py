"""Parquet that a caller sent, read by a process of its own: a file of kilobytes can unpack to gigabytes.

Called by ``deployments.knowledge_import``. What a file says of itself is checked first, but pages may say
something else, so the reader may only take so much memory and time; a file that breaks it breaks nothing
else. Rows come back as MessagePack. Invariant: the caller's process never unpacks a page.
"""

from __future__ import annotations

import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data.chunks import require_few
from data.errors import InvalidValueError
from data.memory_bound import bound_memory

#: Most memory beyond what the reader has at its start, and most seconds.
MEMORY_BYTES, TIMEOUT_S = 512 * 2**20, 20
_ROWS = 64


@dataclass(frozen=True, slots=True)
class Bounds:
    """Most rows of one file, and most bytes in all of them."""

    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class Parsed:
    """What a file holds, or why it is not read: ``large`` names what is too much, ``fault`` the damage."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    large: str = ""
    fault: str = ""


def parse(body: bytes, bounds: Bounds) -> Parsed:
    """Return the rows of a Parquet file, read elsewhere."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    command = [sys.executable, "-m", "deployments.parquet_reading", str(bounds.rows), str(bounds.size)]
    try:
        ended = subprocess.run(
            command,
            input=body,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": path},
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return Parsed(large=f"more than can be read in {TIMEOUT_S} s")
    if ended.returncode:
        return Parsed(large="more than fits into the memory for one file")
    return msgspec.msgpack.decode(ended.stdout, type=Parsed)


def read(body: bytes, bounds: Bounds) -> Parsed:
    """Return the rows of a Parquet file, read here."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = []
    try:
        with pq.ParquetFile(io.BytesIO(body)) as file:
            if large := _declared(file.metadata, bounds):
                return Parsed(large=large)
            for batch in file.iter_batches(batch_size=_ROWS, use_threads=False):
                if batch.nbytes > bounds.size:
                    return Parsed(large="too much text")
                rows += batch.to_pylist()
                bounds = Bounds(bounds.rows, bounds.size - batch.nbytes)
    except InvalidValueError as exc:
        return Parsed(fault=str(exc))
    except MemoryError:  # Arrow's own is one too
        return Parsed(large="more than fits into the memory for one file")
    except (pa.ArrowException, OSError, ValueError) as exc:
        said = str(exc).strip().rstrip(".")[:200]
        return Parsed(fault=f"The body is not a whole Parquet file, nothing was written: {said}.")
    return Parsed(rows)


def _declared(metadata: Any, bounds: Bounds) -> str:
    """Say what is too much by the file's own account; empty where nothing is."""
    if metadata.num_rows > bounds.rows:
        return f"{metadata.num_rows} rows"
    require_few(metadata.num_columns)
    chunks = list(_chunks(metadata))
    size, values = sum(one.total_uncompressed_size for one in chunks), sum(one.num_values for one in chunks)
    return "too much text" if size > bounds.size or values > bounds.size // 8 else ""


def _chunks(metadata: Any) -> Iterator[Any]:
    for group in range(metadata.num_row_groups):
        for column in range(metadata.num_columns):
            yield metadata.row_group(group).column(column)


def main(rows: int, size: int) -> None:
    """Read the file on standard input within the bounds of memory and time, and write what is in it."""
    import pyarrow.parquet  # noqa: F401 - its own memory is not the file's

    bound_memory(MEMORY_BYTES)
    resource.setrlimit(resource.RLIMIT_CPU, (TIMEOUT_S, TIMEOUT_S))
    parsed = read(sys.stdin.buffer.read(), Bounds(rows, size))
    sys.stdout.buffer.write(msgspec.msgpack.encode(parsed, enc_hook=str))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
