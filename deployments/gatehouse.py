"""Builds what the guard asks: who is let in, what it costs, and where it is written down. Plain Python.

Called by the ingress replica and by tests. Where settings let everybody in, nobody is counted or recorded,
but keys and tenants can be made before the door is closed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, replace

import msgspec

from configs.schema import Settings
from configs.secrets import masked
from data.access.authenticator import Authenticator
from data.access.desk import AccessDesk, AccessLedger
from data.access.directory import AccessDirectory
from data.access.jwks import Fetch
from data.access.principal import Principal
from data.access.secrets import AccessSecrets
from data.access.tokens import JwtVerifier, TokenIssuer
from data.audit.buffer import AuditTrail
from data.audit.port import AuditSink
from data.claims import TenantId
from data.erased import Erased
from data.limits.hold import HOLD_HEADER, hold_ms
from data.limits.policy import LimitOverrides
from data.ports import Clock, KeyValueStore
from data.standing import unknown_edition
from deployments.api.address import address_reader
from deployments.door import KeyedDoor
from deployments.limiter import Limiter, headers
from deployments.services import AccessServices

#: What of a tenant that nobody set anything for.
NO_OVERRIDES = LimitOverrides()


@dataclass(frozen=True, slots=True)
class AccessParts:
    """What access rests on: the keeper's keys and tenants, its audit, the shared store, and the secrets.

    ``fetch`` reads the issuer's public keys from an address that the settings name; ``erase`` erases a tenant
    on a subject's word. ``monotonic`` tells the age of what is known, ``edition`` whether there is more.
    """

    ledger: AccessLedger
    audit: AuditSink
    store: KeyValueStore
    clock: Clock
    secrets: AccessSecrets
    fetch: Fetch
    erase: Callable[[TenantId, str], Erased] | None = None
    monotonic: Callable[[], float] = time.monotonic
    edition: Callable[[], Hashable | None] = unknown_edition


def build_access(settings: Settings, parts: AccessParts) -> AccessServices:
    """Return what the guard asks.

    Raises:
        ConfigError: settings of tokens that cannot be kept.
    """
    directory = None
    if settings.auth.mode == "required":
        directory = AccessDirectory(
            parts.ledger.access_changes,
            refresh_s=settings.auth.refresh_s,
            monotonic=parts.monotonic,
            edition=parts.edition,
        )
    limiter = _limiter(settings, parts, directory)
    access = AccessServices(
        address_of=address_reader(settings.http.trusted_proxies, behind_haproxy=settings.http.haproxy),
        limiter=limiter,
        desk=AccessDesk(parts.ledger, parts.secrets.pepper, parts.clock),
        audit=parts.audit,
        erase=parts.erase,
        settings=masked(msgspec.to_builtins(settings)),
    )
    if directory is None:
        return access
    return _closed(access, settings, parts, _door(settings, parts, directory, limiter), directory, limiter)


def _closed(
    access: AccessServices,
    settings: Settings,
    parts: AccessParts,
    door: KeyedDoor,
    directory: AccessDirectory,
    limiter: Limiter,
) -> AccessServices:
    """Return access with its door closed: keys, limits and the audit."""
    trail = AuditTrail(parts.audit, parts.clock)
    enabled = settings.limits.enabled is not False

    async def charge(who: Principal, operation: str, address: str, units: int) -> Mapping[str, str]:
        if not enabled:
            return {}
        allowance = await limiter.charge(who, operation, address, units)
        told = headers(allowance)
        # Whoever goes on beyond a limit is refused by the ingress from the very next call on.
        if settings.http.haproxy and (held_ms := hold_ms(allowance.full_for_s)):
            told[HOLD_HEADER] = str(held_ms)
        return told

    def session_quota(tenant: TenantId) -> int | None:
        record = directory.tenant(tenant)
        return record.quotas.sessions if record else None

    async def close() -> None:
        await trail.close()
        limiter.close()

    return replace(
        access,
        door=door,
        charge=charge,
        record=trail.record,
        audit_reads=settings.audit.reads,
        limits_enabled=enabled,
        holds_calls=settings.http.haproxy,
        grant=door.grant,
        session_quota=session_quota,
        close=close,
    )


def _door(settings: Settings, parts: AccessParts, directory: AccessDirectory, limiter: Limiter) -> KeyedDoor:
    named = settings.auth.jwt
    authenticator = Authenticator(
        directory,
        parts.secrets.pepper,
        parts.clock,
        issuer=TokenIssuer(parts.secrets.token_key, parts.clock, ttl_s=settings.auth.token_ttl_s),
        verifier=JwtVerifier(named, parts.clock, fetch=parts.fetch) if named.issuer else None,
    )
    return KeyedDoor(authenticator, directory, blocked=limiter.refuse_blocked, refused=limiter.failed)


def _limiter(settings: Settings, parts: AccessParts, directory: AccessDirectory | None) -> Limiter:
    def overrides(tenant: TenantId) -> LimitOverrides:
        record = directory.tenant(tenant) if directory else None
        return record.limits if record else NO_OVERRIDES

    return Limiter(
        parts.store,
        settings.limits,
        overrides=overrides,
        clock=parts.clock,
        in_thread=settings.cache.backend == "redis",
    )
