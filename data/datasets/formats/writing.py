"""Vectors as files: CSV, JSON, JSON lines, Parquet, npy. Called by exports.

Written page by page, so memory does not grow with the file. Numbers are the float32 that is kept, in digits
that give the same float32 back; ``formats.reading`` reads the same vectors from each. npy holds values only.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec
import numpy as np

from data.datasets.formats.names import ExportForm
from data.datasets.ports import StoredVector

#: Columns of a table, in order.
COLUMNS = (
    "id",
    "document_id",
    "chunk_id",
    "content",
    "content_hash",
    "content_type",
    "language",
    "chunk_index",
    "chunk_count",
    "model",
    "created_at",
    "updated_at",
    "metadata",
    "values",
)
_ENCODER = msgspec.json.Encoder()
#: Room for the header of a .npy file, whose count is known at its end.
_NPY_HEADER_BYTES = 128
#: Vectors of one row group of a Parquet file.
_GROUP_ROWS = 10_000


class VectorWriter(Protocol):
    """Writes one file; the file is whole when the block has ended well."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...

    def write(self, vectors: Sequence[StoredVector]) -> None:
        """Write some more vectors, with their values."""
        ...


def writer_of(path: Path, form: ExportForm, dimensions: int) -> VectorWriter:
    """Return what writes a file of this kind at ``path``."""
    if form == "parquet":
        return _ParquetWriter(path, dimensions)
    return {"csv": _CsvWriter, "json": _JsonWriter, "jsonl": _LinesWriter, "npy": _NpyWriter}[form](
        path, dimensions
    )


class _FileWriter:
    """A writer of bytes: what comes before, between and behind."""

    def __init__(self, path: Path, dimensions: int) -> None:
        self._dimensions = dimensions
        self._file = path.open("wb")
        self.count = 0

    def __enter__(self) -> Self:
        self._file.write(self._head())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._end()

    def write(self, vectors: Sequence[StoredVector]) -> None:
        """Write some more vectors."""
        self._file.write(self._body(vectors))
        self.count += len(vectors)

    def _head(self) -> bytes:
        return b""

    def _body(self, vectors: Sequence[StoredVector]) -> bytes:
        raise NotImplementedError

    def _end(self) -> None:
        """Write what comes last."""


class _LinesWriter(_FileWriter):
    def _body(self, vectors: Sequence[StoredVector]) -> bytes:
        return _ENCODER.encode_lines([document_of(vector) for vector in vectors])


class _JsonWriter(_FileWriter):
    def _head(self) -> bytes:
        return b"["

    def _body(self, vectors: Sequence[StoredVector]) -> bytes:
        items = b",\n".join(_ENCODER.encode(document_of(vector)) for vector in vectors)
        return b",\n" + items if self.count and items else items

    def _end(self) -> None:
        self._file.write(b"]\n")


class _CsvWriter(_FileWriter):
    def _head(self) -> bytes:
        return (",".join(COLUMNS) + "\n").encode()

    def _body(self, vectors: Sequence[StoredVector]) -> bytes:
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerows(_cells(document_of(vector)) for vector in vectors)
        return text.getvalue().encode("utf-8", "replace")


class _NpyWriter(_FileWriter):
    def _head(self) -> bytes:
        return self._header(0)

    def _body(self, vectors: Sequence[StoredVector]) -> bytes:
        return np.array([vector.values for vector in vectors], dtype="<f4").tobytes()

    def _end(self) -> None:
        self._file.seek(0)
        self._file.write(self._header(self.count))

    def _header(self, count: int) -> bytes:
        said = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count}, {self._dimensions}), }}"
        size = _NPY_HEADER_BYTES - 10
        return b"\x93NUMPY\x01\x00" + size.to_bytes(2, "little") + f"{said:<{size - 1}}\n".encode()


class _ParquetWriter:
    def __init__(self, path: Path, dimensions: int) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        text, whole = pa.string(), pa.int64()
        kinds = {"chunk_index": whole, "chunk_count": whole, "values": pa.list_(pa.float32(), dimensions)}
        self._schema = pa.schema([(name, kinds.get(name, text)) for name in COLUMNS])
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd", write_page_checksum=True)
        self._waiting: list[dict[str, Any]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._file:
            if kind is None:
                self._flush()

    def write(self, vectors: Sequence[StoredVector]) -> None:
        """Write some more vectors."""
        for vector in vectors:
            document = document_of(vector)
            self._waiting.append({**document, "metadata": _metadata(document)})
        if len(self._waiting) >= _GROUP_ROWS:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._file.write_table(pa.Table.from_pylist(self._waiting, schema=self._schema))
            self._waiting = []


def document_of(vector: StoredVector) -> dict[str, Any]:
    """Return a vector as a row: its own columns, those without a value left out."""
    record = {name: getattr(vector.record, name) for name in COLUMNS if name != "values"}
    told = {name: value for name, value in record.items() if value not in (None, "", {})}
    return {**told, "values": vector.values}


def _metadata(document: dict[str, Any]) -> str | None:
    return _ENCODER.encode(document["metadata"]).decode() if "metadata" in document else None


def _cells(document: dict[str, Any]) -> list[Any]:
    found = {
        **document,
        "metadata": _metadata(document),
        "values": _ENCODER.encode(document["values"]).decode(),
    }
    return [found.get(name) for name in COLUMNS]
