"""The second stage of the stance model: what the encoder reads, weighed against what is compared exactly.

Called by ``tasks.train_stance``. The encoder has seen the train splits, so on them it is surer than it will
be on new pairs; the second stage is therefore fitted on the dev splits, and every dev figure and the
calibration come from folds that did not see the pair's page or claim.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.evidence import STANCES
from data.models.stance import WEIGHED_FEATURES
from tasks.labelled import LabelledPair, share_of

FOLDS = 5
ROUNDS = 300
PARAMETERS: dict[str, Any] = {
    "objective": "multi:softprob",
    "num_class": len(STANCES),
    "tree_method": "hist",
    "max_depth": 4,
    "eta": 0.05,
    "min_child_weight": 5.0,
    "subsample": 0.8,
    "colsample_bytree": 0.4,
    "lambda": 3.0,
    "nthread": 1,
    "seed": 7,
}


@dataclass(frozen=True, slots=True)
class Weighed:
    """The fitted booster, and by set the probabilities (n, 3) of boosters that had not seen the page."""

    booster: Any
    unseen: dict[str, NDArray[np.float32]]


def fit(rows: Mapping[str, NDArray[np.float32]], pairs: Mapping[str, Sequence[LabelledPair]]) -> Weighed:
    """Return the second stage for rows (n, len(WEIGHED_FEATURES)) and their pairs, both by set.

    Sets count by the square root of their size, so that no one set decides.
    """
    names = list(rows)
    every = np.concatenate([rows[name] for name in names])
    labels = np.array([pair.label for name in names for pair in pairs[name]], dtype=np.int64)
    folds = np.array([share_of("fold" + _group(pair), FOLDS) for name in names for pair in pairs[name]])
    weights = np.concatenate([np.full(len(rows[name]), len(rows[name]) ** -0.5) for name in names])
    weights *= len(weights) / weights.sum()
    unseen = np.empty((len(every), len(STANCES)), dtype=np.float32)
    for fold in range(FOLDS):
        learned, left = folds != fold, folds == fold
        booster = _boosted(every[learned], labels[learned], weights[learned])
        unseen[left] = booster.inplace_predict(every[left], validate_features=False)
    ends = np.cumsum([len(rows[name]) for name in names])[:-1]
    by_set = dict(zip(names, np.split(unseen, ends), strict=True))
    return Weighed(_boosted(every, labels, weights), by_set)


def _group(pair: LabelledPair) -> str:
    """What must not be in two folds: the page, or where there is none the claim."""
    return pair.title or pair.claim


def _boosted(rows: NDArray[np.float32], labels: NDArray[np.int64], weights: NDArray[np.float64]) -> Any:
    import xgboost

    matrix = xgboost.DMatrix(rows, labels, weight=weights, feature_names=list(WEIGHED_FEATURES))
    return xgboost.train(PARAMETERS, matrix, ROUNDS)
