"""From a text to its claims with how worth checking each is: reading, then the check-worthiness model.

Built by the gateway and by tests over three ports; the routes of ``/claims/extract`` and ``/verify/text``
call it. Invariant: a claim's probability depends on its own words alone, so the same sentence has the same
one in every text.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from data.claims import ClaimContext, normalise
from data.models import checkworthiness
from data.ports import Embedder, Scorer, TextAnalyser
from data.text.extraction import Skipped, TextClaim, find_claims

#: Claims scored in one call of the models: feature rows of a long article would else take 30 MB at once.
CHUNK = 512


@dataclass(frozen=True, slots=True)
class ScoredClaim:
    """A claim of a text; ``words`` are its own, normalised; ``check_worthiness`` is in [0, 1]."""

    claim: TextClaim
    words: str
    check_worthiness: float


@dataclass(frozen=True, slots=True)
class Extraction:
    """What one text holds, in order of the offsets."""

    text: str
    claims: tuple[ScoredClaim, ...]
    skipped: tuple[Skipped, ...]


#: ``Services.extract``.
Extract = Callable[[str, ClaimContext], Awaitable[Extraction]]


class ClaimExtractor:
    """Takes texts to claims. ``scorer`` must have the model ``checkworthiness`` loaded. Thread safe."""

    def __init__(self, analyser: TextAnalyser, embedder: Embedder, scorer: Scorer) -> None:
        self._analyser = analyser
        self._embedder = embedder
        self._scorer = scorer

    def extract(self, text: str, context: ClaimContext) -> Extraction:
        """Return the claims of a text; ``context`` is what is known of the text as a whole.

        Raises:
            ModelUnavailableError: the scorer has no check-worthiness model.
        """
        reading = find_claims(text, self._analyser, context)
        words = [normalise(text[claim.span.start : claim.span.end]) for claim in reading.claims]
        worth = self._worth(list(dict.fromkeys(words)))
        scored = tuple(
            ScoredClaim(claim, said, worth[said]) for claim, said in zip(reading.claims, words, strict=True)
        )
        return Extraction(text, scored, reading.skipped)

    def worth(self, sentences: Sequence[str]) -> list[float]:
        """Return how worth checking each sentence is, in [0, 1].

        Raises:
            ModelUnavailableError: the scorer has no check-worthiness model.
        """
        known = self._worth(list(dict.fromkeys(sentences)))
        return [known[said] for said in sentences]

    def _worth(self, sentences: Sequence[str]) -> dict[str, float]:
        """Return the probability of each sentence that it is worth checking."""
        worth: dict[str, float] = {}
        for start in range(0, len(sentences), CHUNK):
            part = sentences[start : start + CHUNK]
            rows = checkworthiness.features(part, self._embedder.embed(part))
            stated = self._scorer.predict(checkworthiness.MODEL, rows)[:, 1].tolist()
            worth |= {said: round(value, 6) for said, value in zip(part, stated, strict=True)}
        return worth


def choose(extraction: Extraction, limit: int, *, at_least: float) -> list[ScoredClaim]:
    """Return the ``limit`` claims most worth checking, none below ``at_least``, in order of their offsets.

    Of equals the earlier is taken.
    """
    worthy = [claim for claim in extraction.claims if claim.check_worthiness >= at_least]
    worthy.sort(key=lambda item: (-item.check_worthiness, item.claim.span.start))
    return sorted(worthy[:limit], key=lambda item: item.claim.span.start)
