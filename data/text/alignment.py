"""Lays a claim beside a passage, word for word: which sentence is closest, how much of the claim it covers.

Called once a pair by ``data.text.comparison``; the other parts read its result. Only content lemmas count.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from data.analysis import Span
from data.text.profile import Profile, SentenceProfile

_NO_SPAN = Span(0, 0)
_EMPTY = SentenceProfile(_NO_SPAN, (), frozenset(), 0, 0)
_MAX_UNMATCHED = 10.0
_MAX_LOG_RATIO = 3.0


@dataclass(frozen=True, slots=True)
class Alignment:
    """The ``best`` sentence of the passage; ``recall`` is the share of the claim found in it."""

    best: SentenceProfile
    recall: float
    unmatched: tuple[str, ...]
    features: tuple[float, ...]

    @property
    def sentence(self) -> Span:
        """Place of the best sentence in the passage."""
        return self.best.span


def align(claim: Profile, passage: Profile) -> Alignment:
    """Return the alignment of the two; the first sentence wins a tie."""
    weights = claim.weights
    total = math.fsum(weights.values()) or 1.0
    best, score = _EMPTY, -1.0
    for sentence in passage.sentences:
        # fsum, for a plain sum over a set would depend on the order that string hashing gives it.
        covered = math.fsum([weights[lemma] for lemma in claim.lemma_set & sentence.lemma_set])
        if covered > score:
            best, score = sentence, covered
    mine, theirs = claim.lemma_set, best.lemma_set
    shared = len(mine & theirs)
    size = len(mine) or 1
    unmatched = tuple(dict.fromkeys(lemma for lemma in claim.lemmas if lemma not in passage.lemma_set))
    features = (
        (len(mine) - len(unmatched)) / size,
        shared / size,
        max(score, 0.0) / total,
        _soft_recall(claim, passage, unmatched),
        shared / (len(theirs) or 1),
        shared / (len(mine | theirs) or 1),
        _common_subsequence(claim, best) / (len(claim.lemmas) or 1),
        _bigram_recall(claim, best),
        min(float(len(unmatched)), _MAX_UNMATCHED),
        _is_in(claim.lemmas[:1], passage),
        _is_in(claim.lemmas[-1:], passage),
        *_lengths(claim, passage, best),
    )
    return Alignment(best, shared / size, unmatched, features)


def _soft_recall(claim: Profile, passage: Profile, unmatched: tuple[str, ...]) -> float:
    near = sum(1 for lemma in unmatched if len(lemma) >= 5 and lemma[:5] in passage.stems)
    return (len(claim.lemma_set) - len(unmatched) + near) / (len(claim.lemma_set) or 1)


def _common_subsequence(claim: Profile, best: SentenceProfile) -> int:
    """Return the length of the longest common subsequence of content lemmas.

    Source: bit-parallel LCS, H. Hyyrö, "Bit-parallel LCS-length computation revisited", AWOCA 2004.
    """
    positions = claim.positions
    full = (1 << len(claim.lemmas)) - 1
    row = full
    for lemma in best.lemmas:
        places = positions.get(lemma)
        if places:
            hit = row & places
            row = (row + hit) | (row - hit)
    return len(claim.lemmas) - (row & full).bit_count()


def _bigram_recall(claim: Profile, best: SentenceProfile) -> float:
    mine = set(zip(claim.lemmas, claim.lemmas[1:], strict=False))
    theirs = zip(best.lemmas, best.lemmas[1:], strict=False)
    return len(mine.intersection(theirs)) / (len(mine) or 1)


def _is_in(lemmas: tuple[str, ...], passage: Profile) -> float:
    return float(bool(lemmas) and lemmas[0] in passage.lemma_set)


def _lengths(claim: Profile, passage: Profile, best: SentenceProfile) -> tuple[float, float, float, float]:
    mine, theirs = math.log1p(len(claim.lemmas)), math.log1p(len(best.lemmas))
    ratio = max(-_MAX_LOG_RATIO, min(_MAX_LOG_RATIO, mine - theirs))
    return mine, theirs, math.log1p(len(passage.lemmas)), ratio
