"""Exact findings in words: as findings of a framework, and as the reason of an opinion.

Called by the empirical framework. Pure.
"""

from __future__ import annotations

from data.analysis import Finding, FindingKind, FindingOutcome, PairFinding
from data.exact.features import weight

_SLUGS: dict[FindingKind, str] = {"quantity": "number", "percentage": "percent", "entity": "name"}
_ENDINGS: dict[FindingOutcome, str] = {
    "agrees": "agreement",
    "entails": "agreement",
    "conflicts": "mismatch",
    "not_comparable": "open",
}


def as_finding(found: PairFinding, evidence_id: str, claim: str, passage: str) -> Finding:
    """Return an exact finding as one of a framework: ``number_mismatch``, ``date_agreement``, ..."""
    kind = f"{_SLUGS.get(found.kind, found.kind)}_{_ENDINGS[found.outcome]}"
    return Finding(
        kind,
        in_words(found, claim, passage),
        weight(found),
        found.claim_span,
        evidence_id,
        found.passage_span,
    )


def in_words(found: PairFinding, claim: str, passage: str) -> str:
    """Return an exact finding as a sentence that quotes both sides."""
    said = " ".join(claim[found.claim_span.start : found.claim_span.end].split())
    have = " ".join(passage[found.passage_span.start : found.passage_span.end].split())
    told = found.detail.rpartition(" — ")[2]
    if found.kind == "negation":
        return f"{told[0].upper()}{told[1:]}: “{said}” in the claim, “{have}” in the passage."
    if found.outcome == "agrees" and said.casefold() == have.casefold():
        return f"The passage says “{have}”, as the claim does."
    return f"The passage says “{have}”, the claim “{said}”: {told}."
