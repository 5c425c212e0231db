"""The record store's tables, and a record as a row of them.

Used by ``data.datasets.store``. Invariant: a row number is given once (AUTOINCREMENT) and stands for one
version of one vector in ``records`` and ``vectors``, and in ``texts`` and ``lengths`` where it has content.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from data.datasets.records import VectorRecord
from data.errors import CorruptDataError
from data.sqlite import Database, named_errors, storable
from data.views.terms import TOKENIZER, words_in
from data.views.view import read_meta, write_meta

#: Number of the tables' layout and of what is written into them; a file with another one is not used.
FORMAT = 1

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS records(
    row INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL, document_id TEXT NOT NULL, chunk_id TEXT,
    content TEXT, content_hash TEXT, metadata TEXT, content_type TEXT, language TEXT, chunk_index INTEGER,
    chunk_count INTEGER, model TEXT, created_at TEXT NOT NULL, updated_at TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS records_id ON records(id);
CREATE INDEX IF NOT EXISTS records_document ON records(document_id);
CREATE TABLE IF NOT EXISTS vectors(row INTEGER PRIMARY KEY, vector BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS lengths(row INTEGER PRIMARY KEY, words INTEGER NOT NULL) STRICT;
CREATE VIRTUAL TABLE IF NOT EXISTS texts USING fts5(
    content, content='records', content_rowid='row', tokenize='{TOKENIZER}');
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5vocab(texts, 'instance');
"""

#: A record's columns after its row, in the order of ``VectorRecord``.
COLUMNS = (
    "id, document_id, chunk_id, content, content_hash, metadata, content_type, language, chunk_index, "
    "chunk_count, model, created_at, updated_at"
)

_DECODER = msgspec.json.Decoder(dict[str, Any])
_ENCODER = msgspec.json.Encoder()


def open_database(path: Path, dimensions: int) -> Database:
    """Open the file of a dataset with so many dimensions, or make it.

    Raises:
        CorruptDataError: it is damaged, of another format, or of another number of dimensions.
    """
    expected = {"format": FORMAT, "dimensions": dimensions}
    if path.exists():
        _check(path, expected)
    # synchronous=NORMAL: a power cut may cost the last transactions, which replay brings back.
    database = Database(path, schema=_SCHEMA, synchronous="NORMAL")
    with database.writing() as connection:
        for key, value in expected.items():
            write_meta(connection, key, value)
        if not read_meta(connection, "identity"):
            write_meta(connection, "identity", secrets.randbits(62) + 1)
    return database


def _check(path: Path, expected: dict[str, int]) -> None:
    """Refuse another format before any table is touched; a file cut off while it was made is empty."""
    with named_errors(path):
        connection = sqlite3.connect(path)
        try:
            if not connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
                return
            if not connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()[0]:
                found = dict.fromkeys(expected, 0)
            else:
                found = {key: read_meta(connection, key) for key in expected}
        finally:
            connection.close()
    if found != expected:
        raise CorruptDataError(
            f"The records {path} have format {found['format']} and {found['dimensions']} dimensions, not "
            f"{expected['format']} and {expected['dimensions']}: let them be built again from the ledger."
        )


def to_columns(row: int, record: VectorRecord) -> tuple[Any, ...]:
    """Return a record as it is written; empty metadata takes no room."""
    metadata = _ENCODER.encode(record.metadata).decode() if record.metadata else None
    return (
        row,
        record.id,
        record.document_id,
        record.chunk_id,
        None if record.content is None else storable(record.content),
        record.content_hash,
        metadata,
        record.content_type,
        record.language,
        record.chunk_index,
        record.chunk_count,
        record.model,
        record.created_at,
        record.updated_at,
    )


def to_record(columns: Sequence[Any]) -> VectorRecord:
    """Return the record of ``COLUMNS``.

    Raises:
        CorruptDataError: its metadata is not JSON.
    """
    identity, document, chunk, content, content_hash, metadata, *rest = columns
    try:
        decoded = _DECODER.decode(metadata) if metadata else {}
    except msgspec.DecodeError as exc:
        raise CorruptDataError(
            f"The metadata of vector {identity!r} is damaged ({exc}): let the dataset be built again."
        ) from exc
    return VectorRecord(identity, document, chunk, content, content_hash, decoded, *rest)


def insert_texts(connection: sqlite3.Connection, numbered: Sequence[tuple[int, str]]) -> None:
    """Put contents into the word index."""
    connection.executemany("INSERT INTO texts(rowid, content) VALUES (?, ?)", numbered)
    lengths = ((row, words_in(text)) for row, text in numbered)
    connection.executemany("INSERT INTO lengths VALUES (?, ?)", lengths)


def delete_rows(connection: sqlite3.Connection, rows: Sequence[int]) -> None:
    """Take rows out of every table."""
    for row in rows:
        (content,) = connection.execute("SELECT content FROM records WHERE row = ?", (row,)).fetchone()
        if content is not None:
            # The word index keeps no texts of its own: it must be told what to forget.
            connection.execute(
                "INSERT INTO texts(texts, rowid, content) VALUES ('delete', ?, ?)", (row, content)
            )
            connection.execute("DELETE FROM lengths WHERE row = ?", (row,))
    numbered = [(row,) for row in rows]
    connection.executemany("DELETE FROM records WHERE row = ?", numbered)
    connection.executemany("DELETE FROM vectors WHERE row = ?", numbered)
