"""How far probabilities can be believed: Brier score, calibration error, reliability bins, coverage.

``reliability_record`` makes the small file that training tasks put beside the aggregator
(``models/aggregator/reliability.json``); the calibration report reads it and measures feedback with the same
functions. Pure, but for the two that touch that file. Rows are (n, 4) in the order of ``VERDICT_LABELS``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError
from data.models.artifacts import write_atomically
from data.models.conformal import fit_conformal
from data.models.label_maps import log_loss
from data.models.selective import RiskLadder, risk_ladder, risk_ladder_from
from data.verdicts import VERDICT_LABELS

FILE = "reliability.json"
#: Version of the file's shape.
FORMAT = 1
#: Levels at which coverage is recorded.
ALPHAS: tuple[float, ...] = (0.01, 0.05, 0.1, 0.2, 0.3)
#: Equal-width confidence bins. Source: Guo et al. 2017 (ECE with 15 bins).
BINS = 15
#: Parts of the held-out sample that take turns in being covered by sets made from the others.
PARTS = 10

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]


class Reliability:
    """Figures of answers that come some at a time, in memory that does not grow with them."""

    def __init__(self) -> None:
        self._samples = np.zeros(BINS, np.int64)
        self._confidence = np.zeros(BINS)
        self._hits = np.zeros(BINS, np.int64)
        self._brier = self._log_loss = 0.0

    def take(self, rows: Rows, labels: Labels) -> None:
        """Count answers; ``labels`` (n,) are columns of ``rows``."""
        if not len(labels):
            return
        confidence, hits = rows.max(axis=1), rows.argmax(axis=1) == labels
        places = np.minimum((np.round(confidence, 6) * BINS).astype(np.int64), BINS - 1)
        for place in np.unique(places).tolist():
            own = places == place
            self._samples[place] += own.sum()
            self._confidence[place] += confidence[own].sum()
            self._hits[place] += hits[own].sum()
        self._brier += float(((rows - np.eye(rows.shape[1])[labels]) ** 2).sum(axis=1).sum())
        self._log_loss += log_loss(rows, labels) * len(labels)

    def figures(self) -> dict[str, Any]:
        """Return them as :func:`figures` does."""
        count = int(self._samples.sum())
        if not count:
            nothing = dict.fromkeys(("accuracy", "brier", "ece", "log_loss"))
            return {"samples": 0, **nothing, "bins": []}
        bins = self._bins()
        gaps = (bin_["samples"] * abs(bin_["confidence"] - bin_["accuracy"]) for bin_ in bins)
        return {
            "samples": count,
            "accuracy": round(int(self._hits.sum()) / count, 6),
            "brier": round(self._brier / count, 6),
            "ece": round(sum(gaps) / count, 6),
            "log_loss": round(self._log_loss / count, 6),
            "bins": bins,
        }

    def _bins(self) -> list[dict[str, float]]:
        """Return, of each bin that has answers: its bounds, how many, mean confidence and share right."""
        return [
            {
                "from": round(place / BINS, 6),
                "to": round((place + 1) / BINS, 6),
                "samples": count,
                "confidence": round(float(self._confidence[place]) / count, 6),
                "accuracy": round(int(self._hits[place]) / count, 6),
            }
            for place, count in enumerate(self._samples.tolist())
            if count
        ]


def figures(rows: Rows, labels: Labels) -> dict[str, Any]:
    """Return samples, accuracy, Brier score, ECE, log loss and reliability bins; ``None`` for no rows.

    Brier: mean over claims of the squared distance between row and truth, summed over labels, in [0, 2]
    (Brier 1950). ECE: mean gap between confidence in the likeliest label and its hit rate, by bin
    (Naeini et al. 2015).
    """
    counted = Reliability()
    counted.take(rows, labels)
    return counted.figures()


def coverage_of(sets: Sequence[Sequence[str]], labels: Sequence[str], alpha: float) -> dict[str, Any]:
    """Return how often the sets of one level hold the true label: overall, and among each label's claims."""
    hits = [label in each for each, label in zip(sets, labels, strict=True)]
    by_label = {}
    for name in VERDICT_LABELS:
        own = [hit for hit, label in zip(hits, labels, strict=True) if label == name]
        if own:
            by_label[name] = {"samples": len(own), "coverage": round(sum(own) / len(own), 6)}
    return {
        "alpha": alpha,
        "stated": round(1.0 - alpha, 6),
        "samples": len(hits),
        "coverage": round(sum(hits) / len(hits), 6) if hits else None,
        "mean_set_size": round(sum(map(len, sets)) / len(sets), 6) if sets else None,
        "by_label": by_label,
    }


def crossed_coverage(rows: Rows, labels: Labels, alphas: Sequence[float] = ALPHAS) -> list[dict[str, Any]]:
    """Return the coverage at each level, each row covered by sets made from the other parts."""
    parts = np.arange(len(labels)) % PARTS
    names = [VERDICT_LABELS[label] for label in labels.tolist()]
    makers = [fit_conformal(rows[parts != part], labels[parts != part]) for part in range(PARTS)]
    found = []
    for alpha in alphas:
        sets = [
            makers[part].prediction_set(row, alpha) for part, row in zip(parts, rows.tolist(), strict=True)
        ]
        found.append(coverage_of(sets, names, alpha))
    return found


def reliability_record(
    probabilities: Rows,
    labels: Labels,
    groups: Sequence[str],
    *,
    alphas: Sequence[float] = ALPHAS,
) -> dict[str, Any]:
    """Return the record of held-out answers that nothing was fitted on but the prediction sets.

    ``probabilities`` (n, 4) as answered, ``labels`` (n,) columns of them, ``groups`` (n,) where each claim
    comes from (a domain or a data set). Contents: ``all`` and ``groups`` by name, each with :func:`figures`
    and ``coverage``; ``risk``, the counts behind abstention by risk (``data.models.selective``).
    """
    rows = np.asarray(probabilities, dtype=np.float64)
    labels, names = np.asarray(labels, dtype=np.int64), np.array(groups, dtype=str)
    confident = rows.max(axis=1) if len(rows) else np.zeros(0)
    right = (rows.argmax(axis=1) == labels) if len(rows) else np.zeros(0, dtype=bool)
    whole = np.ones(len(labels), dtype=bool)
    return {
        "format": FORMAT,
        "all": _part(rows, labels, whole, alphas),
        "groups": {name: _part(rows, labels, names == name, alphas) for name in sorted(set(names.tolist()))},
        "risk": risk_ladder(confident.tolist(), right.tolist()).to_list(),
    }


def _part(rows: Rows, labels: Labels, here: NDArray[np.bool_], alphas: Sequence[float]) -> dict[str, Any]:
    return {
        **figures(rows[here], labels[here]),
        "coverage": crossed_coverage(rows[here], labels[here], alphas),
    }


def write_reliability(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record beside the model in ``folder``: it reports and decides nothing, so no manifest."""
    text = json.dumps(record, indent=1, sort_keys=True)
    write_atomically(folder / FILE, f"{text}\n".encode())


def load_reliability(folder: Path) -> dict[str, Any] | None:
    """Return the record of the model in ``folder``, ``None`` where it was shipped without one.

    Raises:
        CorruptDataError: the file is not such a record.
    """
    path = folder / FILE
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_bytes())
        if record["format"] != FORMAT or record["all"]["samples"] < 0:
            raise ValueError(f"format {record['format']}")
        risk_ladder_from(record["risk"])
    except (ValueError, KeyError, TypeError) as exc:
        raise CorruptDataError(f"The record {path} cannot be read ({exc}): restore it.") from exc
    return dict(record)


def ladder_of(record: Mapping[str, Any] | None) -> RiskLadder | None:
    """Return the risk ladder of a record, ``None`` where there is no record."""
    return risk_ladder_from(record["risk"]) if record else None
