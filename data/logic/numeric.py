"""Reads what a claim's own numbers and dates say of each other: bounds, shares, lives, spans of time.

Called by ``data.logic.reading``. Each reader returns the claim's statements together with the rules of the
world they need (nobody dies before being born; a part is no more than the whole), so that the solver can
name both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from itertools import pairwise

from data.analysis import DateMention, Quantity, Span
from data.logic.clauses import Clause, Reading, is_asserted, is_negated
from data.logic.constraints import (
    Formula,
    Linear,
    Relation,
    Statement,
    between,
    compared,
)

#: Days in a mean Gregorian year (400 years are 146,097 days).
YEAR_DAYS = 365.2425
#: Oldest age reached by a human being whose dates are documented: Jeanne Calment, 122 years.
LONGEST_LIFE_YEARS = 123

_BOUNDS: dict[str, Relation] = {">": ">", ">=": ">=", "<": "<", "<=": "<=", "=": "=="}
#: Words that may stand between two bounds on one number: "more than 5 and fewer than 3".
_BETWEEN_BOUNDS = re.compile(
    r"^[\s,]*(?:(?P<noun>[a-z]+)\s+)?(?:and|but|yet)(?:\s+(?:also|yet|at the same time|simultaneously))?\s*"
    r"(?:(?:more|less|fewer|greater|higher|lower|older|younger|larger|smaller|taller|shorter|at|over|under|above|below"
    r"|exactly|than|least|most|no|not|up|to|a|total|of|maximum|minimum)\s*)*$",
    re.IGNORECASE,
)
#: Nouns that a share is a part of when they follow "% of"; "120 % of the limit" or "of last year's" is no
#: such share.
_WHOLE = re.compile(
    r"^\s*(?:(?:all|the|our|its|their|these|those|every)\s+)*(?:[a-z-]+\s+){0,2}?"
    r"(?:people|persons|population|humans?|humanity|adults|children|kids|women|men|girls|boys|students|pupils|teachers"
    r"|patients|doctors|nurses|voters|votes|ballots|citizens|residents|inhabitants|immigrants|migrants|refugees|workers"
    r"|employees|families|households|americans|europeans|canadians|australians|indians|germans|britons|respondents"
    r"|participants|members|muslims|christians|jews|catholics|prisoners|inmates|soldiers|veterans|companies|schools"
    r"|cases|deaths|murders|crimes|countries|species|infections|couples|marriages|births)\b",
    re.IGNORECASE,
)
_CHANCE = re.compile(r"\b(?:probability|likelihood|chances?|odds)\b", re.IGNORECASE)
_GROWTH = re.compile(
    r"\b(?:increas|decreas|grow|grew|grown|rise|rose|risen|rais|fell|fall|drop|higher|lower|more|less|up|down|jump"
    r"|surg|gain|doubl|tripl|equivalent|compar|capacity)",
    re.IGNORECASE,
)

#: Events that open and close one existence, and the word for each in an explanation.
_PAIRS = (
    (
        re.compile(r"\bborn\b"),
        re.compile(r"\b(?:died|dies|passed away)\b"),
        "nobody dies before being born",
        "life",
    ),
    (
        re.compile(r"\b(?:founded|established|created|formed)\b"),
        re.compile(r"\b(?:dissolved|disbanded|abolished|closed|defunct|ceased to exist)\b"),
        "nothing is dissolved before it is founded",
        "existence",
    ),
    (
        re.compile(r"\b(?:began|started|broke out|commenced)\b"),
        re.compile(r"\b(?:ended|finished|concluded)\b"),
        "nothing ends before it begins",
        "course",
    ),
    (
        re.compile(r"\b(?:took office|came to power|ascended the throne|was crowned)\b"),
        re.compile(r"\b(?:left office|resigned|abdicated|stepped down)\b"),
        "nobody leaves an office before taking it",
        "office",
    ),
)
#: What may stand between the two events' clauses if they are about the same thing: the second verb has no
#: new subject.
_SAME_SUBJECT = re.compile(
    r"(?:^\s*|[\s,;(–—-]|\b(?:and|but|then|who|he|she|it|they|later|which|until|before|was|were|had|only)\b)"
    r"(?:\s*\b(?:and|but|then|he|she|it|they|later|was|were|had|finally|only|also|subsequently|been)\b)*\s*$",
    re.IGNORECASE,
)
_OTHER_SUBJECT = re.compile(
    r"\b(?:his|her|their|its|whose|father|mother|son|daughter|wife|husband|brother|sister|another|second|re-?\w+ed)\b",
    re.IGNORECASE,
)
_AGE = re.compile(r"\b(?:at (?:the )?age (?:of )?|aged )(\d{1,3})\b", re.IGNORECASE)
_YEAR = r"(?:1\d{3}|20\d{2})"
_LIFESPAN = re.compile(rf"\((?:born |b\. )?(?P<first>{_YEAR})\s*[-–—]\s*(?P<last>{_YEAR})\)")
_RANGE_WORDS = re.compile(r"\b(from|between)\s+(?:the\s+)?(?:years?\s+)?$", re.IGNORECASE)
_RANGE_JOIN = re.compile(r"^\s*(?:to|until|till|through|and|[-–—])\s*(?:the\s+)?$", re.IGNORECASE)
#: Years before Christ run backwards; they are left alone.
_BEFORE_CHRIST = re.compile(r"\bB\.?C\b|\bBCE\b")
_BACKWARDS = re.compile(r"\b(?:back|backwards?|countdown|count(?:ed|ing)? down|reverse)\b", re.IGNORECASE)


def numeric_statements(reading: Reading) -> list[Statement]:
    """Return the statements on the claim's own numbers and dates, with the rules they need, in order."""
    found: list[Statement] = []
    for sentence in reading.sentences:
        if not is_asserted(sentence.text):
            continue
        quantities = [q for q in reading.analysis.quantities if _inside(q.span, sentence.span)]
        dates = [d for d in reading.analysis.dates if _inside(d.span, sentence.span)]
        if _BEFORE_CHRIST.search(sentence.text):
            dates = []
        found += _bounds(reading, quantities)
        found += _shares(reading, sentence, quantities)
        if not _BEFORE_CHRIST.search(sentence.text):
            found += _brackets(reading, sentence)
        if len(dates) > 1:
            found += _ranges(reading, sentence, dates)
            found += _existences(reading, sentence, dates)
    return found


def day_number(iso_day: str) -> float:
    """Return a day's number in the proleptic Gregorian calendar (1 is 1 January of year 1)."""
    return float(date.fromisoformat(iso_day).toordinal())


def in_period(variable: str, mention: DateMention) -> Formula:
    """Return "the moment ``variable`` (in days) lies in the period mentioned"."""
    return between(variable, day_number(mention.first_day), day_number(mention.last_day))


def _inside(inner: Span, outer: Span) -> bool:
    return outer.start <= inner.start and inner.end <= outer.end


def _words(reading: Reading, start: int, end: int) -> str:
    return reading.text[start:end]


def _bounds(reading: Reading, quantities: list[Quantity]) -> Iterator[Statement]:
    """Read two bounds on one number: "more than 5 but fewer than 3 people"."""
    for first, second in pairwise(quantities):
        if not _are_opposed(reading, first, second):
            continue
        variable = f"number@{first.span.start}"
        for quantity in (first, second):
            formula = Linear(((1.0, variable),), _BOUNDS[quantity.comparator], quantity.base_value)
            yield _claim(reading, formula, quantity.span, "n")


def _are_opposed(reading: Reading, first: Quantity, second: Quantity) -> bool:
    """Say whether these are a lower and an upper bound on one number, not numbers of two things."""
    sides = {first.comparator[0], second.comparator[0]}
    if sides != {"<", ">"} or first.dimension != second.dimension:
        return False
    if first.noun and first.noun != second.noun:
        return False
    words = reading.text[first.span.start : second.span.end]
    if "/" in words or "respectively" in reading.text:
        return False
    return _BETWEEN_BOUNDS.match(reading.text[first.span.end : second.span.start]) is not None


def _shares(reading: Reading, sentence: Clause, quantities: list[Quantity]) -> Iterator[Statement]:
    """Read shares of a whole and probabilities: neither can be more than 100 %."""
    for quantity in quantities:
        if quantity.dimension != "percent" or quantity.comparator in ("<", "<="):
            continue
        after = _words(reading, quantity.span.end, sentence.span.end)
        before = _words(reading, sentence.span.start, quantity.span.start)
        is_part = after.startswith(" of ") and _WHOLE.match(after[3:]) and not _GROWTH.search(before[-40:])
        is_chance = _CHANCE.match(after.lstrip()) or re.search(
            r"\b(?:probability|likelihood|chances?)\b[^,;]{0,40}$", before, re.IGNORECASE
        )
        if not (is_part or (is_chance and not _GROWTH.search(before[-40:] + after[:25]))):
            continue
        variable = f"share@{quantity.span.start}"
        relation = _BOUNDS.get(quantity.comparator, "==")
        yield _claim(reading, Linear(((1.0, variable),), relation, quantity.value), quantity.span, "s")
        what = (
            "a part is never more than 100 % of its whole" if is_part else "a probability is never over 100 %"
        )
        yield Statement(
            f"rule:share@{quantity.span.start}", Linear(((1.0, variable),), "<=", 100.0), what, role="rule"
        )


def _claim(reading: Reading, formula: Formula, span: Span, mark: str) -> Statement:
    words = reading.text[span.start : span.end]
    return Statement(f"claim:{mark}@{span.start:04d}", formula, words, span=span)


def _ranges(reading: Reading, sentence: Clause, dates: list[DateMention]) -> Iterator[Statement]:
    """Read "from 1990 to 1980" and "between May 2001 and April 2001"."""
    if _BACKWARDS.search(sentence.text):
        return
    for first, second in pairwise(dates):
        before = _words(reading, sentence.span.start, first.span.start)
        join = _words(reading, first.span.end, second.span.start)
        if first.grain != second.grain or not _RANGE_WORDS.search(before) or not _RANGE_JOIN.match(join):
            continue
        mark = first.span.start
        yield from _interval(
            reading, (first, second), f"range@{mark}", "a period does not end before it begins"
        )


def _interval(
    reading: Reading, ends: tuple[DateMention, DateMention], name: str, rule: str
) -> Iterator[Statement]:
    """Return the two ends of a period and the rule that orders them."""
    start, end = f"{name}.start", f"{name}.end"
    yield _claim(reading, in_period(start, ends[0]), ends[0].span, f"d:{name}")
    yield _claim(reading, in_period(end, ends[1]), ends[1].span, f"d:{name}")
    yield Statement(f"rule:{name}", compared(start, "<=", end), rule, role="rule")


def _existences(reading: Reading, sentence: Clause, dates: list[DateMention]) -> Iterator[Statement]:
    """Read "was born in 1950 and died in 1940 at the age of 60"."""
    for opening, closing, rule, kind in _PAIRS:
        first, last = opening.search(sentence.text), closing.search(sentence.text)
        if not first or not last or first.end() > last.start() or is_negated(sentence.text):
            continue
        middle = sentence.text[first.end() : last.start()]
        if not _SAME_SUBJECT.search(middle) or _OTHER_SUBJECT.search(sentence.text[first.start() :]):
            continue
        shift = sentence.span.start
        begun = _date_within(reading, dates, shift + first.end(), shift + last.start())
        ended = _date_within(reading, dates, shift + last.end(), sentence.span.end)
        if begun is None or ended is None:
            continue
        name = f"{kind}@{shift}"
        yield from _interval(reading, (begun, ended), name, rule)
        if kind == "life":
            yield from _life(reading, sentence, name, shift + last.end())


def _date_within(reading: Reading, dates: list[DateMention], start: int, end: int) -> DateMention | None:
    """Return the one date in a stretch of the claim, when a preposition ties it to what precedes."""
    inside = [mention for mention in dates if start <= mention.span.start and mention.span.end <= end]
    if len(inside) != 1:
        return None
    before = _words(reading, start, inside[0].span.start)
    return inside[0] if re.search(r"(?:^\s*|[,(]\s*|\b(?:in|on|around|circa|about)\s+)$", before) else None


def _life(reading: Reading, sentence: Clause, name: str, start: int) -> Iterator[Statement]:
    """Add how long a life can be, and the age at death where it is told."""
    start_of, end_of = f"{name}.start", f"{name}.end"
    yield Statement(
        f"rule:{name}.length",
        compared(end_of, "<=", start_of, gap=LONGEST_LIFE_YEARS * YEAR_DAYS),
        f"no documented human life is longer than {LONGEST_LIFE_YEARS - 1} years",
        role="rule",
    )
    match = _AGE.search(reading.text, start, sentence.span.end)
    if match is None:
        return
    age, terms = int(match[1]), ((1.0, end_of), (-1.0, start_of))
    span = Span(match.start(), match.end())
    yield _claim(reading, Linear(terms, ">=", age * YEAR_DAYS - 2), span, f"a:{name}:1")
    yield _claim(reading, Linear(terms, "<=", (age + 1) * YEAR_DAYS + 2), span, f"a:{name}:2")


def _brackets(reading: Reading, sentence: Clause) -> Iterator[Statement]:
    """Read "(1950 – 1940)" after a name; brackets and dash tell that these are years."""
    for match in _LIFESPAN.finditer(reading.text, sentence.span.start, sentence.span.end):
        ends = []
        for part in ("first", "last"):
            year, span = match[part], Span(*match.span(part))
            ends.append(DateMention(f"{year}-01-01", f"{year}-12-31", "year", span))
        rule = "a period does not end before it begins"
        yield from _interval(reading, (ends[0], ends[1]), f"bracket@{match.start()}", rule)
