"""Which reader reads which kind of file. Called by imports."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from data.datasets.formats.arrays import Fvecs, Npy
from data.datasets.formats.names import Form
from data.datasets.formats.parquet import Parquet
from data.datasets.formats.rows import RowReader
from data.datasets.formats.text import Csv, JsonArray, JsonLines

_READERS: dict[Form, Callable[[Path], RowReader]] = {
    "csv": Csv,
    "json": JsonArray,
    "jsonl": JsonLines,
    "parquet": Parquet,
    "npy": Npy,
    "fvecs": Fvecs,
}


def reader_of(path: Path, form: Form) -> RowReader:
    """Return what reads a file of this kind; nothing is opened yet."""
    return _READERS[form](path)
