"""What aggregation promises about order, repetition, emptiness and exact answers."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from data.analysis import Span
from data.evidence import Evidence, RetrievalScores
from data.models.aggregation import (
    AGGREGATE_FEATURES,
    NO_EVIDENCE,
    Reading,
    claim_features,
    conclude,
    conflict_share,
    most_probable,
    passage_text,
    read_evidence,
)

SUPPORTING = (0.8, 0.1, 0.1)
REFUTING = (0.1, 0.85, 0.05)
NEUTRAL = (0.1, 0.1, 0.8)


def reading(name: str, probabilities: tuple[float, float, float], **more: object) -> Reading:
    return Reading(key=name, id=name, probabilities=probabilities, **more)  # type: ignore[arg-type]


def passage(name: str, text: str, title: str = "") -> Evidence:
    scores = RetrievalScores(bm25=2.0, dense=0.5, fused=0.1)
    return Evidence(name, "d1", text, Span(0, len(text)), title=title, scores=scores)


def test_conclude_without_evidence_is_exactly_not_enough_info() -> None:
    """Nothing found means nothing known, whatever a model might say of an empty row."""
    assert conclude((0.9, 0.1, 0.0), []) == NO_EVIDENCE == (0.0, 0.0, 1.0, 0.0)


def test_features_are_the_same_in_any_order_of_the_evidence() -> None:
    """Every permutation gives the same row, bit for bit."""
    items = [
        reading("a", SUPPORTING, dense=0.7, lexical=True),
        reading("b", REFUTING, dense=0.4),
        reading("c", NEUTRAL),
        reading("d", (0.33, 0.33, 0.34), dense=0.7),
    ]
    rows = {claim_features(list(order)).tobytes() for order in itertools.permutations(items)}
    assert len(rows) == 1


def test_features_of_a_repeated_passage_are_those_of_one() -> None:
    """The same words under other ids, cases and spaces add nothing."""
    once = [read_evidence(passage("e1", "The tower is in Paris."), SUPPORTING)]
    again = [
        *once,
        read_evidence(passage("e2", "The  tower is in Paris."), SUPPORTING),
        read_evidence(passage("e3", "the tower is in paris"), SUPPORTING),
    ]
    assert claim_features(again).tolist() == claim_features(once).tolist()


def test_features_have_their_names_and_are_finite() -> None:
    """One value a name, with and without retrieval scores."""
    row = claim_features([reading("a", SUPPORTING), reading("b", REFUTING, dense=0.3, lexical=True)])
    named = dict(zip(AGGREGATE_FEATURES, row.tolist(), strict=True))
    assert np.isfinite(row).all()
    assert named["support_1"] == pytest.approx(0.8)
    assert named["refute_1"] == pytest.approx(0.85)
    assert named["dense_support"] == -1.0
    assert named["lexical_share"] == 0.5


@pytest.mark.parametrize("support", np.linspace(0, 1, 11).tolist())
def test_conclude_without_a_supporting_item_can_never_be_supported(support: float) -> None:
    """A label that no item speaks for is impossible, however sure the model is of it."""
    scored = (support, (1 - support) / 2, (1 - support) / 2)
    row = conclude(scored, [reading("a", NEUTRAL), reading("b", (0.49, 0.01, 0.5))])
    assert row[0] <= row[2] / 2 + 1e-6


def test_conclude_without_a_refuting_item_can_never_be_refuted() -> None:
    """The same rule on the other side."""
    row = conclude((0.1, 0.9, 0.0), [reading("a", SUPPORTING)])
    assert row[1] <= row[2] / 2 + 1e-6


def test_conclude_with_a_voice_on_a_side_leaves_its_probability_alone() -> None:
    """The rule touches only sides without a voice."""
    assert conclude((0.7, 0.1, 0.2), [reading("a", SUPPORTING)])[0] == pytest.approx(0.7)


def test_conflict_share_of_one_item_is_nothing() -> None:
    """One passage that is read both ways is unclear; it takes two to contradict."""
    assert conflict_share([reading("a", (0.5, 0.5, 0.0))]) == 0.0


def test_conclude_with_strong_evidence_on_both_sides_is_conflicting() -> None:
    """Two strong items that contradict each other leave neither side standing."""
    row = conclude((0.5, 0.4, 0.1), [reading("a", (0.95, 0.03, 0.02)), reading("b", (0.03, 0.95, 0.02))])
    assert max(row) == row[3]


def test_conclude_with_one_weak_side_is_not_conflicting() -> None:
    """A weak voice is no conflict."""
    row = conclude((0.8, 0.1, 0.1), [reading("a", (0.95, 0.03, 0.02)), reading("b", (0.2, 0.25, 0.55))])
    assert row[3] < 0.1
    assert max(row) == row[0]


def test_conflict_share_grows_with_the_weaker_side() -> None:
    """The share never falls when the weaker side gets stronger."""
    shares = [
        conflict_share([reading("a", (0.9, 0.05, 0.05)), reading("b", (0.0, weak, 1 - weak))])
        for weak in np.linspace(0, 1, 21).tolist()
    ]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] > 0.7


def test_conclude_with_an_exact_answer_wins_over_text() -> None:
    """A typed value that answers the claim outweighs passages that say otherwise."""
    items = [
        reading("a", SUPPORTING),
        reading("b", SUPPORTING),
        reading("f", (0.01, 0.98, 0.01), exact="REFUTES"),
    ]
    row = conclude((0.9, 0.05, 0.05), items)
    assert row[1] > 0.9


def test_conclude_with_exact_answers_against_each_other_is_conflicting() -> None:
    """Two facts that answer differently are a conflict of the sources."""
    items = [
        reading("f", (0.98, 0.01, 0.01), exact="SUPPORTS"),
        reading("g", (0.01, 0.98, 0.01), exact="REFUTES"),
    ]
    assert conclude((0.5, 0.4, 0.1), items)[3] > 0.9


@pytest.mark.parametrize("scored", [(0.333333, 0.333333, 0.333334), (0.1, 0.2, 0.7), (1.0, 0.0, 0.0)])
def test_conclude_always_adds_up_to_one(scored: tuple[float, float, float]) -> None:
    """Rounding to six decimals loses nothing."""
    row = conclude(scored, [reading("a", (0.7, 0.2, 0.1)), reading("b", (0.2, 0.7, 0.1))])
    assert sum(row) == pytest.approx(1.0, abs=1e-9)
    assert min(row) >= 0.0


def test_most_probable_on_a_tie_is_the_careful_stance() -> None:
    """Equal probabilities are no stance."""
    assert most_probable((0.4, 0.2, 0.4)) == "NEUTRAL"


def test_passage_text_puts_the_title_first_unless_the_text_names_it() -> None:
    """A title often says what "it" is; repeating it would only cost."""
    assert (
        passage_text(passage("a", "It opened in 1889.", "Eiffel Tower")) == "Eiffel Tower: It opened in 1889."
    )
    assert (
        passage_text(passage("a", "The Eiffel Tower is old.", "Eiffel Tower")) == "The Eiffel Tower is old."
    )
