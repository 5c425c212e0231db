"""Pairs the values or dates of a claim with those of a passage, each at most once.

Called by ``data.exact.amounts`` and ``data.exact.dates``, which score the candidates.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from data.analysis import FindingOutcome

#: Least score for two to be about one thing, when they agree and when they do not.
MIN_AGREEING, MIN_OTHER = 1.0, 1.3
#: Least share of the claim's frame in the sentence of the partner.
MIN_FRAME = 0.34
#: A partner that agrees is taken before a better placed one that does not, when it is at most this worse.
AGREE_BONUS = 1.0
BORNE_OUT: frozenset[FindingOutcome] = frozenset(("agrees", "entails"))


@dataclass(frozen=True, slots=True)
class Candidate:
    """Item ``mine`` of the claim beside item ``theirs`` of the passage, by index."""

    mine: int
    theirs: int
    outcome: FindingOutcome
    score: float
    frame: float

    @property
    def strength(self) -> float:
        """How sure it is that the two are about one thing, in (0, 1]."""
        return round(max(0.001, min(1.0, 0.2 * self.score + 0.4 * self.frame)), 3)


def matched(candidates: Iterable[Candidate]) -> list[Candidate]:
    """Return the best one-to-one pairing that taking the highest score first gives, in order of the claim."""
    fit = [each for each in candidates if is_fit(each)]
    fit.sort(key=lambda each: (-_rank(each), each.mine, each.theirs))
    mine: set[int] = set()
    theirs: set[int] = set()
    chosen = []
    for each in fit:
        if each.mine not in mine and each.theirs not in theirs:
            mine.add(each.mine)
            theirs.add(each.theirs)
            chosen.append(each)
    return sorted(chosen, key=lambda each: each.mine)


def is_fit(candidate: Candidate) -> bool:
    """Return whether enough shows that the two are about one thing."""
    least = MIN_AGREEING if candidate.outcome in BORNE_OUT else MIN_OTHER
    return candidate.frame >= MIN_FRAME and candidate.score >= least


def _rank(candidate: Candidate) -> float:
    return candidate.score + AGREE_BONUS * (candidate.outcome in BORNE_OUT)
