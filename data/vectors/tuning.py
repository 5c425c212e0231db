"""How far an approximate index must look for the recall promised, measured on the index itself.

Called when a main index was built. What a graph or lists need differs tenfold between collections of the same
size, so a fixed default would be wrong for most. Invariant: the same index gets the same tuning.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data.vectors.parts import Part, Tuning
from data.vectors.planner import TUNED_FOR, Effort, Found, best_of
from data.vectors.space import Vectors

#: Questions of each sort.
QUESTIONS = 192
#: How much of a question is one stored vector; the rest is another, far from it. Measured on 100,000 sentence
#: embeddings: graphs find the neighbours of the first sort about as well as those of sentences never stored,
#: of the second more easily. Where vectors lie in tight clusters it is the other way round.
BLENDS = (0.7, 0.95)
#: Recall wanted of either sort where 0.95 and 0.99 are wanted of users' questions (same measurement): of a
#: graph, and of lists, whose answers are wholly right or much too short.
WANTED = {"hnsw": (0.965, 0.992), "ivf": (0.98, 0.995)}


def tuned(part: Part, ladder: Sequence[int]) -> Tuning:
    """Return the first steps of a rising ``ladder`` that reach the recalls wanted; its last if none does."""
    sorts = [questions(part, blend) for blend in BLENDS]
    asked = [(queries, best_of(part, queries, TUNED_FOR, None, Effort(exact=True))) for queries in sorts]
    usual_recall, careful_recall = WANTED[part.plan]
    usual = None
    for steps in ladder:
        recall = min(_recall(part, queries, truth, steps) for queries, truth in asked)
        if usual is None and recall >= usual_recall:
            usual = steps
        if recall >= careful_recall:
            return Tuning(usual or steps, steps, part.tuning.spare)
    return Tuning(usual or ladder[-1], ladder[-1], part.tuning.spare)


def questions(part: Part, blend: float) -> Vectors:
    """Return (q, dim) queries: points between stored vectors, which are taken evenly."""
    count = min(QUESTIONS, len(part.rows))
    places = np.linspace(0, len(part.rows) - 1, count).astype(np.int64)
    others = np.roll(places, count // 2)
    mixed = blend * part.gather(places) + (1 - blend) * part.gather(others)
    return part.space.prepare(mixed[np.linalg.norm(mixed, axis=1) > 0])


def _recall(part: Part, queries: Vectors, truth: Sequence[Found], steps: int) -> float:
    found = best_of(part, queries, TUNED_FOR, None, Effort(steps=steps))
    pairs = zip(found, truth, strict=True)
    shares = [len(np.intersect1d(one.rows, true.rows)) / len(true.rows) for one, true in pairs]
    return float(np.mean(shares)) if shares else 1.0
