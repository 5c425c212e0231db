"""Building a dataset's main index apart from who serves it: read from its records, written as a new version.

Called by ``tasks.rebuild_index``, in a process of its own. Whoever serves the dataset adopts the version
afterwards, with what was written meanwhile beside it. Invariant: the records are only read, and in short
transactions, so neither searches nor writes wait; a row that goes while the index is built is left out when
the index is adopted.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.datasets.building import INDEX, next_version
from data.datasets.records import DatasetRecord
from data.errors import NotFoundError
from data.vectors.dense import build_main, save_main
from data.vectors.space import Rows, Vectors

#: File of the records in a dataset's folder.
RECORDS = "records.sqlite"


@dataclass(frozen=True, slots=True)
class Built:
    """A main index that was built and written: its number, its kind, and how much is in it."""

    version: int
    kind: str
    vectors: int
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Texts:
    """Some rows whose contents another model is to read: row numbers and texts, one each."""

    rows: tuple[int, ...]
    contents: tuple[str, ...]


def build_version(folder: Path, record: DatasetRecord, moment: str, *, threads: int = 1) -> Built:
    """Build a main index of all vectors in a dataset's folder and write it as the next version.

    Versions that others write meanwhile are not touched: the number leaves room for one of theirs.

    Raises:
        NotFoundError: the folder has no records.
    """
    with closing(_opened(folder)) as connection:
        found = connection.execute("SELECT row FROM vectors ORDER BY row").fetchall()
        rows = np.array(found, dtype=np.int64).reshape(-1)

        def vectors_of(some: Rows) -> Vectors:
            return _vectors(connection, some, record.dimensions)

        main = build_main(rows, vectors_of, record.dimensions, record.metric, record.index, threads=threads)
    index = folder / INDEX
    saved = save_main(main, index, next_version(index) + 1, built_at=moment)
    return Built(saved.version, saved.kind, len(rows), saved.file_bytes)


def last_row(folder: Path) -> int:
    """Return the last row number that was given in a dataset's folder.

    Raises:
        NotFoundError: the folder has no records.
    """
    with closing(_opened(folder)) as connection:
        (last,) = connection.execute("SELECT coalesce(max(row), 0) FROM records").fetchone()
    return int(last)


def texts_of_other_models(folder: Path, model: str, span: tuple[int, int], size: int) -> Iterator[Texts]:
    """Yield the rows with content whose numbers ``model`` did not make, ``size`` at a time.

    ``span`` is the row before the first and the last one. What is written anew while this goes on gets rows
    behind it, so it ends.

    Raises:
        NotFoundError: the folder has no records.
    """
    after, last = span
    with closing(_opened(folder)) as connection:
        while True:
            found = connection.execute(_OTHERS, (after, last, model, size)).fetchall()
            if not found:
                return
            after = found[-1][0]
            yield Texts(tuple(row for row, _ in found), tuple(content for _, content in found))


_OTHERS = """
SELECT row, content FROM records
WHERE row > ? AND row <= ? AND trim(coalesce(content, '')) != '' AND model IS NOT ? ORDER BY row LIMIT ?
"""
_SOME = "SELECT row, vector FROM vectors WHERE row IN (SELECT value FROM json_each(?))"


def _opened(folder: Path) -> sqlite3.Connection:
    path = folder / RECORDS
    if not path.exists():
        raise NotFoundError(f"The dataset {folder.name!r} has no records here: write some vectors first.")
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=60.0)


def _vectors(connection: sqlite3.Connection, rows: Rows, dimensions: int) -> NDArray[np.float32]:
    """Return the vectors of rows; one that went meanwhile, and will not be searched, is any other."""
    found = np.ones((len(rows), dimensions), dtype=np.float32)
    for row, vector in connection.execute(_SOME, (json.dumps(rows.tolist()),)):
        found[np.searchsorted(rows, row)] = np.frombuffer(vector, dtype="<f4")
    return found
