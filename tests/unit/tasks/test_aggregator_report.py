"""The figures in the aggregator's record, on rows whose figures are known."""

from __future__ import annotations

import numpy as np
import pytest

from data.models.conformal import fit_conformal
from tasks import aggregator_report as report


def drawn(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose labels were drawn from them: perfectly calibrated."""
    random = np.random.default_rng(seed)
    rows = random.dirichlet((0.5, 0.5, 0.5, 0.3), size=count)
    return rows, np.array([random.choice(4, p=row) for row in rows])


def test_lines_all_hold_for_calibrated_rows_of_an_uneven_model() -> None:
    """Honest probabilities and sets from exchangeable claims keep every promise."""
    rows, labels = drawn(6_000, 1)
    fresh, gold = drawn(6_000, 2)
    covered = report.coverage(fit_conformal(rows, labels), fresh, gold)
    assert all(report.lines(report.measured(fresh, gold), covered).values())


def test_lines_fail_where_probabilities_boast() -> None:
    """Sharpened rows miss their calibration line."""
    rows, labels = drawn(4_000, 3)
    boasting = rows**4 / (rows**4).sum(axis=1, keepdims=True)
    found = report.lines(
        report.measured(boasting, labels), report.cross_coverage(rows, labels, np.arange(4_000) % 5)
    )
    assert not found[f"calibration error at most {report.MOST_ERROR}"]


def test_cross_coverage_keeps_each_fold_out_of_its_own_scores() -> None:
    """Coverage of held-out rows is the promised one, not a better one."""
    rows, labels = drawn(5_000, 4)
    covered = report.cross_coverage(rows, labels, np.arange(5_000) % 5)
    assert 0.88 <= covered["overall"] <= 0.93
    assert min(covered[name] for name in ("SUPPORTED", "REFUTED", "NOT_ENOUGH_INFO", "CONFLICTING")) >= 0.86


def test_conflict_figures_of_a_perfect_and_a_blind_column() -> None:
    """Told apart: 1; the same for all: one half."""
    labels = np.array([3, 3, 0, 1])
    perfect = np.eye(4)[labels]
    blind = np.full((4, 4), 0.25)
    assert report.conflict_figures(perfect, labels)["auroc"] == 1.0
    assert report.conflict_figures(perfect, labels)["f1"] == 1.0
    assert report.conflict_figures(blind, labels)["auroc"] == 0.5


def test_supported_by_way_counts_only_claims_that_are_not_true() -> None:
    """A true claim called SUPPORTED is no fault."""
    rows = np.eye(4)[[0, 0, 1, 0]]
    found = report.supported_by_way(rows, np.array([0, 1, 1, 2]), ["gold", "altered", "altered", "removed"])
    assert found == {"altered": 0.5, "removed": 1.0}


def test_measured_surer_half_is_the_half_of_highest_confidence() -> None:
    """Two sure and right, two unsure and wrong."""
    rows = np.array([[0.9, 0.1, 0, 0], [0.8, 0.2, 0, 0], [0.6, 0.4, 0, 0], [0.55, 0.45, 0, 0]])
    found = report.measured(rows, np.array([0, 0, 1, 1]))
    assert found["surer_half_accuracy"] == 1.0
    assert found["accuracy"] == pytest.approx(0.5)
