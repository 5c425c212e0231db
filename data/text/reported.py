"""Finds what a sentence reports somebody as saying: the words said, whose they are, and where that stands.

Called by claim extraction. Only wordings that leave the inner statement as its speaker made it are read:
a denial, a doubt or a question keeps its whole sentence. Pure; offsets are those of the text handed in.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from data.analysis import Span
from data.text.sentence_types import LEAST_WORDS, has_verb, words_of
from data.text.sentences import trimmed
from data.text.words import listed

_SAY = (
    r"(?:said|says|say|stated|states|claimed|claims|announced|announces|reported|reports|added|adds|wrote|writes|"
    r"tweeted|argued|argues|testified|confirmed|confirms|revealed|noted|notes|explained|explains|insisted|insists|"
    r"asserted|asserts|declared|warned|warns|acknowledged|maintains|maintained)"
)
_SHOW = (
    r"(?:found|finds|shows|showed|concluded|concludes|estimated|estimates|suggests|suggested|indicates|"
    r"indicated)"
)
_HAVE = r"(?:(?:has|have|had|also|later|then|recently|repeatedly|once)\s+){0,2}"
#: "in a statement", "on Monday", "Jan. 3", "reporters", between the verb and what is said.
_ASIDE = r"(?:[^\"“”;:]{0,60}?\s)??"
_FLAGS = re.IGNORECASE | re.DOTALL

_ACCORDING = re.compile(
    r"(?:according to|as reported by|as stated by)\s+(?P<who>[^,;:]{1,120}),\s+(?P<what>.+)", _FLAGS
)
_THAT = re.compile(
    rf"(?P<who>[^\"“”;:]{{1,120}}?)\s+{_HAVE}(?:told\s+[^\"“”;:]{{1,60}}?|{_SAY}|{_SHOW})\s+{_ASIDE}that\s+(?P<what>.+)",
    _FLAGS,
)
_COLON = re.compile(
    rf"(?P<who>[^\"“”;:]{{1,120}}?)\s+{_HAVE}(?:told\s+[^\"“”;:]{{1,60}}?|{_SAY})"
    r"(?:[^\"“”;:]{0,60}?\s)?\s*[,:]\s*[\"“](?P<what>[^\"“”]+)[\"”]?\W*$",
    _FLAGS,
)
_PLAIN = re.compile(
    rf"(?P<who>[^\"“”;:,]{{1,80}}?)\s+{_HAVE}(?:said|says|say|claimed|claims|claim|argues|insists|estimates)\s+"
    r"(?:on\s+\w+day,?\s+)?"
    r"(?P<what>(?!(?:that|to|on|in|at|it was|so|how|why|what|whether|if)\b).+)",
    _FLAGS,
)
_TAIL = re.compile(
    rf"(?P<what>.+?),[\"”’']*\s+(?:(?:according to|as reported by)\s+(?P<by>[^;:\"“”]{{1,120}}?)"
    rf"|(?:said|says|wrote|writes|added|reported|explained)\s+(?P<after>[^;:\"“”]{{1,120}}?)"
    rf"|(?P<who>[^;:\"“”,]{{1,80}}?)\s+{_HAVE}{_SAY}(?:\s+[^;:\"“”]{{0,60}}?)?)[.!]*$",
    _FLAGS,
)
#: In front of these the inner statement is not put forward.
_TAKEN_BACK = re.compile(
    r"\b(?:not|never|nobody|no one|neither|nor|if|whether|when|unless|until|who|which|whom|"
    r"den(?:y|ies|ied)|doubt(?:s|ed)?|false(?:ly)?|wrong(?:ly)?|would|could|may|might|should|will)\b|n['’]t\b",
    re.IGNORECASE,
)
_LEAD_IN = re.compile(
    r"(?:(?:and|but|however|meanwhile|moreover|still|yet|also|so|then|later|earlier)\b,?\s+"
    r"|(?:on|in|at|during|after|before|last|this)\s[^,]{1,40},\s+)+",
    re.IGNORECASE,
)
_APPOSITION = re.compile(r"(?:a|an|the|who|which|its|his|her|their)\s[^,]{1,80},\s+", re.IGNORECASE)
_PRONOUN = re.compile(
    r"(?:he|she|it|they|we|i|you|this|that|these|those|who|others|some|many)$", re.IGNORECASE
)
_WHO_TAIL = re.compile(r",.*$", re.DOTALL)
_EDGES = " \t\r\n.,;:!\"“”'’"
_END = re.compile(r"[\s.!,;:\"“”'’]+$")


@dataclass(frozen=True, slots=True)
class Reported:
    """What is said, by whom as the words name them (``None``: a pronoun), and the words that say so."""

    said: Span
    speaker: str | None
    attribution: Span


def reported_in(text: str, sentence: Span) -> Reported | None:
    """Return what a sentence of ``text`` reports, or ``None`` where it speaks for itself."""
    body = text[sentence.start : sentence.end]
    for read in (_according, _quoted_after, _that, _tail, _plain):
        found = read(body)
        if found is not None:
            return _placed(text, sentence, found)
    return None


def quotations(text: str, paragraph: Span) -> list[Span]:
    """Return the ranges between quotation marks in a paragraph, marks left out, in order."""
    found: list[Span] = []
    opened: int | None = None
    for mark in re.finditer(r"[\"“”]", text[paragraph.start : paragraph.end]):
        at = paragraph.start + mark.start()
        if opened is None and mark[0] != "”":
            opened = at + 1
        elif opened is not None and mark[0] != "“":
            found.append(Span(opened, at))
            opened = None
    return found


#: What the readers below return: the ranges of what is said and of who says it, inside the sentence.
_Found = tuple[Span, Span]


def _according(body: str) -> _Found | None:
    match = _ACCORDING.match(body)
    if match is None:
        return None
    start = match.start("what")
    apposition = _APPOSITION.match(body, start)
    if apposition and not has_verb(words_of(apposition[0])) and has_verb(words_of(body[apposition.end() :])):
        start = apposition.end()
    return Span(start, len(body)), Span(*match.span("who"))


def _that(body: str) -> _Found | None:
    match = _THAT.match(body)
    return _if_named(body, match) if match else None


def _quoted_after(body: str) -> _Found | None:
    match = _COLON.match(body)
    return _if_named(body, match) if match else None


def _plain(body: str) -> _Found | None:
    match = _PLAIN.match(body)
    if match is None or '"' in match["what"] or "“" in match["what"]:
        return None
    return _if_named(body, match)


def _tail(body: str) -> _Found | None:
    match = _TAIL.match(body)
    if match is None:
        return None
    group = next(name for name in ("by", "after", "who") if match[name])
    start = 1 if body[0] in '"“' else 0
    who = Span(*match.span(group))
    if group == "who" and not _can_speak(body[who.start : who.end]):
        return None
    return Span(start, match.end("what")), who


def _if_named(body: str, match: re.Match[str]) -> _Found | None:
    lead = _LEAD_IN.match(body)
    start = lead.end() if lead and lead.end() < match.end("who") else 0
    who = Span(start, match.end("who"))
    if not _can_speak(body[who.start : who.end]) or _TAKEN_BACK.search(body, 0, match.start("what")):
        return None
    return Span(*match.span("what")), who


def _can_speak(who: str) -> bool:
    """Say whether the words can be a speaker: no verb of their own and nothing that takes back."""
    return bool(who.strip()) and not has_verb(words_of(who)) and not _TAKEN_BACK.search(who)


def _placed(text: str, sentence: Span, found: _Found) -> Reported | None:
    """Return the finding in the offsets of the text, if what is said stands as a statement of its own."""
    said, who = found
    body = text[sentence.start : sentence.end]
    inner = body[said.start : said.end]
    end = _END.search(inner)
    stop = said.start + (end.start() if end else len(inner))
    span = trimmed(text, sentence.start + said.start, sentence.start + stop)
    words = words_of(text[span.start : span.end])
    if len(words) < LEAST_WORDS or not has_verb(words, careful=False):
        return None
    outside = Span(sentence.start, span.start) if who.start < said.start else Span(span.end, sentence.end)
    return Reported(span, _name(body[who.start : who.end]), _bare(text, outside))


def _bare(text: str, span: Span) -> Span:
    """Return the range without the white space and punctuation at its ends."""
    body = text[span.start : span.end]
    first = len(body) - len(body.lstrip(_EDGES))
    return Span(span.start + first, span.start + first + len(body.strip(_EDGES)))


def _name(who: str) -> str | None:
    name = " ".join(_WHO_TAIL.sub("", who).split()).strip(" .")
    return None if not name or _PRONOUN.match(name) else name


_CUT = re.compile(r",\s+(?:and|but|while|whereas)\s+|;\s+(?:(?:and|but|however,)\s+)?", re.IGNORECASE)
_BOUND = re.compile(
    r"\b(?:if|when|unless|because|although|though|since|until|both|either|neither|between|not only|"
    r"whether|as)\b",
    re.IGNORECASE,
)
_NOT_FIRST = frozenset(
    listed(
        """
he she it they we i you him her them his its their our my this that these those then also so not more less
is are was were has have had do does did will would can could may might must should which who whose where
nor or in on at by for from to with both than even only most all such
"""
    )
)
_RELATIVE = frozenset(("that", "which", "who", "whose", "where"))


def clauses(text: str, span: Span) -> list[Span]:
    """Cut a compound statement where each part stands alone; else return it whole.

    A part stands alone when it has a noun before a finite verb, opens with no pronoun, and nothing in the
    sentence ties the parts together (a condition, "both", "neither", an open quotation or bracket).
    """
    body = text[span.start : span.end]
    parts = list(_parts(text, span))
    if len(parts) < 2 or _BOUND.search(body) or any(not _stands_alone(text, part) for part in parts):
        return [span]
    return parts


def _parts(text: str, span: Span) -> Iterator[Span]:
    start = span.start
    for cut in _CUT.finditer(text[span.start : span.end]):
        yield trimmed(text, start, span.start + cut.start())
        start = span.start + cut.end()
    yield trimmed(text, start, span.end)


def _stands_alone(text: str, part: Span) -> bool:
    body = text[part.start : part.end]
    words = words_of(body)
    if len(words) <= LEAST_WORDS or words[0] in _NOT_FIRST or has_verb(words[:1]):
        return False
    if body.count("(") != body.count(")") or body.count('"') % 2 or body.count("“") != body.count("”"):
        return False
    before = next((place for place, word in enumerate(words) if word in _RELATIVE), len(words))
    return has_verb(words[:before])
