"""The replica of ``tests.benchmarks.observability``: the gateway four times, watched and not."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from fastapi import FastAPI
from ray import cloudpickle
from starlette.types import Receive, Scope, Send

from configs.trace_settings import TraceSettings
from deployments import replica
from deployments.api.middleware.observe import ObserveMiddleware
from deployments.metrics import Meter
from deployments.replica import GatewayReplica, log_handler, without_request_id

PREFIX = "/watched"


class Unwatched(Meter):
    """A meter that counts nothing."""

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Do nothing."""

    def cached(self, hits: int, misses: int) -> None:
        """Do nothing."""

    def counted(self, answer: Any) -> Any:
        """Return ``answer`` as it is."""
        return answer

    def watched(self, frameworks: Mapping[str, Any]) -> dict[str, Any]:
        """Return the frameworks as they are."""
        return dict(frameworks)


class WatchedDoors(GatewayReplica):
    """``/off/…``, ``/on/…``, ``/slow/…`` and ``/all/…`` over the same actors and frameworks."""

    def __serve_build_asgi_app__(self) -> Any:
        """Return the ASGI application."""
        from deployments.api.logs import configure_logging

        configure_logging(self._settings.log, log_handler())
        slow = self._settings.traces
        apps = {
            f"{PREFIX}/off": self._door(Unwatched, TraceSettings()),
            f"{PREFIX}/on": self._door(Meter, msgspec.structs.replace(slow, slow_ms=None)),
            f"{PREFIX}/slow": self._door(Meter, slow),
            f"{PREFIX}/all": self._door(Meter, msgspec.structs.replace(slow, sample_ratio=1.0)),
        }

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                return await apps[f"{PREFIX}/all"](scope, receive, send)
            path = scope["path"] if scope["path"].startswith(PREFIX) else PREFIX + scope["path"]
            name = "/".join(path.split("/")[:3])
            return await apps[name]({**scope, "path": path[len(name) :], "root_path": ""}, receive, send)

        return served

    def _door(self, meter: Callable[[], Meter], traces: TraceSettings) -> Any:
        from deployments.api.asgi import create_app

        settings, replica.Meter = self._settings, meter  # type: ignore[misc,assignment]
        self._settings = msgspec.structs.replace(settings, traces=traces)
        try:
            app: FastAPI = create_app(self._services())
        finally:
            self._settings, replica.Meter = settings, Meter  # type: ignore[misc]
        if meter is Unwatched:
            app.user_middleware = [each for each in app.user_middleware if each.cls is not ObserveMiddleware]
        return without_request_id(app)


def watched_doors() -> type[WatchedDoors]:
    """Return the class, which travels to the replica as it is here."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return WatchedDoors
