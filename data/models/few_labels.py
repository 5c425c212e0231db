"""A tenant's own probabilities from a few labels: the shipped model's, shifted, scaled, blended or regrown.

Called where a tenant or a domain has labels of its own (from ``LEAST_LABELS`` up). Pure. The learner is
chosen by cross-validated log loss, trees only where they are better by more than chance: with few labels the
shipped probabilities are kept, shifted or scaled, with many trees are grown. Invariants: the order of the
labelled rows does not matter, the same rows and labels give the same learner, and a prediction depends on its
row alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError, InvalidValueError
from data.models.random_trees import RandomTrees, grow, trees_from

#: Fewest labels that anything is learned from.
LEAST_LABELS = 30
#: Parts of the cross-validation.
FOLDS = 5
#: By how many standard errors learners that grow trees must be better than the best other one.
STANDARD_ERRORS = 1.0
#: Penalty of the blend's squared weights, on standardised inputs.
BLEND_PENALTY = 100.0
#: Probabilities are kept this far from 0 and 1 before their logarithm is taken.
_TINY = 1e-4


class Learner(Protocol):
    """What is learned: pure, and stored as JSON."""

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities (n, classes) for (n, features) rows."""
        ...

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        ...


Fit = Callable[[NDArray[np.float64], NDArray[np.int64], int], Learner]


@dataclass(frozen=True, slots=True)
class FewLabels:
    """The learner that did best, and what the cross-validation saw.

    Rows hold the shipped model's probabilities in their first ``classes`` columns and any features behind
    them. ``losses`` are the mean held-out log losses by kind of learner, ``labels`` how many there were,
    ``shares`` how they were divided.
    """

    kind: str
    classes: int
    features: int
    labels: int
    losses: dict[str, float]
    learner: Learner
    shares: tuple[float, ...]

    def predict(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return probabilities (n, classes) that sum to 1.

        Raises:
            InvalidValueError: the rows have another width than those learned from.
        """
        values = np.asarray(rows, dtype=np.float64)
        if values.ndim != 2 or values.shape[1] != self.features:
            raise InvalidValueError(
                f"Rows of shape {values.shape} do not fit a learner of {self.features} columns."
            )
        return self.learner.predict(values)

    def balanced(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """Return :meth:`predict` over the square root of the labels' shares, for choosing rare labels fairly.

        These are no probabilities to believe; their largest column has the better macro-F1: with 300 labels
        .50 against .43 on climate pairs and .39 against .34 on health pairs (dev splits, blended).

        Raises:
            InvalidValueError: the rows have another width than those learned from.
        """
        weighed = self.predict(rows) / np.sqrt(np.array(self.shares))
        return np.asarray(weighed / weighed.sum(axis=1, keepdims=True), dtype=np.float64)

    def to_record(self) -> dict[str, Any]:
        """Return JSON values from which :func:`few_labels_from` rebuilds the same predictions."""
        return {
            "kind": self.kind,
            "classes": self.classes,
            "features": self.features,
            "labels": self.labels,
            "losses": dict(self.losses),
            "shares": list(self.shares),
            "learner": self.learner.to_record(),
        }


@dataclass(frozen=True, slots=True)
class Linear:
    """Log probabilities times ``scale``, plus ``bias`` (classes,), plus ``weights`` (inputs, classes).

    Weights act on standardised inputs: the log probabilities and the features. All parameters are drawn
    towards those that leave the shipped probabilities as they are (scale 1, the others 0).
    """

    classes: int
    scale: float
    bias: NDArray[np.float64]
    weights: NDArray[np.float64] | None = None
    mean: NDArray[np.float64] | None = None
    spread: NDArray[np.float64] | None = None

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities (n, classes)."""
        logs = _logs(rows, self.classes)
        logits = self.scale * logs + self.bias
        if self.weights is not None and self.mean is not None and self.spread is not None:
            inputs = (np.hstack([logs, rows[:, self.classes :]]) - self.mean) / self.spread
            # One row at a time: a matrix product may round differently with other neighbours.
            logits = logits + np.array([row @ self.weights for row in inputs]).reshape(logits.shape)
        return _softmax(logits)

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        arrays = {"bias": self.bias, "weights": self.weights, "mean": self.mean, "spread": self.spread}
        lists = {name: None if value is None else value.tolist() for name, value in arrays.items()}
        return {"classes": self.classes, "scale": self.scale, **lists}


@dataclass(frozen=True, slots=True)
class Grown:
    """Random trees over the log probabilities and the features."""

    classes: int
    trees: RandomTrees

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities (n, classes)."""
        return self.trees.predict(_inputs(rows, self.classes))

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"classes": self.classes, **self.trees.to_record()}


@dataclass(frozen=True, slots=True)
class Mixed:
    """The mean of a linear learner and trees: the one is steady, the other bends."""

    linear: Linear
    grown: Grown

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities (n, classes)."""
        return (self.linear.predict(rows) + self.grown.predict(rows)) / 2.0

    def to_record(self) -> dict[str, Any]:
        """Return JSON values."""
        return {"linear": self.linear.to_record(), "grown": self.grown.to_record()}


def fit_few_labels(
    rows: NDArray[Any], labels: NDArray[Any], *, classes: int, groups: Sequence[str] | None = None
) -> FewLabels:
    """Return the learner with the least cross-validated log loss, trees only where they surely help.

    ``rows`` (n, classes + features): the shipped model's probabilities, then any features of the same claims
    or pairs. ``labels`` (n,) are columns of the probabilities. ``groups`` (n,) name what must stay together
    in the cross-validation, such as the claim where rows are pairs.

    Raises:
        InvalidValueError: fewer than ``LEAST_LABELS`` rows, or rows and labels that do not fit.
    """
    values, gold = np.asarray(rows, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    _check(values, gold, classes)
    order = _fixed_order(values, gold)
    values, gold = values[order], gold[order]
    folds = _folds(gold) if groups is None else _group_folds([groups[place] for place in order])
    kinds = [kind for kind in LEARNERS if kind not in GROWING or len(gold) >= GROWING_LABELS]
    losses = {kind: _held_out_losses(LEARNERS[kind], values, gold, folds, classes) for kind in kinds}
    kind = _chosen(losses)
    means = {name: round(float(each.mean()), 6) for name, each in losses.items()}
    learner = LEARNERS[kind](values, gold, classes)
    return FewLabels(kind, classes, values.shape[1], len(gold), means, learner, _shares(gold, classes))


def few_labels_from(record: Mapping[str, Any]) -> FewLabels:
    """Rebuild from :meth:`FewLabels.to_record`.

    Raises:
        CorruptDataError: the record is damaged.
    """
    try:
        kind, stored = str(record["kind"]), record["learner"]
        learner: Learner
        if kind == "trees":
            learner = _grown_from(stored)
        elif kind == "mixed":
            learner = Mixed(_linear_from(stored["linear"]), _grown_from(stored["grown"]))
        else:
            learner = _linear_from(stored)
        classes, features, labels = (int(record[name]) for name in ("classes", "features", "labels"))
        shares = tuple(float(share) for share in record["shares"])
        if len(shares) != classes or min(shares) <= 0.0:
            raise ValueError("label shares")
        return FewLabels(kind, classes, features, labels, dict(record["losses"]), learner, shares)
    except (KeyError, TypeError, ValueError) as exc:
        raise CorruptDataError("The stored learner cannot be read: learn from the labels again.") from exc


def _linear_from(stored: Mapping[str, Any]) -> Linear:
    names = ("weights", "mean", "spread")
    weights, mean, spread = (None if stored[name] is None else np.array(stored[name]) for name in names)
    return Linear(
        int(stored["classes"]), float(stored["scale"]), np.array(stored["bias"]), weights, mean, spread
    )


def _grown_from(stored: Mapping[str, Any]) -> Grown:
    return Grown(int(stored["classes"]), trees_from(stored))


def _shipped(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> Linear:
    """The probabilities as they are."""
    return Linear(classes, 1.0, np.zeros(classes))


def _shifted(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> Linear:
    """Other shares of the labels, the same evidence: one number a class (Saerens et al. 2002)."""
    return _fit_linear(rows, labels, classes, free_scale=False, ridge=None)


def _scaled(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> Linear:
    """Shifted, and as sure or unsure as the labels say."""
    return _fit_linear(rows, labels, classes, free_scale=True, ridge=None)


def _blended(ridge: float) -> Callable[[NDArray[np.float64], NDArray[np.int64], int], Linear]:
    def fit(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> Linear:
        return _fit_linear(rows, labels, classes, free_scale=True, ridge=ridge)

    return fit


def _grown(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> Grown:
    return Grown(classes, grow(_inputs(rows, classes), labels, classes))


def _mixed(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> Mixed:
    return Mixed(_blended(BLEND_PENALTY)(rows, labels, classes), _grown(rows, labels, classes))


#: Learners by name, simplest first.
LEARNERS: dict[str, Fit] = {
    "shipped": _shipped,
    "shifted": _shifted,
    "scaled": _scaled,
    "blended": _blended(BLEND_PENALTY),
    "trees": _grown,
    "mixed": _mixed,
}
#: Those that grow trees, and the labels below which none are grown: on health and climate claims they were
#: worse than the blend at 30, 60 and 120.
GROWING = ("trees", "mixed")
GROWING_LABELS = 200


def _fit_linear(
    rows: NDArray[np.float64],
    labels: NDArray[np.int64],
    classes: int,
    *,
    free_scale: bool,
    ridge: float | None,
) -> Linear:
    """Return the parameters with the least penalised log loss, by L-BFGS from those of the shipped model."""
    from scipy.optimize import minimize

    logs = _logs(rows, classes)
    raw = np.hstack([logs, rows[:, classes:]]) if ridge is not None else np.zeros((len(rows), 0))
    mean, spread = raw.mean(axis=0), np.maximum(raw.std(axis=0), 1e-6)
    inputs = (raw - mean) / spread
    target = np.eye(classes)[labels]
    width = inputs.shape[1]

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        scale, bias, weights = flat[0], flat[1 : 1 + classes], flat[1 + classes :].reshape(width, classes)
        chance = _softmax(scale * logs + bias + inputs @ weights)
        error = chance - target
        penalty = (scale - 1.0) ** 2 + 0.5 * float(bias @ bias) + (ridge or 0.0) * float((weights**2).sum())
        slope = np.concatenate(
            [
                [float((error * logs).sum()) + 2.0 * (scale - 1.0) if free_scale else 0.0],
                error.sum(axis=0) + bias,
                (inputs.T @ error + 2.0 * (ridge or 0.0) * weights).ravel(),
            ]
        )
        chosen = np.clip((chance * target).sum(axis=1), 1e-12, 1.0)
        return float(-np.log(chosen).sum()) + penalty, slope

    start = np.concatenate([[1.0], np.zeros(classes * (1 + width))])
    found = np.round(minimize(loss, start, jac=True, method="L-BFGS-B").x, 9)
    weights = found[1 + classes :].reshape(width, classes)
    bias = found[1 : 1 + classes]
    own = () if ridge is None else (weights, mean, spread)
    return Linear(classes, float(found[0]), bias, *own)


def _check(rows: NDArray[np.float64], labels: NDArray[np.int64], classes: int) -> None:
    if rows.ndim != 2 or rows.shape[1] < classes or len(rows) != len(labels):
        raise InvalidValueError(
            f"Rows of shape {rows.shape} with {len(labels)} labels do not fit {classes} classes: "
            "give one row a label, the shipped probabilities first."
        )
    if len(rows) < LEAST_LABELS:
        raise InvalidValueError(
            f"{len(rows)} labels are too few to learn from: give at least {LEAST_LABELS}."
        )
    if not np.isfinite(rows).all() or labels.min() < 0 or labels.max() >= classes:
        raise InvalidValueError(f"The rows must be finite and the labels in [0, {classes}).")


def _fixed_order(rows: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return an order of the rows that depends on what they hold, not on how they came."""
    both = np.column_stack([rows, labels])
    keys = [hashlib.sha256(row.tobytes()).digest() for row in both]
    return np.array(sorted(range(len(keys)), key=keys.__getitem__), dtype=np.int64)


def _folds(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the fold of each row: every label is spread over all folds."""
    folds = np.zeros(len(labels), dtype=np.int64)
    dealt = 0
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        folds[own] = (dealt + np.arange(len(own))) % FOLDS
        dealt += len(own)
    return folds


def _shares(labels: NDArray[np.int64], classes: int) -> tuple[float, ...]:
    """Return the labels' shares, one more of each counted in so that none is nothing."""
    counts = np.bincount(labels, minlength=classes) + 1.0
    return tuple(np.round(counts / counts.sum(), 6).tolist())


def _group_folds(groups: Sequence[str]) -> NDArray[np.int64]:
    """Return the fold of each row: rows of one group share it."""
    digests = [hashlib.sha256(group.encode()).digest() for group in groups]
    return np.array([int.from_bytes(digest[:4], "big") % FOLDS for digest in digests], dtype=np.int64)


def _chosen(losses: Mapping[str, NDArray[np.float64]]) -> str:
    """Return the learner of least loss, simplest first where equal.

    One that grows trees must beat the best without by more than chance: nothing holds it to the shipped
    probabilities, as the penalties of the others do.
    """
    best = min((name for name in losses if name not in GROWING), key=lambda name: losses[name].mean())
    for name in GROWING:
        if name not in losses:
            continue
        gained = losses[best] - losses[name]
        if gained.mean() > STANDARD_ERRORS * gained.std() / len(gained) ** 0.5:
            best = name
    return best


def _held_out_losses(
    fit: Fit, rows: NDArray[np.float64], labels: NDArray[np.int64], folds: NDArray[np.int64], classes: int
) -> NDArray[np.float64]:
    """Return the log loss (n,) of each row under a learner that has not seen its fold."""
    chosen = np.ones(len(labels))
    for fold in range(FOLDS):
        mine = folds == fold
        if not mine.any() or mine.all():
            continue
        found = fit(rows[~mine], labels[~mine], classes).predict(rows[mine])
        chosen[mine] = found[np.arange(len(found)), labels[mine]]
    return np.asarray(-np.log(np.clip(chosen, 1e-7, 1.0)), dtype=np.float64)


def _logs(rows: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    return np.asarray(np.log(np.clip(rows[:, :classes], _TINY, 1.0)), dtype=np.float64)


def _inputs(rows: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    return np.hstack([_logs(rows, classes), rows[:, classes:]])


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float64)
