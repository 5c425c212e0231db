"""Maps of whole label rows to rows that mean what they say: temperature, shift per label, isotonic per label.

Fitted from a tenant's feedback (``data.models.tenant_calibration``) or by training tasks on held-out rows,
applied by fusion one row at a time. Pure. Invariants: a row's result depends on that row alone; rows sum to 1
to 6 decimals; what has probability 0 keeps it, so a map never makes a label possible that no evidence speaks
for.

How rows keep their sum: temperature and shift work on log-probabilities and end in a softmax. Isotonic maps
are fitted label against rest, so their values need not add up; they are divided by their sum
(Zadrozny & Elkan 2002, section 5), and a row that they send to 0 everywhere stays as it was.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError

MapKind = Literal["identity", "temperature", "shift", "isotonic"]
#: From the simplest to the richest: where two do equally well, the first is taken.
MAP_KINDS: tuple[MapKind, ...] = ("identity", "temperature", "shift", "isotonic")
#: Prior of the slope on log-probabilities (1 / temperature) and of the shifts, as standard deviations around
#: "the shipped calibration is right": with few labels a map hardly moves, with hundreds the data decide.
#: Chosen on health claims (HealthVer dev, 30 to 600 labels).
SLOPE_SPREAD, SHIFT_SPREAD = 0.5, 0.7
#: Labels at which an isotonic map, which has no prior of its own, has half the say.
ISOTONIC_HALF = 150.0
#: No probability of ours is known better than this; keeps logarithms finite.
TINY = 1e-6
_NEWTON_STEPS, _NEWTON_GAP = 50, 1e-10
FOLDS = 5

Rows = NDArray[np.float64]
Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LabelMap:
    """One map. ``slope`` and ``shifts``: p_l ~ p_l ** slope * exp(shift_l) (temperature = 1 / slope).

    ``knots``: for each label the (x, y) of its isotonic map, linear between, flat outside. ``share`` in
    [0, 1] is the map's say against the row as it came.
    Source: Guo et al. 2017, "On Calibration of Modern Neural Networks", section 4 (temperature, vector
    scaling); Zadrozny & Elkan 2002, "Transforming Classifier Scores" (isotonic, label against rest).
    """

    kind: MapKind = "identity"
    slope: float = 1.0
    shifts: tuple[float, ...] = ()
    knots: tuple[tuple[tuple[float, ...], tuple[float, ...]], ...] = ()
    share: float = 1.0

    def apply(self, row: Sequence[float]) -> tuple[float, ...]:
        """Return the mapped row, to 6 decimals, summing to 1."""
        if self.kind == "identity":
            return tuple(float(value) for value in row)
        mapped = self._isotonic(row) if self.kind == "isotonic" else self._scaled(row)
        blended = [self.share * new + (1.0 - self.share) * old for new, old in zip(mapped, row, strict=True)]
        return _to_one(blended)

    def apply_all(self, rows: Rows) -> Rows:
        """Return the mapped rows (n, labels), each as :meth:`apply` gives it."""
        return np.array([self.apply(row) for row in rows.tolist()], dtype=np.float64).reshape(rows.shape)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return {
            "kind": self.kind,
            "slope": self.slope,
            "shifts": list(self.shifts),
            "knots": [[list(x), list(y)] for x, y in self.knots],
            "share": self.share,
        }

    def _scaled(self, row: Sequence[float]) -> list[float]:
        shifts = self.shifts or (0.0,) * len(row)
        logs = [
            self.slope * math.log(max(value, TINY)) + shift if value > 0.0 else -math.inf
            for value, shift in zip(row, shifts, strict=True)
        ]
        top = max(logs)
        powers = [math.exp(value - top) for value in logs]
        total = math.fsum(powers)
        return [value / total for value in powers]

    def _isotonic(self, row: Sequence[float]) -> list[float]:
        values = [
            float(np.interp(value, x, y)) if value > 0.0 else 0.0
            for value, (x, y) in zip(row, self.knots, strict=True)
        ]
        total = math.fsum(values)
        return [value / total for value in values] if total > 0.0 else list(row)


def label_map_from(document: dict[str, Any]) -> LabelMap:
    """Rebuild from :meth:`LabelMap.to_dict`.

    Raises:
        CorruptDataError: a part is missing or of another kind.
    """
    try:
        if document["kind"] not in MAP_KINDS:
            raise KeyError(document["kind"])
        knots = tuple((tuple(map(float, x)), tuple(map(float, y))) for x, y in document["knots"])
        shifts = tuple(float(value) for value in document["shifts"])
        slope, share = float(document["slope"]), float(document["share"])
        return LabelMap(document["kind"], slope, shifts, knots, share)
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptDataError(f"The stored label map cannot be read ({exc}): fit it again.") from exc


def fit_map(kind: MapKind, rows: Rows, labels: Labels) -> LabelMap:
    """Return the map of one kind for rows (n, labels) with true ``labels`` (n,).

    A row that gives its true label probability 0 is left out: no map can mend it.
    """
    reachable = rows[np.arange(len(labels)), labels] > 0.0
    rows, labels = rows[reachable], labels[reachable]
    if kind == "identity" or not len(labels):
        return LabelMap()
    if kind == "isotonic":
        return _fit_isotonic(rows, labels)
    return _fit_scaling(rows, labels, shifting=kind == "shift")


def choose_map(
    rows: Rows, labels: Labels, folds: Labels, kinds: Sequence[MapKind] = MAP_KINDS
) -> tuple[LabelMap, dict[str, float]]:
    """Return the map of the kind with the least cross-validated log loss, and that loss of every kind.

    ``folds`` (n,) names the part in which each row is held out; the same claim belongs in one part.
    """
    held = {kind: held_out_rows(kind, rows, labels, folds) for kind in kinds}
    losses = {kind: round(log_loss(mapped, labels), 6) for kind, mapped in held.items()}
    best = min(kinds, key=lambda kind: (losses[kind], MAP_KINDS.index(kind)))
    return fit_map(best, rows, labels), {str(kind): loss for kind, loss in losses.items()}


def held_out_rows(kind: MapKind, rows: Rows, labels: Labels, folds: Labels) -> Rows:
    """Return the rows mapped by maps of one kind, each fitted without the row's own part."""
    mapped = rows.copy()
    for part in np.unique(folds):
        inside = folds == part
        mapped[inside] = fit_map(kind, rows[~inside], labels[~inside]).apply_all(rows[inside])
    return mapped


def log_loss(rows: Rows, labels: Labels) -> float:
    """Return the mean of -log P(true label), probabilities below 0.001 counted as 0.001; 0 for no rows."""
    if not len(labels):
        return 0.0
    return float(-np.log(np.clip(rows[np.arange(len(labels)), labels], 1e-3, 1.0)).mean())


def _fit_isotonic(rows: Rows, labels: Labels) -> LabelMap:
    """Pool adjacent violators, label against rest (``scipy.optimize.isotonic_regression``)."""
    knots = tuple(_isotonic_knots(rows[:, label], labels == label) for label in range(rows.shape[1]))
    return LabelMap("isotonic", knots=knots, share=round(len(labels) / (len(labels) + ISOTONIC_HALF), 6))


def _isotonic_knots(scores: Rows, hits: NDArray[np.bool_]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    from scipy.optimize import isotonic_regression

    # Equal scores become one point first, or the order of ties would show.
    x, where, counts = np.unique(np.round(scores, 6), return_inverse=True, return_counts=True)
    means = np.bincount(where, weights=hits.astype(np.float64)) / counts
    y = isotonic_regression(means, weights=counts).x
    bends = np.ones(len(x), dtype=bool)
    if len(x) > 2:
        bends[1:-1] = (np.diff(y)[:-1] != 0.0) | (np.diff(y)[1:] != 0.0)
    return tuple(x[bends].tolist()), tuple(np.round(y[bends], 6).tolist())


def _fit_scaling(rows: Rows, labels: Labels, *, shifting: bool) -> LabelMap:
    """Return slope (and shifts) of the highest posterior: Newton's method on a convex loss."""
    count, width = rows.shape
    logs = np.where(rows > 0.0, np.log(np.clip(rows, TINY, 1.0)), 0.0)
    possible, truth = rows > 0.0, np.eye(width)[labels]
    size = 1 + (width if shifting else 0)
    inputs = np.zeros((count, width, size))
    inputs[:, :, 0] = logs
    if shifting:
        inputs[:, np.arange(width), 1 + np.arange(width)] = 1.0
    spread = np.array([SLOPE_SPREAD, *([SHIFT_SPREAD] * width)])[:size]
    start = np.array([1.0, *([0.0] * width)])[:size]
    found = start.copy()
    for _ in range(_NEWTON_STEPS):
        shares = _softmax(np.where(possible, inputs @ found, -np.inf))
        gradient = np.einsum("nl,nlk->k", shares - truth, inputs) + (found - start) / spread**2
        mean = np.einsum("nl,nlk->nk", shares, inputs)
        curvature = np.einsum("nl,nlk,nlj->kj", shares, inputs, inputs) - mean.T @ mean
        step = np.linalg.solve(curvature + np.diag(1.0 / spread**2), gradient)
        # A bounded step: the loss is convex but far from the start its curvature can vanish.
        found -= step / max(1.0, float(np.abs(step).max()))
        if float(np.abs(step).max()) < _NEWTON_GAP:
            break
    slope = round(max(float(found[0]), 0.05), 6)
    shifts = tuple(round(float(value), 6) for value in found[1:])
    return LabelMap("shift" if shifting else "temperature", slope, shifts)


def _softmax(logits: Rows) -> Rows:
    powers: Rows = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: Rows = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _to_one(row: Sequence[float]) -> tuple[float, ...]:
    """Return the row over its sum to 6 decimals; the largest (the first of equals) takes the rest."""
    total = math.fsum(row)
    values = [round(value / total, 6) for value in row]
    largest = max(range(len(values)), key=lambda index: (values[index], -index))
    values[largest] = round(values[largest] + 1.0 - math.fsum(values), 6)
    return tuple(values)
