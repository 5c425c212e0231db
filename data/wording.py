"""Named wordings found in texts: each pattern is an FTS5 query, run against the texts in memory.

Called by the passages view and, to refuse a bad query before it is written, by ``data.changes``. Words are
compared as written, without stemming (``lie*`` asks for a stem), case and accents aside.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Sequence
from functools import lru_cache

from data.errors import InvalidValueError
from data.knowledge import Pattern
from data.pattern_words import AnyOf, needed_words, words_in
from data.sqlite import storable

_WORD = re.compile(r"\w+")
_SCHEMA = "CREATE VIRTUAL TABLE texts USING fts5(text, tokenize='unicode61 remove_diacritics 2')"
#: Longest query: SQLite's time grows with the square of what it joins, and every claim is asked about.
MAX_QUERY_CHARS, MAX_QUERY_WORDS, MAX_NEAR_WORDS = 10_000, 256, 16
_MATCH = "SELECT rowid FROM texts WHERE texts MATCH ? ORDER BY rowid"


def check_pattern(pattern: Pattern) -> None:
    """Raise ``InvalidValueError`` unless the pattern's query can be run."""
    if len(pattern.query) > MAX_QUERY_CHARS:
        raise InvalidValueError(
            f"The query of pattern {pattern.id!r} has more than {MAX_QUERY_CHARS} characters: make several."
        )
    most = MAX_NEAR_WORDS if "NEAR" in pattern.query else MAX_QUERY_WORDS
    if len(_WORD.findall(pattern.query)) > most:
        raise InvalidValueError(
            f"The query of pattern {pattern.id!r} has more than {most} words: make several."
        )
    connection = _scratch()
    try:
        connection.execute(_MATCH, (pattern.query,)).fetchall()
    except (sqlite3.Error, UnicodeEncodeError) as exc:
        raise InvalidValueError(
            f"The query of pattern {pattern.id!r} is not an FTS5 query ({exc}): quote its phrases."
        ) from exc
    finally:
        connection.close()
    if not pattern.query.strip():
        raise InvalidValueError(f"The query of pattern {pattern.id!r} is empty.")


class Matcher:
    """Runs patterns over batches of texts. Safe in several threads: each has its own scratch table."""

    def __init__(self) -> None:
        self._local = threading.local()

    def match(self, texts: Sequence[str], patterns: Sequence[Pattern]) -> list[list[Pattern]]:
        """Return the patterns that occur in each text, in the order of ``patterns``."""
        hits: list[list[Pattern]] = [[] for _ in texts]
        said = [words_in(text) for text in texts]
        possible = [(pattern, _possible(pattern.query, said)) for pattern in patterns]
        wanted = sorted({number for _, numbers in possible for number in numbers})
        if not wanted:
            return hits
        connection = self._connection()
        connection.execute("DELETE FROM texts")
        rows = ((number, storable(texts[number])) for number in wanted)
        connection.executemany("INSERT INTO texts(rowid, text) VALUES (?, ?)", rows)
        for pattern, numbers in possible:
            if numbers:
                for (number,) in connection.execute(_MATCH, (pattern.query,)):
                    hits[number].append(pattern)
        return hits

    def _connection(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = _scratch()
            self._local.connection = connection
        return connection


@lru_cache(maxsize=4096)
def _needed(query: str) -> AnyOf:
    return needed_words(query)


def _possible(query: str, said: Sequence[frozenset[str]]) -> list[int]:
    """Return the numbers of the texts that the query may match."""
    needed = _needed(query)
    if needed is None:
        return list(range(len(said)))
    return [number for number, words in enumerate(said) if not needed.isdisjoint(words)]


def _scratch() -> sqlite3.Connection:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.execute(_SCHEMA)
    return connection
