"""Sets the wording of a claim against the best sentence: negation, antonyms, quantifiers, direction, hedging.

Called by ``data.text.comparison``. A word conflict only counts where the two otherwise speak of the same
thing, so findings need a share of common words.
"""

from __future__ import annotations

from data.analysis import Cue, Finding, Span
from data.text.alignment import Alignment
from data.text.antonyms import opposites
from data.text.profile import Profile

#: Share of the claim's content words that the sentence must have before a word conflict is reported.
_MIN_RECALL = 0.4
_MAX_COUNT = 5.0
_REACH = 6
_CLASHES: dict[str, frozenset[str]] = {
    "all": frozenset(("none", "few", "some", "half")),
    "none": frozenset(("all", "some", "most", "many", "both", "often", "sometimes")),
    "most": frozenset(("none", "few")),
    "few": frozenset(("all", "most", "many", "often")),
    "many": frozenset(("none", "few")),
    "both": frozenset(("none",)),
    "first": frozenset(("last",)),
    "last": frozenset(("first",)),
    "often": frozenset(("none", "few")),
    "some": frozenset(("none",)),
}
_OPPOSITE_WAYS = {
    "more": "less",
    "less": "more",
    "before": "after",
    "after": "before",
    "most": "least",
    "least": "most",
}


def compare_wording(
    claim: Profile, passage: Profile, aligned: Alignment, findings: list[Finding]
) -> list[float]:
    """Return the wording features and add findings for negation, antonyms and quantifiers that clash."""
    mine = claim.analysis.cues
    span = aligned.sentence
    theirs = [cue for cue in passage.analysis.cues if span.start <= cue.span.start < span.end]
    reported: list[Finding] = []
    features = [
        *_negation(claim, passage, (mine, theirs), reported),
        _antonyms(claim, passage, aligned, reported),
        *_quantifiers((mine, theirs), reported),
        _direction(mine, theirs),
        min(_MAX_COUNT, sum(1.0 for cue in mine if cue.kind == "hedge")),
        min(_MAX_COUNT, sum(1.0 for cue in theirs if cue.kind == "hedge")),
        float(any(cue.kind == "attribution" for cue in theirs)),
    ]
    if aligned.recall >= _MIN_RECALL:
        findings.extend(reported)
    return features


_Cues = tuple[tuple[Cue, ...], list[Cue]]


def _negation(
    claim: Profile, passage: Profile, cues: _Cues, reported: list[Finding]
) -> tuple[float, float, float]:
    """Return whether each side is negated over what both speak of, and whether they differ."""
    mine = [cue for cue in cues[0] if cue.kind == "negation"]
    theirs = [cue for cue in cues[1] if cue.kind == "negation" and _governs_shared(cue, claim, passage)]
    odd_mine, odd_theirs = len(mine) % 2, len(theirs) % 2
    if odd_mine != odd_theirs:
        mine_span = mine[0].span if mine else None
        their_span = theirs[0].span if theirs else None
        side = "claim" if odd_mine else "passage"
        reported.append(
            Finding("negation_mismatch", f"Only the {side} is negated.", -0.4, mine_span, None, their_span)
        )
    return float(odd_mine), float(odd_theirs), float(odd_mine != odd_theirs)


def _governs_shared(cue: Cue, claim: Profile, passage: Profile) -> bool:
    """Return whether a negation in the passage stands by words that the claim has, too."""
    tokens = passage.analysis.tokens
    first = passage.token_at(cue.span.end)
    near = tokens[max(0, first - 2) : first + _REACH]
    return any(token.lemma in claim.lemma_set for token in near if not token.is_stop)


def _antonyms(claim: Profile, passage: Profile, aligned: Alignment, reported: list[Finding]) -> float:
    """Count claim words whose opposite stands in the best sentence while the word itself does not."""
    table = opposites()
    count = 0
    theirs = aligned.best.lemma_set
    for lemma in claim.lemmas:
        against = table.get(lemma)
        if against is None or lemma in theirs:
            continue
        hits = sorted((against & theirs) - claim.lemma_set)
        if hits:
            count += 1
            message = f"The claim says {lemma!r}, the passage {hits[0]!r}."
            where = _span_in(passage, aligned, hits[0])
            reported.append(Finding("antonym", message, -0.5, claim.spans_of.get(lemma), None, where))
    return min(_MAX_COUNT, float(count))


def _span_in(passage: Profile, aligned: Alignment, lemma: str) -> Span | None:
    tokens = passage.analysis.tokens[aligned.best.first : aligned.best.end]
    return next((token.span for token in tokens if token.lemma == lemma), None)


def _quantifiers(cues: _Cues, reported: list[Finding]) -> tuple[float, float]:
    mine = [cue for cue in cues[0] if cue.kind == "quantifier"]
    theirs = [cue for cue in cues[1] if cue.kind == "quantifier"]
    values = {cue.value for cue in theirs}
    agree = conflict = 0
    for cue in mine:
        if cue.value in values:
            agree += 1
            continue
        clash = next((other for other in theirs if other.value in _CLASHES.get(cue.value, ())), None)
        if clash is not None:
            conflict += 1
            message = f"The claim says {cue.value!r}, the passage {clash.value!r}."
            reported.append(Finding("quantifier_mismatch", message, -0.4, cue.span, None, clash.span))
    return min(_MAX_COUNT, float(agree)), min(_MAX_COUNT, float(conflict))


def _direction(mine: tuple[Cue, ...], theirs: list[Cue]) -> float:
    """Count comparisons of the claim that the sentence makes only the other way round."""
    ways = {cue.value.partition(":")[2] for cue in theirs if cue.kind == "comparison"}
    count = 0
    for cue in mine:
        way = cue.value.partition(":")[2] if cue.kind == "comparison" else ""
        count += bool(way) and way not in ways and _OPPOSITE_WAYS.get(way) in ways
    return min(_MAX_COUNT, float(count))
