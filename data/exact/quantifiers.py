"""Sets the quantifiers of a claim against those of a passage: all, most, some, few, none, only, first, last.

Called by ``data.exact.comparison``. Two quantifiers meet when they are said of the same word; a quantifier
and a percentage do, too ("most voters" against "43 % of the voters").
"""

from __future__ import annotations

from data.analysis import Cue, FindingOutcome, PairFinding, Span
from data.exact.frame import Frame
from data.exact.side import Side
from data.exact.values import Value, relation
from data.exact.word_keys import key_of

#: Least share of the claim's words in the sentence of the other quantifier.
_MIN_FRAME = 0.5
_BREAKS = frozenset((",", ";", ":", "(", ")", "."))
#: Words between a quantifier and what it is said of, at most.
_REACH = 4
#: "last year" tells when, not which.
_PERIODS = frozenset(("year", "month", "week", "night", "decad", "centu", "summe", "winte"))
#: Share of the claim's words from which a sentence that names more than one thing denies "only".
_ONLY_FRAME = 0.5
_ONLY = frozenset(("only", "solely", "exclusively", "sole", "alone", "merely"))
#: Quantifiers that cannot both be true of one thing.
_CLASHES: dict[str, frozenset[str]] = {
    "all": frozenset(("none", "few", "some", "half", "most", "sometimes", "often")),
    "none": frozenset(("all", "some", "most", "many", "both", "few", "half", "often", "sometimes")),
    "most": frozenset(("none", "few")),
    "few": frozenset(("all", "most", "many", "none", "often")),
    "many": frozenset(("none", "few")),
    "both": frozenset(("none",)),
    "some": frozenset(("none",)),
    "half": frozenset(("none", "all")),
    "first": frozenset(("last",)),
    "last": frozenset(("first",)),
    "often": frozenset(("none", "few")),
    "sometimes": frozenset(("none",)),
}
#: Quantifiers that are true of whatever the ones on the right are true of.
_FOLLOWS: dict[str, frozenset[str]] = {
    "some": frozenset(("all", "most", "many", "few", "both", "half")),
    "many": frozenset(("all", "most")),
    "most": frozenset(("all",)),
    "sometimes": frozenset(("often", "all")),
}
#: Percentages that a quantifier leaves possible: low, high, whether low itself is.
_SHARES: dict[str, tuple[float, float, bool]] = {
    "all": (100.0, 100.0, True),
    "most": (50.0, 100.0, False),
    "none": (0.0, 0.0, True),
}
#: Beside one of these, "only" is not true.
_MORE = frozenset(("also", "additionally", "besides", "other", "others", "both", "various", "several"))
_IN_WORDS: dict[FindingOutcome, str] = {
    "agrees": "the same",
    "entails": "this is more than that",
    "conflicts": "both cannot be true",
    "not_comparable": "this leaves it open",
}


def compare_quantifiers(frame: Frame) -> list[PairFinding]:
    """Return at most one finding for each quantifier of the claim, and for shares said as quantifiers."""
    theirs = [(cue, _head(frame.passage, cue)) for cue in _quantifiers(frame.passage)]
    found = []
    for cue in _quantifiers(frame.claim):
        head = _head(frame.claim, cue)
        made = _beside_quantifier(frame, cue, head, theirs) or _beside_share(frame, cue, head)
        if made is None and cue.value == "only" and not frame.claim.values:
            made = _beside_more(frame, cue)
        if made is not None:
            found.append(made)
    return found + _shares(frame, theirs)


def _quantifiers(side: Side) -> list[Cue]:
    """Return the quantifiers of a text, and "first" where the analysis has it as a rank."""
    firsts = [
        Cue("quantifier", "first", value.span)
        for value in side.values
        if value.dimension == "ordinal" and value.is_point and value.low == 1.0
    ]
    return [*(cue for cue in side.analysis.cues if _is_quantifier(side, cue)), *firsts]


def _is_quantifier(side: Side, cue: Cue) -> bool:
    """Return whether a cue quantifies, and does not only name the whole of a share ("45 % of all films")."""
    first, _ = side.places(cue.span)
    whole = first > 0 and cue.value == "all" and side.analysis.tokens[first - 1].text.lower() == "of"
    past = cue.value == "last" and _next_key(side, cue.span) in _PERIODS
    return cue.kind == "quantifier" and not whole and not past


def _head(side: Side, cue: Cue) -> str:
    """Return the key of the first content word behind a quantifier, in its phrase, or ""."""
    return _next_key(side, cue.span)


def _next_key(side: Side, span: Span) -> str:
    tokens = side.analysis.tokens
    start = side.places(span)[1]
    for place in range(start, min(start + _REACH, len(tokens))):
        if tokens[place].text in _BREAKS:
            return ""
        if side.keys[place]:
            return side.keys[place]
    return ""


def _beside_quantifier(
    frame: Frame, cue: Cue, head: str, theirs: list[tuple[Cue, str]]
) -> PairFinding | None:
    for other, what in theirs:
        ranks = cue.value == other.value == "first"
        if head and what == head and not ranks and frame.share_at(other.span.start) >= _MIN_FRAME:
            outcome = _outcome(cue.value, other.value)
            return frame.finding(("quantifier", outcome), (cue.span, other.span), _IN_WORDS[outcome])
    return None


def _outcome(mine: str, theirs: str) -> FindingOutcome:
    if mine == theirs:
        return "agrees"
    if theirs in _FOLLOWS.get(mine, ()):
        return "entails"
    return "conflicts" if theirs in _CLASHES.get(mine, ()) else "not_comparable"


def _beside_share(frame: Frame, cue: Cue, head: str) -> PairFinding | None:
    """Set a quantifier of the claim against a percentage of the same thing in the passage."""
    stated = _as_value(cue)
    if stated is None or not head:
        return None
    for value in frame.passage.values:
        counted = _counted(frame.passage, value)
        if counted == head and frame.share_at(value.span.start) >= _MIN_FRAME:
            outcome = relation(stated, value)
            return frame.finding(("quantifier", outcome), (cue.span, value.span), _IN_WORDS[outcome])
    return None


def _shares(frame: Frame, theirs: list[tuple[Cue, str]]) -> list[PairFinding]:
    """Set percentages of the claim against quantifiers of the same thing in the passage."""
    found = []
    for value in frame.claim.values:
        counted = _counted(frame.claim, value)
        if not counted:
            continue
        for cue, head in theirs:
            stated = _as_value(cue)
            if stated is None or head != counted or frame.share_at(cue.span.start) < _MIN_FRAME:
                continue
            outcome = relation(value, stated)
            found.append(frame.finding(("quantifier", outcome), (value.span, cue.span), _IN_WORDS[outcome]))
            break
    return found


def _counted(side: Side, value: Value) -> str:
    """Return the key of what a percentage is a share of, or ""."""
    if value.dimension != "percent":
        return ""
    return key_of(value.noun) if value.noun else _next_key(side, value.span)


def _as_value(cue: Cue) -> Value | None:
    share = _SHARES.get(cue.value)
    if share is None:
        return None
    low, high, low_in = share
    return Value(low, high, cue.span, "percent", unit="%", low_in=low_in)


def _beside_more(frame: Frame, cue: Cue) -> PairFinding | None:
    """Return a conflict where the claim says "only" and the passage's sentence goes on to name more."""
    if not frame.shares or frame.shares[frame.best] < _ONLY_FRAME:
        return None
    first, end = frame.passage.sentence_places[frame.best]
    tokens = frame.passage.analysis.tokens[first:end]
    if any(token.text.lower() in _ONLY for token in tokens):
        return None
    more = next((token.span for token in tokens if token.text.lower() in _MORE), None)
    return (
        frame.finding(("quantifier", "conflicts"), (cue.span, more), "there is more than the one")
        if more is not None
        else None
    )
