"""Gives every request an id: the sender's if it is sane, else a new one. Outermost, so every log line has it.

Takes a valid W3C ``traceparent`` along for the logs, and answers with ``X-Request-ID``. Notes the status of
the answer for those who watch, so that it passes through one more hand and not through three.
"""

from __future__ import annotations

import re
import uuid

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.context import REQUEST_ID, STATUS_KEY, TRACEPARENT

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


class RequestIdMiddleware:
    """Sets the context variables of ``api.context`` for one request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with the ids set."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = {name: value for name, value in scope["headers"] if name in (b"x-request-id", b"traceparent")}
        sent_id = given.get(b"x-request-id", b"")
        request_id = sent_id if _SANE_ID.fullmatch(sent_id) else uuid.uuid4().hex.encode()
        trace = given.get(b"traceparent", b"")
        id_token = REQUEST_ID.set(request_id.decode())
        trace_token = TRACEPARENT.set(trace.decode() if _TRACEPARENT.fullmatch(trace) else "")

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                scope[STATUS_KEY] = message["status"]
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", request_id)]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            REQUEST_ID.reset(id_token)
            TRACEPARENT.reset(trace_token)
