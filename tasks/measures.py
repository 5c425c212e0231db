"""Figures of a classifier on one split, for training records and reports. Pure numpy."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def accuracy(predicted: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Return the share of rows predicted right; 0 for no rows."""
    return float((predicted == labels).mean()) if len(labels) else 0.0


def macro_f1(predicted: NDArray[np.int64], labels: NDArray[np.int64], classes: int = 3) -> float:
    """Return the mean F1 of the classes that occur among ``labels``; 0 for no rows."""
    scores = []
    for index in range(classes):
        actual, said = labels == index, predicted == index
        if actual.any():
            scores.append(2.0 * float((actual & said).sum()) / float(actual.sum() + said.sum()))
    return sum(scores) / len(scores) if scores else 0.0


def figures(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    """Return rows, accuracy, macro-F1, log loss, and accuracy among the classes that occur.

    The last is the usual figure for two-way sets: the model chooses only among the labels that the set uses.
    """
    predicted = probabilities.argmax(axis=1)
    present = np.unique(labels)
    among = present[probabilities[:, present].argmax(axis=1)]
    likelihood = np.clip(probabilities[np.arange(len(labels)), labels], 1e-7, 1.0)
    return {
        "rows": float(len(labels)),
        "accuracy": round(accuracy(predicted, labels), 4),
        "macro_f1": round(macro_f1(predicted, labels, probabilities.shape[1]), 4),
        "accuracy_among_its_labels": round(accuracy(among, labels), 4),
        "macro_f1_among_its_labels": round(macro_f1(among, labels, probabilities.shape[1]), 4),
        "log_loss": round(float(-np.log(likelihood).mean()), 4),
    }
