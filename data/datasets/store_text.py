"""BM25 over the contents of one dataset, under any filter.

Used by ``data.datasets.store``. FTS5 keeps the inverted index and cuts words; scores are computed here, from
the postings of the query's words, so that a filter costs one mask and never an answer: whatever the filter
keeps and has one of the words is found. Postings that were asked for stay in memory and follow the writes.
Invariant: a score is a function of the query's words and the vectors that are there, not of the filter,
nor of ``k``, nor of the order of writing.

Source: S. Robertson, H. Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009, §3.1, with
the non-negative idf of Lucene's BM25Similarity.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.ports import WordCounts
from data.sqlite import Database, storable
from data.views.lexical import K1, MAX_POSTINGS, B
from data.views.terms import TOKENIZER, Tokens, words_in

#: Most terms of a query, the rarest: a long text as a query is bounded in cost.
MAX_TERMS = 256
#: Writes that wait before the writer brings what is in memory up to date, if somebody searched since the last
#: time, and before it lets go of it, if nobody did.
MAX_PENDING, MAX_UNASKED = 256, 20_000

Rows = NDArray[np.int64]
Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class _Posting:
    """The rows that hold a term, rising, and how often; rows that are gone may be among them."""

    rows: Rows
    counts: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _State:
    """Every text by row: its length in words, and whether it is there; and what terms weigh among them."""

    words: NDArray[np.float32]
    alive: NDArray[np.bool_]
    count: int
    total: float
    weights: dict[str, tuple[Rows, Weights]] = field(default_factory=dict)

    @property
    def average(self) -> float:
        """The mean length, in words."""
        return average_of(self.count, self.total)


class TextSearch:
    """BM25 of one database. Any thread may search; ``changed`` is told by the one writer."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tokens = Tokens()
        self._lock = threading.Lock()
        self._state: _State | None = None
        self._postings: dict[str, _Posting] = {}
        self._held = 0
        self._added: list[tuple[int, str]] = []
        self._removed: list[int] = []
        self._is_asked = False

    def changed(self, added: Sequence[tuple[int, str]], removed: Sequence[int]) -> None:
        """Take note of what was committed: texts by their rows, and rows that are gone."""
        with self._lock:
            if self._state is None:
                return
            self._added.extend(added)
            self._removed.extend(removed)
            pending = len(self._added) + len(self._removed)
            if self._is_asked and pending > MAX_PENDING:
                self._current()
                self._is_asked = False
            elif pending > MAX_UNASKED:
                self._state, self._postings, self._held = None, {}, 0
                self._added, self._removed = [], []

    def search(
        self, query: str, k: int, allowed: BitMap | None, counts: WordCounts | None = None
    ) -> list[tuple[int, float]]:
        """Return at most ``k`` rows and scores, best first, ties by row.

        ``counts`` are those that terms are weighed by, as :meth:`counts` gives them; ``None``: one's own.
        """
        state, postings = self._asked(query)
        if k < 1 or not postings:
            return []
        if counts is None:
            weighted = {term: _weighted(term, posting, state) for term, posting in postings.items()}
            holding = {term: len(rows) for term, (rows, _) in weighted.items()}
        else:
            holding = {term: counts.holding.get(term, 0) for term in postings}
            average = average_of(counts.texts, counts.words)
            weighted = {
                term: _weighed(posting, state, rarity_of(counts.texts, holding[term]), average)
                for term, posting in postings.items()
            }
        rarest = sorted((texts, term) for term, texts in holding.items() if texts)
        scores = np.zeros(len(state.alive))
        # Always in the same order: sums of floats depend on it.
        for term in sorted(term for _, term in rarest[:MAX_TERMS]):
            rows, weights = weighted[term]
            scores[rows] += weights
        return _best(scores, k, allowed)

    def counts(self, query: str) -> WordCounts:
        """Return what the terms of a query are weighed by here."""
        state, postings = self._asked(query)
        holding = {term: _holding(posting, state) for term, posting in postings.items()}
        return WordCounts(state.count, state.total, holding)

    def _asked(self, query: str) -> tuple[_State, dict[str, _Posting]]:
        """Return all texts, and the postings of a query's terms among them."""
        (terms,) = self._tokens.of([query])
        with self._lock:
            self._is_asked = True
            state = self._current()
            return state, {term: self._posting(term, state) for term in terms}

    def _current(self) -> _State:
        """Return the state after everything that was told; the lock is held."""
        if self._state is None:
            self._added, self._removed = [], []
            self._state = self._read_state()
        elif self._added or self._removed:
            self._state = self._followed(self._state)
            self._added, self._removed = [], []
        return self._state

    def _read_state(self) -> _State:
        with self._database.reading() as connection:
            rows = connection.execute("SELECT row, words FROM lengths").fetchall()
        numbers = np.array(rows, dtype=np.int64).reshape(-1, 2)
        size = int(numbers[:, 0].max()) + 1 if len(numbers) else 1
        words, alive = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.bool_)
        words[numbers[:, 0]], alive[numbers[:, 0]] = numbers[:, 1], True
        return _State(words, alive, len(numbers), float(numbers[:, 1].sum()))

    def _followed(self, old: _State) -> _State:
        """Return the state with what was written since, and extend the postings in memory by it."""
        # A state read between commit and telling has the rows already.
        added = {row: text for row, text in self._added if row >= len(old.alive)}
        size = max(len(old.alive), max(added, default=0) + 1)
        words, alive = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.bool_)
        words[: len(old.words)], alive[: len(old.alive)] = old.words, old.alive
        for row, text in added.items():
            words[row], alive[row] = words_in(text), True
        gone = np.array([row for row in self._removed if row < size], dtype=np.int64)
        gone = gone[alive[gone]]
        alive[gone] = False
        self._extend(added)
        fresh = np.array([row for row in added if alive[row]], dtype=np.int64)
        old_gone = gone[gone < len(old.alive)]
        return _State(
            words,
            alive,
            old.count + len(fresh) - len(old_gone),
            old.total + float(words[fresh].sum(dtype=np.float64) - words[old_gone].sum(dtype=np.float64)),
        )

    def _extend(self, added: dict[int, str]) -> None:
        fresh: dict[str, list[tuple[int, int]]] = {}
        for row, term, times in _cut(sorted(added.items())):
            if term in self._postings:
                fresh.setdefault(term, []).append((row, times))
        for term, pairs in fresh.items():
            old = self._postings[term]
            more = np.array(pairs, dtype=np.int64)
            self._postings[term] = _Posting(
                np.concatenate([old.rows, more[:, 0]]),
                np.concatenate([old.counts, more[:, 1].astype(np.float32)]),
            )
            self._held += len(pairs)

    def _posting(self, term: str, state: _State) -> _Posting:
        known = self._postings.get(term)
        if known is None:
            if self._held > MAX_POSTINGS:
                self._postings, self._held = {}, 0
                state.weights.clear()
            with self._database.reading() as connection:
                known = _read_posting(connection, term, len(state.alive))
            if len(known.rows):
                self._held += len(known.rows)
                self._postings[term] = known
        return known


def _weighted(term: str, posting: _Posting, state: _State) -> tuple[Rows, Weights]:
    """Return the rows that are there with a term, and what it is worth in each."""
    known = state.weights.get(term)
    if known is not None:
        return known
    found = _weighed(posting, state, rarity_of(state.count, _holding(posting, state)), state.average)
    if len(found[0]):  # a word that nothing has costs nothing to weigh, and there is no end of them
        state.weights[term] = found
    return found


def _holding(posting: _Posting, state: _State) -> int:
    """Return how many texts that are there hold a term."""
    return int(np.count_nonzero(state.alive[posting.rows]))


def _weighed(posting: _Posting, state: _State, rarity: float, average: float) -> tuple[Rows, Weights]:
    """Return the rows that are there with a term of this rarity, and what it is worth in each."""
    there = state.alive[posting.rows]
    rows, counts = posting.rows[there], posting.counts[there].astype(np.float64)
    norms = K1 * (1 - B + B * state.words[rows].astype(np.float64) / average)
    return rows, rarity * counts * (K1 + 1) / (counts + norms)


def rarity_of(texts: int, holding: int) -> float:
    """Return how much a term tells that so many of all texts hold."""
    return float(np.log1p((texts - holding + 0.5) / (holding + 0.5)))


def average_of(texts: int, words: float) -> float:
    """Return the mean length of texts that have so many words together."""
    return max(words / texts, 1.0) if texts else 1.0


def _best(scores: NDArray[np.float64], k: int, allowed: BitMap | None) -> list[tuple[int, float]]:
    if allowed is not None:
        kept = np.array(allowed.to_array(), dtype=np.int64)
        rows = kept[kept < len(scores)]
        rows = rows[scores[rows] > 0]
    else:
        rows = np.flatnonzero(scores)
    rounded = np.round(scores[rows], 6)
    if len(rows) > k:
        # Everything that ties with the k-th stays in until rows decide.
        near = rounded >= np.partition(rounded, -k)[-k]
        rows, rounded = rows[near], rounded[near]
    order = np.lexsort((rows, -rounded))[:k]
    return [(int(rows[place]), float(rounded[place])) for place in order]


def _read_posting(connection: sqlite3.Connection, term: str, size: int) -> _Posting:
    # Every occurrence in one text: reading a row of the cursor for each costs three times as much.
    (joined,) = connection.execute("SELECT group_concat(doc) FROM terms WHERE term = ?", (term,)).fetchone()
    found = np.fromstring(joined or "", dtype=np.int64, sep=",")
    rows, counts = np.unique(found[found < size], return_counts=True)
    return _Posting(rows, counts.astype(np.float32))


def _cut(numbered: Sequence[tuple[int, str]]) -> list[tuple[int, str, int]]:
    """Return (row, term, times) of texts, cut as the index cuts them."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    try:
        connection.execute(f"CREATE VIRTUAL TABLE cut USING fts5(text, tokenize='{TOKENIZER}')")
        connection.execute("CREATE VIRTUAL TABLE cut_terms USING fts5vocab(cut, 'instance')")
        connection.executemany(
            "INSERT INTO cut(rowid, text) VALUES (?, ?)", ((row, storable(text)) for row, text in numbered)
        )
        counted = "SELECT doc, term, count(*) FROM cut_terms GROUP BY doc, term ORDER BY doc"
        return connection.execute(counted).fetchall()
    finally:
        connection.close()
