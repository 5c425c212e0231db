"""What the solver promises: right answers, smallest clashes, the same ones every time."""

from __future__ import annotations

import pytest

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
    compared,
    components,
    equals,
)
from data.logic.solver import Z3Solver

SOLVER = Z3Solver()


def stated(*formulas: Formula) -> list[Statement]:
    return [Statement(f"s{index}", formula, "") for index, formula in enumerate(formulas)]


ABOVE_5 = Linear(((1.0, "x"),), ">", 5.0)
BELOW_3 = Linear(((1.0, "x"),), "<", 3.0)
BELOW_9 = Linear(((1.0, "x"),), "<", 9.0)
CLASHES: dict[str, tuple[Formula, ...]] = {
    "bounds": (ABOVE_5, BELOW_3),
    "circle": (compared("a", ">", "b"), compared("b", ">", "c"), compared("c", ">", "a")),
    "two names": (Takes("capital", "paris"), Takes("capital", "lyon")),
    "all and some not": (Quantified("all", "bird", "fly"), Quantified("some", "bird", "fly", positive=False)),
    "no and some": (Quantified("no", "bird", "fly"), Quantified("some", "bird", "fly")),
    "two majorities": (Quantified("most", "a", "b"), Quantified("most", "a", "b", positive=False)),
    "only and an outsider": (
        Quantified("only", "man", "vote"),
        Belongs("ann", "vote"),
        Negation(Belongs("ann", "man")),
    ),
    "syllogism": (Quantified("all", "man", "mortal"), Belongs("s", "man"), Negation(Belongs("s", "mortal"))),
    "condition": (Implication(Holds("rain"), Holds("wet")), Holds("rain"), Negation(Holds("wet"))),
}
FITTING: dict[str, tuple[Formula, ...]] = {
    "bounds": (ABOVE_5, BELOW_9),
    "chain": (compared("a", ">", "b"), compared("b", ">", "c")),
    "two attributes": (Takes("capital", "paris"), Takes("currency", "euro")),
    "some and some not": (
        Quantified("some", "bird", "fly"),
        Quantified("some", "bird", "fly", positive=False),
    ),
    "most and some not": (
        Quantified("most", "bird", "fly"),
        Quantified("some", "bird", "fly", positive=False),
    ),
    "all and another one not": (Quantified("all", "man", "mortal"), Negation(Belongs("zeus", "mortal"))),
    "untriggered condition": (Implication(Holds("rain"), Holds("wet")), Negation(Holds("wet"))),
}


@pytest.mark.parametrize("name", CLASHES)
def test_check_statements_that_clash_returns_them_all_as_core(name: str) -> None:
    """Each of these sets is a smallest clash: nothing in it can be left out."""
    problem = stated(*CLASHES[name])

    answer = SOLVER.check(problem)

    assert answer.status == "unsat"
    assert answer.core == tuple(statement.id for statement in problem)


@pytest.mark.parametrize("name", FITTING)
def test_check_statements_that_fit_is_sat(name: str) -> None:
    """These can all be true together."""
    assert SOLVER.check(stated(*FITTING[name])).status == "sat"


def test_check_bystander_is_left_out_of_core() -> None:
    """A statement that has no part in the clash is not blamed."""
    assert SOLVER.check(stated(ABOVE_5, BELOW_9, BELOW_3)).core == ("s0", "s2")


def test_check_decimals_are_exact() -> None:
    """0.1 is a tenth here, not the nearest binary number."""
    tenth = Linear(((3.0, "x"),), "==", 0.3)

    assert SOLVER.check(stated(tenth, equals("x", 0.1))).status == "sat"


def test_check_too_many_classes_is_unknown() -> None:
    """Beyond the stated bound the solver does not try."""
    chain = [Quantified("all", f"k{n}", f"k{n + 1}") for n in range(6)]

    assert SOLVER.check(stated(*chain)).status == "unknown"


def test_check_too_many_statements_is_unknown() -> None:
    """The number of statements is bounded, for a long claim must not hold a worker up."""
    many = [Holds(f"p{n}") for n in range(33)]

    assert SOLVER.check(stated(*many)).status == "unknown"


def test_check_out_of_resources_is_unknown() -> None:
    """A resource limit ends a question with "unknown", never with a wrong answer."""
    chain = [Quantified("all", f"k{n}", f"k{n + 1}") for n in range(4)]

    assert Z3Solver(rlimit=10).check(stated(*chain, Belongs("i", "k0"))).status == "unknown"


def test_check_same_question_after_others_gives_same_core() -> None:
    """No question leaves anything behind for the next."""
    first = SOLVER.check(stated(ABOVE_5, BELOW_3))
    for formulas in CLASHES.values():
        SOLVER.check(stated(*formulas))

    assert SOLVER.check(stated(ABOVE_5, BELOW_3)) == first


@pytest.mark.parametrize(
    ("low", "high", "status"),
    [(8848.5, 8849.5, "entailed"), (8800.0, 8848.0, "open"), (9400.0, 9600.0, "contradicted")],
)
def test_weigh_number_beside_fact(low: float, high: float, status: str) -> None:
    """What the exact fact forces is entailed, what even the roomy one excludes is contradicted."""
    bounds = Both((Linear(((1.0, "h"),), ">=", low), Linear(((1.0, "h"),), "<=", high)))
    exact = Statement("fact", equals("h", 8848.86), "")
    roomy = Statement("fact", equals("h", 8848.86, 250.0), "")

    assert SOLVER.weigh(Statement("claim", bounds, ""), exact=[exact], roomy=[roomy]).status == status


def test_weigh_premises_that_clash_entail_nothing() -> None:
    """From contradictory facts nothing follows here."""
    facts = stated(Takes("c", "paris"), Takes("c", "lyon"))
    claim = Statement("claim", Holds("anything"), "")

    assert SOLVER.weigh(claim, exact=facts, roomy=[]).status == "open"


def test_components_statements_without_common_symbol_are_apart() -> None:
    """Statements about different things never reach the solver together; bridges join them."""
    apart = stated(ABOVE_5, Holds("rain"), compared("x", "<", "y"), equals("y", 1.0))

    assert [[s.id for s in group] for group in components(apart)] == [["s0", "s2", "s3"], ["s1"]]
