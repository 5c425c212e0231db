"""Traces of work that is done later: tasks of the queue, jobs, parts of a batch."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from configs.schema import Settings
from data.access.principal import Principal
from data.access.roles import Role
from data.claims import DEFAULT_TENANT, Rejected, make_claim
from data.commits import GroupCommit
from data.errors import ConflictError, KiteError
from data.jobs.records import JobKind
from data.ledger import Writing
from data.ports import WriteReceipt
from data.questions import Question
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import QueueBounds, Task
from data.traces import Tracer
from data.tracing import Kind, OpenSpan, Span, span
from data.verdicts import Verdict
from deployments.job_desk import build_job_desk
from deployments.online_batch import OnlineBatch
from deployments.task_desk import TaskDesk, TaskWish
from deployments.task_documents import QueuedQuestion, read_payload
from deployments.task_handler import VerifyHandler
from tests.fakes import FakeClock, running_loop
from tests.unit.api.fakes import FRAMEWORKS, FakeVerifier

QUESTION = Question(make_claim("Water is wet."), FRAMEWORKS[:2])
WHO = Principal("key:1", DEFAULT_TENANT, Role.VERIFIER)


class Kept:
    """A tracer that keeps what it is told to, and its traces."""

    def __init__(self, ratio: float = 1.0) -> None:
        self.traces: dict[int, list[Span]] = {}
        self.tracer = Tracer("service", keep=self.keep, ratio=ratio)

    def keep(self, trace_id: int, spans: Sequence[Span]) -> None:
        self.traces.setdefault(trace_id, []).extend(spans)

    def named(self, name: str) -> Span:
        (found,) = [each for spans in self.traces.values() for each in spans if each.name == name]
        return found


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[SqliteQueue]:
    made = SqliteQueue(tmp_path / "tasks.sqlite", clock=FakeClock(), bounds=QueueBounds())
    yield made
    made.close()


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    with running_loop() as made:
        yield made


def put(desk: TaskDesk, tracer: Tracer, asked: Question = QUESTION) -> str:
    """Put a named question in within a request; return the context that it was put in under."""
    with tracer.root("request", Kind.SERVER):
        wish = TaskWish("mine", QueuedQuestion(asked), named=True)
        (task,) = asyncio.run(desk.submit(DEFAULT_TENANT, [wish]))
    return read_payload(task.payload, DEFAULT_TENANT).trace


def test_task_names_the_request_that_put_it_in_where_that_is_kept(queue: SqliteQueue) -> None:
    """A request whose trace is dropped leaves no name."""
    desk = TaskDesk(queue, QueueBounds())
    kept = Kept()

    said = put(desk, kept.tracer)
    assert int(said.split("-")[1], 16) in kept.traces
    assert kept.named("queue put").kind == Kind.PRODUCER
    assert queue.cancel(DEFAULT_TENANT, ["mine"])


def test_task_sent_again_by_another_request_is_the_same_task(queue: SqliteQueue) -> None:
    """The context is no part of the question; another question is still refused."""
    desk = TaskDesk(queue, QueueBounds())
    first = put(desk, Kept().tracer)

    assert put(desk, Kept().tracer) == first
    assert put(desk, Kept(ratio=0.0).tracer) == first
    with pytest.raises(ConflictError):
        put(desk, Kept().tracer, replace(QUESTION, alpha=0.2))


def test_batch_of_tasks_is_a_trace_with_links_to_their_requests(
    queue: SqliteQueue, loop: asyncio.AbstractEventLoop
) -> None:
    """Kept though the ratio is nothing, for a request that led to it is; the answers' spans are within."""
    said = put(TaskDesk(queue, QueueBounds()), Kept().tracer)
    worker = Kept(ratio=0.0)

    async def answer(questions: Sequence[Question]) -> list[Verdict | Rejected]:
        with span("answering"):
            return [Rejected("No claim.") for _ in questions]

    handler = VerifyHandler(answer, loop, tracer=worker.tracer)
    tasks: list[Task] = [each.task for each in queue.claim("w", ["verify"], limit=9, lease_s=60.0)]
    handler(tasks)

    root = worker.named("process verify")
    assert (root.kind, root.links, root.parent) == (Kind.CONSUMER, [said], 0)
    assert root.attributes["messaging.batch.message_count"] == 1
    assert worker.named("answering").parent == root.id


def test_tasks_of_requests_that_are_not_kept_are_no_trace(
    queue: SqliteQueue, loop: asyncio.AbstractEventLoop
) -> None:
    """The ratio decides, as for requests."""
    put(TaskDesk(queue, QueueBounds()), Kept(ratio=0.0).tracer)
    worker = Kept(ratio=0.0)
    handler = VerifyHandler(FakeVerifier().answer, loop, tracer=worker.tracer)
    handler([each.task for each in queue.claim("w", ["verify"], limit=9, lease_s=60.0)])

    assert worker.traces == {}


def test_online_job_is_a_trace_of_its_own_with_a_link_to_its_request(tmp_path: Path) -> None:
    """It goes on when the request has been answered, and belongs to it no more than by a link."""
    desk = build_job_desk(Settings(), tmp_path, FakeClock())
    kept = Kept(ratio=0.0)

    async def seq_at(_moment: str) -> int:
        return 17

    async def submit() -> str:
        with Kept().tracer.root("request", Kind.SERVER) as root:
            args = {"claims": ["Water is wet."]}
            seen, online = desk.submit(WHO, JobKind.VERIFY_BATCH, args)
            assert online is not None
            batch = OnlineBatch(FakeVerifier().answer, FRAMEWORKS, seq_at, tracer=kept.tracer)
            work = asyncio.create_task(batch.run(online.folder, online.claims, args, DEFAULT_TENANT))
        await work
        assert isinstance(root, OpenSpan)
        assert seen.record.trace == root.context()
        return seen.record.trace

    said = asyncio.run(submit())
    job = kept.named("job verify_batch")
    assert job.links == [said]
    assert list(kept.traces) != [int(said.split("-")[1], 16)]


def test_writes_that_are_committed_together_each_show_the_commit() -> None:
    """The committer's thread knows of no caller but by what they hand in."""
    kept, together = Kept(), threading.Barrier(3)
    gate = threading.Event()

    def commit(writings: Sequence[Writing]) -> list[WriteReceipt | KiteError]:
        gate.wait(10.0)
        with span("ledger"):
            return [WriteReceipt(1, 1) for _ in writings]

    commits = GroupCommit(commit)

    def write() -> None:
        with kept.tracer.root("request", Kind.SERVER):
            together.wait(10.0)
            commits.submit(Writing(()))

    threads = [threading.Thread(target=write) for _ in range(2)]
    for thread in threads:
        thread.start()
    together.wait(10.0)
    gate.set()
    for thread in threads:
        thread.join()
    commits.close()

    assert len(kept.traces) == 2
    for spans in kept.traces.values():
        named = {each.name: each for each in spans}
        assert named["ledger"].parent == named["commit"].id
        assert named["commit"].parent == named["append"].id
