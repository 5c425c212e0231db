"""Compound units, and the house's own table against the library's definitions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pint
import pytest

from data.analysis import Analysis
from data.exact.compound_units import parsed_unit
from data.exact.values import read_values
from data.text.units import UNITS

#: Names of the table that the library spells otherwise.
SPELT = {
    "µm": "micrometer", "in": "inch", "ly": "light_year", "au": "astronomical_unit", "µg": "microgram",
    "t": "metric_ton", "t_short": "short_ton", "st": "stone", "min": "minute", "h": "hour", "d": "day",
    "wk": "week", "yr": "julian_year", "m²": "m**2", "km²": "km**2", "mi²": "mile**2", "ft²": "foot**2",
    "yd²": "yard**2", "m³": "m**3", "km³": "km**3", "ft³": "foot**3", "gal": "gallon", "pt": "pint",
    "bbl": "oil_barrel", "kn": "knot", "°": "degree", "nmi": "nautical_mile", "cal": "calorie",
    "kcal": "kilocalorie", "B": "byte", "kB": "kilobyte", "MB": "megabyte", "GB": "gigabyte",
    "TB": "terabyte", "PB": "petabyte",
}  # fmt: skip
#: Ours are conventions: a month is a twelfth of a Julian year, decades and more are of such years; the acre
#: is the international one, the library's the US survey acre (4 parts in a million apart).
CONVENTIONS = {"mo", "decade", "century", "millennium", "acre"}
LIBRARY_BASES = {"data": "byte"}


@pytest.fixture(scope="module")
def library() -> Any:
    return pint.UnitRegistry(cache_folder=None)


@pytest.mark.parametrize(
    "symbol",
    sorted(
        {
            unit.symbol
            for unit in UNITS.values()
            if not unit.dimension.startswith(("money", "percent")) and not unit.offset
        }
        - CONVENTIONS
    ),
)
def test_own_factor_is_the_librarys_definition(library: Any, symbol: str) -> None:
    """Every plain physical unit converts as the units library says."""
    unit = next(unit for unit in UNITS.values() if unit.symbol == symbol)
    quantity = library.Quantity(1.0, SPELT.get(symbol, symbol))
    base = LIBRARY_BASES.get(unit.dimension)
    converted = quantity.to(base) if base else quantity.to_base_units()
    size = converted.magnitude * (
        1000.0 if unit.dimension == "mass" and str(converted.units) == "gram" else 1.0
    )
    assert size == pytest.approx(unit.factor, rel=1e-5)


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("mg/dL", "g/L", 0.01),
        ("mmol/L", "mol/m³", 1.0),
        ("km/h", "m/s", 1 / 3.6),
        ("mg/kg/day", "g/kg/day", 1e-3),
        ("kg/m²", "g/cm2", 0.1),
        ("µg/m3", "mg/m3", 1e-3),
        ("lb/ft3", "kg/m3", 16.018463),
    ],
)
def test_compound_units_of_one_dimension_convert(one: str, other: str, factor: float) -> None:
    """The size of a unit made of others is the quotient of their sizes."""
    left, right = parsed_unit(one), parsed_unit(other)
    assert left is not None
    assert right is not None
    assert left[0] == right[0]
    assert left[1] / right[1] == pytest.approx(factor, rel=1e-6)


@pytest.mark.parametrize("spelling", ["and/or", "foo/bar", "W/W/W/W/Wq", "m" * 50 + "/s", "/", "his/her"])
def test_words_with_a_slash_are_no_units(spelling: str) -> None:
    """What the library does not know is no unit, and nothing raises."""
    assert parsed_unit(spelling) is None


@pytest.mark.parametrize(
    ("text", "dimension", "size"),
    [
        ("There were 5 deaths per 100,000 people.", "count/count:person", 5e-5),
        ("The heart beats 72 times a minute.", "count/time", 1.2),
        ("It has 120 people per square mile.", "count/area", 120 / 2589988.110336),
        ("The dose is 10 mg/kg.", "dimensionless", 1e-5),
        ("It grows 3 cm per year.", "length/time", 0.03 / 31557600.0),
        ("It pays $12 an hour.", "money:usd/time", 12 / 3600),
    ],
)
def test_rates_are_read_whole(
    read: Callable[[str], Analysis], text: str, dimension: str, size: float
) -> None:
    """A rate is one value, in the dimension of what it is told per."""
    (value,) = read_values(text, read(text))
    assert value.dimension == dimension
    assert value.low == pytest.approx(size, rel=1e-9)
