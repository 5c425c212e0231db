"""Facts as sentences."""

from __future__ import annotations

import pytest

from data.knowledge import Fact
from data.statements import state


@pytest.mark.parametrize(
    ("subject", "predicate", "told", "sentence"),
    [
        ("France", "capital", "Paris", "The capital of France is Paris."),
        ("Mount Everest", "height", "8,849 m", "The height of Mount Everest is 8,849 m."),
        (
            "Mount Everest",
            "first ascent",
            "1953-05-29",
            "The first ascent of Mount Everest was on 29 May 1953.",
        ),
        ("Marie Curie", "born", "1867-11-07", "Marie Curie was born on 7 November 1867."),
        ("Marie Curie", "died", "1934-07-04", "Marie Curie died on 4 July 1934."),
        ("Uranus", "discovered", "1781", "Uranus was discovered in 1781."),
        ("The Louvre", "located in", "Paris", "The Louvre is located in Paris."),
        ("The Danube", "flows into", "the Black Sea", "The Danube flows into the Black Sea."),
        ("Berlin", "capital of", "Germany", "Berlin is the capital of Germany."),
        ("The Louvre", "pyramid opened", "1989", "The pyramid of The Louvre was opened in 1989."),
        ("The Louvre", "contained in place", "Paris", "The Louvre is located in Paris."),
        ("K2", "first ascent by", "Lino Lacedelli", "The first ascent of K2 was by Lino Lacedelli."),
        ("The war", "ended", "1918-11", "The war ended in November 1918."),
    ],
)
def test_fact_reads_as_english(subject: str, predicate: str, told: str, sentence: str) -> None:
    """Nouns, participles, verbs, days, months and years each get their form."""
    assert state(Fact("1", subject, predicate, told)) == sentence
