"""BM25 over passages: postings and lengths from FTS5, statistics of exactly what the asker may see.

Used by the passages view. FTS5 keeps the inverted index and the stemming tokenizer; the score is computed
here and not by FTS5's ``bm25()``, whose document counts run over every tenant's rows and every version ever
written: a score would then move with what other tenants store, and a replay as of an earlier position would
not give the same order. Invariant: a score is a function of the query's words and of the rows visible to
its tenant at its position.

A passage's score is the mean of its own BM25 and that of the document it is cut from, the document being
all its passages together: words of a claim are often spread over neighbouring passages. nDCG@10 on SciFact's
training claims: 0.687 for passages alone, 0.708 for both. A word of the title counts ``TITLE_WEIGHT`` times.

Sources: S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, §3.1 and
3.4.2 (weighted fields), with the non-negative idf of Lucene's BM25Similarity; J. P. Callan, Passage-Level
Evidence in Document Retrieval, SIGIR 1994 (a passage scored with its document).
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.claims import SHARED_TENANT, TenantId
from data.ports import Hit, Query
from data.sqlite import Database
from data.views.terms import Tokens
from data.views.view import LIVE, read_meta

#: BM25's saturation and length parameters, those of BEIR's baseline (Thakur et al. 2021, §4).
K1, B = 0.9, 0.4
#: How often a word of the title counts. nDCG@10 of passages on FM2's dev claims: 0.508 with 1, 0.527 with 2.
TITLE_WEIGHT = 2
#: Share of the document in a passage's score.
DOCUMENT_SHARE = 0.5
#: Only the rarest terms of a long query are asked for: the common ones cost most and tell least. nDCG@10 on
#: Climate-FEVER's training claims: 0.323 with 12 terms, 0.350 with 16, 0.359 with 32.
MAX_TERMS = 16
#: Bounds of the caches: snapshots, postings kept in memory, and words known to be in no passage.
MAX_SNAPSHOTS, MAX_POSTINGS, MAX_ABSENT = 16, 8_000_000, 50_000

#: Every occurrence of a term, and those in titles, each as one text: reading a row of the cursor for each
#: costs three times as much.
_POSTINGS = """
SELECT group_concat(doc), group_concat(CASE col WHEN 'title' THEN doc END) FROM terms WHERE term = ?
"""

Rows = NDArray[np.int64]
Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Every passage row by rowid (index 0 unused): whose, from when, until when, how long, of what document.

    A document is known by the row of its first passage.
    """

    changed_seq: int
    tenant: NDArray[np.int32]
    added: NDArray[np.int64]
    removed: NDArray[np.int64]
    words: Weights
    title_words: Weights
    document: Rows
    changes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Posting:
    """Which passages hold a term, how often in text and title together, and how often in the title.

    Complete for the first ``size`` rows.
    """

    size: int
    rows: Rows
    counts: Weights
    titles: Weights


@dataclass(frozen=True, slots=True)
class _Norms:
    """BM25's length norm of each text, by its row, and how many texts there are."""

    by_row: Weights
    count: int

    def weighted(self, rows: Rows, counts: Weights) -> Weights:
        """Return a term's weights in the texts that hold it so often."""
        rarity = np.log1p((self.count - len(rows) + 0.5) / (len(rows) + 0.5))
        weights: Weights = rarity * counts * (K1 + 1) / (counts + self.by_row[rows])
        return weights


@dataclass(frozen=True, slots=True)
class _Weighted:
    """One term: its weights in the passages and in the documents that hold it."""

    rows: Rows
    weights: Weights
    documents: Rows
    document_weights: Weights


_NOWHERE = _Weighted(np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0, dtype=np.int64), np.zeros(0))


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What one tenant sees at one position, and the term weights computed for it so far."""

    visible: NDArray[np.bool_]
    document: Rows
    passages: _Norms
    documents: _Norms
    weights: dict[str, _Weighted] = field(default_factory=dict)


class LexicalSearch:
    """BM25 over the passages of one database. Safe in several threads; sees what other connections write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens = Tokens()
        self._lock = threading.RLock()
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        self._columns = _Columns(-1, none.astype(np.int32), none, none, nothing, nothing, none, none)
        self._snapshots: OrderedDict[tuple[TenantId, int], _Snapshot] = OrderedDict()
        self._postings: dict[str, _Posting] = {}
        self._held = 0
        #: Words that none of the first so many rows has.
        self._absent: dict[str, int] = {}

    def search(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        """Return at most ``k`` hits a query, best first, ties by id."""
        if not queries or k < 1:
            return [[] for _ in queries]
        terms = self._tokens.of([query.text for query in queries])
        with self._database.reading() as connection:
            columns = self._current(connection)
            found = [
                self._best(connection, self._snapshot(connection, columns, query), words, k)
                for query, words in zip(queries, terms, strict=True)
            ]
            names = _names(connection, {row for rows, _ in found for row in rows})
        return [_ranked(rows, scores, names, k) for rows, scores in found]

    def _best(
        self, connection: sqlite3.Connection, snapshot: _Snapshot, words: Sequence[str], k: int
    ) -> tuple[list[int], list[float]]:
        weighted = {word: self._weights(connection, snapshot, word) for word in words}
        rarest = sorted((len(term.rows), word) for word, term in weighted.items() if len(term.rows))
        own, whole = np.zeros(len(snapshot.visible)), np.zeros(len(snapshot.visible))
        for word in sorted(word for _, word in rarest[:MAX_TERMS]):
            term = weighted[word]
            own[term.rows] += term.weights
            whole[term.documents] += term.document_weights
        rows = np.flatnonzero(own)
        mixed = (1 - DOCUMENT_SHARE) * own[rows] + DOCUMENT_SHARE * whole[snapshot.document[rows]]
        scores = np.round(mixed, 6)
        if len(rows) > k:
            # Everything that ties with the k-th stays in until ids decide.
            kept = scores >= np.partition(scores, -k)[-k]
            rows, scores = rows[kept], scores[kept]
        return rows.tolist(), scores.tolist()

    def _weights(self, connection: sqlite3.Connection, snapshot: _Snapshot, word: str) -> _Weighted:
        known = snapshot.weights.get(word)
        if known is None:
            posting = self._posting(connection, word, len(snapshot.visible))
            if posting is None:
                return _NOWHERE
            known = snapshot.weights[word] = _weighted(snapshot, posting)
        return known

    def _posting(self, connection: sqlite3.Connection, word: str, size: int) -> _Posting | None:
        """Return a term's posting, complete for the first ``size`` rows; ``None`` where none has it."""
        if self._absent.get(word, -1) >= size:
            return None
        known = self._postings.get(word)
        if known is None or known.size < size:
            known = _read_posting(connection, word, size)
            with self._lock:
                if not len(known.rows):
                    # What is asked has no end of new words: their number is bounded, not their rows.
                    if len(self._absent) >= MAX_ABSENT:
                        self._absent.clear()
                    self._absent[word] = size
                    return None
                if self._held > MAX_POSTINGS:
                    self._postings.clear()
                    self._snapshots.clear()
                    self._held = 0
                self._held += len(known.rows)
                self._postings[word] = known
        return known

    def _current(self, connection: sqlite3.Connection) -> _Columns:
        """Return the columns as they are on disk, reading only what is new."""
        columns = self._columns
        if read_meta(connection, "changed_seq") == columns.changed_seq:
            return columns
        with self._lock:
            columns = self._columns
            # One transaction: rows and position must belong together while the writer goes on.
            connection.execute("BEGIN")
            try:
                self._columns = _extended(connection, columns)
            finally:
                connection.execute("COMMIT")
            return self._columns

    def _snapshot(self, connection: sqlite3.Connection, columns: _Columns, query: Query) -> _Snapshot:
        place = int(np.searchsorted(columns.changes, query.as_of, side="right"))
        position = int(columns.changes[place - 1]) if place else 0
        key = (query.tenant, position)
        with self._lock:
            known = self._snapshots.get(key)
            if known is None:
                known = _taken(connection, columns, query.tenant, position)
                self._snapshots[key] = known
                if len(self._snapshots) > MAX_SNAPSHOTS:
                    self._snapshots.popitem(last=False)
            self._snapshots.move_to_end(key)
        return known


def _read_posting(connection: sqlite3.Connection, word: str, size: int) -> _Posting:
    anywhere, in_titles = connection.execute(_POSTINGS, (word,)).fetchone()
    rows, times = np.unique(_numbers(anywhere), return_counts=True)
    titles = np.zeros(len(rows))
    titled, title_times = np.unique(_numbers(in_titles), return_counts=True)
    titles[np.searchsorted(rows, titled)] = title_times
    return _Posting(size, rows, times.astype(np.float64), titles)


def _numbers(joined: str | None) -> Rows:
    return np.fromstring(joined or "", dtype=np.int64, sep=",")


def _weighted(snapshot: _Snapshot, posting: _Posting) -> _Weighted:
    """Return a term's weights for what the snapshot sees; a document has its title once."""
    inside = posting.rows < len(snapshot.visible)
    inside[inside] = snapshot.visible[posting.rows[inside]]
    rows, counts, titles = posting.rows[inside], posting.counts[inside], posting.titles[inside]
    # The rows of a document follow each other, so its number never comes back.
    numbers = snapshot.document[rows]
    first = np.flatnonzero(np.diff(numbers, prepend=-1))
    spoken = np.add.reduceat(counts - titles, first) if len(first) else counts
    documents = numbers[first]
    return _Weighted(
        rows,
        snapshot.passages.weighted(rows, counts + (TITLE_WEIGHT - 1) * titles),
        documents,
        snapshot.documents.weighted(documents, spoken + TITLE_WEIGHT * titles[first]),
    )


def _extended(connection: sqlite3.Connection, old: _Columns) -> _Columns:
    """Return the columns with the rows that came since, and the ends of rows that were there."""
    start = max(len(old.tenant), 1)
    rows = connection.execute(_NEW_ROWS, (start,)).fetchall()
    size = max([start, *(row[0] + 1 for row in rows[-1:])])
    numbers = np.array([row[0] for row in rows], dtype=np.int64)

    def longer(kept: NDArray[Any], column: int, fill: int = 0) -> NDArray[Any]:
        grown = np.full(size, fill, dtype=kept.dtype)
        grown[: len(kept)] = kept
        grown[numbers] = [row[column] for row in rows]
        return grown

    added, removed = longer(old.added, 2, np.iinfo(np.int64).max), longer(old.removed, 3)
    for number, seq in connection.execute(_ENDED_ROWS, (old.changed_seq, LIVE)):
        removed[number] = seq
    return _Columns(
        read_meta(connection, "changed_seq"),
        longer(old.tenant, 1),
        added,
        removed,
        longer(old.words, 4),
        longer(old.title_words, 5),
        longer(old.document, 6),
        np.unique(np.concatenate([added[1:], removed[1:][removed[1:] < LIVE]])),
    )


def _taken(connection: sqlite3.Connection, columns: _Columns, tenant: TenantId, position: int) -> _Snapshot:
    codes = dict(
        connection.execute("SELECT name, code FROM tenants WHERE name IN (?, ?)", (tenant, SHARED_TENANT))
    )
    visible = np.isin(columns.tenant, np.array(list(codes.values()) or [-1], dtype=np.int32))
    visible &= (columns.added <= position) & (columns.removed > position)
    if tenant in codes and len(codes) == 2:
        for (row,) in connection.execute(
            _SHADOWED, {"own": codes[tenant], "shared": codes[SHARED_TENANT], "at": position}
        ):
            visible[row] = False
    titles = TITLE_WEIGHT * columns.title_words
    spoken = np.where(visible, columns.words, 0.0)
    whole = np.bincount(columns.document, weights=spoken, minlength=len(visible))
    there = np.bincount(columns.document, weights=visible, minlength=len(visible)) > 0
    return _Snapshot(
        visible, columns.document, _norms(columns.words + titles, visible), _norms(whole + titles, there)
    )


def _norms(lengths: Weights, there: NDArray[np.bool_]) -> _Norms:
    count = int(there.sum())
    average = float(lengths[there].mean()) if count else 1.0
    return _Norms(K1 * (1 - B + B * lengths / max(average, 1.0)), count)


_NEW_ROWS = """
SELECT rowid, tenant, added_seq, removed_seq, words, title_words, document_row FROM passages
WHERE rowid >= ? ORDER BY rowid
"""
_ENDED_ROWS = "SELECT rowid, removed_seq FROM passages WHERE removed_seq > ? AND removed_seq < ?"

#: Shared rows hidden by a tenant's own passage of the same id.
_SHADOWED = """
SELECT s.rowid FROM passages o JOIN passages s ON s.id = o.id AND s.tenant = :shared
WHERE o.tenant = :own AND o.added_seq <= :at AND o.removed_seq > :at
    AND s.added_seq <= :at AND s.removed_seq > :at
"""


_NAMES = "SELECT rowid, id FROM passages WHERE rowid IN (SELECT value FROM json_each(?))"


def _names(connection: sqlite3.Connection, rows: set[int]) -> dict[int, str]:
    wanted = sorted(rows)
    names: dict[int, str] = {}
    for first in range(0, len(wanted), 10_000):
        chunk = wanted[first : first + 10_000]
        names.update(connection.execute(_NAMES, (json.dumps(chunk),)))
    return names


def _ranked(rows: list[int], scores: list[float], names: dict[int, str], k: int) -> list[Hit]:
    order = sorted((-score, names[row]) for row, score in zip(rows, scores, strict=True))
    return [Hit(name, -score) for score, name in order[:k]]
