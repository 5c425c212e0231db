"""A text as parallel lists of words: what every reader of ``data.text`` works on. Built once a text."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

from data.analysis import Span

#: Stands beyond either end of a text, so that neighbours can be asked for without bounds checks.
_NOTHING = ""


@dataclass(frozen=True, slots=True)
class Words:
    """Tokens of one text, white space left out; all lists have one entry a token."""

    text: str
    surface: list[str]
    lower: list[str]
    lemmas: list[str]
    starts: list[int]
    ends: list[int]

    def __len__(self) -> int:
        return len(self.surface)

    def low(self, index: int) -> str:
        """Return the lower-case word at ``index``, or "" outside the text."""
        return self.lower[index] if 0 <= index < len(self.lower) else _NOTHING

    def surf(self, index: int) -> str:
        """Return the word at ``index`` as written, or "" outside the text."""
        return self.surface[index] if 0 <= index < len(self.surface) else _NOTHING

    def span(self, first: int, end: int) -> Span:
        """Return the characters from word ``first`` up to but without word ``end`` (``end`` > ``first``)."""
        return Span(self.starts[first], self.ends[end - 1])

    def inside(self, spans: Iterable[Span]) -> set[int]:
        """Return the indices of the words that start inside any of ``spans``."""
        found: set[int] = set()
        for span in spans:
            found.update(range(bisect_left(self.starts, span.start), bisect_left(self.starts, span.end)))
        return found

    def touches(self, index: int) -> bool:
        """Return whether no white space stands between word ``index`` and the one before it."""
        return 0 < index < len(self.starts) and self.starts[index] == self.ends[index - 1]


def listed(text: str) -> list[str]:
    """Return the words of a word list that is written out as text."""
    return text.split()
