"""Which web pages of other origins may call the API from a browser (CORS): those that settings name exactly.

Credentials of the browser's own (cookies) are never allowed: a page shows a key or token in a header. A
preflight is answered here, without a credential, for browsers send none with it.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: What a page may send, and what it may read of an answer.
SENT = (
    "Authorization",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "X-API-Key",
    "X-Kite-Tenant",
    "X-Request-ID",
)
READ = (
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Knowledge-Seq",
    "X-Next-Cursor",
    "X-Request-ID",
    "X-Total-Count",
)
#: How long a browser may remember a preflight's answer, seconds.
MAX_AGE_S = 600


class CrossOriginMiddleware:
    """Starlette's CORS for exact origins, and ``Vary: Origin`` on every answer, to whomever it goes."""

    def __init__(self, app: ASGIApp, *, origins: Sequence[str]) -> None:
        self._app = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=METHODS,
            allow_headers=SENT,
            expose_headers=READ,
            max_age=MAX_AGE_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a preflight, or run the app."""

        async def send_varied(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=list(message.get("headers", ())))
                headers.add_vary_header("Origin")
                message = {**message, "headers": headers.raw}
            await send(message)

        await self._app(scope, receive, send_varied)
