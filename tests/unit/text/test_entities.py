"""Names."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis

Read = Callable[[str], Analysis]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("She moved to New York City in May 2014.", [("New York City", "PLACE")]),
        ("In 1998 Elizabeth Warren met Dr. Smith.", [("Elizabeth Warren", "PERSON"), ("Smith", "PERSON")]),
        ("He studied at the University of Oxford.", [("University of Oxford", "ORG")]),
        ("Children like sweets.", []),
        ("Morocco has many cases of COVID-19.", [("Morocco", "PLACE"), ("COVID-19", "NAME")]),
        ('The band released "Dirty Work" in June.', [("Dirty Work", "WORK")]),
        ("Over 100 nurses resigned.", []),
        ("Toy Story 3 was praised.", [("Toy Story 3", "NAME")]),
    ],
)
def test_names_are_found_with_their_kind(read: Read, text: str, names: list[tuple[str, str]]) -> None:
    """Capitals, gazetteers and titles together."""
    assert [(name.text, name.label) for name in read(text).entities] == names


def test_headline_capitals_are_no_names(read: Read) -> None:
    """Where every word has a capital, only sure names count."""
    names = [name.text for name in read("Vitamin Deficiency May Raise Risk of Serious COVID-19").entities]
    assert not any("Deficiency" in name or "Risk" in name for name in names)
