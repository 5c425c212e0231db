"""Sets the dates of a claim against those of a passage.

Called by ``data.exact.comparison``. A passage often dates several things, so a date only meets one that
stands beside the same words.
"""

from __future__ import annotations

from collections.abc import Iterator

from data.analysis import FindingOutcome, PairFinding
from data.exact.frame import Frame, detailed
from data.exact.matching import BORNE_OUT, Candidate, matched
from data.exact.times import Time, relation

_IN_WORDS: dict[FindingOutcome, str] = {
    "agrees": "the same",
    "entails": "this lies within it",
    "conflicts": "both cannot be true",
    "not_comparable": "this leaves it open",
}


def compare_dates(frame: Frame) -> list[PairFinding]:
    """Return one finding for each date of the claim that has a partner in the passage."""
    return [
        _finding(frame, frame.claim.times[each.mine], frame.passage.times[each.theirs], each)
        for each in matched(_candidates(frame))
    ]


def _candidates(frame: Frame) -> Iterator[Candidate]:
    """Return what a date may be set against; a date that the passage bears out is contradicted by none."""
    for place, mine in enumerate(frame.claim.times):
        beside = []
        for other, theirs in enumerate(frame.passage.times):
            outcome = relation(mine, theirs)
            if outcome is not None:
                share = frame.share_at(theirs.span.start)
                likeness = frame.claim.time_contexts[place].likeness(frame.passage.time_contexts[other])
                beside.append(Candidate(place, other, outcome, likeness + share, share))
        borne_out = any(each.outcome in BORNE_OUT for each in beside)
        yield from (each for each in beside if not borne_out or each.outcome in BORNE_OUT)


def _finding(frame: Frame, mine: Time, theirs: Time, pair: Candidate) -> PairFinding:
    detail = detailed(frame, mine.span, theirs.span, _IN_WORDS[pair.outcome])
    return PairFinding("date", pair.outcome, mine.span, theirs.span, detail, pair.strength)
