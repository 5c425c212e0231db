"""Whether a typed fact answers a claim exactly: same subject and property, a value, and nothing else said.

Called by the empirical framework for evidence of kind fact or graph. Pure. Careful on purpose: a claim that
says anything beyond the fact gets no exact answer here and is left to the stance model, and a fact about
another property of the same subject is no evidence at all.
"""

from __future__ import annotations

import re

from data.analysis import Analysis, Span, Token
from data.evidence import Evidence, Stance
from data.text.comparison import FEATURE_NAMES, Comparison

_AT = {name: index for index, name in enumerate(FEATURE_NAMES)}
_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_DAY = re.compile(r"\d{3,4}-\d\d-\d\d$")
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
    "located": frozenset({"locate", "lie", "stand", "situate", "in", "on"}),
    "contained": frozenset({"located", "locate", "lie", "stand", "situate", "in", "on"}),
    "author": frozenset({"write", "wrote", "written"}),
    "painter": frozenset({"paint"}),
    "creator": frozenset({"create", "paint", "write", "design", "build", "make", "compose"}),
    "composer": frozenset({"compose", "write"}),
    "headquarters": frozenset({"headquarter", "base", "based", "seat"}),
    "won": frozenset({"win", "receive", "award"}),
}
#: Words that narrow a property without naming it: "8,849 m high" speaks of a maximum height too.
_NARROWING = frozenset(
    {"maximum", "mean", "average", "total", "overall", "number", "date", "place", "record"}
)
#: Properties with one value: another one contradicts.
_ONE_VALUED = frozenset({"capital", "largest city", "largest moon", "highest mountain", "birthplace"})
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
    other = _other_object(claim, analysis, item) if told is None else None
    told = False if other is not None else told
    if told is None or not _same_statement(claim, analysis, item, other):
        return None
    negated = comparison.features[_AT["negation_mismatch"]] > 0
    return "SUPPORTS" if told != negated else "REFUTES"


def says_nothing_of(claim: str, analysis: Analysis, item: Evidence) -> bool:
    """Return whether a fact leaves the claim open, whatever its words have in common with it.

    It does when the claim does not name its property ("speaks Portuguese", beside a nationality) or names no
    value (beside a number or a day), and when the claim says all of the fact and something else besides ("in
    1928", beside who discovered it).
    """
    if item.kind == "passage" or not item.predicate:
        return False
    if not all(_is_told(words, analysis) for words in _property_words(item.predicate)):
        return True
    if not analysis.quantities and not analysis.dates and _has_value(item):
        return True
    denied = any(cue.kind == "negation" for cue in analysis.cues)
    return bool(item.object and not denied and _places(item.object, claim))


def _other_object(claim: str, analysis: Analysis, item: Evidence) -> Span | None:
    """Return the one other name that the claim gives for a property of one value, or ``None``."""
    if (item.predicate or "").casefold() not in _ONE_VALUED or not item.object:
        return None
    told = _places(item.subject or "", claim)
    names = [each.span for each in analysis.entities if not any(_overlap(each.span, span) for span in told)]
    return names[0] if len(names) == 1 and not _places(item.object, claim) else None


def _has_value(item: Evidence) -> bool:
    return item.value is not None or _DAY.match(item.object or "") is not None


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end


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


def _same_statement(claim: str, analysis: Analysis, item: Evidence, other: Span | None) -> bool:
    """Return whether the claim names the property, and nothing beside subject, property and value.

    ``other`` is the value that it gives instead of the fact's.
    """
    subject = _places(item.subject or "", claim)
    if not subject:
        return False
    taken = [*subject, *_places(item.object or "", claim), *([other] if other else [])]
    taken += [quantity.span for quantity in analysis.quantities] + [date.span for date in analysis.dates]
    wanted = _property_words(item.predicate or "")
    if not all(_is_told(words, analysis) for words in wanted):
        return False
    own = frozenset(word.casefold() for word in _WORD.findall(item.predicate or ""))
    for token in analysis.tokens:
        if any(span.start <= token.span.start < span.end for span in taken) or not token.text[0].isalnum():
            continue
        if not token.is_stop and not any(_is_one_of(token, words) for words in [*wanted, own]):
            return False
    return True


def _property_words(predicate: str) -> list[frozenset[str]]:
    """Return, for each word that names the property, the words it may be said with.

    A word that only narrows may go unsaid; where there are no others, it is what names the property.
    """
    words = [word.casefold() for word in _WORD.findall(predicate)]
    naming = [word for word in words if word not in _EMPTY_WORDS]
    telling = [word for word in naming if word not in _NARROWING] or naming
    return [frozenset({word}) | _SAID_AS.get(word, frozenset()) for word in telling]


def _is_told(words: frozenset[str], analysis: Analysis) -> bool:
    return any(_is_one_of(token, words) for token in analysis.tokens)


def _is_one_of(token: Token, words: frozenset[str]) -> bool:
    return any(_same_word(token.text.casefold(), word) or _same_word(token.lemma, word) for word in words)


def _same_word(left: str, right: str) -> bool:
    return left == right or (len(left) >= _STEM and left[:_STEM] == right[:_STEM])


def _places(name: str, claim: str) -> list[Span]:
    """Return where ``name`` stands in the claim as whole words, ignoring case."""
    if not name.strip():
        return []
    pattern = rf"(?<!\w){re.escape(name.strip().casefold())}(?!\w)"
    return [Span(match.start(), match.end()) for match in re.finditer(pattern, claim.casefold())]
