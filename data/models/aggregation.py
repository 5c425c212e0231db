"""From what each passage says to what the evidence says: claim-level features and verdict probabilities.

Called by the empirical framework when it answers, by ``tasks.train_aggregator`` when the model is fitted,
and (its ``NO_EVIDENCE``) wherever nothing was found. Pure. Three promises: the order of the evidence does
not matter, the same words twice count once, and no label is possible that not one item speaks for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.evidence import STANCES, Evidence, Stance
from data.knowledge import text_sha256
from data.verdicts import Probabilities

#: Name of the aggregation model at the ``Scorer`` port.
AGGREGATOR = "aggregator"
#: What is known without any evidence: nothing.
NO_EVIDENCE: Probabilities = (0.0, 0.0, 1.0, 0.0)
#: Log-odds of a conflict: slope on the log-odds of the weaker side, and offset. Source: logistic fit on
#: VitaminC claims shown with one or with both versions of their evidence; observed and predicted shares are
#: in the training record.
CONFLICT_SLOPE, CONFLICT_OFFSET = 1.3, -1.7
#: Weight of an exact structured answer against everything else the evidence says; below 1 because sources
#: err.
EXACT_SHARE = 0.95

#: Order of the rows given to the aggregator. S, R, N: probabilities of SUPPORTS, REFUTES, NEUTRAL of
#: distinct items.
AGGREGATE_FEATURES: tuple[str, ...] = (
    "items",  # log(1 + distinct items)
    "support_1",  # highest S
    "support_2",  # second highest S, 0 where there is one item
    "refute_1",
    "refute_2",
    "neutral_least",  # lowest N
    "neutral_mean",
    "support_sum",  # sums weighted by what is not neutral, so that bystanders add little
    "refute_sum",
    "supporters",  # items with S >= 0.5, capped at 5
    "refuters",
    "lead",  # support_1 - refute_1
    "sum_lead",  # support_sum - refute_sum
    "agreement",  # |supporters - refuters| / (supporters + refuters), by largest probability; 0 where none
    "dense_best",  # highest cosine of an item found by vectors; -1 where none was
    "dense_support",  # cosine of the most supporting item; -1 where unknown
    "dense_refute",
    "decisive_relevance",  # highest cosine times (1 - N); 0 where unknown
    "lexical_share",  # share of items that word search found
    "nearest_support",  # S of the item with the highest cosine (of the best item where none is known)
    "nearest_refute",
)


@dataclass(frozen=True, slots=True)
class Reading:
    """One evidence item as aggregation sees it.

    ``key`` identifies its words. A typed fact is an item like
    any other, save that ``exact`` is set when its value answers the claim, and then decides.
    """

    key: str
    id: str
    probabilities: tuple[float, float, float]
    dense: float | None = None
    lexical: bool = False
    exact: Stance | None = None

    @property
    def stance(self) -> Stance:
        """The most probable stance; NEUTRAL first, then SUPPORTS, where equal."""
        return most_probable(self.probabilities)


def most_probable(probabilities: Sequence[float]) -> Stance:
    """Return the stance with the highest probability; on a tie the most careful one (NEUTRAL first)."""
    return STANCES[max((2, 0, 1), key=lambda index: probabilities[index])]


def passage_text(item: Evidence) -> str:
    """Return the words that are judged: a passage behind its title, which often names what "it" is."""
    if item.kind != "passage" or not item.title or item.title.casefold() in item.text.casefold():
        return item.text
    return f"{item.title}: {item.text}"


def read_evidence(item: Evidence, probabilities: Sequence[float], exact: Stance | None = None) -> Reading:
    """Return the reading of one evidence item with its stance probabilities, rounded to 6 decimals."""
    support, refute, neutral = (round(float(value), 6) for value in probabilities)
    key = text_sha256(" ".join(item.text.split()).casefold().rstrip(" ."))
    scores = item.scores
    found = scores.bm25 is not None
    return Reading(key, item.id, (support, refute, neutral), scores.dense, found, exact)


def distinct(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading a wording, sorted by wording; of repeats the one with the smallest id is kept."""
    kept: dict[str, Reading] = {}
    for reading in sorted(readings, key=lambda each: (each.key, each.id)):
        kept.setdefault(reading.key, reading)
    return list(kept.values())


def claim_features(readings: Sequence[Reading]) -> NDArray[np.float32]:
    """Return the feature row (len(AGGREGATE_FEATURES),) float32 of one claim with at least one reading."""
    items = distinct(readings)
    rows = np.array([item.probabilities for item in items], dtype=np.float64)
    values = [math.log1p(len(items)), *_strengths(rows), *_relevance(items, rows)]
    return np.array([round(float(value), 6) for value in values], dtype=np.float32)


def _strengths(rows: NDArray[np.float64]) -> list[float]:
    """Features of the stance probabilities alone. Sums run over sorted values, so order cannot show."""
    support, refute, neutral = (np.sort(rows[:, column])[::-1] for column in range(3))
    told = 1.0 - rows[:, 2]
    support_sum = float(np.sort(rows[:, 0] * told).sum())
    refute_sum = float(np.sort(rows[:, 1] * told).sum())
    leaning = [most_probable(row) for row in rows]
    for_it, against = leaning.count("SUPPORTS"), leaning.count("REFUTES")
    second = 1 if len(rows) > 1 else None
    return [
        support[0],
        support[second] if second else 0.0,
        refute[0],
        refute[second] if second else 0.0,
        neutral[-1],
        float(neutral.mean()),
        support_sum,
        refute_sum,
        min(5.0, float((support >= 0.5).sum())),
        min(5.0, float((refute >= 0.5).sum())),
        support[0] - refute[0],
        support_sum - refute_sum,
        abs(for_it - against) / (for_it + against) if for_it + against else 0.0,
    ]


def _relevance(items: list[Reading], rows: NDArray[np.float64]) -> list[float]:
    """Features of how the items were found; ties go to the first item, and items are sorted by wording."""
    dense = np.array([-1.0 if item.dense is None else item.dense for item in items])
    known = [
        item.dense * (1.0 - row[2]) for item, row in zip(items, rows, strict=True) if item.dense is not None
    ]
    nearest = int(dense.argmax()) if known else int(rows[:, :2].max(axis=1).argmax())
    return [
        float(dense.max()),
        float(dense[int(rows[:, 0].argmax())]),
        float(dense[int(rows[:, 1].argmax())]),
        max(known, default=0.0),
        sum(item.lexical for item in items) / len(items),
        rows[nearest, 0],
        rows[nearest, 1],
    ]


def conclude(scored: Sequence[float], readings: Sequence[Reading]) -> Probabilities:
    """Return the verdict probabilities of one claim.

    ``scored`` is the aggregator's row (SUPPORTED, REFUTED, NOT_ENOUGH_INFO).

    1. No evidence: exactly ``NO_EVIDENCE``.
    2. A side that not one item speaks for keeps at most half of what NOT_ENOUGH_INFO has, so it can never be
       the label.
    3. :func:`conflict_share` of everything goes to CONFLICTING.
    4. An exact structured answer takes ``EXACT_SHARE`` of everything; where exact answers contradict each
       other,
       CONFLICTING takes it.
    """
    if not readings:
        return NO_EVIDENCE
    items = distinct(readings)
    support, refute, unknown = (float(value) for value in scored)
    stances = {item.exact or item.stance for item in items}
    if "SUPPORTS" not in stances:
        support, unknown = _unspoken(support, unknown)
    if "REFUTES" not in stances:
        refute, unknown = _unspoken(refute, unknown)
    conflict = conflict_share(items)
    row = [support * (1 - conflict), refute * (1 - conflict), unknown * (1 - conflict), conflict]
    decided = _exact_column(items)
    if decided is not None:
        row = [value * (1 - EXACT_SHARE) for value in row]
        row[decided] += EXACT_SHARE
    return _rounded(row)


def _unspoken(side: float, unknown: float) -> tuple[float, float]:
    """Return a side without a voice, cut to half of NOT_ENOUGH_INFO, and that; their sum is kept."""
    kept = min(side, (side + unknown) / 3.0)
    return kept, side + unknown - kept


def conflict_share(items: Sequence[Reading]) -> float:
    """Return the probability in [0, 1] that distinct items contradict each other; 0 where there are not two.

    With m the weaker side (:func:`weaker_side`), the log-odds are ``CONFLICT_SLOPE`` * log(m / (1 - m)) +
    ``CONFLICT_OFFSET``: 0.10 at m = 0.4, 0.27 at 0.6, 0.76 at 0.9.
    """
    weaker = weaker_side(items)
    if weaker <= 0.0:
        return 0.0
    odds = (weaker / max(1.0 - weaker, 1e-6)) ** CONFLICT_SLOPE * math.exp(CONFLICT_OFFSET)
    return float(odds / (1.0 + odds))


def weaker_side(items: Sequence[Reading]) -> float:
    """Return the highest min(S of one, R of another) over pairs of items, in [0, 1]; 0 for fewer than two."""
    best = 0.0
    for one in items:
        others = (other.probabilities[1] for other in items if other is not one)
        best = max(best, min(one.probabilities[0], max(others, default=0.0)))
    return best


def _exact_column(items: Sequence[Reading]) -> int | None:
    """Return the verdict column that exact answers decide (3: they contradict each other), or ``None``."""
    answers = {item.exact for item in items}
    if {"SUPPORTS", "REFUTES"} <= answers:
        return 3
    if "SUPPORTS" in answers:
        return 0
    return 1 if "REFUTES" in answers else None


def _rounded(row: Sequence[float]) -> Probabilities:
    """Return the row over its sum to 6 decimals; the largest takes the rounding rest, so it adds up to 1."""
    total = math.fsum(row)
    values = [round(value / total, 6) for value in row]
    largest = max(range(len(values)), key=lambda index: (values[index], -index))
    values[largest] = round(values[largest] + 1.0 - math.fsum(values), 6)
    return values[0], values[1], values[2], values[3]
