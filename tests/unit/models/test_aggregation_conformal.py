"""Prediction sets: coverage, nesting, and what they refuse."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.errors import CorruptDataError
from data.models.conformal import ConformalLabels, conformal_from, fit_conformal, load_conformal
from data.verdicts import VERDICT_LABELS


def rows_and_labels(seed: int, count: int = 4_000) -> tuple[np.ndarray, np.ndarray]:
    """Rows whose label was drawn from their own probabilities: as exchangeable as claims can be."""
    random = np.random.default_rng(seed)
    rows = random.dirichlet((0.6, 0.6, 0.6, 0.3), size=count)
    labels = np.array([random.choice(4, p=row) for row in rows])
    return rows, labels


@pytest.mark.parametrize("alpha", [0.05, 0.1, 0.3])
def test_prediction_set_covers_each_true_label_as_often_as_promised(alpha: float) -> None:
    """Mondrian coverage: for every label on its own, 1 - alpha of fresh claims, averaged over draws."""
    covered: dict[str, list[float]] = {name: [] for name in VERDICT_LABELS}
    for draw in range(8):
        conformal = fit_conformal(*rows_and_labels(100 + draw, 2_000))
        rows, labels = rows_and_labels(200 + draw, 2_000)
        for index, name in enumerate(VERDICT_LABELS):
            sets = [conformal.prediction_set(row.tolist(), alpha) for row in rows[labels == index]]
            covered[name].append(float(np.mean([name in each for each in sets])))
    assert all(abs(np.mean(shares) - (1 - alpha)) < 0.025 for shares in covered.values())


def test_prediction_set_grows_as_alpha_falls() -> None:
    """What cannot be ruled out at 30 % cannot be ruled out at 5 %."""
    conformal = fit_conformal(*rows_and_labels(3))
    for row in rows_and_labels(4, 50)[0].tolist():
        assert set(conformal.prediction_set(row, 0.3)) <= set(conformal.prediction_set(row, 0.05))


def test_prediction_set_holds_the_most_probable_label_always() -> None:
    """A set is never empty, even at a level that rules everything out."""
    conformal = fit_conformal(*rows_and_labels(5))
    assert conformal.prediction_set((0.4, 0.3, 0.2, 0.1), 0.999)[0] == "SUPPORTED"


def test_prediction_set_without_evidence_rules_supported_out() -> None:
    """The row of a claim without evidence keeps not-enough-info and drops the sides."""
    conformal = fit_conformal(*rows_and_labels(6))
    assert conformal.prediction_set((0.0, 0.0, 1.0, 0.0), 0.1) == ("NOT_ENOUGH_INFO",)


def test_prediction_set_with_a_label_never_seen_keeps_it() -> None:
    """Without held-out claims of a label nothing speaks against it."""
    rows, labels = rows_and_labels(7)
    conformal = fit_conformal(rows[labels != 3], labels[labels != 3])
    assert "CONFLICTING" in conformal.prediction_set((0.9, 0.05, 0.05, 0.0), 0.1)


def test_prediction_set_refuses_a_level_outside_zero_to_one() -> None:
    """A level of 0 or 1 promises nothing."""
    conformal = fit_conformal(*rows_and_labels(8))
    with pytest.raises(ValueError, match="alpha"):
        conformal.prediction_set((1.0, 0.0, 0.0, 0.0), 1.0)


def test_conformal_survives_its_document() -> None:
    """What is stored in the manifest gives the same sets."""
    conformal = fit_conformal(*rows_and_labels(9))
    again = conformal_from(conformal.to_dict())
    for row in rows_and_labels(10, 100)[0].tolist():
        assert again.prediction_set(row, 0.1) == conformal.prediction_set(row, 0.1)


def test_load_conformal_reads_the_shipped_aggregator() -> None:
    """The shipped manifest holds scores for every label, enough of them to promise 90 %."""
    shipped = Path(__file__).parents[3] / "models" / "aggregator"
    conformal = load_conformal(shipped)
    assert all(len(conformal.scores[label]) >= 50 for label in VERDICT_LABELS)


@pytest.mark.parametrize(
    "spoilt", [{}, {"SUPPORTED": [0.5, 0.1]}, {"SUPPORTED": ["a"]}, {"SUPPORTED": [1.5]}]
)
def test_conformal_from_refuses_a_spoilt_document(spoilt: dict[str, object]) -> None:
    """Missing labels, unsorted or impossible scores are corruption, not a smaller set."""
    whole = ConformalLabels(dict.fromkeys(VERDICT_LABELS, (0.1, 0.2))).to_dict()
    document = {**whole, **spoilt} if spoilt else {}
    with pytest.raises(CorruptDataError):
        conformal_from(document)
