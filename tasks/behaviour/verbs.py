"""Verbs by their forms, and where the main verb of a plain claim stands.

Called by the changes and rewrites of the behaviour tests. A hand-made list of common verbs: what is not in it
is left alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_IRREGULAR = """
win won, write wrote, become became, begin began, lead led, lose lost, sell sold, hold held, make made,
get got, give gave, take took, come came, go went, run ran, grow grew, rise rose, fall fell, build built,
leave left, meet met, find found, teach taught, fight fought, sing sang, speak spoke, bear bore, buy bought,
bring brought, break broke, choose chose, draw drew, drive drove, eat ate, fly flew, keep kept, know knew,
say said, see saw, send sent, serve served, spend spent, stand stood, swim swam, wear wore, tell told,
beat beat, cost cost, have had
"""
_REGULAR = """
play direct star release appear work live die marry attend receive produce record perform create open close
start end feature return score join move design launch develop represent earn graduate occur happen remain
reach finish publish compete retire premiere invent discover contain include belong consist focus cause
increase decrease reduce improve inhibit promote induce require contribute lack affect use gross portray
debut host sign train study visit travel debate collaborate
"""
#: Tense forms that come before the main verb; a claim with one of them is not negated by "do".
AUXILIARY = re.compile(
    r"\b(?:is|are|was|were|am|be|been|has|have|had|will|would|can|could|should|must|may|might|do|does|did|"
    r"isn't|wasn't|aren't|weren't|'s)\b",
    re.IGNORECASE,
)
#: Words that open a clause of their own: a verb before or after them may not be the main one.
SUBORDINATE = re.compile(
    r"\b(?:that|which|who|whom|whose|where|when|while|if|because|although|though|unless|as|than)\b",
    re.IGNORECASE,
)
_DETERMINERS = frozenset(
    ("a", "an", "the", "his", "her", "its", "their", "of", "in", "to", "and", "or", "no")
)


@dataclass(frozen=True, slots=True)
class Verb:
    """The main verb of a claim: its place, its base form, and ``did`` or ``does``."""

    start: int
    end: int
    base: str
    support: str


def _third(base: str) -> str:
    if base == "have":
        return "has"
    if base.endswith(("s", "sh", "ch", "x", "go")):
        return f"{base}es"
    return f"{base[:-1]}ies" if base.endswith("y") and base[-2] not in "aeou" else f"{base}s"


def _past(base: str) -> str:
    if base.endswith("e"):
        return f"{base}d"
    if base in ("star",):
        return "starred"
    return f"{base[:-1]}ied" if base.endswith("y") and base[-2] not in "aeou" else f"{base}ed"


def _pairs() -> list[tuple[str, str]]:
    irregular = [tuple(pair.split()) for pair in _IRREGULAR.replace("\n", " ").split(",")]
    return [(base, past) for base, past in irregular] + [(base, _past(base)) for base in _REGULAR.split()]


#: Past form of each verb by its base.
PAST: dict[str, str] = dict(_pairs())
_FORMS: dict[str, tuple[str, str]] = {
    **{_third(base): (base, "does") for base in PAST},
    **{past: (base, "did") for base, past in PAST.items()},
}
_WORD = re.compile(r"[A-Za-z']+")


def main_verb(claim: str) -> Verb | None:
    """Return the one verb of a plain claim; ``None`` where there is a clause, an auxiliary, or a doubt."""
    if SUBORDINATE.search(claim) or AUXILIARY.search(claim.replace(" had a", "").replace(" has a", "")):
        return None
    words = list(_WORD.finditer(claim))
    found = [place for place, word in enumerate(words) if place and word.group() in _FORMS]
    if len(found) != 1:
        return None
    place = found[0]
    before = words[place - 1].group().casefold()
    after = words[place + 1].group() if place + 1 < len(words) else ""
    if before in _DETERMINERS or after == "by" or before.endswith("ly"):
        return None
    base, support = _FORMS[words[place].group()]
    return Verb(words[place].start(), words[place].end(), base, support)
