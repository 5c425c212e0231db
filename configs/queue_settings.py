"""Settings of the task queue, its workers, and the streams that they read. Part of ``configs.schema``."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, field

from configs.parts import Count, Part, Seconds


class WorkerSettings(Part, frozen=True):
    """The workers of the queue: how many there are, and how each works.

    Replicas are added while more than ``tasks_per_worker`` tasks a worker are ready or at work for
    ``upscale_after_s``, and taken away when there were fewer for ``downscale_after_s``. A worker leases at
    most ``claim`` tasks, verifies ``batch`` of them at a time, and prolongs its leases to ``lease_s`` every
    ``beat_s``, but for no batch longer than ``longest_s``; with nothing to do it looks every ``idle_s``.
    """

    min_replicas: Count = 1
    max_replicas: Count = 4
    tasks_per_worker: Count = 256
    upscale_after_s: Seconds = 10.0
    downscale_after_s: Seconds = 60.0
    batch: Count = 64
    claim: Count = 128
    lease_s: Seconds = 30.0
    beat_s: Seconds = 8.0
    longest_s: Seconds = 600.0
    idle_s: Seconds = 0.25

    def __post_init__(self) -> None:
        """Refuse what no worker can keep to."""
        if self.max_replicas < self.min_replicas:
            msg = f"max_replicas ({self.max_replicas}) is below min_replicas ({self.min_replicas})"
            raise ValueError(msg)
        if self.lease_s < 2 * self.beat_s:
            msg = f"lease_s ({self.lease_s:g}) is less than two beats of beat_s ({self.beat_s:g})"
            raise ValueError(msg)


class StreamSettings(Part, frozen=True):
    """Streams: claims come by ``claims``, verdicts go to ``verdicts``, what cannot be done to ``dead``.

    ``url`` (or ``url_file``, a file that holds it) turns it on: of a Redis, or of a Kafka
    (``kafka://host:9092``). On a Redis cluster the three names share a part in braces; topics of Kafka are
    named without braces, with dots for colons. Claims are verified for ``tenant``. Entries that a consumer
    of ``group`` took and did not settle for ``idle_s`` are taken over by another, ``max_deliveries`` times
    at most. Nothing more is read while ``most_verdicts`` wait: on Redis whoever reads verdicts removes them;
    on Kafka the offsets of the group ``readers`` tell, and where none is named nobody is waited for.
    """

    url: str | None = None
    url_file: str | None = None
    claims: str = "{kite}:claims"
    verdicts: str = "{kite}:verdicts"
    dead: str = "{kite}:dead"
    group: str = "kite"
    tenant: str = "default"
    batch: Count = 64
    idle_s: Seconds = 60.0
    max_deliveries: Count = 8
    most_verdicts: Count = 100_000
    readers: str | None = None

    def __post_init__(self) -> None:
        """Refuse two addresses, and streams that are one."""
        if self.url and self.url_file:
            msg = "stream.url and stream.url_file both name the address: set one"
            raise ValueError(msg)
        if len({self.claims, self.verdicts, self.dead}) < 3:
            msg = "stream.claims, stream.verdicts and stream.dead are three streams: give each its own name"
            raise ValueError(msg)


class QueueSettings(Part, frozen=True):
    """Where queued tasks are kept, how many, how long, and how often each is tried.

    ``backend``: ``sqlite`` keeps them in ``<home>/queue``, for one machine; ``redis`` at ``url`` (or the
    address in ``url_file``, else that of the cache), for many; left out, it follows ``cache.backend``. That
    Redis must not evict (``maxmemory-policy noeviction``) and should append (``appendonly yes``).

    Unfinished tasks are bounded by ``max_tasks`` in all and ``max_tenant_tasks`` of a tenant. Answers are
    kept ``keep_done_s``, dead tasks ``keep_dead_s``; beyond ``max_done`` answers the oldest go sooner. A
    task is tried ``max_attempts`` times, with waits up to ``first_wait_s``, doubled each time to at most
    ``longest_wait_s``.
    """

    backend: Literal["sqlite", "redis"] | None = None
    url: str | None = None
    url_file: str | None = None
    max_tasks: Count = 2_000_000
    max_tenant_tasks: Count = 1_000_000
    keep_done_s: Seconds = 24 * 3600.0
    keep_dead_s: Seconds = 7 * 24 * 3600.0
    max_done: Count = 1_000_000
    max_attempts: Annotated[int, Meta(ge=1, le=100)] = 8
    first_wait_s: Seconds = 2.0
    longest_wait_s: Seconds = 300.0
    workers: WorkerSettings = field(default_factory=WorkerSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)

    def __post_init__(self) -> None:
        """Refuse two addresses, and waits that shrink."""
        if self.url and self.url_file:
            msg = "queue.url and queue.url_file both name the address: set one"
            raise ValueError(msg)
        if self.longest_wait_s < self.first_wait_s:
            msg = f"longest_wait_s ({self.longest_wait_s:g}) is below first_wait_s ({self.first_wait_s:g})"
            raise ValueError(msg)
