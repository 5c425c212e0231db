"""Sets the values of a claim against those of a passage: quantities, percentages, ordinals and ranks.

Called by ``data.exact.comparison``. A value meets the passage's value of the same dimension that counts the
same thing or stands among the same words; where nothing shows that the two measure one thing, there is no
finding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from data.analysis import FindingKind, FindingOutcome, PairFinding
from data.exact.frame import Frame, detailed
from data.exact.matching import Candidate, is_fit, matched
from data.exact.values import Value, relation
from data.exact.word_keys import key_of

_KINDS: dict[str, FindingKind] = {"percent": "percentage", "ordinal": "ordinal"}
_BARE = frozenset(("count", "ordinal"))
#: Numbers of unnamed things that lie further apart than this factor do not count the same thing.
_MAX_RATIO = 100.0
#: Dimensions in which a ratio says nothing.
_NO_RATIO = frozenset(("ordinal", "temperature"))
#: From this share on, a difference is told as a factor.
_FACTOR_FROM = 0.995


def compare_amounts(frame: Frame) -> list[PairFinding]:
    """Return one finding for each value of the claim that has a partner in the passage."""
    return [
        _finding(frame, frame.claim.values[each.mine], frame.passage.values[each.theirs], each)
        for each in matched(_candidates(frame))
    ]


def _candidates(frame: Frame) -> Iterator[Candidate]:
    """Return what a value may be set against; a number that the passage has is contradicted by no other."""
    for place, mine in enumerate(frame.claim.values):
        beside = []
        for other, theirs in enumerate(frame.passage.values):
            if theirs.dimension == mine.dimension or _both_money(mine, theirs):
                share = frame.share_at(theirs.span.start)
                score = _score(frame, (place, mine), (other, theirs)) + share
                beside.append(Candidate(place, other, _outcome(mine, theirs), score, share))
        said = mine.is_point and any(each.outcome == "agrees" and is_fit(each) for each in beside)
        yield from (each for each in beside if not said or each.outcome == "agrees")


def _score(frame: Frame, mine: tuple[int, Value], theirs: tuple[int, Value]) -> float:
    """Return how surely two values of one dimension measure the same thing."""
    around = frame.claim.value_contexts[mine[0]]
    beside = frame.passage.value_contexts[theirs[0]]
    ratio = _ratio(mine[1], theirs[1])
    score = around.likeness(beside) + 1.0 / ratio
    own = key_of(mine[1].noun) if mine[1].noun else None
    other = key_of(theirs[1].noun) if theirs[1].noun else None
    if own is not None and own == other:
        return score + 1.5
    if mine[1].dimension not in _BARE:
        return score
    if ratio > _MAX_RATIO:
        return -1.0
    if own is not None and other is not None:
        return score - (0.0 if own in beside.near or other in around.near else 2.0)
    return score - 0.4


def _ratio(mine: Value, theirs: Value) -> float:
    """Return by what factor two values differ, 1 for the same; bounds count as the number they name."""
    one, other = abs(_named(mine)), abs(_named(theirs))
    low, high = min(one, other), max(one, other)
    return high / low if low > 0 else 1.0 if high == low else _MAX_RATIO


def _named(value: Value) -> float:
    return value.high if value.low == -math.inf else value.low


def _outcome(mine: Value, theirs: Value) -> FindingOutcome:
    return "not_comparable" if _odd_units(mine, theirs) else relation(mine, theirs)


def _both_money(mine: Value, theirs: Value) -> bool:
    return mine.dimension.startswith("money:") and theirs.dimension.startswith("money:")


def _odd_units(mine: Value, theirs: Value) -> str:
    """Return why two values cannot be set against each other, or ""."""
    if mine.dimension == "ordinal" and mine.is_point != theirs.is_point and _ratio(mine, theirs) == 1.0:
        return "one is told of the other"
    if mine.dimension != theirs.dimension:
        return "these are different currencies"
    if mine.dimension == "percent" and (mine.unit == "pp") != (theirs.unit == "pp"):
        return "percent and percentage points are not the same"
    return ""


def _finding(frame: Frame, mine: Value, theirs: Value, pair: Candidate) -> PairFinding:
    detail = detailed(frame, mine.span, theirs.span, _in_words(mine, theirs, pair.outcome))
    kind = _KINDS.get(mine.dimension.partition("/")[0], "quantity")
    return PairFinding(kind, pair.outcome, mine.span, theirs.span, detail, pair.strength)


def _in_words(mine: Value, theirs: Value, outcome: FindingOutcome) -> str:
    if outcome == "not_comparable":
        return _odd_units(mine, theirs) or "this leaves it open"
    if outcome == "entails":
        return "this lies within it"
    if outcome == "agrees":
        return _the_same(mine, theirs)
    if mine.is_point and theirs.is_point and mine.dimension not in _NO_RATIO and theirs.low:
        return _apart(mine, theirs)
    return "both cannot be true"


def _the_same(mine: Value, theirs: Value) -> str:
    if mine.unit != theirs.unit and mine.dimension != "percent":
        return "the same in other units"
    exact = (mine.low, mine.high) == (theirs.low, theirs.high)
    return "the same" if exact or not theirs.is_point else "the same, as far as they are stated"


def _apart(mine: Value, theirs: Value) -> str:
    """Say how far two points lie apart, in words."""
    if mine.dimension == "percent":
        return f"{abs(mine.low - theirs.low):.3g} points apart"
    share = abs(mine.low - theirs.low) / abs(theirs.low)
    if share < _FACTOR_FROM:
        return f"{share * 100:.0f} % apart" if share >= 0.01 else f"{share * 100:.2g} % apart"
    return (
        f"{mine.low / theirs.low:.3g} times as much" if mine.low * theirs.low > 0 else "both cannot be true"
    )
