"""Dense search with FAISS: a flat index while it is small, an HNSW graph once it is large.

Built by the passage vectors (``data.views.vectors``). Invariants: the answer for a vector does not depend
on its batch (no BLAS in distances, one thread, scores computed again in double precision); the graph
depends only on the order of rows, not on how they were grouped when added.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError

#: Rows from which a graph pays: below, a full scan answers in about a millisecond and is exact.
FLAT_LIMIT = 20_000
#: Graph parameters; recall@10 0.998 on 100,000 x 384 (measured with FAISS 1.15).
LINKS, EF_CONSTRUCTION, EF_SEARCH = 32, 200, 128
#: Candidates beyond ``k``, so that float32 rounding cannot decide who is among the best.
MARGIN = 16
#: Scores this close may be ranked either way in float32.
TIE = 2e-6
#: Where fewer than this share of rows is allowed, scanning them beats filtering the graph's answers.
SCAN_SHARE = 0.5

Found = tuple[NDArray[np.float64], NDArray[np.int64]]


class FaissIndex:
    """Unit vectors by row number. No lock inside: one writer, and no reader meanwhile."""

    def __init__(self, dim: int, *, flat_limit: int = FLAT_LIMIT) -> None:
        self._faiss = _library()
        self._dim = dim
        self._flat_limit = flat_limit
        self._flat: Any = self._faiss.IndexFlatIP(dim)
        self._graph: Any = None

    def __len__(self) -> int:
        return int(self._flat.ntotal)

    def add(self, vectors: NDArray[np.float32]) -> None:
        """Store (n, dim) float32 vectors as the next rows; past the limit the graph is built, once."""
        rows = np.ascontiguousarray(vectors, dtype=np.float32)
        if self._graph is None:
            self._flat.add(rows)
            if len(self) > self._flat_limit:
                self._build_graph()
        else:
            self._link(rows)

    def search(
        self, vectors: NDArray[np.float32], k: int, *, allowed: NDArray[np.bool_] | None = None
    ) -> list[Found]:
        """Return, a vector, the scores and rows of the best ``k`` allowed rows, ties by row.

        Scores are inner products rounded to 6 decimals. Exact while flat; with a graph, exact where few
        rows are allowed and approximate otherwise.
        """
        live = len(self) if allowed is None else int(np.count_nonzero(allowed))
        if not live or k < 1:
            nothing = (np.zeros(0), np.zeros(0, dtype=np.int64))
            return [nothing for _ in vectors]
        queries = np.ascontiguousarray(vectors, dtype=np.float32)
        return [self._best(query, min(k, live), live, allowed) for query in queries]

    def to_bytes(self) -> bytes:
        """Return the index as bytes for :meth:`from_bytes`; check them by a SHA-256 of your own."""
        index = self._flat if self._graph is None else self._graph
        return bytes(self._faiss.serialize_index(index))

    @classmethod
    def from_bytes(cls, content: bytes, dim: int) -> FaissIndex:
        """Build the index that :meth:`to_bytes` was called on. FAISS trusts its input: verify it before.

        Raises:
            CorruptDataError: not an index of ``dim`` dimensions.
        """
        index = cls(dim)
        library = index._faiss
        try:
            stored = library.deserialize_index(np.frombuffer(content, dtype=np.uint8))
        except RuntimeError as exc:
            raise CorruptDataError(f"The vector index cannot be read: {exc}; build it again.") from exc
        if stored.d != dim:
            raise CorruptDataError(f"The vector index has {stored.d} dimensions, not {dim}: build it again.")
        if isinstance(stored, library.IndexHNSW):
            index._adopt_graph(stored)
        else:
            index._flat = stored
        return index

    def _best(
        self, query: NDArray[np.float32], k: int, live: int, allowed: NDArray[np.bool_] | None
    ) -> Found:
        wanted = min(k + MARGIN, live)
        while True:
            rows = self._candidates(query, wanted, live, allowed)
            kept = self._rows()[rows].astype(np.float64)
            scores = np.round((kept * query.astype(np.float64)).sum(axis=1), 6)
            order = np.lexsort((rows, -scores))
            scores, rows = scores[order], rows[order]
            # A tie that reaches past the candidates may hide a smaller row: look further.
            if wanted >= live or len(rows) < k or scores[-1] < scores[k - 1] - TIE:
                return scores[:k], rows[:k]
            wanted = min(wanted * 4, live)

    def _candidates(
        self, query: NDArray[np.float32], wanted: int, live: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        if self._graph is None or live < len(self) * SCAN_SHARE or wanted > len(self) // 8:
            return self._scan(query, wanted, allowed)
        fetched = wanted if allowed is None else int(wanted * len(self) / live) + MARGIN
        ef = self._faiss.SearchParametersHNSW(efSearch=max(EF_SEARCH, 2 * fetched))
        found = self._graph.search(query[None, :], fetched, params=ef)[1][0]
        rows = found[found >= 0]
        rows = rows if allowed is None else rows[allowed[rows]]
        return rows if len(rows) >= wanted else self._scan(query, wanted, allowed)

    def _scan(
        self, query: NDArray[np.float32], wanted: int, allowed: NDArray[np.bool_] | None
    ) -> NDArray[np.int64]:
        params = None
        if allowed is not None:
            bits = np.packbits(allowed, bitorder="little")
            params = self._faiss.SearchParameters(sel=self._faiss.IDSelectorBitmap(bits))
        found: NDArray[np.int64] = self._flat.search(query[None, :], wanted, params=params)[1][0]
        return found[found >= 0]

    def _rows(self) -> NDArray[np.float32]:
        """Return the stored vectors, (rows, dim) float32, without copying; valid until the next ``add``."""
        flat: NDArray[np.float32] = self._faiss.rev_swig_ptr(self._flat.get_xb(), len(self) * self._dim)
        return flat.reshape(-1, self._dim)

    def _build_graph(self) -> None:
        graph = self._faiss.IndexHNSWFlat(self._dim, LINKS, self._faiss.METRIC_INNER_PRODUCT)
        graph.hnsw.efConstruction = EF_CONSTRUCTION
        rows = self._rows().copy()
        self._adopt_graph(graph)
        self._link(rows)

    def _link(self, rows: NDArray[np.float32]) -> None:
        # One by one: FAISS shuffles the rows of a call, so the graph would depend on how they were grouped.
        for row in rows:
            self._graph.add(row[None, :])

    def _adopt_graph(self, graph: Any) -> None:
        self._graph = graph
        self._flat = self._faiss.downcast_index(graph.storage)


def _library() -> Any:
    """Return FAISS, set up so that a result never depends on the batch or the machine's cores."""
    import faiss

    faiss.omp_set_num_threads(1)
    # Larger batches would go through BLAS, whose sums differ in the last bit with the batch's size.
    faiss.cvar.distance_compute_blas_threshold = 2**31 - 1
    return faiss
