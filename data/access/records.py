"""What the ledger keeps of keys, tenants and frameworks: ``key.put``, ``tenant.put`` and ``framework.put``.

Pure. Invariant: no record holds a secret, of a key only a keyed hash. The last record of an id counts.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from data.access.roles import Role
from data.claims import TenantId
from data.limits.policy import LimitOverrides, Quotas

#: The tenant under which the ledger keeps what belongs to the installation: its keys, its tenants.
SYSTEM_TENANT = TenantId("system")


@dataclass(frozen=True, slots=True)
class Hours:
    """When a key works: on ``days`` (0 is Monday) from ``start`` until before ``end``, ``HH:MM`` in UTC.

    ``start`` after ``end`` means overnight; the day is that of the start.
    """

    start: str
    end: str
    days: tuple[int, ...] = (0, 1, 2, 3, 4, 5, 6)


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """An API key as it is kept.

    ``tenant`` is ``None`` for a key of the installation. Moments are seconds since the epoch.
    ``hashed`` is the hex HMAC-SHA256 of the whole key under the installation's pepper. ``addresses`` are
    networks in CIDR notation; empty: from anywhere. ``replaces`` names the key that this one was made from by
    rotation.
    """

    id: str
    name: str
    hashed: str
    tenant: TenantId | None
    roles: tuple[Role, ...]
    created_s: float
    expires_s: float | None = None
    addresses: tuple[str, ...] = ()
    hours: Hours | None = None
    revoked_s: float | None = None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class TenantRecord:
    """A tenant as it is kept. ``state`` erased stays for ever, so that its id is never given again."""

    id: TenantId
    name: str
    created_s: float
    state: Literal["active", "suspended", "erased"] = "active"
    quotas: Quotas = field(default_factory=Quotas)
    limits: LimitOverrides = field(default_factory=LimitOverrides)


@dataclass(frozen=True, slots=True)
class FrameworkRecord:
    """The word on a framework, whose name is ``id``: asked or not, and its default weight.

    ``None`` leaves that to the settings. ``changed_s`` is seconds since the epoch, ``actor`` who said it.
    """

    id: str
    enabled: bool | None = None
    weight: float | None = None
    changed_s: float = 0.0
    actor: str = "system"


@dataclass(frozen=True, slots=True)
class AccessChanges:
    """Keys, tenants and words on frameworks after a position, each as it is now; ``seq`` is the last."""

    seq: int
    keys: tuple[KeyRecord, ...] = ()
    tenants: tuple[TenantRecord, ...] = ()
    frameworks: tuple[FrameworkRecord, ...] = ()
