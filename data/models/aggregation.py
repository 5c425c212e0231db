"""From what each passage says to what the evidence says: claim-level features and verdict probabilities.

Called by the empirical framework when it answers, by ``tasks.train_aggregator`` when the model is fitted,
and (its ``NO_EVIDENCE``) wherever nothing was found. Pure. Promises: the order of the evidence does not
matter, the same item twice counts once, one more item that leans to a side never lowers that side, and no
label is possible that not one item speaks for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from data.best_sentence import without_asides
from data.evidence import STANCES, Evidence, Stance
from data.knowledge import text_sha256
from data.titles import titled
from data.verdicts import Probabilities

#: Name of the aggregation model at the ``Scorer`` port.
AGGREGATOR = "aggregator"
#: What is known without any evidence: nothing.
NO_EVIDENCE: Probabilities = (0.0, 0.0, 1.0, 0.0)
#: Weight of an exact structured answer against everything else the evidence says; below 1 because sources
#: err.
EXACT_SHARE = 0.95
#: Most that a label keeps that nobody speaks for: below a quarter, so that another label is always likelier.
UNSPOKEN_SHARE = 0.24
#: Relevance of an item whose cosine is not known: that of gold evidence in the middle of the dev splits.
UNKNOWN_RELEVANCE = 0.6
#: Stance probabilities of an item that speaks of nothing the claim names.
BYSTANDER = (0.02, 0.02, 0.96)
#: Most voices counted: a sixth passage that says the same tells nothing new.
MOST_VOICES = 5

#: What one side has, best first. Every feature counts only items that lean to the side, takes the best of
#: items with the same words, and can only grow when an item is added.
SIDE_FEATURES: tuple[str, ...] = (
    "1",  # highest probability of the side's stance
    "2",  # second highest, 0 where there is one item
    "3",
    "margin",  # highest lead over the other side's stance
    "told",  # lowest probability of NEUTRAL, as one less it
    "sum",  # probabilities weighted by what is not neutral, so that bystanders add little
    "voices",  # items with a probability >= 0.5, at most MOST_VOICES
    "near",  # highest probability times cosine with the claim
    "confirmed",  # highest probability times what exact findings say for the side
    "unopposed",  # highest probability times one less what exact findings say against the side
)
#: Order of the rows given to the aggregator.
AGGREGATE_FEATURES: tuple[str, ...] = (
    *(f"support_{name}" for name in SIDE_FEATURES),
    *(f"refute_{name}" for name in SIDE_FEATURES),
    "lead",  # support_1 - refute_1
    "sum_lead",  # support_sum - refute_sum
)
#: Which way each feature may move SUPPORTED (+1 up, -1 down), and REFUTED the other way.
SUPPORT_DIRECTIONS: tuple[int, ...] = (*(1 for _ in SIDE_FEATURES), *(-1 for _ in SIDE_FEATURES), 1, 1)

_SUPPORTS, _REFUTES, _NEUTRAL = range(3)
_PARTS = 10**6
_WORD = re.compile(r"\w+")
#: Characters that end a sentence without a stop.
_ENDS = ("!", "?", ":", ";", '"', "”", "'", "’", "…")


@dataclass(frozen=True, slots=True)
class Reading:
    """One evidence item as aggregation sees it.

    ``key`` identifies its words. A typed fact is an item like any other, save that ``exact`` is set when its
    value answers the claim, and then decides. ``findings`` in [-1, 1] is the balance of typed findings for
    (+) or against (-) the claim (``data.exact.features``), 0 where there are none or nobody compared.
    """

    key: str
    id: str
    probabilities: tuple[float, float, float]
    dense: float | None = None
    lexical: bool = False
    exact: Stance | None = None
    findings: float = 0.0

    @property
    def stance(self) -> Stance:
        """The most probable stance; NEUTRAL first, then SUPPORTS, where equal."""
        return most_probable(self.probabilities)

    @property
    def leaning(self) -> Stance:
        """The side it counts for: its exact answer, else the likelier of SUPPORTS and REFUTES.

        NEUTRAL only where both are equally likely.
        """
        if self.exact is not None:
            return self.exact
        support, refute, _ = self.probabilities
        return "NEUTRAL" if support == refute else "SUPPORTS" if support > refute else "REFUTES"


def most_probable(probabilities: Sequence[float]) -> Stance:
    """Return the stance with the highest probability; on a tie the most careful one (NEUTRAL first)."""
    return STANCES[max((_NEUTRAL, _SUPPORTS, _REFUTES), key=lambda index: probabilities[index])]


def judged_text(claim: str, item: Evidence) -> str:
    """Return the words that are judged: those of :func:`passage_text` that are not beside the point."""
    if item.kind != "passage":
        return passage_text(item)
    return titled(item.title, without_asides(claim, item.title, _closed(item.text)))


def passage_text(item: Evidence) -> str:
    """Return the words of an item: a passage behind its title, which often names what "it" is.

    Spacing and the final stop say nothing, so copies that differ in them are read as one.
    """
    text = _closed(item.text)
    return titled(item.title, text) if item.kind == "passage" else text


def _closed(text: str) -> str:
    words = " ".join(text.split()).rstrip(" .")
    return words if words.endswith(_ENDS) or not words else f"{words}."


def gated(names: Sequence[str], item: Evidence, row: Sequence[float]) -> Sequence[float]:
    """Return the stance row, or a bystander's when the item names nothing that the claim names."""
    return BYSTANDER if names_nothing_of(names, item) else row


def names_nothing_of(names: Sequence[str], item: Evidence) -> bool:
    """Return whether an item names not one of the claim's ``names``; ``False`` where the claim has none.

    A number that differs says nothing about a mountain the passage does not speak of. A name counts as
    said when its longest word is.
    """
    if not names:
        return False
    said = set(_WORD.findall(passage_text(item).casefold()))
    tellings = [max(_WORD.findall(name.casefold()), key=len, default="") for name in names]
    return not said.intersection(tellings)


def strongest(readings: Sequence[Reading], count: int) -> list[Reading]:
    """Return the ``count`` most decisive readings of distinct wordings, ties by id: those worth comparing."""
    decisive = sorted(distinct(readings), key=lambda each: (-max(each.probabilities[:2]), each.id))
    return decisive[:count]


def read_evidence(item: Evidence, probabilities: Sequence[float], exact: Stance | None = None) -> Reading:
    """Return the reading of one evidence item with its stance probabilities, rounded to 6 decimals."""
    support, refute, neutral = (round(float(value), 6) for value in probabilities)
    key = text_sha256(" ".join(item.text.split()).casefold().rstrip(" ."))
    scores = item.scores
    found = scores.bm25 is not None
    return Reading(key, item.id, (support, refute, neutral), scores.dense, found, exact)


def with_findings(readings: Sequence[Reading], balances: Mapping[str, float]) -> list[Reading]:
    """Return the readings with the balance of their findings, by item id; copies of an item share its own."""
    by_words: dict[str, float] = {}
    for reading in sorted(readings, key=lambda each: each.id):
        if reading.id in balances:
            by_words.setdefault(reading.key, balances[reading.id])
    return [replace(reading, findings=by_words.get(reading.key, 0.0)) for reading in readings]


def distinct(readings: Sequence[Reading]) -> list[Reading]:
    """Return one reading a wording, sorted by wording; of repeats the one with the smallest id is kept."""
    kept: dict[str, Reading] = {}
    for reading in sorted(readings, key=lambda each: (each.key, each.id)):
        kept.setdefault(reading.key, reading)
    return list(kept.values())


def claim_features(readings: Sequence[Reading]) -> NDArray[np.float32]:
    """Return the feature row (len(AGGREGATE_FEATURES),) float32 of one claim; zeros without readings."""
    support, refute = _side(readings, _SUPPORTS), _side(readings, _REFUTES)
    sums = SIDE_FEATURES.index("sum")
    values = [*support, *refute, support[0] - refute[0], support[sums] - refute[sums]]
    return np.array([round(value, 6) for value in values], dtype=np.float32)


def _side(readings: Sequence[Reading], side: int) -> list[float]:
    """Return the values of ``SIDE_FEATURES`` for column ``side`` of the stances."""
    best: dict[str, list[float]] = {}
    for reading in readings:
        if reading.leaning == STANCES[side]:
            told = _told(reading, side)
            known = best.get(reading.key, told)
            best[reading.key] = [max(pair) for pair in zip(known, told, strict=True)]
    own, lead, told, weighted, near, confirmed, unopposed = (
        [sorted(column, reverse=True) for column in zip(*best.values(), strict=True)] if best else [[]] * 7
    )
    voices = float(min(MOST_VOICES, sum(value >= 0.5 for value in own)))
    strongest = [*own, 0.0, 0.0, 0.0][:3]
    tops = [column[0] if column else 0.0 for column in (lead, told, near, confirmed, unopposed)]
    # fsum is exact, so the order of the items cannot show.
    return [*strongest, *tops[:2], math.fsum(weighted), voices, *tops[2:]]


def _told(reading: Reading, side: int) -> list[float]:
    """What one item tells for its side; none of it is negative."""
    own, other = reading.probabilities[side], reading.probabilities[1 - side]
    relevance = UNKNOWN_RELEVANCE if reading.dense is None else min(1.0, max(0.0, reading.dense))
    findings = reading.findings if side == _SUPPORTS else -reading.findings
    return [
        own,
        max(0.0, own - other),
        1.0 - reading.probabilities[_NEUTRAL],
        own * (1.0 - reading.probabilities[_NEUTRAL]),
        own * relevance,
        own * max(0.0, findings),
        own * (1.0 - max(0.0, -findings)),
    ]


def conclude(scored: Sequence[float], readings: Sequence[Reading]) -> Probabilities:
    """Return the verdict probabilities of one claim.

    ``scored`` is the aggregator's row in the order of ``VERDICT_LABELS``. NOT_ENOUGH_INFO is weighed in it
    against CONFLICTING, the others among each other: how much is told, and what. So more of one side can take
    from knowing nothing and from the other side, never from itself.

    1. No evidence: exactly ``NO_EVIDENCE``.
    2. A side that not one item speaks for keeps at most ``UNSPOKEN_SHARE``, so it can never be the label; so
       does CONFLICTING where a side has no voice. From a single wording it gets nothing.
    3. An exact structured answer takes ``EXACT_SHARE`` of everything; where exact answers contradict each
       other, CONFLICTING takes it.
    """
    if not readings:
        return NO_EVIDENCE
    support, refute, conflict = _told_shares(scored)
    voices = {item.exact or item.stance for item in readings}
    if "SUPPORTS" not in voices:
        support, conflict = min(support, UNSPOKEN_SHARE), min(conflict, UNSPOKEN_SHARE)
    if "REFUTES" not in voices:
        refute, conflict = min(refute, UNSPOKEN_SHARE), min(conflict, UNSPOKEN_SHARE)
    if len({item.key for item in readings}) < 2:
        conflict = 0.0
    row = [support, refute, 1.0 - support - refute - conflict, conflict]
    decided = _exact_column(readings)
    if decided is not None:
        row = [value * (1.0 - EXACT_SHARE) for value in row]
        row[decided] += EXACT_SHARE
    return _rounded(row)


def _told_shares(scored: Sequence[float]) -> tuple[float, float, float]:
    """Return SUPPORTED, REFUTED and CONFLICTING; what is missing to 1 is not told."""
    support, refute, unknown, conflict = (float(value) for value in scored)
    told, reference = support + refute + conflict, unknown + conflict
    if told <= 0.0 or reference <= 0.0:
        return support, refute, conflict
    share = conflict / reference / told
    return support * share, refute * share, conflict * share


def weaker_side(readings: Sequence[Reading]) -> float:
    """Return the highest min(S of one, R of another) over items that lean to different sides, in [0, 1]."""
    return max((min(pair) for pair in _opposed(readings)), default=0.0)


def _opposed(readings: Sequence[Reading]) -> Iterator[tuple[float, float]]:
    for one in readings:
        for other in readings:
            if one.key != other.key and (one.leaning, other.leaning) == ("SUPPORTS", "REFUTES"):
                yield one.probabilities[_SUPPORTS], other.probabilities[_REFUTES]


def _exact_column(readings: Sequence[Reading]) -> int | None:
    """Return the verdict column that exact answers decide (3: they contradict each other), or ``None``."""
    answers = {item.exact for item in readings}
    if {"SUPPORTS", "REFUTES"} <= answers:
        return 3
    if "SUPPORTS" in answers:
        return 0
    return 1 if "REFUTES" in answers else None


def _rounded(row: Sequence[float]) -> Probabilities:
    """Return the row to 6 decimals, cut off so that no order is turned; NOT_ENOUGH_INFO gets the rest."""
    support, refute, _, conflict = (math.floor(value * _PARTS + 1e-3) for value in row)
    unknown = _PARTS - support - refute - conflict
    return support / _PARTS, refute / _PARTS, unknown / _PARTS, conflict / _PARTS
