"""What workers make of batches: documents of ``/verify``, faults for each, tenants apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from data.claims import Rejected, TenantId, make_claim
from data.errors import CapacityError, ClaimRejectedError, CorruptDataError
from data.questions import Question
from data.queue.tasks import Task, TaskState
from data.queue.worker import TaskFault
from data.streams.ports import Entry
from data.verdicts import Verdict
from deployments.api.answers import verify_answer
from deployments.api.responses import encode
from deployments.stream_handler import StreamVerifyHandler
from deployments.task_documents import (
    QueuedQuestion,
    answer_of,
    payload_of,
    read_payload,
    read_result,
)
from deployments.task_handler import VerifyHandler
from tests.fakes import running_loop
from tests.unit.api.fakes import FRAMEWORKS, make_verdict

A, B = TenantId("a"), TenantId("b")


def question(text: str, tenant: TenantId = A) -> Question:
    return Question(make_claim(text, tenant=tenant), FRAMEWORKS[:2])


def task(asked: Question, *, tenant: TenantId = A, attempts: int = 1, payload: bytes | None = None) -> Task:
    made = payload_of(QueuedQuestion(asked)) if payload is None else payload
    return Task(tenant, "t", "verify", made, 0, TaskState.LEASED, attempts, 0.0, 0.0, None, None, "")


class Verifier:
    """Answers by the words of the claim; notes who was asked together."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []

    async def answer(self, questions: Sequence[Question]) -> list[Verdict | Rejected]:
        self.batches.append([f"{one.claim.tenant}:{one.claim.text}" for one in questions])
        texts = [one.claim.text for one in questions]
        if "full" in texts:
            raise CapacityError("Too many wait.")
        if "bad" in texts:
            raise ClaimRejectedError("Not this one.")
        return [self._one(one) for one in questions]

    def _one(self, one: Question) -> Verdict | Rejected:
        if one.claim.text == "refused":
            return Rejected("It is no claim.")
        return replace(make_verdict(one), degraded=one.claim.text == "half")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with running_loop() as made:
        yield made


@pytest.fixture
def verifier() -> Verifier:
    return Verifier()


@pytest.fixture
def handler(verifier: Verifier, loop: asyncio.AbstractEventLoop) -> VerifyHandler:
    def standing(tenant: TenantId) -> str | None:
        return "It is suspended." if tenant == B else None

    return VerifyHandler(verifier.answer, loop, standing=standing)


def documents(told: Sequence[bytes | TaskFault]) -> list[bytes]:
    return [read_result(one) for one in told if isinstance(one, bytes)]


def test_handler_batch_gives_the_documents_of_verify_in_one_call(
    handler: VerifyHandler, verifier: Verifier
) -> None:
    """Each task's result, read back, is what the route would have sent."""
    asked = [question(f"Claim {n}") for n in range(5)]
    told = handler([task(one) for one in asked])

    assert documents(told) == [encode(verify_answer(make_verdict(one), one)) for one in asked]
    assert [len(batch) for batch in verifier.batches] == [5]


def test_handler_rejected_claim_is_dead_and_harms_no_other(handler: VerifyHandler) -> None:
    """Its reason is that of the verifier."""
    told = handler([task(question("One")), task(question("refused")), task(question("Two"))])

    assert told[1] == TaskFault("It is no claim.", retryable=False)
    assert len(documents(told)) == 2


def test_handler_request_at_fault_is_found_among_its_neighbours(handler: VerifyHandler) -> None:
    """They are asked one by one, and the others are answered."""
    told = handler([task(question("One")), task(question("bad")), task(question("Two"))])

    assert told[1] == TaskFault("Not this one.", retryable=False)
    assert len(documents(told)) == 2


def test_handler_busy_service_fails_all_for_now(handler: VerifyHandler, verifier: Verifier) -> None:
    """Nobody is at fault, so nobody is asked alone, and all are tried again."""
    told = handler([task(question("One")), task(question("full"))])

    assert told == [TaskFault("Too many wait.", retryable=True)] * 2
    assert len(verifier.batches) == 1


def test_handler_asks_tenants_apart_and_suspended_ones_not_at_all(
    handler: VerifyHandler, verifier: Verifier
) -> None:
    """A suspended tenant's task is dead with the reason; a call is one tenant's."""
    c = TenantId("c")
    told = handler(
        [task(question("One")), task(question("Two", B), tenant=B), task(question("Three", c), tenant=c)]
    )

    assert told[1] == TaskFault("It is suspended.", retryable=False)
    assert sorted(verifier.batches) == [["a:One"], ["c:Three"]]


@pytest.mark.parametrize(("attempts", "is_taken"), [(1, False), (2, False), (3, True)])
def test_handler_answer_without_a_framework_is_taken_at_the_third_attempt(
    handler: VerifyHandler, attempts: int, is_taken: bool
) -> None:
    """Before, another attempt may have them all."""
    (told,) = handler([task(question("half"), attempts=attempts)])

    assert isinstance(told, bytes) is is_taken
    assert isinstance(told, bytes) or told.retryable


def test_handler_payload_that_cannot_be_read_is_dead(handler: VerifyHandler) -> None:
    """Trying again would not mend it."""
    told = handler([task(question("One")), task(question("Two"), payload=b"\xc1")])

    assert isinstance(told[1], TaskFault)
    assert not told[1].retryable
    assert isinstance(told[0], bytes)


def test_payload_speaks_for_the_tenant_whose_task_it_is() -> None:
    """Whatever stands in it."""
    queued = QueuedQuestion(question("One", B), "fever", with_latency=True)
    read = read_payload(payload_of(queued), A)

    assert read.question == question("One", A)
    assert (read.scheme, read.with_latency) == ("fever", True)


def test_damaged_result_is_told() -> None:
    """A result that is no result raises, and does not come out as an answer."""
    with pytest.raises(CorruptDataError):
        read_result(b"no")


def test_stream_handler_reads_bodies_as_verify_does(
    handler: VerifyHandler, loop: asyncio.AbstractEventLoop
) -> None:
    """Options count, bad bodies are refused with the reason that the route would give."""

    async def seq_at(_moment: str) -> int:
        return 17

    read = StreamVerifyHandler(handler, loop, frameworks=FRAMEWORKS, seq_at=seq_at, tenant=A)
    body = b'{"claim": "One", "frameworks": ["empirical"], "as_of": "2024-05-31"}'
    told = read([Entry("1-0", body), Entry("2-0", b"{"), Entry("3-0", b'{"claim": ""}')])
    asked = Question(make_claim("One", tenant=A), ("empirical",), as_of=17)

    assert told[0] == answer_of(make_verdict(asked), QueuedQuestion(asked))
    assert [isinstance(one, TaskFault) and not one.retryable for one in told[1:]] == [True, True]
