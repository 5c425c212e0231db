"""What aggregation promises about order, repetition, emptiness, one more item, and exact answers."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.analysis import Span
from data.evidence import Evidence, RetrievalScores
from data.models.aggregation import (
    AGGREGATE_FEATURES,
    BYSTANDER,
    NO_EVIDENCE,
    SUPPORT_DIRECTIONS,
    Reading,
    claim_features,
    conclude,
    gated,
    most_probable,
    passage_text,
    read_evidence,
    strongest,
    weaker_side,
    with_findings,
)

SUPPORTING = (0.8, 0.1, 0.1)
REFUTING = (0.1, 0.85, 0.05)
NEUTRAL = (0.1, 0.1, 0.8)


def reading(name: str, probabilities: tuple[float, float, float], **more: object) -> Reading:
    return Reading(key=name, id=name, probabilities=probabilities, **more)  # type: ignore[arg-type]


def passage(name: str, text: str, title: str = "") -> Evidence:
    scores = RetrievalScores(bm25=2.0, dense=0.5, fused=0.1)
    return Evidence(name, "d1", text, Span(0, len(text)), title=title, scores=scores)


@st.composite
def readings(draw: st.DrawFn) -> Reading:
    """Any item: few different words, so that repeats with other scores occur."""
    weights = [draw(st.integers(0, 100)) + 1e-3 for _ in range(3)]
    row = tuple(round(weight / sum(weights), 6) for weight in weights)
    return Reading(
        draw(st.sampled_from("abcdef")),
        draw(st.sampled_from(["1", "2", "3", "4", "5"])),
        (row[0], row[1], row[2]),
        draw(st.none() | st.floats(-1, 1)),
        draw(st.booleans()),
        None,
        draw(st.floats(-1, 1)),
    )


def toward(row: np.ndarray, direction: int) -> bool:
    """Whether no feature moved against ``direction`` (+1 towards SUPPORTED)."""
    return bool((direction * np.array(SUPPORT_DIRECTIONS) * row >= 0).all())


def test_conclude_without_evidence_is_exactly_not_enough_info() -> None:
    """Nothing found means nothing known, whatever a model might say of an empty row."""
    assert conclude((0.9, 0.1, 0.0, 0.0), []) == NO_EVIDENCE == (0.0, 0.0, 1.0, 0.0)


def test_features_are_the_same_in_any_order_of_the_evidence() -> None:
    """Every permutation gives the same row, bit for bit."""
    items = [
        reading("a", SUPPORTING, dense=0.7, lexical=True),
        reading("b", REFUTING, dense=0.4),
        reading("c", NEUTRAL),
        reading("d", (0.33, 0.33, 0.34), dense=0.7),
        reading("e", (0.41, 0.23, 0.36), dense=0.1, findings=0.3),
    ]
    rows = {claim_features(list(order)).tobytes() for order in itertools.permutations(items)}
    assert len(rows) == 1


def test_features_of_a_repeated_passage_are_those_of_one() -> None:
    """The same words under other ids, cases and spaces add nothing."""
    once = [read_evidence(passage("e1", "The tower is in Paris."), SUPPORTING)]
    again = [
        *once,
        read_evidence(passage("e2", "The  tower is in Paris."), SUPPORTING),
        read_evidence(passage("e0", "the tower is in paris"), SUPPORTING),
    ]
    assert claim_features(again).tolist() == claim_features(once).tolist()


@settings(max_examples=300, deadline=None)
@given(st.lists(readings(), max_size=6), readings())
def test_features_with_one_more_item_move_only_towards_its_side(items: list[Reading], one: Reading) -> None:
    """Whatever is there already: an item that leans to a side never speaks for the other."""
    moved = claim_features([*items, one]).astype(float) - claim_features(items).astype(float)
    support, refute, _ = one.probabilities
    assert support <= refute or toward(moved, 1)
    assert refute <= support or toward(moved, -1)
    assert support != refute or not moved.any()


@settings(max_examples=200, deadline=None)
@given(st.lists(readings(), min_size=1, max_size=6), st.integers(0, 5))
def test_features_and_verdict_with_an_item_twice_are_the_same(items: list[Reading], place: int) -> None:
    """A repetition is no second witness."""
    again = [*items, items[place % len(items)]]
    assert claim_features(again).tobytes() == claim_features(items).tobytes()
    assert conclude((0.4, 0.3, 0.2, 0.1), again) == conclude((0.4, 0.3, 0.2, 0.1), items)


@settings(max_examples=300, deadline=None)
@given(st.lists(readings(), max_size=5), readings(), st.tuples(*[st.integers(1, 100)] * 4))
def test_conclude_with_one_more_item_never_lowers_its_side(
    items: list[Reading], one: Reading, weights: tuple[int, int, int, int]
) -> None:
    """The rules keep the promise too: with the model's row unchanged, the item's side does not fall."""
    scored = [weight / sum(weights) for weight in weights]
    before, after = conclude(scored, items), conclude(scored, [*items, one])
    support, refute, _ = one.probabilities
    assert support <= refute or after[0] >= before[0] - 1e-9
    assert refute <= support or after[1] >= before[1] - 1e-9


def test_features_have_their_names_and_are_finite() -> None:
    """One value a name, with and without retrieval scores."""
    row = claim_features([reading("a", SUPPORTING), reading("b", REFUTING, dense=0.3, findings=-0.5)])
    named = dict(zip(AGGREGATE_FEATURES, row.tolist(), strict=True))
    assert np.isfinite(row).all()
    assert named["support_1"] == pytest.approx(0.8)
    assert named["refute_1"] == pytest.approx(0.85)
    assert named["support_near"] == pytest.approx(0.48)
    assert named["refute_near"] == pytest.approx(0.255)
    assert named["refute_confirmed"] == pytest.approx(0.425)
    assert named["support_unopposed"] == pytest.approx(0.8)
    assert named["lead"] == pytest.approx(-0.05)


def test_features_without_readings_are_nothing() -> None:
    """No item, no strength on either side."""
    assert not claim_features([]).any()


@pytest.mark.parametrize("support", np.linspace(0, 1, 11).tolist())
def test_conclude_without_a_supporting_item_can_never_be_supported(support: float) -> None:
    """A label that no item speaks for is impossible, however sure the model is of it."""
    scored = (support, (1 - support) / 3, (1 - support) / 3, (1 - support) / 3)
    row = conclude(scored, [reading("a", NEUTRAL), reading("b", (0.49, 0.01, 0.5))])
    assert row[0] < 0.25 < max(row)


def test_conclude_without_a_refuting_item_can_never_be_refuted() -> None:
    """The same rule on the other side."""
    row = conclude((0.1, 0.8, 0.01, 0.09), [reading("a", SUPPORTING)])
    assert row[1] < 0.25 < max(row)


def test_conclude_with_a_voice_on_a_side_leaves_its_probability_alone() -> None:
    """The rule touches only sides without a voice."""
    unvoiced, voiced = reading("a", (0.4, 0.1, 0.5)), reading("a", SUPPORTING)
    assert conclude((0.6, 0.2, 0.1, 0.1), [voiced])[0] == pytest.approx(0.3333, abs=1e-4)
    assert conclude((0.6, 0.2, 0.1, 0.1), [unvoiced])[0] == pytest.approx(0.24)


def test_conclude_weighs_what_is_told_and_how_much_apart() -> None:
    """Half of all is told (as likely as a conflict is against not knowing); of that, six parts in nine."""
    items = [reading("a", SUPPORTING), reading("b", REFUTING)]
    row = conclude((0.6, 0.2, 0.1, 0.1), items)
    assert row == pytest.approx((0.5 * 6 / 9, 0.5 * 2 / 9, 0.5, 0.5 * 1 / 9), abs=2e-6)


def test_conclude_of_a_single_wording_gives_conflicting_nothing() -> None:
    """One passage that is read both ways is unclear; it takes two to contradict."""
    twice = [reading("a", (0.5, 0.5, 0.0)), Reading("a", "z", (0.45, 0.5, 0.05))]
    assert conclude((0.1, 0.1, 0.1, 0.7), twice)[3] == 0.0


def test_conclude_of_strong_evidence_on_both_sides_can_be_conflicting() -> None:
    """Where the model weighs a conflict higher than not knowing, it is the label."""
    items = [reading("a", (0.95, 0.03, 0.02)), reading("b", (0.03, 0.95, 0.02))]
    row = conclude((0.1, 0.1, 0.1, 0.7), items)
    assert max(row) == row[3]


@pytest.mark.parametrize("other", [(0.9, 0.05, 0.05), (0.2, 0.3, 0.5), NEUTRAL])
def test_conclude_of_one_sided_evidence_is_never_conflicting(other: tuple[float, float, float]) -> None:
    """Two supporting items, or a weak leaning without a voice, are no conflict, whatever the model says."""
    row = conclude((0.0, 0.0, 0.001, 0.999), [reading("a", (0.95, 0.03, 0.02)), reading("b", other)])
    assert row[3] < 0.25 < max(row)


def test_weaker_side_is_the_lesser_of_two_opposed_items() -> None:
    """Items that lean the same way, or have the same words, are not opposed."""
    items = [reading("a", (0.9, 0.05, 0.05)), reading("b", (0.1, 0.6, 0.3)), reading("c", SUPPORTING)]
    assert weaker_side(items) == pytest.approx(0.6)
    assert weaker_side([items[0], items[2]]) == 0.0
    assert weaker_side([items[0], Reading("a", "z", REFUTING)]) == 0.0


def test_conclude_with_an_exact_answer_wins_over_text() -> None:
    """A typed value that answers the claim outweighs passages that say otherwise."""
    items = [
        reading("a", SUPPORTING),
        reading("b", SUPPORTING),
        reading("f", (0.01, 0.98, 0.01), exact="REFUTES"),
    ]
    row = conclude((0.9, 0.05, 0.01, 0.04), items)
    assert row[1] > 0.9


def test_conclude_with_exact_answers_against_each_other_is_conflicting() -> None:
    """Two facts that answer differently are a conflict of the sources."""
    items = [
        reading("f", (0.98, 0.01, 0.01), exact="SUPPORTS"),
        reading("g", (0.01, 0.98, 0.01), exact="REFUTES"),
    ]
    assert conclude((0.5, 0.4, 0.1, 0.0), items)[3] > 0.9


@pytest.mark.parametrize(
    "scored", [(0.333333, 0.333333, 0.333334, 0.0), (0.1, 0.2, 0.3, 0.4), (1.0, 0.0, 0.0, 0.0), (0.0,) * 4]
)
def test_conclude_always_adds_up_to_one(scored: tuple[float, float, float, float]) -> None:
    """Rounding to six decimals loses nothing."""
    row = conclude(scored, [reading("a", (0.7, 0.2, 0.1)), reading("b", (0.2, 0.7, 0.1))])
    assert sum(row) == pytest.approx(1.0, abs=1e-9)
    assert min(row) >= 0.0
    assert all(round(value, 6) == value for value in row)


def test_most_probable_on_a_tie_is_the_careful_stance() -> None:
    """Equal probabilities are no stance."""
    assert most_probable((0.4, 0.2, 0.4)) == "NEUTRAL"


def test_strongest_keeps_the_most_decisive_of_different_words() -> None:
    """Ties go to the smaller id, repeats are left out."""
    items = [reading("c", NEUTRAL), reading("b", REFUTING), reading("a", REFUTING)]
    items.append(Reading("a", "z", REFUTING))
    assert [each.id for each in strongest(items, 2)] == ["a", "b"]


def test_gated_item_that_names_nothing_of_the_claim_is_a_bystander() -> None:
    """A mountain's height says nothing of another mountain; without names nothing is gated."""
    item = passage("a", "Mont Blanc is 4,806 metres high.")
    assert gated(["Mount Everest"], item, REFUTING) == BYSTANDER
    assert gated(["Mont Blanc", "Mount Everest"], item, REFUTING) == REFUTING
    assert gated([], item, REFUTING) == REFUTING


def test_passage_text_puts_the_title_first_unless_the_text_names_it() -> None:
    """A title often says what "it" is; repeating it would only cost."""
    assert (
        passage_text(passage("a", "It opened in 1889.", "Eiffel Tower")) == "Eiffel Tower: It opened in 1889."
    )
    assert (
        passage_text(passage("a", "The Eiffel Tower is old.", "Eiffel Tower")) == "The Eiffel Tower is old."
    )


def test_copies_share_the_findings_of_the_item_that_was_compared() -> None:
    """One of several copies is compared; the others must not look as if nothing spoke against them."""
    compared, copy, other = reading("a", SUPPORTING), reading("b", SUPPORTING), reading("c", REFUTING)
    copy = replace(copy, key=compared.key)
    done = with_findings([compared, copy, other], {"a": -0.5})
    assert [each.findings for each in done] == [-0.5, -0.5, 0.0]
    assert list(claim_features(done)) == list(claim_features([done[0], done[2]]))


@pytest.mark.parametrize("other", ["Paris  is\nbig", "Paris is big .", "Paris is big..."])
def test_spacing_and_the_final_stop_are_not_read(other: str) -> None:
    """Copies that differ in nothing else are the same words to the stance model."""
    assert passage_text(passage("a", other)) == passage_text(passage("a", "Paris is big."))
    assert passage_text(passage("a", "Is Paris big?")).endswith("big?")
