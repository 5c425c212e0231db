"""Documents cut into passages: sentence-aware, deterministic, offsets exact.

Called once, when a document is written (``data.changes``, ``data.segments``). Invariant:
``document.text[passage.start:passage.end] == passage.text``, passages do not overlap, and no word is lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from itertools import pairwise

from data.knowledge import Document, Passage

#: A passage is closed once it has this many words ...
MIN_WORDS = 40
#: ... and never has more than this many. Claims of the retrieval sets rest on one to three sentences.
MAX_WORDS = 80

#: A word; a run without white space (Chinese, long addresses) counts again every 60 characters.
_WORD = re.compile(r"\S{1,60}")
#: A sentence ends at closing punctuation before a space and an opening, a full-width stop, a blank line.
_BREAK = re.compile(
    r"(?<=[.!?…])[\"'”’)\]]*\s+(?=[\"'“‘(\[]*[A-Z0-9À-ÖØ-ÞА-Я])|(?<=[。！？])|\n\s*\n",
)
#: Words whose full stop does not end a sentence.
_ABBREVIATION = re.compile(
    r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Gen|Col|Sen|Rep|Gov|St|Jr|Sr|vs|No|Fig|Figs|al|e\.g|i\.e|approx|ca|cf"
    r"|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)|\b[A-Z])\.$"
)

_Span = tuple[int, int]


def document_id(text: str, title: str = "", url: str | None = None) -> str:
    """Return the id of a document that came without one: equal content gives an equal id."""
    digest = hashlib.sha256("\0".join((url or "", title, text)).encode("utf-8", "surrogatepass"))
    return f"doc-{digest.hexdigest()[:24]}"


def split(document: Document) -> tuple[Passage, ...]:
    """Cut a document into passages of about 40 to 80 words, whole sentences where they fit."""
    text = document.text
    return passages_of(document, _grouped(_bounded(sentences(text), text), text))


def passages_of(document: Document, spans: Sequence[tuple[int, int]]) -> tuple[Passage, ...]:
    """Return the passages of a document that was split at ``spans``, in order."""
    return tuple(
        Passage(
            f"{document.id}#{number}",
            document.id,
            document.text[start:end],
            start,
            end,
            document.title,
            document.url,
            document.source,
            document.published_at,
        )
        for number, (start, end) in enumerate(spans)
    )


def sentences(text: str) -> list[_Span]:
    """Return the sentences' ranges without the white space around them."""
    cuts = [0]
    for found in _BREAK.finditer(text):
        before = text[max(cuts[-1], found.start() - 12) : found.start()]
        if found.group().startswith("\n") or not _ABBREVIATION.search(before):
            cuts.append(found.end())
    cuts.append(len(text))
    spans = (_trimmed(text, start, end) for start, end in pairwise(cuts))
    return [span for span in spans if span[0] < span[1]]


def _trimmed(text: str, start: int, end: int) -> _Span:
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _bounded(sentences: list[_Span], text: str) -> list[_Span]:
    """Cut sentences longer than a passage into even parts at word boundaries."""
    bounded: list[_Span] = []
    for start, end in sentences:
        words = [word.span() for word in _WORD.finditer(text, start, end)]
        parts = -(-len(words) // MAX_WORDS)
        size = -(-len(words) // parts)
        chunks = [words[first : first + size] for first in range(0, len(words), size)]
        bounded.extend((chunk[0][0], chunk[-1][1]) for chunk in chunks)
    return bounded


def _grouped(sentences: list[_Span], text: str) -> list[_Span]:
    """Join neighbours until a passage has enough words, never past the maximum."""
    groups: list[_Span] = []
    count = 0
    for start, end in sentences:
        size = _count(text, start, end)
        if groups and count < MIN_WORDS and count + size <= MAX_WORDS:
            groups[-1] = (groups[-1][0], end)
            count += size
        else:
            groups.append((start, end))
            count = size
    return _closed(groups, text)


def _closed(groups: list[_Span], text: str) -> list[_Span]:
    """Join a short last passage to the one before where both fit into one."""
    if len(groups) > 1 and _count(text, *groups[-1]) < MIN_WORDS:
        joined = (groups[-2][0], groups[-1][1])
        if _count(text, *joined) <= MAX_WORDS:
            return [*groups[:-2], joined]
    return groups


def _count(text: str, start: int, end: int) -> int:
    return sum(1 for _ in _WORD.finditer(text, start, end))
