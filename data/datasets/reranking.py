"""Reading candidates again: how much a cross-encoder finds that a text speaks to a question.

Called by the search of a dataset. Invariant: a candidate's relevance depends on the question and its own text
alone, not on the other candidates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from data.best_sentence import best_sentence
from data.datasets.fusion import normalised
from data.errors import ModelUnavailableError
from data.evidence import STANCES
from data.ports import StanceModel

#: What a rerank's relevance weighs beside the first ranking, whose scores are moved into [0, 1]. nDCG@10 on
#: 60 training queries of SciFact: 0.666 without, 0.668 with 0.2, 0.613 with 0.5, 0.469 by relevance alone.
#: The stance model tells what speaks to a claim, and much that is near it does.
RELEVANCE_WEIGHT = 0.2
_NEUTRAL = STANCES.index("NEUTRAL")


@dataclass(frozen=True, slots=True)
class Reread:
    """A candidate's score after it was read again, and what of it is told by name."""

    score: float
    parts: dict[str, float]


def reread(
    stance: StanceModel | None, question: str, ranked: Sequence[tuple[str | None, float]]
) -> list[Reread]:
    """Return, a (content, score) of a ranking, its score with its relevance to the question.

    Raises:
        ModelUnavailableError: there is no stance model.
    """
    found = relevances(stance, question, [content for content, _ in ranked])
    first = normalised([(place, score) for place, (_, score) in enumerate(ranked)])
    read = []
    for place, relevance in enumerate(found):
        # What has no words cannot be read: it counts as beside the point.
        score = (1.0 - RELEVANCE_WEIGHT) * first[place] + RELEVANCE_WEIGHT * (relevance or 0.0)
        read.append(Reread(round(score, 6), {} if relevance is None else {"rerank": relevance}))
    return read


def relevances(
    stance: StanceModel | None, question: str, contents: Sequence[str | None]
) -> list[float | None]:
    """Return, a content, 1 - P(NEUTRAL) of its best sentence, 6 decimals; ``None`` where there are no words.

    Raises:
        ModelUnavailableError: there is no stance model.
    """
    if stance is None:
        raise ModelUnavailableError("No stance model runs here: search without rerank.")
    places = [place for place, content in enumerate(contents) if content and content.strip()]
    pairs = [(question, _sentence(question, contents[place] or "")) for place in places]
    found: list[float | None] = [None] * len(contents)
    if pairs:
        for place, row in zip(places, stance.judge(pairs), strict=True):
            found[place] = round(1.0 - float(row[_NEUTRAL]), 6)
    return found


def _sentence(question: str, content: str) -> str:
    span = best_sentence(question, content)
    return content[span.start : span.end] or content
