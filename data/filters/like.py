"""LIKE patterns in time linear in the text.

Called by ``data.filters.matching`` and the field index. ``%`` stands for any text, ``_`` for one character,
a backslash takes the next character as it is; upper and lower case differ, as in equality. No pattern can
make it slow: literal pieces are found by ``str.find``, patterns with ``_`` run as a bit-parallel automaton.

Source: R. Baeza-Yates, G. Gonnet, A new approach to text searching, CACM 35(10), 1992 (Shift-And).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

#: A pattern in steps: a character, any one (``ANY``), any text (``MANY``).
ANY, MANY = 0, 1
Step = str | int


def steps_of(pattern: str) -> tuple[Step, ...]:
    """Return the steps of a pattern, runs of ``%`` as one."""
    steps: list[Step] = []
    escaped = False
    for character in pattern:
        if escaped:
            steps.append(character)
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == "%":
            if not steps or steps[-1] != MANY:
                steps.append(MANY)
        else:
            steps.append(ANY if character == "_" else character)
    if escaped:
        steps.append("\\")
    return tuple(steps)


def literal_prefix(pattern: str) -> str:
    """Return what every text that fits begins with."""
    prefix = []
    for step in steps_of(pattern):
        if not isinstance(step, str):
            break
        prefix.append(step)
    return "".join(prefix)


def longest_literal(pattern: str) -> str:
    """Return the longest text that stands in every text that fits; may be empty."""
    runs = [""]
    for step in steps_of(pattern):
        if isinstance(step, str):
            runs[-1] += step
        else:
            runs.append("")
    return max(runs, key=len)


@lru_cache(maxsize=1024)
def like_test(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether a text fits the pattern."""
    steps = steps_of(pattern)
    return _automaton(steps) if ANY in steps else _pieces(steps)


def _pieces(steps: tuple[Step, ...]) -> Callable[[str], bool]:
    """The test for a pattern of literal pieces: the leftmost place of each leaves most room for the rest."""
    pieces = [""]
    for step in steps:
        if isinstance(step, str):
            pieces[-1] += step
        else:
            pieces.append("")
    first, *middle = pieces
    if not middle:
        return lambda text: text == first
    *middle, last = middle

    def fits(text: str) -> bool:
        end = len(text) - len(last)
        if end < len(first) or not text.startswith(first) or not text.endswith(last):
            return False
        place = len(first)
        for piece in middle:
            found = text.find(piece, place, end)
            if found < 0:
                return False
            place = found + len(piece)
        return True

    return fits


def _automaton(steps: tuple[Step, ...]) -> Callable[[str], bool]:
    """The test for a pattern with ``_``: bit i of the state is set when i steps may be done."""
    characters = [step for step in steps if step != MANY]
    loops, anywhere, done = 0, 0, 0
    places: dict[str, int] = {}
    for step in steps:
        if step == MANY:
            loops |= 1 << done
            continue
        if isinstance(step, str):
            places[step] = places.get(step, 0) | 1 << done
        else:
            anywhere |= 1 << done
        done += 1
    goal = 1 << len(characters)

    def fits(text: str) -> bool:
        state = 1
        for character in text:
            state = (state & (places.get(character, 0) | anywhere)) << 1 | state & loops
            if not state:
                return False
        return bool(state & goal)

    return fits
