"""Finds names by their capitals, with small gazetteers to tell persons, places, organisations and works.

Called by the analyser. A capital at the start of a sentence proves nothing, so a lone one there needs other
grounds; in a headline, where every word has a capital, only gazetteer names and inner capitals count.
"""

from __future__ import annotations

from data.analysis import Entity
from data.text.counted_nouns import is_plural
from data.text.gazetteer import (
    COMMON_ENDINGS,
    GIVEN_NAMES,
    NAME_JOINERS,
    NOT_NAMES,
    ORG_HEADS,
    PLACE_HEADS,
    PLACES,
    TITLES,
    WEAK_JOINERS,
)
from data.text.words import Words, listed

_AUXILIARIES = frozenset(
    listed(
        """
is was are were has had have did does do will would can could may might must 's ' won became died
married played wrote directed starred lived worked never also then n't who and ,
"""
    )
)
_QUOTES = {"“": "”", '"': '"', "``": "''", "‘": "’"}
_MAX_WORK_WORDS = 12
_MAX_HEADLINE_SHARE = 0.75


def find_entities(words: Words, sentences: list[int], dated: set[int]) -> list[Entity]:
    """Return the names in order, without overlap. ``sentences`` are the word indices that start one."""
    starts = set(sentences)
    headline = _is_headline(words)
    found: list[Entity] = []
    index = 0
    while index < len(words):
        work = _work(words, index) if words.surface[index] in _QUOTES else None
        if work is not None:
            found.append(work[0])
            index = work[1]
            continue
        if not _is_capital(words.surface[index]):
            index += 1
            continue
        end = _run_end(words, index, starts)
        _add(words, (index, end), found, opens=index in starts, headline=headline, dated=dated)
        index = end
    return found


def _is_capital(surface: str) -> bool:
    """Return whether a word starts with a capital or has one inside ("mRNA")."""
    return surface[0].isupper() or (
        surface[0].isalnum() and not surface.islower() and surface != surface.lower()
    )


def _is_headline(words: Words) -> bool:
    letters = [surface for surface in words.surface if surface[0].isalpha() and len(surface) > 3]
    capitals = sum(1 for surface in letters if surface[0].isupper())
    return len(letters) >= 5 and capitals > _MAX_HEADLINE_SHARE * len(letters)


def _run_end(words: Words, index: int, starts: set[int]) -> int:
    """Return the end of the run of capitals from ``index``, small joining words included."""
    end = index + 1
    while end < len(words) and end not in starts:
        surface = words.surface[end]
        if _is_capital(surface) and words.surface[end - 1][-1] != ":":
            end += 1
        elif surface == "-" and words.touches(end) and _is_capital(words.surf(end + 1) or "-"):
            end += 2
        elif (after := _over_joiners(words, end)) > end:
            end = after
        else:
            break
    return end


def _over_joiners(words: Words, end: int) -> int:
    at = end
    while at < end + 2 and words.low(at) in NAME_JOINERS and words.surf(at).islower():
        if words.lower[at] in WEAK_JOINERS:
            return end
        at += 1
    return at + 1 if at > end and at < len(words) and _is_capital(words.surface[at]) else end


def _add(
    words: Words, run: tuple[int, int], found: list[Entity], *, opens: bool, headline: bool, dated: set[int]
) -> None:
    first, end = run
    first, end = _trimmed(words, first, end, opens=opens)
    if first >= end or first in dated:
        return
    if end < len(words) and end - first > 0 and words.surface[end].isdigit() and _is_numbered(words, end):
        end += 1
    lone = opens and first == run[0] and end - first == 1
    if headline:
        _add_sure(words, first, end, found)
        return
    if lone and not _is_lone_name(words, first):
        return
    span = words.span(first, end)
    found.append(Entity(words.text[span.start : span.end], _label(words, first, end), span))


def _is_numbered(words: Words, end: int) -> bool:
    """Return whether a short number closes the name: "World War 2", "Toy Story 3 was"."""
    after = words.low(end + 1)
    return len(words.surface[end]) == 1 and words.surf(end - 1)[0].isupper() and not is_plural(after)


def _trimmed(words: Words, first: int, end: int, *, opens: bool) -> tuple[int, int]:
    """Drop words at either end that are capitals only by place: "The", "In", months."""
    while (
        first < end and words.lower[first] in NOT_NAMES and not (first > 0 and words.surface[first] == "US")
    ):
        first += 1
    while end > first and (words.lower[end - 1] in NOT_NAMES or words.lower[end - 1] in NAME_JOINERS):
        end -= 1
    if opens and end - first > 1 and words.lower[first].endswith("ly"):
        first += 1
    return first, end


def _add_sure(words: Words, first: int, end: int, found: list[Entity]) -> None:
    """Add a place, or the words with capitals inside: all that is sure where every word has a capital."""
    runs = [(first, end)] if " ".join(words.lower[first:end]) in PLACES else []
    if not runs:
        runs = [
            (at, at + 1) for at in range(first, end) if words.lower[at] in PLACES or _has_inner(words, at)
        ]
    for run in runs:
        span = words.span(*run)
        found.append(Entity(words.text[span.start : span.end], _label(words, *run), span))


def _has_inner(words: Words, index: int) -> bool:
    surface = words.surface[index]
    return len(surface) > 1 and surface[1:] != surface[1:].lower()


def _is_lone_name(words: Words, index: int) -> bool:
    surface, low = words.surface[index], words.lower[index]
    if low in PLACES or low in GIVEN_NAMES or (_has_inner(words, index)):
        return True
    if len(surface) < 2 or low.endswith(COMMON_ENDINGS):
        return False
    return words.low(index + 1) in _AUXILIARIES and not (
        low.endswith("s") and words.low(index + 1) in ("are", "were", "have")
    )


def _label(words: Words, first: int, end: int) -> str:
    lower = words.lower[first:end]
    name = " ".join(lower).removeprefix("the ")
    if name in PLACES:
        return "PLACE"
    if lower[-1] in ORG_HEADS or lower[0] in ("ministry", "university", "department", "bank", "court"):
        return "ORG"
    if lower[-1] in PLACE_HEADS or lower[0] in ("mount", "lake", "cape", "fort", "port"):
        return "PLACE"
    if any(word in TITLES for word in lower[:-1]) or (
        words.low(first - 1) in TITLES and lower[0] not in TITLES
    ):
        return "PERSON"
    if lower[0] in GIVEN_NAMES and (end - first > 1 or words.low(end) in _AUXILIARIES):
        return "PERSON"
    acronym = (
        end - first == 1 and words.surface[first].isupper() and 2 <= len(lower[0]) <= 5 and lower[0].isalpha()
    )
    return "ORG" if acronym else "NAME"


def _work(words: Words, index: int) -> tuple[Entity, int] | None:
    """Return a title in quotation marks, and the word after it."""
    close = _QUOTES[words.surface[index]]
    for end in range(index + 2, min(index + _MAX_WORK_WORDS + 2, len(words))):
        if words.surface[end] == close:
            inside = words.surface[index + 1 : end]
            if not inside[0][0].isupper() or sum(word[0].isupper() for word in inside) * 2 < len(inside):
                return None
            span = words.span(index + 1, end)
            return Entity(words.text[span.start : span.end], "WORK", span), end + 1
    return None
