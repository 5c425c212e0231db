"""Stops bodies that are too large: by declared length before a byte is read, and while they stream."""

from __future__ import annotations

from collections.abc import Mapping
from re import Pattern

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.api.errors import BodyTooLargeError


class BodyLimitMiddleware:
    """Raises ``BodyTooLargeError`` once a body has, or is said to have, more than ``limit_bytes``.

    ``advice`` says, by the end of a path, what its sender can do instead; ``larger`` has the limits of paths
    that take more.
    """

    def __init__(
        self,
        app: ASGIApp,
        limit_bytes: int,
        advice: Mapping[str, str] | None = None,
        larger: Mapping[Pattern[str], int] | None = None,
    ) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._advice = dict(advice or {})
        self._larger = dict(larger or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app with a counted ``receive``."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        limit = self._limit_of(scope["path"])
        declared = next((value for name, value in scope["headers"] if name == b"content-length"), b"")
        if declared.isdigit() and int(declared[:20]) > limit:
            raise self._too_large(scope["path"], limit)
        seen = 0

        async def receive_counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > limit:
                raise self._too_large(scope["path"], limit)
            return message

        await self._app(scope, receive_counted, send)

    def _limit_of(self, path: str) -> int:
        found = (limit for pattern, limit in self._larger.items() if pattern.match(path))
        return next(found, self._limit_bytes)

    def _too_large(self, path: str, limit: int) -> BodyTooLargeError:
        found = (words for end, words in self._advice.items() if path.endswith(end))
        advice = next(found, "send fewer or shorter texts at once")
        return BodyTooLargeError(f"The body is larger than {limit} bytes: {advice}.")
