"""The sentence of a passage that a reader of the claim should see."""

from __future__ import annotations

from data.best_sentence import best_sentence

PASSAGE = (
    "The tower stands in Paris. It was finished in 1889 for the world's fair. Dr. Eiffel, whose company "
    "built the tower, kept a flat near the top of the tower in Paris."
)


def quoted(claim: str, passage: str = PASSAGE) -> str:
    span = best_sentence(claim, passage)
    return passage[span.start : span.end]


def test_best_sentence_is_whole_and_holds_the_claims_words() -> None:
    """The span slices to one whole sentence, the one that speaks of it."""
    assert quoted("The fair of 1889 saw it finished.") == "It was finished in 1889 for the world's fair."


def test_word_that_only_one_sentence_has_tells_more() -> None:
    """A word that stands everywhere does not outweigh one that stands once."""
    assert quoted("Eiffel had a flat in the tower.").startswith("Dr. Eiffel")


def test_other_forms_of_a_word_count_and_other_numbers_do_not() -> None:
    """Inflection is no obstacle; 1888 is not 1889."""
    text = "They built walls in 1889. Building goes on."

    assert quoted("Who builds?", text) == "Building goes on."
    assert quoted("The year 1888", "In 1889 it rained. In 1888 it snowed.") == "In 1888 it snowed."


def test_tie_goes_to_the_first_sentence_and_no_words_to_none() -> None:
    """Nothing in common points to the beginning; a text without words has no sentence."""
    assert quoted("zebra") == "The tower stands in Paris."
    assert quoted("zebra", "") == ""
