"""What the knowledge has to say about a batch of claims, asked for in two calls.

``look_up`` gathers everything that needs only the text, ``fetch`` the passages and sources behind chosen
ids. In process both run on a ``Knowledge`` directly; on a cluster they run inside the keeper, so a batch
costs two round trips whatever its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from data.claims import TenantId
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Change, Fact, Passage, PastVerdict, PatternHit, Source
from data.ports import HistoryQuery, Hit, Knowledge, Query, WriteReceipt


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
    """Passages by id, a query each, and every source behind any of them, once, sorted by id."""

    passages: list[dict[str, Passage]]
    sources: list[Source]


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

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """Return, a query, the position whose feedback makes the tenant's calibration."""
        ...

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """Return the last word on each claim up to the position asked, in ledger order."""
        ...

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """Return label and note of the last feedback on a verdict, or ``None``."""
        ...


class LocalReader:
    """A :class:`KnowledgeReader` over a ``Knowledge`` in this process."""

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge

    def position(self) -> int:
        """Return the ledger position of the last change of knowledge."""
        return self._knowledge.knowledge_seq()

    def look_up(self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits) -> Found:
        """Return everything that follows from the texts alone."""
        return Found(
            lexical=self._knowledge.search_text(queries, limits.lexical),
            facts=self._knowledge.facts_about(queries, limits.facts),
            statements=self._knowledge.statements_about(queries, limits.statements),
            patterns=self._knowledge.match(queries),
            histories=self._knowledge.past_verdicts(histories),
        )

    def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
        """Return the passages asked for and the sources behind them."""
        passages = self._knowledge.passages([(item.query, item.passage_ids) for item in wanted])
        by_tenant: dict[TenantId, set[str]] = {}
        for item, found in zip(wanted, passages, strict=True):
            ids = by_tenant.setdefault(item.query.tenant, set())
            ids.update(item.source_ids)
            ids.update(passage.source for passage in found.values() if passage.source)
        sources: dict[str, Source] = {}
        for tenant, ids in sorted(by_tenant.items()):
            sources.update((source.id, source) for source in self._knowledge.sources(tenant, sorted(ids)))
        return Fetched(passages, [sources[key] for key in sorted(sources)])

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day."""
        return self._knowledge.seq_at(moment)

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write changes; durable and visible on return."""
        return self._knowledge.append(changes, idempotency_key=idempotency_key)

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
