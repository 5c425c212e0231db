"""How much of what a claim speaks of a sentence of the passage speaks of, too.

Worked out once a pair by ``data.exact.comparison``. The numbers, dates and names under comparison do not
count: "the tower is 330 m tall" and "the tower is 300 m tall" have the same frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from data.analysis import FindingKind, FindingOutcome, PairFinding, Span
from data.exact.side import Side
from data.exact.word_keys import key_of

_WORD = re.compile(r"\w+")
#: Characters of a title that are read.
_TITLE_CHARS = 200
#: Share of a claim that says nothing but what is under comparison ("She is 31 years old").
_NOTHING_ELSE = 0.5


@dataclass(frozen=True, slots=True)
class Frame:
    """A claim beside a passage; ``shares`` in [0, 1], one a sentence of the passage."""

    claim: Side
    passage: Side
    title_keys: frozenset[str]
    shares: tuple[float, ...]

    def share_at(self, offset: int) -> float:
        """Return the share of the sentence that holds a character of the passage."""
        return self.shares[self.passage.sentence_at(offset)] if self.shares else 0.0

    @property
    def best(self) -> int:
        """Number of the sentence with the largest share; the first where several have it."""
        return max(range(len(self.shares)), key=lambda place: (self.shares[place], -place), default=0)

    def finding(
        self, what: tuple[FindingKind, FindingOutcome], spans: tuple[Span, Span], told: str
    ) -> PairFinding:
        """Return a finding of claim and passage spans, as strong as the frame of its sentence."""
        mine, theirs = spans
        detail = detailed(self, mine, theirs, told)
        strength = round(max(0.001, min(1.0, self.share_at(theirs.start))), 3)
        return PairFinding(what[0], what[1], mine, theirs, detail, strength)

    def share_without(self, sentence: int, without: frozenset[str]) -> float:
        """Return the share of one sentence when the keys in ``without`` are under comparison."""
        return share(self.claim, self.passage, sentence, self.title_keys, without)


def lay(claim: Side, passage: Side, title: str) -> Frame:
    """Return the frame of a pair; words of ``title`` count as said in every sentence of the passage."""
    titled = frozenset(key_of(word.lower()) for word in _WORD.findall(title[:_TITLE_CHARS]))
    none: frozenset[str] = frozenset()
    shares = [share(claim, passage, place, titled, none) for place in range(len(passage.analysis.sentences))]
    return Frame(claim, passage, titled, tuple(shares))


def share(
    claim: Side, passage: Side, sentence: int, titled: frozenset[str], without: frozenset[str]
) -> float:
    """Return the weighted share of the claim's keys in one sentence; names count wherever they stand."""
    here = passage.sentence_keys[sentence]
    total = got = 0.0
    for key, weight in claim.weights.items():
        if key in without:
            continue
        total += weight
        if key in here or (weight > 1.0 and (key in titled or key in passage.all_keys)):
            got += weight
    return got / total if total else _NOTHING_ELSE


def detailed(frame: Frame, mine: Span, theirs: Span, told: str) -> str:
    """Return the line that says what was compared and how it came out."""
    return f"claim: {frame.claim.said(mine)}; passage: {frame.passage.said(theirs)} — {told}"
