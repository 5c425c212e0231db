"""What a dense index must find, worked out by numpy over all vectors; and vectors to try it with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap

from data.datasets.records import IndexSettings, Metric
from data.vectors.dense import DenseIndex, MainIndex, Neighbours, build_main

METRICS: tuple[Metric, ...] = ("cosine", "dot_product", "euclidean", "manhattan")
DIM = 24


def clustered(count: int, seed: int = 1) -> NDArray[np.float32]:
    """Return (count, DIM) vectors around 40 centres, as embeddings of texts on 40 subjects would lie."""
    centres = np.random.default_rng(99).standard_normal((40, DIM))
    rng = np.random.default_rng(seed)
    spread = 0.6 * rng.standard_normal((count, DIM))
    return (centres[rng.integers(0, 40, count)] + spread).astype(np.float32)


def true_distances(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], metric: Metric
) -> NDArray[np.float64]:
    """Return (q, n) distances in double precision."""
    asked, stored = queries.astype(np.float64), vectors.astype(np.float64)
    if metric == "cosine":
        asked = asked / np.linalg.norm(asked, axis=1, keepdims=True)
        stored = stored / np.linalg.norm(stored, axis=1, keepdims=True)
    if metric == "euclidean":
        found = np.sqrt(((asked[:, None] - stored[None]) ** 2).sum(axis=2))
    elif metric == "manhattan":
        found = np.abs(asked[:, None] - stored[None]).sum(axis=2)
    else:
        found = float(metric == "cosine") - asked @ stored.T
    return np.asarray(found, dtype=np.float64)


class Rows:
    """Vectors by row number, and what is nearest among those that are left."""

    def __init__(self, metric: Metric) -> None:
        self.metric: Metric = metric
        self.vectors: dict[int, NDArray[np.float32]] = {}

    def add(self, rows: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Take rows."""
        self.vectors.update(zip(rows.tolist(), vectors, strict=True))

    def remove(self, rows: NDArray[np.int64]) -> None:
        """Drop rows."""
        for row in rows.tolist():
            self.vectors.pop(row, None)

    def of(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the vectors of rows."""
        return np.stack([self.vectors[row] for row in rows.tolist()])

    def nearest(
        self, queries: NDArray[np.float32], k: int, allowed: BitMap | None = None
    ) -> list[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Return, a query, the nearest rows and their distances, ties by row."""
        rows = np.array(
            sorted(row for row in self.vectors if allowed is None or row in allowed), dtype=np.int64
        )
        if not len(rows):
            return [(rows, np.zeros(0)) for _ in queries]
        found = []
        for near in true_distances(queries, self.of(rows), self.metric):
            order = np.lexsort((rows, near))[:k]
            found.append((rows[order], near[order]))
        return found


def filled(metric: Metric, settings: IndexSettings, count: int, *, seed: int = 1) -> tuple[DenseIndex, Rows]:
    """Return an index whose main index holds ``count`` clustered vectors in odd rows, and its oracle."""
    oracle, index = Rows(metric), DenseIndex(DIM, metric, settings)
    oracle.add(np.arange(count, dtype=np.int64) * 2 + 1, clustered(count, seed))
    index.adopt(built(oracle, settings))
    return index, oracle


def built(oracle: Rows, settings: IndexSettings) -> MainIndex:
    """Return a main index of all rows of an oracle."""
    rows = np.array(sorted(oracle.vectors), dtype=np.int64)
    return build_main(rows, oracle.of, DIM, oracle.metric, settings)


def recall(
    found: list[Neighbours], oracle: Rows, queries: NDArray[np.float32], allowed: BitMap | None
) -> float:
    """Return which share of the rows that should have been found was found."""
    truth = oracle.nearest(queries, 10, allowed)
    return float(
        np.mean(
            [
                len(np.intersect1d(one.rows, true)) / len(true)
                for one, (true, _) in zip(found, truth, strict=True)
            ]
        )
    )


def same(one: Neighbours, other: Neighbours) -> bool:
    """Tell whether two answers are the same to the last bit."""
    return (
        one.rows.tolist() == other.rows.tolist()
        and one.distances.tobytes() == other.distances.tobytes()
        and (one.plan, one.exact, one.scanned) == (other.plan, other.exact, other.scanned)
    )
