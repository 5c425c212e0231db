"""What a tenant is told of its limits: how they are set, and what is spent. Values only.

Made by the limiter, shown by ``GET /rate-limits`` and ``GET /rate-limits/usage``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from data.claims import TenantId
from data.limits.gcra import WindowUse
from data.limits.policy import RateLimit


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tenant has spent, as a whole and by operation (those that have a limit), by window."""

    tenant: TenantId
    windows: list[WindowUse]
    operations: dict[str, list[WindowUse]]


@dataclass(frozen=True, slots=True)
class OperationPolicy:
    """The units that one call of an operation costs, and its own limit; ``None`` where it has none."""

    cost: float
    requests_per_minute: float | None = None
    requests_per_hour: float | None = None
    requests_per_day: float | None = None
    burst_size: float | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A tenant's limits, in the names of ``GET /rate-limits``. Units; a call costs 1 where none is named."""

    tenant_id: TenantId
    requests_per_minute: float
    requests_per_hour: float
    requests_per_day: float
    burst_size: float
    strategy: str
    operation_limits: dict[str, OperationPolicy]


def policy_of(
    tenant: TenantId, limit: RateLimit, *, operations: Mapping[str, RateLimit], costs: Mapping[str, float]
) -> Policy:
    """Return the limits of a tenant and of those operations that have a limit or a cost of their own."""
    return Policy(
        tenant_id=tenant,
        requests_per_minute=limit.per_minute,
        requests_per_hour=limit.per_hour,
        requests_per_day=limit.per_day,
        burst_size=limit.burst,
        strategy="gcra",
        operation_limits={
            name: _operation_policy(costs.get(name, 1.0), operations.get(name))
            for name in sorted({*costs, *operations})
        },
    )


def _operation_policy(cost: float, limit: RateLimit | None) -> OperationPolicy:
    if limit is None:
        return OperationPolicy(cost)
    return OperationPolicy(cost, limit.per_minute, limit.per_hour, limit.per_day, limit.burst)
