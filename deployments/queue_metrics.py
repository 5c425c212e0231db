"""What a worker of the queue did, as Prometheus counters. Pure; shown beside what its replica counts."""

from __future__ import annotations

from dataclasses import asdict

from prometheus_client.metrics_core import CounterMetricFamily, Metric

from data.queue.worker import WorkerTally
from data.streams.worker import StreamTally


def worker_metrics(queue: WorkerTally, stream: StreamTally | None) -> list[Metric]:
    """Return how many tasks ended how, and entries of a stream where one is read.

    ``lost`` ones were taken from the worker; ``outages`` are calls that found no queue, ``waits`` those that
    found no room for verdicts.
    """
    told = [_counter("kite_queue_worker_tasks", "Tasks of the queue, by what a worker made of them.", queue)]
    if stream is not None:
        told.append(_counter("kite_stream_worker_entries", "Entries of a stream, likewise.", stream))
    return told


def _counter(name: str, text: str, tally: WorkerTally | StreamTally) -> Metric:
    metric = CounterMetricFamily(name, text, labels=["outcome"])
    for outcome, number in asdict(tally).items():
        metric.add_metric([outcome], number)
    return metric
