"""Tells browsers what they must not do with an answer; on every answer, errors included.

What a route says itself stays: pages have a policy of their own, and may be kept. Source of the values: OWASP
REST Security Cheat Sheet and HTTP Security Response Headers Cheat Sheet, as of 2025.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.context import PRINCIPAL_KEY

#: Two years, the least that browsers' own lists take.
HSTS = "max-age=63072000; includeSubDomains"
HEADERS = {
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


_NO_STORE = (b"cache-control", b"no-store")


class SecurityHeadersMiddleware:
    """Adds what is missing of ``HEADERS``; ``hsts`` where callers come by TLS.

    No cache keeps an answer to a caller who was let in, nor an error.
    """

    def __init__(self, app: ASGIApp, *, hsts: bool) -> None:
        self._app = app
        headers = {**HEADERS, "strict-transport-security": HSTS} if hsts else HEADERS
        self._headers = [(name.encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app and complete the headers of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_private = PRINCIPAL_KEY in scope or message["status"] >= 400
                wanted = [*self._headers, _NO_STORE] if is_private else self._headers
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                missing = [pair for pair in wanted if pair[0] not in names]
                message = {**message, "headers": given + missing}
            await send(message)

        await self._app(scope, receive, send_secured)
