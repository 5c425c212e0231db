"""The Serve adapter of the gateway, which stands in front of the frameworks.

It translates between Serve and plain objects and holds no logic. Blocking work runs in threads, because under
``RAY_SERVE_THROUGHPUT_OPTIMIZED`` a replica's methods share the event loop with its health checks.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import msgspec
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.head import home_of
from cluster.jobs import RemoteSchedules
from cluster.loopback import close_replica_port
from cluster.remote import RemoteAudit, RemoteEraser, RemoteReader
from cluster.traced import RPC
from cluster.traces import open_tracer
from cluster.wiring import open_queue, queue_bounds, remote_parts
from configs.schema import Settings
from data.access.secrets import access_secrets
from data.codec import BATCH, decode_outcomes
from data.errors import KiteError
from data.evidence import ClaimBatch
from data.parts import Parts
from data.queue.ports import TaskQueue
from data.tracing import Kind, context, current, span, take
from data.verdicts import Outcome
from deployments.answering import build_answering, followed
from deployments.assembly import (
    build_embed,
    build_transfers,
    check_framework_settings,
)
from deployments.building import own_settings
from deployments.extraction import ClaimExtractor
from deployments.fetching import fetch_https
from deployments.framework_desk import FrameworkDesk
from deployments.framework_replica import application_of
from deployments.gatehouse import AccessParts, build_access
from deployments.health import HealthBoard, Probe
from deployments.job_desk import build_job_desk
from deployments.knowledge import KnowledgeDesk
from deployments.line_file import LineFile
from deployments.metrics import Meter
from deployments.metrics_exchange import MetricsExchange
from deployments.metrics_facts import ASK_S, Facts
from deployments.monitoring import fact_sources
from deployments.schedule_desk import ScheduleDesk
from deployments.services import ApiLimits, Services, Transport
from deployments.task_desk import TaskDesk
from deployments.verification import AskFramework

#: The name of the application, and of its deployment, whose replicas work on queued tasks.
QUEUE_WORKER = "queue-worker"


class GatewayReplica:
    """The ingress: serves the API and runs the verifier over the framework deployments."""

    def __init__(self, settings: Mapping[str, Any], links: Mapping[str, str]) -> None:
        close_replica_port()
        self._settings = msgspec.convert(settings, Settings)
        self._links = dict(links)

    async def reconfigure(self, user_config: Mapping[str, Any] | None) -> None:
        """Take over weights, thresholds and limits, as Serve calls this when only they change.

        Requests go on meanwhile; see ``Answering.configure`` for what becomes of one that does not fit.
        """
        await asyncio.to_thread(self._answering.configure, user_config)
        if self._limiter is not None:
            self._limiter.use(self._answering.present.settings.limits)

    def __serve_build_asgi_app__(self) -> Any:
        """Return the ASGI application; Serve calls this once, after the constructor."""
        from deployments.api.asgi import create_app
        from deployments.api.logs import configure_logging

        configure_logging(self._settings.log, log_handler())
        return without_request_id(create_app(self._services()))

    def _services(self) -> Services:
        settings = self._settings
        specs = check_framework_settings(settings)
        handles = {name: serve.get_app_handle(application_of(name)) for name in specs}
        parts = remote_parts(settings)
        meter = Meter()
        answering = self._answering = build_answering(
            settings,
            parts,
            lambda now: meter.watched(asks_of(handles, now, start=settings)),
            count_cached=meter.cached,
        )
        access = build_access(settings, _access_parts(settings, parts))
        self._limiter = access.limiter
        calibration, verdicts = followed(answering, parts, meter)
        queue = open_queue(settings)
        probes = _probes(parts, handles, queue, lambda: answering.present.settings.frameworks_off)
        board = HealthBoard(probes, answering.present.verifier.breakers, parts.clock)
        exchange = _exchange(settings, parts, meter, board, queue)
        services = Services(
            answer=meter.counted(answering.answer),
            frameworks=tuple(specs),
            store=parts.store,
            clock=parts.clock,
            health=board.report,
            seq_at=lambda moment: asyncio.to_thread(parts.reader.seq_at, moment),
            metrics=exchange.render,
            open_metrics=exchange.render_open,
            tracer=open_tracer(settings, "kite-gateway") if settings.traces.is_on else None,
            observe=meter.request,
            limits=_limits(settings),
            transport=_transport(settings),
            links=self._links,
            calibration=calibration,
            knowledge=KnowledgeDesk(parts.reader),
            verdicts=verdicts,
            access=access,
            settings_in_force=answering.told,
            framework_desk=FrameworkDesk(parts.reader, tuple(specs), answering.settings_with, parts.clock),
        )
        return _with_work(services, settings, parts, queue)


def _with_work(services: Services, settings: Settings, parts: Parts, queue: TaskQueue) -> Services:
    """Return the services with what is done beside verification: vectors, texts, tasks and jobs."""
    extractor = ClaimExtractor(parts.analyser, parts.embedder, parts.scorer)
    jobs = build_job_desk(settings, home_of(settings), parts.clock)
    return replace(
        services,
        vectors=parts.datasets,
        transfers=build_transfers(parts, home_of(settings)),
        jobs=jobs,
        schedules=ScheduleDesk(RemoteSchedules(), parts.reader.append, jobs=jobs, clock=parts.clock),
        tasks=TaskDesk(queue, queue_bounds(settings), worth=extractor.worth),
        embed=build_embed(parts),
        extract=lambda text, context: asyncio.to_thread(extractor.extract, text, context),
    )


def _exchange(
    settings: Settings, parts: Parts, meter: Meter, board: HealthBoard, queue: TaskQueue
) -> MetricsExchange:
    """Return this replica's part in ``GET /metrics``, publishing from now on."""
    sources = fact_sources(
        parts,
        home_of(settings),
        health=board.report,
        frameworks=tuple(check_framework_settings(settings)),
        queue=queue.counts,
        stats=RemoteReader(patience_s=ASK_S).stats,
    )
    replica = serve.get_replica_context().replica_id.unique_id
    exchange = MetricsExchange(replica, parts.store, meter.collect, Facts(sources))
    exchange.start()
    return exchange


def _transport(settings: Settings) -> Transport:
    return Transport(
        tls=settings.http.tls.certificate is not None or settings.http.tls_terminated_upstream,
        cors_origins=settings.http.cors_origins,
    )


def _limits(settings: Settings) -> ApiLimits:
    return ApiLimits(
        body_bytes=settings.http.max_body_bytes,
        vector_body_bytes=settings.http.max_vector_body_bytes,
        request_timeout_s=settings.http.request_timeout_s,
        session_ttl_s=settings.sessions.ttl_s,
        sessions_per_tenant=settings.sessions.max_per_tenant,
        sparql_timeout_s=settings.sparql.timeout_s,
        sparql_rows=settings.sparql.rows,
    )


def log_handler() -> logging.Handler:
    """Return what writes our lines: into a file beside Serve's own log of this replica, kept as long.

    Standard error is Serve's here, and looks through the whole stack for every line: a third of what a
    request cost (measured on Ray 2.60).
    """
    for handler in logging.getLogger("ray.serve").handlers:
        theirs = getattr(handler, "target", handler)
        if isinstance(theirs, RotatingFileHandler):
            file = Path(theirs.baseFilename)
            return LineFile(
                file.with_name(f"kite_{file.name}"), max_bytes=theirs.maxBytes, kept=theirs.backupCount
            )
    return logging.StreamHandler(sys.__stderr__)


def _access_parts(settings: Settings, parts: Parts) -> AccessParts:
    return AccessParts(
        ledger=RemoteReader(),
        audit=RemoteAudit(),
        store=parts.store,
        clock=parts.clock,
        secrets=access_secrets(home_of(settings)),
        fetch=fetch_https,
        edition=parts.edition,
        erase=lambda tenant, actor: RemoteEraser().erase(tenant, actor=actor),
    )


def without_request_id(app: ASGIApp) -> ASGIApp:
    """Return the app without its ``X-Request-ID`` header on answers: Serve adds the same one by itself."""

    async def served(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_once(message: Message) -> None:
            if message["type"] == "http.response.start":
                kept = [item for item in message["headers"] if item[0] != b"x-request-id"]
                message = {**message, "headers": kept}
            await send(message)

        await app(scope, receive, send_once)

    return served


def asks_of(
    handles: Mapping[str, DeploymentHandle[Any]], settings: Settings, *, start: Settings
) -> dict[str, AskFramework]:
    """Return the frameworks behind these handles under these settings; they began with those of ``start``."""
    owns = {name: (own_settings(settings, name), own_settings(start, name)) for name in handles}
    return {
        name: ask_replica(handle, *(() if owns[name][0] == owns[name][1] else owns[name][:1]))
        for name, handle in handles.items()
    }


def ask_replica(handle: DeploymentHandle[Any], *own: bytes) -> AskFramework:
    """Return the framework behind a handle, under ``own`` settings if given, as the verifier asks it."""

    async def call(batch: ClaimBatch) -> list[Outcome]:
        # Encoded once for all frameworks would need shared state between these calls; encoding costs far less
        # than the call (measured: 64 claims with 8 passages each in 2 ms).
        blob = BATCH.encode(batch)
        if current() is None:
            return decode_outcomes(await handle.verify.remote(blob, *own))
        with span("call", RPC, Kind.CLIENT):
            if not (here := context()):
                return decode_outcomes(await handle.verify.remote(blob, *own))
            outcomes, recorded = await handle.traced.remote(here, blob, *own)
            take(recorded)
        return decode_outcomes(outcomes)

    return call


def _queue_probes(queue: TaskQueue) -> dict[str, Probe]:
    async def depth() -> str:
        counts = await asyncio.to_thread(queue.counts)
        waiting, oldest_s = (
            sum(each.waiting for each in counts),
            max([each.oldest_s for each in counts] or [0.0]),
        )
        return f"{waiting} tasks wait, the oldest for {oldest_s:.1f} s"

    workers = serve.get_app_handle(QUEUE_WORKER)

    async def work() -> None:
        if not await workers.ping.remote():
            raise KiteError("The worker is starting, or has ended.")

    return {"queue": Probe(depth), "queue_worker": Probe(work)}


def _probes(
    parts: Any,
    handles: Mapping[str, DeploymentHandle[Any]],
    queue: TaskQueue,
    off: Callable[[], Sequence[str]],
) -> dict[str, Probe]:
    def framework(name: str, handle: DeploymentHandle[Any]) -> Probe:
        async def ask() -> str | None:
            if not await handle.ping.remote():
                raise KiteError("The replica is starting.")
            return "switched off" if name in off() else None

        return Probe(ask)

    def port(ping: Any, *, required: bool = True) -> Probe:
        async def ask() -> None:
            await asyncio.to_thread(ping)

        return Probe(ask, required=required)

    probes = {name: framework(name, handle) for name, handle in handles.items()}
    probes["knowledge"] = port(parts.reader.ping)
    probes["passage_index"] = port(parts.vectors.ping)
    probes["models"] = port(parts.scorer.ping)
    probes["store"] = port(parts.store.ping)
    probes["vector_datasets"] = port(parts.datasets.ping, required=False)
    if parts.copies is not None:
        probes["vector_copies"] = port(parts.copies, required=False)
    return {**probes, **_queue_probes(queue)}
