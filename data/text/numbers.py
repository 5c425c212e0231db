"""Reads one number, in digits or words, at a place in a text.

Called by the quantity and date readers. A number carries its step: the place value of its last stated
digit, which is how exactly it was said ("23 million" is said to the million, "23.5 million" to the hundred
thousand).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from data.text.words import Words, listed


@dataclass(frozen=True, slots=True)
class Number:
    """A number read from words ``[first, end)``. ``form`` is digits, words, fraction or ordinal."""

    value: float
    step: float
    first: int
    end: int
    form: str


_ONES = dict(zip(listed(
"""
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
sixteen seventeen eighteen nineteen
"""
), range(20), strict=True))  # fmt: skip
_TENS = dict(
    zip(
        ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"],
        range(20, 100, 10),
        strict=True,
    )
)
_SMALL: dict[str, int] = _ONES | _TENS
SCALES: dict[str, float] = {
    "hundred": 1e2, "thousand": 1e3, "lakh": 1e5, "lakhs": 1e5, "million": 1e6, "crore": 1e7, "crores": 1e7,
    "billion": 1e9, "trillion": 1e12, "quadrillion": 1e15, "dozen": 12.0, "mn": 1e6, "bn": 1e9, "tn": 1e12,
    "millions": 1e6, "billions": 1e9,
}  # fmt: skip
#: Letters that multiply when they touch the digits: "60k", "$25m".
_SUFFIX_SCALES = {"k": 1e3, "m": 1e6, "mn": 1e6, "b": 1e9, "bn": 1e9, "tn": 1e12}
_PARTS = {
    "half": 2, "halves": 2, "third": 3, "thirds": 3, "quarter": 4, "quarters": 4, "fourth": 4, "fourths": 4,
    "fifth": 5, "fifths": 5, "sixth": 6, "sixths": 6, "eighth": 8, "eighths": 8, "tenth": 10, "tenths": 10,
}  # fmt: skip
_ORDINALS: dict[str, int] = dict(
    zip(listed(
"""
first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth
fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth twentieth
"""
), range(1, 21), strict=True)
) | {"thirtieth": 30, "fortieth": 40, "fiftieth": 50, "hundredth": 100}  # fmt: skip
_VULGAR = {"½": 0.5, "⅓": 1 / 3, "⅔": 2 / 3, "¼": 0.25, "¾": 0.75, "⅕": 0.2, "⅛": 0.125}
_DENOMINATORS = frozenset((2, 3, 4, 5, 6, 8, 10, 100))

_DIGITS = re.compile(r"[+\-−]?(\d{1,3}(?:,\d{2,3})+|\d+)(\.\d+)?(?:[eE]([+\-]?\d{1,2}))?(bn|mn|tn|[kmbKMB])?")
_FRACTION = re.compile(r"(\d{1,3})[/⁄](\d{1,3})")
_ORDINAL = re.compile(r"(\d{1,4})(?:st|nd|rd|th)")

#: Words a number can start with; anything else that starts with no digit is not tried.
STARTERS: frozenset[str] = frozenset((*_SMALL, *_ORDINALS, *_PARTS, *_VULGAR, "a", "an"))
_BOUND_WORDS = frozenset(("a", "an"))
MAX_DIGITS = 30


def read_number(words: Words, index: int) -> Number | None:
    """Return the number that starts at word ``index``, or ``None``. Longest reading wins."""
    low = words.low(index)
    if not low:
        return None
    lead = low[1:2] if low[0] in "+-−" else low[0]
    if lead.isdecimal() and lead.isascii():
        return _read_digits(words, index)
    if low in STARTERS:
        return _read_words(words, index)
    return None


def _read_digits(words: Words, index: int) -> Number | None:
    low = words.lower[index]
    if match := _DIGITS.fullmatch(low):
        if len(low) > MAX_DIGITS:
            return None
        return _scaled_digits(words, index, match)
    if (match := _ORDINAL.fullmatch(low)) is not None:
        return Number(float(match[1]), 1.0, index, index + 1, "ordinal")
    if (match := _FRACTION.fullmatch(low)) is not None:
        top, bottom = int(match[1]), int(match[2])
        if top < bottom and bottom in _DENOMINATORS:
            return Number(top / bottom, 0.01, index, index + 1, "fraction")
    return None


def _scaled_digits(words: Words, index: int, match: re.Match[str]) -> Number | None:
    whole, decimals, exponent, suffix = match.groups()
    value = float(whole.replace(",", "") + (decimals or ""))
    if words.lower[index][0] in "-−":
        value = -value
    step = _step_of(whole.replace(",", ""), decimals)
    factor = (10.0 ** int(exponent) if exponent else 1.0) * (_SUFFIX_SCALES[suffix] if suffix else 1.0)
    end = index + 1
    if end < len(words) and words.lower[end] in _VULGAR and not decimals:
        value, step, end = value + math.copysign(_VULGAR[words.lower[end]], value), 0.25, end + 1
    scale, end = _scales(words, end)
    value, step = value * factor * scale, step * factor * scale
    return Number(value, step, index, end, "digits") if math.isfinite(value) else None


def _step_of(whole: str, decimals: str | None) -> float:
    """Return the place value of the last digit stated; from the thousands on, end zeros are rounding."""
    if decimals:
        return float(10.0 ** -(len(decimals) - 1))
    stripped = whole.rstrip("0")
    zeros = len(whole) - len(stripped)
    return float(10**zeros) if stripped and len(whole) > 3 else 1.0


def _scales(words: Words, end: int) -> tuple[float, int]:
    """Return the product of the scale words at ``end`` ("hundred thousand") and where they stop."""
    factor = 1.0
    while True:
        skip = 1 if words.low(end) == "-" and words.touches(end) else 0
        scale = SCALES.get(words.low(end + skip))
        if scale is None or factor * scale > 1e18:
            return factor, end
        factor, end = factor * scale, end + skip + 1


def _read_words(words: Words, index: int) -> Number | None:
    low = words.lower[index]
    if low in _VULGAR:
        return Number(_VULGAR[low], 0.25, index, index + 1, "fraction")
    if low in _BOUND_WORDS:
        return _after_article(words, index)
    if low == "half":
        return _half(words, index)
    fraction = _word_fraction(words, index)
    if fraction is not None:
        return fraction
    ordinal = _word_ordinal(words, index)
    return ordinal if ordinal is not None else _cardinal(words, index)


def _half(words: Words, index: int) -> Number | None:
    """Read "half a million", or the share in "half of" and "half the"."""
    after = index + 1
    if words.low(after) in _BOUND_WORDS:
        scale, end = _scales(words, after + 1)
        if scale > 1.0:
            return Number(scale / 2, scale / 2, index, end, "words")
    if words.low(after) in ("of", "the", "their", "its", "his", "her", "all", "a", "an"):
        return Number(0.5, 0.1, index, after, "fraction")
    return None


def _after_article(words: Words, index: int) -> Number | None:
    """Read "a million", "a dozen", "a hundred and five", "a third of"."""
    low = words.low(index + 1)
    if (
        low in ("third", "quarter", "fifth", "tenth", "half", "fourth", "sixth", "eighth")
        and words.low(index + 2) == "of"
    ):
        return Number(1 / _PARTS[low], 0.01, index, index + 2, "fraction")
    scale, end = _scales(words, index + 1)
    if scale == 1.0 or words.low(index + 1) in ("millions", "billions"):
        return None
    return _with_rest(words, index, scale, end)


def _with_rest(words: Words, first: int, value: float, end: int) -> Number:
    """Add what follows a scale word: "a hundred and five"."""
    joined = end + 1 if words.low(end) == "and" else end
    rest, after = _below_hundred(words, joined)
    if rest is not None and value >= 100 and words.low(after) not in SCALES:
        return Number(value + rest, 1.0, first, after, "words")
    return Number(value, value if value >= 1000 else 1.0, first, end, "words")


def _word_fraction(words: Words, index: int) -> Number | None:
    top = _ONES.get(words.lower[index])
    if top is None or not 0 < top < 10:
        return None
    after = index + 2 if words.low(index + 1) == "-" else index + 1
    bottom = _PARTS.get(words.low(after))
    plural = words.low(after).endswith("s")
    if bottom is None or top >= bottom or (top > 1) != plural:
        return None
    return Number(top / bottom, 0.01, index, after + 1, "fraction")


def _word_ordinal(words: Words, index: int) -> Number | None:
    low = words.lower[index]
    if low in _ORDINALS:
        return Number(float(_ORDINALS[low]), 1.0, index, index + 1, "ordinal")
    tens = _TENS.get(low)
    after = index + 2 if words.low(index + 1) == "-" else index + 1
    unit = _ORDINALS.get(words.low(after), 10) if tens else 10
    return Number(float(tens + unit), 1.0, index, after + 1, "ordinal") if tens and unit < 10 else None


def _below_hundred(words: Words, index: int) -> tuple[int | None, int]:
    low = words.low(index)
    if low in _TENS:
        after = index + 2 if words.low(index + 1) == "-" else index + 1
        unit = _ONES.get(words.low(after), 10)
        return (_TENS[low] + unit, after + 1) if 0 < unit < 10 else (_TENS[low], index + 1)
    return (_ONES[low], index + 1) if low in _ONES else (None, index)


def _cardinal(words: Words, index: int) -> Number | None:
    """Read "twenty-three", "one hundred and five thousand", "two and a half million"."""
    total = value = 0.0
    step, end = 1.0, index
    while True:
        small, after = _below_hundred(words, end + 1 if end > index and words.low(end) == "and" else end)
        if small is not None and not value % 100:
            value, end, step = value + small, after, 1.0
        elif value and tuple(words.lower[end : end + 3]) == ("and", "a", "half"):
            value, end, step = value + 0.5, end + 3, 0.5
        elif small is not None or value == 0:
            break
        scale, end_of_scale = _scales(words, end)
        if scale == 100.0:
            value, end, step = value * 100, end_of_scale, 100.0
        elif scale > 1.0:
            total, value, end, step = total + value * scale, 0.0, end_of_scale, step * scale
        elif small is None:
            break
    total += value
    return Number(total, step, index, end, "words") if end > index else None
