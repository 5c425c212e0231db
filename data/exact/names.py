"""Finds names that another name stands in place of: persons, places, organisations, works, nationalities.

Called by ``data.exact.comparison``. Two names are rivals only in the same slot: after the same word of the
claim and the same preposition, or as the nationality of the same thing. A name the passage has anywhere is
no swap.
"""

from __future__ import annotations

import unicodedata
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import pairwise

from data.analysis import Entity, PairFinding, Span
from data.exact.frame import Frame
from data.exact.nationalities import country_of
from data.exact.side import Side
from data.exact.word_keys import key_of
from data.text.gazetteer import ORG_HEADS, PLACE_HEADS, PLACES, TITLES
from data.text.words import listed

_MIN_FRAME = 0.6
#: The same for nationalities, which a passage tells with few other words of the claim.
_MIN_TOLD = 0.4
#: Share of letters from which two names are spellings of one.
_SAME_NAME = 0.8
_PREPOSITIONS = frozenset(
    listed("in at by from of to on for with as near into against through across under over via within")
)


def compare_names(frame: Frame) -> list[PairFinding]:
    """Return findings for the names of the claim that the passage replaces."""
    found = []
    for name in frame.claim.analysis.entities:
        if _is_said(name, frame):
            continue
        rival = _rival(frame, name)
        if rival is not None:
            found.append(_finding(frame, name, rival))
    return found or _nationality(frame)


def _is_said(name: Entity, frame: Frame) -> bool:
    keys = _telling(frame.claim, name)
    have = frame.passage.all_keys | frame.title_keys
    return not keys or not have.isdisjoint(keys)


def _telling(side: Side, name: Entity) -> frozenset[str]:
    """Return the keys that tell a name from others: not those of "university" or "river", if it has more."""
    first, end = side.places(name.span)
    keys = frozenset(side.keys[first:end]) - {""}
    return keys - _generic() or keys


@lru_cache(maxsize=1)
def _generic() -> frozenset[str]:
    return frozenset(key_of(word) for word in (*ORG_HEADS, *PLACE_HEADS, *TITLES))


def _slot(side: Side, name: Entity) -> tuple[str, str]:
    """Return the preposition right before a name ("" if none) and the content key before that."""
    first, _ = side.places(name.span)
    tokens = side.analysis.tokens
    place = first - 1
    while place >= 0 and tokens[place].text.lower() in ("the", "a", "an", "``", '"', "“"):
        place -= 1
    preposition = ""
    if place >= 0 and tokens[place].text.lower() in _PREPOSITIONS:
        preposition = tokens[place].text.lower()
        place -= 1
    while place >= 0 and not side.keys[place] and tokens[place].text not in (".", ";", ","):
        place -= 1
    return preposition, side.keys[place] if place >= 0 else ""


def _rival(frame: Frame, name: Entity) -> Entity | None:
    preposition, before = _slot(frame.claim, name)
    if not before:
        return None
    names = frame.claim.analysis.entities
    if not preposition and len(names) > 1 and name == names[0]:
        return None  # what the claim is about is told in other ways
    own = _telling(frame.claim, name)
    for other in frame.passage.analysis.entities:
        keys = _telling(frame.passage, other)
        if not keys or not keys.isdisjoint(frame.claim.all_keys):
            continue
        if _slot(frame.passage, other) != (preposition, before) or not _are_rivals(name, other):
            continue
        if frame.share_without(frame.passage.sentence_at(other.span.start), own) >= _MIN_FRAME:
            return other
    return None


def _are_rivals(one: Entity, other: Entity) -> bool:
    """Return whether two names exclude each other: of one kind, both countries or neither, spelt apart."""
    if (country_of(one.text) is None) != (country_of(other.text) is None) or len(other.text) < 3:
        return False
    same_kind = one.label == other.label or "NAME" in (one.label, other.label)
    return same_kind and not _alike(one.text, other.text)


def _alike(one: str, other: str) -> bool:
    """Return whether two names are spellings of one ("María", "Maria"; "Phoneix", "Phoenix")."""
    left, right = _plain(one), _plain(other)
    return left == right or SequenceMatcher(None, left[:40], right[:40], autojunk=False).ratio() > _SAME_NAME


def _plain(name: str) -> str:
    folded = unicodedata.normalize("NFKD", name.casefold())
    return "".join(char for char in folded if char.isalnum())


def _finding(frame: Frame, name: Entity, rival: Entity) -> PairFinding:
    same = country_of(name.text) is not None and country_of(name.text) == country_of(rival.text)
    told = "the same country" if same else "another name in the same place"
    return frame.finding(("entity", "agrees" if same else "conflicts"), (name.span, rival.span), told)


def _nationality(frame: Frame) -> list[PairFinding]:
    """Return a finding where the claim says "is a Danish ..." and the passage only "is a Dutch ..."."""
    mine = _told_nationality(frame.claim)
    if mine is None:
        return []
    country, span = mine
    said = _countries(frame.passage)
    if country in said:
        where = said[country]
        known = frame.share_at(where.start) >= _MIN_TOLD
        return [frame.finding(("entity", "agrees"), (span, where), "the same country")] if known else []
    theirs = _told_nationality(frame.passage)
    if theirs is None or theirs[0] in _countries(frame.claim):
        return []
    if frame.share_at(theirs[1].start) < _MIN_TOLD:
        return []
    return [frame.finding(("entity", "conflicts"), (span, theirs[1]), "another nationality")]


def _told_nationality(side: Side) -> tuple[str, Span] | None:
    """Return the country and place of the first nationality behind "is a", "was an" and their like."""
    tokens = side.analysis.tokens
    for place, token in enumerate(tokens):
        if token.lemma != "be":
            continue
        for near in tokens[place + 1 : place + 4]:
            country = country_of(near.text) if near.text[0].isupper() else None
            if country is not None and near.text.lower() not in PLACES:
                return country, near.span
    return None


def _countries(side: Side) -> dict[str, Span]:
    """Return the countries a text names, each with the place of its first name or nationality."""
    tokens = [token for token in side.analysis.tokens if token.text[0].isupper()]
    found: dict[str, Span] = {}
    for token in tokens:
        country = country_of(token.text)
        if country is not None:
            found.setdefault(country, token.span)
    for one, other in pairwise(tokens):
        country = country_of(f"{one.text} {other.text}")
        if country is not None:
            found.setdefault(country, Span(one.span.start, other.span.end))
    return found
