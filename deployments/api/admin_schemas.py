"""Bodies and answers of administration: keys, tenants, tokens, limits and the audit.

Called by the admin routes and the OpenAPI document. Strict as ``api.schemas``. No answer but that of making
or rotating a key holds a secret.
"""

from __future__ import annotations

from typing import Annotated, Literal, NotRequired

from pydantic import Field, StringConstraints
from typing_extensions import TypedDict

from data.access.desk import MAX_OVERLAP_S
from data.access.keys import MAX_ADDRESSES
from data.access.roles import Role
from data.access.switches import MAX_WEIGHT
from data.claims import TENANT_ID_PATTERN
from data.limits.gcra import MOST_UNITS
from deployments.api.schemas import StrictBody

_CLOCK = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"


RoleName = Annotated[str, Field(json_schema_extra={"enum": [role.value for role in Role]}, max_length=16)]
TenantName = Annotated[str, StringConstraints(pattern=f"^{TENANT_ID_PATTERN}$")]

Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Instant = Annotated[
    str,
    StringConstraints(min_length=10, max_length=40),
    Field(description="ISO 8601 instant, as 2027-01-31T12:00Z.", json_schema_extra={"format": "date-time"}),
]
Clock = Annotated[str, StringConstraints(pattern=_CLOCK)]
Bound = Annotated[int, Field(ge=0, le=2**53)]
Units = Annotated[float, Field(gt=0, le=MOST_UNITS)]


class HoursFields(StrictBody):
    """When a key works, in UTC; ``start`` after ``end`` means overnight. Day 0 is Monday."""

    start: Clock
    end: Clock
    days: Annotated[list[Annotated[int, Field(ge=0, le=6)]], Field(min_length=1, max_length=7)] | None = None


class KeyRequest(StrictBody):
    """A new key. Only keys of the installation may name a ``tenant``, or make one of the ``installation``."""

    name: Label
    roles: Annotated[list[RoleName], Field(min_length=1, max_length=5)]
    tenant: TenantName | None = None
    installation: bool | None = None
    expires_at: Instant | None = None
    addresses: (
        Annotated[
            list[Annotated[str, StringConstraints(min_length=2, max_length=64)]],
            Field(max_length=MAX_ADDRESSES, description="Networks in CIDR notation; anywhere when left out."),
        ]
        | None
    ) = None
    hours: HoursFields | None = None


class RotateRequest(StrictBody):
    """How long, in seconds, the old key goes on working; a day when left out."""

    overlap_s: Annotated[float, Field(ge=0, le=MAX_OVERLAP_S)] | None = None


class RateFields(StrictBody):
    """Cost units by time."""

    per_minute: Units
    per_hour: Units
    per_day: Units
    burst: Units


class LimitFields(StrictBody):
    """Limits of one tenant in place of the installation's own."""

    tenant: RateFields | None = None
    key: RateFields | None = None
    operations: Annotated[
        dict[Annotated[str, StringConstraints(min_length=1, max_length=32)], RateFields] | None,
        Field(max_length=32),
    ] = None


class QuotaFields(StrictBody):
    """Most things that a tenant may keep; no bound where null."""

    documents: Bound | None = None
    facts: Bound | None = None
    graph_loads: Bound | None = None
    sources: Bound | None = None
    patterns: Bound | None = None
    sessions: Bound | None = None
    keys: Bound | None = None
    datasets: Bound | None = None
    vectors: Bound | None = None


class TenantRequest(StrictBody):
    """A new tenant."""

    id: TenantName
    name: Label
    quotas: QuotaFields | None = None
    limits: LimitFields | None = None


class TenantChangeRequest(StrictBody):
    """What is to be different; what is left out stays."""

    name: Label | None = None
    state: Literal["active", "suspended"] | None = None
    quotas: QuotaFields | None = None
    limits: LimitFields | None = None


class FrameworkRequest(StrictBody):
    """What is to be different of a framework; what is left out stays."""

    enabled: bool | None = None
    weight: Annotated[float, Field(ge=0, le=MAX_WEIGHT)] | None = None


class WordAnswer(TypedDict):
    """What an administrator said last of a framework; null where the settings count."""

    enabled: bool | None
    weight: float | None
    changed_at: str
    actor: str


class SwitchAnswer(TypedDict):
    """Whether a framework is asked, and its weight where a request names none; ``word`` may be null."""

    name: str
    enabled: bool
    weight: float
    word: WordAnswer | None


class WhoAnswer(TypedDict):
    """Who you are to this installation."""

    subject: str
    tenant: str
    role: str
    installation: bool
    key_id: str | None


class HoursAnswer(TypedDict):
    """When a key works, in UTC."""

    start: str
    end: str
    days: list[int]


class KeyAnswer(TypedDict):
    """A key, without its secret. ``key`` is there only when it was just made: it is not kept."""

    id: str
    name: str
    tenant: str | None
    roles: list[str]
    created_at: str
    expires_at: str | None
    addresses: list[str]
    hours: HoursAnswer | None
    revoked_at: str | None
    replaces: str | None
    key: NotRequired[str]


class RateAnswer(TypedDict):
    """Cost units by time."""

    per_minute: float
    per_hour: float
    per_day: float
    burst: float


class LimitAnswer(TypedDict):
    """Limits set for one tenant; null where the installation's own count."""

    tenant: RateAnswer | None
    key: RateAnswer | None
    operations: dict[str, RateAnswer]


class TenantAnswer(TypedDict):
    """A tenant, its quotas and limits."""

    id: str
    name: str
    state: str
    created_at: str
    quotas: dict[str, int | None]
    limits: LimitAnswer


class TokenAnswer(TypedDict):
    """An access token (RFC 6749 §5.1)."""

    access_token: str
    token_type: str
    expires_in: int
    scope: str


class AuditAnswer(TypedDict):
    """A line of the audit; ``sha256`` closes the chain here."""

    seq: int
    at: str
    tenant: str
    subject: str
    action: str
    address: str
    result: str
    status: int
    request_id: str
    target: str
    reason: str
    sha256: str


class AuditCheckAnswer(TypedDict):
    """Whether the audit's chain holds."""

    first: int
    last: int
    head: str
    gaps: list[int]
    fault_seq: int | None
    fault: str


class RouteAnswer(TypedDict):
    """A route and the least role that may call it; null: anybody."""

    method: str
    path: str
    role: str | None
    operation: str
    installation: bool
    audited: bool


class OperationLimitAnswer(TypedDict):
    """What one call of an operation costs, and the operation's own limit, if it has one."""

    cost: float
    requests_per_minute: float | None
    requests_per_hour: float | None
    requests_per_day: float | None
    burst_size: float | None


class RateLimitsAnswer(TypedDict):
    """A tenant's limits in cost units; a call costs 1 where no other cost is named."""

    tenant_id: str
    requests_per_minute: float
    requests_per_hour: float
    requests_per_day: float
    burst_size: float
    strategy: str
    operation_limits: dict[str, OperationLimitAnswer]
    enabled: bool


class WindowAnswer(TypedDict):
    """How much of a window is spent, and in how many seconds it is as new."""

    limit: float
    used: float
    remaining: float
    reset_s: float


class UsageAnswer(TypedDict):
    """What a tenant has spent, by window (minute, hour, day)."""

    tenant_id: str
    windows: dict[str, WindowAnswer]
    operations: dict[str, dict[str, WindowAnswer]]


class ErasedAnswer(TypedDict):
    """The proof of an erasure: what each store had of the tenant before and has after, which is nothing.

    ``backups`` still hold it until they are pruned, ``copies`` are files for a person to decide on.
    """

    tenant: str
    at: str
    seq: int
    head: str
    before: dict[str, int]
    after: dict[str, int]
    backups: list[str]
    copies: list[str]
    lineage: str
    sha256: str
