"""What is told of claims for a learner with few labels: the stance, and how claim and evidence compare.

Called by ``tasks.evaluation.own_labels``. Of a claim beside a whole article: how much of the claim the
article holds. Of a claim beside a short passage: their cosine, and the directions in which the tenant's own
claims and passages differ most, for its topics say much about its labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cluster.wiring import Models
from tasks.evaluation.articles import COVERAGE, coverage, nearest
from tasks.evaluation.gold import judge, sentences_of
from tasks.evaluation.runs import say
from tasks.evaluation.sets import Example
from tasks.evaluation.statistics import among

Rows = NDArray[np.float64]
Places = Sequence[int] | NDArray[np.int64]

#: Directions kept of the vectors' products, of the claims' and of the passages'. On healthver's dev pairs,
#: with 300 labels: macro-F1 .44 without any, .52 with the products' alone, .55 with all (trees).
AXES = (48, 8, 8)


@dataclass(frozen=True, slots=True)
class Axes:
    """Directions (d, k) of greatest variance around a mean (d,). Source: Pearson 1901."""

    mean: Rows
    directions: Rows

    def of(self, vectors: Rows) -> Rows:
        """Return the places (n, k) of vectors (n, d) along the directions."""
        return (vectors - self.mean) @ self.directions


@dataclass(frozen=True, slots=True)
class Told:
    """Stance rows (n, 3), features (n, f) and, of short passages, vectors (n, d).

    The vectors are products of claim's and passage's, then the claims' and the passages'.
    """

    stances: Rows
    features: Rows
    vectors: tuple[Rows, ...] = ()

    def at(self, places: Places) -> Told:
        """Return what is told of some of the claims."""
        rows = np.asarray(places, dtype=np.int64)
        return Told(self.stances[rows], self.features[rows], tuple(each[rows] for each in self.vectors))

    def axes(self) -> list[Axes]:
        """Return the directions of each kind of vectors, learned from these claims alone."""
        return [_axes(each, count) for each, count in zip(self.vectors, AXES, strict=False)]

    def columns(self, kept: NDArray[np.int64], axes: Sequence[Axes]) -> Rows:
        """Return the rows of a learner: the probabilities of the ``kept`` stances, then everything else."""
        probabilities = among(self.stances.astype(np.float32), kept)[:, kept].astype(np.float64)
        along = [each.of(own) for each, own in zip(axes, self.vectors, strict=True)]
        return np.hstack([probabilities, self.features, *along])


def tell(examples: Sequence[Example], models: Models, *, articles: bool) -> Told:
    """Return what the shipped models and the words tell of these examples."""
    found = judge(
        examples,
        stance=models.stance,
        embedder=models.embedder,
        say=lambda done: say(f"  {done} passages", end="\r"),
    )
    stances = found.probabilities.astype(np.float64)
    if articles:
        covered = [_covered(each, models) for each in examples]
        return Told(stances, np.array(covered, dtype=np.float64).reshape(-1, len(COVERAGE)))
    claims = models.embedder.embed([each.claim for each in examples]).astype(np.float64)
    passages = models.embedder.embed([" ".join(sentences_of(each)) for each in examples]).astype(np.float64)
    products = claims * passages
    return Told(stances, products.sum(axis=1, keepdims=True), (products, claims, passages))


def _covered(example: Example, models: Models) -> list[float]:
    sentences = sentences_of(example)
    return coverage(example.claim, sentences, nearest(example.claim, sentences, models.embedder))


def _axes(vectors: Rows, count: int) -> Axes:
    mean = vectors.mean(axis=0)
    directions = np.linalg.svd(vectors - mean, full_matrices=False)[2][:count]
    # A direction and its opposite are the same one: the largest part is made positive.
    largest = directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)]
    return Axes(mean, (directions * np.sign(largest)[:, None]).T)
