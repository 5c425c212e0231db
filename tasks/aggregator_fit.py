"""Fits the aggregation booster: one set of trees a column, each bent only the way evidence may move it.

Called by ``tasks.train_aggregator``. What the booster learns is what ``data.models.aggregation.conclude``
reads. NOT_ENOUGH_INFO stands against all others: it may only fall when there is more on either side. Among
the others SUPPORTED may only rise with the supporting side and fall with the refuting one, REFUTED the other
way round, and CONFLICTING is where they are weighed from. The product of both steps keeps the promise: more
on a side never lowers that side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.models.aggregation import AGGREGATE_FEATURES, SUPPORT_DIRECTIONS
from data.verdicts import VERDICT_LABELS

SUPPORTED, REFUTED, UNKNOWN, CONFLICTING = range(4)
SEED = 11
FOLDS = 5


@dataclass(frozen=True, slots=True)
class Shape:
    """What the trees may look like; the best of a few is chosen by the log loss of held-out folds."""

    max_depth: int = 4
    eta: float = 0.1
    min_child_weight: float = 8.0

    def parameters(self) -> dict[str, Any]:
        """Return the parameters of ``xgboost``."""
        return {
            "objective": "multi:softprob",
            "num_class": len(VERDICT_LABELS),
            "base_score": 0.0,
            "tree_method": "hist",
            "max_depth": self.max_depth,
            "eta": self.eta,
            "min_child_weight": self.min_child_weight,
            "lambda": 3.0,
            "nthread": 1,
            "seed": SEED,
        }


@dataclass(frozen=True, slots=True)
class Rounds:
    """How many rounds the trees of the two sides, and those of NOT_ENOUGH_INFO, are grown."""

    sides: int
    unknown: int


#: Most rounds tried; those with the least held-out loss are kept.
MOST = Rounds(120, 120)
#: Shapes tried, simplest first.
SHAPES = (Shape(3), Shape(4), Shape(4, min_child_weight=25.0))


def fit_booster(
    features: NDArray[np.float32], labels: NDArray[np.int64], shape: Shape, rounds: Rounds
) -> Any:
    """Return the booster fitted on (n, len(AGGREGATE_FEATURES)) rows; labels are verdict columns."""
    *_, last = _grown(features, labels, shape, rounds)
    return last


def _grown(
    features: NDArray[np.float32], labels: NDArray[np.int64], shape: Shape, rounds: Rounds
) -> Iterator[Any]:
    """Yield the same booster after each round."""
    import xgboost

    names = list(AGGREGATE_FEATURES)
    matrix = xgboost.DMatrix(features, labels, feature_names=names)
    # A lead grows with one side and shrinks with the other, so NOT_ENOUGH_INFO may not depend on it.
    leads = np.array(["lead" in name for name in names])
    blind = xgboost.DMatrix(np.where(leads, np.float32(0), features), labels, feature_names=names)
    booster = xgboost.Booster(shape.parameters(), [matrix])
    steps = (
        (SUPPORTED, matrix, SUPPORT_DIRECTIONS, rounds.sides),
        (REFUTED, matrix, [-each for each in SUPPORT_DIRECTIONS], rounds.sides),
        (UNKNOWN, blind, [0 if lead else -1 for lead in leads], rounds.unknown),
    )
    for done in range(max(rounds.sides, rounds.unknown)):
        for column, seen, directions, most in steps:
            if done < most:
                booster.set_param({"monotone_constraints": f"({','.join(map(str, directions))})"})
                margins = booster.predict(matrix, output_margin=True, training=True)
                slope, bend = _gradients(margins, labels, column)
                booster.boost(seen, iteration=booster.num_boosted_rounds(), grad=slope, hess=bend)
        yield booster


def _gradients(
    margins: NDArray[np.float32], labels: NDArray[np.int64], column: int
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return slope and curvature of the log loss along one column; the other columns stay as they are."""
    slope, bend = np.zeros(margins.shape, np.float32), np.zeros(margins.shape, np.float32)
    chance = shares_of(margins.astype(np.float64))[:, column]
    asked = np.ones(len(labels), dtype=bool) if column == UNKNOWN else labels != UNKNOWN
    slope[:, column] = np.where(asked, chance - (labels == column), 0.0)
    bend[:, column] = np.where(asked, np.maximum(chance * (1.0 - chance), 1e-6), 0.0)
    return slope, bend


def shares_of(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (n, 4): SUPPORTED, REFUTED and CONFLICTING as shares of what is told, and UNKNOWN of all."""
    told = margins[:, [SUPPORTED, REFUTED, CONFLICTING]]
    told = np.exp(told - told.max(axis=1, keepdims=True))
    told /= told.sum(axis=1, keepdims=True)
    unknown = 1.0 / (1.0 + np.exp(margins[:, CONFLICTING] - margins[:, UNKNOWN]))
    return np.column_stack([told[:, :2], unknown, told[:, 2]])


def verdict_rows(margins: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return verdict probabilities (n, 4) before the rules of ``conclude``."""
    shares = shares_of(margins)
    unknown = shares[:, UNKNOWN].copy()
    rows = shares * (1.0 - unknown)[:, None]
    rows[:, UNKNOWN] = unknown
    return np.asarray(rows, dtype=np.float64)


def held_out_margins(
    features: NDArray[np.float32],
    labels: NDArray[np.int64],
    folds: NDArray[np.int64],
    *,
    shape: Shape,
    most: Rounds = MOST,
) -> NDArray[np.float32]:
    """Return margins (rounds, n, 4): each claim as boosters see it that have not learned from its fold."""
    import xgboost

    found = np.zeros((max(most.sides, most.unknown), len(labels), len(VERDICT_LABELS)), dtype=np.float32)
    for fold in range(FOLDS):
        mine = folds == fold
        held = xgboost.DMatrix(features[mine], feature_names=list(AGGREGATE_FEATURES))
        done, margins = 0, np.zeros((int(mine.sum()), len(VERDICT_LABELS)), dtype=np.float32)
        for round_, booster in enumerate(_grown(features[~mine], labels[~mine], shape, most)):
            grown = booster.num_boosted_rounds()
            margins = margins + booster.predict(held, output_margin=True, iteration_range=(done, grown))
            found[round_, mine], done = margins, grown
    return found


def best_rounds(margins: NDArray[np.float32], labels: NDArray[np.int64]) -> tuple[Rounds, float]:
    """Return the rounds with the least held-out log loss, sides and the rest apart, and that loss."""
    told = labels != UNKNOWN
    sides = [_told_loss(each[told], labels[told]) for each in margins]
    unknown = [_unknown_loss(each, labels) for each in margins]
    rounds = Rounds(int(np.argmin(sides)) + 1, int(np.argmin(unknown)) + 1)
    return rounds, min(sides) * float(told.mean()) + min(unknown)


def at_rounds(margins: NDArray[np.float32], rounds: Rounds) -> NDArray[np.float64]:
    """Return the margins (n, 4) that boosters grown for so many rounds give."""
    chosen: NDArray[np.float64] = margins[rounds.sides - 1].astype(np.float64)
    chosen[:, UNKNOWN] = margins[rounds.unknown - 1][:, UNKNOWN]
    return chosen


def _told_loss(margins: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    shares = shares_of(margins.astype(np.float64))
    return _mean_loss(shares[np.arange(len(labels)), labels])


def _unknown_loss(margins: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    unknown = shares_of(margins.astype(np.float64))[:, UNKNOWN]
    return _mean_loss(np.where(labels == UNKNOWN, unknown, 1.0 - unknown))


def _mean_loss(chosen: NDArray[np.float64]) -> float:
    return float(-np.log(np.clip(chosen, 1e-7, 1.0)).mean())


def fit_scale(margins: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Return the temperature with the least log loss on held-out margins (Guo et al. 2017)."""
    from scipy.optimize import minimize_scalar

    def loss(log_scale: float) -> float:
        rows = verdict_rows(margins / np.exp(log_scale))
        return _mean_loss(rows[np.arange(len(labels)), labels])

    best = minimize_scalar(loss, bounds=(-1.5, 1.5), method="bounded")
    return round(float(np.exp(best.x)), 6)


def scored_rows(margins: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
    """Return rows (n, 4) as the ``Scorer`` gives them: the softmax of the margins over the temperature."""
    powers = np.exp((margins - margins.max(axis=1, keepdims=True)) / scale)
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)
