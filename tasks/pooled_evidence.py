"""Evidence as retrieval would find it, for labelled claims: word search and vectors over a pool, fused.

Called by ``tasks.shown_claims``. Deterministic: hits are ordered by score, ties by id.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence

import numpy as np

from data.analysis import Span
from data.evidence import Evidence, RetrievalScores
from data.ports import Embedder, Hit
from data.retrieval_fusion import FusionRule, fuse
from data.titles import titled
from tasks.labelled import PoolPassage

#: As the product fuses.
RULE = FusionRule()
_WORD = re.compile(r"\w+")


class PooledEvidence:
    """Finds passages of one pool for claims. Holds everything in memory."""

    def __init__(self, pool: Sequence[PoolPassage], embedder: Embedder) -> None:
        self._pool = list(pool)
        self._place = {passage.id: place for place, passage in enumerate(self._pool)}
        self._vectors = embedder.embed([titled(passage.title, passage.text) for passage in self._pool])
        self._embedder = embedder
        self._words = sqlite3.connect(":memory:")
        self._words.execute("CREATE VIRTUAL TABLE passages USING fts5(text, tokenize='porter unicode61')")
        rows = [(place, f"{each.title} {each.text}") for place, each in enumerate(self._pool)]
        self._words.executemany("INSERT INTO passages(rowid, text) VALUES (?, ?)", rows)

    def title(self, passage_id: str) -> str:
        """Return the title of a passage of the pool."""
        return self._pool[self._place[passage_id]].title

    def text(self, passage_id: str) -> str:
        """Return the words of a passage of the pool."""
        return self._pool[self._place[passage_id]].text

    def find(self, claim: str, k: int) -> list[Evidence]:
        """Return the best ``k`` passages as the product's retriever ranks them."""
        lexical = [Hit(self._pool[place].id, score) for place, score in self._lexical(claim, 4 * k).items()]
        similar = self._vectors @ self._embedder.embed([claim])[0]
        nearest = np.argsort(-similar, kind="stable")[: 4 * k]
        dense = [Hit(self._pool[place].id, float(similar[place])) for place in nearest]
        fused = fuse(lexical, dense, depth=4 * k, rule=RULE)
        return [self._evidence(self._place[one], fused[one]) for one in list(fused)[:k]]

    def get(self, passage_id: str, claim: str) -> Evidence:
        """Return one passage as if it had been found for ``claim`` by both ways."""
        place = self._place[passage_id]
        cosine = float(self._vectors[place] @ self._embedder.embed([claim])[0])
        return self._evidence(place, RetrievalScores(1.0, round(cosine, 6), round(max(cosine, 0.0), 6)))

    def _lexical(self, claim: str, k: int) -> dict[int, float]:
        words = sorted({word.casefold() for word in _WORD.findall(claim)})
        query = " OR ".join(f'"{word}"' for word in words)
        rows = self._words.execute(
            "SELECT rowid, -bm25(passages) FROM passages WHERE passages MATCH ?"
            " ORDER BY bm25(passages), rowid LIMIT ?",
            (query, k),
        )
        return {int(place): float(score) for place, score in rows}

    def _evidence(self, place: int, scores: RetrievalScores) -> Evidence:
        passage = self._pool[place]
        span = Span(0, len(passage.text))
        return Evidence(passage.id, passage.id, passage.text, span, title=passage.title, scores=scores)
