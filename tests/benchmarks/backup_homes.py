"""Homes of any size for measuring backups, written through the real keeper, views and vector index.

Called by ``tests.benchmarks.backups``. Text is drawn from a vocabulary with the frequencies of English
(Zipf), vectors are random unit vectors. Invariant: the same size gives the same rows.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data import changes, segments
from data.clock import SystemClock
from data.keeper import Keeper
from data.knowledge import Change, Document, Fact
from data.vectors import faiss
from data.views.vectors import PassageVectors
from data.views.view import LIVE

#: Documents of a segment: what the import task writes.
SEGMENT_ROWS = 1_000
#: Words of a passage; all of them fit one, so documents and passages are the same number.
WORDS = 30
DIM = 384
EMBEDDER = "measured"
#: The graph's links are chosen among fewer candidates than when serving: its file has the same size, its
#: neighbours are worse, which no backup can tell, and a million rows take minutes instead of an hour.
EF_CONSTRUCTION = 4


class CountingEmbedder:
    """Vectors that depend on the text only, made at no cost; counts the texts it was asked for."""

    dim = DIM
    identity = EMBEDDER

    def __init__(self) -> None:
        self.texts = 0

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """See ``Embedder``."""
        self.texts += len(texts)
        return drawn(texts)


def drawn(texts: Sequence[str]) -> NDArray[np.float32]:
    """Return a random unit vector (DIM) for each text, always the same one."""
    made = np.zeros((len(texts), DIM), dtype=np.float32)
    for row, text in zip(made, texts, strict=True):
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        np.random.default_rng(seed).standard_normal(DIM, dtype=np.float32, out=row)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def documents(first: int, number: int) -> list[Document]:
    """Return so many documents from the ``first`` on, one passage each."""
    ranks = np.random.default_rng(first).zipf(1.3, size=(number, WORDS)) % 50_000
    return [
        Document(f"d{first + row}", " ".join(f"word{rank}" for rank in words) + ".", f"Title {first + row}")
        for row, words in enumerate(ranks)
    ]


def facts(first: int, number: int) -> list[Change]:
    """Return the changes that store so many facts."""
    return [
        changes.put_fact(Fact(f"f{row}", f"City {row}", "population", str(row), float(row)))
        for row in range(first, first + number)
    ]


def segment(home: Path, first: int, number: int) -> Change:
    """Write a segment of documents with their vectors and return the change that loads it."""
    ref = segments.write_documents(home, documents(first, number), embed=drawn, embedder=EMBEDDER)
    return changes.load_segment(ref)


@contextmanager
def running(home: Path, embedder: CountingEmbedder) -> Iterator[tuple[Keeper, PassageVectors]]:
    """Open a home's keeper and vectors in this process, and save both at the end."""
    faiss.EF_CONSTRUCTION = EF_CONSTRUCTION
    vectors = PassageVectors(
        home / "vectors" / "passages", home, embedder, embedder_id=EMBEDDER, kind=faiss.FaissIndex
    )
    keeper = Keeper(home, SystemClock(), vectors)
    try:
        yield keeper, vectors
    finally:
        keeper.close()
        vectors.close()


def fill(home: Path, passages: int) -> None:
    """Write a home of so many passages with vectors, and a tenth as many facts; goes on where it stopped."""
    with running(home, CountingEmbedder()) as (keeper, _):
        for first in range(keeper.stats().views["passages"].counts["documents"], passages, SEGMENT_ROWS):
            rows = min(SEGMENT_ROWS, passages - first)
            keeper.append([segment(home, first, rows), *facts(first // 10, rows // 10)])


def change_one_percent(home: Path, passages: int) -> None:
    """Write 1 % more: half in bulk with vectors, half as single documents of a hundred a write."""
    added = max(passages // 100, 2)
    with running(home, CountingEmbedder()) as (keeper, _):
        keeper.append([segment(home, passages, added // 2)])
        single = documents(passages + added // 2, added - added // 2)
        for start in range(0, len(single), 100):
            keeper.append([changes.put_document(one) for one in single[start : start + 100]])


def clone(home: Path, copy: Path) -> Path:
    """Return a copy of a home that nothing has open: files that are never altered are linked."""
    shutil.rmtree(copy, ignore_errors=True)
    frozen = {"segments", "vectors"}
    for path in sorted(home.rglob("*")):
        place = copy / path.relative_to(home)
        if path.is_dir():
            place.mkdir(parents=True, exist_ok=True)
        elif path.relative_to(home).parts[0] in frozen:
            os.link(path, place)
        else:
            shutil.copyfile(path, place)
    return copy


def digest_of_ledger(home: Path, until: int = LIVE) -> str:
    """Return a SHA-256 over every row and idempotency key of a ledger up to a position."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(home / "ledger" / "ledger.sqlite")) as connection:
        for sql in (
            "SELECT * FROM entries WHERE seq <= ? ORDER BY seq",
            "SELECT * FROM idempotency WHERE last_seq <= ? ORDER BY tenant, key",
        ):
            for row in connection.execute(sql, (until,)):
                digest.update(repr(row).encode())
    return digest.hexdigest()


def tree(home: Path) -> dict[str, str]:
    """Return the SHA-256 of every file of a home, but for locks and SQLite's journals."""
    passing = (".lock", "-shm", "-wal", "/lock")
    return {
        path.relative_to(home).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.as_posix().endswith(passing)
    }
