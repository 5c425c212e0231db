"""The shapes of the knowledge API's answers: what OpenAPI shows. Answers are built in the routes."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict


class PassageAnswer(TypedDict):
    """A stretch of a document: ``text == document.text[start:end]``, counted in code points."""

    id: str
    start: int
    end: int
    text: str


class DocumentAnswer(TypedDict):
    """A document with its passages; in lists without ``text`` and ``passages``, with its length."""

    id: str
    title: str
    url: str | None
    source: str | None
    published_at: str | None
    metadata: dict[str, str]
    shared: bool
    characters: int
    text: NotRequired[str]
    sha256: NotRequired[str]
    passages: NotRequired[list[PassageAnswer]]


class FactAnswer(TypedDict):
    """A typed statement; ``valid_from`` and ``valid_to`` are inclusive days, null: unbounded."""

    id: str
    subject: str
    predicate: str
    object: str
    value: float | None
    unit: str | None
    valid_from: str | None
    valid_to: str | None
    source: str | None
    confidence: float
    shared: bool


class SourceAnswer(TypedDict):
    """Who publishes, and the edges of ownership and citation to other sources."""

    id: str
    name: str
    kind: str
    url: str | None
    owner: str | None
    cites: list[str]
    shared: bool


class PatternAnswer(TypedDict):
    """A named wording."""

    id: str
    family: str
    name: str
    query: str
    message: str
    shared: bool


class GraphLoadAnswer(TypedDict):
    """Statements that were loaded together, by their key, and the position that holds them."""

    key: str
    added_seq: int
    shared: bool


class GraphWrittenAnswer(TypedDict):
    """What a load of statements did."""

    key: str
    statements: int
    knowledge_seq: int


class RemovedAnswer(TypedDict):
    """What was removed."""

    message: str
    knowledge_seq: int


class RowErrorAnswer(TypedDict):
    """A row that was not taken (counted from 1) and why."""

    row: int
    reason: str


class ImportAnswer(TypedDict):
    """What an import did; ``errors`` has the first of the rows rejected."""

    kind: Literal["documents", "facts", "sources", "claimreviews", "graph"]
    rows: int
    imported: int
    rejected: int
    errors: list[RowErrorAnswer]
    knowledge_seq: int


class PastVerdictAnswer(TypedDict):
    """One verdict in the history."""

    id: str
    claim: str
    label: str
    probability: float
    seq: int
    decided_at: str
    feedback_label: str | None


class BundlesAnswer(TypedDict):
    """Which models and settings: those recorded with the verdict, and those of now."""

    recorded: str
    present: str


class ReplayAnswer(TypedDict):
    """Whether a verdict, derived again from the knowledge of then, has the same bytes; if not, why."""

    verdict_id: str
    same: bool
    reason: str | None
    knowledge_seq: int
    model_bundle: BundlesAnswer
    sha256: dict[str, str | None]
    differences: list[str]
    derived: dict[str, Any] | None
