"""Findings as numbers, of one pair and of all pairs of a claim; and which finding decides.

Called by the empirical framework and by the training of the aggregator. Pure. Rows are finite, rounded to 6
decimals, the same whatever the order of the evidence, and no finding said twice counts twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.analysis import FINDING_KINDS, FindingKind, PairFinding

_BORNE_OUT = frozenset(("agrees", "entails"))
_MAX_COUNT = 5
_PER_KIND = tuple(f"{kind}_{side}" for kind in FINDING_KINDS for side in ("agrees", "conflicts"))

#: Order of ``pair_features``. ``<kind>_agrees`` and ``<kind>_conflicts`` are the strength of the strongest
#: finding that agrees or entails, and that conflicts; 0 where there is none.
FINDING_FEATURES: tuple[str, ...] = (
    *_PER_KIND,
    "findings_open",  # strength of the strongest finding that settles nothing
    "findings_agreeing",  # how many agree or entail, capped at 5
    "findings_conflicting",
    "findings_balance",  # strongest weight for the claim minus the strongest against it, in [-1, 1]
)
#: Order of ``claim_features``: the strongest over all items, and over items where it says so.
CLAIM_FINDING_FEATURES: tuple[str, ...] = (
    *_PER_KIND,
    "findings_open",
    "items_agreeing",  # items with a balance above 0, capped at 5
    "items_conflicting",  # items with a balance below 0, capped at 5
    "balance_best",  # highest balance of an item; 0 where there is none
    "balance_worst",  # lowest balance of an item
)

#: Share of pairs with such a finding (agreeing, conflicting) that have the label it speaks for. Source: 8,000
#: pairs each of the train splits of VitaminC and FEVER with gold evidence, the lower of the two where both
#: have 30 findings. Roles, and antonyms that agree, are too rare there: own choice.
RELIABILITY: dict[FindingKind, tuple[float, float]] = {
    "quantity": (0.72, 0.82),
    "percentage": (0.91, 0.85),
    "ordinal": (0.55, 0.87),
    "date": (0.73, 0.73),
    "quantifier": (0.64, 0.97),
    "negation": (0.72, 0.97),
    "antonym": (0.6, 0.92),
    "entity": (0.69, 0.74),
    "role": (0.6, 0.85),
}


def weight(finding: PairFinding) -> float:
    """Return how far a finding speaks for (+) or against (-) the claim, in [-1, 1].

    That is its strength times how far its kind does better than a guess.
    """
    agreeing, conflicting = RELIABILITY[finding.kind]
    if finding.outcome in _BORNE_OUT:
        return round(finding.strength * (2 * agreeing - 1), 6)
    return -round(finding.strength * (2 * conflicting - 1), 6) if finding.outcome == "conflicts" else 0.0


def decisive(found: Sequence[PairFinding], *, against: bool) -> PairFinding | None:
    """Return the finding with most weight against (or for) the claim, the first of equals, or ``None``."""
    sign = -1.0 if against else 1.0
    speaking = [each for each in found if sign * weight(each) > 0]
    return max(speaking, key=lambda each: sign * weight(each), default=None)


def pair_features(found: Sequence[PairFinding]) -> list[float]:
    """Return the row of one pair, in the order of ``FINDING_FEATURES``."""
    agreeing = [each for each in found if each.outcome in _BORNE_OUT]
    conflicting = [each for each in found if each.outcome == "conflicts"]
    open_ = [each for each in found if each.outcome == "not_comparable"]
    row = [
        strongest
        for kind in FINDING_KINDS
        for strongest in (_strongest(agreeing, kind), _strongest(conflicting, kind))
    ]
    row.append(max((each.strength for each in open_), default=0.0))
    row += [float(min(_MAX_COUNT, len(each))) for each in (agreeing, conflicting)]
    row.append(balance(found))
    return row


def balance(found: Sequence[PairFinding]) -> float:
    """Return the strongest weight for the claim minus the strongest against it, in [-1, 1]."""
    weights = [weight(each) for each in found]
    return round(max([0.0, *weights]) + min([0.0, *weights]), 6)


def claim_features(items: Sequence[Sequence[PairFinding]]) -> list[float]:
    """Return the row of a claim, in the order of ``CLAIM_FINDING_FEATURES``.

    ``items`` holds the findings of each distinct evidence item. No items, and items without findings, give
    zeros.
    """
    rows = [pair_features(found) for found in items]
    size = len(_PER_KIND) + 1
    row = [max((each[place] for each in rows), default=0.0) for place in range(size)]
    balances = [each[-1] for each in rows]
    row.append(float(min(_MAX_COUNT, sum(value > 0 for value in balances))))
    row.append(float(min(_MAX_COUNT, sum(value < 0 for value in balances))))
    row += [max(balances, default=0.0), min(balances, default=0.0)]
    return row


def _strongest(found: Sequence[PairFinding], kind: FindingKind) -> float:
    return max((each.strength for each in found if each.kind == kind), default=0.0)
