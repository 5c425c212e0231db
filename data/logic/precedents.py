"""Holds a claim beside earlier accepted claims by wording: the same, its denial, or another number.

Used by the consistency framework. Only claims that are word for word the same but for numbers and negation
are compared: for anything looser the evidence must speak.
"""

from __future__ import annotations

import re
from typing import Literal

from data.analysis import Analysis

Relation = Literal["same", "denial", "other_number"]

_WORD = re.compile(r"\d[\d.,]*|\w+(?:['’]\w+)?|%")
_NUMBER = re.compile(r"^\d[\d.,]*$")
_NEGATIVE = frozenset(("not", "never", "no"))
_AUXILIARY = {
    "don't": "do",
    "doesn't": "do",
    "didn't": "do",
    "does": "do",
    "did": "do",
    "can't": "can",
    "cannot": "can",
}


def relation_to(claim: str, analysis: Analysis, earlier: str) -> Relation | None:
    """Return how an earlier claim's wording stands to this one's, or ``None`` where they differ otherwise.

    A differing number counts only outside dates: a thing may well happen in two years.
    """
    ours, our_numbers, our_denial = _template(claim)
    theirs, their_numbers, their_denial = _template(earlier)
    if ours != theirs:
        return None
    if our_numbers == their_numbers:
        return "same" if our_denial == their_denial else "denial"
    in_dates = {
        number.rstrip(".,")
        for mention in analysis.dates
        for number in _WORD.findall(claim[mention.span.start : mention.span.end])
    }
    changed = {mine for mine, other in zip(our_numbers, their_numbers, strict=True) if mine != other}
    return "other_number" if our_denial == their_denial and not changed & in_dates else None


def _template(text: str) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    """Return the words (numbers blanked, negations left out), the numbers, and whether it is a denial."""
    words: list[str] = []
    numbers: list[str] = []
    denials = 0
    for word in _WORD.findall(text.casefold()):
        plain = word.replace("’", "'")
        if _NUMBER.match(plain):
            numbers.append(plain.rstrip(".,"))
            words.append("#")
        elif plain in _NEGATIVE:
            denials += 1
        else:
            denials += plain.endswith("n't") or plain == "cannot"
            words.append(_AUXILIARY.get(plain, plain.removesuffix("n't")))
    kept = tuple(word for word in words if word != "do")
    return kept, tuple(numbers), denials % 2 == 1
