"""Brute-force dense search in numpy: the oracle for other indexes, and enough for a small corpus.

Invariant: the answer for a vector depends on that vector and the stored rows alone, never on its batch.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Found = tuple[NDArray[np.float64], NDArray[np.int64]]


class ExactIndex:
    """Unit vectors by row number, searched in full. No lock inside: one writer, and no reader meanwhile."""

    def __init__(self, dim: int) -> None:
        self._vectors: NDArray[np.float32] = np.zeros((0, dim), dtype=np.float32)

    def __len__(self) -> int:
        return len(self._vectors)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Store (n, dim) float32 vectors as the next rows."""
        self._vectors = np.concatenate([self._vectors, vectors.astype(np.float32)])

    def vectors(self, rows: Sequence[int]) -> NDArray[np.float32]:
        """Return a copy of these rows, (len(rows), dim) float32."""
        return self._vectors[np.asarray(rows, dtype=np.int64)]

    def search(
        self, vectors: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> list[Found]:
        """Return, a vector, the scores and rows of the best ``k`` allowed rows, ties by row.

        Scores are inner products rounded to 6 decimals.
        """
        rows = np.arange(len(self._vectors)) if allowed is None else np.flatnonzero(allowed)
        return [self._best(vector.astype(np.float64), rows, k) for vector in vectors]

    def to_bytes(self) -> bytes:
        """Return the rows as bytes for :meth:`from_bytes`."""
        return self._vectors.tobytes()

    @classmethod
    def from_bytes(cls, content: bytes, dim: int) -> ExactIndex:
        """Build the index that :meth:`to_bytes` was called on."""
        index = cls(dim)
        index.add(np.frombuffer(content, dtype=np.float32).reshape(-1, dim))
        return index

    def _best(self, vector: NDArray[np.float64], rows: NDArray[np.int64], k: int) -> Found:
        scores = np.round((self._vectors[rows].astype(np.float64) * vector).sum(axis=1), 6)
        order = np.lexsort((rows, -scores))[:k]
        return scores[order], rows[order]
