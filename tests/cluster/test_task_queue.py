"""Queued claims on real deployments: answered as ``/verify`` answers, once, through kills; tenants apart.

Redis runs a second application of workers beside the installation's own, over a real server that is killed.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from configs.queue_settings import QueueSettings, StreamSettings, WorkerSettings
from configs.schema import Settings
from data.claims import TenantId, make_claim
from data.questions import Question
from data.queue.tasks import NewTask, TaskState
from deployments.task_documents import VERIFY, QueuedQuestion, payload_of
from tests.cluster.conftest import Kite
from tests.redis_server import lasting_redis

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

EVEREST = "Mount Everest is 8,849 metres high."
#: Longest wait for tasks on two busy cores, a killed worker's replacement and its leases' end included.
PATIENCE_S = 120.0


def submit(client: httpx.Client, items: Sequence[dict[str, Any]]) -> list[str]:
    answer = client.post("/api/v1/tasks/verify", json=list(items))
    assert answer.status_code == 202, answer.text
    return [task["id"] for task in answer.json()]


def ended(client: httpx.Client, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Wait until all of these, the newest of their tenant's, have ended; return them by id."""
    deadline = time.monotonic() + PATIENCE_S
    found: dict[str, dict[str, Any]] = {}
    while len(found) < len(ids):
        assert time.monotonic() < deadline, f"{len(ids) - len(found)} tasks are not ended"
        time.sleep(0.2)
        answer = client.get("/api/v1/tasks", params={"limit": 1000})
        # A tenant that was suspended until now may be refused for half a second more.
        told = answer.json() if answer.status_code == 200 else []
        over = [task for task in told if task["state"] in ("done", "dead", "cancelled")]
        found = {task["id"]: task for task in over if task["id"] in ids}
    return found


def workers(kite: Kite) -> list[int]:
    return [pid for pid, command in kite.processes().items() if "queue-worker" in command.split(" ")[0]]


def test_queued_claim_is_answered_with_the_bytes_that_verify_gives(kite: Kite) -> None:
    """The result of a task is the document of ``POST /verify``, byte for byte."""
    with kite.client() as client:
        (task_id,) = submit(client, [{"claim": EVEREST, "alpha": 0.2, "priority": "utility"}])
        task = ended(client, [task_id])[task_id]
        raw = client.get(f"/api/v1/tasks/{task_id}").content
        online = client.post("/verify", json={"claim": EVEREST, "alpha": 0.2}).content

    assert task["state"] == "done"
    assert raw.endswith(b'"result":' + online + b"}")
    assert 0 < task["priority"] < 1000


def test_workers_killed_while_they_work_lose_and_repeat_no_task(kite: Kite) -> None:
    """kill -9 of the worker again and again: every task ends done, once; none is lost."""
    with kite.client() as client:
        before = client.get("/api/v1/queue").json()["done"]
        ids = submit(client, [{"claim": f"Mount Number {n} is {n} metres high."} for n in range(300)])
        for _ in range(2):
            time.sleep(1.0)
            for pid in workers(kite):
                os.kill(pid, signal.SIGKILL)
        found = ended(client, ids)
        after = client.get("/api/v1/queue").json()

    assert {task["state"] for task in found.values()} == {"done"}
    assert after["done"] - before == len(ids)
    assert after["waiting"] == after["leased"] == 0


def test_tenants_see_and_change_only_their_own_tasks(kite: Kite) -> None:
    """Another tenant's task is 404 to show, retry and cancel, and in no list; one id may be two tasks."""
    keys = {}
    with kite.client() as admin:
        for name in ("queue-a", "queue-b"):
            assert admin.post("/api/v1/admin/tenants", json={"id": name, "name": name}).status_code == 201
            wish = {"name": "w", "roles": ["verifier"], "tenant": name}
            keys[name] = admin.post("/api/v1/admin/keys", json=wish).json()["key"]
    with kite.client(keys["queue-a"]) as a, kite.client(keys["queue-b"]) as b:
        (mine,) = submit(a, [{"claim": EVEREST}])
        submit(a, [{"claim": EVEREST, "id": "same"}])
        submit(b, [{"claim": "The Louvre is in Berlin.", "id": "same"}])
        told = ended(a, [mine, "same"])
        theirs = ended(b, ["same"])
        seen = [task["id"] for task in b.get("/api/v1/tasks").json()]
        path = f"/api/v1/tasks/{mine}"
        refused = [b.get(path), b.post(f"{path}/retry"), b.delete(path)]

    assert [answer.status_code for answer in refused] == [404, 404, 404]
    assert seen == ["same"]
    assert told["same"]["claim"] == EVEREST
    assert theirs["same"]["claim"] == "The Louvre is in Berlin."


def test_tasks_of_a_suspended_tenant_end_dead_and_are_done_when_it_is_back(kite: Kite) -> None:
    """A task that waits when its tenant is suspended says so; it can be tried again afterwards."""
    with kite.client() as admin:
        assert admin.post("/api/v1/admin/tenants", json={"id": "queue-s", "name": "s"}).status_code == 201
        wish = {"name": "w", "roles": ["verifier"], "tenant": "queue-s"}
        key = admin.post("/api/v1/admin/keys", json=wish).json()["key"]
        with kite.client(key) as client:
            ids = submit(client, [{"claim": f"Peak {n} of S is {n} metres high."} for n in range(400)])
            admin.put("/api/v1/admin/tenants/queue-s", json={"state": "suspended"})
            time.sleep(3.0)
            admin.put("/api/v1/admin/tenants/queue-s", json={"state": "active"})
            found = ended(client, ids)
            dead = [task for task in found.values() if task["state"] == "dead"]
            again = client.post(f"/api/v1/tasks/{dead[0]['id']}/retry")
            revived = ended(client, [dead[0]["id"]])

    assert {task["error"] for task in dead} == {
        "The tenant queue-s is suspended: try its dead tasks again when it is active."
    }
    assert again.status_code == 200
    assert revived[dead[0]["id"]]["state"] == "done"


def test_depth_is_in_health_metrics_and_the_administrators_list(kite: Kite) -> None:
    """Operators see how deep the queue is, and that its workers live."""
    with kite.client() as client:
        (task_id,) = submit(client, [{"claim": EVEREST}])
        ended(client, [task_id])
        health = client.get("/health").json()["services"]
        counts = client.get("/api/v1/admin/queue").json()
        metrics = client.get("/metrics").text

    assert "tasks wait" in health["queue"]["detail"]
    assert health["queue_worker"]["state"] == "up"
    assert [each["kind"] for each in counts] == ["verify"]
    assert counts[0]["done"] > 0
    assert 'kite_queue_tasks{kind="verify",state="done"}' in metrics
    assert 'kite_queue_worker_tasks_total{outcome="done",replica=' in metrics


@dataclass(frozen=True)
class OnRedis:
    """A Redis with an application of workers on it, which read a stream there too."""

    address: str
    settings: Settings
    restart: Any


@pytest.fixture(scope="module")
def on_redis(kite: Kite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnRedis]:
    from ray import serve

    from deployments.queue_replica import queue_application
    from tasks.session import connect

    folder: Path = tmp_path_factory.mktemp("r")
    with lasting_redis(folder) as server:
        queue = QueueSettings(
            backend="redis",
            url=server.address,
            workers=WorkerSettings(max_replicas=1, lease_s=4.0, beat_s=1.0),
            stream=StreamSettings(url=server.address, idle_s=3.0, batch=16),
        )
        settings = msgspec.structs.replace(kite.settings, queue=queue)
        with connect(kite.settings):
            serve.run(queue_application(settings), name="queue-worker-redis", route_prefix=None)
            try:
                yield OnRedis(server.address, settings, server.restart)
            finally:
                # Serve lets a replica go on for half a minute before it ends it: not waited for here.
                serve.delete("queue-worker-redis", _blocking=False)


def test_queue_on_redis_is_drained_through_a_kill_of_redis(kite: Kite, on_redis: OnRedis) -> None:
    """The server is killed and started again while tasks are at work: all are done."""
    from cluster.wiring import open_queue

    queue = open_queue(on_redis.settings)
    with kite.client() as client:
        frameworks = tuple(client.post("/verify", json={"claim": EVEREST}).json()["frameworks"])
    tenant, count = TenantId("default"), 200
    claims = [make_claim(f"Hill {n} is {n} metres high.") for n in range(count)]
    payloads = [payload_of(QueuedQuestion(Question(claim, frameworks))) for claim in claims]
    put = queue.put([NewTask(tenant, f"{n}", VERIFY, payload) for n, payload in enumerate(payloads)])
    time.sleep(0.5)
    on_redis.restart()
    deadline = time.monotonic() + PATIENCE_S
    states = queue.states(tenant)
    while states[TaskState.DONE] < count:
        assert time.monotonic() < deadline, states
        time.sleep(0.2)
        states = queue.states(tenant)
    queue.close()

    assert put == [True] * count
    assert states[TaskState.DONE] == count


def test_stream_answers_each_claim_once_through_a_kill_of_its_consumer(kite: Kite, on_redis: OnRedis) -> None:
    """Claims of a stream come out as verdicts, once each; what is no request comes out with its reason."""
    from data.stores.redis import connect as redis_connect

    client = redis_connect(on_redis.address)
    names = on_redis.settings.queue.stream
    claims = [{"claim": f"Lake {n} is {n} metres deep.", "key": n} for n in range(60)]
    sent = [client.xadd(names.claims, claim) for claim in claims]
    bad = client.xadd(names.claims, {"body": b'{"claim": ""}', "key": "bad"})
    time.sleep(0.3)
    for pid in workers(kite):
        os.kill(pid, signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE_S
    while client.xlen(names.verdicts) + client.xlen(names.dead) < len(sent) + 1:
        assert time.monotonic() < deadline, (client.xlen(names.verdicts), client.xlen(names.dead))
        time.sleep(0.2)
    verdicts = [fields for _, fields in client.xrange(names.verdicts)]
    ((_, dead),) = client.xrange(names.dead)
    client.close()

    assert sorted(fields[b"id"] for fields in verdicts) == sorted(sent)
    assert msgspec.json.decode(verdicts[0][b"verdict"])["verdict"]["label"]
    assert (dead[b"id"], dead[b"key"]) == (bad, b"bad")
    assert b"claim" in dead[b"reason"]
