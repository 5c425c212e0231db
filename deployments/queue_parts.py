"""Puts a worker's parts together: the handler of queued tasks, and that of a stream. Plain Python.

Called by the workers' replica and by tests; both handlers answer through the verifier that they are given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

from configs.schema import Settings
from data.access.desk import AccessLedger
from data.access.directory import AccessDirectory
from data.claims import TenantId
from data.parts import Parts
from data.standing import unknown_edition
from data.traces import Tracer
from deployments.assembly import check_framework_settings
from deployments.stream_handler import StreamVerifyHandler
from deployments.task_handler import WHOLE_ATTEMPTS, Answer, Standing, VerifyHandler, everybody
from deployments.task_standing import TenantStanding


def build_standing(
    settings: Settings, ledger: AccessLedger, edition: Callable[[], Hashable | None] = unknown_edition
) -> Standing:
    """Return what tells whether a tenant's tasks are still done: everybody's where nobody needs a key."""
    if settings.auth.mode != "required":
        return everybody
    directory = AccessDirectory(ledger.access_changes, refresh_s=settings.auth.refresh_s, edition=edition)
    return TenantStanding(directory)


def build_task_handler(
    settings: Settings,
    answer: Answer,
    loop: asyncio.AbstractEventLoop,
    standing: Standing,
    *,
    tracer: Tracer | None = None,
) -> VerifyHandler:
    """Return the handler of queued claims."""
    attempts = min(WHOLE_ATTEMPTS, settings.queue.max_attempts)
    return VerifyHandler(answer, loop, standing=standing, whole_attempts=attempts, tracer=tracer)


def build_stream_handler(
    settings: Settings, parts: Parts, verify: VerifyHandler, loop: asyncio.AbstractEventLoop
) -> StreamVerifyHandler:
    """Return the handler of a stream's claims."""

    async def seq_at(moment: str) -> int:
        return await asyncio.to_thread(parts.reader.seq_at, moment)

    return StreamVerifyHandler(
        verify,
        loop,
        frameworks=tuple(check_framework_settings(settings)),
        seq_at=seq_at,
        tenant=TenantId(settings.queue.stream.tenant),
    )
