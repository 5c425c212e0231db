"""Both clients against a real server on loopback: what is sent again, when, under which key, and errors."""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from data.errors import (
    CapacityError,
    ConflictError,
    InvalidValueError,
    KiteError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
)
from deployments.client import knowledge_calls, vector_calls, verification_calls, work_calls
from deployments.client.async_client import AsyncKiteClient
from deployments.client.calls import Call
from deployments.client.client import KiteClient
from deployments.client.connection import Manner
from deployments.client.methods import Method
from deployments.client.routes import Routes
from tests.unit.client.loopback import Loopback, Reply, loopback

Send = Callable[[Call[Any]], Any]


@pytest.fixture(scope="module")
def one_server() -> Iterator[Loopback]:
    with loopback() as server:
        yield server


@pytest.fixture
def server(one_server: Loopback) -> Loopback:
    one_server.asked.clear()
    return one_server


class Sender:
    """Sends calls by one of the clients; waits are taken down and not waited."""

    def __init__(self, server: Loopback, kind: str) -> None:
        self.kind = kind
        self.url = server.url
        self.waits: list[float] = []
        keys = iter(f"key-{number}" for number in range(100))
        self.manner = Manner(chance=lambda: 0.5, new_key=lambda: next(keys))

    def __call__(self, call: Call[Any]) -> Any:
        return self.using(lambda client: client.send(call))

    def using(self, work: Callable[[Any], Any]) -> Any:
        if self.kind == "sync":
            with KiteClient(
                self.url,
                api_key="secret",  # pragma: allowlist secret
                manner=self.manner,
                sleep=self.waits.append,
            ) as client:
                found = work(client)
                return list(found) if inspect.isgenerator(found) else found
        return asyncio.run(self._later(work))

    async def _later(self, work: Callable[[Any], Any]) -> Any:
        async def sleep(seconds: float) -> None:
            self.waits.append(seconds)

        async with AsyncKiteClient(
            self.url,
            api_key="secret",  # pragma: allowlist secret
            manner=self.manner,
            sleep=sleep,
        ) as client:
            found = work(client)
            if inspect.isasyncgen(found):
                return [one async for one in found]
            return await found


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest, server: Loopback) -> Sender:
    return Sender(server, request.param)


def problem(status: int, code: str, **headers: str) -> Reply:
    body = {"detail": f"It is {code}.", "code": code, "request_id": "r-1"}
    return Reply(status, json.dumps(body).encode(), headers)


READS = verification_calls.health()
WRITES = vector_calls.create_dataset("papers", 3)
STEPS = verification_calls.step("s", "Water boils.")


def test_busy_service_is_asked_again_after_its_own_retry_after(send: Sender, server: Loopback) -> None:
    """Never sooner than it says."""
    server.replies(problem(503, "saturated", **{"Retry-After": "3"}), Reply(body=b'{"status":"healthy"}'))
    assert send(READS) == {"status": "healthy"}
    assert send.waits == [3.0]


def test_waits_without_retry_after_grow_with_full_jitter(send: Sender, server: Loopback) -> None:
    """Half of 0.25, 0.5 and 1 second, where chance is a half; then it is over."""
    server.replies(*(Reply(502, b"bad gateway") for _ in range(4)))
    with pytest.raises(UnavailableError, match="not in its own words"):
        send(READS)
    assert send.waits == [0.125, 0.25, 0.5]
    assert len(server.asked) == 4


def test_longer_wait_than_patience_is_an_error_at_once(send: Sender, server: Loopback) -> None:
    """Whoever called decides whether to come back in a quarter of an hour."""
    server.replies(problem(429, "rate-limited", **{"Retry-After": "900"}))
    with pytest.raises(RateLimitedError) as caught:
        send(READS)
    assert (caught.value.retry_after_s, send.waits) == (900.0, [])


def test_write_is_sent_again_under_the_same_key(send: Sender, server: Loopback) -> None:
    """The service does it once, however often it hears of it."""
    server.replies(problem(503, "store-unavailable"), Reply(None), Reply(body=b'{"id":"d"}'))
    assert send(WRITES) == {"id": "d"}
    assert [asked.headers["Idempotency-Key"] for asked in server.asked] == ["key-0"] * 3


def test_callers_own_key_is_kept(send: Sender, server: Loopback) -> None:
    """So that a program that was started anew goes on with it."""
    server.replies(Reply())
    send(vector_calls.create_dataset("papers", 3, idempotency_key="mine"))
    assert server.asked[0].headers["Idempotency-Key"] == "mine"


@pytest.mark.parametrize("reply", [Reply(None), problem(503, "unavailable"), problem(502, "x")])
def test_step_is_not_taken_twice(send: Sender, server: Loopback, reply: Reply) -> None:
    """It may have happened already: only the caller can know."""
    server.replies(reply, Reply())
    with pytest.raises(UnavailableError):
        send(STEPS)
    assert len(server.asked) == 1


def test_step_that_a_limit_turned_away_is_sent_again(send: Sender, server: Loopback) -> None:
    """It was turned away at the door."""
    server.replies(problem(429, "rate-limited", **{"Retry-After": "1"}), Reply(body=b'{"done":true}'))
    assert send(STEPS) == {"done": True}


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (problem(404, "not-found"), NotFoundError),
        (problem(409, "conflict"), ConflictError),
        (problem(400, "invalid-value"), InvalidValueError),
    ],
)
def test_mistakes_are_told_once_with_sentence_and_request(
    send: Sender, server: Loopback, reply: Reply, error: type[KiteError]
) -> None:
    """The class that the service raised, its own words, and what to quote when asking about it."""
    server.replies(reply)
    with pytest.raises(error) as caught:
        send(WRITES)
    assert str(caught.value).startswith("It is ")
    assert caught.value.request_id == "r-1"
    assert len(server.asked) == 1


def test_error_without_a_body_names_the_request_of_its_header(send: Sender, server: Loopback) -> None:
    """A proxy's page has no request id, but our header came through."""
    server.replies(Reply(500, b"<html>", {"X-Request-ID": "r-9"}))
    with pytest.raises(KiteError, match="500") as caught:
        send(READS)
    assert caught.value.request_id == "r-9"


def test_service_that_is_not_there_is_told_after_its_retries(server: Loopback) -> None:
    """Nothing listens on that port."""
    sender = Sender(server, "sync")
    sender.url = "http://127.0.0.1:9"
    with pytest.raises(UnavailableError, match="cannot be reached"):
        sender(STEPS)
    assert len(sender.waits) == 3


def test_page_of_somebody_else_is_no_answer(send: Sender, server: Loopback) -> None:
    """A login page with status 200, say."""
    server.replies(Reply(body=b"<html>Sign in</html>"))
    with pytest.raises(UnavailableError, match="is the address right"):
        send(READS)


def test_connection_is_used_again(server: Loopback) -> None:
    """Ten calls, one connection."""
    with KiteClient(server.url) as client:
        server.answers = lambda _: Reply()
        for _ in range(10):
            client.health()
    assert len({asked.connection for asked in server.asked}) == 1


def test_key_is_shown(send: Sender, server: Loopback) -> None:
    """As the API documents it."""
    server.replies(Reply())
    send(READS)
    assert server.asked[0].headers["Authorization"] == "ApiKey secret"


def test_pages_are_followed_to_the_last(send: Sender, server: Loopback) -> None:
    """Each with the cursor of the one before."""
    server.replies(Reply(body=b"[1,2]", headers={"X-Next-Cursor": "c2"}), Reply(body=b"[3]"))
    found = send.using(lambda client: client.pages(work_calls.tasks_page(state="dead")))
    assert list(found) == [1, 2, 3]
    assert [asked.path for asked in server.asked] == [
        "/api/v1/tasks?state=dead",
        "/api/v1/tasks?state=dead&cursor=c2",
    ]


def test_batch_is_cut_into_requests_and_put_together_in_order(
    send: Sender, server: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as one request takes; texts become requests."""
    monkeypatch.setattr("deployments.client.connection.BATCH_CLAIMS", 2)
    server.answers = lambda asked: Reply(body=asked.body)
    found = send.using(lambda client: client.verify_batch(["a", {"claim": "b", "alpha": 0.2}, "c"]))
    assert found == [{"claim": "a"}, {"claim": "b", "alpha": 0.2}, {"claim": "c"}]
    assert len(server.asked) == 2


def test_download_arrives_whole_or_not_at_all(send: Sender, server: Loopback, tmp_path: Path) -> None:
    """The file is in its place once all of it is there."""
    body, target = b"x" * 300_000, tmp_path / "out.jsonl"
    server.replies(Reply(body=body))
    assert send.using(lambda client: client.download(vector_calls.export_file("j"), target)) == len(body)
    assert target.read_bytes() == body
    server.replies(Reply(body=body, headers={"Content-Length": "400000"}))
    with pytest.raises(UnavailableError):
        send.using(lambda client: client.download(vector_calls.export_file("j"), tmp_path / "cut"))
    assert not (tmp_path / "cut").exists()


def test_lines_come_one_by_one(send: Sender, server: Loopback) -> None:
    """A log is read as lines, and asked for as one that goes on."""
    server.replies(Reply(body="eins\nzwei ü\n".encode(), headers={"Content-Type": "text/plain"}))
    found = send.using(lambda client: client.lines(work_calls.job_logs("j", follow=True)))
    assert list(found) == ["eins", "zwei ü"]
    assert server.asked[0].path == "/api/v1/jobs/j/logs?follow=true"


def test_file_is_sent_as_a_form_again_from_its_beginning(
    send: Sender, server: Loopback, tmp_path: Path
) -> None:
    """The second attempt sends the whole file once more."""
    file = tmp_path / "v.jsonl"
    file.write_bytes(b'{"id": 1}\n')
    server.replies(problem(503, "saturated"), Reply(body=b'{"job_id":"j"}'))
    send(vector_calls.import_vectors("d", file, format="jsonl"))
    assert [asked.body.count(b'{"id": 1}\n') for asked in server.asked] == [1, 1]
    assert b'name="format"' in server.asked[0].body


def test_knowledge_file_is_sent_as_what_it_is(send: Sender, server: Loopback, tmp_path: Path) -> None:
    """By how its name ends; a name that ends otherwise is refused before anything is sent."""
    file = tmp_path / "facts.csv"
    file.write_text("subject,predicate,object\na,b,c\n")
    server.replies(Reply())
    send(knowledge_calls.import_knowledge(file, skip_bad_rows=True))
    with pytest.raises(InvalidValueError, match=r"\.jsonl"):
        knowledge_calls.import_knowledge(tmp_path / "facts.txt")
    assert server.asked[0].headers["Content-Type"] == "text/csv"
    assert server.asked[0].path == "/api/v1/knowledge/import?on_error=skip"


def test_names_in_paths_cannot_lead_elsewhere(send: Sender, server: Loopback) -> None:
    """A slash or a question mark in a name is part of the name."""
    server.replies(Reply())
    send(vector_calls.vector("a/b", "../c?d"))
    assert server.asked[0].path == "/api/v1/datasets/a%2Fb/vectors/..%2Fc%3Fd"


def test_both_clients_have_every_call_with_its_documentation() -> None:
    """One list of methods for both; each says what it does."""
    methods = {name: one for name, one in vars(Routes).items() if isinstance(one, Method)}
    assert len(methods) > 60
    assert all(one.__doc__ for one in methods.values())
    assert inspect.signature(KiteClient.verify.__get__(KiteClient(), KiteClient)).parameters["claim"]
    assert issubclass(AsyncKiteClient, Routes)


def test_saturation_says_when_to_come_back(send: Sender, server: Loopback) -> None:
    """The seconds are on the exception."""
    server.answers = lambda _: problem(503, "saturated", **{"Retry-After": "7"})
    with pytest.raises(CapacityError) as caught:
        send(READS)
    assert caught.value.retry_after_s == 7.0


def test_retry_after_may_be_a_date(server: Loopback) -> None:
    """RFC 9110 §10.2.3 allows both; one that has passed asks for no wait."""
    sender = Sender(server, "sync")
    server.replies(
        problem(503, "saturated", **{"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}), Reply(body=b"{}")
    )
    sender(READS)
    assert sender.waits == [0.125]
