"""``GET /rate-limits`` and ``/rate-limits/usage``: what a tenant may spend, and what it has spent."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.errors import UnavailableError
from data.limits.gcra import WindowUse
from deployments.api.context import tenant_of
from deployments.api.responses import json_response
from deployments.limiter import Limiter
from deployments.services import Services


class LimitRoutes:
    """Shows a tenant its limits. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def policy(self, request: Request) -> Response:
        """Show your tenant's limits, in cost units; ``enabled`` says whether they are kept here."""
        told = msgspec.to_builtins(self._limiter().policy(tenant_of(request)))
        return json_response({**told, "enabled": self._services.access.limits_enabled})

    async def usage(self, request: Request) -> Response:
        """Show what your tenant has spent of its minute, hour and day, as a whole and by operation."""
        found = await self._limiter().usage(tenant_of(request))
        return json_response(
            {
                "tenant_id": found.tenant,
                "windows": _shown(found.windows),
                "operations": {name: _shown(windows) for name, windows in found.operations.items()},
            }
        )

    def _limiter(self) -> Limiter:
        if self._services.access.limiter is None:
            raise UnavailableError("This installation keeps no limits.")
        return self._services.access.limiter


def _shown(windows: list[WindowUse]) -> dict[str, Any]:
    return {
        one.window: {
            "limit": one.limit,
            "used": round(one.used, 6),
            "remaining": round(one.remaining, 6),
            "reset_s": round(one.reset_s, 3),
        }
        for one in windows
    }
