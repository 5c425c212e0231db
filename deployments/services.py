"""What the API needs from the rest of the house, as plain callables and ports: no Ray, so tests pass fakes.

Built once by the composition root (``cluster.wiring``) for a Serve ingress replica, and by tests from fakes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from data.claims import Rejected
from data.ports import Clock, KeyValueStore
from data.questions import Question
from data.verdicts import Verdict
from deployments.calibration import CalibrationDesk
from deployments.extraction import Extract
from deployments.knowledge import KnowledgeDesk
from deployments.replay import VerdictDesk


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One part's health.

    ``state`` is up, degraded or down; ``breaker`` closed, open, half-open or ``None``.
    """

    state: str
    latency_ms: float | None = None
    breaker: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class HealthReport:
    """Health of every framework and store by name.

    ``required`` names those without which nothing is answered.
    """

    services: dict[str, ServiceState]
    required: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True, slots=True)
class ApiLimits:
    """Bounds on what a caller may send; all are stated in the OpenAPI document."""

    body_bytes: int = 2 * 1024 * 1024
    batch_claims: int = 1_000
    request_timeout_s: float = 30.0
    session_ttl_s: float = 24 * 3600.0
    sessions_per_tenant: int = 10_000
    sparql_timeout_s: float = 10.0
    sparql_rows: int = 10_000


@dataclass(frozen=True, slots=True)
class Services:
    """Everything the ASGI app calls.

    ``answer`` keeps order and length. ``seq_at`` maps an ISO moment to a ledger position. ``metrics`` returns
    Prometheus text. ``observe`` counts one finished request: route template, method, status, seconds.
    """

    answer: Callable[[Sequence[Question]], Awaitable[list[Verdict | Rejected]]]
    frameworks: tuple[str, ...]
    store: KeyValueStore
    clock: Clock
    health: Callable[[], Awaitable[HealthReport]]
    seq_at: Callable[[str], Awaitable[int]]
    metrics: Callable[[], Awaitable[bytes]]
    observe: Callable[[str, str, int, float], None]
    limits: ApiLimits = ApiLimits()
    version: str = "0.1.0"
    #: Addresses shown by ``GET /``, by name (docs, dashboard).
    links: dict[str, str] = field(default_factory=dict)
    #: Feedback and calibration reports; ``None`` where an installation keeps none.
    calibration: CalibrationDesk | None = None
    #: The tenants' knowledge, one by one; ``None`` where an installation keeps none of its own.
    knowledge: KnowledgeDesk | None = None
    #: Verdicts as they were recorded, and their replay; ``None`` where none are recorded.
    verdicts: VerdictDesk | None = None
    #: Takes a text to its claims; ``None`` where an installation takes claims only.
    extract: Extract | None = None
