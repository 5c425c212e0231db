"""Figures of the evaluation against values worked out by hand or by brute force."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tasks.evaluation import statistics as stats

#: Two of three right: gold 0, 0, 1; said 0, 1, 1.
COUNTS = np.array([[1, 1], [0, 1]])


def test_table_figures_are_those_worked_out_by_hand() -> None:
    """Accuracy 2/3; F1 2/3 for both classes; recalls 1/2 and 1."""
    assert stats.accuracy(COUNTS) == pytest.approx(2 / 3)
    assert stats.macro_f1(COUNTS) == pytest.approx(2 / 3)
    assert stats.balanced_accuracy(COUNTS) == pytest.approx(0.75)
    assert stats.f1_of(COUNTS, 1) == pytest.approx(2 / 3)


def test_a_class_that_does_not_occur_does_not_count() -> None:
    """A label that the set has not, but the model says, costs recall and nothing else."""
    counts = stats.confusion(np.array([0, 2]), np.array([0, 0]), 3)
    assert stats.balanced_accuracy(counts) == 0.5
    assert stats.macro_f1(counts) == pytest.approx(2 / 3)


@settings(deadline=None)
@given(
    arrays(np.float64, 12, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0])),
    arrays(np.bool_, 12),
)
def test_auroc_is_the_share_of_pairs_in_order(scores: np.ndarray, positive: np.ndarray) -> None:
    """Every positive against every negative, ties counting half."""
    pairs = list(product(scores[positive], scores[~positive]))
    wanted = sum((a > b) + 0.5 * (a == b) for a, b in pairs) / len(pairs) if pairs else 0.5
    assert stats.auroc(scores, positive) == pytest.approx(wanted)


def test_two_way_sets_are_scored_among_their_labels() -> None:
    """NEUTRAL is most probable, but the set has no such label: the larger of the others is said."""
    rows = stats.among(np.array([[0.1, 0.2, 0.7], [0.25, 0.05, 0.7]], dtype=np.float32), np.array([1, 0]))
    assert rows.argmax(axis=1).tolist() == [1, 0]
    assert np.allclose(rows.sum(axis=1), 1.0)


def test_calibration_error_of_an_honest_and_of_a_boastful_model() -> None:
    """Right in three of four at 75 % is honest; right in none at 100 % is off by one."""
    honest = np.array([[0.75, 0.25]] * 4, dtype=np.float32)
    assert stats.calibration_error(honest, np.array([0, 0, 0, 1])) == pytest.approx(0.0, abs=1e-6)
    boastful = np.array([[1.0, 0.0]] * 3, dtype=np.float32)
    assert stats.calibration_error(boastful, np.array([1, 1, 1])) == pytest.approx(1.0)


def test_surest_half_answers_the_surest_rows() -> None:
    """The two surest of four are right, the others wrong."""
    rows = np.array([[0.9, 0.1], [0.55, 0.45], [0.8, 0.2], [0.6, 0.4]], dtype=np.float32)
    labels = np.array([0, 1, 0, 1])
    assert stats.surest_half_accuracy(rows, labels) == 1.0
    assert stats.risk_coverage(rows, labels) == pytest.approx([0.0, 0.0, 1 / 3, 0.5])


def test_brier_is_zero_for_the_truth_and_two_for_its_opposite() -> None:
    """The whole range of the score."""
    sure = np.array([[1.0, 0.0]], dtype=np.float32)
    assert stats.brier(sure, np.array([0])) == 0.0
    assert stats.brier(sure, np.array([1])) == 2.0


def test_ndcg_of_the_textbook_ranking() -> None:
    """Gains 3, 2, 3, 0, 1, 2 in this order. Source: Järvelin and Kekäläinen's example, log base 2."""
    relevant = {"a": 3.0, "b": 2.0, "c": 3.0, "d": 0.0, "e": 1.0, "f": 2.0}
    found = sum(gain / math.log2(place + 2) for place, gain in enumerate([3, 2, 3, 0, 1, 2]))
    best = sum(gain / math.log2(place + 2) for place, gain in enumerate([3, 3, 2, 2, 1, 0]))
    assert stats.ndcg(list("abcdef"), relevant) == pytest.approx(found / best)
    assert stats.ndcg(list("cafbed"), relevant) > stats.ndcg(list("abcdef"), relevant)
    assert stats.recall(list("ad"), relevant, 2) == pytest.approx(1 / 5)


def test_intervals_hold_the_value_and_shrink_with_more_rows() -> None:
    """And are the same at every run."""
    few, many = COUNTS * 10, COUNTS * 1_000
    wide, narrow = (stats.interval(each, stats.accuracy) for each in (few, many))
    assert wide[0] < narrow[0] < 2 / 3 < narrow[1] < wide[1]
    assert wide == stats.interval(few, stats.accuracy)


def test_set_coverage_counts_labels_inside_and_sizes() -> None:
    """Sets of every label above 0.3."""
    rows = np.array([[0.6, 0.4], [0.8, 0.2]], dtype=np.float32)
    coverage, size = stats.set_coverage(
        rows, np.array([1, 1]), lambda row: [place for place, each in enumerate(row) if each > 0.3]
    )
    assert (coverage, size) == (0.5, 1.5)
