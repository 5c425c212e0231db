"""The guard in front of every route: who is it, may they, have they asked too much, and what came of it.

Built by ``api.asgi`` around each handler of the route table. Invariant: no handler of a route whose rule
names a role runs before its caller is known, permitted and charged for; and what a rule calls audited is in
the audit before it is answered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response

from data.access.principal import Principal
from data.access.records import SYSTEM_TENANT
from data.access.roles import permits
from data.audit.event import AuditEvent
from data.errors import AuthError, ForbiddenError, RateLimitedError, RequestError
from data.limits.hold import HOLD_HEADER, hold_ms
from deployments.api.context import PRINCIPAL_KEY, REQUEST_ID, SPEND_KEY
from deployments.api.errors import kind_of
from deployments.api.openapi import Endpoint, Handler
from deployments.api.rules import Access
from deployments.door import Credential
from deployments.services import Services

#: Header by which a key of the installation says for which tenant it acts.
TENANT_HEADER = "x-kite-tenant"
#: The headers of a credential, in its order.
_SHOWN = (b"authorization", b"x-api-key", TENANT_HEADER.encode())
#: What the audit calls whoever showed no good credential, and the tenant such lines stand under.
ANONYMOUS, NOBODY = "anonymous", SYSTEM_TENANT


class Guard:
    """Stands in front of the routes of one application."""

    def __init__(self, services: Services) -> None:
        self._access = services.access
        self._clock = services.clock

    def around(self, endpoint: Endpoint) -> Handler:
        """Return the endpoint's handler behind its rule."""
        if endpoint.access.role is None and not endpoint.access.audited:
            return endpoint.handler

        async def guarded(request: Request) -> Response:
            return await self._serve(endpoint, request)

        return guarded

    async def _serve(self, endpoint: Endpoint, request: Request) -> Response:
        address, begun_s = self._access.address_of(request.scope), self._clock.now_s()
        try:
            headers = await self._admit(endpoint.access, request, address)
            response = await endpoint.handler(request)
        except Exception as exc:
            await self._note(endpoint, request, address, exc)
            raise
        if HOLD_HEADER in headers:
            headers = _held_from_now(headers, self._clock.now_s() - begun_s)
        # Straight into the list: no name of these is there before, and setting each would look for it.
        response.raw_headers += [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self._note(endpoint, request, address, response)
        return response

    async def _admit(self, rule: Access, request: Request, address: str) -> Mapping[str, str]:
        """Let the request in; return the headers that tell its sender what is left of the limits."""
        if rule.role is None:
            return {}
        principal = await self._access.door.admit(_credential(request, address))
        request.scope[PRINCIPAL_KEY] = principal
        _authorise(principal, rule)

        told: dict[str, str] = {}

        async def spend(units: int) -> None:
            told.update(await self._access.charge(principal, rule.operation, address, units))

        request.scope[SPEND_KEY] = spend
        try:
            await spend(1)
        except RateLimitedError as exc:
            # Of the call itself only: what more its body asks for may be less the next time.
            if self._access.holds_calls:
                exc.headers[HOLD_HEADER] = str(hold_ms(exc.retry_after_s))
            raise
        return told

    async def _note(
        self, endpoint: Endpoint, request: Request, address: str, ended: Response | Exception
    ) -> None:
        """Put what happened into the audit, if it belongs there."""
        refused = isinstance(ended, AuthError | ForbiddenError | RateLimitedError)
        audited = endpoint.access.audited
        if not (audited or refused or self._access.audit_reads):
            return
        principal: Principal | None = request.scope.get(PRINCIPAL_KEY)
        event = AuditEvent(
            at=datetime.fromtimestamp(self._clock.now_s(), UTC).isoformat(timespec="milliseconds"),
            tenant=principal.tenant if principal else NOBODY,
            subject=principal.subject if principal else ANONYMOUS,
            action=f"{endpoint.method} {endpoint.shown_path}",
            address=address,
            result=_result(ended),
            status=ended.status_code if isinstance(ended, Response) else kind_of(ended).status,
            request_id=REQUEST_ID.get(),
            target="/".join(str(value) for value in request.path_params.values()),
            reason="" if isinstance(ended, Response) else _reason(ended),
        )
        await self._access.record(event, audited and not refused)


def _held_from_now(headers: Mapping[str, str], passed_s: float) -> Mapping[str, str]:
    """Return the headers with the hold less the time that has passed since it was told."""
    left_ms = int(headers[HOLD_HEADER]) - math.ceil(max(0.0, passed_s) * 1000.0)
    others = {name: value for name, value in headers.items() if name != HOLD_HEADER}
    return {**others, HOLD_HEADER: str(left_ms)} if left_ms > 0 else others


def _credential(request: Request, address: str) -> Credential:
    found: dict[bytes, str] = {}
    for name, value in request.scope["headers"]:
        if name in _SHOWN:
            if name in found:
                raise AuthError(f"The header {name.decode()} came more than once: send it once.")
            found[name] = value.decode("latin-1")
    authorization, api_key, tenant = map(found.get, _SHOWN)
    return Credential(authorization, api_key, tenant, address)


def _authorise(principal: Principal, rule: Access) -> None:
    """Raise ``ForbiddenError`` unless the rule lets this principal pass."""
    if rule.installation and not principal.installation:
        raise ForbiddenError("This concerns the whole installation: use one of its own keys.")
    if rule.role is not None and not permits(principal.role, rule.role):
        raise ForbiddenError(
            f"This needs the role {rule.role}, and the credential has {principal.role}: use another one."
        )


def _result(ended: Response | Exception) -> str:
    if isinstance(ended, Response):
        return "allowed"
    return "denied" if isinstance(ended, RequestError) else "failed"


def _reason(error: Exception) -> str:
    """Return the problem's code, and what the caller is not told of a refused credential."""
    private = getattr(error, "reason", "")
    return f"{kind_of(error).slug}: {private}" if private else kind_of(error).slug
