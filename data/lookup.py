"""What the knowledge has to say about a batch of claims, asked for in two calls.

``look_up`` gathers everything that needs only the text, ``fetch`` the passages and sources behind chosen
ids. In process both run on a ``Knowledge`` directly; on a cluster they run inside the keeper, so a batch
costs two round trips whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from data.access.records import AccessChanges
from data.catalogue import CatalogueQuery, CatalogueRow, Condition, KeptVerdict
from data.claims import TenantId
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.gate import Gate
from data.knowledge import Change, Fact, Passage, PastVerdict, PatternHit, Source
from data.ports import HistoryQuery, Hit, Knowledge, Query, WriteReceipt
from data.tracing import database, span
from data.views.sparql import SparqlAnswer

#: What the views are to a trace.
_LEXICAL = database("sqlite", "select")
_FACTS, _GRAPH = database("duckdb", "select"), database("oxigraph", "query")


@dataclass(frozen=True, slots=True)
class Limits:
    """How many of each kind to return a claim."""

    lexical: int
    facts: int
    statements: int


@dataclass(frozen=True, slots=True)
class Found:
    """What was found for each query, in order."""

    lexical: list[list[Hit]]
    facts: list[list[Fact]]
    statements: list[list[Fact]]
    patterns: list[list[PatternHit]]
    histories: list[list[PastVerdict]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Ids of passages to fetch for one query, and of sources already known to matter (those of facts)."""

    query: Query
    passage_ids: list[str]
    source_ids: list[str]


@dataclass(frozen=True, slots=True)
class Fetched:
    """Passages by id, a query each, and every source behind any of them, once, sorted by id.

    Queries of several tenants or positions see different sources under one id: then ``source_sets`` holds
    each set, ``source_set_of`` the number of each query's, and ``sources`` nothing.
    """

    passages: list[dict[str, Passage]]
    sources: list[Source]
    source_sets: list[list[Source]] = field(default_factory=list)
    source_set_of: list[int] = field(default_factory=list)


class KnowledgeReader(Protocol):
    """The keeper as the verification path sees it."""

    def position(self) -> int:
        """Return the ledger position of the last change of knowledge."""
        ...

    def look_up(self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits) -> Found:
        """Return everything that follows from the texts alone."""
        ...

    def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
        """Return the passages asked for and the sources behind them."""
        ...

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day."""
        ...

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write changes; durable and visible on return."""
        ...

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON), or ``None``."""
        ...

    def append_if(
        self, condition: Condition, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes as ``append`` does if the condition holds then; else write nothing: ``None``."""
        ...

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return one thing, or a page of things sorted by id."""
        ...

    def sparql(self, tenant: TenantId, query: str) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now."""
        ...

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first."""
        ...

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> KeptVerdict | None:
        """Return a verdict with the question behind it, or ``None``."""
        ...

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """Return, a query, the position whose feedback makes the tenant's calibration."""
        ...

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """Return the last word on each claim up to the position asked, in ledger order."""
        ...

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """Return label and note of the last feedback on a verdict, or ``None``."""
        ...

    def access_changes(self, after_seq: int) -> AccessChanges:
        """Return the keys and tenants written after a position; ``seq`` is the last of all, 0 for none."""
        ...

    def append_access(
        self, expected_seq: int, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes of keys and tenants if the last of them stands at a position; else nothing: ``None``.

        A repetition with the same key answers the first receipt, wherever the last one stands now.
        """
        ...


class CataloguedKnowledge(Knowledge, Protocol):
    """Everything the keeper answers, the calls of the knowledge API among it."""

    def is_written(self, tenant: TenantId, idempotency_key: str | None) -> bool:
        """Return whether a write with this key is in the ledger."""
        ...

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return one thing, or a page of things sorted by id."""
        ...

    def sparql(self, tenant: TenantId, query: str) -> SparqlAnswer:
        """Answer a read-only SPARQL query."""
        ...

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first."""
        ...

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> KeptVerdict | None:
        """Return a verdict with the question behind it, or ``None``."""
        ...

    def access_changes(self, after_seq: int) -> AccessChanges:
        """Return the keys and tenants written after a position."""
        ...


class LocalReader:
    """A :class:`KnowledgeReader` over a ``Knowledge`` in this process.

    Conditions hold against every other write that comes through this reader.
    """

    def __init__(self, knowledge: CataloguedKnowledge) -> None:
        self._knowledge = knowledge
        self._gate = Gate()

    def position(self) -> int:
        """Return the ledger position of the last change of knowledge."""
        return self._knowledge.knowledge_seq()

    def look_up(self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits) -> Found:
        """Return everything that follows from the texts alone."""
        knowledge = self._knowledge
        with span("lexical search", _LEXICAL):
            lexical = knowledge.search_text(queries, limits.lexical)
        with span("facts", _FACTS):
            facts = knowledge.facts_about(queries, limits.facts)
        with span("graph", _GRAPH):
            statements = knowledge.statements_about(queries, limits.statements)
        with span("patterns", _LEXICAL):
            patterns = knowledge.match(queries)
        with span("history", _LEXICAL):
            past = knowledge.past_verdicts(histories)
        return Found(lexical, facts, statements, patterns, past)

    def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
        """Return the passages asked for and the sources behind them."""
        with span("passages", _LEXICAL):
            passages = self._knowledge.passages([(item.query, item.passage_ids) for item in wanted])
        seen_by: dict[tuple[TenantId, int], set[str]] = {}
        for item, found in zip(wanted, passages, strict=True):
            ids = seen_by.setdefault((item.query.tenant, item.query.as_of), set())
            ids.update(item.source_ids)
            ids.update(passage.source for passage in found.values() if passage.source)
        views = sorted(seen_by)
        with span("sources", _LEXICAL):
            sets = [
                self._knowledge.sources(tenant, sorted(seen_by[tenant, as_of]), as_of=as_of)
                for tenant, as_of in views
            ]
        if len(sets) < 2:
            return Fetched(passages, sets[0] if sets else [])
        numbers = {view: number for number, view in enumerate(views)}
        set_of = [numbers[item.query.tenant, item.query.as_of] for item in wanted]
        return Fetched(passages, [], sets, set_of)

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day."""
        return self._knowledge.seq_at(moment)

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write changes; durable and visible on return."""
        with self._gate.reading():
            return self._knowledge.append(changes, idempotency_key=idempotency_key)

    def append_if(
        self, condition: Condition, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes as ``append`` does if the condition holds then; else write nothing: ``None``."""
        with self._gate.writing():
            # A retry of what was written is answered as it was, though its condition holds no longer.
            known = self._knowledge.is_written(condition.tenant, idempotency_key)
            if not known and not self._holds(condition):
                return None
            return self._knowledge.append(changes, idempotency_key=idempotency_key)

    def access_changes(self, after_seq: int) -> AccessChanges:
        """Return the keys and tenants written after a position; ``seq`` is the last of all, 0 for none."""
        return self._knowledge.access_changes(after_seq)

    def append_access(
        self, expected_seq: int, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes of keys and tenants if the last of them stands at a position; else nothing."""
        with self._gate.writing():
            known = bool(changes) and self._knowledge.is_written(changes[0].tenant, idempotency_key)
            if not known and self._knowledge.access_changes(expected_seq).seq != expected_seq:
                return None
            return self._knowledge.append(changes, idempotency_key=idempotency_key)

    def _holds(self, condition: Condition) -> bool:
        asked = CatalogueQuery(condition.kind, condition.tenant, condition.id, own=True)
        return any(not condition.tags or row.tag in condition.tags for row in self._knowledge.listed(asked))

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return one thing, or a page of things sorted by id."""
        return self._knowledge.listed(query)

    def sparql(self, tenant: TenantId, query: str) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now."""
        return self._knowledge.sparql(tenant, query)

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first."""
        return self._knowledge.verdicts(tenant, before_seq=before_seq, limit=limit)

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> KeptVerdict | None:
        """Return a verdict with the question behind it, or ``None``."""
        return self._knowledge.kept_verdict(tenant, verdict_id)

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON), or ``None``."""
        return self._knowledge.verdict(tenant, verdict_id)

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """Return, a query, the position whose feedback makes the tenant's calibration."""
        return self._knowledge.calibration_marks(queries)

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """Return the last word on each claim up to the position asked, in ledger order."""
        return self._knowledge.feedback_samples(query)

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """Return label and note of the last feedback on a verdict, or ``None``."""
        return self._knowledge.last_feedback(tenant, verdict_id)
