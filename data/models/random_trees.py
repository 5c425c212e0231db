"""Extremely randomised trees for a few hundred labelled rows.

Used by ``data.models.few_labels``. Pure numpy: all trees grow together, level by level, so two thousand rows
take about a second. Invariants: the order of the rows does not matter, the same rows and labels give the
same trees, and a prediction depends on its row alone.

Source: Geurts, Ernst & Wehenkel 2006, "Extremely randomized trees": no bootstrap, thresholds drawn evenly
between the least and the greatest value in the node, the best of a few draws is kept.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError

TREES = 96
#: Rows below which a node is not divided, and levels after which none is.
LEAST_DIVIDED, MOST_LEVELS = 10, 12
#: Weight, in rows, of the overall shares in a leaf: small leaves do not speak with certainty.
PRIOR_ROWS = 2.0
SEED = 5


@dataclass(frozen=True, slots=True)
class RandomTrees:
    """Grown trees.

    Nodes of all trees stand in one list: ``feature`` (-1 in a leaf), ``threshold``, ``left`` (the right child
    follows it), and ``shares`` (nodes, classes). The first ``trees`` nodes are the roots.
    """

    trees: int
    feature: NDArray[np.int32]
    threshold: NDArray[np.float32]
    left: NDArray[np.int32]
    shares: NDArray[np.float32]

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the mean shares (n, classes) of the leaves that each row of (n, features) falls into."""
        values = rows.astype(np.float32)
        total = np.zeros((len(rows), self.shares.shape[1]))
        for root in range(self.trees):
            total += self.shares[self._leaves(values, root)]
        return total / self.trees

    def _leaves(self, values: NDArray[np.float32], root: int) -> NDArray[np.int64]:
        nodes = np.full(len(values), root)
        for _ in range(MOST_LEVELS):
            feature = self.feature[nodes]
            inner = np.flatnonzero(feature >= 0)
            if not len(inner):
                break
            here = nodes[inner]
            right = values[inner, feature[inner]] > self.threshold[here]
            nodes[inner] = self.left[here] + right
        return nodes

    def to_record(self) -> dict[str, Any]:
        """Return JSON values; arrays are base64 of little-endian bytes."""
        return {
            "trees": self.trees,
            "classes": int(self.shares.shape[1]),
            "feature": _packed(self.feature.astype("<i4")),
            "threshold": _packed(self.threshold.astype("<f4")),
            "left": _packed(self.left.astype("<i4")),
            "shares": _packed(self.shares.astype("<f4")),
        }


def trees_from(record: Mapping[str, Any]) -> RandomTrees:
    """Rebuild from :meth:`RandomTrees.to_record`.

    Raises:
        CorruptDataError: the arrays do not fit together.
    """
    try:
        feature, left = (_unpacked(record[name], "<i4") for name in ("feature", "left"))
        threshold, flat = (_unpacked(record[name], "<f4") for name in ("threshold", "shares"))
        shares = flat.reshape(len(feature), int(record["classes"]))
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptDataError("The stored trees cannot be read: learn from the labels again.") from exc
    inner = feature >= 0
    sound = len(threshold) == len(left) == len(feature) >= int(record["trees"]) > 0
    if not sound or bool((left[inner] + 1 >= len(feature)).any()) or bool((left[inner] < 0).any()):
        raise CorruptDataError("The stored trees do not fit together: learn from the labels again.")
    return RandomTrees(int(record["trees"]), feature, threshold, left, shares)


def grow(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> RandomTrees:
    """Return trees grown from (n, features) rows and their labels (n,), columns of the shares."""
    values = rows.astype(np.float32)
    growing = _Growing(values, labels, classes)
    for _ in range(MOST_LEVELS):
        if not growing.divide():
            break
    return growing.finished()


class _Growing:
    """Trees on the way: which node each (tree, row) is in, and the nodes so far."""

    def __init__(self, values: NDArray[np.float32], labels: NDArray[np.int64], classes: int) -> None:
        count = len(labels)
        self._values, self._labels, self._classes = values, labels, classes
        self._draws = max(1, round(values.shape[1] ** 0.5))
        self._random = np.random.default_rng(SEED)
        self._row = np.tile(np.arange(count), TREES)
        self._node = np.repeat(np.arange(TREES), count)
        self._feature = [-np.ones(TREES, dtype=np.int32)]
        self._threshold = [np.zeros(TREES, dtype=np.float32)]
        self._left = [np.zeros(TREES, dtype=np.int32)]
        self._counts = [np.tile(np.bincount(labels, minlength=classes), (TREES, 1)).astype(np.float64)]
        self._first, self._size = 0, TREES

    def divide(self) -> bool:
        """Divide the nodes of the last level where it pays; return whether any was."""
        counts = self._counts[-1]
        gain, feature, threshold = self._best_draws(counts)
        divided = np.flatnonzero(gain > 1e-9)
        if not len(divided):
            return False
        after = self._first + self._size
        left = np.zeros(self._size, dtype=np.int32)
        left[divided] = after + 2 * np.arange(len(divided))
        self._feature[-1][divided] = feature[divided]
        self._threshold[-1][divided] = threshold[divided]
        self._left[-1] = left
        self._descend(after, 2 * len(divided))
        return True

    def _best_draws(
        self, counts: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.int32], NDArray[np.float32]]:
        """Return, for each node of the level, the gain of its best draw, and the draw."""
        place = self._node - self._first
        order = np.argsort(place, kind="stable")
        place, row = place[order], self._row[order]
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        nodes = place[starts]
        size = counts.sum(axis=1)
        best = np.zeros(self._size)
        feature = np.zeros(self._size, dtype=np.int32)
        threshold = np.zeros(self._size, dtype=np.float32)
        whole = (counts**2).sum(axis=1) / np.maximum(size, 1.0)
        for _ in range(self._draws):
            drawn = self._random.integers(0, self._values.shape[1], self._size)
            share = self._random.random(self._size)
            own = self._values[row, drawn[place]]
            low, high = np.zeros(self._size, np.float32), np.zeros(self._size, np.float32)
            low[nodes], high[nodes] = np.minimum.reduceat(own, starts), np.maximum.reduceat(own, starts)
            cut = np.minimum(low + share.astype(np.float32) * (high - low), np.nextafter(high, low))
            below = own <= cut[place]
            cells = place[below] * self._classes + self._labels[row[below]]
            under = np.bincount(cells, minlength=self._size * self._classes).reshape(self._size, -1)
            gain = _purity(under) + _purity(counts - under) - whole
            better = (gain > best) & (high > low) & (size >= LEAST_DIVIDED)
            best[better], feature[better], threshold[better] = gain[better], drawn[better], cut[better]
        return best, feature, threshold

    def _descend(self, first: int, size: int) -> None:
        """Move rows into the children of their nodes; those in leaves leave the game."""
        here = self._node - self._first
        inner = self._feature[-1][here] >= 0
        here, row = here[inner], self._row[inner]
        right = self._values[row, self._feature[-1][here]] > self._threshold[-1][here]
        self._node, self._row = self._left[-1][here].astype(np.int64) + right, row
        cells = (self._node - first) * self._classes + self._labels[row]
        counts = np.bincount(cells, minlength=size * self._classes).reshape(size, self._classes)
        self._first, self._size = first, size
        self._counts.append(counts.astype(np.float64))
        self._feature.append(-np.ones(size, dtype=np.int32))
        self._threshold.append(np.zeros(size, dtype=np.float32))
        self._left.append(np.zeros(size, dtype=np.int32))

    def finished(self) -> RandomTrees:
        """Return the trees, leaves smoothed towards the overall shares."""
        counts = np.concatenate(self._counts)
        overall = (counts[0] + 1.0) / (counts[0].sum() + self._classes)
        shares = (counts + PRIOR_ROWS * overall) / (counts.sum(axis=1, keepdims=True) + PRIOR_ROWS)
        return RandomTrees(
            TREES,
            np.concatenate(self._feature),
            np.concatenate(self._threshold),
            np.concatenate(self._left),
            shares.astype(np.float32),
        )


def _purity(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sum of squared class counts over the node's size: higher is purer."""
    return np.asarray((counts**2).sum(axis=1) / np.maximum(counts.sum(axis=1), 1.0), dtype=np.float64)


def _packed(values: NDArray[Any]) -> str:
    return base64.b64encode(values.tobytes()).decode()


def _unpacked(text: str, kind: str) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(text, validate=True), dtype=kind).copy()
