"""schema.org ClaimReview feeds as documents: what fact-checkers said of claims, as evidence.

Used by imports. A review becomes one document: a sentence that says how the claim was judged, and the
review's own words where it has any. The judgement stands in the metadata (``rating``, ``rating_label``,
``rating_share``), not among the facts: it is what somebody concluded, and a fact whose subject is the whole
claim would repeat it to every reader as if it were so. For the same reason a review whose rating is neither a
known name nor a number, or lies in the middle of its scale, says nothing but its own words, and is set aside
if it has none: to the shipped stance model "X was rated half true" is support of X (0.95 and more), while "It
is false that X" is its refutation (0.8 and more).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal
from urllib.parse import urlsplit

from data.documents import document_id
from data.errors import InvalidValueError
from data.knowledge import Document

RatingLabel = Literal["SUPPORTED", "REFUTED", "MIXED"]

#: Ratings by name, as fact-checkers write them. A name decides before a number: scales differ, words less.
NAMES: dict[str, RatingLabel] = {
    **dict.fromkeys(
        (
            "true", "mostly true", "correct", "accurate", "mostly accurate", "verified", "supported",
            "confirmed",
        ),
        "SUPPORTED",
    ),
    **dict.fromkeys(
        (
            "false", "mostly false", "pants on fire", "pants on fire!", "incorrect", "inaccurate", "fake",
            "mostly inaccurate", "refuted", "debunked", "not true", "untrue", "fabricated", "hoax", "wrong",
            "four pinocchios", "fiction",
        ),
        "REFUTED",
    ),
    **dict.fromkeys(
        (
            "half true", "mixture", "mixed", "partly true", "partly false", "partially true",
            "partially false", "misleading", "unproven", "missing context", "unverified",
        ),
        "MIXED",
    ),
}  # fmt: skip
#: Shares of the scale up to which a rating refutes and from which it supports: 1, 2 and 4, 5 of 1 to 5.
REFUTES_TO, SUPPORTS_FROM = 0.25, 0.75
#: schema.org's scale where a rating names none.
_WORST, _BEST = 1.0, 5.0
#: First words that lose their capital inside a sentence.
_LOWERED = frozenset(
    {"a", "an", "the", "there", "this", "that", "these", "those", "it", "he", "she", "they", "we", "in", "on",
     "at", "of", "after", "before", "all", "more", "most", "no", "some"}
)  # fmt: skip


def reviews_in(value: Any) -> Iterator[Any]:
    """Yield the items of a feed: a review, a list, ``@graph``, ``DataFeed`` or ``ItemList`` of them."""
    if isinstance(value, list):
        for item in value:
            yield from reviews_in(item)
        return
    if isinstance(value, Mapping):
        for name in ("@graph", "dataFeedElement", "itemListElement", "item"):
            if isinstance(value.get(name), list | Mapping):
                yield from reviews_in(value[name])
                return
    yield value


def read_review(row: Mapping[str, Any]) -> Document:
    """Return the document of one ClaimReview.

    Raises:
        InvalidValueError: no claim, or neither a rating that can be read nor words of its own.
    """
    claim = _text(row.get("claimReviewed")) or _text(_part(row, "itemReviewed").get("text"))
    if not any(char.isalnum() for char in claim):
        raise InvalidValueError("The review has no claimReviewed.")
    label, share = rating_of(_part(row, "reviewRating"))
    author = _part(row, "author")
    reviewer = _text(author.get("name")) or _host(author.get("url")) or _host(row.get("url"))
    said = _sentence(claim, label, reviewer or "the review", _day(row.get("datePublished")))
    body = _text(row.get("reviewBody"))
    text = "\n\n".join(part for part in (said, body) if part)
    if not text:
        raise InvalidValueError(
            "The rating is neither a number on its scale nor a known name, or is in the middle, and the "
            "review has no reviewBody: as evidence it would only repeat the claim."
        )
    url = _text(row.get("url")) or None
    return Document(
        id=_text(row.get("@id")) or f"claimreview-{document_id(claim, reviewer, url)[4:]}",
        text=text,
        title=f"Fact check by {reviewer}" if reviewer else "Fact check",
        url=url,
        source=_host(author.get("url")) or _host(url) or None,
        published_at=_day(row.get("datePublished")),
        metadata=_metadata(row, claim, label, share, reviewer),
    )


def rating_of(rating: Mapping[str, Any]) -> tuple[RatingLabel | None, float | None]:
    """Return how a rating judges, by its name or else its number, and its share of the scale (0 to 1)."""
    share = _share(rating)
    name = _text(rating.get("alternateName") or rating.get("name")).lower().strip(" .\"'“”")
    if name in NAMES:
        return NAMES[name], share
    if share is None:
        return None, None
    if share <= REFUTES_TO:
        return "REFUTED", share
    return ("SUPPORTED" if share >= SUPPORTS_FROM else "MIXED"), share


def _share(rating: Mapping[str, Any]) -> float | None:
    value = _number(rating.get("ratingValue"))
    worst, best = _number(rating.get("worstRating")), _number(rating.get("bestRating"))
    low, high = _WORST if worst is None else worst, _BEST if best is None else best
    if value is None or not low < high or not low <= value <= high:
        return None
    return round((value - low) / (high - low), 6)


def _sentence(claim: str, label: RatingLabel | None, reviewer: str, day: str | None) -> str:
    if label in (None, "MIXED") or claim.rstrip("\"'”").endswith("?"):
        return ""
    # One sentence: what follows a full stop inside would stand there unjudged.
    told = re.sub(r"[.!?…]+(\s+)", r";\1", claim).rstrip(".!;… ")
    first, _, rest = told.partition(" ")
    if first.lower() in _LOWERED:
        told = f"{first.lower()} {rest}".strip()
    when = f" ({day})" if day else ""
    return f"It is {'true' if label == 'SUPPORTED' else 'false'} that {told}, according to {reviewer}{when}."


def _metadata(
    row: Mapping[str, Any], claim: str, label: str | None, share: float | None, reviewer: str
) -> dict[str, str]:
    rating, item = _part(row, "reviewRating"), _part(row, "itemReviewed")
    told = {
        "kind": "claimreview",
        "claim": claim,
        "rating": _text(rating.get("alternateName") or rating.get("name")),
        "rating_value": _text(rating.get("ratingValue")),
        "rating_share": "" if share is None else f"{share:g}",
        "rating_label": label or "",
        "reviewer": reviewer,
        "claim_author": _text(_part(item, "author").get("name")),
        "claim_date": _day(item.get("datePublished")) or "",
    }
    return {name: value for name, value in told.items() if value}


def _part(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside a row (the first of a list; a plain word becomes its name)."""
    value = row.get(name)
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, str):
        return {"name": value}
    return value if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join(str(value).split())


def _number(value: Any) -> float | None:
    text = _text(value).replace(",", ".")
    return float(text) if re.fullmatch(r"-?\d{1,9}(?:\.\d{1,9})?", text) else None


def _day(value: Any) -> str | None:
    try:
        return date.fromisoformat(_text(value)[:10]).isoformat()
    except ValueError:
        return None


def _host(url: Any) -> str:
    try:
        return (urlsplit(_text(url)).hostname or "").removeprefix("www.")
    except ValueError:
        return ""
