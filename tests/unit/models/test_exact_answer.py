"""What a typed fact says of a claim: an exact answer, a reading for the stance model, or nothing."""

from __future__ import annotations

import pytest

from data.analysis import Span
from data.evidence import Evidence, Stance
from data.models.exact_answer import exact_answer, says_nothing_of
from data.text.analyser import SpacyAnalyser
from data.text.comparison import compare

ANALYSER = SpacyAnalyser()


def fact(subject: str, predicate: str, text: str, **value: object) -> Evidence:
    span = Span(0, len(text))
    return Evidence(
        "f",
        "f",
        text,
        span,
        kind="fact",
        subject=subject,
        predicate=predicate,
        **value,  # type: ignore[arg-type]
    )


CAPITAL = fact("Canada", "capital", "The capital of Canada is Ottawa.", object="Ottawa")
DISCOVERER = fact(
    "Penicillin",
    "discoverer",
    "The discoverer of Penicillin is Alexander Fleming.",
    object="Alexander Fleming",
)
HEIGHT = fact("Angel Falls", "height", "The height of Angel Falls is 979 m.", value=979.0, unit="m")
DEPTH = fact(
    "Lake Baikal", "maximum depth", "The maximum depth of Lake Baikal is 1,642 m.", value=1642.0, unit="m"
)
COINS = fact(
    "Euro",
    "notes and coins introduced",
    "The notes and coins of Euro was introduced on 1 January 2002.",
    object="2002-01-01",
)
INTRODUCED = fact("Euro", "introduced", "Euro was introduced on 1 January 1999.", object="1999-01-01")
NATIONALITY = fact("Usain Bolt", "nationality", "The nationality of Usain Bolt is Jamaica.", object="Jamaica")
PLACE = fact("Kilimanjaro", "located in", "Kilimanjaro is located in Tanzania.", object="Tanzania")


def answer(claim: str, item: Evidence) -> Stance | None:
    mine, theirs = ANALYSER.analyse([claim, item.text])
    return exact_answer(claim, mine, item, compare(claim, mine, item.text, theirs))


def is_beside(claim: str, item: Evidence) -> bool:
    (analysis,) = ANALYSER.analyse([claim])
    return says_nothing_of(claim, analysis, item)


@pytest.mark.parametrize(
    ("claim", "item", "expected"),
    [
        ("The capital of Canada is Ottawa.", CAPITAL, "SUPPORTS"),
        ("The capital of Canada is Toronto.", CAPITAL, "REFUTES"),
        ("The capital of Canada is not Toronto.", CAPITAL, "SUPPORTS"),
        ("Lake Baikal is 1,642 metres deep.", DEPTH, "SUPPORTS"),
        ("Lake Baikal is 900 metres deep.", DEPTH, "REFUTES"),
        ("The euro was introduced on 1 January 1999.", INTRODUCED, "SUPPORTS"),
        ("The euro was introduced on 1 January 1998.", INTRODUCED, "REFUTES"),
    ],
)
def test_exact_answer_of_a_claim_that_says_just_what_the_fact_says(
    claim: str, item: Evidence, expected: Stance
) -> None:
    """The same subject and property: the value decides, and a negation turns it round."""
    assert answer(claim, item) == expected


@pytest.mark.parametrize(
    ("claim", "item"),
    [
        ("The euro was introduced on 1 January 1999.", COINS),
        ("The capital of Canada is large.", CAPITAL),
        ("Toronto lies near the capital of Canada, Montreal.", CAPITAL),
        ("Isaac Newton discovered penicillin.", DISCOVERER),
        ("Alexander Fleming discovered penicillin in 1928.", DISCOVERER),
        ("Kilimanjaro is located in Kenya.", PLACE),
    ],
)
def test_exact_answer_of_another_statement_is_none(claim: str, item: Evidence) -> None:
    """Half a property, no value, two values, properties that may have several, or more than the fact says."""
    assert answer(claim, item) is None


@pytest.mark.parametrize(
    ("claim", "item"),
    [
        ("Eleven people live at the foot of Angel Falls.", HEIGHT),
        ("Angel Falls is very high.", HEIGHT),
        ("Usain Bolt speaks Portuguese fluently.", NATIONALITY),
        ("Alexander Fleming discovered penicillin in 1928.", DISCOVERER),
        ("The euro was introduced on 1 January 1999.", COINS),
    ],
)
def test_says_nothing_of_a_claim_about_something_else(claim: str, item: Evidence) -> None:
    """Another property of the same subject, a value where none is claimed, or only a part of the claim."""
    assert is_beside(claim, item)


@pytest.mark.parametrize(
    ("claim", "item"),
    [
        ("Isaac Newton discovered penicillin.", DISCOVERER),
        ("Kilimanjaro is located in Kenya.", PLACE),
        ("Kilimanjaro is in Kenya.", PLACE),
        ("Angel Falls is 500 metres high and green.", HEIGHT),
        ("Alexander Fleming never discovered penicillin.", DISCOVERER),
    ],
)
def test_says_nothing_of_is_false_where_the_fact_may_decide(claim: str, item: Evidence) -> None:
    """Its property is claimed with another value, or denied: the stance model has a say."""
    assert not is_beside(claim, item)


def test_says_nothing_of_never_silences_a_passage() -> None:
    """Only typed facts have a property to go by."""
    text = "Angel Falls is 979 metres high."
    assert not is_beside("Bread is made from flour.", Evidence("p", "p", text, Span(0, len(text))))
