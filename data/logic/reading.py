"""All that the consistency framework asks of one claim: its own statements, and those that meet facts.

The one entry of this package for frameworks and tools. Pure: no solver is called here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.analysis import Analysis
from data.evidence import Evidence
from data.logic.clauses import Reading, concept, read
from data.logic.constraints import Belongs, Both, Formula, Holds, Quantified, Statement, components, leaves
from data.logic.facts import FactMatch, accepted_facts, match_facts
from data.logic.numeric import numeric_statements
from data.logic.ordering import GroundedOrder, ground, read_orders
from data.logic.predicates import TAXONOMIC, plain_name
from data.logic.quantified import quantified_statements


@dataclass(frozen=True, slots=True)
class ClaimLogic:
    """What one claim says, ready for the solver.

    ``inner`` are groups of statements of the claim (and rules of the world) that meet each other;
    ``classes`` is the claim's statements on classes with accepted class facts that they meet; ``matches``
    and ``orders`` meet facts.
    """

    reading: Reading
    inner: tuple[tuple[Statement, ...], ...] = ()
    classes: tuple[tuple[Statement, ...], ...] = ()
    matches: tuple[FactMatch, ...] = ()
    orders: tuple[GroundedOrder, ...] = ()


def read_claim(
    text: str, analysis: Analysis, evidence: Sequence[Evidence], *, moment: str | None = None
) -> ClaimLogic:
    """Read a claim beside the accepted facts (and graph statements) in its evidence.

    Args:
        text: the claim.
        analysis: of ``text``.
        evidence: passages among it are left out: text is not accepted knowledge.
        moment: ISO day on which the claim was made, where known.
    """
    reading = read(text, analysis)
    quantified = quantified_statements(reading)
    orders = read_orders(reading)
    own = [
        *numeric_statements(reading),
        *quantified,
        *(order.statement(order.attributes[0]) for order in orders),
    ]
    inner = tuple(group for group in components(own) if _can_clash(group))
    facts = accepted_facts(evidence)
    return ClaimLogic(
        reading,
        inner,
        _with_class_facts(quantified, evidence),
        tuple(match_facts(reading, facts, moment)),
        tuple(ground(orders, facts)),
    )


def _can_clash(group: tuple[Statement, ...]) -> bool:
    """Say whether a group needs the solver: one statement, or memberships that never repeat, cannot clash."""
    if len(group) < 2:
        return False
    parts = leaves(statement.formula for statement in group)
    if any(not isinstance(part, Belongs | Holds) for part in parts):
        return True
    return len(set(parts)) < len(parts)


def _with_class_facts(
    quantified: Sequence[Statement], evidence: Sequence[Evidence]
) -> tuple[tuple[Statement, ...], ...]:
    """Join the claim's statements on classes with accepted "X is a Y" facts, where they meet."""
    if not quantified:
        return ()
    facts = [
        _class_fact(item)
        for item in sorted(evidence, key=lambda item: item.id)
        if item.kind != "passage"
        and plain_name(item.predicate or "") in TAXONOMIC
        and item.subject
        and item.object
    ]
    return tuple(
        group
        for group in components([*quantified, *facts])
        if {statement.role for statement in group} == {"claim", "fact"}
    )


def _class_fact(item: Evidence) -> Statement:
    """Return "X is a Y" of the accepted facts: of every X where X is a class, of the one X otherwise."""
    subject, prop = concept(item.subject or ""), concept(item.object or "")
    is_class = plain_name(item.predicate or "") in ("subclass of", "p279")
    formula: Formula = Belongs(subject, prop)
    if is_class:  # a bare plural speaks of the class as of one thing: "whales are mammals"
        formula = Both((Quantified("all", subject, prop), formula))
    return Statement(
        f"fact:{item.id}",
        formula,
        f"{item.subject}: {item.predicate} = {item.object}",
        role="fact",
        evidence_id=item.id,
    )
