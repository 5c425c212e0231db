"""The claims of a text as the JSON that leaves: plain dicts in a fixed key order. Called by the routes."""

from __future__ import annotations

from typing import Any

from data.analysis import Span
from data.text.extraction import Dependence
from deployments.extraction import Extraction, ScoredClaim


def extraction_answer(extraction: Extraction, threshold: float) -> dict[str, Any]:
    """Return the answer of ``POST /claims/extract``."""
    return {
        "claims": [claim_answer(extraction, item, threshold) for item in extraction.claims],
        "skipped": [{"span": _span(item.span), "reason": item.reason} for item in extraction.skipped],
        "min_check_worthiness": threshold,
    }


def claim_answer(extraction: Extraction, item: ScoredClaim, threshold: float) -> dict[str, Any]:
    """Return one claim of a text; ``text`` is exactly what stands at ``span``."""
    text, claim = extraction.text, item.claim
    said = claim.attribution
    return {
        "text": text[claim.span.start : claim.span.end],
        "span": _span(claim.span),
        "sentence": _span(claim.sentence),
        "paragraph": claim.paragraph,
        "speaker": claim.speaker,
        "attribution": {"text": text[said.start : said.end], "span": _span(said)} if said else None,
        "check_worthiness": item.check_worthiness,
        "check_worthy": item.check_worthiness >= threshold,
        "depends_on_context": [_dependence(text, found) for found in claim.depends_on],
    }


def _dependence(text: str, found: Dependence) -> dict[str, Any]:
    candidate = found.candidate
    return {
        "reason": found.reason,
        "message": found.message,
        "text": text[found.span.start : found.span.end],
        "span": _span(found.span),
        "candidate": {"text": candidate.text, "span": _span(candidate.span)} if candidate else None,
    }


def _span(span: Span) -> dict[str, int]:
    return {"start": span.start, "end": span.end}
