"""Which way a statement points, and its numeric reading."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis
from data.text.polarity import negated, negation_scope, numeric_claims

Read = Callable[[str], Analysis]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The film was not a success.", True),
        ("Nobody died.", True),
        ("It is false that cats fly.", True),
        ("Although he did not win, he was happy.", False),
        ("She won, which he did not like.", False),
        ("He never failed to win.", False),
        ("The Earth is flat.", False),
        ("He left without money.", False),
        ("", False),
    ],
)
def test_main_clause_is_negated_or_not(read: Read, text: str, expected: bool) -> None:
    """Subordinate clauses and phrases do not count, two negations cancel out."""
    assert negated(read(text)) is expected


def test_negation_governs_the_rest_of_its_clause(read: Read) -> None:
    """The scope starts after the negation and ends at the clause's end."""
    text = "He did not win the cup, but he played well."
    analysis = read(text)
    (cue,) = analysis.cues_of("negation")
    scope = negation_scope(analysis, cue)
    assert text[scope.start : scope.end] == "win the cup"


@pytest.mark.parametrize(
    ("text", "subject", "relation", "value"),
    [
        ("Morocco has more than 340 cases.", "Morocco", ("have",), 340),
        ("Draft Day had grossed $ 25 million.", "Draft Day", ("have", "gross"), 25e6),
        ("The tower is 330 metres tall.", "The tower", ("be",), 330),
    ],
)
def test_plain_numeric_statement_is_read(
    read: Read, text: str, subject: str, relation: tuple[str, ...], value: float
) -> None:
    """Subject, relation and quantity of a simple sentence."""
    (found,) = numeric_claims(text, read(text))
    assert text[found.subject.start : found.subject.end] == subject
    assert (found.relation, found.quantity.value, found.negated) == (relation, value, False)


@pytest.mark.parametrize(
    "text",
    [
        "If it rains, the tower is 330 metres tall.",
        "Between 5 and 10 people came.",
        "Gettysburg was a three day battle.",
        "He was happy.",
    ],
)
def test_unclear_numeric_statement_is_not_read(read: Read, text: str) -> None:
    """Conditions, several numbers and attributes give nothing."""
    assert numeric_claims(text, read(text)) == []


def test_denied_numeric_statement_says_so(read: Read) -> None:
    """The reading carries the negation."""
    text = "The tower is not 330 metres tall."
    (found,) = numeric_claims(text, read(text))
    assert found.negated
