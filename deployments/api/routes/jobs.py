"""``/jobs``: jobs taken in, listed, shown, followed, stopped and removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from data.claims import TenantId
from data.errors import InvalidValueError, NotFoundError, UnavailableError
from data.jobs.records import JobKind, JobState
from deployments.api.context import pay_for_items, principal_of, tenant_of
from deployments.api.job_wire import JobRequest, job_answer
from deployments.api.knowledge_requests import location_of
from deployments.api.paging import read_limit
from deployments.api.repeats import Repeats
from deployments.api.responses import json_response
from deployments.api.vector_requests import MAX_OFFSET, read_body, read_choice, read_count, read_flag
from deployments.job_desk import LOG_BLOCK, JobDesk
from deployments.online_batch import OnlineBatch
from deployments.services import Services

#: How often a log that is followed is looked at, seconds.
LOOK_S = 0.25
LOG_TYPE = "text/plain"
NDJSON_TYPE = "application/x-ndjson"
#: Longest id of a job in a cursor.
_MAX_CURSOR = 63
#: Keeps the middleware from packing a log: it would hold lines back.
_AS_IT_IS = {"Content-Encoding": "identity", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class JobRoutes:
    """Answers about jobs. One a process."""

    def __init__(self, services: Services, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._services = services
        self._repeats = Repeats(services.store)
        self._pause = pause
        self._online = OnlineBatch(
            services.answer, services.frameworks, services.seq_at, tracer=services.tracer
        )
        self._at_work: set[asyncio.Task[None]] = set()

    @property
    def _desk(self) -> JobDesk:
        if self._services.jobs is None:
            raise UnavailableError("This installation runs no jobs.")
        return self._services.jobs

    async def submit(self, request: Request) -> Response:
        """Have a job done in the background; ask for it to see how it stands.

        What ``args`` may hold depends on the kind; paths lie in places that the settings name.
        """
        asked = await read_body(request, JobRequest)
        who, desk = principal_of(request), self._desk

        async def answer() -> Response:
            args = await asyncio.to_thread(desk.checked, who, asked.kind, asked.args)
            await pay_for_items(request, len(args.get("claims", ())))
            seen, online = await asyncio.to_thread(desk.submit, who, asked.kind, asked.args)
            if online is not None:
                work = self._online.run(online.folder, online.claims, args, who.tenant)
                self._at_work.add(task := asyncio.create_task(work))
                task.add_done_callback(self._at_work.discard)
            headers = {"Location": location_of(request, seen.record.id)}
            return json_response(job_answer(seen), status=202, headers=headers)

        return await self._repeats.once(request, answer)

    async def listing(self, request: Request) -> Response:
        """List your jobs, newest first, without their reports; ``X-Next-Cursor`` leads to older ones."""
        query = request.query_params
        limit, before = read_limit(query), query.get("cursor", "")
        if len(before) > _MAX_CURSOR:
            raise InvalidValueError("cursor is not one that was given out: leave it out to begin again.")
        found = await asyncio.to_thread(
            self._desk.page,
            tenant_of(request),
            state=read_choice(query, "state", JobState),
            kind=read_choice(query, "kind", JobKind),
            before=before,
            limit=limit + 1,
        )
        headers = {"X-Next-Cursor": found[limit - 1].record.id} if len(found) > limit else None
        return json_response([job_answer(seen) for seen in found[:limit]], headers=headers)

    async def show(self, request: Request) -> Response:
        """Tell how a job stands, how far it is, and what it reported."""
        seen = await asyncio.to_thread(self._desk.seen, *_names(request))
        return json_response(job_answer(seen))

    async def delete(self, request: Request) -> Response:
        """Have a job stop; one that has ended stays as it is, or goes with its files with ``remove``."""
        work = self._desk.remove if read_flag(request.query_params, "remove") else self._desk.stop
        seen = await asyncio.to_thread(work, principal_of(request), request.path_params["job_id"])
        return json_response(job_answer(seen), status=200 if seen.record.state.is_final else 202)

    async def logs(self, request: Request) -> Response:
        """Send what a job printed, from a byte on; with ``follow`` until it has ended, an hour at most."""
        tenant, job_id = _names(request)
        query = request.query_params
        offset = read_count(query, "offset", default=0, least=0, most=MAX_OFFSET)
        looks = int(self._services.limits.log_follow_s / LOOK_S) if read_flag(query, "follow") else 0
        await asyncio.to_thread(self._desk.read_log, tenant, job_id, 0)
        lines = self._lines(tenant, job_id, offset=offset, looks=looks)
        return StreamingResponse(lines, media_type=LOG_TYPE, headers=_AS_IT_IS)

    async def output(self, request: Request) -> Response:
        """Send the rows of a verify_batch job that named no output, as JSON Lines, when it has ended."""
        files = await asyncio.to_thread(self._desk.rows, *_names(request))
        return StreamingResponse(_blocks(files), media_type=NDJSON_TYPE, headers=_AS_IT_IS)

    async def _lines(self, tenant: TenantId, job_id: str, *, offset: int, looks: int) -> AsyncIterator[bytes]:
        """Yield what a log holds from an offset on, and look again so often at its end."""
        while True:
            try:
                block, has_ended = await asyncio.to_thread(self._desk.read_log, tenant, job_id, offset)
            except NotFoundError:  # removed meanwhile
                return
            if block:
                offset += len(block)
                yield block
            elif has_ended or not looks:
                return
            else:
                looks -= 1
                await self._pause(LOOK_S)


async def _blocks(files: Sequence[Path]) -> AsyncIterator[bytes]:
    for path in files:
        with path.open("rb") as file:
            while block := await asyncio.to_thread(file.read, LOG_BLOCK):
                yield block


def _names(request: Request) -> tuple[TenantId, str]:
    return tenant_of(request), request.path_params["job_id"]
