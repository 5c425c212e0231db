"""What is known: sources, documents, passages, facts, patterns, and past verdicts. Plain values."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from data.claims import DEFAULT_TENANT, TenantId


@dataclass(frozen=True, slots=True)
class Source:
    """Who published something. ``owner`` is the id of the body that controls it; ``cites`` are source ids."""

    id: str
    name: str
    kind: str = "unknown"
    url: str | None = None
    owner: str | None = None
    cites: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A text as it was imported. ``published_at`` is an ISO day."""

    id: str
    text: str
    title: str = ""
    url: str | None = None
    source: str | None = None
    published_at: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document small enough to be evidence; offsets are into the document's text."""

    id: str
    document_id: str
    text: str
    start: int
    end: int
    title: str = ""
    url: str | None = None
    source: str | None = None
    published_at: str | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A typed statement: subject, predicate, object, with a number and unit where it has one.

    ``valid_from``/``valid_to`` are inclusive ISO days (``None``: unbounded); ``confidence`` is in [0, 1].
    """

    id: str
    subject: str
    predicate: str
    object: str
    value: float | None = None
    unit: str | None = None
    valid_from: str | None = None
    valid_to: str | None = None
    source: str | None = None
    confidence: float = 1.0


@dataclass(frozen=True, slots=True)
class Pattern:
    """A named wording (fallacy, hedge, loaded language, rule) as an FTS5 query; ``family`` groups them."""

    id: str
    family: str
    name: str
    query: str
    message: str


@dataclass(frozen=True, slots=True)
class PatternHit:
    """A pattern that matched a claim."""

    pattern_id: str
    family: str
    name: str
    message: str


@dataclass(frozen=True, slots=True)
class PastVerdict:
    """An earlier verdict of the same or a near-identical claim.

    ``similarity`` is the cosine of the two claims.
    """

    id: str
    claim: str
    label: str
    probability: float
    seq: int
    decided_at: str
    similarity: float = 1.0
    feedback_label: str | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """One change to be written to the ledger; ``payload`` is canonical JSON."""

    kind: str
    key: str
    payload: bytes
    tenant: TenantId = DEFAULT_TENANT
    actor: str = "system"


def text_sha256(text: str) -> str:
    """Return the hex SHA-256 of ``text`` in UTF-8: how a span is cited."""
    return hashlib.sha256(text.encode()).hexdigest()
