"""Makes labelled pairs of questions with their answers, and of claims joined to one: labels follow.

Called by ``tasks.stance_pairs``. Evidence often comes as a question somebody asked and its answer ("Was it
built in 1900? No."), and a claim often says two things of which the evidence bears out one. Deterministic:
every choice comes from a hash of the texts.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from data.text.words import listed
from tasks.counterfactuals import negate
from tasks.labelled import LabelledPair, share_of

QUESTIONED, CONJOINED = "questioned", "conjoined"
#: Claims (per cent) that are asked as a question, and passages whose claims are joined.
QUESTIONED_SHARE, CONJOINED_SHARE = 14, 60
#: Longest claims that are joined, and longest subject of a question, in words.
MOST_JOINED_WORDS, MOST_SUBJECT_WORDS = 18, 7

_AUXILIARY = re.compile(
    r" (is|are|was|were|can|could|will|would|did|does|(?:has|have|had)(?= been\b| \w+ed\b)) (?!not\b|n't)"
)
#: First words that are written small inside a sentence.
_SMALL_FIRST = frozenset(
    listed(
        "The A An There It He She They This That These Those In Some All No One Two His Her Their Its",
    )
)
_SUPPORTS, _REFUTES, _NEUTRAL = range(3)
_OPPOSITE = {_SUPPORTS: _REFUTES, _REFUTES: _SUPPORTS}
_JOINTS = (" and ", ", and ", ", while ")


def question_of(claim: str) -> str | None:
    """Return a claim as a question to be answered by yes or no; ``None`` where it has no plain auxiliary."""
    found = _AUXILIARY.search(claim)
    if found is None or "," in claim[: found.start()] or not claim.endswith("."):
        return None
    subject, rest = claim[: found.start()], claim[found.end() :].rstrip(".")
    if len(subject.split()) > MOST_SUBJECT_WORDS or " who" in subject or " that" in subject:
        return None
    return f"{found.group(1).capitalize()} {_small(subject)} {rest}?"


def questioned(pairs: Sequence[LabelledPair]) -> Iterator[LabelledPair]:
    """Yield decided claims, plain and negated, beside their question with its answer."""
    pages: dict[str, list[LabelledPair]] = defaultdict(list)
    for pair in pairs:
        pages[pair.title].append(pair)
    for pair in pairs:
        asked = question_of(pair.claim)
        if pair.label == _NEUTRAL or asked is None or share_of("ask" + pair.claim) >= QUESTIONED_SHARE:
            continue
        answer = "Yes." if pair.label == _SUPPORTS else "No."
        # Answers alone, answers with their reason, and reasons without a yes or no.
        forms = (f"{asked} {answer}", f"{asked} {answer} {pair.passage}", f"{asked} {pair.passage}")
        form = forms[share_of("form" + pair.claim, 3)]
        yield LabelledPair(pair.claim, form, pair.label, QUESTIONED, pair.title)
        denial = negate(pair.claim)
        if denial is not None and share_of("deny" + pair.claim, 3):
            yield LabelledPair(denial, form, _OPPOSITE[pair.label], QUESTIONED, pair.title)
        others = [each for each in pages[pair.title] if each.label == _NEUTRAL and pair.title]
        if others and share_of("open" + pair.claim, 2):
            other = others[share_of("other" + pair.claim, len(others))]
            yield LabelledPair(other.claim, f"{asked} {answer}", _NEUTRAL, QUESTIONED, pair.title)


@dataclass(frozen=True, slots=True)
class _Half:
    claim: str
    label: int


def conjoined(pairs: Sequence[LabelledPair]) -> Iterator[LabelledPair]:
    """Yield two claims about one passage as one: as true as its worst half, open where a half is open."""
    beside: dict[tuple[str, str], dict[str, _Half]] = defaultdict(dict)
    for pair in pairs:
        if pair.claim.endswith(".") and len(pair.claim.split()) <= MOST_JOINED_WORDS:
            beside[pair.title, pair.passage][pair.claim] = _Half(pair.claim, pair.label)
    for (title, passage), halves in beside.items():
        told = list(halves.values())
        if len(told) < 2 or share_of("join" + passage) >= CONJOINED_SHARE:
            continue
        one = told[share_of("one" + passage, len(told))]
        rest = [each for each in told if each is not one]
        # Halves that differ teach most, but two true ones must be met too.
        mixed = [each for each in rest if each.label != one.label] if share_of("mix" + passage, 2) else []
        true = [each for each in rest if each.label == one.label == _SUPPORTS]
        others = mixed or true or rest
        other = others[share_of("two" + passage, len(others))]
        if {one.label, other.label} == {_SUPPORTS, _REFUTES} and _overlap(one.claim, other.claim) > 0.7:
            continue
        joint = _JOINTS[share_of("joint" + passage, len(_JOINTS))]
        text = f"{one.claim[:-1]}{joint}{_small(other.claim)}"
        yield LabelledPair(text, passage, together(one.label, other.label), CONJOINED, title)


def together(one: int, other: int) -> int:
    """Return the label of two claims said at once: refuted where one is, else open where one is."""
    if _REFUTES in (one, other):
        return _REFUTES
    return _NEUTRAL if _NEUTRAL in (one, other) else _SUPPORTS


def _small(text: str) -> str:
    first, _, rest = text.partition(" ")
    return f"{first.lower()} {rest}" if first in _SMALL_FIRST else text


def _overlap(one: str, other: str) -> float:
    mine, theirs = set(one.lower().split()), set(other.lower().split())
    return len(mine & theirs) / max(1, min(len(mine), len(theirs)))
