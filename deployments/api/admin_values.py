"""Between the wire of administration and the values of ``data.access``. Pure; called by the admin routes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from data.access.records import Hours, KeyRecord, TenantRecord
from data.access.roles import Role
from data.errors import InvalidValueError
from data.limits.policy import LimitOverrides, Quotas, RateLimit
from deployments.api.admin_schemas import HoursFields, LimitFields, QuotaFields, RateFields

ALL_DAYS = tuple(range(7))


def role_of(name: str) -> Role:
    """Return the role of that name.

    Raises:
        InvalidValueError: there is none.
    """
    try:
        return Role(name)
    except ValueError:
        raise InvalidValueError(f"There is no role {name[:40]!r}: use {', '.join(Role)}.") from None


def seconds_of(moment: str) -> float:
    """Return an ISO 8601 instant as seconds since the epoch; UTC where it names no zone.

    Raises:
        InvalidValueError: it is none.
    """
    try:
        parsed = datetime.fromisoformat(moment)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise InvalidValueError("expires_at is no ISO 8601 instant: write 2027-01-31T12:00Z.") from None


def hours_of(asked: HoursFields) -> Hours:
    """Return the hours that were asked for."""
    return Hours(asked.start, asked.end, tuple(sorted(set(asked.days or ALL_DAYS))))


def quotas_of(asked: QuotaFields | None) -> Quotas | None:
    """Return the quotas that were asked for."""
    return None if asked is None else Quotas(**asked.model_dump())


def overrides_of(asked: LimitFields | None) -> LimitOverrides | None:
    """Return the limits that were asked for."""
    if asked is None:
        return None
    operations = {name: _rate(fields) for name, fields in (asked.operations or {}).items()}
    return LimitOverrides(
        None if asked.tenant is None else _rate(asked.tenant),
        None if asked.key is None else _rate(asked.key),
        operations,
    )


def _rate(asked: RateFields) -> RateLimit:
    return RateLimit(**asked.model_dump())


def key_answer(record: KeyRecord) -> dict[str, Any]:
    """Return a key as it is shown: all but its hash."""
    hours = record.hours
    return {
        "id": record.id,
        "name": record.name,
        "tenant": record.tenant,
        "roles": list(record.roles),
        "created_at": moment(record.created_s),
        "expires_at": moment(record.expires_s),
        "addresses": list(record.addresses),
        "hours": None if hours is None else msgspec.to_builtins(hours),
        "revoked_at": moment(record.revoked_s),
        "replaces": record.replaces,
    }


def tenant_answer(record: TenantRecord) -> dict[str, Any]:
    """Return a tenant as it is shown."""
    return {
        "id": record.id,
        "name": record.name,
        "state": record.state,
        "created_at": moment(record.created_s),
        "quotas": msgspec.to_builtins(record.quotas),
        "limits": msgspec.to_builtins(record.limits),
    }


def moment(seconds: float | None) -> str | None:
    """Return seconds since the epoch as an ISO 8601 instant in UTC, to the second."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
