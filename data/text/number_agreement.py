"""Sets the numbers of a claim against those of a passage, in SI units, with comparators and stated precision.

Called by ``data.text.comparison``. A number is set against the passage number of the same dimension that
counts the same noun or stands among the same words. Rounding forgives: "24 million" is what was said of
23,987,122; "about" widens by 5 %.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from data.analysis import Finding, Quantity
from data.text.alignment import Alignment
from data.text.profile import MAX_NUMBERS, Profile

_INF = math.inf
#: Share by which "about" and its like widen a number (own choice: "about 24" still holds for 25).
_ABOUT = 0.05
#: Rounding never forgives more than this share of the number.
_MAX_ROUNDING = 0.025
_MAX_COUNT = 5
_MAX_GAP = 3.0
_DIGITS = re.compile(r"\d[\d,]*(?:\.(\d+))?")
_SCALES = re.compile(
    r"hundred|thousand|lakh|million|crore|billion|trillion|\d ?(?:k|m|bn|mn|b|tn)\b", re.IGNORECASE
)
_AGREE, _OPEN, _CONFLICT = 1, 0, -1
_DEFAULT = "="


@dataclass(frozen=True, slots=True)
class _Match:
    mine: Quantity
    theirs: Quantity
    verdict: int
    score: float


def compare_numbers(
    claim: Profile, passage: Profile, aligned: Alignment, findings: list[Finding]
) -> list[float]:
    """Return the number features and add a finding for each number that agrees or conflicts."""
    quantities = claim.analysis.quantities[:MAX_NUMBERS]
    if not quantities:
        return [0.0] * 12
    matches = [_best_match(claim, passage, aligned, place) for place in range(len(quantities))]
    made = [match for match in matches if match is not None]
    for match in made:
        findings.extend(_finding(claim, passage, match))
    others = _same_number_elsewhere(claim, passage, matches)
    agree = [match for match in made if match.verdict == _AGREE]
    conflict = [match for match in made if match.verdict == _CONFLICT]
    return [
        _capped(len(quantities)),
        _capped(len(agree)),
        _capped(len(conflict)),
        _capped(len(made) - len(agree) - len(conflict)),
        _capped(len(quantities) - len(made)),
        min((_gap(match) for match in made if match.verdict != _AGREE), default=0.0),
        _capped(sum(match.mine.comparator not in "=~" for match in agree)),
        _capped(sum(match.mine.comparator not in "=~" for match in conflict)),
        _capped(sum(match.mine.dimension == "percent" for match in conflict)),
        _capped(sum(match.mine.dimension == "ordinal" for match in agree)),
        _capped(sum(match.mine.dimension == "ordinal" for match in conflict)),
        _capped(others),
    ]


def _capped(count: int) -> float:
    return float(min(count, _MAX_COUNT))


def _best_match(claim: Profile, passage: Profile, aligned: Alignment, place: int) -> _Match | None:
    mine = claim.analysis.quantities[place]
    around = claim.number_contexts[place]
    best: _Match | None = None
    for other, theirs in enumerate(passage.analysis.quantities[:MAX_NUMBERS]):
        if theirs.dimension != mine.dimension:
            continue
        score = _likeness(mine, theirs, len(around & passage.number_contexts[other]))
        score += 0.5 * (aligned.sentence.start <= theirs.span.start < aligned.sentence.end)
        if score <= 0:
            continue
        verdict = _verdict(mine, theirs, tolerance(claim.text, mine), tolerance(passage.text, theirs))
        match = _Match(mine, theirs, verdict, score + 0.25 * (verdict == _AGREE))
        if best is None or match.score > best.score:
            best = match
    return best


def _likeness(mine: Quantity, theirs: Quantity, shared: int) -> float:
    """Return how likely two numbers of one dimension measure the same thing; 0 or less is no."""
    if mine.noun is not None and mine.noun == theirs.noun:
        return 2.0 + shared
    differ = mine.noun is not None and theirs.noun is not None
    if mine.dimension == "count":
        return shared - (1.0 if differ else 0.4)
    if mine.dimension == "ordinal":
        return shared - (1.5 if differ else 0.6)
    return shared + 0.1


def tolerance(text: str, quantity: Quantity) -> float:
    """Return how far ``base_value`` may be off as written: half its last stated digit, at most 2.5 %."""
    words = text[quantity.span.start : quantity.span.end]
    base = abs(quantity.base_value)
    match = _DIGITS.search(words)
    digits = match[0].replace(",", "") if match else ""
    if match and match[1]:
        step = base * 10.0 ** -len(match[1]) / (float(digits) or 1.0)
    elif _SCALES.search(words):
        step = base / (float(digits) or 1.0) if digits else base / 10
    elif digits and len(digits) > 3:
        step = base * 10.0 ** (len(digits) - len(digits.rstrip("0"))) / (float(digits) or 1.0)
    else:
        return _ABOUT * base if quantity.comparator == "~" else 1e-9 * base
    rounding = min(step / 2, _MAX_ROUNDING * base)
    return max(rounding, _ABOUT * base) if quantity.comparator == "~" else rounding


def _verdict(mine: Quantity, theirs: Quantity, my_slack: float, their_slack: float) -> int:
    claim_point, passage_point = mine.comparator in "=~", theirs.comparator in "=~"
    if claim_point and passage_point:
        gap = abs(mine.base_value - theirs.base_value)
        return _AGREE if gap <= max(my_slack, their_slack) else _CONFLICT
    if passage_point:
        slack = their_slack if theirs.comparator == "~" else 0.0
        low, high = _holds(mine, theirs.base_value - slack), _holds(mine, theirs.base_value + slack)
        return _AGREE if low and high else _OPEN if low or high else _CONFLICT
    if claim_point:
        edges = (mine.base_value - my_slack, mine.base_value, mine.base_value + my_slack)
        return _OPEN if any(_holds(theirs, edge) for edge in edges) else _CONFLICT
    return _bounds_verdict(mine, theirs)


def _bounds_verdict(mine: Quantity, theirs: Quantity) -> int:
    """Compare two bounds: the passage's may be the tighter, or the two may leave no room."""
    upward = mine.comparator[0] == ">"
    if (theirs.comparator[0] == ">") == upward:
        tighter = theirs.base_value >= mine.base_value if upward else theirs.base_value <= mine.base_value
        return _AGREE if tighter else _OPEN
    low, high = (mine, theirs) if upward else (theirs, mine)
    touch = low.base_value == high.base_value and "=" in low.comparator and "=" in high.comparator
    return _CONFLICT if low.base_value >= high.base_value and not touch else _OPEN


def _holds(bound: Quantity, value: float) -> bool:
    limit = bound.base_value
    if bound.comparator == ">":
        return value > limit
    if bound.comparator == ">=":
        return value >= limit
    return value < limit if bound.comparator == "<" else value <= limit


def _gap(match: _Match) -> float:
    mine, theirs = abs(match.mine.base_value), abs(match.theirs.base_value)
    if mine == theirs:
        return 0.0
    if mine == 0 or theirs == 0:
        return _MAX_GAP
    return min(_MAX_GAP, abs(math.log(mine) - math.log(theirs)))


def _finding(claim: Profile, passage: Profile, match: _Match) -> list[Finding]:
    if match.verdict == _OPEN:
        return []
    mine, theirs = match.mine.span, match.theirs.span
    said, found = claim.text[mine.start : mine.end], passage.text[theirs.start : theirs.end]
    sure = 0.6 if match.score >= 2 else 0.3
    if match.verdict == _AGREE:
        return [Finding("number_agreement", f"{found!r} bears out {said!r}.", sure, mine, None, theirs)]
    kind = {"percent": "percent_mismatch", "ordinal": "ordinal_mismatch"}.get(
        match.mine.dimension, "number_mismatch"
    )
    return [Finding(kind, f"The claim says {said!r}, the passage {found!r}.", -sure, mine, None, theirs)]


def _same_number_elsewhere(claim: Profile, passage: Profile, matches: list[_Match | None]) -> int:
    """Count claim numbers without a match whose very value the passage gives to another noun or unit."""
    count = 0
    for mine, match in zip(claim.analysis.quantities, matches, strict=False):
        if match is None:
            count += any(
                theirs.value == mine.value
                and (theirs.dimension != mine.dimension or theirs.noun != mine.noun)
                for theirs in passage.analysis.quantities[:MAX_NUMBERS]
            )
    return count
