"""Typed constraints: what a claim, an accepted fact or a rule of the world says, as a solver can decide it.

Built by the readers in this package, decided by ``data.logic.solver``. Every constraint stays inside linear
real arithmetic with propositional connectives, so each question has an answer and none needs a time limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from data.analysis import Span

Relation = Literal["<", "<=", "==", ">=", ">"]
Quantifier = Literal["all", "no", "some", "not_all", "most", "only"]
Role = Literal["claim", "fact", "accepted_claim", "rule"]


@dataclass(frozen=True, slots=True)
class Linear:
    """``sum(coefficient * variable) relation constant``: real variables in SI base units, dates in days."""

    terms: tuple[tuple[float, str], ...]
    relation: Relation
    constant: float


@dataclass(frozen=True, slots=True)
class Takes:
    """A single-valued attribute takes this value out of many: the capital of France takes "paris"."""

    attribute: str
    value: str


@dataclass(frozen=True, slots=True)
class Holds:
    """A proposition with no inner parts is true."""

    proposition: str


@dataclass(frozen=True, slots=True)
class Belongs:
    """An individual has a property (belongs to the class of the things that have it)."""

    individual: str
    property: str


@dataclass(frozen=True, slots=True)
class Quantified:
    """A quantifier over a class: "all", "no", "some", "not_all", "most" or "only" ``kind`` are ``property``.

    ``positive`` is False when the property is denied ("some birds do not fly").
    """

    quantifier: Quantifier
    kind: str
    property: str
    positive: bool = True


@dataclass(frozen=True, slots=True)
class Negation:
    """The part is false."""

    part: Formula


@dataclass(frozen=True, slots=True)
class Both:
    """All parts are true."""

    parts: tuple[Formula, ...]


@dataclass(frozen=True, slots=True)
class Implication:
    """If the condition is true, so is the conclusion."""

    condition: Formula
    conclusion: Formula


Formula = Linear | Takes | Holds | Belongs | Quantified | Negation | Both | Implication


@dataclass(frozen=True, slots=True)
class Statement:
    """One constraint and where it comes from.

    ``id`` is unique in a problem; ``words`` are quoted in the explanation; ``span`` is into the
    claim, for statements of the claim.
    """

    id: str
    formula: Formula
    words: str
    role: Role = "claim"
    span: Span | None = None
    evidence_id: str | None = None


def equals(variable: str, value: float, slack: float = 0.0) -> Formula:
    """Return "``variable`` is ``value``, give or take ``slack``" (both ends included)."""
    if slack <= 0:
        return Linear(((1.0, variable),), "==", value)
    return between(variable, value - slack, value + slack)


def between(variable: str, low: float, high: float) -> Formula:
    """Return "``variable`` lies in [low, high]"."""
    terms = ((1.0, variable),)
    return Both((Linear(terms, ">=", low), Linear(terms, "<=", high)))


def compared(left: str, relation: Relation, right: str, *, gap: float = 0.0) -> Linear:
    """Return ``left - right relation gap``."""
    return Linear(((1.0, left), (-1.0, right)), relation, gap)


def symbols(formula: Formula) -> frozenset[str]:  # noqa: PLR0911 - one return a case
    """Return the names of everything the formula speaks of; two formulas that share one may touch."""
    match formula:
        case Linear(terms=terms):
            return frozenset(f"n:{name}" for _, name in terms)
        case Takes(attribute=attribute):
            return frozenset((f"t:{attribute}",))
        case Holds(proposition=proposition):
            return frozenset((f"p:{proposition}",))
        case Belongs(individual=individual, property=prop):
            return frozenset((f"c:{prop}", f"i:{individual}"))
        case Quantified(kind=kind, property=prop):
            return frozenset((f"c:{kind}", f"c:{prop}"))
        case Negation(part=part):
            return symbols(part)
        case Both(parts=parts):
            return frozenset().union(*(symbols(part) for part in parts))
        case Implication(condition=condition, conclusion=conclusion):
            return symbols(condition) | symbols(conclusion)


def components(statements: Sequence[Statement]) -> list[tuple[Statement, ...]]:
    """Split into groups that share no symbol, each in the given order: no group can contradict another."""
    groups: list[tuple[set[str], list[int]]] = []
    for index, statement in enumerate(statements):
        names, members = set(symbols(statement.formula)), [index]
        apart = []
        for other_names, other_members in groups:
            if names & other_names:
                names |= other_names
                members += other_members
            else:
                apart.append((other_names, other_members))
        groups = [*apart, (names, members)]
    ordered = sorted(sorted(members) for _, members in groups)
    return [tuple(statements[index] for index in members) for members in ordered]


def leaves(formulas: Iterable[Formula]) -> list[Formula]:
    """Return the formulas without connectives that these are made of, in order, repeats kept."""
    found: list[Formula] = []
    for formula in formulas:
        match formula:
            case Negation(part=part):
                found += leaves((part,))
            case Both(parts=parts):
                found += leaves(parts)
            case Implication(condition=condition, conclusion=conclusion):
                found += leaves((condition, conclusion))
            case _:
                found.append(formula)
    return found
