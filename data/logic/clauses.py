"""Cuts a claim into clauses and says whether they are asserted at all: every reader here starts from it.

A clause that is reported, hedged, conditional or asked commits its speaker to nothing, so no constraint is
read from it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from data.analysis import Analysis, Span
from data.text.lemmas import lemma_of
from data.text.words import listed

#: Words that take back the commitment to what is said around them: reporting, hedging, modality, fiction,
#: alternatives.
_DISTANCE = re.compile(
    r"\b(?:said|says?|saying|claim(?:s|ed|ing)?|according|reported(?:ly)?|alleged(?:ly)?|supposed(?:ly)?|apparently"
    r"|believe[sd]?|thinks?|thought|rumou?red|predict(?:s|ed)?|expect(?:s|ed)?"
    r"|plan(?:s|ned)? to|propos(?:es|ed)"
    r"|den(?:y|ies|ied)|perhaps|maybe|possibly|probably|might|could|would|unless|whether|either|neither|or|nor"
    r"|fiction(?:al)?|novel|movie|film|myth|hypothetical(?:ly)?|false|untrue|incorrect|wrong(?:ly)?|mistaken(?:ly)?"
    r"|argue[sd]?|suggest(?:s|ed)?|estimates that|if)\b",
    re.IGNORECASE,
)
#: "may" the verb; "May" the month keeps its capital.
_MAY = re.compile(r"\bmay\b")
_BOUNDARY = re.compile(
    r"[;.!?](?=\s|$)|,\s+(?=(?:and|but|yet|while|whereas|although|though|so|then)\b)"
    r"|,?\s+(?:and|but|yet|while|whereas|although|though|however)\s+(?:yet\s+)?"
)
_BOUNDARY_OR_COMMA = re.compile(_BOUNDARY.pattern + r"|,(?=\s)")
_LEADING = re.compile(
    r"^(?:[\s,;:]|(?:and|but|yet|while|whereas|although|though|however|so|then|that|also)\b)+", re.I
)
_NEGATION = re.compile(r"\b(?:not|never|cannot|no longer)\b|n['’]t\b", re.IGNORECASE)
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)
_SPACE = re.compile(r"[\W_]+")


@dataclass(frozen=True, slots=True)
class Clause:
    """A stretch of the claim that says one thing; ``text`` is ``claim[span.start:span.end]``."""

    text: str
    span: Span


@dataclass(frozen=True, slots=True)
class Reading:
    """A claim as the readers see it."""

    text: str
    analysis: Analysis
    sentences: tuple[Clause, ...]
    #: True where nothing takes back the commitment to what is said.
    asserted: bool


def read(text: str, analysis: Analysis) -> Reading:
    """Prepare a claim for the readers."""
    spans = analysis.sentences or (Span(0, len(text)),)
    sentences = tuple(Clause(text[span.start : span.end], span) for span in spans)
    return Reading(text, analysis, sentences, is_asserted(text))


def is_asserted(text: str) -> bool:
    """Say whether the text commits to what it says: no report, hedge, condition, alternative or question."""
    return not (_DISTANCE.search(text) or _MAY.search(text) or text.rstrip().endswith("?"))


def clauses(sentence: Clause, *, at_commas: bool = False) -> list[Clause]:
    """Cut a sentence at coordinators and stops (and commas); clauses are trimmed and never empty."""
    found, start = [], 0
    boundary = _BOUNDARY_OR_COMMA if at_commas else _BOUNDARY
    for match in [*boundary.finditer(sentence.text), None]:
        end = match.start() if match else len(sentence.text)
        clause = _trimmed(sentence, start, end)
        if clause is not None:
            found.append(clause)
        start = match.end() if match else end
    return found


def _trimmed(sentence: Clause, start: int, end: int) -> Clause | None:
    text = sentence.text[start:end]
    lead = _LEADING.match(text)
    if lead:
        start += lead.end()
    text = sentence.text[start:end].rstrip(" ,;:.!?")
    offset = sentence.span.start + start
    return Clause(text, Span(offset, offset + len(text))) if text else None


def is_negated(text: str) -> bool:
    """Say whether the words deny rather than state (an even number of negations states)."""
    return len(_NEGATION.findall(text)) % 2 == 1


def without_negation(text: str) -> str:
    """Return the words with the negations taken out."""
    return _NEGATION.sub(" ", text)


@lru_cache(maxsize=16_384)
def key(name: str) -> str:
    """Return what two spellings of one name share: no case, article, punctuation or possessive."""
    plain = name.strip().removesuffix("'s").removesuffix("’s")
    plain = _ARTICLE.sub("", _SPACE.sub(" ", plain).strip())
    return plain.casefold()


_DROPPED = frozenset(
    listed(
        """
a an the do does did be is are was were been being of them these those also both very really actually at all
there still always indeed
"""
    )
)


def concept(words: str) -> str:
    """Return the words of a class or property in a form that two wordings share: plain forms, no articles."""
    tokens = (token for token in key(words).split() if token not in _DROPPED)
    return " ".join(lemma_of(token) for token in tokens)
