"""Fusion of two rankings: each of the five methods against its own definition, by hand."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.datasets.fusion import fuse, normalised
from data.datasets.ports import FusionMethod

METHODS = get_args(FusionMethod)
#: Row 2 is second in both; row 1 leads the first list alone, row 4 the second.
NEAR = [(1, 0.9), (2, 0.7), (3, 0.5)]
WORDS = [(4, 12.0), (2, 6.0)]
#: Rows and scores worked out by hand for weights 0.5 and 0.5.
BY_HAND = {
    # Normalised: near 1 -> 1, 2 -> 0.5, 3 -> 0; words 4 -> 1, 2 -> 0.
    "weighted_sum": [(1, 0.5), (4, 0.5), (2, 0.25), (3, 0.0)],
    "comb_sum": [(1, 1.0), (4, 1.0), (2, 0.5), (3, 0.0)],
    "comb_mnz": [(1, 1.0), (2, 1.0), (4, 1.0), (3, 0.0)],
    "reciprocal_rank_fusion": [
        (2, 0.5 / 62 + 0.5 / 62),
        (1, 0.5 / 61),
        (4, 0.5 / 61),
        (3, 0.5 / 63),
    ],
    # Near gives 4, 3, 2 and leaves 1 to row 4; words give 4, 3 and leave (2 + 1) / 2 to rows 1 and 3.
    "borda_count": [(2, 3.0), (1, 2.75), (4, 2.5), (3, 1.75)],
}


@pytest.mark.parametrize("method", METHODS)
def test_fuse_gives_what_the_definition_gives(method: FusionMethod) -> None:
    """Every row of either list once, best first, equal sums by row."""
    found = fuse([(NEAR, 0.5), (WORDS, 0.5)], method)

    assert [row for row, _ in found] == [row for row, _ in BY_HAND[method]]
    assert [score for _, score in found] == pytest.approx([score for _, score in BY_HAND[method]], abs=1e-9)


@pytest.mark.parametrize("method", ["weighted_sum", "reciprocal_rank_fusion", "borda_count"])
def test_fuse_with_more_weight_on_words_puts_their_best_first(method: FusionMethod) -> None:
    """The weights count where the method has any."""
    found = fuse([(NEAR, 0.1), (WORDS, 0.9)], method)

    assert found[0][0] in {4, 2}
    assert [row for row, _ in found].index(4) < [row for row, _ in found].index(1)


@pytest.mark.parametrize("method", METHODS)
def test_fuse_without_weight_leaves_a_ranking_out(method: FusionMethod) -> None:
    """A weight of 0 is not a small weight: rows of that list alone are not found."""
    assert [row for row, _ in fuse([(NEAR, 1.0), (WORDS, 0.0)], method)] == [1, 2, 3]


@pytest.mark.parametrize("method", METHODS)
def test_fuse_of_nothing_is_nothing(method: FusionMethod) -> None:
    """Two empty lists."""
    assert fuse([([], 0.5), ([], 0.5)], method) == []


def test_normalised_scores_that_are_equal_are_all_1() -> None:
    """There is no lowest among equals."""
    assert normalised([(1, 3.0), (2, 3.0)]) == {1: 1.0, 2: 1.0}


RANKING = st.dictionaries(st.integers(0, 40), st.floats(-5, 5), max_size=30).map(
    lambda scores: sorted(scores.items(), key=lambda item: (-item[1], item[0]))
)


@given(RANKING, RANKING, st.sampled_from(METHODS))
def test_fuse_keeps_every_row_and_never_ranks_a_row_below_one_it_beats_in_both(
    near: list[tuple[int, float]], words: list[tuple[int, float]], method: FusionMethod
) -> None:
    """Of rows in both lists, one that stands before another in both stands before it in the result."""
    places = {row: place for place, (row, _) in enumerate(fuse([(near, 0.5), (words, 0.5)], method))}
    assert set(places) == {row for row, _ in [*near, *words]}

    there = [{row: (place, score) for place, (row, score) in enumerate(one)} for one in (near, words)]
    both = sorted(there[0].keys() & there[1].keys())
    for one in both:
        for other in both:
            ahead = all(ranks[one][0] < ranks[other][0] for ranks in there)
            apart = all(ranks[one][1] - ranks[other][1] > 1e-3 for ranks in there)
            if ahead and apart:
                assert places[one] < places[other]
