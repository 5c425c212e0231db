"""Whether a typed fact answers a claim exactly: same subject and property, a value, and nothing else said.

Called by the empirical framework for evidence of kind fact or graph. Pure. Careful on purpose: a claim that
says anything beyond the fact gets no exact answer here and is left to the stance model.
"""

from __future__ import annotations

import re

from data.analysis import Analysis, Span
from data.evidence import Evidence, Stance
from data.text.comparison import FEATURE_NAMES, Comparison

_AT = {name: index for index, name in enumerate(FEATURE_NAMES)}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
#: Words of a property's name that carry no meaning of their own.
_EMPTY_WORDS = frozenset(
    [
        "a",
        "an",
        "at",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "is",
        "it",
        "of",
        "on",
        "the",
        "to",
        "was",
        "were",
        "with",
    ]
)
#: Everyday words for a property, by the word in its name: "330 m tall" speaks of the height.
_SAID_AS: dict[str, frozenset[str]] = {
    "height": frozenset({"tall", "high", "rise", "stand"}),
    "elevation": frozenset({"high", "height", "rise", "altitude"}),
    "length": frozenset({"long"}),
    "width": frozenset({"wide", "broad"}),
    "depth": frozenset({"deep"}),
    "mass": frozenset({"weigh", "weight", "heavy"}),
    "weight": frozenset({"weigh", "heavy", "mass"}),
    "area": frozenset({"cover", "size"}),
    "population": frozenset({"people", "person", "inhabitant", "resident", "live", "home"}),
    "age": frozenset({"old"}),
    "speed": frozenset({"fast"}),
    "birth": frozenset({"born", "bear"}),
    "born": frozenset({"bear", "birth"}),
    "death": frozenset({"die", "dead"}),
    "died": frozenset({"die", "death"}),
    "inception": frozenset({"found", "founded", "establish", "create"}),
    "founded": frozenset({"found", "establish", "create"}),
    "located": frozenset({"locate", "lie", "stand", "situate"}),
}
#: Letters two words must share from the start to be forms of one another ("found", "founded").
_STEM = 5


def exact_answer(claim: str, analysis: Analysis, item: Evidence, comparison: Comparison) -> Stance | None:
    """Return what the fact in ``item`` says of the claim, or ``None`` where it does not answer it exactly.

    ``comparison`` is that of the claim with ``item.text``, the statement in words.
    """
    if item.kind == "passage" or not (
        item.subject and item.predicate and (item.object or item.value is not None)
    ):
        return None
    told = _told_value(claim, item, comparison)
    if told is None or not _same_statement(claim, analysis, item):
        return None
    negated = comparison.features[_AT["negation_mismatch"]] > 0
    return "SUPPORTS" if told != negated else "REFUTES"


def _told_value(claim: str, item: Evidence, comparison: Comparison) -> bool | None:
    """Return whether the claim states the fact's value, ``None`` when it states none that can be compared."""
    count = {name: comparison.features[_AT[name]] for name in _AT}
    if count["numbers_open"] or count["numbers_missing"] or count["dates_missing"] or count["dates_overlap"]:
        return None
    agree = count["numbers_agree"] + count["dates_inside"]
    conflict = count["numbers_conflict"] + count["dates_disjoint"]
    if agree and conflict:
        return None
    if agree or conflict:
        return bool(agree)
    # Another object is no contradiction: most properties may have several.
    return True if item.object and _places(item.object, claim) else None


def _same_statement(claim: str, analysis: Analysis, item: Evidence) -> bool:
    """Return whether every content word of the claim belongs to the fact's subject, property or value."""
    subject = _places(item.subject or "", claim)
    if not subject:
        return False
    taken = [*subject, *_places(item.object or "", claim)]
    taken += [quantity.span for quantity in analysis.quantities] + [date.span for date in analysis.dates]
    property_words = _property_words(item.predicate or "")
    named = not property_words
    for token in analysis.tokens:
        if any(span.start <= token.span.start < span.end for span in taken) or not token.text[0].isalnum():
            continue
        if any(
            _same_word(token.text.casefold(), word) or _same_word(token.lemma, word)
            for word in property_words
        ):
            named = True
        elif not token.is_stop:
            return False
    return named


def _property_words(predicate: str) -> frozenset[str]:
    words = {word.casefold() for word in _WORD.findall(predicate)} - _EMPTY_WORDS
    said: set[str] = set()
    for word in words:
        said |= _SAID_AS.get(word, frozenset())
    return frozenset(words | said)


def _same_word(left: str, right: str) -> bool:
    return left == right or (len(left) >= _STEM and left[:_STEM] == right[:_STEM])


def _places(name: str, claim: str) -> list[Span]:
    """Return where ``name`` stands in the claim as whole words, ignoring case."""
    if not name.strip():
        return []
    pattern = rf"(?<!\w){re.escape(name.strip().casefold())}(?!\w)"
    return [Span(match.start(), match.end()) for match in re.finditer(pattern, claim.casefold())]
