"""Bodies of the knowledge API as pydantic models, and the values of ``data`` that they stand for.

Called by the knowledge routes and the OpenAPI document. Strict as ``api.schemas``. A body without an id gets
one from its content, so sending it again changes nothing.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from data.changes import MAX_KEY_CHARS
from data.documents import document_id
from data.fact_checks import MAX_UNIT_CHARS, in_words
from data.knowledge import Document, Fact, Pattern, Source
from deployments.api.schemas import StrictBody

#: Longest text of one document; the largest body the service reads is stated beside it.
MAX_DOCUMENT_CHARS = 1_000_000
MAX_METADATA_KEYS = 64
MAX_CITES = 1_000
#: Longest FTS5 query of a pattern.
MAX_PATTERN_CHARS = 10_000


def _day(text: str) -> str:
    try:
        if date.fromisoformat(text).isoformat() == text:
            return text
    except ValueError:
        pass
    raise ValueError("is not an ISO 8601 day, as 2024-05-31")


ThingId = Annotated[
    str,
    StringConstraints(min_length=1, max_length=MAX_KEY_CHARS, pattern=r"^[^\x00-\x1f\x7f]+$"),
]
Day = Annotated[str, StringConstraints(max_length=10), AfterValidator(_day)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=1_000)]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2_048)]


class DocumentRequest(StrictBody):
    """A text to be evidence; it is split into passages here."""

    id: ThingId | None = None
    text: Annotated[str, Field(min_length=1, max_length=MAX_DOCUMENT_CHARS)]
    title: Annotated[str, StringConstraints(max_length=1_000)] | None = None
    url: Url | None = None
    source: Annotated[ThingId, Field(description="The id of a source.")] | None = None
    published_at: Annotated[Day, Field(description="ISO 8601 day.")] | None = None
    metadata: (
        Annotated[
            dict[
                Annotated[str, StringConstraints(min_length=1, max_length=64)],
                Annotated[str, StringConstraints(max_length=4_000)],
            ],
            Field(max_length=MAX_METADATA_KEYS),
        ]
        | None
    ) = None

    def built(self) -> Document:
        """Return the document."""
        title = self.title or ""
        return Document(
            id=self.id or document_id(self.text, title, self.url),
            text=self.text,
            title=title,
            url=self.url,
            source=self.source,
            published_at=self.published_at,
            metadata=self.metadata or {},
        )


class FactRequest(StrictBody):
    """A typed statement; give ``object``, ``value`` or both."""

    id: ThingId | None = None
    subject: Name
    predicate: Name
    object: Annotated[str, StringConstraints(max_length=4_000)] | None = None
    value: Annotated[float, Field(description="The number, where the object is one.")] | None = None
    unit: (
        Annotated[str, Field(min_length=1, max_length=MAX_UNIT_CHARS, description="The unit of value.")]
        | None
    ) = None
    valid_from: Annotated[Day, Field(description="First day on which it holds.")] | None = None
    valid_to: Annotated[Day, Field(description="Last day on which it holds.")] | None = None
    source: Annotated[ThingId, Field(description="The id of a source.")] | None = None
    confidence: Annotated[float, Field(ge=0.0, le=1.0)] | None = None

    def _object(self) -> str:
        if self.object is not None or self.value is None:
            return self.object or ""
        return in_words(self.value, self.unit)

    def built(self) -> Fact:
        """Return the fact."""
        fact = Fact(
            id="",
            subject=self.subject,
            predicate=self.predicate,
            object=self._object(),
            value=self.value,
            unit=self.unit,
            valid_from=self.valid_from,
            valid_to=self.valid_to,
            source=self.source,
            confidence=1.0 if self.confidence is None else self.confidence,
        )
        return replace(fact, id=self.id or f"fact-{document_id(repr(fact))[4:]}")


class SourceRequest(StrictBody):
    """Who publishes; ``owner`` and ``cites`` are the edges to other sources."""

    id: ThingId | None = None
    name: Name
    kind: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    url: Url | None = None
    owner: Annotated[ThingId, Field(description="The id of the source that controls it.")] | None = None
    cites: Annotated[list[ThingId], Field(max_length=MAX_CITES)] | None = None

    def built(self) -> Source:
        """Return the source."""
        made = self.id or f"source-{document_id(self.name, url=self.url)[4:]}"
        return Source(
            id=made,
            name=self.name,
            kind=self.kind or "unknown",
            url=self.url,
            owner=self.owner,
            cites=tuple(dict.fromkeys(self.cites or ())),
        )


class PatternRequest(StrictBody):
    """A named wording, as an FTS5 query over the words of a claim."""

    id: ThingId | None = None
    family: Annotated[str, StringConstraints(min_length=1, max_length=64)]
    name: Name
    query: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PATTERN_CHARS)]
    message: Annotated[str, StringConstraints(max_length=1_000)] | None = None

    def built(self) -> Pattern:
        """Return the pattern."""
        made = self.id or f"pattern-{document_id(self.query, self.family)[4:]}"
        return Pattern(made, self.family, self.name, self.query, self.message or self.name)


class SparqlRequest(StrictBody):
    """A SPARQL 1.1 query."""

    query: Annotated[str, Field(min_length=1, max_length=100_000)]
