"""The rows of a Parquet file, read forwards in small batches. Called by the planner and by the workers.

Invariant: a damaged row group makes its own rows dead and no others; memory is bounded by a batch of rows,
not by a row group.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from data.batch.inputs import open_file
from data.batch.parts import Part
from data.batch.reading import DeadRow, InputRow
from data.errors import InvalidValueError

_BATCH = 256


def rows_in(address: str, name: str) -> int:
    """Return how many rows a Parquet file says it has.

    Raises:
        InvalidValueError: it is no Parquet file, or cut short.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with open_file(address) as stream, pq.ParquetFile(stream) as file:
            return int(file.metadata.num_rows)
    except (pa.ArrowException, OSError) as exc:
        raise InvalidValueError(f"{name}: is no whole Parquet file ({exc}).") from exc


class TableReader:
    """Reads parts of Parquet files, goes on where it was where parts follow each other. One thread.

    ``wanted`` names the columns that are read, where they are there; ``None``: all.
    """

    def __init__(self, wanted: Sequence[str] | None = None) -> None:
        self._wanted = wanted
        self._file: Any = None
        self._address = ""
        self._at = 0
        self._rows: Iterator[dict[str, Any] | str] = iter(())

    def rows_of(self, part: Part) -> Iterator[InputRow | DeadRow]:
        """Yield the rows of a part."""
        if part.fault:
            yield DeadRow(part.name, part.line, part.fault)
            return
        self._go_to(part)
        for number in range(part.start, part.start + part.rows):
            row = next(self._rows, "The file ends before this row.")
            self._at += 1
            if isinstance(row, str):
                yield DeadRow(part.name, number + 1, row)
            else:
                yield InputRow(part.name, number + 1, {k: v for k, v in row.items() if v is not None})

    def close(self) -> None:
        """Close the file that is open."""
        if self._file is not None:
            self._file.close(force=True)
            self._file = None

    def _go_to(self, part: Part) -> None:
        if self._file is None or part.address != self._address or part.start < self._at:
            self._open(part)
        while self._at < part.start:
            next(self._rows, None)
            self._at += 1

    def _open(self, part: Part) -> None:
        import pyarrow.parquet as pq

        self.close()
        self._address = part.address
        self._file = pq.ParquetFile(open_file(part.address))
        group, before = 0, 0
        metadata = self._file.metadata
        while before + metadata.row_group(group).num_rows <= part.start:
            before += metadata.row_group(group).num_rows
            group += 1
        self._at, self._rows = before, self._from(group)

    def _from(self, first: int) -> Iterator[dict[str, Any] | str]:
        """Yield the rows from a row group on; of one that is damaged, the reason for each row left."""
        import pyarrow as pa

        there = set(self._file.schema_arrow.names)
        columns = None if self._wanted is None else [name for name in self._wanted if name in there]
        for group in range(first, self._file.num_row_groups):
            left = self._file.metadata.row_group(group).num_rows
            try:
                batches = self._file.iter_batches(
                    _BATCH, row_groups=[group], columns=columns, use_threads=False
                )
                for batch in batches:
                    rows = batch.to_pylist() if batch.num_columns else [{} for _ in range(batch.num_rows)]
                    for row in rows:
                        left -= 1
                        yield row
            except (pa.ArrowException, OSError, UnicodeDecodeError) as exc:
                reason = f"Row group {group} of the file is damaged: {str(exc).splitlines()[0][:300]}"
                for _ in range(left):
                    yield reason
