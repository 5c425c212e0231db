"""How the things that a text names are recognised: word runs of the text against normalised names.

Shared by the facts and the graph view, so that a thing is named in the same way in both.
"""

from __future__ import annotations

import re

#: Longest name recognised, in words.
MAX_NAME_WORDS = 6

_WORD = re.compile(r"\w+")
_ARTICLES = frozenset({"the", "a", "an"})


def words_of(text: str) -> list[str]:
    """Return the words of a text, case folded, underscores taken as spaces."""
    return _WORD.findall(text.replace("_", " ").casefold())


def name_key(name: str) -> str:
    """Return a name as it is compared: its words, without a leading article. Empty when it has no word."""
    words = words_of(name)
    if len(words) > 1 and words[0] in _ARTICLES:
        words = words[1:]
    return " ".join(words)


def runs_of(words: list[str]) -> dict[str, int]:
    """Return every run of 1 to ``MAX_NAME_WORDS`` words with its length."""
    return {
        " ".join(words[start : start + size]): size
        for size in range(1, MAX_NAME_WORDS + 1)
        for start in range(len(words) - size + 1)
    }
