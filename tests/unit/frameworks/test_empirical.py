"""What the empirical framework promises of its opinions."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from data.analysis import Span
from data.claims import make_claim
from data.evidence import ClaimBatch, Evidence, RetrievalScores
from data.models.aggregation import AGGREGATE_FEATURES
from data.text.analyser import SpacyAnalyser
from data.verdicts import Opinion
from deployments.frameworks.empirical import Empirical, EmpiricalConfig

ANALYSER = SpacyAnalyser()
TOWER = "The Eiffel Tower is 330 metres tall."


class FakeStance:
    """Reads the stance off a marker word in the passage, and counts how often it is asked."""

    def __init__(self) -> None:
        self.calls = 0

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        self.calls += 1
        return np.array([self._row(passage) for _, passage in pairs], dtype=np.float32)

    @staticmethod
    def _row(passage: str) -> tuple[float, float, float]:
        if "confirmed" in passage:
            return (0.9, 0.05, 0.05)
        return (0.05, 0.9, 0.05) if "denied" in passage else (0.1, 0.1, 0.8)


def as_scored(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    """Verdict rows as the aggregator gives them: NOT_ENOUGH_INFO weighed against CONFLICTING alone."""
    scored = rows.copy()
    scored[:, 2] = rows[:, 3] * rows[:, 2] / (1 - rows[:, 2])
    return (scored / scored.sum(axis=1, keepdims=True)).astype(np.float32)


class FakeScorer:
    """Gives each side half its strongest item's probability; two strong sides are a conflict."""

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        assert model == "aggregator"
        named = {name: features[:, column] for column, name in enumerate(AGGREGATE_FEATURES)}
        sides = np.stack([named["support_1"], named["refute_1"]], axis=1)
        conflict = np.where(sides.min(axis=1) >= 0.5, 0.9, 0.02)
        unknown = 1 - sides.sum(axis=1) / 2
        return as_scored(np.column_stack([(1 - conflict)[:, None] * np.c_[sides / 2, unknown], conflict]))

    def bundle(self) -> str:
        return "fake"


class EagerScorer(FakeScorer):
    """Always sure that the claim is supported."""

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return as_scored(np.tile(np.array([0.97, 0.01, 0.01, 0.01]), (len(features), 1)))


def passage(name: str, text: str, title: str = "Eiffel Tower") -> Evidence:
    scores = RetrievalScores(bm25=3.0, dense=0.6, fused=0.03)
    return Evidence(name, f"doc-{name}", text, Span(0, len(text)), title=title, scores=scores)


def height_fact(name: str, value: float) -> Evidence:
    text = f"Eiffel Tower height {value:g} m"
    return Evidence(
        name,
        name,
        text,
        Span(0, len(text)),
        kind="fact",
        subject="Eiffel Tower",
        predicate="height",
        object=f"{value:g} m",
        value=value,
        unit="m",
    )


def batch_of(*cases: tuple[str, Sequence[Evidence]]) -> ClaimBatch:
    claims = tuple(make_claim(text) for text, _ in cases)
    empty: tuple[tuple[()], ...] = tuple(() for _ in cases)
    return ClaimBatch(
        claims,
        tuple(ANALYSER.analyse([claim.text for claim in claims])),
        np.zeros((len(cases), 4), dtype=np.float32).tobytes(),
        tuple(tuple(items) for _, items in cases),
        empty,
        empty,
    )


def verify(*cases: tuple[str, Sequence[Evidence]], scorer: FakeScorer | None = None) -> list[Opinion]:
    framework = Empirical(
        EmpiricalConfig(), stance=FakeStance(), scorer=scorer or FakeScorer(), analyser=ANALYSER
    )
    outcomes = framework.verify(batch_of(*cases))
    assert all(isinstance(outcome, Opinion) for outcome in outcomes)
    return [outcome for outcome in outcomes if isinstance(outcome, Opinion)]


def test_verify_without_evidence_abstains_as_exactly_not_enough_info() -> None:
    """No evidence can never support, whatever the models say."""
    (opinion,) = verify((TOWER, ()), scorer=EagerScorer())
    assert opinion.abstained == "no evidence was found"
    assert opinion.probabilities == (0.0, 0.0, 1.0, 0.0)
    assert (opinion.label, opinion.score, opinion.confidence) == ("NOT_ENOUGH_INFO", 0.0, 0.0)


def test_verify_with_a_supporting_passage_says_supported_and_quotes_it() -> None:
    """The rationale counts the items and quotes the sentence that answers to the claim."""
    text = "It was built in 1889. Surveyors confirmed that the tower is 330 metres tall."
    (opinion,) = verify((TOWER, [passage("a", text, "Eiffel Tower")]), scorer=EagerScorer())
    assert opinion.label == "SUPPORTED"
    assert opinion.score > 0.9
    assert "one evidence item supports it" in opinion.rationale.lower()
    assert "confirmed that the tower is 330 metres tall" in opinion.rationale
    assert "Eiffel Tower" in opinion.rationale


def test_verify_names_the_exact_finding_that_weighs_most() -> None:
    """What bears the strongest item's stance out: a negation against the claim, a number for it."""
    (refuted,) = verify((TOWER, [passage("a", "Surveyors denied that the tower is 330 metres tall.")]))
    assert "Only the passage is negated: “Tower” in the claim, “denied” in the passage." in refuted.rationale
    text = "Surveyors confirmed that the tower is 330 metres tall."
    (supported,) = verify((TOWER, [passage("a", text)]), scorer=EagerScorer())
    assert "330 metres" in supported.rationale.rsplit(").", 1)[1]


def test_verify_without_a_supporting_item_never_says_supported() -> None:
    """Even a scorer that is sure of it cannot support a claim that no item supports."""
    items = [passage("a", "A tower stands in Paris."), passage("b", "The height was denied.")]
    (opinion,) = verify((TOWER, items), scorer=EagerScorer())
    assert opinion.probabilities is not None
    assert opinion.probabilities[0] <= opinion.probabilities[2] / 2
    assert opinion.label != "SUPPORTED"


def test_verify_with_a_refuting_passage_says_refuted() -> None:
    """A score below zero and a rationale that speaks of contradiction."""
    items = [passage("a", "Surveyors denied that the tower is 330 metres tall.")]
    (opinion,) = verify((TOWER, items))
    assert opinion.score < -0.3
    assert opinion.stances[0].stance == "REFUTES"
    assert "contradicts" in opinion.rationale


def test_verify_with_both_sides_strong_says_conflicting_and_quotes_both() -> None:
    """Strong evidence on both sides is reported as such."""
    items = [passage("a", "The height was confirmed."), passage("b", "The height was denied.")]
    (opinion,) = verify((TOWER, items))
    assert opinion.label == "CONFLICTING"
    assert "confirmed" in opinion.rationale
    assert "denied" in opinion.rationale


def test_verify_gives_a_stance_for_every_item() -> None:
    """Each evidence id appears once, also that of a repeated passage."""
    items = [passage(name, "The height was confirmed.") for name in ("c", "a", "b")]
    (opinion,) = verify((TOWER, items))
    assert sorted(each.evidence_id for each in opinion.stances) == ["a", "b", "c"]


def test_verify_with_repeated_passages_is_no_surer() -> None:
    """Three copies of one text weigh as much as one."""
    text = "The height was confirmed."
    (once,) = verify((TOWER, [passage("a", text)]))
    (thrice,) = verify((TOWER, [passage("a", text), passage("b", text), passage("c", text.upper())]))
    assert thrice.probabilities == once.probabilities


def test_verify_in_any_order_of_evidence_gives_the_same_opinion() -> None:
    """The list's order is retrieval's business and never the verdict's."""
    items = [
        passage("a", "The height was confirmed."),
        passage("b", "The height was denied."),
        passage("c", "A tower stands in Paris."),
        height_fact("f", 330),
    ]
    opinions = [verify((TOWER, list(order)))[0] for order in itertools.permutations(items)]
    assert all(opinion == opinions[0] for opinion in opinions)


def test_verify_gives_each_claim_the_opinion_it_gets_alone() -> None:
    """Neighbours in the batch change nothing, and neither does an empty one among them."""
    cases = [
        (TOWER, [passage("a", "The height was confirmed.")]),
        ("The Moon is made of rock.", []),
        ("The Eiffel Tower opened in 1889.", [passage("b", "The opening in 1899 was denied.")]),
    ]
    assert verify(*cases) == [verify(case)[0] for case in cases]


def test_verify_judges_a_whole_batch_in_one_call() -> None:
    """The stance model is asked once, however many claims there are."""
    stance = FakeStance()
    framework = Empirical(EmpiricalConfig(), stance=stance, scorer=FakeScorer(), analyser=ANALYSER)
    framework.verify(batch_of(*[(f"{TOWER} {index}", [passage("a", "confirmed")]) for index in range(5)]))
    assert stance.calls == 1


def test_verify_of_an_empty_batch_is_an_empty_list() -> None:
    """Nothing asked, nothing answered."""
    assert verify() == []


def test_verify_with_a_fact_of_the_same_value_supports_over_text() -> None:
    """A typed value that agrees exactly wins over a passage that says otherwise."""
    (opinion,) = verify((TOWER, [height_fact("f", 330), passage("a", "The height was denied.")]))
    assert opinion.label == "SUPPORTED"
    assert next(each for each in opinion.stances if each.evidence_id == "f").stance == "SUPPORTS"


def test_verify_with_a_fact_of_another_value_refutes_over_text() -> None:
    """A typed value that differs wins over a passage that agrees."""
    (opinion,) = verify((TOWER, [height_fact("f", 300), passage("a", "The height was confirmed.")]))
    assert opinion.label == "REFUTED"


def test_verify_with_a_statement_of_the_graph_that_names_the_object_supports() -> None:
    """A graph statement answers where the claim names its object, and stays silent where it names another."""
    item = replace(
        height_fact("g", 0),
        kind="graph",
        text="France capital Paris",
        subject="France",
        predicate="capital",
        object="Paris",
        value=None,
        unit=None,
    )
    named, other = verify(
        ("Paris is the capital of France.", [item]), ("Lyon is the capital of France.", [item])
    )
    assert named.label == "SUPPORTED"
    assert other.label != "SUPPORTED"


def test_verify_of_a_negated_claim_turns_an_exact_answer_round() -> None:
    """ "not 330 metres tall" is refuted by a height of 330."""
    (opinion,) = verify(("The Eiffel Tower is not 330 metres tall.", [height_fact("f", 330)]))
    assert opinion.label == "REFUTED"


@pytest.mark.parametrize(
    "claim",
    [
        "The Eiffel Tower is 330 metres tall and the most popular place in Europe.",
        "The antenna of the Eiffel Tower is 24 metres tall.",
        "In 1890 the Eiffel Tower was 312 metres tall.",
        "The Blackpool Tower is 158 metres tall.",
    ],
)
def test_verify_of_a_claim_that_says_more_than_the_fact_gets_no_exact_answer(claim: str) -> None:
    """Only a claim that says just what the fact says is answered by it; the rest is the stance model's."""
    (opinion,) = verify((claim, [height_fact("f", 330)]))
    assert opinion.stances[0].stance == "NEUTRAL"
    assert opinion.label == "NOT_ENOUGH_INFO"


def test_verify_findings_name_their_evidence_and_the_words() -> None:
    """A number that differs is shown with the item and both spans."""
    text = "Surveyors denied it: the Eiffel Tower is 300 metres tall."
    (opinion,) = verify((TOWER, [passage("a", text, "Some page")]))
    mismatch = next(each for each in opinion.findings if each.kind == "number_mismatch")
    assert mismatch.evidence_id == "a"
    assert mismatch.claim_span is not None
    assert mismatch.evidence_span is not None
    assert "330" in TOWER[mismatch.claim_span.start : mismatch.claim_span.end]
    assert "300" in text[mismatch.evidence_span.start : mismatch.evidence_span.end]


def test_verify_confidence_is_the_probability_of_the_label() -> None:
    """What is reported as confidence is the calibrated probability of what is said."""
    (opinion,) = verify((TOWER, [passage("a", "The height was denied.")]))
    assert opinion.probabilities is not None
    assert opinion.confidence == max(opinion.probabilities)


def test_verify_with_undecided_passages_says_so() -> None:
    """Found but undecided is not the same as not found."""
    items = [passage("a", "A tower stands in Paris."), passage("b", "Paris has many visitors.")]
    (opinion,) = verify((TOWER, items))
    assert opinion.abstained is None
    assert opinion.label == "NOT_ENOUGH_INFO"
    assert opinion.rationale == "None of the 2 evidence items found decides it."


def test_verify_with_one_weak_voice_names_only_that_side() -> None:
    """Nobody supports it, so nothing is said of support; the quotation is that of the one voice."""
    items = [passage("a", "The height was denied."), passage("b", "Paris has many visitors.")]
    (opinion,) = verify((TOWER, items))
    assert opinion.label == "NOT_ENOUGH_INFO"
    assert opinion.rationale.startswith("One evidence item contradicts it, too weakly to decide it")
    assert "The height was denied" in opinion.rationale


def test_verify_reads_a_passage_behind_its_title() -> None:
    """The title reaches the stance model, the quotation stays the passage's own words."""
    item = replace(passage("a", "It is 330 metres tall."), title="Eiffel height confirmed")
    (opinion,) = verify((TOWER, [item]))
    assert opinion.stances[0].stance == "SUPPORTS"
    assert "“It is 330 metres tall” (Eiffel height confirmed)" in opinion.rationale


def test_passage_that_names_nothing_of_the_claim_is_a_bystander() -> None:
    """What is denied of another thing says nothing about this one."""
    other = passage("p1", "K2 is 8,611 metres high: denied.", title="K2")
    (opinion,) = verify((TOWER, [other]))

    assert [item.stance for item in opinion.stances] == ["NEUTRAL"]
    assert opinion.label == "NOT_ENOUGH_INFO"
