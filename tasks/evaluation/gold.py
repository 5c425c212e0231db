"""Verdicts on gold evidence: what the stance model makes of a claim beside the evidence its set names.

Called by ``tasks.evaluate``. Evidence that fits is read as one passage; longer evidence is read in windows,
and the window that decides most (least NEUTRAL) speaks for the claim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.documents import split
from data.knowledge import Document
from data.ports import StanceModel
from tasks.evaluation.sets import Example

#: Words of a passage that the stance model reads whole, with a claim of usual length.
WINDOW_WORDS = 80
#: Up to so many items are read one by one; more are the sentences of one article, read in order.
MAX_APART = 6
_BLOCK = 256


@dataclass(frozen=True, slots=True)
class GoldRun:
    """Probabilities (n, 3) of examples, and the passages that were read for each with their rows."""

    probabilities: NDArray[np.float32]
    passages: list[list[str]]
    rows: list[NDArray[np.float32]]


def judge(stance: StanceModel, examples: Sequence[Example], say: Callable[[int], None]) -> GoldRun:
    """Return the verdicts of ``examples``; ``say`` is told how many are done."""
    passages = [windows(example) for example in examples]
    pairs = [(each.claim, text) for each, own in zip(examples, passages, strict=True) for text in own]
    blocks = []
    for start in range(0, len(pairs), _BLOCK):
        blocks.append(stance.judge(pairs[start : start + _BLOCK]))
        say(min(len(pairs), start + _BLOCK))
    every = np.concatenate(blocks) if blocks else np.zeros((0, 3), dtype=np.float32)
    ends = np.cumsum([len(own) for own in passages])
    rows = np.split(every, ends[:-1])
    spoken = [own[own[:, 2].argmin()] if len(own) else np.array([0.0, 0.0, 1.0]) for own in rows]
    return GoldRun(np.array(spoken, dtype=np.float32).reshape(-1, 3), passages, rows)


def windows(example: Example) -> list[str]:
    """Return the passages to read: all evidence as one where it fits, else pieces of at most a window."""
    texts = [text for _, text in example.evidence if text.strip()]
    whole = " ".join(texts)
    if len(whole.split()) <= WINDOW_WORDS:
        return [whole] if whole else []
    apart = texts if len(texts) <= MAX_APART else [whole]
    pieces = [part.text for text in apart for part in split(Document(id="evidence", text=text))]
    return list(dict.fromkeys(pieces))
