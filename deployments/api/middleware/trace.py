"""The first span of every request, outside everything that takes time but the id of the request.

Takes a caller's ``traceparent`` as its parent, and is what log lines name from there on. Says by which route
and for which tenant a request came, and how it ended; nothing of its path, its query or its body.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from data.access.principal import Principal
from data.traces import Tracer
from data.tracing import Kind, OpenSpan
from deployments.api.context import CLIENT_GONE, PRINCIPAL_KEY, STATUS_KEY, TRACEPARENT
from deployments.api.middleware.observe import METHODS, route_of
from deployments.metrics import MOST_TENANTS, Bounded

#: Asked every few seconds by machines, and of no interest one by one.
_UNTRACED = ("/health", "/metrics", "/api/v1/health", "/api/v1/metrics")


class TraceMiddleware:
    """Begins a trace a request, if the tracer wants one."""

    def __init__(self, app: ASGIApp, tracer: Tracer) -> None:
        self._app = app
        self._tracer = tracer
        self._tenant = Bounded(MOST_TENANTS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app within the request's span."""
        if scope["type"] != "http" or scope["path"].startswith(_UNTRACED):
            await self._app(scope, receive, send)
            return
        root = self._tracer.root("HTTP", Kind.SERVER, parent=TRACEPARENT.get())
        if not isinstance(root, OpenSpan):
            await self._app(scope, receive, send)
            return
        token = TRACEPARENT.set(root.context())
        try:
            with root:
                try:
                    await self._app(scope, receive, send)
                finally:
                    self._say(root, scope, scope.get(STATUS_KEY, CLIENT_GONE))
        finally:
            TRACEPARENT.reset(token)

    def _say(self, root: OpenSpan, scope: Scope, status: int) -> None:
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        route = route_of(scope)
        root.name = f"{method} {route}" if route else method
        root.note("http.request.method", method)
        root.note("http.response.status_code", status)
        root.note("url.scheme", scope["scheme"])
        if route:
            root.note("http.route", route)
        principal: Principal | None = scope.get(PRINCIPAL_KEY)
        if principal is not None:
            root.note("kite.tenant", self._tenant(str(principal.tenant)))
        if status >= 500 or status == CLIENT_GONE:
            root.fault = str(status)
