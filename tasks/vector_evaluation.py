"""How good the search of a dataset is, by the judgements of BEIR and of the ann-benchmarks.

Called by ``tasks.import_vectors``. Every query is asked of the dataset as any caller would ask it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.claims import TenantId
from data.datasets.ports import SearchOptions, SearchRequest, VectorDatasets
from data.errors import KiteError
from tasks.evaluation.statistics import ndcg, recall

#: How many results count, as the benchmarks have it.
DEPTH = 10
#: Queries sent together.
_TOGETHER = 32
Embed = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose dataset is asked, and how."""

    datasets: VectorDatasets
    tenant: TenantId
    dataset_id: str
    request: SearchRequest

    def ranked(self, requests: Sequence[SearchRequest]) -> list[list[str]]:
        """Return the ids found for each request, best first.

        Raises:
            KiteError: one cannot be answered.
        """
        found: list[list[str]] = []
        for first in range(0, len(requests), _TOGETHER):
            for answer in self.datasets.search(self.tenant, requests[first : first + _TOGETHER]):
                if isinstance(answer, KiteError):
                    raise answer
                found.append([hit.vector.record.id for hit in answer.hits])
        return found


def retrieval_figures(
    asked: Asked, queries: Mapping[str, str], judgements: Mapping[str, Mapping[str, float]], embed: Embed
) -> dict[str, Any]:
    """Return nDCG@10 and recall@10 of search by vector, by words, and by both."""
    judged = [(queries[key], grades) for key, grades in sorted(judgements.items()) if key in queries]
    texts = [text for text, _ in judged]
    vectors = embed(texts)
    figures: dict[str, Any] = {"queries": len(judged)}
    for name, uses in (("vector", (True, False)), ("text", (False, True)), ("hybrid", (True, True))):
        requests = [
            replace(
                asked.request,
                vector=vector.tolist() if uses[0] else None,
                text=text if uses[1] else None,
            )
            for text, vector in zip(texts, vectors, strict=True)
        ]
        ranked = asked.ranked(requests)
        grades = [one for _, one in judged]
        figures[name] = {
            "ndcg_10": _mean([ndcg(ids, one, DEPTH) for ids, one in zip(ranked, grades, strict=True)]),
            "recall_10": _mean([recall(ids, one, DEPTH) for ids, one in zip(ranked, grades, strict=True)]),
        }
    return figures


def neighbour_figures(
    asked: Asked, queries: NDArray[np.float32], neighbours: NDArray[np.int64]
) -> dict[str, Any]:
    """Return recall@10 against the true neighbours of each query, and queries a second from one caller."""
    requests = [replace(asked.request, vector=query.tolist()) for query in queries]
    started = time.perf_counter()
    ranked = asked.ranked(requests)
    seconds = time.perf_counter() - started
    shares = [
        len(set(map(str, true[:DEPTH].tolist())).intersection(ids)) / len(true[:DEPTH])
        for ids, true in zip(ranked, neighbours, strict=True)
    ]
    return {
        "queries": len(queries),
        "recall_10": _mean(shares),
        "queries_per_s": round(len(queries) / seconds, 1) if seconds else 0.0,
    }


def question_to(dataset_id: str) -> SearchRequest:
    """Return the question that all queries are variations of: the ten best ids alone."""
    options = SearchOptions(top_k=DEPTH, include_content=False, include_metadata=False)
    return SearchRequest(dataset_id, options=options)


def _mean(values: Sequence[float]) -> float:
    return round(float(np.mean(values)), 4) if values else 0.0
