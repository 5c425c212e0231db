"""How near two vectors are: what an index of one metric keeps of a vector, and distances in double precision.

Used by every part of a dense index. Invariant: a distance depends on its two vectors alone, never on what
else is computed beside it, so the answer for a query does not depend on its batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.datasets.records import Metric

Vectors = NDArray[np.float32]
Rows = NDArray[np.int64]
Distances = NDArray[np.float64]

#: Relative error of a float32 sum over a vector, generously: distances this close may be ranked either way.
FLOAT_ERROR = 4e-6


@dataclass(frozen=True, slots=True)
class Space:
    """Vectors of ``dim`` numbers under a metric. Distances: see ``data.datasets.records.Metric``."""

    dim: int
    metric: Metric

    def prepare(self, vectors: NDArray[Any]) -> Vectors:
        """Return (n, dim) vectors as they are kept and asked with: float32, of length one under cosine.

        Raises:
            ValueError: another shape, or a vector of length zero under cosine.
        """
        rows: Vectors = np.ascontiguousarray(vectors, dtype=np.float32)
        if rows.ndim != 2 or rows.shape[1] != self.dim:
            raise ValueError(f"Expected vectors of shape (n, {self.dim}), not {rows.shape}.")
        if self.metric != "cosine":
            return rows
        wide = rows.astype(np.float64)
        lengths = np.sqrt((wide * wide).sum(axis=1, keepdims=True))
        if not lengths.all():
            raise ValueError("A vector of length zero has no direction: it cannot be compared by cosine.")
        unit: Vectors = (wide / lengths).astype(np.float32)
        return unit

    def distances(self, queries: Vectors, vectors: Vectors) -> Distances:
        """Return (q, n) distances of (q, dim) queries to (q, n, dim) vectors: each to its own."""
        wide, asked = vectors.astype(np.float64), queries.astype(np.float64)[:, None, :]
        if self.metric == "manhattan":
            found: Distances = np.abs(wide - asked).sum(axis=2)
        elif self.metric == "euclidean":
            wide -= asked
            found = np.sqrt((wide * wide).sum(axis=2))
        else:
            found = -(wide * asked).sum(axis=2)
        return np.maximum(found + 1.0, 0.0) if self.metric == "cosine" else found

    def slack(self, query: Vectors, vectors: Vectors, farthest: float) -> float:
        """Return how far float32 may have been off for distances up to ``farthest`` to (n, dim) vectors."""
        if self.metric in ("euclidean", "manhattan"):
            return FLOAT_ERROR * farthest
        length = float(np.linalg.norm(query)) * float(np.linalg.norm(vectors, axis=1).max(initial=0.0))
        return FLOAT_ERROR * length

    def kind(self, library: Any) -> int:
        """Return what FAISS calls this metric."""
        kinds = {"euclidean": library.METRIC_L2, "manhattan": library.METRIC_L1}
        return int(kinds.get(self.metric, library.METRIC_INNER_PRODUCT))

    def coded_kind(self, library: Any) -> int:
        """Return the metric for codes of vectors: codes know no sum of differences, so squares stand in."""
        return int(library.METRIC_L2 if self.metric == "manhattan" else self.kind(library))
