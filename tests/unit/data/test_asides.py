"""Sentences of a passage that are about something else are not judged."""

from __future__ import annotations

import pytest

from data.best_sentence import without_asides

CLAIM = "The tower is 330 metres tall."
TITLE = "Eiffel Tower"
TOLD = "It reaches a height of 330 metres."
ASIDE = "Swiss coins circulate in Liechtenstein."


def test_a_sentence_about_something_else_is_left_out() -> None:
    """It shares no word with the claim, the title or the rest, and nothing leans on it."""
    assert without_asides(CLAIM, TITLE, f"{TOLD} {ASIDE}") == TOLD


@pytest.mark.parametrize(
    "passage",
    [
        TOLD,
        ASIDE,
        "",
        f"{ASIDE} {TOLD}",  # "It" leans on the sentence before
        f"{TOLD} They circulate in Liechtenstein.",  # leans itself
        f"{TOLD} Metres circulate in Liechtenstein.",  # shares a word with the rest
        f"{TOLD} Eiffel circulated in Liechtenstein.",  # shares a word with the title
        "Coins circulate. Dogs bark.",  # nothing speaks to the claim, so nothing is known to be beside it
    ],
)
def test_other_passages_come_back_as_they_are(passage: str) -> None:
    """Only what is surely beside the point goes."""
    assert without_asides(CLAIM, TITLE, passage) == passage


def test_a_sentence_before_is_left_out_where_the_passage_names_its_subject() -> None:
    """Nothing leans on it."""
    named = "The tower has a height of 330 metres."
    assert without_asides(CLAIM, TITLE, f"{ASIDE} {named}") == named
