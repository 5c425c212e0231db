"""Serve's task consumers over our queue, without a cluster: plain handlers, handlers of batches, the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from ray.serve.schema import TaskProcessorConfig
from ray.serve.task_consumer import instantiate_adapter_from_config, task_consumer, task_handler

from cluster.queue_scaling import DEPTH, QueueDepthPolicy
from cluster.task_adapter import QueueTaskAdapter, takes_batches
from configs.load import load_settings
from data.errors import InvalidValueError, NotFoundError
from data.queue.tasks import Task

PATIENCE_S = 10.0


@pytest.fixture
def config(tmp_path: Path) -> TaskProcessorConfig:
    settings = load_settings(
        environment="testing",
        environ={},
        overrides=[f"home={tmp_path}", "queue.workers.idle_s=0.01", "queue.first_wait_s=0.01"],
    )
    return TaskProcessorConfig(
        queue_name="test",
        adapter="cluster.task_adapter.QueueTaskAdapter",
        adapter_config={"settings": msgspec.to_builtins(settings)},
    )


@pytest.fixture
def adapter(config: TaskProcessorConfig) -> Iterator[QueueTaskAdapter]:
    made: Any = instantiate_adapter_from_config(config)
    yield made
    made.stop_consumer()


def eventually(told: Callable[[], Any], wanted: Any) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while (last := told()) != wanted:
        assert time.monotonic() < deadline, last
        time.sleep(0.01)


def test_plain_handler_gets_serves_arguments_and_its_answer_is_kept(adapter: QueueTaskAdapter) -> None:
    """A task put in by Serve's call is done by a plain function."""
    adapter.register_task_handle(lambda left, right: {"sum": left + right}, "add")
    task = adapter.enqueue_task_sync("add", args=[1], kwargs={"right": 2})
    adapter.start_consumer()

    eventually(lambda: adapter.get_task_status_sync(task.id).status, "SUCCESS")
    assert adapter.get_task_status_sync(task.id).result == b'{"sum":3}'


def test_handler_of_batches_gets_what_waits_together(adapter: QueueTaskAdapter) -> None:
    """Five that wait are one call."""
    seen: list[int] = []

    @takes_batches
    def many(tasks: list[Task]) -> list[bytes]:
        seen.append(len(tasks))
        return [b"yes"] * len(tasks)

    adapter.register_task_handle(many)
    for number in range(5):
        adapter.enqueue_task_sync("many", task_id=f"{number}")
    adapter.start_consumer()

    eventually(lambda: adapter.get_metrics_sync()["many"]["done"], 5)
    assert seen == [5]


def test_task_that_fails_for_good_is_dead_with_its_reason(adapter: QueueTaskAdapter) -> None:
    """A refusal is not tried again, and says why."""

    def refuse() -> None:
        raise InvalidValueError("Not so.")

    adapter.register_task_handle(refuse)
    task = adapter.enqueue_task_sync("refuse")
    adapter.start_consumer()

    eventually(lambda: adapter.get_task_status_sync(task.id).status, "FAILURE")
    assert adapter.get_task_status_sync(task.id).result == "Not so."


def test_stopped_consumer_finishes_its_batch_and_gives_the_rest_back(config: TaskProcessorConfig) -> None:
    """What another opens afterwards is done or ready at once: no lease has to end first."""
    begun, go = threading.Event(), threading.Event()

    @takes_batches
    def slow(tasks: list[Task]) -> list[bytes]:
        begun.set()
        go.wait(PATIENCE_S)
        return [b"yes"] * len(tasks)

    first: Any = instantiate_adapter_from_config(config)
    first.register_task_handle(slow)
    for _ in range(100):
        first.enqueue_task_sync("slow")
    first.start_consumer()
    assert begun.wait(PATIENCE_S)
    stopping = threading.Thread(target=first.stop_consumer)
    stopping.start()
    go.set()
    stopping.join(PATIENCE_S)
    second: Any = instantiate_adapter_from_config(config)
    told = second.get_metrics_sync()["slow"]
    second.stop_consumer()

    assert (told["done"], told["ready"], told["leased"]) == (64, 36, 0)


def test_task_is_its_tenants_and_can_be_cancelled(adapter: QueueTaskAdapter) -> None:
    """Another tenant's call does not find it."""
    adapter.register_task_handle(lambda: None, "wait")
    task = adapter.enqueue_task_sync("wait", tenant="a")

    with pytest.raises(NotFoundError):
        adapter.get_task_status_sync(task.id)
    assert not adapter.cancel_task_sync(task.id)
    assert adapter.cancel_task_sync(task.id, tenant="a")
    assert adapter.get_task_status_sync(task.id, tenant="a").status == "REVOKED"


def test_serves_own_decorator_runs_a_class_over_the_queue(config: TaskProcessorConfig) -> None:
    """The adapter is found by its path, and handlers by their mark."""

    @task_consumer(task_processor_config=config)
    class Consumer:
        @task_handler(name="double")
        def double(self, number: int) -> int:
            return 2 * number

    consumer: Any = Consumer()
    consumer.initialize_callable(1)
    adapter: QueueTaskAdapter = consumer._adapter
    task = adapter.enqueue_task_sync("double", args=[21])
    eventually(lambda: adapter.get_task_status_sync(task.id).status, "SUCCESS")

    assert adapter.get_task_status_sync(task.id).result == b"42"
    assert adapter.is_working()
    adapter.stop_consumer()
    assert not adapter.is_working()


@pytest.mark.parametrize(
    ("reports", "wanted"), [({}, 2), ({"r1": 0.0}, 1), ({"r1": 700.0, "r2": 900.0}, 4), ({"r1": 256.0}, 1)]
)
def test_policy_wants_a_worker_for_so_many_tasks(reports: dict[str, float], wanted: int) -> None:
    """The newest figure counts; without one nothing changes."""
    ctx = SimpleNamespace(aggregated_metrics={DEPTH: reports}, target_num_replicas=2)

    assert QueueDepthPolicy(256)(ctx) == (wanted, {})
