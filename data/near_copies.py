"""Passages that say the same in the same words: agency copy, overlapping cuts, a text with a byline.

Called by the retriever, so that eight passages are eight things to read. A near copy holds the other's words
in the same order without a gap and adds at most a tenth at either end. What is added must not be able to
turn the rest round: no number, no negation, no hedge and no verdict ("Hoax: ...") in it. A text with even one
word exchanged is never a copy, for that word may be "not", a year or a name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

from data.text.cue_lexicon import HEDGE, NEGATION
from data.text.words import listed

#: Least share of a text's words that its copy has.
MIN_SHARE = 0.9
#: Texts whose words are remembered.
MAX_TEXTS = 4_096

_EDGES = ".,;:!?…\"'“”‘’«»()[]"
#: Words of verdicts and of taking back; own list.
_VERDICTS = """
false falsely fake faked hoax untrue myth fabricated fabrication debunked debunks satire satirical parody
incorrect incorrectly wrong wrongly misleading mistaken inaccurate erroneous lie lies contrary claim claims
claimed rumor rumors rumour rumours retracted corrected correction except unless if former formerly
"""
_TURNING = frozenset(word.strip(":,") for word in listed(f"{_VERDICTS} {NEGATION} {HEDGE}"))


def distinct(texts: Iterable[str]) -> Iterator[int]:
    """Yield the places of the texts, in their order, without those that nearly copy an earlier one."""
    kept: list[str] = []
    for place, text in enumerate(texts):
        words = _spaced(text)
        if not any(_is_near_copy(words, earlier) for earlier in kept):
            kept.append(words)
            yield place


def is_near_copy(one: str, other: str) -> bool:
    """Return whether two texts say the same in the same words; it does not matter which comes first."""
    return _is_near_copy(_spaced(one), _spaced(other))


def _is_near_copy(one: str, other: str) -> bool:
    """Compare texts as :func:`_spaced` gives them; the shares are of characters, which words follow."""
    short, long = sorted((one, other), key=lambda text: (len(text), text))
    if short == long:
        return True
    if len(short) < MIN_SHARE * len(long) or short not in long:
        return False
    before, _, after = long.partition(short)
    added = (*before.split(), *after.split())
    return not any(word in _TURNING or any(char.isdigit() for char in word) for word in added)


@lru_cache(maxsize=MAX_TEXTS)
def _spaced(text: str) -> str:
    """Return the words in lower case, punctuation at their edges aside, a space before and after each."""
    words = (word.strip(_EDGES) for word in text.casefold().split())
    return f" {' '.join(word for word in words if word)} "
