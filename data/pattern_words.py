"""Which words a text must have for an FTS5 query to match it at all.

Lets most patterns be ruled out by looking words up, so that only the few that may match are run against a
text (``data.wording``). Sound, not complete: what this cannot read may always match.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_TOKEN = re.compile(r'"(?:[^"]|"")*"|[()]|NEAR\(|[^\s()"]+')
_WORD = re.compile(r"[^\W_]+")
#: Any of these must be in the text; ``None``: nothing can be said.
AnyOf = frozenset[str] | None


def words_in(text: str) -> frozenset[str]:
    """Return the words of a text as FTS5's tokenizer folds them: no case, no accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return frozenset(_WORD.findall(bare.casefold()))


def needed_words(query: str) -> AnyOf:
    """Return words of which a text must have at least one to match ``query``."""
    tokens = _TOKEN.findall(query)
    try:
        needs, rest = _either(tokens)
    except (IndexError, ValueError):
        return None
    return None if rest else needs


def _either(tokens: Sequence[str]) -> tuple[AnyOf, Sequence[str]]:
    needs, tokens = _both(tokens)
    while tokens and tokens[0] == "OR":
        other, tokens = _both(tokens[1:])
        needs = None if needs is None or other is None else needs | other
    return needs, tokens


def _both(tokens: Sequence[str]) -> tuple[AnyOf, Sequence[str]]:
    needs, tokens = _operand(tokens)
    while tokens and tokens[0] not in {"OR", ")"}:
        if tokens[0] == "NOT":
            _, tokens = _operand(tokens[1:])
            continue
        other, tokens = _operand(tokens[1:] if tokens[0] == "AND" else tokens)
        needs = _stricter(needs, other)
    return needs, tokens


def _operand(tokens: Sequence[str]) -> tuple[AnyOf, Sequence[str]]:
    first, rest = tokens[0], tokens[1:]
    if first == "(":
        needs, rest = _either(rest)
        if rest[0] != ")":
            raise ValueError("a parenthesis is not closed")
        return needs, rest[1:]
    if first == "NEAR(":
        end = rest.index(")")
        phrases = [part for part in rest[:end] if part.startswith('"')]
        needs = None
        for phrase in phrases:
            needs = _stricter(needs, _phrase(phrase))
        return needs, rest[end + 1 :]
    if first in {"OR", "AND", "NOT", ")"} or ":" in first or "+" in first:
        raise ValueError(f"{first} is not a word")
    return _phrase(first), rest


def _phrase(token: str) -> AnyOf:
    if not token.isascii() or "*" in token or "^" in token:
        return None
    words = _WORD.findall(token.casefold())
    return frozenset({max(words, key=len)}) if words else None


def _stricter(left: AnyOf, right: AnyOf) -> AnyOf:
    """Return the better of two conditions that must both hold: fewer words, then longer ones."""
    if left is None or right is None:
        return left if right is None else right
    return min(left, right, key=lambda some: (len(some), -min(map(len, some))))
