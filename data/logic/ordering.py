"""Reads orders from a claim ("A is taller than B", "A was born before B") and grounds them in accepted facts.

Called by ``data.logic.reading``. Several orders in one claim may form a circle; with facts on both sides one
order alone can be decided.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from data.analysis import Span
from data.logic.clauses import Reading, clauses, is_asserted, is_negated, key
from data.logic.constraints import Negation, Relation, Statement, compared
from data.logic.facts import AcceptedFact, exact_statement

#: Comparative adjective -> attributes it may be about (tried in this order) and the relation left to right.
_ADJECTIVES: dict[str, tuple[tuple[str, ...], Relation]] = {
    "taller": (("height",), ">"),
    "higher": (("height",), ">"),
    "shorter": (("height", "length"), "<"),
    "lower": (("height",), "<"),
    "longer": (("length",), ">"),
    "deeper": (("depth",), ">"),
    "shallower": (("depth",), "<"),
    "wider": (("width",), ">"),
    "narrower": (("width",), "<"),
    "heavier": (("mass",), ">"),
    "lighter": (("mass",), "<"),
    "larger": (("area", "population", "diameter"), ">"),
    "bigger": (("area", "population", "diameter"), ">"),
    "smaller": (("area", "population", "diameter"), "<"),
    "faster": (("speed",), ">"),
    "slower": (("speed",), "<"),
    "more populous": (("population",), ">"),
    "less populous": (("population",), "<"),
    "older": (("birth", "founding", "completion"), "<"),
    "younger": (("birth", "founding"), ">"),
    "newer": (("founding", "completion"), ">"),
}
_EVENTS: dict[str, str] = {
    "born": "birth",
    "died": "death",
    "founded": "founding",
    "established": "founding",
    "released": "publication",
    "published": "publication",
    "completed": "completion",
    "built": "completion",
    "opened": "completion",
    "began": "beginning",
    "started": "beginning",
    "ended": "ending",
    "dissolved": "ending",
}
_WHEN: dict[str, Relation] = {"before": "<", "earlier than": "<", "after": ">", "later than": ">"}

_AUXILIARY = r"(?P<verb>is|are|was|were|isn['’]t|aren['’]t|wasn['’]t|weren['’]t)"
_COMPARATIVE = re.compile(
    rf"^(?P<left>[^,;]{{1,60}}?)\s+{_AUXILIARY}\s+(?P<denial>not\s+)?"
    r"(?:much |far |slightly |significantly |also )?"
    rf"(?P<adjective>{'|'.join(_ADJECTIVES)})\s+than\s+(?P<right>[^,;]{{1,60}})$",
    re.IGNORECASE,
)
_EVENT_ORDER = re.compile(
    rf"^(?P<left>[^,;]{{1,60}}?)\s+(?:(?:was|were)\s+)?(?P<event>{'|'.join(_EVENTS)})\s+"
    rf"(?P<when>{'|'.join(_WHEN)})\s+(?P<right>[^,;]{{1,60}}?)(?:\s+(?:was|were|did|died)(?:\s+(?P=event))?)?$",
    re.IGNORECASE,
)
_REST = re.compile(
    r"\b(?:and|or|because|since|when|while|ever|any|other|all|most|it|he|she|they|his|her|their)\b", re.I
)
#: Longest name of a compared thing, in words.
_MAX_WORDS = 6


@dataclass(frozen=True, slots=True)
class Order:
    """An order that a claim states: ``left relation right`` on one of ``attributes``."""

    left: str
    right: str
    attributes: tuple[str, ...]
    relation: Relation
    denied: bool
    words: str
    span: Span

    def statement(self, attribute: str) -> Statement:
        """Return the order on one attribute as a claim's statement."""
        formula = compared(f"{attribute}|{self.left}", self.relation, f"{attribute}|{self.right}")
        whole = Negation(formula) if self.denied else formula
        return Statement(f"claim:o@{self.span.start:04d}", whole, self.words, span=self.span)


@dataclass(frozen=True, slots=True)
class GroundedOrder:
    """An order with the accepted facts on its two sides."""

    claim: Statement
    facts: tuple[Statement, Statement]


def read_orders(reading: Reading) -> list[Order]:
    """Return the orders a claim states, in order of appearance."""
    found = []
    for sentence in reading.sentences:
        if not is_asserted(sentence.text):
            continue
        for clause in clauses(sentence, at_commas=True):
            order = _order(clause.text, clause.span)
            if order is not None:
                found.append(order)
    return found


def _order(text: str, span: Span) -> Order | None:
    match = _COMPARATIVE.match(text)
    if match is not None:
        attributes, relation = _ADJECTIVES[match["adjective"].lower()]
        denied = bool(match["denial"]) or is_negated(match["verb"])
    else:
        match = _EVENT_ORDER.match(text)
        if match is None:
            return None
        attributes, relation = (_EVENTS[match["event"].lower()],), _WHEN[match["when"].lower()]
        denied = False
    left, right = key(match["left"]), key(match["right"])
    if not _is_name(left) or not _is_name(right) or left == right:
        return None
    return Order(left, right, attributes, relation, denied, text, span)


def _is_name(name: str) -> bool:
    return bool(name) and len(name.split()) <= _MAX_WORDS and not _REST.search(name)


def ground(orders: Sequence[Order], facts: Sequence[AcceptedFact]) -> list[GroundedOrder]:
    """Return the orders for whose two sides there is an accepted fact that holds now, with those facts.

    Where several facts give one attribute of one subject, the order is left undecided: they may be of
    different times.
    """
    by_variable: dict[str, list[AcceptedFact]] = {}
    for fact in facts:
        if not isinstance(fact.value, str) and fact.evidence.valid_to is None:
            by_variable.setdefault(fact.variable, []).append(fact)
    found = []
    for order in orders:
        for attribute in order.attributes:
            sides = [by_variable.get(f"{attribute}|{name}", []) for name in (order.left, order.right)]
            if all(len(side) == 1 for side in sides):
                left, right = (exact_statement(side[0]) for side in sides)
                found.append(GroundedOrder(order.statement(attribute), (left, right)))
                break
    return found
