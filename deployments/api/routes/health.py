"""``/health``, its two probes, and ``/metrics``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.errors import UnavailableError
from deployments.api.errors import NotReadyError
from deployments.api.responses import json_response
from deployments.services import HealthReport, Services
from deployments.sessions.lifecycle import Sessions

#: Content types of the Prometheus text format, and of OpenMetrics for those who ask for it.
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS_TYPE = "application/openmetrics-text; version=1.0.0; charset=utf-8"


class HealthRoutes:
    """Says how the service is. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sessions = Sessions(services)

    async def health(self, _request: Request) -> Response:
        """Report on every framework and store; 200 whatever the state, for it is a report and not a probe."""
        report = await self._services.health()
        sessions = await self._active_sessions()
        answer = {
            "status": "degraded" if sessions is None and _status(report) == "healthy" else _status(report),
            "service": "brahminy-kite",
            "version": self._services.version,
            "services": {name: _service(report, name) for name in sorted(report.services)},
            "dependencies": {name: report.services[name].state for name in sorted(report.services)},
            "active_sessions": sessions,
            "timestamp": datetime.fromtimestamp(self._services.clock.now_s(), UTC).isoformat(),
        }
        return json_response(answer, headers={"Cache-Control": "no-store"})

    async def live(self, _request: Request) -> Response:
        """Answer at all: asks nobody."""
        return json_response({"status": "alive"})

    async def ready(self, _request: Request) -> Response:
        """Say whether claims can be answered.

        Raises:
            NotReadyError: a required part is down; names it.
        """
        report = await self._services.health()
        failing = _failing(report)
        if failing:
            raise NotReadyError(f"Not ready: {', '.join(failing)} down.", failing)
        return json_response({"status": "ready"})

    async def metrics(self, request: Request) -> Response:
        """Return the metrics in the Prometheus text format, or as OpenMetrics where that is asked for."""
        told = {"Vary": "Accept"}
        open_metrics = self._services.open_metrics
        if open_metrics is not None and asks_for_open_metrics(request.headers.get("accept", "")):
            return Response(await open_metrics(), headers={**told, "Content-Type": OPEN_METRICS_TYPE})
        return Response(await self._services.metrics(), headers={**told, "Content-Type": METRICS_TYPE})

    async def _active_sessions(self) -> int | None:
        try:
            return await self._sessions.count_active()
        except UnavailableError:
            return None


def asks_for_open_metrics(accept: str) -> bool:
    """Return whether an ``Accept`` header names OpenMetrics and does not refuse it."""
    for one in accept.lower().split(","):
        kind, *said = (word.strip() for word in one.split(";"))
        if kind == "application/openmetrics-text":
            return not any(re.fullmatch(r"q=0(\.0*)?", word) for word in said)
    return False


def _failing(report: HealthReport) -> list[str]:
    """Return the required parts that are down or unknown, sorted."""
    return sorted(
        name
        for name in report.required
        if name not in report.services or report.services[name].state == "down"
    )


def _status(report: HealthReport) -> str:
    if _failing(report):
        return "unhealthy"
    return "healthy" if all(state.state == "up" for state in report.services.values()) else "degraded"


def _service(report: HealthReport, name: str) -> dict[str, Any]:
    state = report.services[name]
    return {
        "state": state.state,
        "latency_ms": state.latency_ms,
        "breaker": state.breaker,
        "detail": state.detail,
        "required": name in report.required,
    }
