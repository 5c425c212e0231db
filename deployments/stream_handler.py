"""What a consumer does with a batch of a stream: reads requests as ``/verify`` does, and answers alike.

Run by the workers' deployment through ``data.streams.worker``. All claims of a stream are one tenant's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from data.claims import TenantId
from data.errors import RequestError
from data.queue.worker import TaskFault, fault_of
from data.streams.ports import Entry
from deployments.api.reading import QuestionReader, decode
from deployments.task_documents import QueuedQuestion
from deployments.task_handler import Ask, VerifyHandler

SeqAt = Callable[[str], Awaitable[int]]


class StreamVerifyHandler:
    """Answers entries whose bodies are requests as ``POST /verify`` takes them. Any thread but the loop's."""

    def __init__(
        self,
        verify: VerifyHandler,
        loop: asyncio.AbstractEventLoop,
        *,
        frameworks: tuple[str, ...],
        seq_at: SeqAt,
        tenant: TenantId,
    ) -> None:
        self._verify = verify
        self._loop = loop
        self._frameworks = frameworks
        self._seq_at = seq_at
        self._tenant = tenant

    def __call__(self, entries: list[Entry]) -> list[bytes | TaskFault]:
        """Return the document of each entry, or why there is none."""
        reading = asyncio.run_coroutine_threadsafe(self._read(entries), self._loop)
        return self._verify.answers(reading.result())

    async def _read(self, entries: list[Entry]) -> list[Ask | TaskFault]:
        reader = QuestionReader(self._frameworks, self._seq_at, self._tenant)
        return [await self._ask(reader, entry) for entry in entries]

    async def _ask(self, reader: QuestionReader, entry: Entry) -> Ask | TaskFault:
        try:
            item: Any = decode(entry.body)
            asked = await reader.read(item)
        except RequestError as exc:
            return fault_of(exc)
        return Ask(self._tenant, QueuedQuestion(asked.question, None, asked.with_latency), entry.deliveries)
