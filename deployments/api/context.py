"""Id, trace and tenant of the request at hand: set by the middleware, read by routes, logs and errors.

Id and trace are context variables, so concurrent requests never see each other's values; the tenant stands
in the request's own scope.
"""

from __future__ import annotations

from contextvars import ContextVar

from starlette.requests import Request

from data.claims import DEFAULT_TENANT, TenantId

#: Id of the request at hand; empty outside a request.
REQUEST_ID: ContextVar[str] = ContextVar("kite_request_id", default="")
#: W3C ``traceparent`` of the request at hand, when its sender gave a valid one.
TRACEPARENT: ContextVar[str] = ContextVar("kite_traceparent", default="")
#: Where in the ASGI scope the tenant of an authenticated request stands.
TENANT_KEY = "kite.tenant"


def tenant_of(request: Request) -> TenantId:
    """Return whose request this is: the tenant that authentication put into the scope, else the default.

    A sender cannot name it: the scope is made by the server and the middleware.
    """
    tenant: TenantId = request.scope.get(TENANT_KEY, DEFAULT_TENANT)
    return tenant
