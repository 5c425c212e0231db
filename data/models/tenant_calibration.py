"""A tenant's own calibration: label map, prediction sets and risk ladder from its feedback.

Fitted by ``deployments.calibration`` whenever the feedback passes a mark (``data.feedback``), applied by
fusion. Pure: the same samples give the same values, to 6 decimals, and the same ``id``.

Prediction sets and label map are independent: sets are made from the tenant's rows as they were *before*
recalibration, which its feedback had no part in, so their coverage is exact on exchangeable claims whatever
the map does.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.feedback import FEWEST_LABELS, FeedbackSample
from data.models.conformal import ConformalLabels, fit_conformal, joined
from data.models.label_maps import FOLDS, LabelMap, choose_map, held_out_rows
from data.models.reliability import coverage_of, figures
from data.models.selective import RiskLadder, risk_ladder
from data.verdicts import VERDICT_LABELS, CalibrationUse, Probabilities, VerdictLabel

#: Numbers of labels at which the learning curve is drawn, as far as there are so many.
CURVE: tuple[int, ...] = (30, 60, 120, 300, 600, 1200, 2400)
#: Level at which the learning curve tells coverage.
CURVE_ALPHA = 0.1


@dataclass(frozen=True, slots=True)
class TenantCalibration:
    """What a tenant's answers go through, fitted from the feedback up to ledger position ``seq``."""

    seq: int
    labels: int
    map: LabelMap
    conformal: ConformalLabels
    ladder: RiskLadder
    losses: dict[str, float] = field(default_factory=dict)
    id: str = ""

    def apply(self, row: Probabilities) -> Probabilities:
        """Return the recalibrated row; a label without probability stays without."""
        first, second, third, fourth = self.map.apply(row)
        return first, second, third, fourth

    @property
    def use(self) -> CalibrationUse:
        """How an answer names this calibration."""
        return CalibrationUse(self.id, self.seq, self.labels)

    def prediction_set(self, raw: Probabilities, alpha: float) -> tuple[VerdictLabel, ...]:
        """Return the labels that cannot be ruled out at ``alpha``, from the row before recalibration."""
        return self.conformal.prediction_set(raw, alpha)


def fit_tenant(samples: Sequence[FeedbackSample], shipped: ConformalLabels, seq: int) -> TenantCalibration:
    """Return the calibration of these samples (at least one), ``shipped`` giving the sets to start from."""
    rows, labels, folds = arrays(samples)
    chosen, losses = choose_map(rows, labels, folds)
    held = held_out_rows(chosen.kind, rows, labels, folds)
    ladder = risk_ladder(held.max(axis=1).tolist(), (held.argmax(axis=1) == labels).tolist())
    conformal = joined(shipped, fit_conformal(rows, labels))
    document = [seq, chosen.to_dict(), conformal.to_dict(), ladder.to_list()]
    identity = hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:32]
    return TenantCalibration(seq, len(samples), chosen, conformal, ladder, losses, identity)


def arrays(
    samples: Sequence[FeedbackSample],
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return raw rows (n, 4), labels (n,) and folds (n,); a claim's fold follows from its words."""
    rows = np.array([sample.raw for sample in samples], dtype=np.float64).reshape(len(samples), 4)
    labels = np.array([VERDICT_LABELS.index(sample.label) for sample in samples], dtype=np.int64)
    folds = np.array([_fold(sample.fingerprint) for sample in samples], dtype=np.int64)
    return rows, labels, folds


def learning_curve(samples: Sequence[FeedbackSample], shipped: ConformalLabels) -> list[dict[str, Any]]:
    """Return what recalibration brought at 30, 60, 120, ... labels and with all of them.

    At each number the first so many samples are divided by claim into parts, and every part is answered by a
    calibration chosen and fitted on the others: nothing is measured on what it was fitted on.
    """
    if len(samples) < FEWEST_LABELS:
        return []
    sizes = sorted({size for size in CURVE if size < len(samples)} | {len(samples)})
    return [_curve_point(samples[:size], shipped) for size in sizes]


def _curve_point(samples: Sequence[FeedbackSample], shipped: ConformalLabels) -> dict[str, Any]:
    rows, labels, folds = arrays(samples)
    mapped, names = rows.copy(), [sample.label for sample in samples]
    before: list[tuple[VerdictLabel, ...]] = [
        shipped.prediction_set(row, CURVE_ALPHA) for row in rows.tolist()
    ]
    after = list(before)
    for part in np.unique(folds):
        inside = folds == part
        others = [sample for sample, held in zip(samples, inside, strict=True) if not held]
        if not others:
            continue
        fitted = fit_tenant(others, shipped, 0)
        mapped[inside] = fitted.map.apply_all(rows[inside])
        for place in np.flatnonzero(inside).tolist():
            after[place] = fitted.conformal.prediction_set(rows[place].tolist(), CURVE_ALPHA)
    return {
        "labels": len(samples),
        "shipped": _told(rows, labels, before, names),
        "recalibrated": _told(mapped, labels, after, names),
    }


def _told(
    rows: NDArray[np.float64],
    labels: NDArray[np.int64],
    sets: Sequence[tuple[VerdictLabel, ...]],
    names: Sequence[VerdictLabel],
) -> dict[str, Any]:
    found = figures(rows, labels)
    covered = coverage_of(sets, names, CURVE_ALPHA)
    told = {name: found[name] for name in ("log_loss", "ece", "brier", "accuracy")}
    return {**told, "coverage": covered["coverage"], "mean_set_size": covered["mean_set_size"]}


def _fold(fingerprint: str) -> int:
    """Return the part of a claim: by a digest of its identity, so that it follows from nothing else."""
    return int(hashlib.sha256(fingerprint.encode()).hexdigest()[:8], 16) % FOLDS
