"""Whether any stage takes time that grows with the square of a text.

Called by ``tasks.behaviour.fuzz``. Times are compared with one another on the same machine, so a slow one
fails nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from data.claims import MAX_CLAIM_CHARS
from data.documents import split
from data.knowledge import Document
from data.text.analyser import SpacyAnalyser
from data.text.extraction import find_claims
from tasks.behaviour.fuzz_stages import compared
from tasks.behaviour.fuzz_words import PIECES

#: Length of the short text of the growth test, how many times longer the long one is, and by how much more
#: its time may grow: 4 would be linear, 16 the square.
_GROWTH_CHARS, _GROWTH_TIMES, _GROWTH_MOST = 5_000, 4, 9.0
#: The machine may be busy: only what grows every time is told.
_GROWTH_ATTEMPTS = 3
#: Below this the clock says nothing about growth.
_GROWTH_FLOOR_S = 0.1


def growth(pieces: Sequence[str] = PIECES) -> list[str]:
    """Return what takes time that grows with the square of a text: one sentence for each piece, repeated."""
    analyser = SpacyAnalyser()

    def analysis(text: str) -> object:
        return analyser.analyse([text])

    def splitting(text: str) -> object:
        return split(Document("growth", text))

    def comparison(text: str) -> object:
        return compared(analyser, text[:MAX_CLAIM_CHARS], [text])

    def extraction(text: str) -> object:
        return find_claims(text, analyser)

    found = []
    for piece in pieces:
        for work in (analysis, splitting, comparison, extraction):
            seen = _grows(work, piece)
            if seen is not None:
                found.append(f"{work.__name__} of {piece[:20]!a} repeated: {seen}")
    return found


def _grows(work: Callable[[str], object], piece: str) -> str | None:
    """Return the times of a short and a long text when, three times over, they grow too fast."""
    for attempt in range(_GROWTH_ATTEMPTS):
        # The number at the front keeps every text new to the caches.
        text = f"{attempt} " + piece * (_GROWTH_CHARS * _GROWTH_TIMES // len(piece))
        quick, slow = _cpu_s(work, text[:_GROWTH_CHARS]), _cpu_s(work, text)
        if slow <= _GROWTH_FLOOR_S or slow <= _GROWTH_MOST * quick:
            return None
    return f"{quick:.3f} s for {_GROWTH_CHARS} characters, {slow:.3f} s for {len(text)}"


def _cpu_s(work: Callable[[str], object], text: str) -> float:
    """Return the CPU seconds of the work."""
    started = time.process_time()
    work(text)
    return time.process_time() - started
