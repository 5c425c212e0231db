"""What counts as said twice, and what only looks like it."""

from __future__ import annotations

import pytest

from data.near_copies import distinct, is_near_copy

TEXT = (
    "The bridge over the river was opened in May 1932 by the mayor of the town, who walked across it first "
    "with the two engineers that had drawn its arches, before a crowd that the newspapers of the day put at "
    "thirty thousand people from the whole province"
)


@pytest.mark.parametrize(
    "copy",
    [
        TEXT + ".",
        TEXT.upper(),
        TEXT.replace(" ", "  "),
        f"LYON (AFP) - {TEXT}.",
        f"{TEXT}. Read more here.",
        TEXT.removeprefix("The "),
    ],
)
def test_same_words_in_the_same_order_are_a_copy(copy: str) -> None:
    """Case, spaces, a byline and a cut at the edge make no other text."""
    assert is_near_copy(TEXT, copy)
    assert is_near_copy(copy, TEXT)


@pytest.mark.parametrize(
    "other",
    [
        TEXT.replace("1932", "1933"),
        TEXT.replace("was opened", "was not opened"),
        TEXT.replace("opened", "closed"),
        TEXT.replace("mayor of the town", "town of the mayor"),
        TEXT.replace("thirty thousand", "30,000"),
        f"Hoax: {TEXT}",
        f"{TEXT}, allegedly",
        f"{TEXT}. This is not so.",
        f"{TEXT} in 1940",
    ],
)
def test_one_word_that_may_change_the_sense_makes_another_text(other: str) -> None:
    """However much two texts overlap, an exchanged word or an added number or doubt keeps them apart."""
    assert not is_near_copy(TEXT, other)


def test_much_added_makes_another_text() -> None:
    """A text that says a good deal more is not the same."""
    assert not is_near_copy(TEXT, f"{TEXT}. It was painted green by the soldiers that guarded it at night.")


def test_distinct_keeps_the_first_of_each_in_order() -> None:
    """The best ranked stays; what follows is compared with what was kept."""
    texts = ["Snow is white.", TEXT, "snow is white", f"AFP - {TEXT}", "Coal is black.", "Coal is not black."]

    assert list(distinct(texts)) == [0, 1, 4, 5]
