"""What the API needs from the rest of the house, as plain callables and ports: no Ray, so tests pass fakes.

Built once by the composition root (``cluster.wiring``) for a Serve ingress replica, and by tests from fakes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.access.desk import AccessDesk
from data.access.principal import Principal
from data.access.tokens import AccessToken
from data.audit.event import AuditEvent
from data.audit.port import AuditSink
from data.claims import Rejected, TenantId
from data.datasets.ports import VectorDatasets
from data.datasets.transfer_desk import Transfers
from data.erased import Erased
from data.ports import Clock, KeyValueStore
from data.questions import Question
from data.traces import Tracer
from data.verdicts import Verdict
from deployments.calibration import CalibrationDesk
from deployments.door import Door, OpenDoor
from deployments.extraction import Extract
from deployments.framework_desk import FrameworkDesk
from deployments.job_desk import JobDesk
from deployments.knowledge import KnowledgeDesk
from deployments.limiter import Limiter
from deployments.replay import VerdictDesk
from deployments.schedule_desk import ScheduleDesk
from deployments.task_desk import TaskDesk


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
    #: Largest body that writes vectors; a thousand of 384 numbers are about 8 MB.
    vector_body_bytes: int = 64 * 1024 * 1024
    #: Largest file of vectors in one request, and how long that, or an export's, may take to travel, seconds.
    import_body_bytes: int = 1024 * 1024 * 1024
    file_timeout_s: float = 3600.0
    #: How long a job's log is followed in one request, seconds.
    log_follow_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class Transport:
    """How answers travel: whether callers come by TLS, and which origins' pages may call from a browser."""

    tls: bool = False
    cors_origins: tuple[str, ...] = ()


class Grant(Protocol):
    """Gives access tokens; see ``Authenticator.grant``."""

    async def __call__(self, client_id: str, secret: str, *, address: str, scope: str) -> AccessToken:
        """Return a token."""
        ...


async def _uncharged(_who: Principal, _operation: str, _address: str, _units: int) -> Mapping[str, str]:
    return {}


async def _unrecorded(_event: AuditEvent, _durable: bool) -> None:  # noqa: FBT001 - a callback's argument
    return


def _peer(scope: MutableMapping[str, Any]) -> str:
    return str((scope.get("client") or ("",))[0])


@dataclass(frozen=True, slots=True)
class AccessServices:
    """What the guard asks. The defaults let everybody in, uncounted and unrecorded.

    ``charge(principal, operation, address, units)`` counts a call and returns the headers that tell what is
    left, or raises ``RateLimitedError``. ``record(event, durable)`` returns, where ``durable``, when the
    event cannot be lost any more. ``address_of`` reads the sender's address from an ASGI scope.
    """

    door: Door = field(default_factory=OpenDoor)
    charge: Callable[[Principal, str, str, int], Awaitable[Mapping[str, str]]] = _uncharged
    record: Callable[[AuditEvent, bool], Awaitable[None]] = _unrecorded
    address_of: Callable[[MutableMapping[str, Any]], str] = _peer
    audit_reads: bool = False
    #: Tells limits and what is spent of them; they are kept where ``limits_enabled``.
    limiter: Limiter | None = None
    limits_enabled: bool = False
    #: Whether the ingress refuses a call itself while its limit has no room; see ``data.limits.hold``.
    holds_calls: bool = False
    #: Gives an access token for a key; ``None`` where none are asked for.
    grant: Grant | None = None
    #: Most sessions that a tenant may keep, where it has a quota.
    session_quota: Callable[[TenantId], int | None] | None = None
    #: Erases a tenant on a subject's word and returns the proof; may block. ``None`` where it cannot be done.
    erase: Callable[[TenantId, str], Erased] | None = None
    #: Writes what waits for the audit, and lets go: called when the service ends.
    close: Callable[[], Awaitable[None]] | None = None
    #: The settings in force, their secrets masked.
    settings: Mapping[str, Any] = field(default_factory=dict)
    #: Keys and tenants; ``None`` where an installation keeps none.
    desk: AccessDesk | None = None
    #: The audit's lines; ``None`` where none are kept.
    audit: AuditSink | None = None


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
    #: The same as ``metrics`` in the OpenMetrics format, with exemplars; ``None`` where there is none.
    open_metrics: Callable[[], Awaitable[bytes]] | None = None
    #: Begins the traces of requests; ``None`` where nothing is traced.
    tracer: Tracer | None = None
    limits: ApiLimits = ApiLimits()
    transport: Transport = Transport()
    version: str = "0.1.0"
    #: Addresses shown by ``GET /``, by name (docs, dashboard).
    links: dict[str, str] = field(default_factory=dict)
    #: Who is let in, what it costs, and the audit.
    access: AccessServices = field(default_factory=AccessServices)
    #: Feedback and calibration reports; ``None`` where an installation keeps none.
    calibration: CalibrationDesk | None = None
    #: The tenants' knowledge, one by one; ``None`` where an installation keeps none of its own.
    knowledge: KnowledgeDesk | None = None
    #: Verdicts as they were recorded, and their replay; ``None`` where none are recorded.
    verdicts: VerdictDesk | None = None
    #: Vector datasets; ``None`` where an installation keeps none.
    vectors: VectorDatasets | None = None
    #: Imports and exports of them; ``None`` where an installation keeps no files.
    transfers: Transfers | None = None
    #: Jobs; ``None`` where an installation runs none.
    jobs: JobDesk | None = None
    #: Their schedules; ``None`` where an installation keeps none.
    schedules: ScheduleDesk | None = None
    #: Turns texts into unit vectors, as ``data.ports.Embedder`` does; ``None`` where none are embedded.
    embed: Callable[[Sequence[str]], Awaitable[NDArray[np.float32]]] | None = None
    #: Takes a text to its claims; ``None`` where an installation takes claims only.
    extract: Extract | None = None
    #: The settings in force, secrets masked, with what changed since the start; ``None``: those of the start.
    settings_in_force: Callable[[], Awaitable[Mapping[str, Any]]] | None = None
    #: Switches frameworks and weighs them; ``None`` where that cannot be done.
    framework_desk: FrameworkDesk | None = None
    #: Claims to be verified later; ``None`` where an installation keeps no queue.
    tasks: TaskDesk | None = None
