"""Where the facts of ``GET /metrics`` come from: puts ports and ``deployments.metrics_facts`` together.

Called by the gateway's replica. What blocks runs in threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from prometheus_client.metrics_core import Metric

from configs.version import VERSION
from data.backups.marks import BackupMarks
from data.jobs.book import JobBook
from data.parts import Parts
from data.queue.tasks import KindCounts
from deployments.metrics_facts import (
    Source,
    backup_facts,
    health_facts,
    home_facts,
    job_facts,
    ledger_facts,
    model_facts,
    queue_facts,
    session_facts,
)
from deployments.services import ApiLimits, HealthReport
from deployments.sessions.lifecycle import SessionStore


def fact_sources(
    parts: Parts,
    home: Path,
    *,
    health: Callable[[], Awaitable[HealthReport]],
    frameworks: Iterable[str],
    stats: Callable[[], Mapping[str, Any]],
    queue: Callable[[], Iterable[KindCounts]] = tuple,
) -> dict[str, Source]:
    """Return every source by name; ``stats`` are the keeper's, ``queue`` counts its tasks."""
    names = tuple(frameworks)
    sessions = SessionStore(parts.store, parts.clock, ApiLimits())
    marks = BackupMarks(parts.store, parts.clock)
    jobs = JobBook(home, parts.clock)

    async def of_health() -> list[Metric]:
        return health_facts(await health(), names)

    def of_ledger() -> list[Metric]:
        told = stats()
        return [*ledger_facts(told), *backup_facts(marks.all(), int(told["head"]))]

    def of_models() -> list[Metric]:
        return model_facts(parts.scorer.bundle()[:12], VERSION)

    return {
        "health": of_health,
        "ledger": _threaded(of_ledger),
        "sessions": _threaded(lambda: session_facts(sessions.count_active())),
        "queue": _threaded(lambda: queue_facts(queue())),
        "jobs": _threaded(lambda: job_facts(jobs_of(jobs))),
        "home": _threaded(lambda: home_facts(home)),
        "models": _threaded(of_models),
    }


def jobs_of(book: JobBook) -> list[tuple[str, str]]:
    """Return kind and state of every job; the book reads only those that have changed."""
    return [(str(record.kind), str(record.state)) for record in book.all_jobs()]


def _threaded(ask: Callable[[], list[Metric]]) -> Source:
    async def source() -> list[Metric]:
        return await asyncio.to_thread(ask)

    return source
