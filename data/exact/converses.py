"""Opposites that are two sides of one relation: who buys and who sells, father and son, winner and loser.

Used by ``data.exact.wording``: "A beat B" and "B lost to A" say the same, so such a pair settles nothing by
itself. Source: own list, from general knowledge.
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


@lru_cache(maxsize=1)
def converses() -> frozenset[frozenset[str]]:
    """Return the pairs of lemmas."""
    pairs: set[frozenset[str]] = set()
    for line in _CONVERSES.replace("\n", ";").split(";"):
        words = line.split()
        pairs.update(frozenset((one, other)) for one in words for other in words if one != other)
    return frozenset(pairs)
