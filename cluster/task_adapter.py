"""The durable queue behind Ray Serve's task consumers, named by path in ``TaskProcessorConfig.adapter``.

Serve's own adapters hand a consumer one task a call and lose what a killed worker had fetched, or give it
back only after a fixed time. This one leases: what is not finished comes back when its lease ends, a handler
marked with :func:`takes_batches` gets many tasks a call, and a plain one gets Serve's arguments.

    config = TaskProcessorConfig(queue_name="kite", adapter="cluster.task_adapter.QueueTaskAdapter",
                                 adapter_config={"settings": msgspec.to_builtins(settings)})

Invariant: an instance runs at most one worker, and ``stop_consumer`` gives back what it did not begin.
"""

from __future__ import annotations

import logging
import random
import threading
import uuid
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
from ray.serve.schema import TaskProcessorAdapter, TaskProcessorConfig, TaskResult

from cluster.wiring import open_queue
from configs.schema import Settings
from data.claims import DEFAULT_TENANT, TenantId
from data.clock import SystemClock
from data.errors import InvalidValueError, NotFoundError, UnavailableError
from data.queue.ports import TaskQueue
from data.queue.retention import Retention
from data.queue.tasks import NewTask, Task, TaskState
from data.queue.worker import QueueWorker, TaskFault, WorkerSettings, WorkerTally, fault_of

_LOG = logging.getLogger(__name__)
#: The mark of a handler that takes a list of tasks.
_BATCHES = "kite_takes_batches"
#: Between two looks for tasks that were kept long enough, seconds, and how far that may vary.
PRUNE_S, PRUNE_JITTER_S = 60.0, 30.0
#: What Serve calls a task's state.
_STATUS = {
    TaskState.WAITING: "PENDING",
    TaskState.LEASED: "STARTED",
    TaskState.DONE: "SUCCESS",
    TaskState.DEAD: "FAILURE",
    TaskState.CANCELLED: "REVOKED",
}
Handler = TypeVar("Handler", bound=Callable[..., Any])


def takes_batches(handler: Handler) -> Handler:
    """Mark a ``task_handler`` as one that gets ``list[Task]`` and answers each with bytes or a fault."""
    setattr(handler, _BATCHES, True)
    return handler


class QueueTaskAdapter(TaskProcessorAdapter):
    """Serve's task processor over a ``TaskQueue``. ``adapter_config`` is ``{"settings": ...}``, plain values.

    Handlers are plain functions: Serve's asynchronous ones are not run here.
    """

    def __init__(self, config: TaskProcessorConfig) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Serve's own
        self._settings = msgspec.convert(config.adapter_config["settings"], Settings)
        self._name = str(config.adapter_config.get("worker") or f"{config.queue_name}-{uuid.uuid4().hex[:8]}")
        self._handlers: dict[str, Callable[..., Any]] = {}
        self._queue: TaskQueue | None = None
        self._worker: QueueWorker | None = None
        self._thread: threading.Thread | None = None
        self._ended = threading.Event()
        self._pruning: threading.Thread | None = None

    @property
    def queue(self) -> TaskQueue:
        """The queue; there after ``initialize``."""
        if self._queue is None:
            raise UnavailableError("The adapter of the queue was not initialised: call initialize first.")
        return self._queue

    def initialize(self, consumer_concurrency: int = 1) -> None:
        """Open the queue. A worker's concurrency is that of its batches, whatever is asked for here."""
        del consumer_concurrency
        self._queue = open_queue(self._settings)

    def register_task_handle(self, func: Callable[..., Any], name: str | None = None) -> None:
        """Take a handler for tasks of a kind; its name must be one that the queue allows."""
        kind = name or func.__name__
        NewTask(DEFAULT_TENANT, "check", kind, b"")
        self._handlers[kind] = func

    def start_consumer(self, **_kwargs: Any) -> None:
        """Start the worker in a thread of its own; a second call changes nothing."""
        if self._thread is not None or not self._handlers:
            return
        chosen = self._settings.queue.workers
        told = WorkerSettings(
            name=self._name,
            kinds=tuple(self._handlers),
            batch=chosen.batch,
            claim=chosen.claim,
            lease_s=chosen.lease_s,
            beat_s=chosen.beat_s,
            longest_s=chosen.longest_s,
            idle_s=chosen.idle_s,
        )
        self._worker = QueueWorker(self.queue, self._handle, told)
        self._thread = threading.Thread(target=self._worker.run, name="queue-worker", daemon=True)
        self._pruning = threading.Thread(target=self._prune_on, name="queue-prune", daemon=True)
        self._thread.start()
        self._pruning.start()

    def stop_consumer(self, timeout: float = 10.0) -> None:
        """Let the batch at hand be finished, give the rest back, and close the queue."""
        self._ended.set()
        if self._worker is not None and self._thread is not None:
            self._worker.stop()
            self._thread.join(timeout)
            if self._thread.is_alive():
                _LOG.warning("A batch was not finished within %g s: its leases will end.", timeout)
                return
        if self._queue is not None:
            self._queue.close()
            self._queue = None

    @property
    def tally(self) -> WorkerTally:
        """What the worker did so far."""
        return WorkerTally() if self._worker is None else self._worker.tally

    def is_working(self) -> bool:
        """Return whether the worker runs: it ends by itself only where the queue is damaged."""
        return self._thread is not None and self._thread.is_alive()

    def enqueue_task_sync(
        self, task_name: str, args: Any = None, kwargs: Any = None, **options: Any
    ) -> TaskResult:
        """Put a task in; ``options`` may name its ``tenant``, ``task_id`` and ``priority``."""
        tenant, task_id = _whose(options), str(options.get("task_id") or uuid.uuid4().hex)
        payload = msgspec.json.encode({"args": list(args or ()), "kwargs": dict(kwargs or {})})
        new = NewTask(tenant, task_id, task_name, payload, int(options.get("priority", 0)))
        if not all(self.queue.put([new])):
            raise UnavailableError("The queue is full: send the task again later.")
        return self.get_task_status_sync(task_id, tenant=tenant)

    def get_task_status_sync(self, task_id: str, **options: Any) -> TaskResult:
        """Return how a task stands.

        Raises:
            NotFoundError: there is none of this id.
        """
        task = self.queue.get(_whose(options), task_id)
        if task is None:
            raise NotFoundError(f"There is no task {task_id!r} here.")
        result = task.error or None if task.result is None else task.result
        return TaskResult(id=task.id, status=_STATUS[task.state], created_at=task.created_s, result=result)

    def cancel_task_sync(self, task_id: str, **options: Any) -> bool:
        """Cancel a task; return whether it is cancelled now."""
        return self.queue.cancel(_whose(options), [task_id])[0]

    def get_metrics_sync(self) -> dict[str, Any]:
        """Return how many tasks of each kind are where."""
        return {each.kind: msgspec.to_builtins(each) for each in self.queue.counts()}

    def health_check_sync(self) -> list[dict[str, Any]]:
        """Return whether the worker runs; raises while the queue does not answer."""
        self.queue.ping()
        return [{self._name: {"ok": self.is_working()}}]

    def depth(self) -> int:
        """Return how many tasks of this worker's kinds are ready or at work."""
        counts = self.queue.counts()
        return sum(each.ready + each.leased for each in counts if each.kind in self._handlers)

    def _handle(self, tasks: list[Task]) -> list[bytes | TaskFault]:
        told: dict[int, bytes | TaskFault] = {}
        for kind in {task.kind for task in tasks}:
            places = [place for place, task in enumerate(tasks) if task.kind == kind]
            answers = self._answers(kind, [tasks[place] for place in places])
            told.update(zip(places, answers, strict=True))
        return [told[place] for place in range(len(tasks))]

    def _answers(self, kind: str, tasks: list[Task]) -> Sequence[bytes | TaskFault]:
        handler = self._handlers[kind]
        if getattr(handler, _BATCHES, False):
            answers: Sequence[bytes | TaskFault] = handler(tasks)
            return answers
        return [_called(handler, task) for task in tasks]

    def _prune_on(self) -> None:
        chosen = self._settings.queue
        kept = Retention(chosen.keep_done_s, chosen.keep_dead_s, chosen.max_done)
        # The jitter keeps workers that started together from looking together.
        while not self._ended.wait(PRUNE_S + random.uniform(0.0, PRUNE_JITTER_S)):  # noqa: S311
            try:
                kept.apply(self.queue, SystemClock().now_s())
            except UnavailableError as exc:
                _LOG.warning("Old tasks are not removed yet: %s", exc)


def _called(handler: Callable[..., Any], task: Task) -> bytes | TaskFault:
    """Return what a plain handler answers, as JSON."""
    try:
        told = msgspec.json.decode(task.payload)
        return msgspec.json.encode(handler(*told["args"], **told["kwargs"]))
    except Exception as exc:  # a task's failure is a value
        return fault_of(exc)


def _whose(options: dict[str, Any]) -> TenantId:
    tenant = options.get("tenant", DEFAULT_TENANT)
    if not isinstance(tenant, str) or not tenant:
        raise InvalidValueError("tenant: name the tenant whose task it is.")
    return TenantId(tenant)
