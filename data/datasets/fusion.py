"""Two rankings made one: the five ways in which hybrid search fuses word search and vector search.

Pure; called by the search of a dataset. A ranking is (row, score) pairs, best first. Invariant: the result
depends on the two lists and the weights alone; equal sums go by row, lower first.

Scores are normalised in their own list: (s - lowest) / (highest - lowest), and 1 where all are equal.
``weighted_sum`` and ``comb_sum`` add them up, with and without weights; ``comb_mnz`` multiplies that sum by
the number of lists that have the row; ``reciprocal_rank_fusion`` adds weight / (60 + rank); ``borda_count``
gives the best of c candidates c points, the next c - 1 and so on, times the weight, and what a list does not
name an equal share of the points that it did not give.

Sources: E. Fox, J. Shaw, Combination of Multiple Searches, TREC-2, 1994 (CombSUM, CombMNZ); J. H. Lee,
Analyses of Multiple Evidence Combination, SIGIR 1997, §3 (min-max normalisation); J. Aslam, M. Montague,
Models for Metasearch, SIGIR 2001, §4 (Borda-fuse, weighted and not); G. Cormack, C. Clarke, S. Büttcher,
Reciprocal Rank Fusion outperforms Condorcet and Individual Rank Learning Methods, SIGIR 2009 (k = 60);
S. Bruch, S. Gai, A. Ingber, An Analysis of Fusion Functions for Hybrid Retrieval, ACM TOIS 42(1), 2023, §4
(weighted sum).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from data.datasets.ports import FusionMethod

#: Rank constant of reciprocal rank fusion.
RANK_CONSTANT = 60

Ranking = Sequence[tuple[int, float]]


def fuse(rankings: Sequence[tuple[Ranking, float]], method: FusionMethod) -> list[tuple[int, float]]:
    """Return every row of these weighted rankings with its fused score (9 decimals), best first.

    A ranking of weight 0 is left out.
    """
    kept = [(ranking, weight) for ranking, weight in rankings if weight > 0.0]
    sums = _METHODS[method](kept)
    # Rounded before they are ranked: what looks equal is ordered by row.
    rounded = [(row, round(score, 9)) for row, score in sums.items()]
    return sorted(rounded, key=lambda item: (-item[1], item[0]))


def normalised(ranking: Ranking) -> dict[int, float]:
    """Return the scores of a ranking moved into [0, 1]: its best has 1, its last 0."""
    if not ranking:
        return {}
    scores = [score for _, score in ranking]
    lowest, span = min(scores), max(scores) - min(scores)
    return {row: (score - lowest) / span if span > 0.0 else 1.0 for row, score in ranking}


def _weighted_sum(rankings: Sequence[tuple[Ranking, float]]) -> dict[int, float]:
    return _added(
        [({row: weight * score for row, score in normalised(one).items()}) for one, weight in rankings]
    )


def _comb_sum(rankings: Sequence[tuple[Ranking, float]]) -> dict[int, float]:
    return _added([normalised(one) for one, _ in rankings])


def _comb_mnz(rankings: Sequence[tuple[Ranking, float]]) -> dict[int, float]:
    lists = [normalised(one) for one, _ in rankings]
    return {row: total * sum(row in one for one in lists) for row, total in _added(lists).items()}


def _reciprocal_ranks(rankings: Sequence[tuple[Ranking, float]]) -> dict[int, float]:
    return _added(
        [
            {row: weight / (RANK_CONSTANT + rank) for rank, (row, _) in enumerate(one, 1)}
            for one, weight in rankings
        ]
    )


def _borda_count(rankings: Sequence[tuple[Ranking, float]]) -> dict[int, float]:
    rows = sorted({row for one, _ in rankings for row, _ in one})
    return _added(
        [{row: weight * points for row, points in _points(one, rows).items()} for one, weight in rankings]
    )


def _points(ranking: Ranking, rows: Sequence[int]) -> dict[int, float]:
    """Return the points that one list gives to each of all candidates."""
    most, named = len(rows), len(ranking)
    # Points 1 to most - named were not given: their mean goes to each candidate that is not named.
    given: dict[int, float] = dict.fromkeys(rows, (most - named + 1) / 2)
    given.update((row, float(most - place)) for place, (row, _) in enumerate(ranking))
    return given


def _added(lists: Sequence[dict[int, float]]) -> dict[int, float]:
    total: dict[int, float] = {}
    for one in lists:
        for row, score in one.items():
            total[row] = total.get(row, 0.0) + score
    return total


_METHODS: dict[str, Callable[[Sequence[tuple[Ranking, float]]], dict[int, float]]] = {
    "weighted_sum": _weighted_sum,
    "comb_sum": _comb_sum,
    "comb_mnz": _comb_mnz,
    "reciprocal_rank_fusion": _reciprocal_ranks,
    "borda_count": _borda_count,
}
