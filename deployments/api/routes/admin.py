"""``/admin/keys`` and ``/admin/tenants``, for those who may, and ``/admin/me``."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.access.desk import AccessDesk
from data.access.keys import OVERLAP_S, KeyWish
from data.access.records import KeyRecord, TenantRecord
from data.claims import TenantId, tenant_id
from data.errors import ConflictError, ForbiddenError, InvalidValueError, NotFoundError, UnavailableError
from data.limits.policy import LimitOverrides, Quotas
from deployments.api.admin_schemas import KeyRequest, RotateRequest, TenantChangeRequest, TenantRequest
from deployments.api.admin_values import (
    hours_of,
    key_answer,
    overrides_of,
    quotas_of,
    role_of,
    seconds_of,
    tenant_answer,
)
from deployments.api.context import principal_of
from deployments.api.knowledge_requests import idempotency_key
from deployments.api.reading import fit, json_body
from deployments.api.responses import json_response
from deployments.services import Services


class AdminRoutes:
    """Keys and tenants. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def who(self, request: Request) -> Response:
        """Say who you are to this installation, and what you may do."""
        principal = principal_of(request)
        return json_response(
            {
                "subject": principal.subject,
                "tenant": principal.tenant,
                "role": principal.role,
                "installation": principal.installation,
                "key_id": principal.key_id,
            }
        )

    async def settings(self, request: Request) -> Response:
        """Show the settings in force, their secrets masked; ``live`` is what changed since the start."""
        del request
        told = self._services.settings_in_force
        return json_response(await told() if told else self._services.access.settings)

    async def create_key(self, request: Request) -> Response:
        """Make an API key; this answer is the only one that shows it."""
        asked = fit(KeyRequest, await json_body(request))
        wish = KeyWish(
            name=asked.name,
            tenant=_key_tenant(request, asked),
            roles=tuple(role_of(name) for name in asked.roles),
            expires_s=None if asked.expires_at is None else seconds_of(asked.expires_at),
            addresses=tuple(asked.addresses or ()),
            hours=None if asked.hours is None else hours_of(asked.hours),
        )
        text, record = await asyncio.to_thread(
            self._desk().create_key, wish, actor=_actor(request), idempotency_key=idempotency_key(request)
        )
        where = f"{request.url.path}/{record.id}"
        return json_response({**key_answer(record), "key": text}, status=201, headers={"Location": where})

    async def keys(self, request: Request) -> Response:
        """List the keys that are yours to administer, the revoked among them; no secret is shown."""
        records = await asyncio.to_thread(self._desk().keys, _scope(request))
        return json_response([key_answer(record) for record in records])

    async def key(self, request: Request) -> Response:
        """Show a key, without its secret."""
        return json_response(key_answer(await self._key(request)))

    async def rotate_key(self, request: Request) -> Response:
        """Make a key's successor with the same rights; the old one ends after ``overlap_s`` seconds."""
        asked = fit(RotateRequest, await json_body(request))
        overlap_s = OVERLAP_S if asked.overlap_s is None else asked.overlap_s
        old = await self._key(request)
        text, record = await asyncio.to_thread(
            self._desk().rotate_key,
            old.id,
            overlap_s=overlap_s,
            actor=_actor(request),
            idempotency_key=idempotency_key(request),
        )
        return json_response({**key_answer(record), "key": text}, status=201)

    async def revoke_key(self, request: Request) -> Response:
        """End a key, on every replica within a second."""
        record = await self._key(request)
        if record.id == principal_of(request).key_id:
            raise ConflictError("You are using this key now: revoke it with another one, or by `kite keys`.")
        ended = await asyncio.to_thread(self._desk().revoke_key, record.id, actor=_actor(request))
        return json_response(key_answer(ended))

    async def create_tenant(self, request: Request) -> Response:
        """Make a tenant."""
        asked = fit(TenantRequest, await json_body(request))
        record = await asyncio.to_thread(
            self._desk().create_tenant,
            tenant_id(asked.id),
            name=asked.name,
            quotas=quotas_of(asked.quotas) or Quotas(),
            limits=overrides_of(asked.limits) or LimitOverrides(),
            actor=_actor(request),
            idempotency_key=idempotency_key(request),
        )
        return json_response(tenant_answer(record), status=201)

    async def tenants(self, request: Request) -> Response:
        """List all tenants, the suspended and the erased among them."""
        del request
        return json_response([tenant_answer(one) for one in await asyncio.to_thread(self._desk().tenants)])

    async def tenant(self, request: Request) -> Response:
        """Show a tenant."""
        return json_response(tenant_answer(await self._tenant(request)))

    async def change_tenant(self, request: Request) -> Response:
        """Rename, suspend or resume a tenant, or set its quotas and limits."""
        asked = fit(TenantChangeRequest, await json_body(request))
        known = await self._tenant(request)
        changes: dict[str, Any] = {
            "name": asked.name,
            "state": asked.state,
            "quotas": quotas_of(asked.quotas),
            "limits": overrides_of(asked.limits),
        }
        told = {name: value for name, value in changes.items() if value is not None}
        record = await asyncio.to_thread(self._desk().change_tenant, known.id, told, actor=_actor(request))
        return json_response(tenant_answer(record))

    async def erase_tenant(self, request: Request) -> Response:
        """Remove everything of a tenant for good, and return the proof; ``confirm`` repeats its id.

        It goes on when the answer takes too long: ask again for the proof.
        """
        known = await self._tenant(request)
        if request.query_params.get("confirm") != known.id:
            raise InvalidValueError("Erasing a tenant cannot be undone: repeat its id as confirm.")
        if self._services.access.erase is None:
            raise UnavailableError("This installation cannot erase tenants while it runs.")
        proof = await asyncio.to_thread(self._services.access.erase, known.id, _actor(request))
        return json_response(msgspec.to_builtins(proof))

    async def _key(self, request: Request) -> KeyRecord:
        """Return the key that the path names, if it is the caller's to see."""
        wanted, scope = request.path_params["key_id"], _scope(request)
        for record in await asyncio.to_thread(self._desk().keys, scope):
            if record.id == wanted:
                return record
        raise NotFoundError("There is no such key: GET /admin/keys lists those there are.")

    async def _tenant(self, request: Request) -> TenantRecord:
        wanted = request.path_params["tenant_id"]
        for record in await asyncio.to_thread(self._desk().tenants):
            if record.id == wanted:
                return record
        raise NotFoundError("There is no such tenant: GET /admin/tenants lists those there are.")

    def _desk(self) -> AccessDesk:
        if self._services.access.desk is None:
            raise UnavailableError("This installation keeps no keys.")
        return self._services.access.desk


def _actor(request: Request) -> str:
    return principal_of(request).subject


def _scope(request: Request) -> TenantId | None:
    """Return whose keys the caller may see: ``None`` is everybody's."""
    principal = principal_of(request)
    return None if principal.installation else principal.tenant


def _key_tenant(request: Request, asked: KeyRequest) -> TenantId | None:
    """Return for whom the new key is to be.

    Raises:
        ForbiddenError: a tenant's administrator asks for a key of another tenant or of the installation.
    """
    principal = principal_of(request)
    if asked.installation and asked.tenant:
        raise InvalidValueError("A key of the installation has no tenant: leave one of the two out.")
    wanted = tenant_id(asked.tenant) if asked.tenant else principal.tenant
    if not principal.installation and (asked.installation or wanted != principal.tenant):
        raise ForbiddenError("Your credential makes keys of its own tenant only: leave the tenant out.")
    return None if asked.installation else wanted
