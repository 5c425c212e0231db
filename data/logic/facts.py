"""Holds a claim beside accepted facts: for each attribute that both speak of, the statement of either.

Called by ``data.logic.reading``. A fact counts only at its time: an attribute that changes (a population, a
capital) says nothing about a claim of another time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.analysis import DateMention, Quantity
from data.evidence import Evidence
from data.logic.clauses import Reading, key
from data.logic.constraints import (
    Formula,
    Linear,
    Negation,
    Relation,
    Statement,
    Takes,
    between,
    equals,
)
from data.logic.locate import Located, locate
from data.logic.predicates import Predicate, named, worded_as
from data.logic.values import (
    Measure,
    Period,
    claim_measure,
    fact_measure,
    mention_period,
    period_named,
)

_PAST = re.compile(
    r"\b(?:was|were|had|became|formerly|former|once|used to|until|ancient|old|original(?:ly)?)\b", re.I
)
_RELATIONS: dict[str, Relation] = {">": ">", ">=": ">=", "<": "<", "<=": "<="}


@dataclass(frozen=True, slots=True)
class AcceptedFact:
    """A fact of the evidence whose predicate is understood, its sides put right."""

    evidence: Evidence
    predicate: Predicate
    subject: str
    object: str
    value: Measure | Period | str

    @property
    def variable(self) -> str:
        """Return the name of what the fact gives a value to."""
        return f"{self.predicate.slug}|{key(self.subject)}"


@dataclass(frozen=True, slots=True)
class FactMatch:
    """A claim's statement beside an accepted fact on the same attribute.

    ``accepted`` is the fact with room for honest difference (it must clash to contradict); ``exact`` is the
    fact as stated (it must entail to support).
    """

    claim: Statement
    accepted: Statement
    exact: Statement
    located: Located
    predicate: Predicate


def accepted_facts(evidence: Sequence[Evidence]) -> list[AcceptedFact]:
    """Return the facts and graph statements that can be compared, in order of their ids."""
    found = []
    for item in sorted(evidence, key=lambda item: item.id):
        if item.kind == "passage" or not item.subject or not item.predicate:
            continue
        fact = _accepted(item)
        if fact is not None:
            found.append(fact)
    return found


def _accepted(item: Evidence) -> AcceptedFact | None:
    subject, predicate_name, words = item.subject or "", item.predicate or "", item.object or ""
    predicate, inverse = named(predicate_name)
    if predicate is None:
        predicate = worded_as(predicate_name) if item.value is not None else None
    if predicate is None or not key(subject):
        return None
    if inverse:
        subject, words = words, subject
    value: Measure | Period | str | None
    if predicate.kind == "date":
        value = period_named(words) or (
            period_named(f"{item.value:04.0f}") if item.value is not None else None
        )
    elif predicate.kind == "number":
        value = fact_measure(item.value, item.unit, words)
        if isinstance(value, Measure) and predicate.dimension not in (None, value.dimension):
            value = None
    else:
        value = key(words) or None
    return None if value is None else AcceptedFact(item, predicate, subject, words, value)


def match_facts(reading: Reading, facts: Sequence[AcceptedFact], moment: str | None) -> list[FactMatch]:
    """Return one match for each attribute that the claim and the facts both state.

    Args:
        reading: the claim.
        facts: accepted facts, in order of their ids.
        moment: ISO day on which the claim was made, where known.
    """
    if not reading.asserted:
        return []
    groups: dict[str, list[AcceptedFact]] = {}
    for fact in facts:
        groups.setdefault(fact.variable, []).append(fact)
    found = []
    for variable, group in groups.items():
        match = _match_group(reading, variable, group, moment)
        if match is not None:
            found.append(match)
    return found


def _match_group(
    reading: Reading, variable: str, group: list[AcceptedFact], moment: str | None
) -> FactMatch | None:
    first = group[0]
    dimension = first.value.dimension if isinstance(first.value, Measure) else None
    located = locate(reading, first.subject, first.predicate, dimension=dimension, hint=first.object)
    if located is None:
        return None
    current = [fact for fact in group if _applies(reading, fact, located, moment)]
    if not current:
        return None
    fact = min(current, key=lambda fact: (_distance(located, fact), fact.evidence.id))
    formula = _claim_formula(reading, located, fact)
    if formula is None or _names_both(located, fact):
        return None
    if located.denied:
        formula = Negation(formula)
    words = reading.text[located.span.start : located.span.end]
    claim = Statement(f"claim:f:{variable}", formula, words, span=located.span)
    return FactMatch(claim, accepted_statement(fact), exact_statement(fact), located, fact.predicate)


def _applies(reading: Reading, fact: AcceptedFact, located: Located, moment: str | None) -> bool:
    """Say whether the fact holds at the time that the claim speaks of."""
    if not fact.predicate.changes:
        return True
    item = fact.evidence
    others = [
        mention
        for mention in reading.analysis.dates
        if located.sentence.span.start <= mention.span.start < located.sentence.span.end
    ]
    if others:
        if item.valid_from is None and item.valid_to is None:
            return False
        return _within(item, others[0].first_day, others[0].last_day)
    if _PAST.search(located.sentence.text):
        return False
    return _within(item, moment, moment) if moment else item.valid_to is None


def _within(item: Evidence, first_day: str, last_day: str) -> bool:
    """Say whether the fact holds on all these days (ISO days compare as text)."""
    begins = item.valid_from is None or item.valid_from[:10] <= first_day
    return begins and (item.valid_to is None or last_day <= item.valid_to[:10])


def _distance(located: Located, fact: AcceptedFact) -> float:
    """Return how far the claim's value is from the fact's: it is held to the nearest of several facts."""
    value = located.value
    if isinstance(value, Quantity) and isinstance(fact.value, Measure):
        return abs(value.base_value - fact.value.value)
    if isinstance(value, DateMention) and isinstance(fact.value, Period):
        period = mention_period(value)
        return (
            0.0
            if period is None
            else max(fact.value.first - period.last, period.first - fact.value.last, 0.0)
        )
    return 0.0 if isinstance(value, str) and same_name(key(value), str(fact.value)) else 1.0


def _names_both(located: Located, fact: AcceptedFact) -> bool:
    """Say whether the accepted value is named beside another: "A and B directed it" does not deny A."""
    if not isinstance(located.value, str) or same_name(key(located.value), str(fact.value)):
        return False
    return f" {fact.value} " in f" {key(located.sentence.text)} "


def _claim_formula(reading: Reading, located: Located, fact: AcceptedFact) -> Formula | None:
    value, variable = located.value, fact.variable
    if isinstance(value, Quantity):
        relation = _RELATIONS.get(value.comparator)
        if relation is not None:
            return Linear(((1.0, variable),), relation, value.base_value)
        measure = claim_measure(reading.text, value)
        return equals(variable, measure.value, measure.precision)
    if isinstance(value, DateMention):
        period = mention_period(value)
        return None if period is None else between(variable, period.first, period.last)
    name, accepted = key(value), str(fact.value)
    if same_name(name, accepted):
        return Takes(variable, accepted)
    return Takes(variable, name) if fact.predicate.exclusive and _are_strangers(name, accepted) else None


def exact_statement(fact: AcceptedFact) -> Statement:
    """Return the fact as it is stated."""
    return _statement(fact, 0.0)


def accepted_statement(fact: AcceptedFact) -> Statement:
    """Return the fact with the room that its attribute allows."""
    return _statement(fact, fact.predicate.slack)


def _statement(fact: AcceptedFact, slack: float) -> Statement:
    formula: Formula
    if isinstance(fact.value, Measure):
        formula = equals(fact.variable, fact.value.value, abs(fact.value.value) * slack)
    elif isinstance(fact.value, Period):
        formula = between(fact.variable, fact.value.first - slack, fact.value.last + slack)
    else:
        formula = Takes(fact.variable, fact.value)
    item = fact.evidence
    return Statement(f"fact:{item.id}", formula, _in_words(item), role="fact", evidence_id=item.id)


def _in_words(item: Evidence) -> str:
    value = item.object or ("" if item.value is None else f"{item.value:g} {item.unit or ''}".strip())
    return f"{item.subject}: {item.predicate} = {value}"


def same_name(first: str, second: str) -> bool:
    """Say whether two name keys are one name, or one is part of the other ("einstein", "albert einstein")."""
    ours, theirs = set(first.split()), set(second.split())
    return bool(ours) and bool(theirs) and (ours <= theirs or theirs <= ours)


def _are_strangers(first: str, second: str) -> bool:
    """Say whether two name keys share nothing: no word, and neither is the initials of the other."""
    ours, theirs = first.split(), second.split()
    if set(ours) & set(theirs):
        return False
    initials = ("".join(word[0] for word in words) for words in (ours, theirs))
    return not ({first.replace(" ", ""), second.replace(" ", "")} & set(initials))
