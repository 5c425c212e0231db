"""Calibration maps: turn a model's raw probabilities into ones that mean what they say.

Fitted by training tasks on a dev split, stored in the artefact's manifest, applied by
``data.models.boosters``. Invariant: a row's result depends on that row alone, so a claim's neighbours never
move its probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data.models.label_maps import LabelMap, MapKind, choose_map

CalibrationKind = Literal["none", "temperature", "sigmoid", "isotonic", "label_map"]

#: Keeps logarithms finite; no probability of ours is known better than this.
_TINY = 1e-7


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of probabilities.

    ``x`` and ``y`` by kind: ``none`` empty; ``temperature`` x = (T,), p_i ~ p_i ** (1/T); ``sigmoid``
    (binary) x = (slope, intercept) on the log-odds of class 1; ``isotonic`` (binary) knots of class 1,
    linear between them; ``label_map`` the rows' ``label_map``, for any number of classes.

    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks" (temperature); Platt 1999 (sigmoid);
    Zadrozny and Elkan 2002 (isotonic).
    """

    kind: CalibrationKind = "none"
    x: tuple[float, ...] = ()
    y: tuple[float, ...] = ()
    label_map: LabelMap | None = None

    def apply(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated (n, classes) float32 for raw (n, classes) rows that sum to 1."""
        raw = np.ascontiguousarray(probabilities, dtype=np.float64)
        if self.kind == "none":
            return raw.astype(np.float32)
        if self.label_map is not None:
            return self.label_map.apply_all(raw).astype(np.float32)
        if self.kind == "temperature":
            return _softmax(np.log(np.clip(raw, _TINY, 1.0)) / self.x[0]).astype(np.float32)
        positive = np.ascontiguousarray(raw[:, 1])
        if self.kind == "sigmoid":
            mapped = 1.0 / (1.0 + np.exp(-(self.x[0] * _logit(positive) + self.x[1])))
        else:
            mapped = np.interp(positive, self.x, self.y)
        return np.column_stack([1.0 - mapped, mapped]).astype(np.float32)


def fit_temperature(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Calibration:
    """Return the temperature with the least log loss of ``labels`` (n,) under (n, classes) rows."""
    from scipy.optimize import minimize_scalar

    logs = np.log(np.clip(probabilities.astype(np.float64), _TINY, 1.0))
    rows = np.arange(len(labels))

    def loss(log_temperature: float) -> float:
        chosen = _softmax(logs / np.exp(log_temperature))[rows, labels]
        return float(-np.mean(np.log(np.clip(chosen, _TINY, 1.0))))

    best = minimize_scalar(loss, bounds=(-3.0, 3.0), method="bounded")
    return Calibration("temperature", (round(float(np.exp(best.x)), 6),))


def fit_sigmoid(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Calibration:
    """Return the slope and intercept with the least log loss of binary ``labels`` (n,) under (n, 2) rows."""
    from scipy.optimize import minimize

    odds = _logit(probabilities[:, 1].astype(np.float64))
    signs = 2.0 * labels - 1.0

    def loss(line: NDArray[np.float64]) -> float:
        return float(np.mean(np.logaddexp(0.0, -signs * (line[0] * odds + line[1]))))

    best = minimize(loss, np.array([1.0, 0.0]), method="Nelder-Mead")
    return Calibration("sigmoid", tuple(round(float(value), 6) for value in best.x))


def fit_isotonic(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> Calibration:
    """Return the monotone step map, as knots, with the least squared error of binary ``labels`` (n,)."""
    from scipy.optimize import isotonic_regression

    order = np.argsort(probabilities[:, 1], kind="stable")
    scores = probabilities[order, 1].astype(np.float64)
    fitted = isotonic_regression(labels[order].astype(np.float64)).x
    bends = np.flatnonzero(np.diff(fitted, prepend=-1.0) + np.diff(fitted, append=2.0))
    x, first = np.unique(np.round(scores[bends], 6), return_index=True)
    y = np.round(fitted[bends][first], 6)
    return Calibration("isotonic", tuple(x.tolist()), tuple(y.tolist()))


def fit_best(
    probabilities: NDArray[np.float32],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    kinds: tuple[MapKind, ...] = ("identity", "temperature", "isotonic"),
) -> tuple[Calibration, dict[str, float]]:
    """Return the calibration with the least cross-validated log loss, and the loss of each kind.

    ``probabilities`` (n, classes), ``labels`` (n,), ``folds`` (n,): the part in which a row is held out; rows
    of one page or claim belong in one part.
    """
    rows = probabilities.astype(np.float64)
    chosen, losses = choose_map(rows, labels, folds, kinds)
    if chosen.kind == "identity":
        return Calibration(), losses
    return Calibration("label_map", label_map=chosen), losses


def expected_calibration_error(
    confidence: NDArray[np.float32], hits: NDArray[np.int64], bins: int = 10
) -> float:
    """Return the mean gap between confidence and hit rate over equal-width bins, weighted by their size.

    ``confidence`` (n,) in [0, 1]; ``hits`` (n,) 0 or 1. Source: Naeini et al. 2015.
    """
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    gaps = [
        abs(float(confidence[places == b].mean()) - float(hits[places == b].mean()))
        * float((places == b).mean())
        for b in range(bins)
        if bool((places == b).any())
    ]
    return float(sum(gaps))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _logit(probability: NDArray[np.float64]) -> NDArray[np.float64]:
    safe = np.clip(probability, _TINY, 1.0 - _TINY)
    odds: NDArray[np.float64] = np.log(safe / (1.0 - safe))
    return odds
