"""``/schedules``: schedules of jobs made, listed, shown, changed and removed."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.errors import UnavailableError
from data.jobs.schedules import Schedule
from deployments.api.context import principal_of, tenant_of
from deployments.api.knowledge_requests import location_of
from deployments.api.repeats import Repeats
from deployments.api.responses import json_response
from deployments.api.schedule_wire import ScheduleRequest, schedule_answer, wish_of
from deployments.api.vector_desk import require_match, tag_of
from deployments.api.vector_requests import read_body
from deployments.schedule_desk import ScheduleDesk
from deployments.services import Services


class ScheduleRoutes:
    """Answers about schedules. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._repeats = Repeats(services.store)

    @property
    def _desk(self) -> ScheduleDesk:
        if self._services.schedules is None:
            raise UnavailableError("This installation keeps no schedules.")
        return self._services.schedules

    async def create(self, request: Request) -> Response:
        """Keep a schedule: jobs are submitted at its times from now on, in your tenant.

        Times that pass while the service is down are made up for by one job.
        """
        wish = wish_of(await read_body(request, ScheduleRequest))

        async def answer() -> Response:
            made = await asyncio.to_thread(self._desk.create, principal_of(request), wish)
            return self._told(made, status=201, location=location_of(request, made.id))

        return await self._repeats.once(request, answer)

    async def listing(self, request: Request) -> Response:
        """List your schedules, oldest first; there are at most 1,000."""
        found = await asyncio.to_thread(self._desk.of, tenant_of(request))
        now_s = self._services.clock.now_s()
        return json_response([schedule_answer(schedule, now_s) for schedule in found])

    async def show(self, request: Request) -> Response:
        """Show a schedule, and when it is due next."""
        return self._told(await self._found(request))

    async def change(self, request: Request) -> Response:
        """Put a schedule in place of one; times before now are not made up for. ``If-Match`` guards it."""
        wish = wish_of(await read_body(request, ScheduleRequest))

        async def answer() -> Response:
            require_match(request, _content(await self._found(request)), "schedule")
            schedule_id = request.path_params["schedule_id"]
            return self._told(
                await asyncio.to_thread(self._desk.change, principal_of(request), schedule_id, wish)
            )

        return await self._repeats.once(request, answer)

    async def delete(self, request: Request) -> Response:
        """Remove a schedule; the jobs that it began stay."""
        if "if-match" in request.headers:
            require_match(request, _content(await self._found(request)), "schedule")
        schedule_id = request.path_params["schedule_id"]
        return self._told(await asyncio.to_thread(self._desk.remove, principal_of(request), schedule_id))

    async def _found(self, request: Request) -> Schedule:
        return await asyncio.to_thread(
            self._desk.find, tenant_of(request), request.path_params["schedule_id"]
        )

    def _told(self, schedule: Schedule, *, status: int = 200, location: str | None = None) -> Response:
        headers = {"ETag": f'"{tag_of(_content(schedule))}"'}
        if location is not None:
            headers["Location"] = location
        told = schedule_answer(schedule, self._services.clock.now_s())
        return json_response(told, status=status, headers=headers)


def _content(schedule: Schedule) -> Any:
    """Return what a tag stands for: the schedule, and not when it is due next."""
    return msgspec.to_builtins(schedule)
