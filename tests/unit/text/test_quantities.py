"""Numbers as people write them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from data.analysis import Analysis

Read = Callable[[str], Analysis]


@pytest.mark.parametrize(
    ("text", "value", "dimension", "comparator", "noun"),
    [
        ("Morocco has 23 cases.", 23, "count", "=", "case"),
        ("She wrote twenty-three novels.", 23, "count", "=", "novel"),
        ("It sold more than 1.5 million copies.", 1.5e6, "count", ">", "copy"),
        ("There were fewer than 12,000 demonstrators.", 12_000, "count", "<", "demonstrator"),
        ("At least one hundred and five people died.", 105, "count", ">=", "person"),
        ("He owns a dozen horses.", 12, "count", "=", "horse"),
        ("About two and a half million people live there.", 2.5e6, "count", "~", "person"),
        ("Up to 1e6 samples were taken.", 1e6, "count", "<=", "sample"),
        ("1,998 people voted.", 1998, "count", "=", "person"),
        ("65 members or more came.", 65, "count", "=", "member"),
        ("It treated 70 patients.", 70, "count", "=", "patient"),
        ("The town has a population of over 24 million.", 24e6, "count", ">", "population"),
        ("It is the third studio album of the band.", 3, "ordinal", "=", "album"),
        ("He was the 35th president.", 35, "ordinal", "=", "president"),
        ("He scored not more than 5 goals.", 5, "count", "<=", "goal"),
    ],
)
def test_quantity_with_a_counted_noun_is_read_whole(
    read: Read, text: str, value: float, dimension: str, comparator: str, noun: str
) -> None:
    """Value, dimension, comparator and noun come out together."""
    (found,) = read(text).quantities
    assert (found.value, found.dimension, found.comparator, found.noun) == (
        value,
        dimension,
        comparator,
        noun,
    )


@pytest.mark.parametrize(
    ("text", "unit", "base_value", "dimension"),
    [
        ("The tower is 330 m tall.", "m", 330, "length"),
        ("The river is 10 miles long.", "mi", 16_093.44, "length"),
        ("It covers 2 square kilometres.", "km²", 2e6, "area"),
        ("The stone weighs 3 pounds.", "lb", 1.36077711, "mass"),
        ("It takes 90 minutes.", "min", 5400, "time"),
        ("Water boils at 100 °C.", "°C", 373.15, "temperature"),
        ("It was 68 degrees Fahrenheit.", "°F", 293.15, "temperature"),
        ("The car reached 100 km/h.", "km/h", 27.7777777778, "speed"),
        ("A tank holds 50 litres.", "L", 0.05, "volume"),
        ("It uses 3 kilowatt hours.", "kWh", 1.08e7, "energy"),
        ("The plant gives 5 megawatts.", "MW", 5e6, "power"),
        ("The disk has 4 GB.", "GB", 4e9, "data"),
        ("Turnout was 53%.", "%", 53, "percent"),
        ("Turnout was 53 per cent.", "%", 53, "percent"),
        ("It cost $25 million.", "$", 25e6, "money:usd"),
        ("It cost US$250,000.", "$", 250_000, "money:usd"),
        ("It cost $25m.", "$", 25e6, "money:usd"),
        ("They paid 3 billion euros.", "€", 3e9, "money:eur"),
        ("They paid £40.", "£", 40, "money:gbp"),
        ("A 57-year-old man came.", "yr", 57 * 365.25 * 86_400, "time"),
    ],
)
def test_quantity_with_a_unit_is_converted_to_its_base(
    read: Read, text: str, unit: str, base_value: float, dimension: str
) -> None:
    """Factors are those of NIST SP 811."""
    (found,) = read(text).quantities
    assert (found.unit, found.dimension) == (unit, dimension)
    assert found.base_value == pytest.approx(base_value, rel=1e-9)


@pytest.mark.parametrize(
    ("text", "percent"),
    [
        ("Half of the voters stayed.", 50),
        ("Two-thirds of them left.", 200 / 3),
        ("3/4 of the crop was lost.", 75),
        ("A quarter of the army fled.", 25),
    ],
)
def test_fraction_is_a_percentage(read: Read, text: str, percent: float) -> None:
    """Shares in words compare with percentages."""
    (found,) = read(text).quantities
    assert found.dimension == "percent"
    assert found.base_value == pytest.approx(percent)


@pytest.mark.parametrize(
    ("text", "low", "high"),
    [
        ("Between 5 and 10 million people came.", 5e6, 10e6),
        ("It weighs 20 to 30 kg.", 20, 30),
        ("Symptoms appear 2-14 days after exposure.", 2, 14),
        ("Between $3 million and $4 million was lost.", 3e6, 4e6),
        ("10–20 ships sank.", 10, 20),
    ],
)
def test_range_gives_a_lower_and_an_upper_bound(read: Read, text: str, low: float, high: float) -> None:
    """Scale and unit that are said once hold for both ends."""
    first, second = read(text).quantities
    assert (first.value, first.comparator, second.value, second.comparator) == (low, ">=", high, "<=")
    assert first.dimension == second.dimension


@pytest.mark.parametrize(
    "text",
    [
        "He fought in World War 2.",
        "The disease is type 2 diabetes.",
        "Toy Story 3 was a success.",
        "Guardians of the Galaxy Vol . 2 opened.",
        "The meeting began at 11:30.",
        "Arsenal won 3-2 at home.",
        "No one came.",
        "It is one of the best songs.",
        "The film came out in 1998.",
        "It was first published in London.",
        "Amber Tamblyn starred in 127 Hours .",
    ],
)
def test_number_that_measures_nothing_is_no_quantity(read: Read, text: str) -> None:
    """Names, times, results, pronouns and years are left out."""
    assert read(text).quantities == ()


def test_years_before_christ_are_a_quantity_of_their_own(read: Read) -> None:
    """No ISO day can hold them, and they are no count."""
    analysis = read("Settlers came around 250 BC.")
    assert analysis.dates == ()
    assert [(q.value, q.unit, q.dimension, q.base_value) for q in analysis.quantities] == [
        (250, "BC", "year", -249)
    ]


def test_from_to_that_tells_a_change_is_two_values(read: Read) -> None:
    """Growth from 5 to 10 sets no bounds."""
    found = read("Sales rose from 5 to 10 tons.").quantities
    assert [quantity.comparator for quantity in found] == ["=", "="]


@pytest.mark.parametrize("text", ["( 1 +", "5 % +", "at 10 or", "18+", "more than", "up to 3 +"])
def test_text_that_breaks_off_at_a_comparator_is_read(read: Read, text: str) -> None:
    """Windows of longer texts end anywhere."""
    analysis = read(text)
    assert all(text[each.span.start : each.span.end].strip() for each in analysis.quantities)
