"""What ``GET /calibration`` says, from a tenant's feedback and the shipped record. Pure.

Called by ``deployments.calibration``. Everything about feedback is measured on answers as they were given;
the learning curve is cross-validated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.feedback import FEWEST_LABELS, CalibrationMark, FeedbackSample, next_mark
from data.models.conformal import OWN_SCORES, ConformalLabels
from data.models.drift import ALARM_LEVEL, Coverage, watch
from data.models.reliability import ALPHAS, coverage_of, figures
from data.models.tenant_calibration import TenantCalibration
from data.verdicts import VERDICT_LABELS

#: The framework whose held-out answers the shipped record was made from.
SHIPPED_FRAMEWORK = "empirical"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a tenant's calibration stands: mark, feedback in order, calibration in use, learning curve."""

    mark: CalibrationMark
    samples: tuple[FeedbackSample, ...]
    calibration: TenantCalibration | None
    curve: tuple[dict[str, Any], ...] = ()


def calibration_report(
    standing: Standing,
    *,
    reliability: Mapping[str, Any] | None,
    shipped: ConformalLabels,
    framework: str | None = None,
    domain: str | None = None,
) -> dict[str, Any]:
    """Return the report; ``framework`` and ``domain`` narrow the figures, not recalibration and drift."""
    wanted = domain.casefold() if domain else None
    chosen = [each for each in standing.samples if wanted in (None, (each.domain or "").casefold())]
    part, note = _shipped_part(reliability, framework, wanted)
    return {
        "framework": framework,
        "domain": domain,
        "shipped": part,
        "shipped_note": note,
        "feedback": _of_framework(chosen, framework, shipped) if framework else _as_answered(chosen),
        "recalibration": _recalibration(standing),
        "drift": _drift(standing),
    }


def drift_of(standing: Standing) -> Coverage:
    """Return how coverage has held since the watch began: at the first answer, or anew after an alarm.

    After an alarm the watch begins anew with the answers of a calibration that was fitted later than it.
    """
    return _watched(standing)[0]


def _watched(standing: Standing) -> tuple[Coverage, int]:
    """Return what the running watch has seen, and the ledger position it began at."""
    samples, since = standing.samples, 0
    while True:
        seen = watch((each.label not in each.prediction_set, each.alpha) for each in samples)
        if not seen.alarm:
            return seen, since
        raised = samples[seen.raised_at - 1].seq
        if standing.mark.seq <= raised:
            return seen, since
        later = [each.calibrated_at for each in samples if each.calibrated_at > raised]
        since = min(later, default=standing.mark.seq)
        samples = tuple(each for each in samples if each.calibrated_at >= since)


def _shipped_part(
    reliability: Mapping[str, Any] | None, framework: str | None, domain: str | None
) -> tuple[dict[str, Any] | None, str | None]:
    """Return the shipped record's part that was asked for, or why there is none."""
    if reliability is None:
        return None, "The models in use came without a record of held-out answers."
    if framework not in (None, SHIPPED_FRAMEWORK):
        return None, f"The record of held-out answers is of {SHIPPED_FRAMEWORK} only."
    if domain is None:
        return dict(reliability["all"]), None
    groups = {name.casefold(): part for name, part in reliability["groups"].items()}
    if domain not in groups:
        known = ", ".join(sorted(reliability["groups"]))
        return None, f"The held-out answers have no such domain: there are {known}."
    return dict(groups[domain]), None


def _as_answered(samples: Sequence[FeedbackSample]) -> dict[str, Any]:
    by_alpha: dict[float, list[FeedbackSample]] = {}
    for each in samples:
        by_alpha.setdefault(each.alpha, []).append(each)
    coverage = [
        coverage_of([each.prediction_set for each in asked], [each.label for each in asked], alpha)
        for alpha, asked in sorted(by_alpha.items())
    ]
    rows = [(each.probabilities, each.label) for each in samples]
    return {**_figures(rows), "coverage": coverage}


def _of_framework(
    samples: Sequence[FeedbackSample], framework: str, shipped: ConformalLabels
) -> dict[str, Any]:
    """One framework's own rows; it gives no sets, so those of the shipped calibration are made from them."""
    rows = [(each.frameworks[framework], each.label) for each in samples if framework in each.frameworks]
    labels = [label for _, label in rows]
    coverage = [
        coverage_of([shipped.prediction_set(row, alpha) for row, _ in rows], labels, alpha)
        for alpha in (ALPHAS if rows else ())
    ]
    return {**_figures(rows), "coverage": coverage}


def _figures(rows: Sequence[tuple[Sequence[float], str]]) -> dict[str, Any]:
    matrix = np.array([row for row, _ in rows], dtype=np.float64).reshape(len(rows), len(VERDICT_LABELS))
    columns: list[str] = list(VERDICT_LABELS)
    return figures(matrix, np.array([columns.index(label) for _, label in rows], dtype=np.int64))


def _recalibration(standing: Standing) -> dict[str, Any]:
    mark, own = standing.mark, standing.calibration
    return {
        "mode": mark.mode,
        "active": own is not None,
        "known": mark.known,
        "elsewhere": mark.elsewhere,
        "needed": FEWEST_LABELS,
        "missing": max(0, FEWEST_LABELS - mark.known),
        "message": _message(mark),
        "id": own.id if own else None,
        "seq": own.seq if own else 0,
        "labels": own.labels if own else 0,
        "next_at": next_mark(mark.labels) if mark.mode == "auto" else None,
        "map": _map(own) if own else None,
        "own_sets": [label for label in VERDICT_LABELS if _counted(standing, label) >= OWN_SCORES]
        if own
        else [],
        "learning_curve": list(standing.curve),
    }


def _map(own: TenantCalibration) -> dict[str, Any]:
    return {
        "kind": own.map.kind,
        "temperature": round(1.0 / own.map.slope, 6),
        "shifts": dict(zip(VERDICT_LABELS, own.map.shifts, strict=False)),
        "log_loss": own.losses,
    }


def _counted(standing: Standing, label: str) -> int:
    return sum(each.label == label and each.seq <= standing.mark.seq for each in standing.samples)


def _message(mark: CalibrationMark) -> str:
    if mark.mode == "off":
        return "Recalibration is switched off: answers go through the shipped calibration."
    if mark.seq and mark.mode == "pinned":
        return f"Answers are recalibrated from {mark.labels} labelled claims; later feedback does not count."
    if mark.seq:
        return (
            f"Answers are recalibrated from {mark.labels} labelled claims; the next map is fitted at "
            f"{next_mark(mark.labels)}."
        )
    missing = max(0, FEWEST_LABELS - mark.known)
    claims = "claim is" if missing == 1 else "claims are"
    return f"{missing} more labelled {claims} needed before answers are recalibrated."


def _drift(standing: Standing) -> dict[str, Any]:
    seen, since = _watched(standing)
    return {
        "alarm": seen.alarm,
        "evidence": seen.wealth,
        "highest": seen.highest,
        "alarm_at": round(1.0 / ALARM_LEVEL, 6),
        "answers": seen.answers,
        "missed": seen.missed,
        "expected": seen.expected,
        "since_seq": since,
    }
