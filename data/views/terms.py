"""How passages and queries become terms: cut, stemmed and counted in one way.

Used by the passages view, which indexes with ``TOKENIZER``, and by its word search. Invariant: a query is
cut by FTS5 itself, so it can never be cut differently from what was indexed.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence

from data.sqlite import storable

#: Case and accents aside, words are stemmed. Source: M. F. Porter, An algorithm for suffix stripping, 1980.
TOKENIZER = "porter unicode61 remove_diacritics 2"
#: Query texts whose terms are remembered.
MAX_TEXTS = 4_096

STOP_WORDS = (
    "a about after all also an and any are as at be because been before being between both but by can "
    "could did do does during each for from had has have he her his how i if in into is it its just may "
    "more most no not of on one only or other our out over own same she should so some such than that "
    "the their them then there these they this those through to too under up very was we were what when "
    "where which while who will with would you your"
)


class Tokens:
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


def words_in(text: str) -> int:
    """Return the length of a text as BM25 counts it, in words."""
    return len(text.split())
