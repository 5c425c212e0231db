"""Finds the noun that a number counts, ranks or measures. Called by the quantity reader.

Without a parser: a count has a plural noun after it, within its phrase; a measure has its holder before it.
"""

from __future__ import annotations

from data.text.comparators import COMPARATOR_ENDS
from data.text.stop_words import STOP_WORDS
from data.text.words import Words, listed

_SINGULAR_S = ("ss", "us", "is", "'s", "ous", "news", "as")
_PLURALS = frozenset(
    listed(
        """
people men women children feet teeth mice police cattle species series data media viruses phenomena
criteria bacteria personnel staff crew aircraft sheep fish buses gases bonuses bases
"""
    )
)
#: What ends a noun phrase for certain.
PHRASE_ENDS: frozenset[str] = frozenset('.;:!?()[]"“”') | {",", "``", "''", "—", "–"}
_HOLDERS_SKIP = (COMPARATOR_ENDS | {"a", "the", "an", "at", "its", "more", "less", "no", "than"}) - {
    "of",
    "to",
}

_DASHES = frozenset("-–—−")
_PASSED_OVER = frozenset(("the", "these", "those", "its", "his", "her", "their", "'s", "'", "’s", "other"))
_REACH = 6


def noun_after(words: Words, at: int, *, plural: bool) -> str | None:
    """Return the lemma of the noun counted from word ``at`` on: the first plural before the phrase ends."""
    if words.low(at) in _DASHES and words.touches(at):
        return noun_ranked(words, at + 1)
    if not plural:
        return noun_ranked(words, at)
    at += int(words.low(at) == "of")
    for index in range(at, min(at + _REACH, len(words))):
        low = words.lower[index]
        if low in PHRASE_ENDS or (low in STOP_WORDS and index > at and low not in _PASSED_OVER):
            return None
        if is_plural(low):
            return words.lemmas[index]
    return None


def is_plural(low: str) -> bool:
    """Return whether a lower-case word looks like a plural noun."""
    if low in _PLURALS:
        return True
    return (
        low.endswith("s")
        and len(low) > 3
        and low.isalpha()
        and not low.endswith(_SINGULAR_S)
        and low not in STOP_WORDS
    )


def noun_ranked(words: Words, at: int) -> str | None:
    """Return the lemma of the head of a short singular phrase ("third studio album" -> album)."""
    head = None
    for index in range(at, min(at + 3, len(words))):
        low = words.lower[index]
        if low == "most" and head is None:
            continue
        if not low.isalpha() or low in STOP_WORDS or (head and low.endswith(("ed", "ing"))):
            break
        head = words.lemmas[index]
        if is_plural(low) and words.surface[index].islower():
            break
    return head


def noun_before(words: Words, first: int) -> str | None:
    """Return the lemma of the noun that holds the number: "a population of over 24 million"."""
    index = first - 1
    while words.low(index) in _HOLDERS_SKIP and index > first - 5:
        index -= 1
    if words.low(index) not in ("of", "is", "was", "were", "are", "to"):
        return None
    index -= 1
    low = words.low(index)
    plain = low.isalpha() and low not in STOP_WORDS and words.surface[index].islower()
    return words.lemmas[index] if plain else None
