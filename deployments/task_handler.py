"""What a worker does with a batch of queued questions: the very call that the API makes, and its document.

Run by the workers of the queue and of streams, through ``data.queue.worker``. Invariant: every task of a
batch is answered for itself; whose fault a failure is not, is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from data.claims import Rejected, TenantId
from data.errors import CorruptDataError, DeadlineError, UnavailableError
from data.questions import Question
from data.queue.tasks import Task
from data.queue.worker import TaskFault, fault_of
from data.traces import Tracer
from data.tracing import Attributes, Kind
from data.verdicts import Verdict
from deployments.task_documents import QueuedQuestion, answer_of, read_payload, result_of

Answer = Callable[[Sequence[Question]], Awaitable[list[Verdict | Rejected]]]
#: Says why nothing is done for a tenant any more, ``None`` where it may go on; may block.
Standing = Callable[[TenantId], str | None]
#: Attempts at an answer with all frameworks, before one that lacks some is taken.
WHOLE_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Ask:
    """One question of a batch: whose, which, and the how-manieth attempt at it this is."""

    tenant: TenantId
    queued: QueuedQuestion
    attempts: int


def everybody(_tenant: TenantId) -> str | None:
    """Let everybody go on: the standing where an installation asks for no credentials."""
    return None


class VerifyHandler:
    """Answers batches through ``answer``, run on the event loop given. Called from any other thread.

    An answer from which a framework is missing is tried again ``whole_attempts`` times in all, then taken as
    it is, just as ``/verify`` would give it. A batch is a trace of its own, with links to the requests that
    put its questions in.
    """

    def __init__(
        self,
        answer: Answer,
        loop: asyncio.AbstractEventLoop,
        *,
        standing: Standing = everybody,
        whole_attempts: int = WHOLE_ATTEMPTS,
        tracer: Tracer | None = None,
    ) -> None:
        self._answer = answer
        self._loop = loop
        self._standing = standing
        self._whole_attempts = whole_attempts
        self._tracer = tracer or Tracer("kite-queue-worker")

    def __call__(self, tasks: list[Task]) -> list[bytes | TaskFault]:
        """Return each task's result, as the queue keeps it, or why there is none."""
        told = self.answers([_asked(task) for task in tasks])
        return [one if isinstance(one, TaskFault) else result_of(one) for one in told]

    def answers(self, asked: Sequence[Ask | TaskFault]) -> list[bytes | TaskFault]:
        """Return each question's document, or why there is none; faults stay what they are."""
        told: Attributes = {"messaging.system": "kite", "messaging.batch.message_count": len(asked)}
        links = [one.queued.trace for one in asked if isinstance(one, Ask)]
        with self._tracer.root("process verify", Kind.CONSUMER, told, links=links):
            return self._answers(asked)

    def _answers(self, asked: Sequence[Ask | TaskFault]) -> list[bytes | TaskFault]:
        told: list[bytes | TaskFault | None] = [None if isinstance(one, Ask) else one for one in asked]
        groups: dict[TenantId, list[int]] = {}
        for place, one in enumerate(asked):
            if isinstance(one, Ask):
                groups.setdefault(one.tenant, []).append(place)
        for tenant in list(groups):
            reason = self._standing(tenant)
            if reason is not None:
                for place in groups.pop(tenant):
                    told[place] = TaskFault(reason, retryable=False)
        if groups:
            batches = [
                [one for p in places if isinstance(one := asked[p], Ask)] for places in groups.values()
            ]
            future = asyncio.run_coroutine_threadsafe(self._together(batches), self._loop)
            for places, found in zip(groups.values(), future.result(), strict=True):
                for place, document in zip(places, found, strict=True):
                    told[place] = document
        return [one for one in told if one is not None]

    async def _together(self, batches: Sequence[Sequence[Ask]]) -> list[list[bytes | TaskFault]]:
        # A tenant a call: the verifier shares its batches among tenants by turns.
        return list(await asyncio.gather(*(self._of_tenant(batch) for batch in batches)))

    async def _of_tenant(self, batch: Sequence[Ask]) -> list[bytes | TaskFault]:
        try:
            outcomes = await self._answer([one.queued.question for one in batch])
        except (UnavailableError, DeadlineError) as exc:
            return [fault_of(exc)] * len(batch)
        except Exception as exc:
            if len(batch) == 1:
                return [fault_of(exc)]
            # One by one, to find whose fault it is.
            return [told for one in batch for told in await self._of_tenant([one])]
        return [self._told(one, outcome) for one, outcome in zip(batch, outcomes, strict=True)]

    def _told(self, one: Ask, outcome: Verdict | Rejected) -> bytes | TaskFault:
        if isinstance(outcome, Rejected):
            return TaskFault(outcome.reason, retryable=False)
        if outcome.degraded and one.attempts < self._whole_attempts:
            return TaskFault("Not every framework answered: another attempt may have them all.")
        return answer_of(outcome, one.queued)


def _asked(task: Task) -> Ask | TaskFault:
    try:
        return Ask(task.tenant, read_payload(task.payload, task.tenant), task.attempts)
    except CorruptDataError as exc:
        return TaskFault(str(exc), retryable=False)
