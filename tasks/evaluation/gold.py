"""Verdicts on gold evidence: what the stance model makes of a claim beside the evidence its set names.

Called by ``tasks.evaluate``. Evidence stands behind its title, as in serving. What fits is read as one
passage. Longer evidence is read in windows, and the window that decides most (least NEUTRAL) speaks for the
claim. Of a whole article, given sentence by sentence, the nearest few are read together, and what is said of
two, three and five of them is averaged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.best_sentence import without_asides
from data.documents import split
from data.knowledge import Document
from data.ports import Embedder, StanceModel
from data.titles import titled
from tasks.evaluation.articles import nearest
from tasks.evaluation.sets import Example

#: Words of a passage that the stance model reads whole, with a claim of usual length.
WINDOW_WORDS = 80
#: Up to so many items are read one by one; more are read as one text in their order.
MAX_APART = 6
#: More items than this are the sentences of an article.
ARTICLE_ITEMS = 12
#: How many of an article's nearest sentences are read together. Balanced accuracy on wice's dev split: .642,
#: .645 and .638 alone, .673 averaged; the most decided of all windows .60.
TOGETHER = (2, 3, 5)
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class GoldRun:
    """Probabilities (n, 3) of examples, and the passages that were read for each with their rows."""

    probabilities: NDArray[np.float32]
    passages: list[list[str]]
    rows: list[NDArray[np.float32]]


def judge(
    examples: Sequence[Example], *, stance: StanceModel, embedder: Embedder, say: Callable[[int], None]
) -> GoldRun:
    """Return the verdicts of ``examples``; ``say`` is told how many passages are done."""
    passages = [passages_of(example, embedder) for example in examples]
    pairs = [(each.claim, text) for each, own in zip(examples, passages, strict=True) for text in own]
    blocks = []
    for start in range(0, len(pairs), _BLOCK):
        blocks.append(stance.judge(pairs[start : start + _BLOCK]))
        say(min(len(pairs), start + _BLOCK))
    every = np.concatenate(blocks) if blocks else np.zeros((0, 3), dtype=np.float32)
    ends = np.cumsum([len(own) for own in passages])
    rows = np.split(every, ends[:-1])
    spoken = [_spoken(own, article=is_article(each)) for own, each in zip(rows, examples, strict=True)]
    return GoldRun(np.array(spoken, dtype=np.float32).reshape(-1, 3), passages, rows)


def passages_of(example: Example, embedder: Embedder) -> list[str]:
    """Return what is read of an example's evidence: nothing where it is empty."""
    if not is_article(example):
        return windows(example)
    sentences = sentences_of(example)
    near = nearest(example.claim, sentences, embedder)
    return [" ".join(sentences[place] for place in sorted(near[:count])) for count in TOGETHER]


def is_article(example: Example) -> bool:
    """Return whether the evidence is a whole article, item by item, too long to be read at once."""
    texts = sentences_of(example)
    return len(texts) > ARTICLE_ITEMS and len(" ".join(texts).split()) > WINDOW_WORDS


def sentences_of(example: Example) -> list[str]:
    """Return the distinct texts of the evidence, in its order."""
    return list(dict.fromkeys(text for _, text in example.evidence if text.strip()))


def windows(example: Example) -> list[str]:
    """Return the passages to read: all evidence as one where it fits, else pieces of at most a window."""
    items = [
        (title, without_asides(example.claim, title, text))
        for title, text in example.evidence
        if text.strip()
    ]
    before = ["", *(title for title, _ in items)]
    whole = " ".join(
        text if title == last else titled(title, text)
        for (title, text), last in zip(items, before, strict=False)
    )
    if len(whole.split()) <= WINDOW_WORDS:
        return [whole] if whole else []
    apart = [titled(title, text) for title, text in items] if len(items) <= MAX_APART else [whole]
    pieces = [part.text for text in apart for part in split(Document(id="evidence", text=text))]
    return list(dict.fromkeys(pieces))


def _spoken(rows: NDArray[np.float32], *, article: bool) -> NDArray[np.float32]:
    """Return the row that speaks for the claim; without any, nothing is known."""
    if not len(rows):
        return np.array([0.0, 0.0, 1.0], dtype=np.float32)
    row: NDArray[np.float32] = rows.mean(axis=0) if article else rows[rows[:, 2].argmin()]
    return row
