"""How much a caller may ask for: limits by time, and quotas on what a tenant keeps. Pure values.

Built from settings and from tenants' overrides; read by the limiter and by ``GET /rate-limits``.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Cost units allowed by time. ``burst`` of them at once, refilled at ``per_minute``.

    ``per_hour`` and ``per_day`` are counted by the clock's hours and days in UTC.
    """

    per_minute: float
    per_hour: float
    per_day: float
    burst: float


@dataclass(frozen=True, slots=True)
class LimitOverrides:
    """What an administrator set for one tenant; ``None`` leaves the installation's own.

    ``tenant`` bounds the tenant as a whole, ``key`` each of its keys, ``operations`` single operations.
    """

    tenant: RateLimit | None = None
    key: RateLimit | None = None
    operations: dict[str, RateLimit] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Quotas:
    """Most things that a tenant may keep; ``None``: no bound."""

    documents: int | None = None
    facts: int | None = None
    graph_loads: int | None = None
    sources: int | None = None
    patterns: int | None = None
    sessions: int | None = None
    keys: int | None = None
    datasets: int | None = None
    vectors: int | None = None
