"""A spaCy pipeline that forgets: what it learns of the words of texts does not grow with the texts.

Used by the analyser and by the reader of grammar, each under its lock. spaCy keeps every new word for ever
unless it works in a memory zone; and a zone that has ended leaves a cell of the table of words behind, some
30 bytes each, which only a pipeline that is loaded again is rid of. Invariant: the same text reads the same
before and after, for a pipeline learns nothing from texts but their words.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

#: Texts between two zones: new words then take at most some 10 MB.
ZONE_TEXTS = 10_000
#: New words, of all zones together, after which a pipeline is loaded again: their cells take some 15 MB.
MOST_WORDS = 500_000


class Forgetting:
    """A pipeline. ``again`` loads it anew, or returns ``None`` where that is no longer possible."""

    def __init__(self, nlp: Any, again: Callable[[], Any] | None = None) -> None:
        self._nlp = nlp
        self._own_words = len(nlp.vocab)
        self._again = again
        self._zone = ExitStack()
        self._texts = ZONE_TEXTS

    @property
    def nlp(self) -> Any:
        """The pipeline as it is, to be looked at."""
        return self._nlp

    def for_text(self) -> Any:
        """Return the pipeline for one more text; what it made of earlier ones must no longer be used."""
        if self._texts >= ZONE_TEXTS:
            self._zone.close()
            if self._again is not None and len(self._nlp.vocab) - self._own_words > MOST_WORDS:
                self._nlp = self._again() or self._nlp
                self._own_words = len(self._nlp.vocab)
            self._zone.enter_context(self._nlp.memory_zone())
            self._texts = 0
        self._texts += 1
        return self._nlp
