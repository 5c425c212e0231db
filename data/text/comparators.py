"""Reads what bounds a number: "more than", "at least", "or fewer". Called by the quantity reader.

The signs are those of ``data.analysis.Quantity``: = < <= > >= ~.
"""

from __future__ import annotations

from data.text.words import Words

_BEFORE: dict[str, str] = {
    **dict.fromkeys(
        (
            "more than",
            "over",
            "above",
            "exceeding",
            "exceeds",
            "exceeded",
            "exceed",
            "greater than",
            "higher than",
            "larger than",
            "bigger than",
            "longer than",
            "older than",
            "taller than",
            "heavier than",
            "faster than",
            "in excess of",
            "upwards of",
            "upward of",
            "beyond",
            "surpassing",
            "surpassed",
            "better than",
            "later than",
            "topped",
            ">",
        ),
        ">",
    ),
    **dict.fromkeys(
        (
            "at least",
            "no less than",
            "no fewer than",
            "not less than",
            "not fewer than",
            "a minimum of",
            "minimum of",
            "minimum",
            "at minimum",
            "no lower than",
            "from at least",
            "≥",
            ">=",
            "> =",
        ),
        ">=",
    ),
    **dict.fromkeys(
        (
            "less than",
            "fewer than",
            "under",
            "below",
            "lower than",
            "smaller than",
            "shorter than",
            "younger than",
            "beneath",
            "earlier than",
            "slower than",
            "lighter than",
            "short of",
            "cheaper than",
            "<",
        ),
        "<",
    ),
    **dict.fromkeys(
        (
            "at most",
            "up to",
            "no more than",
            "not more than",
            "no greater than",
            "no higher than",
            "a maximum of",
            "maximum of",
            "maximum",
            "never more than",
            "not over",
            "not exceeding",
            "as many as",
            "as much as",
            "≤",
            "<=",
            "< =",
            "no longer than",
        ),
        "<=",
    ),
    **dict.fromkeys(
        (
            "about",
            "around",
            "approximately",
            "roughly",
            "some",
            "nearly",
            "almost",
            "close to",
            "estimated",
            "circa",
            "c.",
            "ca.",
            "~",
            "≈",
            "approx",
            "approx.",
            "virtually",
            "an estimated",
            "in the region of",
            "somewhere around",
        ),
        "~",
    ),
    **dict.fromkeys(("exactly", "precisely", "just", "only", "a total of", "total of"), "="),
}
_AFTER: dict[str, str] = {
    **dict.fromkeys(
        (
            "or more",
            "or higher",
            "or greater",
            "or above",
            "and above",
            "or over",
            "and over",
            "or older",
            "and older",
            "+",
            "or longer",
            "plus",
            "and up",
            "or later",
            "or better",
            "or earlier_",
        ),
        ">=",
    ),
    **dict.fromkeys(
        (
            "or less",
            "or fewer",
            "or under",
            "and under",
            "or lower",
            "or below",
            "and below",
            "or younger",
            "and younger",
            "or shorter",
        ),
        "<=",
    ),
}
#: Last words of the phrases that stand before a number.
COMPARATOR_ENDS: frozenset[str] = frozenset(phrase.rsplit(" ", 1)[-1] for phrase in _BEFORE)
_AFTER_FIRST = frozenset(phrase.split(" ")[0] for phrase in _AFTER)


def comparator_before(words: Words, first: int) -> tuple[str | None, int]:
    """Return the comparator that ends just before word ``first`` and the word it starts at."""
    at = first
    while words.low(at - 1) in ("a", "an", "the", "(") and at > first - 2:
        at -= 1
    if words.low(at - 1) not in COMPARATOR_ENDS:
        return None, first
    for size in (3, 2, 1):
        if at - size >= 0:
            sign = _BEFORE.get(" ".join(words.lower[at - size : at]))
            if sign is not None:
                return _denied(words, sign, at - size)
    return None, first


def _denied(words: Words, sign: str, at: int) -> tuple[str, int]:
    """Turn a comparator round where "not" or "n't" stands before it; "no fewer than" is in the table."""
    turned = {">": "<=", "<": ">="}.get(sign)
    if turned and words.low(at - 1) in ("not", "n't", "never"):
        return turned, at - 1
    return sign, at


def comparator_after(words: Words, end: int) -> tuple[str | None, int]:
    """Return the comparator that starts at word ``end`` ("or more", "+") and the word after it."""
    if words.low(end) not in _AFTER_FIRST:
        return None, end
    two = words.lower[end : end + 2]
    pair = _AFTER.get(" ".join(two)) if len(two) == 2 else None
    if pair is not None:
        return pair, end + 2
    single = _AFTER.get(words.lower[end]) if words.lower[end] == "+" or words.touches(end) else None
    return (single, end + 1) if single else (None, end)
