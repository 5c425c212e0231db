"""What comparing needs of an analysed text, worked out once: content lemmas, weights, neighbours.

Called by ``data.text.comparison``; a claim meets many passages and a passage many claims, so profiles are
kept by text.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property

from data.analysis import Analysis, Span

#: Profiles kept; the oldest half goes when it is full. About 8 KB each.
_MAX_KEPT = 4_096
_STEM = 5
_REACH = 6
#: Numbers of one text that are compared: more stand in tables only, and pairs grow with the square.
MAX_NUMBERS = 100


@dataclass(frozen=True, slots=True)
class SentenceProfile:
    """One sentence: its content lemmas in order and as a set; ``first`` and ``end`` are token indices."""

    span: Span
    lemmas: tuple[str, ...]
    lemma_set: frozenset[str]
    first: int
    end: int


class Profile:
    """A text and its analysis, with what was derived from them. Shared between threads, never changed."""

    def __init__(self, text: str, analysis: Analysis) -> None:
        self.text = text
        self.analysis = analysis
        self.sentences = _sentences(analysis)
        self.lemmas = tuple(lemma for sentence in self.sentences for lemma in sentence.lemmas)
        self.lemma_set = frozenset(self.lemmas)

    @cached_property
    def stems(self) -> frozenset[str]:
        """First letters of every content lemma."""
        return frozenset(lemma[:_STEM] for lemma in self.lemma_set)

    @cached_property
    def weights(self) -> dict[str, float]:
        """Weight of each content lemma: long words, numbers and names say more than short common ones."""
        weights = dict.fromkeys(self.lemmas, 0.0)
        for token in self.analysis.tokens:
            lemma = _key(token.lemma)
            if lemma in weights:
                special = token.text[0].isupper() or token.text[0].isdigit()
                weights[lemma] = max(weights[lemma], 0.5 + min(len(lemma), 10) / 10 + special)
        return weights

    @cached_property
    def positions(self) -> dict[str, int]:
        """For each content lemma, the bits of its places in ``lemmas``."""
        bits: dict[str, int] = {}
        for place, lemma in enumerate(self.lemmas):
            bits[lemma] = bits.get(lemma, 0) | 1 << place
        return bits

    @cached_property
    def word_set(self) -> frozenset[str]:
        """Every word in lower case, grammar words included."""
        return frozenset([token.text.lower() for token in self.analysis.tokens])

    @cached_property
    def spans_of(self) -> dict[str, Span]:
        """Where each lemma stands first."""
        spans: dict[str, Span] = {}
        for token in self.analysis.tokens:
            spans.setdefault(token.lemma, token.span)
        return spans

    @cached_property
    def _starts(self) -> list[int]:
        return [token.span.start for token in self.analysis.tokens]

    def token_at(self, offset: int) -> int:
        """Return the index of the first token that starts at ``offset`` or later."""
        return bisect_left(self._starts, offset)

    def around(self, span: Span, reach: int) -> frozenset[str]:
        """Return the content lemmas within ``reach`` tokens of ``span``, without those inside it."""
        tokens = self.analysis.tokens
        first, end = self.token_at(span.start), self.token_at(span.end)
        near = (*tokens[max(0, first - reach) : first], *tokens[end : end + reach])
        return frozenset(token.lemma for token in near if not token.is_stop and token.text[0].isalpha())

    @cached_property
    def number_contexts(self) -> tuple[frozenset[str], ...]:
        """Content lemmas beside each quantity, in the order of ``analysis.quantities``."""
        return tuple(
            self.around(quantity.span, _REACH) for quantity in self.analysis.quantities[:MAX_NUMBERS]
        )


_kept: dict[str, Profile] = {}


def profile_of(text: str, analysis: Analysis) -> Profile:
    """Return the profile of a text, from the cache when this very analysis has been seen."""
    kept = _kept.get(text)
    if kept is not None and kept.analysis is analysis:
        return kept
    made = Profile(text, analysis)
    if len(_kept) >= _MAX_KEPT:
        for old in list(_kept)[: _MAX_KEPT // 2]:
            _kept.pop(old, None)
    _kept[text] = made
    return made


def _key(lemma: str) -> str:
    """Return the lemma by which numbers match however their thousands are set apart."""
    return lemma.replace(",", "") if "," in lemma and lemma[0].isdigit() else lemma


def _sentences(analysis: Analysis) -> tuple[SentenceProfile, ...]:
    found: list[SentenceProfile] = []
    tokens = analysis.tokens
    starts = [token.span.start for token in tokens]
    for span in analysis.sentences:
        first, end = bisect_left(starts, span.start), bisect_left(starts, span.end)
        lemmas = tuple(
            [
                _key(token.lemma)
                for token in tokens[first:end]
                if not token.is_stop and token.text[0].isalnum()
            ]
        )
        found.append(SentenceProfile(span, lemmas, frozenset(lemmas), first, end))
    return tuple(found)
