"""``/tasks`` over a real queue on a file: put in, shown, listed, tried again, given up, refused."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from data.claims import TenantId
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import Failure, Finished, QueueBounds, RetryRule, TaskState
from deployments.api.asgi import create_app
from deployments.services import AccessServices
from deployments.task_desk import TaskDesk
from deployments.task_documents import read_payload, result_of
from tests.unit.api.fakes import FakeClock, Rig
from tests.unit.api.knowledge_fakes import PretendDoor

A, B = TenantId("acme"), TenantId("bolt")
BOUNDS = QueueBounds(tasks=6, tenant_tasks=4)
CLAIM = {"claim": "Water boils at 100 degrees."}


def worth(sentences: Sequence[str]) -> list[float]:
    """A tenth for each word."""
    return [round(min(1.0, len(said.split()) / 10), 6) for said in sentences]


class Latest:
    """The queue of the test at hand: making an application for each would take longer than all tests."""

    def __init__(self) -> None:
        self.queue: SqliteQueue | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.queue, name)


LATEST = Latest()


@cache
def app() -> FastAPI:
    """The application over the latest queue."""
    latest: Any = LATEST
    access = AccessServices(door=PretendDoor())
    desk = TaskDesk(latest, BOUNDS, worth=worth)
    return create_app(replace(Rig().services(), access=access, tasks=desk))


class Desk:
    """The app over a new queue, and the queue itself."""

    def __init__(self, path: Path) -> None:
        rule = RetryRule(max_attempts=2, first_s=0.0, longest_s=0.0)
        self.queue = LATEST.queue = SqliteQueue(path, clock=FakeClock(), rule=rule, bounds=BOUNDS)
        self.app = app()

    def call(
        self, method: str, path: str, body: Any = None, *, of: TenantId = A, **headers: str
    ) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kite") as client:
                shown = {"Authorization": f"Pretend {of}", **headers}
                more = {} if body is None else {"json": body}
                return await client.request(method, path, headers=shown, **more)

        return asyncio.run(send())

    def work(self, outcome: bytes | str) -> None:
        """Claim one task and end it: with this answer, or for good with this reason."""
        (leased,) = self.queue.claim("w", ["verify"], limit=1, lease_s=60.0)
        if isinstance(outcome, bytes):
            assert self.queue.finish([Finished(leased.lease, result_of(outcome))]) == [True]
        else:
            assert self.queue.fail([Failure(leased.lease, outcome, retryable=False)]) == [TaskState.DEAD]


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path / "tasks.sqlite")
    yield made
    made.queue.close()


def test_submit_one_claim_waits_where_location_says(desk: Desk) -> None:
    """202 with the task, and its address."""
    answer = desk.call("POST", "/api/v1/tasks/verify", CLAIM)
    task = answer.json()

    assert answer.status_code == 202
    assert answer.headers["location"] == f"/api/v1/tasks/{task['id']}"
    assert (task["state"], task["claim"], task["attempts"]) == ("waiting", CLAIM["claim"], 0)
    assert desk.call("GET", answer.headers["location"]).json() == task


def test_submit_list_keeps_order_and_points_to_the_list(desk: Desk) -> None:
    """A list is answered by a list."""
    answer = desk.call("POST", "/tasks/verify", [{"claim": f"Claim {n}."} for n in range(3)])

    assert [task["claim"] for task in answer.json()] == ["Claim 0.", "Claim 1.", "Claim 2."]
    assert answer.headers["location"] == "/tasks"


def test_question_that_waits_is_the_one_that_was_asked(desk: Desk) -> None:
    """All options of /verify reach the queue."""
    body = {**CLAIM, "frameworks": ["empirical"], "alpha": 0.3, "as_of": "2024-05-31", "include": ["latency"]}
    task = desk.call("POST", "/tasks/verify?label_scheme=fever", body).json()
    kept = desk.queue.get(A, task["id"])
    assert kept is not None
    queued = read_payload(kept.payload, A)

    assert (queued.question.frameworks, queued.question.alpha) == (("empirical",), 0.3)
    assert (queued.question.as_of, queued.question.claim.tenant) == (17, A)
    assert (queued.scheme, queued.with_latency) == ("fever", True)


@pytest.mark.parametrize(
    ("asked", "priority"), [({}, 0), ({"priority": 700}, 700), ({"priority": "utility"}, 500)]
)
def test_priority_is_as_asked_or_by_utility(desk: Desk, asked: dict[str, Any], priority: int) -> None:
    """Five words are worth a half."""
    assert desk.call("POST", "/tasks/verify", {**CLAIM, **asked}).json()["priority"] == priority


def test_done_task_shows_the_very_bytes_of_its_answer(desk: Desk) -> None:
    """The answer stands in the document as it was written, and not in lists."""
    task = desk.call("POST", "/tasks/verify", CLAIM).json()
    online = desk.call("POST", "/verify", CLAIM).content
    desk.work(online)
    shown = desk.call("GET", f"/tasks/{task['id']}")

    assert shown.json()["state"] == "done"
    assert shown.content.endswith(b'"result":' + online + b"}")
    assert [each["result"] for each in desk.call("GET", "/tasks").json()] == [None]


def test_dead_task_says_why_and_can_be_tried_again(desk: Desk) -> None:
    """The reason of its end stands in it; a retry gives it all its attempts."""
    path = f"/tasks/{desk.call('POST', '/tasks/verify', CLAIM).json()['id']}"
    desk.work("No good.")
    dead = desk.call("GET", path).json()
    again = desk.call("POST", f"{path}/retry")

    assert (dead["state"], dead["error"]) == ("dead", "No good.")
    assert (again.status_code, again.json()["state"], again.json()["attempts"]) == (200, "waiting", 0)


def test_cancelled_task_stays_so_and_a_done_one_cannot_be(desk: Desk) -> None:
    """Cancelling twice is once; what has ended is a conflict."""
    first, second = (
        desk.call("POST", "/tasks/verify", {"claim": text}).json()["id"] for text in ("One.", "Two.")
    )
    states = [desk.call("DELETE", f"/tasks/{first}").json()["state"] for _ in range(2)]
    desk.work(b"{}")

    assert states == ["cancelled", "cancelled"]
    assert desk.call("DELETE", f"/tasks/{second}").status_code == 409
    assert desk.call("POST", f"/tasks/{second}/retry").status_code == 409


def test_same_id_with_the_same_claim_is_one_task(desk: Desk) -> None:
    """Sent again it is there; with another claim it is a conflict."""
    named = {**CLAIM, "id": "mine"}
    answers = [desk.call("POST", "/tasks/verify", named) for _ in range(2)]
    other = desk.call("POST", "/tasks/verify", {"claim": "Another.", "id": "mine"})

    assert [answer.status_code for answer in answers] == [202, 202]
    assert len(desk.call("GET", "/tasks").json()) == 1
    assert other.status_code == 409


def test_same_idempotency_key_puts_a_list_in_once(desk: Desk) -> None:
    """The answer is that of the first time."""
    body, key = [{"claim": "One."}, {"claim": "Two."}], {"Idempotency-Key": "k"}
    first, second = (desk.call("POST", "/tasks/verify", body, **key) for _ in range(2))

    assert first.content == second.content
    assert len(desk.call("GET", "/tasks").json()) == 2


@pytest.mark.parametrize("bad", [{"claim": ""}, {"claim": "x", "alpha": 3}, 7, {**CLAIM, "id": "a b"}])
def test_list_with_a_bad_item_is_refused_as_a_whole_and_names_it(desk: Desk, bad: Any) -> None:
    """Nothing of it waits."""
    answer = desk.call("POST", "/tasks/verify", [{"claim": "Good."}, bad])

    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("[1]")
    assert desk.call("GET", "/tasks").json() == []


def test_list_that_names_an_id_twice_is_refused(desk: Desk) -> None:
    """It would else be one task for two claims."""
    answer = desk.call("POST", "/tasks/verify", [{**CLAIM, "id": "x"}, {"claim": "Other.", "id": "x"}])

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "[1].id"


def test_tenant_beyond_its_bound_is_told_429_and_nothing_is_taken(desk: Desk) -> None:
    """Three wait, four may, two more are refused together."""
    desk.call("POST", "/tasks/verify", [{"claim": f"Claim {n}."} for n in range(3)])
    answer = desk.call("POST", "/tasks/verify", [{"claim": "Four."}, {"claim": "Five."}])

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "30")
    assert "3 unfinished tasks and may have 4" in answer.json()["detail"]
    assert len(desk.call("GET", "/tasks").json()) == 3


def test_full_queue_is_told_503(desk: Desk) -> None:
    """Six are all that it holds, whoever's they are."""
    for tenant, count in ((A, 3), (B, 3)):
        desk.call("POST", "/tasks/verify", [{"claim": f"Claim {n}."} for n in range(count)], of=tenant)
    answer = desk.call("POST", "/tasks/verify", CLAIM)

    assert (answer.status_code, answer.json()["code"]) == (503, "saturated")


def test_list_walks_through_pages_of_a_state(desk: Desk) -> None:
    """Newest first, each once."""
    desk.call("POST", "/tasks/verify", [{"claim": f"Claim {n}."} for n in range(4)])
    desk.work("No good.")
    first = desk.call("GET", "/tasks?state=waiting&limit=2")
    rest = desk.call("GET", f"/tasks?state=waiting&limit=2&cursor={first.headers['x-next-cursor']}")
    dead = desk.call("GET", "/tasks?state=dead").json()

    assert [task["claim"] for task in first.json() + rest.json()] == ["Claim 3.", "Claim 2.", "Claim 1."]
    assert "x-next-cursor" not in rest.headers
    assert [task["error"] for task in dead] == ["No good."]
    assert desk.call("GET", "/tasks?state=asleep").status_code == 400


def test_another_tenants_task_is_not_there(desk: Desk) -> None:
    """404 to show, retry and cancel; not in the list, not in the count."""
    path = f"/tasks/{desk.call('POST', '/tasks/verify', CLAIM).json()['id']}"
    calls = [("GET", path), ("POST", f"{path}/retry"), ("DELETE", path)]

    assert [desk.call(method, where, of=B).status_code for method, where in calls] == [404] * 3
    assert desk.call("GET", "/tasks", of=B).json() == []
    assert desk.call("GET", "/queue", of=B).json()["waiting"] == 0


def test_depth_tells_states_and_the_bound(desk: Desk) -> None:
    """What a tenant has, by state."""
    desk.call("POST", "/tasks/verify", [{"claim": "One."}, {"claim": "Two."}])
    desk.work(b"{}")

    assert desk.call("GET", "/queue").json() == {
        "waiting": 1, "leased": 0, "done": 1, "dead": 0, "cancelled": 0, "limit": 4,
    }  # fmt: skip


def test_installation_without_a_queue_says_so() -> None:
    """503, and no trace of a fault."""
    assert Rig().post("/tasks/verify", CLAIM).status_code == 503
