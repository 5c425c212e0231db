"""Constructed pairs must have the label that they are given."""

from __future__ import annotations

import pytest

from tasks.counterfactuals import altered, change_month, change_number, negate, restated, swap_name
from tasks.labelled import LabelledPair

PASSAGE = "The Golden Gate Bridge is a bridge in California that opened on May 27, 1937 with 12,000 guests."


def pair(claim: str, passage: str = PASSAGE, title: str = "Golden Gate Bridge") -> LabelledPair:
    return LabelledPair(claim, passage, 0, "fever_dev", title)


@pytest.mark.parametrize(
    ("claim", "denied"),
    [
        ("The bridge is in California.", "The bridge is not in California."),
        ("The bridge has been painted.", "The bridge has not been painted."),
        ("The bridge opened in 1937.", None),
        ("The bridge was never closed.", None),
        ("The bridge is not in Ohio.", None),
    ],
)
def test_negate_puts_not_after_the_auxiliary_or_gives_up(claim: str, denied: str | None) -> None:
    """A claim without an auxiliary, or negated already, has no safe denial."""
    assert negate(claim) == denied


def test_change_number_takes_a_year_that_the_passage_states_to_one_it_does_not() -> None:
    """The changed claim keeps every other word."""
    changed = change_number("The bridge opened in 1937.", PASSAGE)
    assert changed is not None
    assert changed.startswith("The bridge opened in ")
    assert "1937" not in changed


def test_change_number_keeps_the_thousands_separator() -> None:
    """12,000 becomes another number written the same way."""
    changed = change_number("The bridge opened with 12,000 guests.", PASSAGE)
    assert changed is not None
    assert "12,000" not in changed
    assert "," in changed


def test_change_number_leaves_bounds_alone() -> None:
    """ "More than 12,000" may stay true with another number, so its label would be unsure."""
    assert change_number("More than 12,000 guests came.", PASSAGE) is None


def test_change_month_needs_the_month_in_the_passage() -> None:
    """Only a stated month can be contradicted."""
    assert change_month("It opened in May.", PASSAGE) not in (None, "It opened in May.")
    assert change_month("It opened in June.", PASSAGE) is None


def test_swap_name_takes_a_name_that_the_passage_lacks() -> None:
    """A swapped name must not be in the passage, or the claim might stay true."""
    assert swap_name("The bridge is in California.", PASSAGE, ["Nevada"]) == "The bridge is in Nevada."
    assert swap_name("The bridge is in California.", PASSAGE, ["Golden Gate Bridge"]) is None


def test_altered_pairs_are_refuted_or_beside_another_page() -> None:
    """Every change refutes; another page's passage is neutral and never the claim's own."""
    other = pair("Oslo is in Norway.", "Oslo is the capital of Norway.", "Oslo")
    made = list(altered([pair("The bridge is in California."), other]))
    assert {each.source for each in made} >= {"negated", "unrelated"}
    assert all(each.label == (2 if each.source == "unrelated" else 1) for each in made)
    assert all(
        each.passage != PASSAGE for each in made if each.source == "unrelated" and "bridge" in each.claim
    )


def test_restated_pairs_support_and_their_denials_refute() -> None:
    """A passage supports its own sentence, and its denial supports the denied sentence."""
    made = {each.source: each for each in restated([pair("unused")])}
    assert made["restated"].label == made["both_negated"].label == 0
    assert made["negated"].label == made["passage_negated"].label == 1
    assert "is not a bridge" in made["both_negated"].passage


def test_altered_pairs_are_the_same_on_every_run() -> None:
    """Choices come from hashes, so a model can be trained again."""
    pairs = [pair("The bridge is in California."), pair("The bridge opened in 1937.")]
    assert list(altered(pairs)) == list(altered(pairs))
