"""Utility: what a claim's check-worthiness, wording, stakes and evidence make of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.analysis import Finding, Span
from data.claims import make_claim
from data.errors import ModelUnavailableError
from data.evidence import ClaimBatch, Evidence, RetrievalScores
from data.evidence_strength import strength
from data.models import checkworthiness
from data.models.boosters import BoosterScorer
from data.text.analyser import SpacyAnalyser
from data.verdicts import Opinion
from deployments.framework import registered
from deployments.frameworks.utility import Utility, UtilityConfig

SHIPPED = Path(__file__).parents[3] / "models" / checkworthiness.MODEL
TOWER = "The Eiffel Tower is 330 metres tall."


class FakeScorer:
    """Gives every row the same probability, and remembers the shape of what it was asked."""

    def __init__(self, worthy: float = 0.8) -> None:
        self.worthy = worthy
        self.shapes: list[tuple[int, ...]] = []

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        if model != "checkworthiness":
            raise ModelUnavailableError(f"No model is called {model!r}.")
        self.shapes.append(features.shape)
        row = [1.0 - self.worthy, self.worthy]
        return np.array([row] * len(features), dtype=np.float32).reshape(len(features), 2)

    def bundle(self) -> str:
        return "fake"


def batch_of(texts: list[str], *evidence: Evidence) -> ClaimBatch:
    vectors = np.random.default_rng(4).normal(size=(len(texts), 384)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    empty = ((),) * len(texts)
    return ClaimBatch(
        claims=tuple(make_claim(text) for text in texts),
        analyses=tuple(SpacyAnalyser().analyse(texts)),
        embeddings=vectors.tobytes(),
        evidence=(evidence,) * len(texts),
        histories=empty,
        pattern_hits=empty,
    )


def opinion(text: str, *evidence: Evidence, worthy: float = 0.8) -> Opinion:
    found = Utility(UtilityConfig(), scorer=FakeScorer(worthy)).verify(batch_of([text], *evidence))[0]
    assert isinstance(found, Opinion)
    return found


def passage(name: str, dense: float | None) -> Evidence:
    return Evidence(name, "doc", "text", Span(0, 4), scores=RetrievalScores(dense=dense))


def finding(found: Opinion, kind: str) -> Finding:
    return next(item for item in found.findings if item.kind == kind)


def kinds(found: Opinion) -> set[str]:
    return {item.kind for item in found.findings}


def test_utility_score_is_the_documented_combination() -> None:
    """0.45 p + 0.25 v + 0.12 h + 0.08 a + 0.10 i, spread over [-1, 1]; confidence is the margin of p."""
    found = opinion(TOWER, worthy=0.75)
    worth = 0.45 * 0.75 + 0.25 * 0.9 + 0.12 * 0.0 + 0.08 * 0.0 + 0.10 * 1.0
    assert found.score == pytest.approx(2 * worth - 1, abs=1e-6)
    assert found.confidence == pytest.approx(0.5)
    assert found.label == "CHECK_WORTHY"


def test_utility_statement_with_number_and_name_cites_their_words() -> None:
    """What makes it checkable is shown in the claim."""
    found = opinion(TOWER)
    number, name = finding(found, "checkable_number"), finding(found, "checkable_name")
    assert number.claim_span is not None
    assert name.claim_span is not None
    assert TOWER[number.claim_span.start : number.claim_span.end] == "330 metres"
    assert TOWER[name.claim_span.start : name.claim_span.end] == "Eiffel Tower"


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        ("Is the river longer than the canal?", "question", "?"),
        ("I think the river is polluted.", "opinion", "think"),
        ("The soup was disgusting.", "opinion", "disgusting"),
        ("The river will flood the village.", "prediction", "will"),
        ("The village should move.", "demand", "should"),
    ],
)
def test_utility_wording_that_cannot_be_looked_up_lowers_verifiability(
    text: str, kind: str, words: str
) -> None:
    """Each obstacle is found, cites its words, and costs score."""
    found = opinion(text)
    obstacle = finding(found, kind)
    assert obstacle.claim_span is not None
    assert text[obstacle.claim_span.start : obstacle.claim_span.end] == words
    assert obstacle.weight < 0
    assert found.score < opinion("The river is polluted.").score


def test_utility_question_is_not_verifiable_however_worthy() -> None:
    """The model cannot make a question checkable."""
    assert opinion("Is coffee good for you?", worthy=0.99).label == "NOT_VERIFIABLE"


def test_utility_attitude_of_somebody_else_is_not_the_claims_opinion() -> None:
    """That a person believes something is a checkable statement."""
    assert "opinion" not in kinds(opinion("Most Germans believe that the election was fair."))


def test_utility_harm_names_the_topic_and_its_words() -> None:
    """A claim about health and safety says which words make it grave."""
    text = "Drinking bleach cures cancer."
    found = opinion(text, worthy=0.2)
    safety, health = finding(found, "harm:safety"), finding(found, "harm:health")
    assert '"bleach"' in safety.message
    assert '"cancer"' in health.message
    assert safety.claim_span is not None
    assert text[safety.claim_span.start : safety.claim_span.end] == "bleach"
    assert '"Drinking", "cures"' in finding(found, "actionable").message


def test_utility_harmful_claim_the_model_passes_over_is_high_stakes() -> None:
    """What could hurt is not dropped because a debate would not have dwelt on it."""
    assert opinion("Drinking bleach cures cancer.", worthy=0.2).label == "HIGH_STAKES"
    assert opinion("Drinking bleach cures cancer.", worthy=0.9).label == "CHECK_WORTHY"
    assert opinion(TOWER, worthy=0.2).label == "NOT_CHECK_WORTHY"


def test_utility_label_turns_at_the_configured_probability() -> None:
    """The threshold is a setting."""
    strict = Utility(UtilityConfig(check_worthy_at=0.9), scorer=FakeScorer(0.8)).verify(batch_of([TOWER]))[0]
    assert isinstance(strict, Opinion)
    assert strict.label == "NOT_CHECK_WORTHY"


def test_utility_near_evidence_leaves_less_to_learn() -> None:
    """The value of information falls with the number and nearness of what was found."""
    scores = [
        opinion(TOWER).score,
        opinion(TOWER, passage("a", None)).score,
        opinion(TOWER, passage("a", 0.7)).score,
        opinion(TOWER, passage("a", 0.7), passage("b", 0.7)).score,
    ]
    assert scores == sorted(set(scores), reverse=True)
    assert (
        finding(opinion(TOWER, passage("a", 0.4), passage("b", 0.7)), "value_of_information").evidence_id
        == "b"
    )


def test_utility_order_of_evidence_changes_nothing() -> None:
    """Retrieval may list equals in any order."""
    items = [passage(name, dense) for name, dense in (("a", 0.41), ("b", 0.73), ("c", 0.67), ("d", None))]
    assert opinion(TOWER, *items) == opinion(TOWER, *reversed(items))


@pytest.mark.parametrize("text", ["It is what it is.", "!? 's ?!"])
def test_utility_text_without_meaning_abstains(text: str) -> None:
    """Nothing to stand on is said, with score and confidence 0."""
    found = opinion(text)
    assert found.abstained is not None
    assert (found.score, found.confidence, found.label) == (0.0, 0.0, "ABSTAINED")


def test_utility_missing_model_is_an_error() -> None:
    """An installation without the model is broken, not undecided."""
    with pytest.raises(ModelUnavailableError):
        Utility(UtilityConfig(), scorer=BoosterScorer([], "e")).verify(batch_of([TOWER]))


def test_utility_batch_is_scored_in_one_call_and_in_order() -> None:
    """Ten claims cost one prediction; an empty batch costs none."""
    scorer = FakeScorer()
    utility = Utility(UtilityConfig(), scorer=scorer)
    texts = [TOWER, "Is coffee good for you?"] * 5
    labels = [found.label for found in utility.verify(batch_of(texts)) if isinstance(found, Opinion)]
    assert labels == ["CHECK_WORTHY", "NOT_VERIFIABLE"] * 5
    assert utility.verify(batch_of([])) == []
    assert scorer.shapes == [(10, len(checkworthiness.FEATURE_NAMES))]


def test_utility_with_the_shipped_model_ranks_a_statistic_above_a_courtesy() -> None:
    """The model in the repository does what it is for, and a claim's opinion is the same in any batch."""
    utility = Utility(UtilityConfig(), scorer=BoosterScorer([SHIPPED], "e"))
    texts = ["Unemployment fell to 3.4 percent, from 6 percent a year ago.", "Thank you very much.", TOWER]
    batch = batch_of(texts)
    together = utility.verify(batch)
    scores = [found.score for found in together if isinstance(found, Opinion)]
    assert scores[0] > 0.2 > scores[1]
    for place in range(3):
        alone = ClaimBatch(
            batch.claims[place : place + 1],
            batch.analyses[place : place + 1],
            batch.vectors()[place].tobytes(),
            *(((),),) * 3,
        )
        assert utility.verify(alone) == [together[place]]


def test_utility_is_registered_with_what_it_needs() -> None:
    """The composition root finds it."""
    spec = registered()["utility"]
    assert (spec.needs, spec.decides, spec.config) == (("scorer",), False, UtilityConfig)


@pytest.mark.parametrize(
    ("dense", "expected"), [(0.1, 0.0), (0.3, 0.0), (0.55, 0.5), (0.8, 1.0), (0.99, 1.0)]
)
def test_strength_of_a_passage_rises_between_unrelated_and_paraphrase(dense: float, expected: float) -> None:
    """Cosines below 0.3 count for nothing, above 0.8 for all."""
    assert strength(passage("a", dense)) == pytest.approx(expected)


def test_strength_without_a_cosine_depends_on_the_kind() -> None:
    """Shared words are weak, a typed fact is strong."""
    fact = Evidence("f", "f", "height: 330 m", Span(0, 13), kind="fact")
    assert 0.0 < strength(passage("a", None)) < strength(fact) < 1.0
