"""A text cut into chunks that become vectors: sentences kept whole where they fit, offsets exact.

Called by the route that takes whole documents. Without a size the chunks are the passages that evidence is
made of (``data.documents.split``). Invariant: ``text[start:end]`` is a chunk, chunks come in order, and
every word of the text is in at least one.
"""

from __future__ import annotations

import re

from data.documents import sentences, split
from data.knowledge import Document

#: A word; a run without white space (Chinese, long addresses) counts again every 60 characters, as there.
_WORD = re.compile(r"\S{1,60}")

_Span = tuple[int, int]


def chunks_of(text: str, size: int | None, overlap: int) -> list[_Span]:
    """Return the ranges of the chunks of a text.

    ``size`` is the most words of one, ``overlap`` how many of the last words of a chunk the next one begins
    with, at most; it repeats whole sentences (or parts of a sentence longer than a chunk) only.
    """
    if size is None and not overlap:
        return [(part.start, part.end) for part in split(Document("", text))]
    most = size or 80
    pieces = _pieces(text, most, overlap)
    chunks: list[_Span] = []
    first = count = 0
    for place, (_, _, words) in enumerate(pieces):
        if count + words > most:
            chunks.append((pieces[first][0], pieces[place - 1][1]))
            first, count = _carried(pieces, place, room=min(overlap, most - words))
        count += words
    if pieces:
        chunks.append((pieces[first][0], pieces[-1][1]))
    return chunks


def _carried(pieces: list[tuple[int, int, int]], place: int, *, room: int) -> tuple[int, int]:
    """Return where a chunk that goes on with ``place`` begins, and the words before it."""
    first, count = place, 0
    while first and count + pieces[first - 1][2] <= room:
        first -= 1
        count += pieces[first][2]
    return first, count


def _pieces(text: str, most: int, overlap: int) -> list[tuple[int, int, int]]:
    """Return sentences as (start, end, words); those longer than a chunk in parts that overlap can carry."""
    found = []
    step = min(most, overlap) or most
    for start, end in sentences(text):
        words = [word.span() for word in _WORD.finditer(text, start, end)]
        if len(words) <= most:
            found.append((start, end, len(words)))
            continue
        for first in range(0, len(words), step):
            part = words[first : first + step]
            found.append((part[0][0], part[-1][1], len(part)))
    return found
