"""The records and vectors of one dataset: the view of its part of the ledger.

Owned by the dataset's engine, which applies ledger entries to it and fills its indexes from it. Invariant:
``applied_seq`` is stored in the same transaction as the rows it stands for; a row number is never used twice,
so whoever holds one means one version of one vector for ever.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.ports import WordCounts
from data.datasets.records import VectorBatch, VectorRecord
from data.datasets.store_schema import (
    COLUMNS,
    delete_rows,
    insert_texts,
    open_database,
    to_columns,
    to_record,
)
from data.datasets.store_text import TextSearch
from data.errors import CorruptDataError
from data.sqlite import storable
from data.views.view import read_meta, write_meta

#: Rows fetched by one statement with a placeholder each: faster than a JSON list up to here.
_FEW = 64
#: Rows of one page where everything is read.
_PAGE = 2_000

Rows = NDArray[np.int64]


class RecordStore:
    """One SQLite file. Any thread may read; one at a time writes (``put``, ``remove``, ``advance``).

    Raises:
        CorruptDataError: the file is damaged or of another format: build it again from the ledger.
    """

    def __init__(self, path: Path, dimensions: int) -> None:
        self._path = path
        self._dimensions = dimensions
        self._database = open_database(path, dimensions)
        self._text = TextSearch(self._database)
        self._documents: tuple[int, int] = (-1, 0)
        self._lock = threading.Lock()
        with self._database.reading() as connection:
            self._applied_seq = self._stored_seq = read_meta(connection, "applied_seq")
            self._identity = read_meta(connection, "identity")
            self._live = BitMap(row for (row,) in connection.execute("SELECT row FROM records"))
            (vectors,) = connection.execute("SELECT count(*) FROM vectors").fetchone()
        if vectors != len(self._live):
            self._database.close()
            raise CorruptDataError(
                f"The records {path} are damaged: {len(self._live):,} records have {vectors:,} vectors; "
                "let them be built again from the ledger."
            )

    def put(self, seq: int, batch: VectorBatch) -> tuple[Rows, Rows]:
        """Store a batch in place of the vectors with its ids, as of ledger position ``seq``.

        Returns the new rows, one a record in order and rising, and the rows that are gone; of two records
        with one id the earlier one's new row is among these. A ``seq`` taken in before changes nothing.
        """
        if seq <= self._applied_seq:
            return _numbers(()), _numbers(())
        with self._database.writing() as connection:
            removed = list(_rows_of(connection, [record.id for record in batch.records]).values())
            delete_rows(connection, removed)
            first = _last_row(connection) + 1
            # A dict keeps the last record of each id.
            kept = {record.id: number for number, record in enumerate(batch.records)}
            texts = _insert(connection, batch, first, sorted(kept.values()))
            write_meta(connection, "applied_seq", seq)
        rows = np.arange(first, first + len(batch.records), dtype=np.int64)
        overtaken = [first + n for n, record in enumerate(batch.records) if kept[record.id] != n]
        self._publish(seq, added=set(rows.tolist()).difference(overtaken), removed=removed)
        self._text.changed(texts, removed)
        return rows, _numbers(sorted(removed + overtaken))

    def remove(self, seq: int, ids: Sequence[str]) -> Rows:
        """Remove vectors as of ledger position ``seq``; return the rows that are gone."""
        if seq <= self._applied_seq:
            return _numbers(())
        with self._database.writing() as connection:
            removed = sorted(_rows_of(connection, ids).values())
            delete_rows(connection, removed)
            write_meta(connection, "applied_seq", seq)
        self._publish(seq, added=(), removed=removed)
        self._text.changed((), removed)
        return _numbers(removed)

    def advance(self, seq: int) -> None:
        """Take note that the ledger holds nothing for this dataset up to ``seq``; stored when closing."""
        self._applied_seq = max(self._applied_seq, seq)

    def identity(self) -> int:
        """Return a number that this file has and no other: it tells whose rows are kept elsewhere."""
        return self._identity

    def applied_seq(self) -> int:
        """Return the last ledger position taken in."""
        return self._applied_seq

    def rows_of(self, ids: Sequence[str]) -> dict[str, int]:
        """Return the rows of those ids that are there."""
        with self._database.reading() as connection:
            return _rows_of(connection, ids)

    def records_by_row(self, rows: Sequence[int] | Rows) -> dict[int, VectorRecord]:
        """Return the records of those rows that are there."""
        # Plain integers: SQLite would take those of numpy for bytes.
        wanted = np.asarray(rows, dtype=np.int64).tolist()
        with self._database.reading() as connection:
            found = _fetch(connection, f"SELECT row, {COLUMNS} FROM records", wanted)  # noqa: S608 - a constant
        return {columns[0]: to_record(columns[1:]) for columns in found}

    def contents_by_row(self, rows: Sequence[int] | Rows) -> dict[int, str]:
        """Return the contents of those rows that are there and have one."""
        wanted = np.asarray(rows, dtype=np.int64).tolist()
        with self._database.reading() as connection:
            found = _fetch(connection, "SELECT row, content FROM records", wanted)
        return {row: content for row, content in found if content is not None}

    def records(self, rows: Sequence[int] | Rows) -> list[VectorRecord]:
        """Return the records of rows, in their order; rows that are gone are left out."""
        found = self.records_by_row(rows)
        return [found[row] for row in rows if row in found]

    def values(self, rows: Sequence[int] | Rows) -> NDArray[np.float32]:
        """Return the vectors of rows, (n, dimensions), in their order; NaN where a row is gone."""
        wanted = np.asarray(rows, dtype=np.int64)
        values = np.full((len(wanted), self._dimensions), np.nan, dtype=np.float32)
        with self._database.reading() as connection:
            found = _fetch(connection, "SELECT row, vector FROM vectors", wanted.tolist())
        if found:
            numbers, vectors = self._stacked(found)
            order = np.argsort(numbers)
            places = np.searchsorted(numbers, wanted, sorter=order)
            there = numbers[order[np.minimum(places, len(order) - 1)]] == wanted
            values[there] = vectors[order[places[there]]]
        return values

    def page(self, limit: int, offset: int = 0, allowed: BitMap | None = None) -> list[int]:
        """Return some of the rows that are there (and allowed), in the order of writing."""
        live = self._live if allowed is None else self._live & allowed
        return [] if offset >= len(live) else list(live[offset : offset + limit])

    def search_text(
        self, query: str, k: int, allowed: BitMap | None = None, counts: WordCounts | None = None
    ) -> list[tuple[int, float]]:
        """Return at most ``k`` (row, BM25), best first, ties by row.

        All rows that are there, allowed, and have one of the query's words can be found, so there are
        fewer than ``k`` only where fewer exist. Scores are above 0 and do not depend on ``allowed``.
        ``counts`` weigh the words where these rows are a part of more.
        """
        return self._text.search(query, k, allowed, counts)

    def word_counts(self, query: str) -> WordCounts:
        """Return what the words of a query are weighed by."""
        return self._text.counts(query)

    def live_rows(self) -> BitMap:
        """Return the rows that are there; the caller's own."""
        return self._live.copy()

    def count(self) -> int:
        """Return the number of vectors."""
        return len(self._live)

    def document_count(self) -> int:
        """Return the number of different documents."""
        seq, count = self._documents
        if seq != self._applied_seq:
            seq = self._applied_seq
            with self._database.reading() as connection:
                (count,) = connection.execute("SELECT count(DISTINCT document_id) FROM records").fetchone()
            self._documents = (seq, count)
        return count

    def bytes(self) -> int:
        """Return the bytes on disk, journal included."""
        files = (self._path, self._path.with_name(self._path.name + "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def scan(self, after_row: int, limit: int) -> tuple[Rows, NDArray[np.float32]]:
        """Return the next rows after a row, rising, and their vectors; none at the end."""
        with self._database.reading() as connection:
            found = connection.execute(
                "SELECT row, vector FROM vectors WHERE row > ? ORDER BY row LIMIT ?", (after_row, limit)
            ).fetchall()
        return self._stacked(found)

    def scan_records(self, after_row: int, limit: int) -> tuple[Rows, list[VectorRecord]]:
        """Return the next rows after a row, rising, and their records; none at the end."""
        sql = f"SELECT row, {COLUMNS} FROM records WHERE row > ? ORDER BY row LIMIT ?"  # noqa: S608 - a constant
        with self._database.reading() as connection:
            found = connection.execute(sql, (after_row, limit)).fetchall()
        return _numbers([columns[0] for columns in found]), [to_record(columns[1:]) for columns in found]

    def digest(self) -> str:
        """Return a hash of all records and vectors, whatever rows they have: equal stores have equal ones."""
        sql = f"SELECT r.row, vector, {COLUMNS} FROM records r JOIN vectors v ON r.row = v.row"  # noqa: S608
        total, after = 0, 0
        with self._database.reading() as connection:
            while True:
                page = connection.execute(
                    f"{sql} WHERE r.row > ? ORDER BY r.row LIMIT ?", (after, _PAGE)
                ).fetchall()
                if not page:
                    return f"{total % 2**256:064x}"
                for _, vector, *columns in page:
                    total += _hash_of(vector, to_record(columns))
                after = page[-1][0]

    def close(self) -> None:
        """Store the position and close the file."""
        if self._applied_seq > self._stored_seq:
            with self._database.writing() as connection:
                write_meta(connection, "applied_seq", self._applied_seq)
            self._stored_seq = self._applied_seq
        self._database.close()

    def _publish(self, seq: int, *, added: Iterable[int], removed: Sequence[int]) -> None:
        # Readers hold the old set, so it is replaced and never changed.
        live = self._live.copy()
        live.difference_update(BitMap(removed))
        live.update(added)
        self._live = live
        self._applied_seq = self._stored_seq = seq

    def _stacked(self, found: Sequence[tuple[int, Any]]) -> tuple[Rows, NDArray[np.float32]]:
        width = 4 * self._dimensions
        if any(len(blob) != width for _, blob in found):
            raise CorruptDataError(
                f"The records {self._path} are damaged: a vector is not {width} bytes long; "
                "let them be built again from the ledger."
            )
        joined = np.frombuffer(b"".join(blob for _, blob in found), dtype="<f4")
        return _numbers([row for row, _ in found]), joined.reshape(-1, self._dimensions)


def _insert(
    connection: sqlite3.Connection, batch: VectorBatch, first: int, kept: Sequence[int]
) -> list[tuple[int, str]]:
    """Write the records of these numbers; return the contents among them by row."""
    marks = ", ".join("?" * len(to_columns(0, batch.records[0]))) if kept else ""
    blobs = np.ascontiguousarray(batch.values, dtype="<f4")
    connection.executemany(
        f"INSERT INTO records(row, {COLUMNS}) VALUES ({marks})",  # noqa: S608 - a constant and marks
        (to_columns(first + number, batch.records[number]) for number in kept),
    )
    connection.executemany(
        "INSERT INTO vectors VALUES (?, ?)", ((first + number, blobs[number].tobytes()) for number in kept)
    )
    contents = ((first + number, batch.records[number].content) for number in kept)
    texts = [(row, storable(content)) for row, content in contents if content is not None]
    insert_texts(connection, texts)
    return texts


def _rows_of(connection: sqlite3.Connection, ids: Sequence[str]) -> dict[str, int]:
    wanted = list(dict.fromkeys(ids))
    found: dict[str, int] = {}
    for start in range(0, len(wanted), _PAGE):
        chunk = wanted[start : start + _PAGE]
        marks = ", ".join("?" * len(chunk))
        sql = f"SELECT id, row FROM records WHERE id IN ({marks})"  # noqa: S608 - marks only
        found.update(connection.execute(sql, chunk))
    return found


def _fetch(connection: sqlite3.Connection, select: str, rows: Sequence[int]) -> list[tuple[Any, ...]]:
    if len(rows) <= _FEW:
        marks = ", ".join("?" * len(rows))
        return connection.execute(f"{select} WHERE row IN ({marks})", tuple(rows)).fetchall()
    found: list[tuple[Any, ...]] = []
    for start in range(0, len(rows), _PAGE):
        chunk = json.dumps(list(rows[start : start + _PAGE]))
        sql = f"{select} WHERE row IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
        found += connection.execute(sql, (chunk,))
    return found


def _last_row(connection: sqlite3.Connection) -> int:
    """Return the highest row number ever given."""
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'records'").fetchone()
    return int(found[0]) if found else 0


def _hash_of(vector: bytes, record: VectorRecord) -> int:
    body = msgspec.json.encode(record, order="sorted")
    return int.from_bytes(hashlib.sha256(len(vector).to_bytes(8, "big") + vector + body).digest(), "big")


def _numbers(rows: Sequence[int]) -> Rows:
    return np.array(rows, dtype=np.int64)
