"""Claims that deny: the denial is taken off and remembered."""

from __future__ import annotations

import pytest

from data.text.framing import unframed


@pytest.mark.parametrize(
    ("claim", "inner", "denied"),
    [
        ("It is not true that the tower is tall.", "The tower is tall.", True),
        ("It's false that the tower is tall.", "The tower is tall.", True),
        ("It is true that the tower is tall.", "The tower is tall.", False),
        ("It is not the case that it is false that Paris is big.", "Paris is big.", False),
        ("It is not correct that it is a fact that Paris is big.", "Paris is big.", True),
    ],
)
def test_frames_are_taken_off_and_denials_counted(claim: str, inner: str, denied: bool) -> None:
    """Two denials affirm."""
    assert (unframed(claim).claim, unframed(claim).denied) == (inner, denied)


@pytest.mark.parametrize(
    ("claim", "affirmed"),
    [
        ("The tower is not tall.", "The tower is tall."),
        ("The tower isn't tall.", "The tower is tall."),
        ("The drug does not help.", "The drug does help."),
        ("The drug won’t help.", "The drug will help."),
        ("Bats cannot see.", "Bats can see."),
        ("He has never played for Rome.", "He has played for Rome."),
        ("He never played for Rome.", "He played for Rome."),
    ],
)
def test_the_one_not_of_a_plain_statement_is_taken_off(claim: str, affirmed: str) -> None:
    """What supports "X is Y" refutes "X is not Y"."""
    assert (unframed(claim).claim, unframed(claim).denied) == (affirmed, True)


def test_denial_of_a_denial_affirms() -> None:
    """Both kinds count."""
    twice = unframed("It is not true that the tower isn't tall.")
    assert (twice.claim, twice.denied) == ("The tower is tall.", False)


@pytest.mark.parametrize(
    "claim",
    [
        "",
        "It is not true that ",
        "It is likely that it rains.",
        "it is true",
        "Not all towers are tall.",
        "The tower is not only tall.",
        "The tower was not built until 1889.",
        "The tower that is not tall is in Paris.",
        "The tower is not tall and has no lift.",
        "Never Let Me Go is a film.",
        "Isn't the tower tall?",
        "Is the tower not tall?",
        "The song is Not Afraid.",
        "The tower, which is old, is not tall.",
        "never",
    ],
)
def test_other_claims_come_back_as_they_are(claim: str) -> None:
    """Only a phrase around a whole claim, or the one "not" of a plain statement, denies."""
    assert unframed(claim).claim == claim
    assert not unframed(claim).denied
