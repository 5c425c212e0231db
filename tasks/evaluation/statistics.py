"""Figures of a classifier or a ranking on one split, with bootstrap intervals. Pure numpy.

Called by ``tasks.evaluate``. Probabilities are rows (n, classes) float32 that sum to 1, labels (n,) int64
columns of them. A two-way set is scored among the labels it uses.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.float32]
Labels = NDArray[np.int64]

#: Resamples of a bootstrap and its seed: intervals are the same at every run.
RESAMPLES, SEED = 1_000, 20
ECE_BINS = 15


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its 95 % percentile interval. Source: Efron and Tibshirani 1993, chapter 13."""

    value: float
    low: float
    high: float


def among(probabilities: Rows, labels: Labels) -> Rows:
    """Return the rows with only the columns that occur among ``labels`` left, scaled to sum to 1."""
    kept = np.zeros(probabilities.shape[1], dtype=bool)
    kept[np.unique(labels)] = True
    rows = np.where(kept, probabilities.astype(np.float64) + 1e-9, 0.0)
    return np.asarray(rows / rows.sum(axis=1, keepdims=True), dtype=np.float32)


def confusion(predicted: Labels, labels: Labels, classes: int) -> NDArray[np.int64]:
    """Return counts (classes, classes): row the gold label, column the predicted one."""
    return np.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)


def accuracy(counts: NDArray[np.int64]) -> float:
    """Return the share on the diagonal."""
    return float(np.trace(counts) / max(1, counts.sum()))


def macro_f1(counts: NDArray[np.int64]) -> float:
    """Return the mean F1 of the classes that occur among the gold labels."""
    hits, gold, said = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
    present = gold > 0
    scores = 2.0 * hits[present] / np.maximum(1, gold[present] + said[present])
    return float(scores.mean()) if present.any() else 0.0


def balanced_accuracy(counts: NDArray[np.int64]) -> float:
    """Return the mean recall of the classes that occur."""
    gold = counts.sum(axis=1)
    present = gold > 0
    return float((np.diag(counts)[present] / gold[present]).mean()) if present.any() else 0.0


def f1_of(counts: NDArray[np.int64], label: int) -> float:
    """Return the F1 of one class."""
    return float(2.0 * counts[label, label] / max(1, counts[label].sum() + counts[:, label].sum()))


def auroc(scores: NDArray[np.float64], positive: NDArray[np.bool_]) -> float:
    """Return the chance that a positive scores above a negative, ties counting half; 0.5 with one class."""
    from scipy.stats import rankdata

    count = int(positive.sum())
    if count in (0, len(positive)):
        return 0.5
    ranks = float(rankdata(scores)[positive].sum())
    return (ranks - count * (count + 1) / 2) / (count * (len(positive) - count))


def macro_auroc(probabilities: Rows, labels: Labels) -> float:
    """Return the mean one-against-rest AUROC of the classes that occur."""
    found = [auroc(probabilities[:, each].astype(np.float64), labels == each) for each in np.unique(labels)]
    return float(np.mean(found))


def brier(probabilities: Rows, labels: Labels) -> float:
    """Return the mean squared distance to the one-hot label, from 0 to 2. Source: Brier 1950."""
    truth = np.eye(probabilities.shape[1])[labels]
    return float(((probabilities - truth) ** 2).sum(axis=1).mean())


def calibration_error(probabilities: Rows, labels: Labels, bins: int = ECE_BINS) -> float:
    """Return the expected calibration error over equal-width bins of the highest probability."""
    return float(
        sum(
            abs(bin_.accuracy - bin_.confidence) * bin_.share
            for bin_ in reliability(probabilities, labels, bins)
        )
    )


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows whose highest probability lies in one bin: their share, mean confidence and accuracy."""

    share: float
    confidence: float
    accuracy: float


def reliability(probabilities: Rows, labels: Labels, bins: int = ECE_BINS) -> list[Bin]:
    """Return the bins that hold rows, from the least to the most confident."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    hits = probabilities.argmax(axis=1) == labels
    places = np.minimum((confidence * bins).astype(np.int64), bins - 1)
    return [
        Bin(float(inside.mean()), float(confidence[inside].mean()), float(hits[inside].mean()))
        for inside in (places == place for place in range(bins))
        if inside.any()
    ]


def surest_half_accuracy(probabilities: Rows, labels: Labels) -> float:
    """Return the accuracy on the half of the rows with the highest top probability."""
    curve = risk_coverage(probabilities, labels)
    return 1.0 - curve[(len(curve) - 1) // 2]


def risk_coverage(probabilities: Rows, labels: Labels) -> list[float]:
    """Return the error among the k surest rows, for k = 1 … n. Source: El-Yaniv and Wiener 2010."""
    order = np.argsort(-probabilities.max(axis=1), kind="stable")
    wrong = (probabilities.argmax(axis=1) != labels)[order]
    return list(np.cumsum(wrong) / np.arange(1, len(wrong) + 1))


def set_coverage(
    probabilities: Rows, labels: Labels, sets: Callable[[Sequence[float]], Sequence[int]]
) -> tuple[float, float]:
    """Return the share of rows whose prediction set holds the label, and the mean size of the sets."""
    made = [sets(row) for row in probabilities.tolist()]
    covered = [label in each for each, label in zip(made, labels.tolist(), strict=True)]
    return float(np.mean(covered)), float(np.mean([len(each) for each in made]))


def interval(
    counted: NDArray[np.int64], measure: Callable[[NDArray[np.int64]], float]
) -> tuple[float, float]:
    """Return the 95 % interval of a measure of a confusion table, by resampling its rows' cells."""
    random = np.random.default_rng(SEED)
    total = int(counted.sum())
    shares = counted.reshape(-1) / max(1, total)
    drawn = random.multinomial(total, shares, size=RESAMPLES).reshape(RESAMPLES, *counted.shape)
    low, high = np.percentile([measure(each) for each in drawn], [2.5, 97.5])
    return float(low), float(high)


def resampled(values: NDArray[np.float64]) -> Estimate:
    """Return the mean of per-item values with its interval."""
    random = np.random.default_rng(SEED)
    places = random.integers(0, len(values), size=(RESAMPLES, len(values)))
    low, high = np.percentile(values[places].mean(axis=1), [2.5, 97.5])
    return Estimate(round(float(values.mean()), 4), round(float(low), 4), round(float(high), 4))


def ratio(hits: NDArray[np.float64], counts: NDArray[np.float64]) -> Estimate:
    """Return the share of hits over groups of different sizes, with its interval over the groups."""
    random = np.random.default_rng(SEED)
    places = random.integers(0, len(hits), size=(RESAMPLES, len(hits)))
    shares = hits[places].sum(axis=1) / np.maximum(1.0, counts[places].sum(axis=1))
    low, high = np.percentile(shares, [2.5, 97.5])
    value = float(hits.sum() / max(1.0, counts.sum()))
    return Estimate(round(value, 4), round(float(low), 4), round(float(high), 4))


def ndcg(ranked: Sequence[str], relevant: Mapping[str, float], depth: int = 10) -> float:
    """Return the normalised discounted gain, log base 2. Source: Järvelin and Kekäläinen 2002."""
    gains = [relevant.get(each, 0.0) for each in ranked[:depth]]
    ideal = sorted(relevant.values(), reverse=True)[:depth]
    best = sum(gain / math.log2(place + 2) for place, gain in enumerate(ideal))
    found = sum(gain / math.log2(place + 2) for place, gain in enumerate(gains))
    return found / best if best else 0.0


def recall(ranked: Sequence[str], relevant: Mapping[str, float], depth: int) -> float:
    """Return the share of relevant items among the first ``depth``."""
    wanted = {each for each, gain in relevant.items() if gain > 0}
    return len(wanted & set(ranked[:depth])) / len(wanted) if wanted else 0.0


def figures(probabilities: Rows, labels: Labels) -> dict[str, Estimate | float]:
    """Return every figure of one split; those of the confusion table with their intervals."""
    rows = among(probabilities, labels)
    classes = rows.shape[1]
    counts = confusion(rows.argmax(axis=1), labels, classes)
    found: dict[str, Estimate | float] = {"rows": float(len(labels))}
    for name, measure in (
        ("accuracy", accuracy),
        ("macro_f1", macro_f1),
        ("balanced_accuracy", balanced_accuracy),
    ):
        low, high = interval(counts, measure)
        found[name] = Estimate(round(measure(counts), 4), round(low, 4), round(high, 4))
    found["auroc"] = round(macro_auroc(rows, labels), 4)
    found["brier"] = round(brier(rows, labels), 4)
    found["calibration_error"] = round(calibration_error(rows, labels), 4)
    found["surest_half_accuracy"] = round(surest_half_accuracy(rows, labels), 4)
    return found
