"""Which sentences of a passage speak to a claim: the one that answers it, and those beside the point.

Called by the retriever for every passage it cites, and before a passage is judged. Pure and cheap (no
analysis of the passage). Invariant: the span slices to a whole sentence of the passage, and a tie goes to the
earlier one.
"""

from __future__ import annotations

import re
from collections import Counter
from functools import lru_cache

from data.analysis import Span
from data.documents import sentences
from data.text.stop_words import STOP_WORDS
from data.text.words import listed

#: Texts whose sentences and words are remembered.
MAX_TEXTS = 4_096
#: Words count as the same when they share so many letters; numbers only when they are equal.
_STEM = 5
#: Words by which a sentence leans on the one before.
_LEANING = frozenset(
    listed(
        """he she it they him her them his hers its their theirs we us our this that these those such both
        either neither one ones who which there here then thus hence however instead also too another others
        same former latter"""
    )
)
_WORD = re.compile(r"\d+(?:[.,]\d+)*|[^\W\d_]+")


def best_sentence(claim: str, passage: str) -> Span:
    """Return the place of the passage's sentence that holds most of the claim's words.

    Words that only one sentence of the passage has count double: they tell it from its neighbours. The
    empty span stands for a passage without words.
    """
    asked = _stems(claim)
    cut = _cut(passage)
    told = Counter(word for _, words in cut for word in asked & words)
    best, most = Span(0, 0), -1
    for span, words in cut:
        score = sum(2 if told[word] == 1 else 1 for word in asked & words)
        if score > most:
            best, most = span, score
    return best


@lru_cache(maxsize=MAX_TEXTS)
def _cut(passage: str) -> tuple[tuple[Span, frozenset[str]], ...]:
    return tuple((Span(start, end), _stems(passage[start:end])) for start, end in sentences(passage))


@lru_cache(maxsize=MAX_TEXTS)
def _stems(text: str) -> frozenset[str]:
    words = (word.casefold() for word in _WORD.findall(text))
    return frozenset(word if word[0].isdigit() else word[:_STEM] for word in words if word not in STOP_WORDS)


def without_asides(claim: str, title: str, passage: str) -> str:
    """Return the passage without the sentences about something else.

    Such a sentence shares no word with the claim, the title or any other sentence, leans on none, and the
    next does not lean on it. Where all are so, the passage comes back as it is.
    """
    cut = _cut(passage)
    if len(cut) < 2:
        return passage
    topic = _stems(claim) | _stems(title)
    told = Counter(word for _, words in cut for word in words)
    leaning = [_leans(passage[span.start : span.end]) for span, _ in cut] + [False]
    kept = [
        passage[span.start : span.end]
        for place, (span, words) in enumerate(cut)
        if words & topic or any(told[word] > 1 for word in words) or leaning[place] or leaning[place + 1]
    ]
    return " ".join(kept) if 0 < len(kept) < len(cut) else passage


def _leans(sentence: str) -> bool:
    return any(word.casefold() in _LEANING for word in _WORD.findall(sentence))
