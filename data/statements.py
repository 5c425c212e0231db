"""Facts in words: a typed fact as one English sentence, quoted and compared like any passage.

Used by retrieval. The sentence is for reading and for the stance model; the typed value rides along
unchanged.
"""

from __future__ import annotations

import re

from data.knowledge import Fact

_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_DAY = re.compile(r"^(\d{4})-(\d{2})-(\d{2})$")
_MONTH = re.compile(r"^(\d{4})-(\d{2})$")
_YEAR = re.compile(r"^\d{3,4}( BC| BCE| AD| CE)?$")

#: Verbs that take no "was" before them.
_INTRANSITIVE = frozenset({"died", "began", "ended", "happened", "rose", "fell", "won", "lasted", "occurred"})
#: Participles that do not end in -ed.
_PARTICIPLES = frozenset(
    {"born", "built", "found", "held", "kept", "made", "sold", "known", "written", "sunk", "named"}
)
#: Predicates that begin with one of these read as "subject predicate object" as they stand.
_FINITE = frozenset(
    {
        "is",
        "was",
        "are",
        "were",
        "has",
        "had",
        "lies",
        "flows",
        "contains",
        "belongs",
        "orbits",
        "causes",
        "borders",
    }
)
_PREPOSITIONS = frozenset({"in", "on", "at", "by", "into", "of", "to", "from", "since", "for", "with", "as"})
#: Terms of schema.org that are not English, and how they are said.
_VOCABULARY = {"contained in place": "located in", "birth place": "birthplace"}


def state(fact: Fact) -> str:
    """Return the fact as an English sentence."""
    subject, predicate = fact.subject.strip(), " ".join(fact.predicate.split())
    predicate = _VOCABULARY.get(predicate.lower(), predicate)
    words = predicate.lower().split()
    told, when = _spoken(fact.object.strip(), follows=words[-1])
    if words[0] in _FINITE or words[0] in _INTRANSITIVE:
        return f"{subject} {predicate} {told}."
    if words[-1] in _PREPOSITIONS - {"of"} and not _is_participle(words[0]):
        noun, _, preposition = predicate.rpartition(" ")
        return f"The {noun} of {subject} was {preposition} {told}."
    if words[-1] == "of":
        return f"{subject} is the {predicate} {told}."
    if _is_participle(words[0]):
        verb = "is" if not when and _PREPOSITIONS.intersection(words) else "was"
        return f"{subject} {verb} {predicate} {told}."
    if _is_participle(words[-1]):
        noun, _, participle = predicate.rpartition(" ")
        return f"The {noun} of {subject} was {participle} {told}."
    return f"The {predicate} of {subject} {'was' if when else 'is'} {told}."


def _is_participle(word: str) -> bool:
    return word in _PARTICIPLES or (word.endswith("ed") and len(word) > 4)


def _spoken(value: str, *, follows: str) -> tuple[str, bool]:
    """Return the value in words and whether it is a point in time; ``follows`` is the word before it."""
    bare = follows in _PREPOSITIONS
    day = _DAY.match(value)
    if day and 1 <= int(day[2]) <= 12:
        text = f"{int(day[3])} {_MONTHS[int(day[2]) - 1]} {int(day[1])}"
        return (text if bare else f"on {text}"), True
    month = _MONTH.match(value)
    if month and 1 <= int(month[2]) <= 12:
        text = f"{_MONTHS[int(month[2]) - 1]} {int(month[1])}"
        return (text if bare else f"in {text}"), True
    if _YEAR.match(value):
        return (value if bare else f"in {value}"), True
    return value, False
