"""Counts and logs every finished request by route template, method, status and seconds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.api.context import CLIENT_GONE, STATUS_KEY

_LOG = logging.getLogger("kite.access")
#: Methods counted by name; anything else a client makes up is one label, so that labels stay few.
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
#: What is the same in every line: neither caller nor process nor thread has to be looked up for one.
_LINE = vars(logging.LogRecord(_LOG.name, logging.INFO, __file__, 0, "request", None, None))


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
        try:
            await self._app(scope, receive, send)
        finally:
            self._record(scope, scope.get(STATUS_KEY, CLIENT_GONE), time.perf_counter() - started)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        route = route_of(scope) or "unmatched"
        method = scope["method"] if scope["method"] in METHODS else "OTHER"
        self._observe(route, method, status, seconds)
        if _LOG.isEnabledFor(logging.INFO):
            fields = {"route": route, "method": method, "status": status, "ms": round(seconds * 1000, 3)}
            record = logging.LogRecord.__new__(logging.LogRecord)
            vars(record).update(_LINE, created=time.time(), fields=fields)
            _LOG.handle(record)


def route_of(scope: Scope) -> str:
    """Return the template of a request's route, empty where there is none."""
    return str(getattr(scope.get("route"), "path", ""))
