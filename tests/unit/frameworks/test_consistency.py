"""What the consistency framework promises of its opinions."""

from __future__ import annotations

import pytest

from data.analysis import Span
from data.claims import ClaimContext, make_claim
from data.evidence import ClaimBatch, Evidence
from data.knowledge import PastVerdict, PatternHit
from data.logic.constraints import Statement
from data.logic.solver import Answer, Weighing
from data.text.analyser import SpacyAnalyser
from data.verdicts import Opinion
from deployments.frameworks.consistency import Consistency, ConsistencyConfig

ANALYSER = SpacyAnalyser()
FRAMEWORK = Consistency(ConsistencyConfig())


def fact(subject: str, predicate: str, words: str, **typed: object) -> Evidence:
    """Return an accepted fact; its id tells what it is about."""
    name = f"{subject}/{predicate}"
    item = {"kind": "fact", "subject": subject, "predicate": predicate, "object": words, **typed}
    return Evidence(name, name, f"{name} {words}", Span(0, 1), **item)  # type: ignore[arg-type]


FACTS = (
    fact("Mount Everest", "height", "8848.86 m", value=8848.86, unit="m"),
    fact("K2", "elevation", "8.611 km", value=8.611, unit="km"),
    fact("France", "capital", "Paris"),
    fact("Canberra", "capital of", "Australia"),
    fact("Albert Einstein", "date of birth", "1879-03-14"),
    fact("Albert Einstein", "dateOfDeath", "18 April 1955"),
    fact("Niels Bohr", "born", "7 October 1885"),
    fact("Germany", "population", "83 million", value=83e6, valid_from="2020-01-01"),
    fact("Paris", "population", "2,102,650", value=2_102_650.0),
    fact("Paris", "founded", "-250"),
    fact("whale", "subclass of", "mammal"),
    fact("Alien", "director", "Ridley Scott"),
)


def ask(
    *claims: str,
    facts: tuple[Evidence, ...] = (),
    context: ClaimContext | None = None,
    history: tuple[PastVerdict, ...] = (),
    hits: tuple[PatternHit, ...] = (),
    framework: Consistency = FRAMEWORK,
) -> list[Opinion]:
    made = tuple(make_claim(text, context=context) for text in claims)
    count = len(made)
    batch = ClaimBatch(
        claims=made,
        analyses=tuple(ANALYSER.analyse([claim.text for claim in made])),
        embeddings=b"",
        evidence=(facts,) * count,
        histories=(history,) * count,
        pattern_hits=(hits,) * count,
    )
    outcomes = framework.verify(batch)
    return [outcome for outcome in outcomes if isinstance(outcome, Opinion)]


def past(claim: str, label: str, *, feedback: str | None = None, probability: float = 0.95) -> PastVerdict:
    return PastVerdict("v1", claim, label, probability, 7, "2024-01-01", feedback_label=feedback)


@pytest.mark.parametrize(
    "claim",
    [
        "The poet was born in 1950 and died in 1940.",
        "Jane Doe was born on 3 May 1900 and died on 2 June 1960 at the age of 75.",
        "He was born in 1800 and died in 1990.",
        "120 % of all people are left-handed.",
        "There is a 130% chance of rain tomorrow.",
        "The town has more than 5 and fewer than 3 schools.",
        "All birds can fly and some birds cannot fly.",
        "All birds can fly, but penguins are birds and penguins cannot fly.",
        "Most students are women and most students are not women.",
        "The war lasted from 1990 to 1980.",
        "King John (1250–1190) ruled in peace.",
        "Anna is taller than Ben, Ben is taller than Carl and Carl is taller than Anna.",
        "If it rains, the street is wet. It rains. The street is not wet.",
    ],
)
def test_claim_that_contradicts_itself_is_refuted(claim: str) -> None:
    """A claim that cannot be true is CONTRADICTORY, REFUTED with high probability, and says why."""
    (opinion,) = ask(claim)

    assert (opinion.label, opinion.score) == ("CONTRADICTORY", -1.0)
    assert opinion.probabilities is not None
    assert opinion.probabilities[1] > 0.9
    assert opinion.findings[0].claim_span is not None
    assert "cannot be true" in opinion.rationale


@pytest.mark.parametrize(
    "claim",
    [
        "The poet was born in 1940 and died in 1950.",
        "The poet was born in 1950 and his father died in 1940.",
        "Jane Doe was born on 3 May 1900 and died on 2 June 1960 at the age of 60.",
        "Profits rose by 120 %.",
        "Sales are 150 % of the budget.",
        "The town has more than 3 and fewer than 5 schools.",
        "The team won more than 20 games and lost fewer than 9 games.",
        "Some birds can fly and some birds cannot fly.",
        "All birds were large then, and some birds are not large now.",
        "The war lasted from 1980 to 1990.",
        "The emperor reigned from 30 BC to 20 BC.",
        "Experts said the poet was born in 1950 and died in 1940.",
        "Either all birds can fly or some birds cannot fly.",
        "Was the poet born in 1950 and died in 1940?",
    ],
)
def test_claim_that_may_be_true_is_not_refuted(claim: str) -> None:
    """Near misses of the patterns, and clauses that nobody asserts, are left alone."""
    (opinion,) = ask(claim)

    assert opinion.score >= 0
    assert opinion.probabilities is None


@pytest.mark.parametrize(
    ("claim", "fact_id"),
    [
        ("Mount Everest is 9,500 m high.", "Mount Everest/height"),
        ("Mount Everest is not 8,849 metres tall.", "Mount Everest/height"),
        ("K2 is higher than Mount Everest.", "K2/elevation"),
        ("The capital of France is Lyon.", "France/capital"),
        ("Sydney is the capital of Australia.", "Canberra/capital of"),
        ("Albert Einstein was born in Ulm, Germany, on 14 March 1880.", "Albert Einstein/date of birth"),
        ("Albert Einstein was born in Ulm in 1879 and died in 1966.", "Albert Einstein/dateOfDeath"),
        ("Albert Einstein, a physicist, died in 1950.", "Albert Einstein/dateOfDeath"),
        ("Albert Einstein is younger than Niels Bohr.", "Albert Einstein/date of birth"),
        ("Germany has a population of 40 million.", "Germany/population"),
        ("Whales are not mammals.", "whale/subclass of"),
    ],
)
def test_claim_against_an_accepted_fact_is_refuted_and_names_it(claim: str, fact_id: str) -> None:
    """The explanation cites the fact."""
    (opinion,) = ask(claim, facts=FACTS)

    assert opinion.label == "CONTRADICTS_FACTS"
    assert opinion.probabilities is not None
    assert opinion.probabilities[1] > 0.9
    assert fact_id in [finding.evidence_id for finding in opinion.findings if finding.weight < -0.9]


@pytest.mark.parametrize(
    "claim",
    [
        "Mount Everest is 8,849 metres tall.",
        "Mount Everest is 29,032 feet high.",
        "Mount Everest is higher than K2.",
        "Paris is the capital of France.",
        "Australia's capital is Canberra.",
        "Albert Einstein was born in 1879.",
        "Albert Einstein was born before Niels Bohr.",
        "The population of Germany is about 83 million.",
        "Whales are mammals.",
    ],
)
def test_claim_that_facts_entail_wholly_is_supported(claim: str) -> None:
    """Units, precision and wording are seen through."""
    (opinion,) = ask(claim, facts=FACTS)

    assert opinion.label == "CONSISTENT"
    assert opinion.probabilities is not None
    assert opinion.probabilities[0] > 0.9


@pytest.mark.parametrize(
    "claim",
    [
        "The University of Paris was founded in 1150.",
        "Paris Metro carries 4 million people.",
        "In 1900 Germany had a population of 40 million.",
        "The capital of France was Bordeaux in 1940.",
        "Germany has a population of 5 million Muslims.",
        "Paul said that Lyon is the capital of France.",
        "Lyon may be the capital of France.",
        "The mayor of Lyon is the capital of France's favourite.",
        "Mount Everest is 8,900 m high.",
    ],
)
def test_claim_about_something_else_than_the_fact_is_not_decided(claim: str) -> None:
    """Other subjects, other times, reported speech, hedges and honest rounding are no contradiction."""
    (opinion,) = ask(claim, facts=FACTS)

    assert opinion.probabilities is None
    assert opinion.score >= 0


def test_claim_that_facts_entail_in_part_gets_no_probability() -> None:
    """A fact on a part of the claim does not support the rest of it."""
    (opinion,) = ask("Mount Everest is 8,849 metres tall and was first climbed by aliens.", facts=FACTS)

    assert opinion.label == "CONSISTENT"
    assert opinion.probabilities is None
    assert "entailed_by_fact" in [finding.kind for finding in opinion.findings]


def test_claim_with_another_director_only_speaks_against() -> None:
    """Where others may share an attribute, a different name is no contradiction in logic."""
    (opinion,) = ask("Alien was directed by James Cameron.", facts=FACTS)

    assert (opinion.label, opinion.score, opinion.probabilities) == ("CONTRADICTS_FACTS", -0.5, None)


def test_fact_of_another_time_than_the_context_does_not_count() -> None:
    """A population that holds from 2020 on says nothing about a claim of 1990."""
    (opinion,) = ask(
        "Germany has a population of 40 million.", facts=FACTS, context=ClaimContext(date="1990-05-01")
    )

    assert opinion.abstained is not None


def test_passage_with_typed_fields_is_no_accepted_fact() -> None:
    """Text is evidence, not accepted knowledge, whatever fields it carries."""
    passage = fact("France", "capital", "Paris", kind="passage")

    (opinion,) = ask("Lyon is the capital of France.", facts=(passage,))

    assert opinion.abstained is not None


def test_several_facts_claim_is_held_to_the_nearest() -> None:
    """Of two accepted values of one attribute, the one that the claim fits is enough."""
    facts = (
        fact("Oslo", "population", "700000", value=700_000.0),
        fact("Oslo", "inhabitants", "1000000", value=1_000_000.0),
    )

    (opinion,) = ask("Oslo has a population of 1,000,000.", facts=facts)

    assert opinion.label == "CONSISTENT"


def test_claim_without_constraints_abstains() -> None:
    """Nothing to check is said to be so."""
    (opinion,) = ask("Music makes people happy.", facts=FACTS)

    assert opinion.abstained == "nothing in the claim can be checked for consistency"


class CountingSolver:
    """Answers "open" and counts its questions."""

    def __init__(self) -> None:
        self.asked = 0

    def check(self, statements: object) -> Answer:
        self.asked += 1
        return Answer("unknown")

    def weigh(self, claim: Statement, *, exact: object, roomy: object) -> Weighing:
        self.asked += 1
        return Weighing("unknown")


def test_claim_whose_constraints_meet_nothing_does_not_call_the_solver() -> None:
    """The solver is asked only where two statements meet."""
    solver = CountingSolver()

    ask(
        "Berlin is a city.",
        "Tom is 5 feet tall.",
        facts=FACTS,
        framework=Consistency(ConsistencyConfig(), solver),
    )

    assert solver.asked == 0


def test_undecided_constraints_abstain_with_that_reason() -> None:
    """Beyond the resource limit there is no opinion."""
    framework = Consistency(ConsistencyConfig(), CountingSolver())

    (opinion,) = ask("All birds can fly and some birds cannot fly.", framework=framework)

    assert opinion.abstained is not None
    assert "resource limit" in opinion.abstained


def test_fallacy_pattern_lowers_the_score_and_decides_nothing() -> None:
    """A fallacy is a bad argument, not a false claim."""
    hit = PatternHit("p1", "fallacy", "Ad hominem", "attacks the person")

    (opinion,) = ask("Only a fool would deny it.", hits=(hit,))

    assert (opinion.label, opinion.score, opinion.probabilities) == ("FALLACIOUS", -0.12, None)
    assert opinion.findings[0].kind == "fallacy:ad_hominem"


def test_other_pattern_families_are_left_to_other_frameworks() -> None:
    """A hedge is no fallacy."""
    (opinion,) = ask("Only a fool would deny it.", hits=(PatternHit("p1", "hedge", "maybe", "hedged"),))

    assert opinion.abstained is not None


@pytest.mark.parametrize(
    ("claim", "earlier", "score"),
    [
        ("Oslo has 12 bridges.", past("Oslo has 12 bridges.", "SUPPORTED", feedback="REFUTED"), -0.6),
        ("Oslo has 12 bridges.", past("Oslo has 14 bridges.", "SUPPORTED"), -0.4),
        ("Oslo is a port.", past("Oslo is not a port.", "SUPPORTED"), -0.6),
        ("Oslo is a port.", past("Oslo is not a port.", "REFUTED"), 0.4),
    ],
)
def test_earlier_accepted_claim_speaks_for_or_against(claim: str, earlier: PastVerdict, score: float) -> None:
    """The same claim by a person's word, its denial, or another number, and no probability for any."""
    (opinion,) = ask(claim, history=(earlier,))

    assert (opinion.score, opinion.probabilities) == (score, None)


@pytest.mark.parametrize(
    ("claim", "earlier"),
    [
        ("Oslo has 12 bridges.", past("Oslo has 12 bridges.", "SUPPORTED")),
        ("Oslo has 12 bridges.", past("Oslo has 14 bridges.", "SUPPORTED", probability=0.6)),
        ("Oslo has 12 bridges.", past("Oslo has 14 bridges.", "REFUTED")),
        ("The fair was held in 1996.", past("The fair was held in 2000.", "SUPPORTED")),
        ("Oslo has 12 bridges.", past("Bergen has 14 bridges.", "SUPPORTED")),
    ],
)
def test_earlier_claim_that_settles_nothing_is_ignored(claim: str, earlier: PastVerdict) -> None:
    """The system's own opinion, an unsure one, another year or another thing are no evidence."""
    (opinion,) = ask(claim, history=(earlier,))

    assert opinion.abstained is not None


def test_opinions_do_not_depend_on_neighbours() -> None:
    """Alone, in a batch and in another order, a claim gets the same opinion."""
    claims = (
        "All birds can fly and some birds cannot fly.",
        "Mount Everest is 9,500 m high.",
        "Music makes people happy.",
        "Albert Einstein was born in 1879.",
    )

    together = ask(*claims, facts=FACTS)
    reversed_order = ask(*claims[::-1], facts=FACTS[::-1])

    assert together == [ask(claim, facts=FACTS)[0] for claim in claims]
    assert together == reversed_order[::-1]
