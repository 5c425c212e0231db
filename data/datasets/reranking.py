"""Reading candidates again: how much a cross-encoder finds that a text speaks to a question.

Called by the search of a dataset. Invariant: a candidate's relevance depends on the question and its own text
alone, not on the other candidates.
"""

from __future__ import annotations

from collections.abc import Sequence

from data.best_sentence import best_sentence
from data.errors import ModelUnavailableError
from data.evidence import STANCES
from data.ports import StanceModel

_NEUTRAL = STANCES.index("NEUTRAL")


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
