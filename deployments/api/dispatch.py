"""Finds a request's handler by its path in one look-up, where the framework's router tries route after route.

Innermost of the middleware. Whatever is not in the table (another method, a page's files, no such path) goes
on to the framework, which also has every route and words the refusals.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.routing import compile_path
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.api.openapi import Handler


@dataclass(frozen=True, slots=True)
class Route:
    """A handler and where it stands; what the request log reads of it is its path."""

    method: str
    path: str
    handler: Handler


class DispatchMiddleware:
    """Hands a request to the handler of its route."""

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._whole: dict[tuple[str, str], Route] = {}
        #: Routes with parameters, by method and number of parts: those that are left are tried in order.
        self._open: dict[tuple[str, int], list[tuple[Any, Any, Route]]] = {}
        for route in routes:
            if "{" not in route.path:
                self._whole[route.method, route.path] = route
            else:
                compiled, _, convertors = compile_path(route.path)
                expression = re.compile(compiled.pattern, re.DOTALL)  # an id may hold a line's end
                place = (route.method, route.path.count("/"))
                self._open.setdefault(place, []).append((expression, convertors, route))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the handler, or the framework where there is none."""
        found = self._find(scope) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = found
        response = await found.handler(Request(scope, receive, send))
        await response(scope, receive, send)

    def _find(self, scope: Scope) -> Route | None:
        method, path = scope["method"], scope["path"]
        whole = self._whole.get((method, path))
        if whole is not None:
            return whole
        for expression, convertors, route in self._open.get((method, path.count("/")), ()):
            match = expression.match(path)
            if match:
                told = match.groupdict()
                scope["path_params"] = {name: convertors[name].convert(text) for name, text in told.items()}
                return route
        return None
