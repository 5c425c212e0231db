"""The Serve deployment whose replicas work on queued tasks, and on a stream of claims where one is set up.

Built on Serve's task consumer with our own adapter (``cluster.task_adapter``), which leases tasks in batches.
Two things of Serve's own are not used: its consumers get one task a call, and it stops them on the event loop
that their work needs, so ours is stopped from a thread. It holds no logic: see ``deployments.task_handler``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

import msgspec
from prometheus_client.metrics_core import Metric
from ray import serve
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy
from ray.serve.schema import TaskProcessorConfig
from ray.serve.task_consumer import task_consumer, task_handler

from cluster.loopback import close_replica_port
from cluster.queue_scaling import DEPTH, QueueDepthPolicy
from cluster.remote import RemoteReader
from cluster.task_adapter import QueueTaskAdapter, takes_batches
from cluster.traces import open_tracer
from cluster.wiring import open_stream, remote_parts
from configs.schema import Settings
from data.errors import UnavailableError
from data.parts import Parts
from data.queue.tasks import Task
from data.queue.worker import TaskFault
from data.streams.worker import StreamWorker, StreamWorkerSettings
from deployments.answering import Answering, build_answering
from deployments.assembly import check_framework_settings
from deployments.framework_replica import application_of
from deployments.metrics import Meter
from deployments.metrics_exchange import MetricsExchange
from deployments.metrics_facts import Facts
from deployments.queue_metrics import worker_metrics
from deployments.queue_parts import build_standing, build_stream_handler, build_task_handler
from deployments.replica import QUEUE_WORKER, asks_of
from deployments.task_documents import VERIFY
from deployments.task_handler import VerifyHandler

#: CPUs that a worker reserves: the frameworks, which do most of the work, have their own.
WORKER_CPUS = 0.1
#: Seconds that a worker has to finish the batch at hand when it is told to stop, and for which Serve lets a
#: replica go on before that: it takes every application for one that proxies must forget first.
DRAIN_S, SERVE_DRAIN_S = 15.0, 30.0
#: Over how many seconds Serve averages what the workers report.
LOOK_BACK_S = 15.0
#: What the workers are called in traces.
QUEUE_SERVICE = "kite-queue-worker"


class QueueReplica:
    """Answers queued claims through the same verifier that the gateway builds."""

    _adapter: QueueTaskAdapter

    def __init__(self, settings: Mapping[str, Any]) -> None:
        close_replica_port()
        chosen = msgspec.convert(settings, Settings)
        loop = asyncio.get_running_loop()
        parts = remote_parts(chosen)
        meter = Meter()
        self._answering = _answering(chosen, parts, meter)
        standing = build_standing(chosen, RemoteReader(), parts.edition)
        tracer = open_tracer(chosen, QUEUE_SERVICE) if chosen.traces.is_on else None
        answer = meter.counted(self._answering.answer)
        self._handler = build_task_handler(chosen, answer, loop, standing, tracer=tracer)
        self._stream, self._streaming = _start_stream(chosen, parts, self._handler, loop)
        # A gateway that is asked shows these figures among its own.
        MetricsExchange(_replica(), parts.store, lambda: self._figures(meter), Facts({})).start()

    def _figures(self, meter: Meter) -> list[Metric]:
        tally = self._stream.tally if self._stream else None
        return [*meter.collect(), *worker_metrics(self._adapter.tally, tally)]

    @task_handler(name=VERIFY)
    @takes_batches
    def verify(self, tasks: list[Task]) -> list[bytes | TaskFault]:
        """Answer a batch of queued claims."""
        return self._handler(tasks)

    async def reconfigure(self, user_config: Mapping[str, Any] | None) -> None:
        """Take over weights and thresholds, as the gateway does: give both deployments the same."""
        await asyncio.to_thread(self._answering.configure, user_config)

    async def record_autoscaling_stats(self) -> dict[str, int]:
        """Tell Serve how deep the queue is; the last known depth is averaged where it is away."""
        try:
            return {DEPTH: await asyncio.to_thread(self._adapter.depth)}
        except UnavailableError:
            return {}

    async def ping(self) -> bool:
        """Answer: the worker runs."""
        return self._adapter.is_working()

    def check_health(self) -> None:
        """Let Serve replace a replica whose worker has ended.

        Raises:
            RuntimeError: it has.
        """
        if not self._adapter.is_working() or (self._streaming and not self._streaming.is_alive()):
            raise RuntimeError("The worker of this replica has ended: see its log.")

    async def drain(self) -> None:
        """Finish what is at hand, give back what was not begun, and stop."""
        if self._stream is not None:
            self._stream.stop()
        await asyncio.to_thread(self._adapter.stop_consumer, DRAIN_S)
        if self._streaming is not None:
            await asyncio.to_thread(self._streaming.join, DRAIN_S)


def queue_application(settings: Settings) -> Any:
    """Return the Serve application of the queue's workers."""
    workers = settings.queue.workers
    plain = msgspec.to_builtins(settings)
    deployment: Any = serve.deployment(
        _consumer(plain),
        name=QUEUE_WORKER,
        ray_actor_options={"num_cpus": WORKER_CPUS},
        graceful_shutdown_timeout_s=SERVE_DRAIN_S + 2 * DRAIN_S,
        health_check_period_s=2.0,
        health_check_timeout_s=10.0,
        autoscaling_config=AutoscalingConfig(
            min_replicas=workers.min_replicas,
            max_replicas=workers.max_replicas,
            upscale_delay_s=workers.upscale_after_s,
            downscale_delay_s=workers.downscale_after_s,
            look_back_period_s=LOOK_BACK_S,
            policy=AutoscalingPolicy(  # type: ignore[no-untyped-call]
                policy_function=QueueDepthPolicy,
                policy_kwargs={"tasks_per_worker": workers.tasks_per_worker},
            ),
        ),
    )
    return deployment.bind(plain)


def _consumer(plain: dict[str, Any]) -> Any:
    """Return the replica's class as a task consumer over our queue, stopped without blocking its loop."""
    config = TaskProcessorConfig(
        queue_name=QUEUE_WORKER,
        adapter="cluster.task_adapter.QueueTaskAdapter",
        adapter_config={"settings": plain},
        max_retries=plain["queue"]["max_attempts"] - 1,
    )
    stock: Any = task_consumer(task_processor_config=config)(QueueReplica)

    class QueueConsumer(stock):  # type: ignore[misc]  # the class that Serve makes
        """Serve awaits its end, where the stock one would wait on the loop for work that needs the loop."""

        async def __del__(self) -> None:
            await self.drain()

    return QueueConsumer


def _replica() -> str:
    return str(serve.get_replica_context().replica_id.unique_id)


def _answering(settings: Settings, parts: Parts, meter: Meter) -> Answering:
    handles = {
        name: serve.get_app_handle(application_of(name)) for name in check_framework_settings(settings)
    }
    return build_answering(
        settings,
        parts,
        lambda now: meter.watched(asks_of(handles, now, start=settings)),
        count_cached=meter.cached,
    )


def _start_stream(
    settings: Settings, parts: Parts, verify: VerifyHandler, loop: asyncio.AbstractEventLoop
) -> tuple[StreamWorker | None, threading.Thread | None]:
    stream = open_stream(settings, _replica())
    if stream is None:
        return None, None
    chosen = settings.queue.stream
    told = StreamWorkerSettings(batch=chosen.batch, max_deliveries=chosen.max_deliveries)
    worker = StreamWorker(stream, build_stream_handler(settings, parts, verify, loop), told)
    thread = threading.Thread(target=worker.run, name="stream-worker", daemon=True)
    thread.start()
    return worker, thread
