"""Counts and logs every finished request by route template, method, status and seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOG = logging.getLogger("kite.access")
#: Methods counted by name; anything else a client makes up is one label, so that labels stay few.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: Status recorded when the client went away before an answer began.
CLIENT_GONE = 499


class NotedStatus:
    """A ``send`` that notes the status of the answer."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = CLIENT_GONE

    async def __call__(self, message: Message) -> None:
        """Send on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        await self._send(message)


class ObserveMiddleware:
    """Calls ``observe(route template, method, status, seconds)`` once a request."""

    def __init__(self, app: ASGIApp, observe: Callable[[str, str, int, float], None]) -> None:
        self._app = app
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app and measure it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        noted = NotedStatus(send)
        try:
            await self._app(scope, receive, noted)
        finally:
            self._record(scope, noted.status, time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope) or "unmatched"
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._observe(route, method, status, seconds)
        if _LOG.isEnabledFor(logging.INFO):
            fields = {"route": route, "method": method, "status": status, "ms": round(seconds * 1000, 3)}
            _LOG.info("request", extra={"fields": fields})


def route_of(scope: Scope) -> str:
    """Return the template of a request's route, empty where there is none."""
    return str(getattr(scope.get("route"), "path", ""))
