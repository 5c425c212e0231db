"""Units made of others ("mg/dL", "mmol/L", "per 100,000 people"): what they measure and their size in SI.

Called while a text's values are read. Definitions are those of pint, whose registry is loaded by
:func:`load_units` (the empirical framework does so when it is constructed); plain units are
``data.text.units``' own table, since one conversion through pint costs 350 µs against 0.1 µs. Results are
kept by spelling, so that each spelling is parsed once.
"""

from __future__ import annotations

import math
import re
import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from data.analysis import Quantity
from data.text.lemmas import lemma_of
from data.text.units import UNITS, exact_unit
from data.text.words import listed

_SYMBOL = r"[A-Za-zµμ°Ω]{1,8}[²³23]?"
#: "5 mg/dL", "3.2 mmol / L", "10 mg/kg/day".
_SLASHED = re.compile(rf"\s?({_SYMBOL}(?:\s?/\s?{_SYMBOL}){{1,3}})(?![A-Za-z0-9/])")
#: "5 deaths per 100,000 people", "120 people per square mile", "3 times a day".
_PER = re.compile(
    r"(?:\s(?!per\b|a\b|an\b)[A-Za-z]+){0,2}\s(?:per|a|an|every)\s((?:\d[\d,]{0,12}|hundred|thousand|million)\s)?"
    r"((?:square|cubic)\s)?([A-Za-z]+)",
    re.IGNORECASE | re.ASCII,
)
_SAID_SCALES = {"hundred": 1e2, "thousand": 1e3, "million": 1e6}
_NUMBER_END = re.compile(r"\d(?=[^\d]*$)")
#: Dimensions that nothing is divided from here: a temperature has no fixed factor.
_NO_COMPOUND = frozenset(("percent", "ordinal", "year", "temperature"))
_MAX_SPELLING = 40
_LOOK_AHEAD = 60
#: After "a" only these are a rate: "12 dollars a share" is one, "5 members a great honour" is not.
_A_RATES = frozenset(
    listed("second minute hour day night week month year head person share barrel litre liter kilogram")
)


@dataclass(frozen=True, slots=True)
class Compound:
    """A compound unit: the number times ``factor`` is in SI units of ``dimension``; it ends at ``end``."""

    unit: str
    dimension: str
    factor: float
    end: int


def load_units() -> None:
    """Load the unit definitions now (0.25 s, 4 MB), so that no request pays for it."""
    _registry()


def compound_after(text: str, quantity: Quantity) -> Compound | None:
    """Return the compound unit that a quantity is written with, or ``None``."""
    after = text[quantity.span.end : quantity.span.end + _LOOK_AHEAD]
    if "/" not in after and " " not in after:
        return None
    if quantity.dimension in _NO_COMPOUND:
        return None
    return _slashed(text, quantity, after) if "/" in after[:12] else _per(text, quantity, after)


def _slashed(text: str, quantity: Quantity, after: str) -> Compound | None:
    said = text[quantity.span.start : quantity.span.end]
    digit = _NUMBER_END.search(said)
    if digit is None or not quantity.value:
        return None
    tail = said[digit.end() :] + after
    match = _SLASHED.match(tail)
    if match is None:
        return None
    spelling = "".join(match[1].split())
    end = quantity.span.start + digit.end() + match.end()
    if end < quantity.span.end:
        return None
    known = parsed_unit(spelling)
    own = quantity.base_value / quantity.value
    if not own or not math.isfinite(own):
        return None
    if known is None:
        return Compound(spelling, f"unit:{spelling.casefold()}", 1.0 / own, end)
    return Compound(spelling, known[0], known[1] / own, end)


def _per(text: str, quantity: Quantity, after: str) -> Compound | None:
    match = _PER.match(after)
    if match is None:
        return None
    several, power, word = match.groups()
    low = lemma_of(word.lower())
    joint = match[0].lower().split()
    if "per" not in joint and low not in _A_RATES:
        return None
    unit = UNITS.get(f"{power.strip().lower()} {low}" if power else low) or exact_unit(word)
    count = _several(several)
    below = unit.dimension if unit is not None else f"count:{low}"
    size = count * (unit.factor if unit is not None and not unit.offset else 1.0)
    above = quantity.dimension
    end = quantity.span.end + match.end()
    return Compound(f"per {word}", f"{above}/{below}", 1.0 / size, end) if size else None


def _several(said: str | None) -> float:
    if not said:
        return 1.0
    plain = said.strip().lower().replace(",", "")
    return _SAID_SCALES.get(plain) or float(plain)


@lru_cache(maxsize=2_048)
def parsed_unit(spelling: str) -> tuple[str, float] | None:
    """Return (dimensions, size in SI base units) of a unit such as "mg/dL", or ``None`` if it is none."""
    if len(spelling) > _MAX_SPELLING:
        return None
    registry, lock, errors = _registry()
    said = spelling.replace("²", "**2").replace("³", "**3").replace("μ", "µ")
    said = re.sub(r"(?<=[A-Za-z])([23])(?=/|$)", r"**\1", said)
    with lock:
        try:
            size = registry.Quantity(1.0, said).to_base_units()
        except errors:
            return None
        return str(size.dimensionality), float(f"{size.magnitude:.12g}")


@lru_cache(maxsize=1)
def _registry() -> tuple[Any, threading.Lock, tuple[type[Exception], ...]]:
    import pint

    errors = (
        pint.errors.PintError,
        ArithmeticError,
        AssertionError,
        AttributeError,
        LookupError,
        SyntaxError,
        TypeError,
        ValueError,
    )
    return pint.UnitRegistry(cache_folder=None), threading.Lock(), errors
