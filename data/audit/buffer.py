"""From a replica to the audit: what must be there before the answer is awaited, the rest goes in groups.

Used by the ingress, one a process, in its event loop. Invariant: at most ``MOST_WAITING`` events wait; what
finds no room is counted, and the count becomes a line as soon as lines can be written again. A group is
written again under its name until it is there, so nothing stands twice. Calls of one sender that a limit
turned away while a group waits are one line that counts them: who asks far too much must not fill the audit.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus

from data.access.records import SYSTEM_TENANT
from data.audit.event import AuditEvent
from data.audit.port import AuditSink
from data.errors import StoreUnavailableError
from data.ports import Clock

#: Longest wait of an event that nobody awaits, seconds, and how many are written together.
FLUSH_S, GROUP = 0.5, 1_000
#: Events that wait at most while the audit is away, and the pause before it is tried again.
MOST_WAITING, RETRY_S = 20_000, 0.5
#: The events that are counted, not each written.
COUNTED = HTTPStatus.TOO_MANY_REQUESTS
#: What is written when events found no room.
LOST = "audit lost"
_LOG = logging.getLogger(__name__)


class AuditTrail:
    """Takes events and hands them to a sink in another thread. All calls from one event loop."""

    def __init__(
        self, sink: AuditSink, clock: Clock, *, flush_s: float = FLUSH_S, retry_s: float = RETRY_S
    ) -> None:
        self._sink = sink
        self._clock = clock
        self._flush_s = flush_s
        self._retry_s = retry_s
        #: The events that wait, those that are awaited with whom to tell.
        self._waiting: list[tuple[AuditEvent, asyncio.Future[None] | None]] = []
        #: How often each counted event that waits came again.
        self._again: Counter[AuditEvent] = Counter()
        #: The group whose writing failed, or whose outcome is unknown, with its name.
        self._group: tuple[str, list[tuple[AuditEvent, asyncio.Future[None] | None]]] | None = None
        self._lost = 0
        self._some, self._urgent = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False

    async def record(self, event: AuditEvent, durable: bool) -> None:  # noqa: FBT001 - a callback's argument
        """Take an event; with ``durable`` return when it is on disk.

        Raises:
            StoreUnavailableError: ``durable``, and the audit is away; the event is written when it is back
                unless there was no room for it.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._run(), name="audit")
        like = _kind_of(event) if event.status == COUNTED and not durable else None
        if like is not None and like in self._again:
            self._again[like] += 1
            return
        if self._held() >= MOST_WAITING:
            self._lost += 1
            self._some.set()
            if durable:
                raise StoreUnavailableError("The audit is away and takes no more: try again soon.")
            return
        told: asyncio.Future[None] | None = asyncio.get_running_loop().create_future() if durable else None
        self._waiting.append((event, told))
        if like is not None:
            self._again[like] = 1
        self._some.set()
        if told is not None or len(self._waiting) >= GROUP:
            self._urgent.set()
        if told is not None:
            await told

    async def close(self) -> None:
        """Write what waits, once, and stop; what cannot be written is lost with the process."""
        self._closing = True
        self._some.set()
        self._urgent.set()
        if self._task is not None:
            await self._task

    def _held(self) -> int:
        return len(self._waiting) + (len(self._group[1]) if self._group else 0)

    async def _run(self) -> None:
        while not (self._closing and not self._held() and not self._lost):
            await self._some.wait()
            if not await self._pause(self._flush_s):
                self._urgent.clear()
            written = await self._flush()
            if self._closing and not written:
                return
            if not written:
                await asyncio.sleep(self._retry_s)
            elif not self._waiting and not self._lost and not self._closing:
                self._some.clear()

    async def _pause(self, most_s: float) -> bool:
        """Wait until a group is urgent; return whether the time passed instead."""
        try:
            await asyncio.wait_for(self._urgent.wait(), most_s)
        except TimeoutError:
            return True
        return False

    async def _flush(self) -> bool:
        """Write the group that waits; return whether it is there."""
        name, group = self._group or (uuid.uuid4().hex, self._next_group())
        if not group:
            return True
        self._group = (name, group)
        try:
            await asyncio.to_thread(self._sink.append, [event for event, _ in group], name)
        # Whatever went wrong, callers must hear of it: one that is never answered would wait for ever.
        except Exception as exc:
            _LOG.warning("The audit cannot be written: %s", exc)
            for _, told in (*group, *self._waiting):
                if told is not None and not told.done():
                    told.set_exception(StoreUnavailableError(f"The audit cannot be written: {exc}"))
            return False
        self._group = None
        for _, told in group:
            if told is not None and not told.done():
                told.set_result(None)
        return True

    def _told(self, event: AuditEvent) -> AuditEvent:
        """Return an event as it is written: with how often it came, where that was counted."""
        times = self._again.pop(_kind_of(event), 1) if event.status == COUNTED else 1
        return event if times == 1 else replace(event, reason=f"{event.reason} ({times} times)")

    def _next_group(self) -> list[tuple[AuditEvent, asyncio.Future[None] | None]]:
        some, self._waiting = self._waiting[:GROUP], self._waiting[GROUP:]
        group = [(self._told(event), told) for event, told in some]
        if self._waiting:
            self._urgent.set()
        if self._lost:
            at = datetime.fromtimestamp(self._clock.now_s(), UTC).isoformat(timespec="milliseconds")
            group.append(
                (AuditEvent(at, SYSTEM_TENANT, "audit", LOST, "", "failed", 0, "", str(self._lost)), None)
            )
            self._lost = 0
        return group


def _kind_of(event: AuditEvent) -> AuditEvent:
    """Return an event without what tells it from its like: its moment and the id of its request."""
    return replace(event, at="", request_id="")
