"""Finds where a claim states an attribute of a subject: its name, the words for the attribute, a value.

Called by ``data.logic.facts``. The three must stand in one sentence with nothing but function words between
them, so that "the University of Paris was founded in 1850" is not read as a statement about Paris.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from data.analysis import DateMention, Quantity, Span
from data.logic.clauses import Clause, Reading, key
from data.logic.predicates import Predicate
from data.text.words import listed

#: Words that may stand between subject, attribute and value without changing who or what is meant.
_GLUE = frozenset(
    listed(
        """
a an the this that which who is was are were be been being has have had of in on at to by from as with its
his her their it he she they now currently today officially about approximately around roughly nearly almost
over more less than least most up exactly just only some estimated total stands stood standing rises reaches
reached measures measuring equals equal for year date located city actually also not never did
does do first originally
"""
    )
)
_NEGATIONS = frozenset(("not", "never"))
_WORD = re.compile(r"\w+(?:['’](?!s\b)\w+)?")
_CONTRACTED = re.compile(r"n['’]t\b")
_APPOSITION = re.compile(r"^\s*(?:,[^,]{1,60},|\([^()]{1,60}\))")
#: A place between an event and its date: "born in Ulm, Germany, in 1879".
_PLACE = re.compile(r"\b(?:in|at|near)\s+(?:the\s+)?[A-Z][\w’'.-]*(?:[\s,]+(?:of\s+|the\s+)?[A-Z][\w’'.-]*)*")
_NAME = re.compile(r"[A-Z][\w’'.-]*(?:\s+(?:(?:of|de|du|von|van|da|der|la|the)\s+)*[A-Z][\w’'.-]*)*")
_LAST_WORD = re.compile(r"([\w’'.-]+)\s*$")
_NEXT_WORD = re.compile(r"^\s+([\w’'.-]+)")
_OPENERS = frozenset(
    ("the", "a", "an", "in", "on", "at", "by", "and", "but", "today", "currently", "that", "while")
)
_PREPOSITIONS = frozenset(("of", "in", "for", "at", "near", "from", "to", "with", "than", "like"))
#: A second verb that takes the sentence's subject: "X was born in 1879 and died in 1955".
_INHERITED = re.compile(
    r"(?:,?\s+and|;|,\s*but|,\s*then|,)\s+(?:(?:then|later|he|she|it|was|were|had|also|is|has)\s+)*$",
    re.IGNORECASE,
)
_OTHER = re.compile(r"\b(?:who|which|that|whose|where|his|her|their|and\s+[A-Z])", re.IGNORECASE)

#: What may follow a count that is to stand for the whole.
_END = re.compile(r"(?:\s+(?:people|inhabitants|residents|there|now|today))*\s*(?:$|[.,;)]|and\b|as of\b)")

#: Words that make a date a bound; those that stand beside it are part of the mention already.
_OFFSET = re.compile(
    r"\b(?:before|after|by|until|till|since|from|over|more|less|than|up|least|most)\b", re.IGNORECASE
)

Value = Quantity | DateMention | str


@dataclass(frozen=True, slots=True)
class Located:
    """A statement found: its value, the words it is made of, whether it is denied, and its sentence."""

    value: Value
    pieces: tuple[Span, ...]
    denied: bool
    sentence: Clause

    @property
    def span(self) -> Span:
        """Return the stretch from the first to the last of its words."""
        return Span(min(piece.start for piece in self.pieces), max(piece.end for piece in self.pieces))


def locate(
    reading: Reading, subject: str, predicate: Predicate, *, dimension: str | None, hint: str
) -> Located | None:
    """Return the first statement of this attribute of this subject, or ``None``.

    ``dimension`` is wanted of numbers; ``hint`` is the accepted name, looked for even where it is not
    capitalised.
    """
    name = _name_pattern(subject)
    for sentence in reading.sentences:
        for mention in _spans(name, reading.text, sentence.span):
            for cue in _spans(predicate.cue, reading.text, sentence.span):
                for value, span in _values(reading, sentence, predicate, dimension=dimension, hint=hint):
                    found = _fitted(reading, sentence, (mention, cue, span), predicate)
                    if found is not None:
                        return Located(value, (mention, cue, span), found, sentence)
    return None


def is_covered(reading: Reading, pieces: Iterable[Span], glue: frozenset[str]) -> bool:
    """Say whether the claim holds nothing but these pieces and function words."""
    rest = list(reading.text)
    for piece in pieces:
        rest[piece.start : piece.end] = " " * (piece.end - piece.start)
    return all(
        word.lower() in _GLUE or word.lower() in glue
        for word in _WORD.findall("".join(rest).replace("'s ", " "))
    )


@lru_cache(maxsize=4_096)
def _name_pattern(subject: str) -> re.Pattern[str]:
    words = [re.escape(word) for word in key(subject).split()]
    return re.compile(r"(?<![\w-])" + r"[\W_]+".join(words) + r"(?![\w-])", re.IGNORECASE)


def _spans(pattern: re.Pattern[str], text: str, within: Span) -> Iterator[Span]:
    for match in pattern.finditer(text, within.start, within.end):
        if match.end() > match.start():
            yield Span(match.start(), match.end())


def _values(
    reading: Reading, sentence: Clause, predicate: Predicate, *, dimension: str | None, hint: str
) -> Iterator[tuple[Value, Span]]:
    inside = sentence.span
    if predicate.kind == "date":
        for mention in reading.analysis.dates:
            if inside.start <= mention.span.start < inside.end:
                yield mention, mention.span
    elif predicate.kind == "number":
        for quantity in reading.analysis.quantities:
            here = inside.start <= quantity.span.start < inside.end and quantity.dimension == dimension
            if here and (quantity.noun is None or _counts(quantity.noun, predicate)):
                yield quantity, quantity.span
    else:
        for span in [
            *_spans(_name_pattern(hint), reading.text, inside),
            *_spans(_NAME, reading.text, inside),
        ]:
            if reading.text[span.start : span.end].lower() in _OPENERS:
                continue
            end = span.end - (
                2 if reading.text[span.start : span.end].endswith(("'s", "’s", "s'", "s’")) else 0
            )
            yield reading.text[span.start : end].rstrip(".-'’"), span


def _counts(noun: str, predicate: Predicate) -> bool:
    """Say whether a number of these can be the attribute: "5 million people", not "5 million Muslims"."""
    forms = (noun, f"{noun}s", "people" if noun == "person" else noun)
    return any(predicate.cue.fullmatch(form) or form in predicate.glue for form in forms)


def _fitted(
    reading: Reading, sentence: Clause, pieces: tuple[Span, Span, Span], predicate: Predicate
) -> bool | None:
    """Return whether the statement is denied, or ``None`` where the three pieces are not one statement."""
    mention, cue, value = pieces
    if _overlap(mention, value) or _overlap(mention, cue) or _overlap(cue, value):
        return None
    names = (mention, value) if predicate.kind == "name" else (mention,)
    if not all(_stands_alone(reading.text, sentence, name, cue) for name in names):
        return None
    last = max(piece.end for piece in pieces)
    if predicate.closed and not _END.match(reading.text, last, sentence.span.end):
        return None
    between = _gaps(reading, sentence, pieces, predicate)
    if predicate.kind == "date" and _OFFSET.search(between[-1]):
        return None
    words = [word.lower() for gap in between for word in _WORD.findall(gap)]
    denials = [word for word in words if word in _NEGATIONS or _CONTRACTED.search(word)]
    allowed = _GLUE | predicate.glue | {"s", *denials}
    if not all(word in allowed or predicate.cue.fullmatch(word) for word in words):
        return None
    return len(denials) % 2 == 1


def _gaps(
    reading: Reading, sentence: Clause, pieces: tuple[Span, Span, Span], predicate: Predicate
) -> list[str]:
    """Return the words between the pieces, less an apposition and a place before a date."""
    ordered = sorted(pieces, key=lambda piece: piece.start)
    between = [reading.text[left.end : right.start] for left, right in pairwise(ordered)]
    if ordered[0] is pieces[0]:
        between[0] = _APPOSITION.sub(" ", between[0])
        if _inherits(reading.text, sentence, pieces[0], between[0]):
            between[0] = ""
    if predicate.kind == "date":
        between[-1] = _PLACE.sub(" ", between[-1])
    return between


def _inherits(text: str, sentence: Clause, mention: Span, gap: str) -> bool:
    """Say whether the attribute's verb is a second verb of the sentence's subject."""
    opening = text[sentence.span.start : mention.start].strip().lower()
    if (
        opening not in ("", "the")
        or not gap.startswith(" ")
        or _OTHER.search(gap)
        or gap.startswith((" and", " or"))
    ):
        return False
    return _INHERITED.search(gap) is not None


def _overlap(first: Span, second: Span) -> bool:
    return first.start < second.end and second.start < first.end


def _stands_alone(text: str, sentence: Clause, name: Span, cue: Span) -> bool:
    """Say whether a name is a whole noun phrase here, and not part of a longer one."""
    return _opens_phrase(text, sentence, name, cue) and _closes_phrase(text, sentence, name, cue)


def _opens_phrase(text: str, sentence: Clause, name: Span, cue: Span) -> bool:
    before = text[sentence.span.start : name.start]
    previous = _LAST_WORD.search(before)
    if previous is None or before.rstrip().endswith((",", ";", ":", "(")):
        return True
    word, start = previous[1], sentence.span.start
    if word.lower() in _PREPOSITIONS and not _is_tied(text, cue, name):
        return False
    belongs = word.lower().endswith(("'s", "’s")) or (word[0].isupper() and word.lower() not in _OPENERS)
    return not belongs or _overlap(cue, Span(start + previous.start(1), start + previous.end(1)))


def _closes_phrase(text: str, sentence: Clause, name: Span, cue: Span) -> bool:
    after = text[name.end : sentence.span.end]
    if after.startswith(("'s", "’s")):
        return 0 <= cue.start - name.end <= 30
    following = _NEXT_WORD.match(after)
    if following is None:
        return not after.startswith(("-", "/"))
    word = following[1].rstrip(".,")
    if _overlap(cue, Span(name.end + following.start(1), name.end + following.end(1))):
        return True
    last = cue.end <= name.start
    if word.lower() in ("and", "or"):
        return last
    return not word[:1].isupper() and (word.lower() in _GLUE or word[:1].isdigit() or not last)


def _is_tied(text: str, cue: Span, name: Span) -> bool:
    """Say whether "<attribute> of <name>" stands here."""
    return cue.end <= name.start and all(
        word.lower() in _GLUE for word in _WORD.findall(text[cue.end : name.start])
    )
