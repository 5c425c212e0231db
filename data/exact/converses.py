"""What kind of opposites two words are: sides of one relation, complements, or neither.

Used by ``data.exact.predicates``. "A sold to B" and "B bought from A" say the same, so two sides of one
relation settle nothing by themselves; of two complements exactly one is true. Source: own lists, from general
knowledge.
"""

from __future__ import annotations

from functools import lru_cache

_CONVERSES = """
give take receive; send receive; buy purchase acquire sell; buyer seller; borrow lend; teach learn
father son daughter; mother son daughter; parent child; brother sister; husband wife; uncle aunt nephew niece
grandfather son; grandmother daughter; employer employee; teacher student; doctor patient; predator prey
predecessor successor; ancestor descendant; host guest; victim perpetrator; attack defend; question answer
ask answer; import export; before after; prior subsequent; previous next following; above below; win lose
winner victor loser; victory defeat loss; victory surrender; supply demand; debt asset; lead trail; front back
past future; begin end; birth death; push pull; conquer surrender; teach study; input output; home away
early late; earlier later; first last; start end; opening closing; come go; arrive depart leave
"""
_COMPLEMENTS = """
alive dead deceased; true false; guilty innocent; present absent; presence absence; pass fail; same different
open closed; public private; male female; odd even; finite infinite; win lose; accept reject; include exclude
permit forbid; allow forbid prohibit; legal illegal; complete incomplete
"""
_DENYING_PREFIXES = ("un", "in", "im", "il", "ir", "dis", "non", "a")


@lru_cache(maxsize=1)
def converses() -> frozenset[frozenset[str]]:
    """Return the pairs of lemmas that are two sides of one relation."""
    return _pairs(_CONVERSES)


@lru_cache(maxsize=1)
def _complements() -> frozenset[frozenset[str]]:
    return _pairs(_COMPLEMENTS)


def complementary(one: str, other: str) -> bool:
    """Return whether exactly one of two opposites must be true ("legal", "illegal")."""
    short, long = sorted((one, other), key=len)
    prefixed = any(long == prefix + short for prefix in _DENYING_PREFIXES)
    return prefixed or frozenset((one, other)) in _complements()


def _pairs(lines: str) -> frozenset[frozenset[str]]:
    pairs: set[frozenset[str]] = set()
    for line in lines.replace("\n", ";").split(";"):
        words = line.split()
        pairs.update(frozenset((one, other)) for one in words for other in words if one != other)
    return frozenset(pairs)
