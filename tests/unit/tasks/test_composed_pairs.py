"""Questions with their answers, and joined claims: the label follows from what was put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest

from data.evidence import STANCES
from tasks.composed_pairs import conjoined, question_of, questioned, together
from tasks.labelled import LabelledPair

SUPPORTS, REFUTES, NEUTRAL = range(3)
Maker = Callable[[Sequence[LabelledPair]], Iterator[LabelledPair]]


def bridges(label: int, count: int = 60) -> list[LabelledPair]:
    """Claims about bridges, enough that the shares taken by hash find some."""
    return [
        LabelledPair(
            f"The bridge number {index} was opened in 1900.",
            f"Passage {index}.",
            label,
            "fm2",
            f"Bridge {index}",
        )
        for index in range(count)
    ]


@pytest.mark.parametrize(
    ("claim", "question"),
    [
        ("The bridge was opened in 1900.", "Was the bridge opened in 1900?"),
        ("Marie Curie has won two prizes.", None),
        ("Marie Curie has received two prizes.", "Has Marie Curie received two prizes?"),
        ("Cats sleep.", None),
        ("The bridge was not opened.", None),
        ("In 1900, the bridge was opened.", None),
    ],
)
def test_question_asks_what_the_claim_states(claim: str, question: str | None) -> None:
    """Only plain statements with an auxiliary are asked; the others are left alone."""
    assert question_of(claim) == question


@pytest.mark.parametrize(("label", "answer", "other"), [(SUPPORTS, "Yes.", "No."), (REFUTES, "No.", "Yes.")])
def test_questions_carry_the_answer_of_their_label(label: int, answer: str, other: str) -> None:
    """A supported claim is answered yes, a refuted one no; its denial has the other label."""
    made = list(questioned(bridges(label)))
    plain = [pair for pair in made if " not " not in pair.claim]
    denied = [pair for pair in made if " not " in pair.claim]
    assert plain
    assert denied
    assert {pair.label for pair in plain} == {label}
    assert {pair.label for pair in denied} == {1 - label}
    assert any(answer in pair.passage for pair in made)
    assert not any(other in pair.passage for pair in made)


def test_open_claims_stay_open_beside_the_question_of_another() -> None:
    """The answer to another question about the page decides nothing."""
    page = [
        *(LabelledPair(f"Bridge {i} was blue.", f"Text {i}.", SUPPORTS, "fm2", "Bridge") for i in range(80)),
        LabelledPair("The bridge was sold.", "Another text.", NEUTRAL, "fm2", "Bridge"),
    ]
    open_ = [pair for pair in questioned(page) if pair.claim == "The bridge was sold."]
    assert open_
    assert {STANCES[pair.label] for pair in open_} == {"NEUTRAL"}


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (SUPPORTS, SUPPORTS, SUPPORTS),
        (SUPPORTS, REFUTES, REFUTES),
        (NEUTRAL, REFUTES, REFUTES),
        (NEUTRAL, SUPPORTS, NEUTRAL),
    ],
)
def test_joined_claim_is_as_true_as_its_worst_half(one: int, other: int, both: int) -> None:
    """Refuted where a half is; else open where a half is; supported where both are."""
    assert together(one, other) == together(other, one) == both
    pairs = [
        LabelledPair(text, f"Passage {index}.", label, "vitaminc", f"Page {index}")
        for index in range(40)
        for text, label in ((f"The river {index} is long.", one), (f"People swim near town {index}.", other))
    ]
    made = list(conjoined(pairs))
    assert made
    assert {pair.label for pair in made} == {both}
    assert all("The river" in pair.claim or "the river" in pair.claim for pair in made)


@pytest.mark.parametrize("maker", [questioned, conjoined])
def test_same_pairs_give_the_same_compositions(maker: Maker) -> None:
    """Training meets the same pairs every time."""
    assert list(maker(bridges(SUPPORTS))) == list(maker(bridges(SUPPORTS)))
