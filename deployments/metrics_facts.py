"""What is true of the whole cluster at the moment, for ``GET /metrics``: asked when somebody looks.

Each source is asked beside the others with little time; one that does not answer leaves its figures out and
says so in ``kite_metrics_source_up``. Invariant: bounded labels, no names of tenants, no raising.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from data.backups.marks import STREAM, Mark
from data.queue.tasks import KindCounts
from deployments.services import HealthReport

#: Seconds a source may take (health gives each part two), and for which its answer is handed out again.
ASK_S, FRESH_S = 5.0, 1.0

Source = Callable[[], Awaitable[list[Metric]]]


class Facts:
    """Asks the sources, at most once in ``FRESH_S``."""

    def __init__(
        self, sources: Mapping[str, Source], monotonic_s: Callable[[], float] = time.monotonic
    ) -> None:
        self._sources = dict(sources)
        self._monotonic_s = monotonic_s
        self._asking = asyncio.Lock()
        self._last: tuple[float, list[Metric]] | None = None

    async def __call__(self) -> list[Metric]:
        """Return the facts."""
        async with self._asking:
            now_s = self._monotonic_s()
            if self._last is None or now_s - self._last[0] >= FRESH_S:
                self._last = (now_s, await self._ask_all())
            return self._last[1]

    async def _ask_all(self) -> list[Metric]:
        answers = await asyncio.gather(*(self._ask(source) for source in self._sources.values()))
        up = _gauge("kite_metrics_source_up", "Whether a source of figures answered.", "source")
        for name, answer in zip(self._sources, answers, strict=True):
            up.add_metric([name], float(answer is not None))
        return [up, *(metric for answer in answers if answer is not None for metric in answer)]

    @staticmethod
    async def _ask(source: Source) -> list[Metric] | None:
        try:
            return await asyncio.wait_for(source(), ASK_S)
        except Exception:  # whatever is wrong with one part, the others are shown
            return None


def health_facts(report: HealthReport, frameworks: Iterable[str]) -> list[Metric]:
    """Return which parts answer, how fast, and which breakers are open."""
    named = frozenset(frameworks)
    framework_up = _gauge("kite_framework_up", "Whether a framework answers.", "framework")
    part_up = _gauge("kite_part_up", "Whether a store, an actor or a model answers.", "part")
    latency = _gauge("kite_part_latency_seconds", "How long a part took to say that it is there.", "part")
    breaker = _gauge("kite_breaker_open", "Whether a framework rests after failures.", "framework")
    for name, state in sorted(report.services.items()):
        (framework_up if name in named else part_up).add_metric([name], float(state.state != "down"))
        if state.latency_ms is not None:
            latency.add_metric([name], state.latency_ms / 1000.0)
        if name in named:
            breaker.add_metric([name], float(state.breaker == "open"))
    return [framework_up, part_up, latency, breaker]


def ledger_facts(stats: Mapping[str, Any]) -> list[Metric]:
    """Return where the ledger and its views stand, from ``KeeperStats`` in plain values."""
    seq = _gauge("kite_ledger_seq", "Positions of the ledger.", "of")
    seq.add_metric(["head"], stats["head"])
    seq.add_metric(["knowledge"], stats["knowledge_seq"])
    lag = _gauge("kite_index_lag_rows", "Ledger rows that the passage index has not seen.")
    lag.add_metric([], max(0, stats["knowledge_seq"] - stats["vectors_seq"]))
    views = _gauge("kite_view_seq", "The ledger position that a view has reached.", "view")
    for name, state in sorted(stats["views"].items()):
        views.add_metric([name], state["applied_seq"])
    return [seq, lag, views]


def backup_facts(marks: Mapping[str, Mark], head_seq: int | None = None) -> list[Metric]:
    """Return when backups, their stream, checks and drills last succeeded, and what the stream lacks."""
    labels = "kind"
    at = _gauge("kite_backup_last_success_timestamp_seconds", "When it last succeeded.", labels)
    took = _gauge("kite_backup_last_duration_seconds", "How long the last one took.", labels)
    size = _gauge("kite_backup_last_size_bytes", "Size of the last one.", labels)
    faults = _gauge("kite_backup_faults", "Damaged files that the last check found.", labels)
    for kind, mark in sorted(marks.items()):
        at.add_metric([kind], mark.at_s)
        took.add_metric([kind], mark.seconds)
        size.add_metric([kind], mark.size_bytes)
        faults.add_metric([kind], mark.faults)
    told: list[Metric] = [at, took, size, faults]
    if head_seq is not None and STREAM in marks:
        lag = _gauge("kite_backup_stream_lag_rows", "Ledger rows that were not streamed yet.")
        lag.add_metric([], max(0, head_seq - marks[STREAM].seq))
        told.append(lag)
    return told


def queue_facts(counts: Iterable[KindCounts]) -> list[Metric]:
    """Return how many tasks are where, and for how long the oldest could have begun."""
    tasks = _gauge("kite_queue_tasks", "Tasks of the queue.", "kind", "state")
    oldest = _gauge("kite_queue_oldest_seconds", "How long the oldest ready task waits.", "kind")
    for each in counts:
        for state in ("waiting", "ready", "leased", "done", "dead", "cancelled"):
            tasks.add_metric([each.kind, state], getattr(each, state))
        oldest.add_metric([each.kind], each.oldest_s)
    return [tasks, oldest]


def job_facts(jobs: Iterable[tuple[str, str]]) -> list[Metric]:
    """Return how many jobs of which kind are in which state."""
    told = _gauge("kite_jobs", "Jobs.", "kind", "state")
    for (kind, state), number in sorted(Counter(jobs).items()):
        told.add_metric([kind, state], number)
    return [told]


def session_facts(active: int) -> list[Metric]:
    """Return how many sessions are going on."""
    return [_single("active_sessions_total", "Sessions that are not over.", active)]


def home_facts(home: Path) -> list[Metric]:
    """Return the size of the disk with the home, and what is free of it."""
    usage = shutil.disk_usage(home)
    return [
        _single("kite_home_disk_bytes", "Size of the file system with the home.", usage.total),
        _single("kite_home_free_bytes", "What is free on the file system with the home.", usage.free),
    ]


def model_facts(bundle: str, version: str) -> list[Metric]:
    """Return which models and which software answer."""
    told = _gauge(
        "kite_build_info", "The software and the models that answer; always 1.", "version", "models"
    )
    told.add_metric([version, bundle], 1)
    return [told]


def _single(name: str, text: str, value: float) -> Metric:
    metric = _gauge(name, text)
    metric.add_metric([], value)
    return metric


def _gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=labels)
