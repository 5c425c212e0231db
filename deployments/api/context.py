"""Id, trace and sender of the request at hand: set by the middleware and the guard, read by routes and logs.

Id and trace are context variables, so concurrent requests never see each other's values; the principal
stands in the request's own scope.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import ContextVar

from starlette.requests import Request

from data.access.principal import Principal
from data.claims import TenantId

#: Id of the request at hand; empty outside a request.
REQUEST_ID: ContextVar[str] = ContextVar("kite_request_id", default="")
#: W3C ``traceparent`` of the request at hand, when its sender gave a valid one.
TRACEPARENT: ContextVar[str] = ContextVar("kite_traceparent", default="")
#: Where in the ASGI scope the guard puts the principal, and what charges for items of the body.
PRINCIPAL_KEY, SPEND_KEY = "kite.principal", "kite.spend"
#: Where in the ASGI scope the status of the answer stands once it has begun.
STATUS_KEY = "kite.status"
#: Status recorded when the client went away before an answer began.
CLIENT_GONE = 499

Spend = Callable[[int], Awaitable[None]]


def principal_of(request: Request) -> Principal:
    """Return who sent this request, as the guard found out.

    Raises:
        KeyError: no guard stands in front of this route, which must not be.
    """
    principal: Principal = request.scope[PRINCIPAL_KEY]
    return principal


def tenant_of(request: Request) -> TenantId:
    """Return whose request this is. A sender cannot choose it: it follows from the credential."""
    return principal_of(request).tenant


async def pay_for_items(request: Request, items: int) -> None:
    """Charge for all ``items`` of a body beyond the first, which the guard has charged for.

    Raises:
        RateLimitedError: they are more than the limits allow now.
    """
    spend: Spend = request.scope[SPEND_KEY]
    if items > 1:
        await spend(items - 1)
