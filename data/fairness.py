"""Group fairness of binary decisions: how differently groups are treated, and how sure one may be of it.

Called by the power-dynamics tools (``ComputeFairness``) over verdicts. Pure; groups are reported in sorted
order. Every rate comes with its interval, because a gap between small groups is mostly noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

from data.errors import InvalidValueError

#: Two-sided 95 % normal quantile.
Z_95 = 1.959963984540054
#: A rate over fewer decisions than this is called small: at 30, the 95 % interval of an even rate is still
#: 0.34 wide.
SMALL_GROUP = 30


@dataclass(frozen=True, slots=True)
class Rate:
    """A proportion: ``hits`` of ``size``, with its 95 % Wilson interval."""

    hits: int
    size: int
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Gap:
    """The largest difference of a rate between two groups, with a 95 % interval of that pair's difference.

    The pair is chosen because it is the most extreme: with many groups the interval is somewhat too hopeful.
    """

    value: float
    low: float
    high: float
    highest_group: str
    lowest_group: str


@dataclass(frozen=True, slots=True)
class GroupRates:
    """One group: how often it was selected, and how often among its true positives and its true negatives.

    A rate is ``None`` where the group has no member of that kind.
    """

    group: str
    selection: Rate
    true_positive: Rate | None
    false_positive: Rate | None


@dataclass(frozen=True, slots=True)
class FairnessReport:
    """Rates by group and the two gaps.

    ``equalized_odds`` is ``None`` when no rate of it is known for two groups; ``caution`` says in words
    when numbers are too small to lean on.
    """

    groups: tuple[GroupRates, ...]
    demographic_parity: Gap | None
    equalized_odds: Gap | None
    caution: str | None


def wilson(hits: int, size: int, *, z: float = Z_95) -> Rate:
    """Return a proportion with its score interval.

    Raises:
        InvalidValueError: ``size`` is not positive or ``hits`` is outside [0, size].

    Source: Wilson 1927, "Probable inference, the law of succession, and statistical inference", JASA 22.
    """
    if size <= 0 or not 0 <= hits <= size:
        raise InvalidValueError(f"A rate needs 0 <= hits <= size and size > 0; got hits {hits}, size {size}.")
    share, spread = hits / size, z * z / size
    centre = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / size + spread / (4 * size)) / (1 + spread)
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    # At the ends the interval touches 0 or 1 exactly; floating point may miss it by a hair.
    return Rate(hits, size, _six(share), 0.0 if hits == 0 else _six(low), 1.0 if hits == size else _six(high))


def group_rates(
    labels: Sequence[int], predictions: Sequence[int], groups: Sequence[str]
) -> tuple[GroupRates, ...]:
    """Return the rates of each group, sorted by its name. Labels and predictions are 0 or 1, of equal length.

    Raises:
        InvalidValueError: nothing given, unequal lengths, or a value that is neither 0 nor 1.
    """
    _check(labels, predictions, groups)
    rows: dict[str, list[tuple[int, int]]] = {}
    for label, prediction, group in zip(labels, predictions, groups, strict=True):
        rows.setdefault(group, []).append((int(label), int(prediction)))
    return tuple(
        GroupRates(
            group,
            wilson(sum(chosen for _, chosen in pairs), len(pairs)),
            _rate_where(pairs, 1),
            _rate_where(pairs, 0),
        )
        for group, pairs in sorted(rows.items())
    )


def demographic_parity_difference(rates: Sequence[GroupRates]) -> Gap | None:
    """Return the gap between the highest and the lowest selection rate; ``None`` for fewer than two groups.

    Source: Dwork et al. 2012, "Fairness through awareness" (statistical parity).
    """
    return _widest([(one.group, one.selection) for one in rates])


def equalized_odds_difference(rates: Sequence[GroupRates]) -> Gap | None:
    """Return the larger of the gaps in true-positive and false-positive rate; ``None`` when neither is known.

    Source: Hardt, Price & Srebro 2016, "Equality of opportunity in supervised learning", definition 2.1.
    """
    hits = _widest([(one.group, one.true_positive) for one in rates if one.true_positive])
    alarms = _widest([(one.group, one.false_positive) for one in rates if one.false_positive])
    gaps = [gap for gap in (hits, alarms) if gap]
    return max(gaps, key=lambda gap: gap.value) if gaps else None


def assess_fairness(
    labels: Sequence[int], predictions: Sequence[int], groups: Sequence[str]
) -> FairnessReport:
    """Return rates, gaps and a caution for binary decisions over groups.

    Raises:
        InvalidValueError: as :func:`group_rates`.
    """
    rates = group_rates(labels, predictions, groups)
    return FairnessReport(
        rates, demographic_parity_difference(rates), equalized_odds_difference(rates), _caution(rates)
    )


def _check(labels: Sequence[int], predictions: Sequence[int], groups: Sequence[str]) -> None:
    if not len(labels) == len(predictions) == len(groups):
        raise InvalidValueError(
            f"Labels ({len(labels)}), predictions ({len(predictions)}) and groups ({len(groups)}) "
            "must have one entry for each decision."
        )
    if len(labels) == 0:
        raise InvalidValueError("There is no decision to assess: send at least one.")
    if not all(value in (0, 1) for values in (labels, predictions) for value in values):
        raise InvalidValueError("Labels and predictions must be 0 or 1.")


def _rate_where(pairs: Sequence[tuple[int, int]], label: int) -> Rate | None:
    chosen = [prediction for truth, prediction in pairs if truth == label]
    return wilson(sum(chosen), len(chosen)) if chosen else None


def _widest(rates: Sequence[tuple[str, Rate]]) -> Gap | None:
    if len(rates) < 2:
        return None
    ordered = sorted(rates, key=lambda item: (item[1].value, item[0]))
    (low_group, low), (high_group, high) = ordered[0], ordered[-1]
    difference = high.value - low.value
    below = sqrt((high.value - high.low) ** 2 + (low.high - low.value) ** 2)
    above = sqrt((high.high - high.value) ** 2 + (low.value - low.low) ** 2)
    # Source: Newcombe 1998, "Interval estimation for the difference between independent proportions",
    # Statistics in Medicine 17, method 10.
    return Gap(
        _six(difference),
        _six(max(-1.0, difference - below)),
        _six(min(1.0, difference + above)),
        high_group,
        low_group,
    )


def _caution(rates: Sequence[GroupRates]) -> str | None:
    if len(rates) < 2:
        return f"There is one group only ({rates[0].group}): nothing to compare it with."
    small = [one.group for one in rates if _smallest(one) < SMALL_GROUP]
    if not small:
        return None
    return (
        f"Fewer than {SMALL_GROUP} decisions stand behind a rate of: {', '.join(small)}. Read the intervals, "
        "not the gaps."
    )


def _smallest(rates: GroupRates) -> int:
    return min(
        (
            rates.true_positive.size if rates.true_positive else 0,
            rates.false_positive.size if rates.false_positive else 0,
        )
    )


def _six(value: float) -> float:
    return round(value, 6)
