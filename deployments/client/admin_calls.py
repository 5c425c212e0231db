"""Calls of administration: keys, tenants, limits, the audit. Pure; sent by the clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deployments.client.calls import API, Call, Page, Repeat, fields_of, get, pages, part, query_of, write

if TYPE_CHECKING:
    from deployments.api.admin_schemas import (
        AuditAnswer,
        AuditCheckAnswer,
        ErasedAnswer,
        KeyAnswer,
        RateLimitsAnswer,
        TenantAnswer,
        UsageAnswer,
        WhoAnswer,
    )


def who_am_i() -> Call[WhoAnswer]:
    """Tell who this client is to the installation, and what it may do."""
    return get(f"{API}/admin/me")


def settings() -> Call[dict[str, Any]]:
    """Show the settings in force, their secrets masked."""
    return get(f"{API}/admin/config")


def create_key(
    name: str, roles: Sequence[str], *, idempotency_key: str | None = None, **options: Any
) -> Call[KeyAnswer]:
    """Make a key, whose text only this answer shows; ``options`` as ``tenant``, ``expires_at``."""
    body = {"name": name, "roles": list(roles), **options}
    return write("POST", f"{API}/admin/keys", body, key=idempotency_key)


def keys() -> Call[list[KeyAnswer]]:
    """List keys; no secret is shown."""
    return get(f"{API}/admin/keys")


def key(key_id: str) -> Call[KeyAnswer]:
    """Show a key without its secret."""
    return get(f"{API}/admin/keys/{part(key_id)}")


def rotate_key(
    key_id: str, *, overlap_s: float | None = None, idempotency_key: str | None = None
) -> Call[KeyAnswer]:
    """Make a key's successor; the old one ends after ``overlap_s`` seconds."""
    path = f"{API}/admin/keys/{part(key_id)}/rotate"
    return write("POST", path, fields_of(overlap_s=overlap_s), key=idempotency_key)


def revoke_key(key_id: str) -> Call[KeyAnswer]:
    """End a key at once, for good: ended twice it is ended."""
    return Call("DELETE", f"{API}/admin/keys/{part(key_id)}", repeat=Repeat.SAFE)


def create_tenant(
    tenant_id: str, name: str, *, idempotency_key: str | None = None, **options: Any
) -> Call[TenantAnswer]:
    """Make a tenant; ``options`` as ``quotas``, ``limits``."""
    body = {"id": tenant_id, "name": name, **options}
    return write("POST", f"{API}/admin/tenants", body, key=idempotency_key)


def tenants() -> Call[list[TenantAnswer]]:
    """List tenants."""
    return get(f"{API}/admin/tenants")


def change_tenant(tenant_id: str, **changes: Any) -> Call[TenantAnswer]:
    """Change a tenant's name, state, quotas or limits: what is said twice holds once."""
    return Call("PUT", f"{API}/admin/tenants/{part(tenant_id)}", body=changes, repeat=Repeat.SAFE)


def erase_tenant(tenant_id: str) -> Call[ErasedAnswer]:
    """Remove all of a tenant for good; answers with the proof."""
    return Call("DELETE", f"{API}/admin/tenants/{part(tenant_id)}")


def audit_page(*, limit: int | None = None, **filters: str) -> Call[Page[AuditAnswer]]:
    """Return lines of the audit; ``filters`` as ``subject``, ``action``, ``since``."""
    return pages(f"{API}/admin/audit", query_of(limit=limit, **filters))


def check_audit() -> Call[AuditCheckAnswer]:
    """Follow the audit's chain of hashes."""
    return get(f"{API}/admin/audit/check")


def rate_limits() -> Call[RateLimitsAnswer]:
    """Tell this caller's limits."""
    return get(f"{API}/rate-limits")


def rate_usage() -> Call[UsageAnswer]:
    """Tell what is spent of them."""
    return get(f"{API}/rate-limits/usage")
