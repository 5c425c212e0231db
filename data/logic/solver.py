"""Decides sets of statements with Z3: can all be true together, and if not, which few of them clash?

Used by the consistency framework. The answer depends on the statements alone: every question gets a fresh
solver with a fixed seed and a resource limit (never a clock), and the clash is shrunk in their own order.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal, Protocol

from data.logic.constraints import (
    Belongs,
    Both,
    Formula,
    Holds,
    Implication,
    Linear,
    Negation,
    Quantified,
    Statement,
    Takes,
    leaves,
)

#: Z3 resource units one check may use. Five classes with six individuals take under 50,000 (Z3 5.4); beyond
#: the limit the answer is "unknown", the same one on every machine.
DEFAULT_RLIMIT = 2_000_000
#: Most classes in one problem: 2**classes regions of the Venn diagram are counted.
MAX_CLASSES = 5
#: Most statements in one problem: shrinking a clash asks about each of them once.
MAX_STATEMENTS = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """``status`` and, when "unsat", the ids of a smallest clash: without one of them the rest can be true."""

    status: Literal["sat", "unsat", "unknown"]
    core: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Weighing:
    """How a claim stands to accepted statements; ``core`` are the ids that contradict or entail it."""

    status: Literal["contradicted", "entailed", "open", "unknown"]
    core: tuple[str, ...] = ()


class Solver(Protocol):
    """Decides sets of statements."""

    def check(self, statements: Sequence[Statement]) -> Answer:
        """Say whether all statements can be true together."""
        ...

    def weigh(self, claim: Statement, *, exact: Sequence[Statement], roomy: Sequence[Statement]) -> Weighing:
        """Hold a claim beside accepted statements.

        Args:
            claim: what is weighed.
            exact: the accepted statements as stated; they must entail the claim to support it.
            roomy: the same with room for honest difference; they must clash with the claim to contradict it.
        """
        ...


class Z3Solver:
    """The solver, on Z3. No answer depends on an earlier question; safe to call from several threads."""

    def __init__(self, rlimit: int = DEFAULT_RLIMIT) -> None:
        import z3  # heavy: loaded once, with the framework

        self._z3 = z3
        self._rlimit = rlimit
        self._mine = threading.local()

    def _problem(self, formulas: Sequence[Formula]) -> _Problem:
        """Set a question up in this thread's context: making one costs more than most questions do."""
        if not hasattr(self._mine, "context"):
            self._mine.context = self._z3.Context()
        return _Problem(self._z3, self._mine.context, formulas, self._rlimit)

    def check(self, statements: Sequence[Statement]) -> Answer:
        """Say whether all statements can be true together; see :class:`Solver`."""
        formulas = [statement.formula for statement in statements]
        if _is_too_large(formulas):
            return Answer("unknown")
        problem = self._problem(formulas)
        everything = list(range(len(statements)))
        status = problem.check(everything)
        if status != "unsat":
            return Answer(status)
        core = problem.shrink(everything)
        return Answer("unsat", tuple(statements[index].id for index in core))

    def weigh(self, claim: Statement, *, exact: Sequence[Statement], roomy: Sequence[Statement]) -> Weighing:
        """Hold a claim beside accepted statements; see :class:`Solver`."""
        denied = Statement(claim.id, Negation(claim.formula), claim.words)
        every = [claim, denied, *roomy, *exact]
        formulas = [statement.formula for statement in every]
        if _is_too_large(formulas):
            return Weighing("unknown")
        problem = self._problem(formulas)
        beside = [0, *range(2, 2 + len(roomy))]
        stated = list(range(2 + len(roomy), len(every)))
        status = problem.check(beside)
        if status == "unsat":
            core = problem.shrink(beside)
            return Weighing("contradicted", tuple(every[index].id for index in core))
        if status == "sat" and problem.check([1, *stated]) == "unsat" and problem.check(stated) == "sat":
            return Weighing("entailed", tuple(every[index].id for index in stated))
        return Weighing("open" if status == "sat" else "unknown")


def _is_too_large(formulas: Sequence[Formula]) -> bool:
    return len(formulas) > MAX_STATEMENTS or len(_classes(formulas)) > MAX_CLASSES


def _classes(formulas: Sequence[Formula]) -> list[str]:
    """Return the classes spoken of, sorted; without a quantifier memberships need no Venn diagram."""
    parts = leaves(formulas)
    if not any(isinstance(part, Quantified) for part in parts):
        return []
    names: set[str] = set()
    for part in parts:
        if isinstance(part, Quantified):
            names |= {part.kind, part.property}
        elif isinstance(part, Belongs):
            names.add(part.property)
    return sorted(names)


class _Problem:
    """One question in a Z3 solver of its own: formula ``i`` is switched on by the assumption ``a{i}``.

    Z3 keeps every symbol for the life of a context, so names are numbered in each question and stay few.
    """

    def __init__(self, z3: Any, context: Any, formulas: Sequence[Formula], rlimit: int) -> None:
        self._z3 = z3
        self._ctx = context
        self._solver = z3.Solver(ctx=self._ctx)
        self._solver.set("rlimit", rlimit)
        self._solver.set("random_seed", 0)
        self._classes = _classes(formulas)
        self._values: dict[str, int] = {}
        self._symbols: dict[str, str] = {}
        self._switches = [z3.Bool(f"a{index}", self._ctx) for index in range(len(formulas))]
        for switch, formula in zip(self._switches, formulas, strict=True):
            self._solver.add(z3.Implies(switch, self._formula(formula), self._ctx))
        if self._classes:
            self._add_regions(formulas)

    def check(self, chosen: Sequence[int]) -> Literal["sat", "unsat", "unknown"]:
        """Decide the chosen formulas together."""
        answer = self._solver.check(*(self._switches[index] for index in chosen))
        if answer == self._z3.sat:
            return "sat"
        return "unsat" if answer == self._z3.unsat else "unknown"

    def shrink(self, core: list[int]) -> list[int]:
        """Drop every formula that the clash does not need, last ones first.

        Starts from all of them, not from Z3's own core: the result then follows from the formulas alone.
        """
        needed = list(core)
        for index in reversed(core):
            rest = [other for other in needed if other != index]
            if rest and self.check(rest) == "unsat":
                needed = rest
        return needed

    def _formula(self, formula: Formula) -> Any:  # noqa: PLR0911 - one return a case
        z3 = self._z3
        match formula:
            case Linear():
                return self._linear(formula)
            case Takes(attribute=attribute, value=value):
                number = self._values.setdefault(value, len(self._values))
                return z3.Int(self._symbol(f"t:{attribute}"), self._ctx) == z3.IntVal(number, self._ctx)
            case Holds(proposition=proposition):
                return z3.Bool(self._symbol(f"p:{proposition}"), self._ctx)
            case Belongs(individual=individual, property=prop):
                return self._belongs(individual, prop)
            case Quantified():
                return self._quantified(formula)
            case Negation(part=part):
                return z3.Not(self._formula(part), self._ctx)
            case Both(parts=parts):
                return z3.And([self._formula(part) for part in parts])
            case Implication(condition=condition, conclusion=conclusion):
                return z3.Implies(self._formula(condition), self._formula(conclusion), self._ctx)

    def _linear(self, formula: Linear) -> Any:
        z3, left = self._z3, self._real(0.0)
        for coefficient, name in formula.terms:
            left = left + self._real(coefficient) * z3.Real(self._symbol(f"n:{name}"), self._ctx)
        right = self._real(formula.constant)
        match formula.relation:
            case "<":
                return left < right
            case "<=":
                return left <= right
            case "==":
                return left == right
            case ">=":
                return left >= right
            case ">":
                return left > right

    def _symbol(self, name: str) -> str:
        return self._symbols.setdefault(name, f"v{len(self._symbols)}")

    def _real(self, value: float) -> Any:
        """Return the decimal that ``value`` prints as, exactly."""
        return self._z3.RealVal(str(Fraction(repr(float(value)))), self._ctx)

    def _belongs(self, individual: str, prop: str) -> Any:
        return self._z3.Bool(self._symbol(f"m:{individual}|{prop}"), self._ctx)

    def _region(self, region: int) -> Any:
        """Return how many things have exactly the properties whose bits are set in ``region``.

        A real number, not an integer: the constraints are sums compared with 0, with 1 and with each other,
        so any rational solution can be scaled up to an integer one, and reals are cheaper.
        """
        return self._z3.Real(f"r{region}", self._ctx)

    def _count(self, wanted: dict[str, bool]) -> Any:
        """Return the number of things that have (or lack) these properties."""
        bits = {name: 1 << place for place, name in enumerate(self._classes)}
        total = self._real(0.0)
        for region in range(1 << len(self._classes)):
            if all(bool(region & bits[name]) is has for name, has in wanted.items()):
                total = total + self._region(region)
        return total

    def _quantified(self, formula: Quantified) -> Any:
        """Return the quantifier as a condition on counts.

        The class is taken to exist (existential import, as in ordinary speech: "all my sons" says I have
        one).
        """
        kind, prop, has = formula.kind, formula.property, formula.positive
        inside = self._count({prop: has} | {kind: True}) if kind != prop else self._count({kind: has})
        outside = (
            self._count({prop: not has} | {kind: True}) if kind != prop else self._count({kind: not has})
        )
        one, none = self._real(1.0), self._real(0.0)
        exists = self._count({kind: True}) >= one
        match formula.quantifier:
            case "all":
                return self._z3.And(outside == none, exists)
            case "no":
                return self._z3.And(inside == none, exists)
            case "some":
                return inside >= one
            case "not_all":
                return outside >= one
            case "most":
                return inside > outside
            case "only":
                return self._count({prop: has, kind: False}) == none

    def _add_regions(self, formulas: Sequence[Formula]) -> None:
        """Say that counts are not negative and that the region each individual is in is not empty."""
        z3 = self._z3
        regions = range(1 << len(self._classes))
        for region in regions:
            self._solver.add(self._region(region) >= self._real(0.0))
        individuals = {part.individual for part in leaves(formulas) if isinstance(part, Belongs)}
        for individual in sorted(individuals):
            for region in regions:
                here = [
                    self._belongs(individual, name)
                    if region & (1 << place)
                    else z3.Not(self._belongs(individual, name), self._ctx)
                    for place, name in enumerate(self._classes)
                ]
                self._solver.add(z3.Implies(z3.And(here), self._region(region) >= self._real(1.0), self._ctx))
