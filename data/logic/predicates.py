"""The attributes with one value at a time: how facts name them, claims word them, how far values may differ.

Used by the fact and ordering readers. Only for these may a different value contradict a claim; a person has
one birth date but many friends. A numeric fact with any other predicate is read by :func:`worded_as`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

ValueKind = Literal["date", "number", "name"]


@dataclass(frozen=True, slots=True)
class Predicate:
    """A single-valued attribute.

    ``names`` are fact predicates in the spelling of :func:`plain_name`; ``cue`` finds the words that a claim
    uses for it. ``slack`` is how far an accepted value may lie off before it contradicts: a share of the
    value for numbers, days for dates. ``changes`` says that the value has a time (a population), others are
    settled once (a birth). ``glue`` are further words that may stand between the parts of such a statement.
    """

    slug: str
    kind: ValueKind
    names: frozenset[str]
    cue: re.Pattern[str]
    dimension: str | None = None
    slack: float = 0.0
    changes: bool = False
    glue: frozenset[str] = frozenset()
    #: False where two different names can both be right (a city and the country it is in).
    exclusive: bool = True
    #: False where others may share the attribute (a second director): a different name then only speaks
    #: against.
    firm: bool = True
    #: True where words that follow narrow what is counted ("40 million people in cities" is no population).
    closed: bool = False


_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")
_NOT_WORD = re.compile(r"[\W_]+")


@lru_cache(maxsize=4_096)
def plain_name(predicate: str) -> str:
    """Return a predicate as lower-case words: "dateOfBirth", "date_of_birth", ".../dateOfBirth" are one."""
    last = re.split(r"[/#]" if "://" in predicate else ":", predicate.rstrip("/#"))[-1]
    return _NOT_WORD.sub(" ", _CAMEL.sub(" ", last)).strip().casefold()


def _predicate(  # noqa: PLR0913 - one row of a table
    slug: str,
    kind: ValueKind,
    names: str,
    cue: str,
    *,
    dimension: str | None = None,
    slack: float = 0.0,
    changes: bool = False,
    glue: str = "",
    exclusive: bool = True,
    firm: bool = True,
    closed: bool = False,
) -> Predicate:
    return Predicate(
        slug,
        kind,
        frozenset(names.split("|")),
        re.compile(rf"\b(?:{cue})\b", re.IGNORECASE),
        dimension,
        slack,
        changes,
        frozenset(glue.split()),
        exclusive,
        firm,
        closed,
    )


#: A year: dates of founding, release and the like are told by the act, the charter or the opening, often a
#: year apart.
_A_YEAR = 366.0
#: Measurements of one thing differ by method (a mountain with or without its snow, a river by its source).
_MEASURED = 0.03
#: Counts of people differ by census and year.
_COUNTED = 0.15

#: Slacks are conventions of this file: wide enough for honest sources to differ, narrow enough to catch a
#: wrong value.
PREDICATES: tuple[Predicate, ...] = (
    _predicate(
        "birth",
        "date",
        "date of birth|birth date|birthdate|born|birth year|year of birth|birthday|p569",
        "born",
    ),
    _predicate(
        "death",
        "date",
        "date of death|death date|died|death year|year of death|p570",
        "died|passed away|death|was killed|was assassinated",
    ),
    _predicate(
        "founding",
        "date",
        "founded|founding date|date founded|inception|established|foundation|formation|"
        "founding year|year founded|p571",
        "founded|established|created|formed|incorporated|set up",
        slack=_A_YEAR,
    ),
    _predicate(
        "ending",
        "date",
        "dissolved|abolished|end date|ended|date dissolved|dissolution|end time|p582|p576",
        "dissolved|disbanded|abolished|ended",
        slack=_A_YEAR,
    ),
    _predicate(
        "beginning", "date", "start date|began|started|start time|p580", "began|started", slack=_A_YEAR
    ),
    _predicate(
        "publication",
        "date",
        "publication date|release date|released|published|date published|premiere|first published|p577",
        "released|published|premiered|came out",
        slack=_A_YEAR,
        glue="first film book novel album song",
    ),
    _predicate(
        "completion",
        "date",
        "completed|completion date|date completed|opened|opening date|date of opening|built|p1619",
        "completed|opened|inaugurated|built",
        slack=2 * _A_YEAR,
    ),
    _predicate(
        "height",
        "number",
        "height|elevation|altitude|summit elevation|p2048|p2044",
        "tall|high|height|elevation|altitude",
        dimension="length",
        slack=_MEASURED,
    ),
    _predicate("length", "number", "length|p2043", "long|length", dimension="length", slack=2 * _MEASURED),
    _predicate(
        "depth", "number", "depth|maximum depth|p4511", "deep|depth", dimension="length", slack=_MEASURED
    ),
    _predicate("width", "number", "width|p2049", "wide|width", dimension="length", slack=_MEASURED),
    _predicate("diameter", "number", "diameter|p2386", "diameter", dimension="length", slack=_MEASURED),
    _predicate(
        "area",
        "number",
        "area|surface area|p2046",
        "area|covers|large",
        dimension="area",
        slack=2 * _MEASURED,
    ),
    _predicate(
        "mass",
        "number",
        "mass|weight|p2067",
        "weighs?|weighed|weight|mass|heavy",
        dimension="mass",
        slack=_MEASURED,
    ),
    _predicate(
        "population",
        "number",
        "population|inhabitants|total population|number of inhabitants|p1082",
        "population|inhabitants|residents|people live|people",
        dimension="count",
        slack=_COUNTED,
        changes=True,
        glue="home people live living there million billion",
        closed=True,
    ),
    _predicate(
        "speed",
        "number",
        "speed|top speed|maximum speed|p2052",
        "speed|fast",
        dimension="speed",
        slack=_MEASURED,
    ),
    _predicate(
        "melting",
        "number",
        "melting point|p2101",
        "melts?|melting point",
        dimension="temperature",
        slack=0.01,
    ),
    _predicate(
        "boiling",
        "number",
        "boiling point|p2102",
        "boils?|boiling point",
        dimension="temperature",
        slack=0.01,
    ),
    _predicate("atomic number", "number", "atomic number|p1086", "atomic number", dimension="count"),
    _predicate(
        "capital",
        "name",
        "capital|capital city|has capital|p36",
        "capital(?: city)?",
        changes=True,
        glue="and largest most populous city official national",
    ),
    _predicate(
        "birthplace",
        "name",
        "place of birth|birth place|birthplace|born in|p19",
        "born in|birthplace|place of birth|hometown",
        exclusive=False,
    ),
    _predicate(
        "author",
        "name",
        "author|written by|writer|p50",
        "wrote|written by|author",
        glue="novel book play poem",
        firm=False,
    ),
    _predicate(
        "director",
        "name",
        "director|directed by|p57",
        "directed(?: by)?|director",
        glue="film movie",
        firm=False,
    ),
    _predicate(
        "currency",
        "name",
        "currency|official currency|p38",
        "currency",
        changes=True,
        glue="official national",
    ),
    _predicate(
        "head of government",
        "name",
        "prime minister|head of government|p6",
        "prime minister|head of government",
        changes=True,
    ),
    _predicate("president", "name", "president|head of state|p35", "president|head of state", changes=True),
    _predicate(
        "chief executive",
        "name",
        "ceo|chief executive|chief executive officer|p169",
        "ceo|chief executive(?: officer)?",
        changes=True,
    ),
)
_BY_NAME = {name: predicate for predicate in PREDICATES for name in predicate.names}
#: Fact predicates that state the same the other way round: (Rome, capital of, Italy).
_INVERSE = {"capital of": "capital", "author of": "author", "wrote": "author", "directed": "director"}
#: Fact predicates that put their subject into the class named by the object.
TAXONOMIC = frozenset(("is a", "is an", "instance of", "subclass of", "type", "isa", "a", "p31", "p279"))


def named(predicate: str) -> tuple[Predicate | None, bool]:
    """Return the attribute that a predicate names, and whether it states it the other way round."""
    name = plain_name(predicate)
    if name in _INVERSE:
        return _BY_NAME[_INVERSE[name]], True
    return _BY_NAME.get(name), False


@lru_cache(maxsize=4_096)
def worded_as(predicate: str) -> Predicate | None:
    """Return a numeric attribute for a predicate not in the table, found in a claim by its own words."""
    name = plain_name(predicate)
    if len(name) < 4 or name in TAXONOMIC:
        return None
    cue = re.compile(rf"\b{re.escape(name)}\b".replace(r"\ ", r"\s+"), re.IGNORECASE)
    return Predicate(name, "number", frozenset((name,)), cue, None, _COUNTED, changes=True, closed=True)
