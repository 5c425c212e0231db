"""A recorded verdict as schema.org ClaimReview (JSON-LD) whose author is this software. Pure.

Called by the verdict routes. A rating from 1 (false) to 5 (true) stands only where a label was given; a
withheld verdict, or one without enough evidence, has none. Source: schema.org/ClaimReview, and the scale that
search engines' documentation of it uses.
"""

from __future__ import annotations

from typing import Any

from data.claims import Claim
from data.evidence import Evidence
from data.verdicts import Verdict

#: Rating of each label on the scale 1 to 5; a label that is not listed is not rated.
RATINGS = {"SUPPORTED": 5, "CONFLICTING": 3, "REFUTED": 1}
NAMES = {
    "SUPPORTED": "Supported",
    "REFUTED": "Refuted",
    "CONFLICTING": "Conflicting evidence",
    "NOT_ENOUGH_INFO": "Not enough evidence",
}
CLAIM_REVIEW_TYPE = "application/ld+json"


def claim_review(verdict: Verdict, *, decided_at: str, version: str) -> dict[str, Any]:
    """Return the review of a verdict recorded at ``decided_at``."""
    return {
        "@context": "https://schema.org",
        "@type": "ClaimReview",
        "@id": f"urn:brahminy-kite:verdict:{verdict.id}",
        "identifier": verdict.id,
        "datePublished": decided_at,
        "claimReviewed": verdict.claim.text,
        "reviewRating": _rating(verdict),
        "reviewBody": verdict.abstained or verdict.justification,
        "author": {
            "@type": "SoftwareApplication",
            "name": "Brahminy Kite",
            "softwareVersion": version,
            "applicationCategory": "Automated claim verification",
        },
        "itemReviewed": _claim(verdict.claim),
        "citation": [_citation(item) for item in verdict.evidence if item.id in verdict.stances],
    }


def _rating(verdict: Verdict) -> dict[str, Any]:
    explained = f"Probability {verdict.confidence:.2f} of the label {verdict.label}."
    rating: dict[str, Any] = {"@type": "Rating", "worstRating": 1, "bestRating": 5}
    value = RATINGS.get(verdict.label)
    if verdict.abstained is not None or value is None:
        name = NAMES["NOT_ENOUGH_INFO"] if verdict.abstained is None else "Not rated"
        return {**rating, "alternateName": name, "ratingExplanation": verdict.abstained or explained}
    return {
        **rating,
        "ratingValue": value,
        "alternateName": NAMES[verdict.label],
        "ratingExplanation": explained,
    }


def _claim(claim: Claim) -> dict[str, Any]:
    context = claim.context
    told: dict[str, Any] = {"@type": "Claim", "text": claim.text}
    if context.speaker:
        told["author"] = {"@type": "Person", "name": context.speaker}
    if context.date:
        told["datePublished"] = context.date
    if context.source_url:
        told["appearance"] = {"@type": "CreativeWork", "url": context.source_url}
    return told


def _citation(item: Evidence) -> dict[str, Any]:
    told: dict[str, Any] = {"@type": "CreativeWork", "name": item.title, "text": item.text}
    if item.url:
        told["url"] = item.url
    if item.published_at:
        told["datePublished"] = item.published_at
    return told
