"""Where every exception becomes a problem+json answer, and where a request runs out of time.

A client's error is answered and not logged as an exception; one that nobody foresaw is logged once, by type
and place (its message may quote a claim), and answered with a blank 500.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from re import Pattern

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from data.errors import DeadlineError
from deployments.api.errors import kind_of, problem
from deployments.api.logs import describe_exception

_LOG = logging.getLogger("kite.errors")


class BoundaryMiddleware:
    """Runs the app for at most ``timeout_s`` seconds and answers whatever it raises.

    ``longer`` has the times of paths that may take more.
    """

    def __init__(
        self, app: ASGIApp, timeout_s: float, longer: Mapping[Pattern[str], float] | None = None
    ) -> None:
        self._app = app
        self._timeout_s = timeout_s
        self._longer = dict(longer or {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the app; raise only when the answer had begun."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def send_noting_begin(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._run(scope, receive, send_noting_begin)
        except ClientDisconnect:
            return
        except Exception as exc:
            _log(exc)
            if begun:
                raise
            await problem(exc)(scope, receive, send)

    async def _run(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = (time_s for pattern, time_s in self._longer.items() if pattern.match(scope["path"]))
        timeout_s = next(found, self._timeout_s)
        try:
            async with asyncio.timeout(timeout_s) as limit:
                await self._app(scope, receive, send)
        except TimeoutError as exc:
            if limit.expired():
                raise DeadlineError(f"The request took more than {timeout_s:g} s.") from exc
            raise


def _log(exc: Exception) -> None:
    kind = kind_of(exc)
    if kind.status < 500:
        return
    fields = {"code": kind.slug, "exception": describe_exception(exc)}
    if kind.status == 500:
        _LOG.error("unhandled exception", extra={"fields": fields})
    else:
        _LOG.warning(
            "request not answered", extra={"fields": {"code": kind.slug, "type": type(exc).__name__}}
        )
