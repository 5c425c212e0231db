"""Figures of the aggregator on shown claims: right, calibrated, covered, in conflict, and not fooled.

Called by ``tasks.train_aggregator`` for its record. Pure. Rows are verdict probabilities (n, 4) in the order
of ``VERDICT_LABELS``; labels (n,) are columns of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.models.calibration import expected_calibration_error
from data.models.conformal import ConformalLabels, fit_conformal
from data.verdicts import VERDICT_LABELS
from tasks.measures import figures

CONFLICTING = 3
#: Level of the prediction sets that are reported.
ALPHA = 0.1
CALIBRATION_BINS = 15
#: What must hold in domain: calibration error, overall coverage, coverage of each label, and how much more
#: often the surer half is right than all.
MOST_ERROR, LEAST_COVERED, MOST_COVERED, LEAST_OF_A_LABEL, LEAST_LEAD = 0.03, 0.88, 0.92, 0.86, 0.10


def measured(rows: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return the figures of one group of claims, calibration error and selective accuracy included."""
    found = figures(rows.astype(np.float32), labels)
    confidence, hits = rows.max(axis=1), rows.argmax(axis=1) == labels
    error = expected_calibration_error(confidence.astype(np.float32), hits.astype(np.int64), CALIBRATION_BINS)
    surer = np.argsort(-confidence, kind="stable")[: max(1, len(labels) // 2)]
    return {
        **found,
        "calibration_error": round(error, 4),
        "surer_half_accuracy": round(float(hits[surer].mean()), 4),
    }


def by_group(
    rows: NDArray[np.float64], labels: NDArray[np.int64], groups: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Return the figures of each group (set, or way of showing) and of all together."""
    names = np.array(groups)
    report = {name: measured(rows[names == name], labels[names == name]) for name in sorted(set(groups))}
    return {**report, "all": measured(rows, labels)}


def coverage(
    conformal: ConformalLabels, rows: NDArray[np.float64], labels: NDArray[np.int64]
) -> dict[str, float]:
    """Return the share of prediction sets that hold the true label, overall and by label, and their size."""
    sets = [conformal.prediction_set(row, ALPHA) for row in rows.tolist()]
    return _covered(sets, labels)


def cross_coverage(
    rows: NDArray[np.float64], labels: NDArray[np.int64], folds: NDArray[np.int64]
) -> dict[str, float]:
    """Return the same for held-out rows, each fold judged by the scores of the others."""
    sets: list[Sequence[str]] = [()] * len(labels)
    for fold in np.unique(folds):
        conformal = fit_conformal(rows[folds != fold], labels[folds != fold])
        for place in np.flatnonzero(folds == fold):
            sets[place] = conformal.prediction_set(rows[place].tolist(), ALPHA)
    return _covered(sets, labels)


def _covered(sets: Sequence[Sequence[str]], labels: NDArray[np.int64]) -> dict[str, float]:
    held = np.array([VERDICT_LABELS[label] in each for each, label in zip(sets, labels, strict=True)])
    report = {
        "alpha": ALPHA,
        "mean_size": round(sum(map(len, sets)) / len(sets), 3),
        "overall": round(float(held.mean()), 4),
    }
    for index, name in enumerate(VERDICT_LABELS):
        if bool((labels == index).any()):
            report[name] = round(float(held[labels == index].mean()), 4)
    return report


def lines(figures_of_all: dict[str, float], covered: dict[str, float]) -> dict[str, bool]:
    """Return which of the promises hold."""
    least = min(covered[name] for name in VERDICT_LABELS if name in covered)
    lead = figures_of_all["surer_half_accuracy"] - figures_of_all["accuracy"]
    return {
        f"calibration error at most {MOST_ERROR}": figures_of_all["calibration_error"] <= MOST_ERROR,
        f"sets cover {LEAST_COVERED} to {MOST_COVERED}": LEAST_COVERED <= covered["overall"] <= MOST_COVERED,
        f"sets cover at least {LEAST_OF_A_LABEL} of every label": least >= LEAST_OF_A_LABEL,
        f"surer half right at least {LEAST_LEAD} more often": lead >= LEAST_LEAD,
    }


def conflict_figures(rows: NDArray[np.float64], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return how well CONFLICTING is told from the rest: AUROC of its column, precision, recall, F1."""
    actual, said = labels == CONFLICTING, rows.argmax(axis=1) == CONFLICTING
    both = float((actual & said).sum())
    return {
        "claims": float(len(labels)),
        "in_conflict": float(actual.sum()),
        "auroc": round(area_under_curve(rows[:, CONFLICTING], actual), 4),
        "precision": round(both / max(1.0, float(said.sum())), 4),
        "recall": round(both / max(1.0, float(actual.sum())), 4),
        "f1": round(2.0 * both / max(1.0, float(actual.sum() + said.sum())), 4),
    }


def area_under_curve(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores above a negative, ties counting half; 0.5 for one class."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    if count in (0, len(positive)):
        return 0.5
    ranks = rankdata(scores)
    above = float(ranks[positive].sum()) - count * (count + 1) / 2
    return above / (count * (len(positive) - count))


def confusion(rows: NDArray[np.float64], labels: NDArray[np.int64]) -> list[list[int]]:
    """Return how often each true label (rows) got each verdict (columns)."""
    said = rows.argmax(axis=1)
    return [np.bincount(said[labels == index], minlength=len(VERDICT_LABELS)).tolist() for index in range(4)]


def supported_by_way(
    rows: NDArray[np.float64], labels: NDArray[np.int64], ways: Sequence[str]
) -> dict[str, float]:
    """Return, by way of showing, the share of claims that are not true and still come out SUPPORTED."""
    names = np.array(ways)
    report: dict[str, Any] = {}
    for name in sorted(set(ways)):
        here = (names == name) & (labels != 0)
        if bool(here.any()):
            report[name] = round(float((rows[here].argmax(axis=1) == 0).mean()), 4)
    return report
