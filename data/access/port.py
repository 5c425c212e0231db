"""Administration of keys and tenants, as the API and the command line ask for it.

``data.access.desk`` answers over the keeper. Every call may block; any thread may call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from data.access.records import Hours, KeyRecord, TenantRecord
from data.access.roles import Role
from data.claims import TenantId
from data.limits.policy import LimitOverrides, Quotas


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a new key shall be; ``tenant`` ``None`` is a key of the installation. See ``KeyRecord``."""

    name: str
    tenant: TenantId | None
    roles: tuple[Role, ...]
    expires_s: float | None = None
    addresses: tuple[str, ...] = ()
    hours: Hours | None = None


class AccessAdmin(Protocol):
    """Makes, shows and ends keys and tenants; ``actor`` is ``Principal.subject`` of who asks."""

    def create_key(self, wish: KeyWish, *, actor: str) -> tuple[str, KeyRecord]:
        """Make a key; return its text, which is kept nowhere, and its record.

        Raises:
            InvalidValueError: an address, a moment or hours that do not fit. NotFoundError: no such tenant.
            ConflictError: the tenant has as many keys as it may.
        """
        ...

    def rotate_key(self, key_id: str, *, overlap_s: float, actor: str) -> tuple[str, KeyRecord]:
        """Make a key's successor with its rights; the old one ends after ``overlap_s`` seconds.

        Raises:
            NotFoundError: no such key. ConflictError: it is revoked or expired.
        """
        ...

    def revoke_key(self, key_id: str, *, actor: str) -> KeyRecord:
        """End a key now; one that is ended already stays as it is."""
        ...

    def keys(self, tenant: TenantId | None = None) -> list[KeyRecord]:
        """Return a tenant's keys, or everybody's, sorted by id."""
        ...

    def create_tenant(
        self, tenant: TenantId, *, name: str, quotas: Quotas, limits: LimitOverrides, actor: str
    ) -> TenantRecord:
        """Make a tenant.

        Raises:
            ConflictError: there is, or was, one of that id.
        """
        ...

    def change_tenant(self, tenant: TenantId, changes: Mapping[str, Any], *, actor: str) -> TenantRecord:
        """Give a tenant other values for fields of ``TenantRecord``: name, state, quotas, limits.

        Raises:
            NotFoundError: no such tenant. ConflictError: it is erased.
        """
        ...

    def tenants(self) -> list[TenantRecord]:
        """Return all tenants, ``default`` and ``shared`` among them, sorted by id."""
        ...
