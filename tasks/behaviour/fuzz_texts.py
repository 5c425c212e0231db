"""Texts of every kind, to see what breaks: the fuzz test's claims and passages.

Called by ``tasks.behaviour.fuzz``. Item ``n`` of a seed is always the same, alone or among others. Half of
the items are real claims with their evidence, damaged in a few places, so that they reach the deep paths.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tasks.behaviour.fuzz_words import (
    CONTROL,
    DATES,
    INVISIBLE,
    MARKUP,
    NUMBERS,
    PIECES,
    PLAIN_SEEDS,
    RANGES,
    SCRIPTS,
    UNITS,
    WORDS,
)

#: Longest text made, in characters: a claim may have 2,000, a passage about 5,000, a document more.
HUGE = 60_000


@dataclass(frozen=True, slots=True)
class FuzzItem:
    """A claim and a passage as raw text, with how they were made."""

    number: int
    kind: str
    claim: str
    passage: str


class FuzzTexts:
    """Makes the items of one seed."""

    def __init__(self, seed: str, pairs: Sequence[tuple[str, str]] = (), huge: int = HUGE) -> None:
        self._seed = seed
        self._pairs = tuple(pairs) or PLAIN_SEEDS
        self._huge = huge
        self._kinds: dict[str, Callable[[random.Random], str]] = {
            "empty": lambda draw: draw.choice(("", " ", "\n\t\r", "\u200b", ".", "?!", "—", "\u00a0\u2003")),
            "any_codepoint": lambda draw: _characters(draw, draw.randint(1, 400)),
            "script": lambda draw: " ".join(draw.choices(SCRIPTS, k=draw.randint(1, 4))),
            "invisible": lambda draw: _sprinkled(draw, self._pair(draw)[0], INVISIBLE),
            "control": lambda draw: _sprinkled(draw, self._pair(draw)[1], CONTROL),
            "surrogate": lambda draw: _sprinkled(draw, self._pair(draw)[0], "\ud800\udbff\udc00\udfff"),
            "combining": lambda draw: "".join(
                letter + "".join(chr(draw.randint(0x300, 0x36F)) for _ in range(draw.randint(0, 12)))
                for letter in self._pair(draw)[0][:120]
            ),
            "numbers": lambda draw: _mixed(draw, NUMBERS, UNITS, WORDS),
            "dates": lambda draw: _mixed(draw, DATES, WORDS, NUMBERS),
            "function_words": lambda draw: _mixed(draw, WORDS, WORDS, ["Anna", "Paris", "5", "km"]),
            "markup": lambda draw: _mixed(draw, MARKUP, WORDS, NUMBERS),
            "json": lambda draw: json.dumps({"claim": [self._pair(draw), {"n": draw.random()}] * 3}),
            "long_token": lambda draw: _characters(draw, 1) * draw.randint(300, 9_000),
            "repeated": self._repeated,
            "huge": self._huge_text,
        }

    def item(self, number: int) -> FuzzItem:
        """Return item ``number``: every second one is damaged real text, of the others each kind in turn."""
        draw = random.Random(f"{self._seed}:{number}")  # noqa: S311 - texts to try, not secrets
        if number % 2:
            claim, passage = self._pair(draw)
            return FuzzItem(number, "damaged", self._damaged(draw, claim), self._damaged(draw, passage))
        kinds = list(self._kinds)
        kind = kinds[number // 2 % len(kinds)]
        claim, passage = self._kinds[kind](draw), self._kinds[kind](draw)
        if draw.random() < 0.4:
            real = self._pair(draw)
            claim, passage = (real[0], passage) if draw.random() < 0.5 else (claim, real[1])
        return FuzzItem(number, kind, claim, passage)

    def _pair(self, draw: random.Random) -> tuple[str, str]:
        return draw.choice(self._pairs)

    def _repeated(self, draw: random.Random) -> str:
        piece = draw.choice(PIECES) + (draw.choice(PIECES) if draw.random() < 0.3 else "")
        return piece * (draw.randint(200, 2_400) // len(piece) + 1)

    def _huge_text(self, draw: random.Random) -> str:
        text = " ".join(part for _ in range(4) for part in self._pair(draw))
        return (text + draw.choice((" ", "\n", "\n\n", ""))) * (draw.randint(0, self._huge) // len(text) + 1)

    def _damaged(self, draw: random.Random, text: str) -> str:
        for _ in range(draw.randint(1, 5)):
            text = draw.choice(_DAMAGES)(draw, text)
        return text


def _characters(draw: random.Random, count: int) -> str:
    low, high = draw.choice(RANGES)
    mixed = draw.random() < 0.5
    found = []
    for _ in range(count):
        if mixed:
            low, high = draw.choice(RANGES)
        found.append(chr(draw.randint(low, high)))
    return "".join(found)


def _mixed(draw: random.Random, *lists: Sequence[str]) -> str:
    joint = draw.choice((" ", " ", " ", "", ", ", "-", "\n"))
    return joint.join(draw.choice(draw.choice(lists)) for _ in range(draw.randint(1, 60)))


def _sprinkled(draw: random.Random, text: str, letters: str) -> str:
    found = list(text)
    for _ in range(draw.randint(1, 2 + len(text) // 4)):
        found.insert(draw.randint(0, len(found)), draw.choice(letters))
    return "".join(found)


def _place(draw: random.Random, text: str) -> int:
    return draw.randint(0, len(text))


def _insert(draw: random.Random, text: str) -> str:
    at = _place(draw, text)
    piece = draw.choice(draw.choice((NUMBERS, DATES, UNITS, WORDS, MARKUP, PIECES, SCRIPTS)))
    pad = draw.choice(("", " "))
    return f"{text[:at]}{pad}{piece}{pad}{text[at:]}"


def _cut(draw: random.Random, text: str) -> str:
    first, last = sorted((_place(draw, text), _place(draw, text)))
    return text[:first] + text[last:]


def _double(draw: random.Random, text: str) -> str:
    first, last = sorted((_place(draw, text), _place(draw, text)))
    return text[:last] + text[first:last] * draw.randint(1, 3) + text[last:]


def _replace_number(draw: random.Random, text: str) -> str:
    words = text.split(" ")
    numbered = [place for place, word in enumerate(words) if any(map(str.isdigit, word))]
    if numbered:
        words[draw.choice(numbered)] = draw.choice(NUMBERS + DATES)
    return " ".join(words)


def _shuffle(draw: random.Random, text: str) -> str:
    words = text.split(" ")
    draw.shuffle(words)
    return " ".join(words)


def _recase(draw: random.Random, text: str) -> str:
    return draw.choice((str.upper, str.lower, str.title, str.swapcase))(text)


def _respace(draw: random.Random, text: str) -> str:
    return text.replace(" ", draw.choice(("", "  ", "\n", "\u00a0", "\u200b", "-", "\n\n")))


def _invisibles(draw: random.Random, text: str) -> str:
    return _sprinkled(draw, text, draw.choice((INVISIBLE, CONTROL, "\u0301\u20e3\ufe0f", "0123456789")))


def _wrap(draw: random.Random, text: str) -> str:
    left, right = draw.choice(
        (("“", "”"), ("(", ")"), ("<p>", "</p>"), ('{"a": "', '"}'), ("[", ""), ("`` ", " ''"))
    )
    return f"{left}{text}{right}"


_DAMAGES: tuple[Callable[[random.Random, str], str], ...] = (
    _insert,
    _insert,
    _cut,
    _double,
    _replace_number,
    _replace_number,
    _shuffle,
    _recase,
    _respace,
    _invisibles,
    _wrap,
)
