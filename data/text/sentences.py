"""Cuts a whole text (a paragraph, an article) into sentences and says what else stands in it.

Called by claim extraction. The analyser's own sentences serve claims of one or two sentences; an article has
headings, lists, soft line breaks, addresses and many more abbreviations. Rules only, one pass, linear time.
Invariant: pieces are in order, do not overlap, are trimmed of white space, and lie inside the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from data.analysis import Span
from data.text.words import listed

PieceKind = Literal["sentence", "heading", "item", "code", "link"]

#: A line with more words is no heading, whatever it looks like.
HEADING_WORDS = 14
#: A line at least this long that ends without a stop goes on in the next line.
WRAPPED_CHARS = 40
_MARKER = re.compile(r"[ \t>]*(?:[-*•‣◦▪–—+]|\(?\d{1,3}[.)]|\(?[a-z]\))[ \t]+")
_QUOTED_LINE = re.compile(r"[ \t]*(?:>[ \t]*)+")
_HASHES = re.compile(r"[ \t]*#{1,6}[ \t]+")
_RULE = re.compile(r"[ \t]*(?:[-=*_~#][ \t]*){3,}$")
_FENCE = re.compile(r"[ \t]*(?:```|~~~)")
_LINK = re.compile(r"(?:https?://|ftp://|www\.)\S+|[^\s@]{1,64}@[^\s@]{1,255}")
_LINK_END = re.compile(r"[.,;:!?)\]\"'”’]+$")
#: An end of a sentence: stops, closing quotes and brackets, then white space, an end, or (after a full-width
#: stop) anything.
_STOP = re.compile(r"(?:[.!?…]+|[。！？]+)[\"”’'»)\]]*")
_OPENERS = "\"“‘'«([¿¡"
_WORD_BEFORE = re.compile(r"(\S{1,24})$")
_NEXT_WORD = re.compile(r"[\"“‘'«(\[]*([^\W\d_]+(?:['’][^\W\d_]+)?)")
_ENDED = re.compile(r"[.!?…。！？:;][\"”’'»)\]]*$")

#: Never the last word of a sentence.
_BEFORE_NAME = frozenset(
    listed(
        """
mr mrs ms mx dr prof sen rep gov gen lt col maj capt cmdr adm sgt cpl pvt hon rev fr st mt ft messrs mmes
pres supt insp det vs v cf e.g i.e viz fig figs eq eqs sec ch vol pp nos ed eds approx ca est dept univ assn
bros op cit ibid incl attn asst assoc
"""
    )
)
#: A month or a number sign before its number.
_BEFORE_NUMBER = frozenset(listed("jan feb mar apr jun jul aug sep sept oct nov dec no art p para"))
#: May end a sentence: they do where the next word is one that begins many.
_EITHER = frozenset(
    listed(
        """
inc ltd co corp llc plc jr sr u.s u.k u.n e.u u.s.a u.s.s.r d.c a.m p.m b.c a.d ph.d m.d b.a m.a etc al ave
blvd rd u.a.e n.y l.a
"""
    )
)
_STARTERS = frozenset(
    listed(
        """
the a an this that these those it he she they we i you there here in on at by for from with as after
before when while if although though because since but and however meanwhile moreover furthermore also then
now his her its their our my your one two some many most all no not both each every another such what who
why how where which according during under over between among despite until unless once so yet nor or to
researchers critics officials
"""
    )
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A sentence, or something that is none; ``paragraph`` numbers the paragraph (or list) it stands in."""

    span: Span
    kind: PieceKind
    paragraph: int


@dataclass(frozen=True, slots=True)
class _Line:
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class _Block:
    """Lines that belong together, ``[start, end)``; ``last`` is where the last of them begins."""

    start: int
    end: int
    kind: PieceKind
    last: int


def split_text(text: str) -> list[Piece]:
    """Return the sentences of a text and the pieces that are none, in order."""
    found: list[Piece] = []
    for number, block in enumerate(_blocks(text)):
        if block.kind in ("heading", "code"):
            found.append(Piece(Span(block.start, block.end), block.kind, number))
            continue
        for span in _sentences(text, block.start, block.end):
            kind: PieceKind = "link" if _is_link(text[span.start : span.end]) else block.kind
            found.append(Piece(span, kind, number))
    return _without_false_headings(found)


def _without_false_headings(pieces: list[Piece]) -> list[Piece]:
    """A text that is one line is a claim, however much it looks like a headline."""
    if len(pieces) == 1 and pieces[0].kind == "heading":
        return [Piece(pieces[0].span, "sentence", pieces[0].paragraph)]
    return pieces


def _lines(text: str) -> Iterator[_Line]:
    start = 0
    for raw in text.splitlines(keepends=True):
        body = raw.rstrip()
        yield _Line(start, start + len(body), body)
        start += len(raw)


def _blocks(text: str) -> Iterator[_Block]:
    """Yield the blocks of a text, trimmed, in order."""
    open_block: _Block | None = None
    in_code = False
    for line in _lines(text):
        fence = _FENCE.match(line.text) is not None
        if fence or in_code or not line.text.strip() or _RULE.match(line.text):
            if open_block is not None:
                yield _closed(text, open_block)
                open_block = None
            if in_code and not fence and line.text.strip():
                yield _trimmed_block(text, _Block(line.start, line.end, "code", line.start))
            in_code ^= fence
            continue
        fresh = _begun(line)
        if open_block is not None and fresh.kind == "sentence" and _goes_on(text, open_block, line):
            open_block = _Block(open_block.start, line.end, open_block.kind, line.start)
            continue
        if open_block is not None:
            yield _closed(text, open_block)
        open_block = fresh
    if open_block is not None:
        yield _closed(text, open_block)


def _begun(line: _Line) -> _Block:
    """Return the block that a line begins, its marker left out."""
    marker = _HASHES.match(line.text)
    if marker and marker.end() < len(line.text):
        return _Block(line.start + marker.end(), line.end, "heading", line.start)
    marker = _MARKER.match(line.text)
    if marker and marker.end() < len(line.text):
        return _Block(line.start + marker.end(), line.end, "item", line.start)
    marker = _QUOTED_LINE.match(line.text)
    skipped = marker.end() if marker and marker.end() < len(line.text) else 0
    return _Block(line.start + skipped, line.end, "sentence", line.start)


def _goes_on(text: str, block: _Block, line: _Line) -> bool:
    """Say whether a line continues the block before it: a wrapped line, or any line after a full stop."""
    if block.kind == "heading":
        return False
    last = text[max(block.start, block.last) : block.end]
    if _ENDED.search(last):
        return block.kind == "sentence"
    return line.text.lstrip()[:1].islower() or len(last) >= WRAPPED_CHARS


def _closed(text: str, block: _Block) -> _Block:
    """Return a finished block; one short line without a stop is a heading."""
    block = _trimmed_block(text, block)
    body = text[block.start : block.end]
    if block.kind == "sentence" and block.last <= block.start and _looks_like_heading(body):
        return _Block(block.start, block.end, "heading", block.last)
    return block


def _trimmed_block(text: str, block: _Block) -> _Block:
    span = trimmed(text, block.start, block.end)
    return _Block(span.start, span.end, block.kind, block.last)


def _looks_like_heading(body: str) -> bool:
    words = body.split()
    ended = _ENDED.search(body) is not None and not body.endswith(":")
    return not ended and len(words) <= HEADING_WORDS and not _LINK.search(body)


def trimmed(text: str, start: int, end: int) -> Span:
    """Return the range without white space at its ends."""
    body = text[start:end]
    return Span(start + len(body) - len(body.lstrip()), start + len(body.rstrip()))


def _is_link(body: str) -> bool:
    """Say whether a sentence is an address and hardly anything else ("Source: https://...")."""
    rest = _LINK.sub("", body)
    return rest != body and sum(any(char.isalnum() for char in word) for word in rest.split()) <= 2


def _sentences(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the sentences of a block."""
    masked = _masked(text, start, end)
    begun = 0
    for stop in _STOP.finditer(masked):
        if stop.start() >= begun and _ends_sentence(masked, stop):
            yield trimmed(text, start + begun, start + stop.end())
            begun = stop.end()
    rest = trimmed(text, start + begun, end)
    if rest.start < rest.end:
        yield rest


def _masked(text: str, start: int, end: int) -> str:
    """Return the block with addresses made of one letter, so that nothing in them ends a sentence."""

    def cover(match: re.Match[str]) -> str:
        tail = _LINK_END.search(match[0])
        kept = tail[0] if tail else ""
        return "x" * (len(match[0]) - len(kept)) + kept

    return _LINK.sub(cover, text[start:end])


def _ends_sentence(masked: str, stop: re.Match[str]) -> bool:
    """Say whether a sentence ends at this stop."""
    after = masked[stop.end() : stop.end() + 40]
    following = after.lstrip()
    if stop[0][0] in "。！？" or stop.end() == len(masked):
        return True
    if following == after or following[:1].islower():
        return False
    if stop[0] != ".":
        return True
    opens = following[:1].isalnum() or following[:1] in _OPENERS
    return opens and _dot_ends(masked[max(0, stop.start() - 24) : stop.start()], following)


def _dot_ends(before: str, following: str) -> bool:
    """Say whether a single full stop ends a sentence, by the word before it and the one after."""
    word = _WORD_BEFORE.search(before)
    last = word[1].lstrip(_OPENERS).casefold() if word else ""
    after = _NEXT_WORD.match(following)
    starts = after is not None and after[1].casefold() in _STARTERS
    if last in _BEFORE_NAME:
        return False
    if last in _BEFORE_NUMBER:
        return not following[:1].isdigit()
    if last in _EITHER or re.fullmatch(r"[^\W\d_]|(?:[^\W\d_]\.)+[^\W\d_]", last):
        return starts
    return not re.fullmatch(r"\d{1,3}", before.strip())
