"""Takes away what a client must not decide, and a trailing slash.

``x-request-timeout-seconds`` would let a client lift the server's own time limit further in, so it never gets
there.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

_STRIPPED = frozenset({b"x-request-timeout-seconds"})


class ClientHeadersMiddleware:
    """Edits the scope in place, so that middleware outside sees the route that was found."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app on the edited scope."""
        if scope["type"] == "http":
            headers = scope["headers"]
            if any(name.lower() in _STRIPPED for name, _ in headers):
                scope["headers"] = [pair for pair in headers if pair[0].lower() not in _STRIPPED]
            path = scope["path"]
            if len(path) > 1 and path.endswith("/"):
                scope["path"] = path.rstrip("/") or "/"
        await self._app(scope, receive, send)
