"""BM25 over passages: postings and lengths from FTS5, statistics of exactly what the asker may see.

Used by the passages view. FTS5 keeps the inverted index and the stemming tokenizer; the score is computed
here and not by FTS5's ``bm25()``, whose document counts run over every tenant's rows and every version ever
written: a score would then move with what other tenants store, and a replay as of an earlier position would
not give the same order. Invariant: a score is a function of the query's words and of the rows visible to
its tenant at its position.

Source: S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, §3.1, with
the non-negative idf of Lucene's BM25Similarity.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from data.claims import SHARED_TENANT, TenantId
from data.ports import Hit, Query
from data.sqlite import Database, storable
from data.views.view import read_meta

#: How passages and queries are cut into terms.
TOKENIZER = "porter unicode61 remove_diacritics 2"
#: BM25's saturation and length parameters, the values FTS5 and Lucene use.
K1, B = 1.2, 0.75
#: Only the rarest terms of a long query are asked for: the common ones cost most and tell least. nDCG@10 on
#: Climate-FEVER's training claims: 0.323 with 12 terms, 0.350 with 16, 0.359 with 32.
MAX_TERMS = 16
#: Bounds of the caches: snapshots, postings kept in memory, and query texts.
MAX_SNAPSHOTS, MAX_POSTINGS, MAX_TEXTS = 16, 8_000_000, 20_000

STOP_WORDS = (
    "a about after all also an and any are as at be because been before being between both but by can "
    "could did do does during each for from had has have he her his how i if in into is it its just may "
    "more most no not of on one only or other our out over own same she should so some such than that "
    "the their them then there these they this those through to too under up very was we were what when "
    "where which while who will with would you your"
)

#: Every occurrence of a term, as one text: reading a row of the cursor for each costs three times as much.
_POSTINGS = "SELECT group_concat(doc) FROM terms WHERE term = ?"

Rows = NDArray[np.int64]
Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Every passage row by rowid (index 0 unused): whose, from when, until when, how long."""

    changed_seq: int
    tenant: NDArray[np.int32]
    added: NDArray[np.int64]
    removed: NDArray[np.int64]
    length: NDArray[np.float64]
    changes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """What one tenant sees at one position, and the term weights computed for it so far."""

    visible: NDArray[np.bool_]
    norm: Weights
    count: int
    weights: dict[str, tuple[Rows, Weights]] = field(default_factory=dict)


class LexicalSearch:
    """BM25 over the passages of one database. Safe in several threads; sees what other connections write."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens = _Tokens()
        self._lock = threading.RLock()
        none = np.zeros(0, dtype=np.int64)
        self._columns = _Columns(-1, none.astype(np.int32), none, none, none.astype(np.float64), none)
        self._snapshots: OrderedDict[tuple[TenantId, int], _Snapshot] = OrderedDict()
        self._postings: dict[str, tuple[int, Rows, Weights]] = {}
        self._held = 0

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
        weighted = [(word, *self._weights(connection, snapshot, word)) for word in words]
        rarest = sorted((len(rows), word, rows, scores) for word, rows, scores in weighted if len(rows))
        chosen = sorted(rarest[:MAX_TERMS], key=lambda term: term[1])
        total = np.zeros(len(snapshot.visible))
        for _, _, rows, scores in chosen:
            total[rows] += scores
        rows = np.flatnonzero(total)
        scores = np.round(total[rows], 6)
        if len(rows) > k:
            # Everything that ties with the k-th stays in until ids decide.
            kept = scores >= np.partition(scores, -k)[-k]
            rows, scores = rows[kept], scores[kept]
        return rows.tolist(), scores.tolist()

    def _weights(
        self, connection: sqlite3.Connection, snapshot: _Snapshot, word: str
    ) -> tuple[Rows, Weights]:
        known = snapshot.weights.get(word)
        if known is None:
            rows, counts = self._posting(connection, word, len(snapshot.visible))
            rows_inside = rows < len(snapshot.visible)
            rows, counts = rows[rows_inside], counts[rows_inside]
            seen = snapshot.visible[rows]
            rows, counts = rows[seen], counts[seen]
            rarity = np.log1p((snapshot.count - len(rows) + 0.5) / (len(rows) + 0.5))
            known = (rows, rarity * counts * (K1 + 1) / (counts + snapshot.norm[rows]))
            snapshot.weights[word] = known
        return known

    def _posting(self, connection: sqlite3.Connection, word: str, size: int) -> tuple[Rows, Weights]:
        """Return the rows that hold a term and how often, complete for the first ``size`` rows."""
        upto, rows, counts = self._postings.get(word, (0, None, None))
        if upto < size or rows is None or counts is None:
            (joined,) = connection.execute(_POSTINGS, (word,)).fetchone()
            places = np.fromstring(joined or "", dtype=np.int64, sep=",")
            rows, times = np.unique(places, return_counts=True)
            counts = times.astype(np.float64)
            with self._lock:
                if self._held > MAX_POSTINGS:
                    self._postings.clear()
                    self._snapshots.clear()
                    self._held = 0
                self._held += len(rows)
                self._postings[word] = (size, rows, counts)
        return rows, counts

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


class _Tokens:
    """Cuts queries into terms exactly as the index does, by asking FTS5 itself."""

    def __init__(self) -> None:
        self._local = threading.local()
        self._known: dict[str, tuple[str, ...]] = {}
        (stop,) = self._cut([STOP_WORDS])
        self._stop = frozenset(stop)

    def of(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        """Return each text's distinct terms, sorted; stop words only where there is nothing else."""
        known = self._known
        missing = [text for text in dict.fromkeys(texts) if text not in known]
        if missing:
            fresh = dict(known) if len(known) + len(missing) <= MAX_TEXTS else {}
            fresh.update(
                (text, fresh_terms) for text, fresh_terms in zip(missing, self._useful(missing), strict=True)
            )
            fresh.update((text, known[text]) for text in texts if text in known)
            self._known = known = fresh
        return [known[text] for text in texts]

    def _useful(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        cut = self._cut(texts)
        return [tuple(term for term in terms if term not in self._stop) or terms for terms in cut]

    def _cut(self, texts: Sequence[str]) -> list[tuple[str, ...]]:
        connection = self._connection()
        connection.execute("DELETE FROM cut")
        rows = ((number, storable(text)) for number, text in enumerate(texts))
        connection.executemany("INSERT INTO cut(rowid, text) VALUES (?, ?)", rows)
        terms: list[set[str]] = [set() for _ in texts]
        for number, term in connection.execute("SELECT doc, term FROM cut_terms"):
            terms[number].add(term)
        return [tuple(sorted(found)) for found in terms]

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.execute(f"CREATE VIRTUAL TABLE cut USING fts5(text, tokenize='{TOKENIZER}')")
            connection.execute("CREATE VIRTUAL TABLE cut_terms USING fts5vocab(cut, 'instance')")
            self._local.connection = connection
        return connection


def _extended(connection: sqlite3.Connection, old: _Columns) -> _Columns:
    start = max(len(old.tenant), 1)
    rows = connection.execute(
        "SELECT rowid, tenant, added_seq, removed_seq, words FROM passages WHERE rowid >= ? ORDER BY rowid",
        (start,),
    ).fetchall()
    size = max([start, *(row[0] + 1 for row in rows[-1:])])
    tenant = np.zeros(size, dtype=np.int32)
    added = np.full(size, np.iinfo(np.int64).max)
    removed, length = np.zeros(size, dtype=np.int64), np.zeros(size)
    for column, kept in (
        (tenant, old.tenant),
        (added, old.added),
        (removed, old.removed),
        (length, old.length),
    ):
        column[: len(kept)] = kept
    if rows:
        table = np.array(rows, dtype=np.float64)
        numbers = table[:, 0].astype(np.int64)
        tenant[numbers], added[numbers] = table[:, 1].astype(np.int32), table[:, 2].astype(np.int64)
        removed[numbers], length[numbers] = [row[3] for row in rows], table[:, 4]
    gone = connection.execute(
        "SELECT rowid, removed_seq FROM passages WHERE removed_seq > ? AND removed_seq < ?",
        (old.changed_seq, 2**62),
    ).fetchall()
    for number, seq in gone:
        removed[number] = seq
    changes = np.unique(np.concatenate([added[1:], removed[1:][removed[1:] < 2**62]]))
    return _Columns(read_meta(connection, "changed_seq"), tenant, added, removed, length, changes)


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
    count = int(visible.sum())
    average = float(columns.length[visible].mean()) if count else 1.0
    norm = K1 * (1 - B + B * columns.length / max(average, 1.0))
    return _Snapshot(visible, norm, count)


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


def words_in(text: str, title: str) -> int:
    """Return the length of a passage as BM25 counts it: a word of the title is a word."""
    return len(text.split()) + len(title.split())
