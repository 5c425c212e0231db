"""``/admin/frameworks``: frameworks switched off and on, and weighed, for all replicas within a second."""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.errors import UnavailableError
from deployments.api.admin_schemas import FrameworkRequest
from deployments.api.admin_values import moment
from deployments.api.context import principal_of
from deployments.api.reading import fit, json_body, misfit
from deployments.api.responses import json_response
from deployments.framework_desk import FrameworkDesk, FrameworkStanding
from deployments.services import Services


class FrameworkRoutes:
    """How frameworks stand. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def _desk(self) -> FrameworkDesk:
        if self._services.framework_desk is None:
            raise UnavailableError("This installation cannot change its frameworks while it runs.")
        return self._services.framework_desk

    async def listing(self, request: Request) -> Response:
        """List every framework: whether it is asked, its weight, and who said so."""
        del request
        found = await asyncio.to_thread(self._desk.all)
        return json_response([framework_answer(one) for one in found])

    async def show(self, request: Request) -> Response:
        """Show how a framework stands."""
        return _told(await asyncio.to_thread(self._desk.one, request.path_params["name"]))

    async def change(self, request: Request) -> Response:
        """Switch a framework off or on, or weigh it where a request names no weights.

        It holds for every replica within a second, for every tenant, and over restarts. Answers name another
        ``model_bundle`` then; switched back, they are what they were, byte for byte.
        """
        asked = fit(FrameworkRequest, await json_body(request))
        wish = {name: value for name, value in asked.model_dump().items() if value is not None}
        if not wish:
            raise misfit("enabled", "or weight is needed: say what is to be different")
        return _told(
            await asyncio.to_thread(
                self._desk.say, request.path_params["name"], wish, actor=principal_of(request).subject
            )
        )

    async def forget(self, request: Request) -> Response:
        """Take back what was said of a framework: the settings count again."""
        name, actor = request.path_params["name"], principal_of(request).subject
        return _told(await asyncio.to_thread(self._desk.forget, name, actor=actor))


def framework_answer(one: FrameworkStanding) -> dict[str, Any]:
    """Return a framework as it is shown; a word that was taken back is none."""
    word = one.word
    if word is None or (word.enabled is None and word.weight is None):
        told = None
    else:
        told = {
            "enabled": word.enabled,
            "weight": word.weight,
            "changed_at": moment(word.changed_s),
            "actor": word.actor,
        }
    return {"name": one.name, "enabled": one.enabled, "weight": one.weight, "word": told}


def _told(one: FrameworkStanding) -> Response:
    return json_response(framework_answer(one))
