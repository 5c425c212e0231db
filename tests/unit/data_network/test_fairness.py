"""What the group-fairness metrics promise."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from data.errors import InvalidValueError
from data.fairness import (
    assess_fairness,
    demographic_parity_difference,
    equalized_odds_difference,
    group_rates,
    wilson,
)

#: Group a: 3 of 4 selected, b: 1 of 4. Labels: a has positives at 0 and 1, b at 4, 5 and 6.
GROUPS = ["a"] * 4 + ["b"] * 4
LABELS = [1, 1, 0, 0, 1, 1, 1, 0]
CHOSEN = [1, 1, 1, 0, 1, 0, 0, 0]


def test_selection_rates_are_counted_by_group() -> None:
    """Selection, true-positive and false-positive rates of each group, sorted by name."""
    a, b = group_rates(LABELS, CHOSEN, GROUPS)
    assert (a.group, a.selection.value, b.group, b.selection.value) == ("a", 0.75, "b", 0.25)
    assert a.true_positive is not None
    assert b.true_positive is not None
    assert a.true_positive.value == 1.0
    assert b.true_positive.value == pytest.approx(1 / 3, abs=1e-6)
    assert a.false_positive is not None
    assert a.false_positive.value == 0.5


def test_demographic_parity_difference_is_the_gap_in_selection() -> None:
    """0.75 against 0.25 is a gap of 0.5, and the groups at its ends are named."""
    gap = demographic_parity_difference(group_rates(LABELS, CHOSEN, GROUPS))
    assert gap is not None
    assert (gap.value, gap.highest_group, gap.lowest_group) == (0.5, "a", "b")
    assert gap.low < 0.5 < gap.high


def test_equalized_odds_difference_is_the_larger_of_both_gaps() -> None:
    """True positives differ by 2/3 and false positives by 1/2: the first counts."""
    gap = equalized_odds_difference(group_rates(LABELS, CHOSEN, GROUPS))
    assert gap is not None
    assert gap.value == pytest.approx(2 / 3, abs=1e-5)


def test_equalized_odds_difference_needs_two_groups_with_a_rate() -> None:
    """Where only one group has positives and only one has negatives, no odds can be compared."""
    assert equalized_odds_difference(group_rates([1, 0], [1, 1], ["a", "b"])) is None


def test_equal_treatment_has_no_gap() -> None:
    """Two groups that are treated alike differ by 0, and the interval holds 0."""
    report = assess_fairness([1, 0] * 100, [1, 0] * 100, ["a"] * 100 + ["b"] * 100)
    assert report.demographic_parity is not None
    assert report.demographic_parity.value == 0.0
    assert report.demographic_parity.low < 0 < report.demographic_parity.high
    assert report.caution is None


def test_small_groups_bring_a_caution_and_a_wide_interval() -> None:
    """Four decisions a group are too few: the report says so and the interval of the gap reaches past 0."""
    report = assess_fairness(LABELS, CHOSEN, GROUPS)
    assert report.caution is not None
    assert "a, b" in report.caution
    assert report.demographic_parity is not None
    assert report.demographic_parity.low < 0


def test_one_group_has_nothing_to_be_compared_with() -> None:
    """A single group has rates, no gap, and a caution that names it."""
    report = assess_fairness([1, 0], [1, 0], ["only", "only"])
    assert (report.demographic_parity, report.equalized_odds) == (None, None)
    assert "only" in (report.caution or "")


@pytest.mark.parametrize(("hits", "size"), [(0, 10), (10, 10), (3, 7), (50, 100), (1, 1000)])
def test_wilson_interval_agrees_with_scipy(hits: int, size: int) -> None:
    """The interval is the score interval that SciPy computes on its own."""
    expected = binomtest(hits, size).proportion_ci(0.95, method="wilson")
    rate = wilson(hits, size)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-6)


@pytest.mark.parametrize(("hits", "size"), [(1, 0), (-1, 5), (6, 5)])
def test_wilson_of_impossible_counts_is_refused(hits: int, size: int) -> None:
    """More hits than trials, or none at all, is an error in words."""
    with pytest.raises(InvalidValueError, match="hits"):
        wilson(hits, size)


@pytest.mark.parametrize(
    ("labels", "predictions", "groups", "words"),
    [
        ([1], [1, 0], ["a"], "one entry"),
        ([], [], [], "at least one"),
        ([2], [1], ["a"], "0 or 1"),
        ([1], [-1], ["a"], "0 or 1"),
    ],
)
def test_rates_of_malformed_input_are_refused(
    labels: list[int], predictions: list[int], groups: list[str], words: str
) -> None:
    """Each kind of bad input is told apart in words."""
    with pytest.raises(InvalidValueError, match=words):
        group_rates(labels, predictions, groups)
