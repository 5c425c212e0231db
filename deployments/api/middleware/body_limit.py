"""Stops bodies that are too large: by declared length before a byte is read, and while they stream."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.errors import BodyTooLargeError


class BodyLimitMiddleware:
    """Raises ``BodyTooLargeError`` once a body has, or is said to have, more than ``limit_bytes``.

    ``advice`` says, by the end of a path, what its sender can do instead.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, advice: Mapping[str, str] | None = None) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._advice = dict(advice or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with a counted ``receive``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and int(declared[:20]) > self._limit_bytes:
            raise self._too_large(scope["path"])
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit_bytes:
                raise self._too_large(scope["path"])
            return message

        await self._app(scope, receive_counted, send)

    def _too_large(self, path: str) -> BodyTooLargeError:
        found = (words for end, words in self._advice.items() if path.endswith(end))
        advice = next(found, "send fewer or shorter texts at once")
        return BodyTooLargeError(f"The body is larger than {self._limit_bytes} bytes: {advice}.")
