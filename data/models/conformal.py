"""Prediction sets with a promised coverage: which verdict labels cannot be ruled out for a claim.

Fitted by ``tasks.train_aggregator`` on held-out claims, stored in the aggregator's manifest (record key
``conformal``), asked by fusion. Pure: a set depends on its own row and on the stored scores, nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError
from data.models.artifacts import read_manifest
from data.verdicts import VERDICT_LABELS, VerdictLabel

#: With so many scores of a tenant's own a label stands on them alone: nine can rule a label out at 10 %.
OWN_SCORES = 9


@dataclass(frozen=True, slots=True)
class ConformalLabels:
    """Mondrian split-conformal sets.

    For each true label the set holds it with probability at least ``1 - alpha`` on exchangeable claims.

    ``scores[label]`` are the sorted nonconformities ``1 - P(label)`` of held-out claims that have this
    label. A label is kept when the share of its own held-out claims at least as strange as this one exceeds
    ``alpha``.

    Source: Vovk, Gammerman & Shafer 2005, "Algorithmic Learning in a Random World", chapter 4.5 (Mondrian
    predictors).
    """

    scores: Mapping[VerdictLabel, tuple[float, ...]]

    def prediction_set(self, probabilities: Sequence[float], alpha: float) -> tuple[VerdictLabel, ...]:
        """Return the labels that cannot be ruled out at ``alpha``, in verdict order.

        ``probabilities`` has the order of ``VERDICT_LABELS``. The most probable label is always in the set,
        so it is never empty; that only adds coverage.

        Raises:
            ValueError: ``alpha`` is not between 0 and 1.
        """
        if not 0.0 < alpha < 1.0:
            raise ValueError(f"alpha {alpha} is not between 0 and 1")
        best = max(range(len(VERDICT_LABELS)), key=lambda index: (probabilities[index], -index))
        return tuple(
            label
            for index, label in enumerate(VERDICT_LABELS)
            if index == best or self.p_value(label, probabilities[index]) > alpha
        )

    def p_value(self, label: VerdictLabel, probability: float) -> float:
        """Return the share of held-out claims of ``label`` at least as strange, this one counted in."""
        held_out = self.scores[label]
        stranger = len(held_out) - bisect_left(held_out, round(1.0 - probability, 6))
        return (stranger + 1) / (len(held_out) + 1)

    def to_dict(self) -> dict[str, list[float]]:
        """Return plain JSON values."""
        return {label: list(self.scores[label]) for label in VERDICT_LABELS}


def fit_conformal(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> ConformalLabels:
    """Return the scores of held-out verdict rows (n, 4) by their true labels (n,), columns of the rows."""
    scores: dict[VerdictLabel, tuple[float, ...]] = {}
    for index, label in enumerate(VERDICT_LABELS):
        own = 1.0 - probabilities[labels == index, index]
        scores[label] = tuple(sorted(round(float(value), 6) for value in own))
    return ConformalLabels(scores)


def joined(shipped: ConformalLabels, own: ConformalLabels) -> ConformalLabels:
    """Return sets for a tenant: a label's own scores where there are ``OWN_SCORES``, else both together.

    Own scores alone keep the promise on this tenant's claims at any level, also where they are few: the true
    label's place among n + 1 scores is uniform, so with n below 1 / alpha - 1 the label is always kept. With
    fewer than ``OWN_SCORES`` the shipped ones still decide.
    """
    return ConformalLabels(
        {
            label: own.scores[label]
            if len(own.scores[label]) >= OWN_SCORES
            else tuple(sorted((*shipped.scores[label], *own.scores[label])))
            for label in VERDICT_LABELS
        }
    )


def load_conformal(folder: Path) -> ConformalLabels:
    """Return the prediction sets stored with the aggregator in ``folder``.

    Raises:
        ModelUnavailableError: there is no model in ``folder``.
        CorruptDataError: the manifest does not match, or holds no sound scores.
    """
    return conformal_from(read_manifest(folder)["record"].get("conformal", {}))


def conformal_from(document: Mapping[str, Any]) -> ConformalLabels:
    """Rebuild from :meth:`ConformalLabels.to_dict`.

    Raises:
        CorruptDataError: a label is missing, or its scores are not a sorted list of numbers in [0, 1].
    """
    scores: dict[VerdictLabel, tuple[float, ...]] = {}
    for label in VERDICT_LABELS:
        values = document.get(label)
        if not isinstance(values, list) or not all(
            isinstance(v, (int, float)) and 0 <= v <= 1 for v in values
        ):
            raise CorruptDataError(
                f"The conformal scores of {label} are not numbers in [0, 1]: restore the model."
            )
        if values != sorted(values):
            raise CorruptDataError(f"The conformal scores of {label} are not sorted: restore the model.")
        scores[label] = tuple(float(value) for value in values)
    return ConformalLabels(scores)
