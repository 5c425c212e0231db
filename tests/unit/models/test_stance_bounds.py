"""The bounds that exact findings put on the learned stance."""

from __future__ import annotations

import pytest

from data.models.stance_bounds import BOUNDING_FEATURES, CONTRADICTIONS, bounded

SAME_STATEMENT = {"soft_recall": 0.8, "weighted_recall": 0.8, "unmatched_words": 1.0}
REWORDED = {"soft_recall": 0.5, "weighted_recall": 0.4, "unmatched_words": 4.0}


def features(**values: float) -> list[float]:
    return [({"passage_length": 9.0} | values).get(name, 0.0) for name in BOUNDING_FEATURES]


@pytest.mark.parametrize("contradiction", CONTRADICTIONS)
def test_bounded_with_a_contradiction_in_the_same_words_refutes(contradiction: str) -> None:
    """However sure the booster is: what SUPPORTS loses goes to REFUTES."""
    row = bounded((0.9, 0.05, 0.05), features(**SAME_STATEMENT, **{contradiction: 1.0}))
    assert row == (0.15, 0.8, 0.05)


@pytest.mark.parametrize("learned", [(0.9, 0.05, 0.05), (0.5, 0.2, 0.3)])
def test_bounded_with_a_contradiction_beside_a_rewording_keeps_the_booster(
    learned: tuple[float, float, float],
) -> None:
    """Where many words differ the comparison may have aligned the wrong number."""
    assert bounded(learned, features(**REWORDED, numbers_conflict=1.0)) == learned


def test_bounded_with_a_contradiction_among_few_shared_words_is_neutral() -> None:
    """A short claim that shares little is not refuted by a number, but not supported either."""
    found = features(soft_recall=0.5, weighted_recall=0.4, unmatched_words=2.0, numbers_conflict=1.0)
    assert bounded((0.5, 0.2, 0.3), found) == (0.15, 0.2, 0.65)


def test_bounded_without_contradiction_keeps_the_booster() -> None:
    """The bounds only bind."""
    learned = (0.7, 0.2, 0.1)
    assert bounded(learned, features(**SAME_STATEMENT)) == learned


@pytest.mark.parametrize(
    ("learned", "row"), [((0.1, 0.85, 0.05), (0.1, 0.6, 0.3)), ((0.95, 0.03, 0.02), (0.6, 0.03, 0.37))]
)
def test_bounded_of_a_passage_without_a_word_of_the_claim_is_never_sure(
    learned: tuple[float, float, float], row: tuple[float, float, float]
) -> None:
    """It may be a paraphrase; what is cut goes to NEUTRAL."""
    assert bounded(learned, features(soft_recall=0.0)) == row


def test_bounded_of_a_passage_without_words_is_neutral() -> None:
    """Nothing to read decides nothing."""
    assert bounded((0.7, 0.2, 0.1), features(passage_length=0.0)) == (0.0, 0.0, 1.0)


def test_bounded_with_another_figure_in_its_place_does_not_support() -> None:
    """ "atomic number 9" beside "atomic number 8": no quantity, and still another number."""
    row = bounded((0.9, 0.05, 0.05), features(**SAME_STATEMENT, figures_missing=1.0, figures_beside=1.0))
    assert row[0] == 0.15


def test_bounded_with_a_figure_that_agrees_in_other_units_supports() -> None:
    """ "1 km" beside "1000 m" is the same number: agreement found exactly outweighs the missing figure."""
    found = features(**SAME_STATEMENT, figures_missing=1.0, figures_beside=1.0, numbers_agree=1.0)
    assert bounded((0.9, 0.05, 0.05), found)[0] == 0.9


def test_bounded_never_raises_support() -> None:
    """Whatever is found, a bound cannot make a passage support."""
    for name in BOUNDING_FEATURES:
        for base in (SAME_STATEMENT, REWORDED):
            assert bounded((0.4, 0.3, 0.3), features(**{**base, name: 1.0}))[0] <= 0.4


def test_bounded_adds_up_to_one() -> None:
    """Six decimals, none lost, none below zero."""
    row = bounded((0.3333333, 0.3333333, 0.3333334), features(**SAME_STATEMENT, antonym_pairs=2.0))
    assert sum(row) == pytest.approx(1.0, abs=1e-9)
    assert min(row) >= 0.0
