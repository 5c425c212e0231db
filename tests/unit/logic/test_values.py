"""Values of facts and claims in comparable form."""

from __future__ import annotations

from datetime import date

import pytest

from data.analysis import Quantity, Span
from data.logic.predicates import named, plain_name
from data.logic.values import claim_measure, fact_measure, half_step, period_named


@pytest.mark.parametrize(
    ("digits", "half"),
    [("8,849", 0.5), ("8,800", 50.0), ("3.14", 0.005), ("1000", 50.0), ("7", 0.5), ("1.4", 0.05)],
)
def test_half_step_is_half_of_the_last_digit_stated_and_never_wide(digits: str, half: float) -> None:
    """Trailing zeros are rounding, up to 5 % of the number."""
    assert half_step(digits) == pytest.approx(half)


def test_claim_measure_with_unit_scales_the_precision() -> None:
    """29,032 feet are known to half a foot, in metres."""
    text = "29,032 feet"
    quantity = Quantity(29032.0, "ft", 29032 * 0.3048, "length", "=", None, Span(0, len(text)))

    assert claim_measure(text, quantity).precision == pytest.approx(0.5 * 0.3048)


@pytest.mark.parametrize(
    ("value", "unit", "words", "base", "dimension"),
    [
        (8.849, "km", "", 8849.0, "length"),
        (None, None, "8,849 metres", 8849.0, "length"),
        (30.0, "square kilometres", "", 30e6, "area"),
        (83e6, None, "83 million", 83e6, "count"),
        (100.0, "°C", "", 373.15, "temperature"),
    ],
)
def test_fact_measure_converts_to_base_units(
    value: float | None, unit: str | None, words: str, base: float, dimension: str
) -> None:
    """Typed values, units in words and values written in the object are all understood."""
    measure = fact_measure(value, unit, words)

    assert measure is not None
    assert measure.value == pytest.approx(base)
    assert measure.dimension == dimension


def test_fact_measure_unknown_unit_is_none() -> None:
    """A unit that is not known is not guessed."""
    assert fact_measure(3.0, "smoot", "3 smoots") is None


@pytest.mark.parametrize(
    ("words", "first", "last"),
    [
        ("1879", (1879, 1, 1), (1879, 12, 31)),
        ("1879-02", (1879, 2, 1), (1879, 2, 28)),
        ("1879-03-14", (1879, 3, 14), (1879, 3, 14)),
        ("1879-03-14T00:00:00Z", (1879, 3, 14), (1879, 3, 14)),
        ("14 March 1879", (1879, 3, 14), (1879, 3, 14)),
        ("March 14, 1879", (1879, 3, 14), (1879, 3, 14)),
        ("March 1879", (1879, 3, 1), (1879, 3, 31)),
    ],
)
def test_period_named_reads_dates_as_facts_write_them(
    words: str, first: tuple[int, int, int], last: tuple[int, int, int]
) -> None:
    """Years, months and days become day numbers, both ends included."""
    period = period_named(words)

    assert period is not None
    assert (period.first, period.last) == (date(*first).toordinal(), date(*last).toordinal())


@pytest.mark.parametrize("words", ["Paris", "31 February 1900", "1879-13-01", "around 1879"])
def test_period_named_other_words_are_none(words: str) -> None:
    """What is no date gives none."""
    assert period_named(words) is None


@pytest.mark.parametrize(
    "spelling", ["dateOfBirth", "date_of_birth", "https://example.org/p#dateOfBirth", "ex:date-of-birth"]
)
def test_plain_name_spellings_of_a_predicate_are_one(spelling: str) -> None:
    """However a graph or a table spells it, it is the same attribute."""
    assert plain_name(spelling) == "date of birth"


def test_named_inverse_predicate_is_turned_round() -> None:
    """ "capital of" states "capital" from the other side."""
    predicate, inverse = named("capital of")

    assert predicate is not None
    assert (predicate.slug, inverse) == ("capital", True)
