"""How near a retrieved item is to its claim, as one number that frameworks can weigh by.

Called by the utility and evolution frameworks. Invariant: it depends on the item alone, not on its rank or
neighbours.
"""

from __future__ import annotations

from data.evidence import Evidence

#: Cosines of the embedder between which an item goes from unrelated to a paraphrase. Own reading of
#: MiniLM's cosines on fact-checking pairs: random pairs stay below 0.3, restatements lie above 0.8.
_UNRELATED, _PARAPHRASE = 0.3, 0.8

#: A fact or graph statement is about a thing the claim names, though perhaps not about what is claimed of it.
_TYPED = 0.8

#: A passage that shares words with the claim but was not among its nearest vectors.
_WORDS_ONLY = 0.2


def strength(item: Evidence) -> float:
    """Return the item's nearness to its claim in [0, 1], from how it was found."""
    if item.kind != "passage":
        return _TYPED
    if item.scores.dense is None:
        return _WORDS_ONLY
    share = (item.scores.dense - _UNRELATED) / (_PARAPHRASE - _UNRELATED)
    return min(1.0, max(0.0, share))
