"""The seams: what frameworks, retrieval and the API ask for, whoever provides it.

In-process implementations live under ``data``; ``cluster.remote`` offers the same ports over actor handles.
All are batch first: sequences in, sequences of the same length and order out. All are safe to call from
several threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from data.analysis import Analysis
from data.claims import TenantId
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Change, Fact, Passage, PastVerdict, PatternHit, Source
from data.limits.gcra import Charge, Decision


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: a passage id and its score, higher is better."""

    id: str
    score: float


@dataclass(frozen=True, slots=True)
class Query:
    """One question to the knowledge: whose, about what text, and as of which ledger position.

    ``as_of`` is inclusive: rows added at or before it and not removed by then are visible.
    """

    tenant: TenantId
    text: str
    as_of: int


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """Asks for earlier verdicts of a claim, by fingerprint, decided before ledger position ``as_of``."""

    tenant: TenantId
    fingerprint: str
    as_of: int


@dataclass(frozen=True, slots=True)
class WriteReceipt:
    """Where a write stands: ledger positions of its rows, and whether it had been written before."""

    first_seq: int
    last_seq: int
    replayed: bool = False


class Clock(Protocol):
    """Tells the time; tests inject their own."""

    def now_s(self) -> float:
        """Return seconds since the epoch, UTC."""
        ...


class TextAnalyser(Protocol):
    """Takes texts apart."""

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        """Return one analysis a text."""
        ...


class Embedder(Protocol):
    """Turns texts into unit vectors. The same text gives the same bytes whatever its batch."""

    @property
    def dim(self) -> int:
        """Length of a vector."""
        ...

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32, each row of length 1."""
        ...


class StanceModel(Protocol):
    """Says what a passage makes of a claim."""

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, 3) float32 probabilities, columns as ``STANCES``, for (claim, passage) pairs."""
        ...


class Scorer(Protocol):
    """Runs the small boosted models by name."""

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, classes) float32 for feature rows (n, features).

        Raises:
            ModelUnavailableError: no model of that name is loaded.
        """
        ...

    def bundle(self) -> str:
        """Return the hex identity of all models loaded (embedder included): part of every verdict's id."""
        ...


class LexicalIndex(Protocol):
    """BM25 over passages."""

    def search_text(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        """Return at most ``k`` hits a query, best first, ties by id."""
        ...


class VectorIndex(Protocol):
    """Dense search over passages (inner product of unit vectors)."""

    def search_vectors(
        self, tenants: Sequence[TenantId], vectors: NDArray[np.float32], k: int, *, as_of: Sequence[int]
    ) -> list[list[Hit]]:
        """Return at most ``k`` hits a row of ``vectors`` (n, dim), best first, ties by id.

        Row i sees what tenant i (and the shared tenant) had at ledger position ``as_of[i]``.
        """
        ...

    def ping(self) -> None:
        """Raise ``IndexUnavailableError`` when the index does not answer."""
        ...


class PassageStore(Protocol):
    """Passages and sources by id, as of a ledger position."""

    def passages(self, wanted: Sequence[tuple[Query, Sequence[str]]]) -> list[dict[str, Passage]]:
        """Return, a query, those of the wanted ids that its tenant (or the shared one) has at ``as_of``."""
        ...

    def sources(self, tenant: TenantId, ids: Sequence[str], *, as_of: int | None = None) -> list[Source]:
        """Return these sources and all they lead to by ownership or citation, each once, sorted by id.

        As they were at position ``as_of``, or are now.
        """
        ...


class FactStore(Protocol):
    """Typed facts and graph statements about the things a text names."""

    def facts_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """Return facts whose subject is named in the text, best match first, ties by id."""
        ...

    def statements_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """Return graph statements, in the shape of facts, whose subject's label is named in the text."""
        ...


class PatternStore(Protocol):
    """Named wordings."""

    def match(self, queries: Sequence[Query]) -> list[list[PatternHit]]:
        """Return the patterns that occur in each text, sorted by pattern id."""
        ...


class HistoryStore(Protocol):
    """Earlier verdicts."""

    def past_verdicts(self, queries: Sequence[HistoryQuery]) -> list[list[PastVerdict]]:
        """Return verdicts on the same claim written before ``as_of``, oldest first."""
        ...


class FeedbackStore(Protocol):
    """What people said of verdicts, as calibration reads it."""

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """Return, a query, the position whose feedback makes the tenant's calibration."""
        ...

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """Return the last word on each claim up to the position asked, in ledger order."""
        ...

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """Return label and note of the last feedback on a verdict, or ``None``."""
        ...


class KnowledgeLog(Protocol):
    """The ledger, as its writers and readers see it."""

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write all or nothing; returns when durable and visible in every view.

        Raises:
            StoreUnavailableError: nothing was written, or the outcome is unknown and a retry with the same
            key is safe.
        """
        ...

    def knowledge_seq(self) -> int:
        """Return the position of the last change of knowledge; verdicts and feedback are none."""
        ...

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day (its end, UTC)."""
        ...

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON), or ``None``."""
        ...


class Knowledge(
    LexicalIndex,
    PassageStore,
    FactStore,
    PatternStore,
    HistoryStore,
    FeedbackStore,
    KnowledgeLog,
    Protocol,
):
    """Everything the keeper answers."""


class KeyValueStore(Protocol):
    """Small shared state: caches, sessions, rate windows. Never the only copy of knowledge."""

    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None`` when absent or expired."""
        ...

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        """Store a value, for ``ttl_s`` seconds when given."""
        ...

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        """Store ``value`` only if the present value is ``expected``; return whether it did.

        Atomic across processes.
        """
        ...

    def delete(self, key: str) -> bool:
        """Remove a key; return whether it was there."""
        ...

    def charge(self, requests: Sequence[Sequence[Charge]]) -> list[list[Decision]]:
        """Charge, a request, all of its subjects or (where one has no room) none; one decision a charge.

        Atomic across processes, request by request, in order. What is kept is ``gcra.pack(state)``, and
        vanishes when it says nothing more. The charges of one request have different keys, and share the
        part of the key in braces.
        """
        ...

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        """Return the live keys under a prefix with their values, in key order."""
        ...

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the store does not answer."""
        ...
