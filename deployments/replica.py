"""The Serve adapters: one generic replica for every framework, and the gateway in front.

They translate between Serve and plain objects and hold no logic. Blocking work runs in threads, because under
``RAY_SERVE_THROUGHPUT_OPTIMIZED`` a replica's methods share the event loop with its health checks.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import msgspec
from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cluster.head import home_of
from cluster.loopback import close_replica_port
from cluster.remote import RemoteAudit, RemoteEraser, RemoteReader
from cluster.wiring import remote_parts
from configs.schema import Settings
from data.access.secrets import access_secrets
from data.codec import BATCH, decode_outcomes, encode_outcomes
from data.errors import KiteError
from data.evidence import ClaimBatch
from data.parts import Parts
from data.verdicts import Outcome
from deployments.assembly import (
    build_calibration_desk,
    build_calibrations,
    build_embed,
    build_framework,
    build_retriever,
    build_transfers,
    build_verdict_desk,
    build_verifier,
    check_framework_settings,
)
from deployments.extraction import ClaimExtractor
from deployments.fetching import fetch_https
from deployments.framework import Framework
from deployments.gatehouse import AccessParts, build_access
from deployments.health import HealthBoard, Probe
from deployments.knowledge import KnowledgeDesk
from deployments.metrics import Meter
from deployments.services import ApiLimits, Services, Transport
from deployments.verification import AskFramework


def application_of(framework: str) -> str:
    """Return the name of the Serve application that runs a framework."""
    return f"framework-{framework}"


class FrameworkReplica:
    """Runs one framework.

    Settings arrive as ``user_config``, so a change reconfigures and does not restart.
    """

    def __init__(self, name: str) -> None:
        close_replica_port()
        self._name = name
        self._framework: Framework | None = None

    async def reconfigure(self, config: Mapping[str, Any]) -> None:
        """Build the framework from these settings."""
        settings = msgspec.convert(config, Settings)
        self._framework = await asyncio.to_thread(self._build, settings)

    async def verify(self, blob: bytes) -> bytes:
        """Return the encoded outcomes of an encoded batch."""
        return await asyncio.to_thread(self._verify, blob)

    async def ping(self) -> bool:
        """Answer: the replica is there and built."""
        return self._framework is not None

    def _build(self, settings: Settings) -> Framework:
        spec = check_framework_settings(settings)[self._name]
        return build_framework(spec, remote_parts(settings), settings.frameworks.get(self._name, {}))

    def _verify(self, blob: bytes) -> bytes:
        if self._framework is None:
            raise RuntimeError("the replica was asked before it was configured")
        return encode_outcomes(self._framework.verify(BATCH.decode(blob)))


class GatewayReplica:
    """The ingress: serves the API and runs the verifier over the framework deployments."""

    def __init__(self, settings: Mapping[str, Any], links: Mapping[str, str]) -> None:
        close_replica_port()
        self._settings = msgspec.convert(settings, Settings)
        self._links = dict(links)

    def __serve_build_asgi_app__(self) -> Any:
        """Return the ASGI application; Serve calls this once, after the constructor."""
        from deployments.api.asgi import create_app
        from deployments.api.logs import configure_logging

        configure_logging(self._settings.log.level, _log_handler())
        return without_request_id(create_app(self._services()))

    def _services(self) -> Services:
        settings = self._settings
        specs = check_framework_settings(settings)
        handles = {name: serve.get_app_handle(application_of(name)) for name in specs}
        parts = remote_parts(settings)
        retriever = build_retriever(parts, settings)
        asks = {name: _ask(handle) for name, handle in handles.items()}
        meter = Meter()
        extractor = ClaimExtractor(parts.analyser, parts.embedder, parts.scorer)
        calibrations = build_calibrations(parts, retriever)
        verifier = build_verifier(parts, settings, meter.watched(asks), retriever, calibrations=calibrations)
        board = HealthBoard(_probes(parts, handles), verifier.breakers, parts.clock)
        return Services(
            answer=meter.counted(verifier.answer),
            frameworks=tuple(specs),
            store=parts.store,
            clock=parts.clock,
            health=board.report,
            seq_at=lambda moment: asyncio.to_thread(parts.reader.seq_at, moment),
            metrics=meter.render,
            observe=meter.request,
            limits=_limits(settings),
            transport=Transport(
                tls=settings.http.tls.certificate is not None or settings.http.tls_terminated_upstream,
                cors_origins=settings.http.cors_origins,
            ),
            links=self._links,
            calibration=build_calibration_desk(parts, calibrations, meter),
            knowledge=KnowledgeDesk(parts.reader),
            verdicts=build_verdict_desk(parts, settings, verifier, retriever),
            vectors=parts.datasets,
            transfers=build_transfers(parts, home_of(settings)),
            embed=build_embed(parts),
            extract=lambda text, context: asyncio.to_thread(extractor.extract, text, context),
            access=build_access(settings, _access_parts(settings, parts)),
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


class _LogFile(RotatingFileHandler):
    """A file of lines, rotated when it is full; what it holds is asked of the system, once a line."""

    def shouldRollover(self, record: logging.LogRecord) -> bool:  # noqa: N802
        """Return whether the file is full. The library's own way writes each line twice to measure it."""
        del record
        return self.stream is not None and 0 < self.maxBytes <= os.fstat(self.stream.fileno()).st_size


def _log_handler() -> logging.Handler:
    """Return what writes our lines: into a file beside Serve's own log of this replica, kept as long.

    Standard error is Serve's here, and looks through the whole stack for every line: a third of what a
    request cost (measured on Ray 2.60).
    """
    for handler in logging.getLogger("ray.serve").handlers:
        theirs = getattr(handler, "target", handler)
        if isinstance(theirs, RotatingFileHandler):
            file = Path(theirs.baseFilename)
            return _LogFile(
                file.with_name(f"kite_{file.name}"),
                maxBytes=theirs.maxBytes,
                backupCount=theirs.backupCount,
                encoding="utf-8",
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


def _ask(handle: DeploymentHandle[Any]) -> AskFramework:
    async def call(batch: ClaimBatch) -> list[Outcome]:
        # Encoded once for all frameworks would need shared state between these calls; encoding costs far less
        # than the call (measured: 64 claims with 8 passages each in 2 ms).
        return decode_outcomes(await handle.verify.remote(BATCH.encode(batch)))

    return call


def _probes(parts: Any, handles: Mapping[str, DeploymentHandle[Any]]) -> dict[str, Probe]:
    def framework(handle: DeploymentHandle[Any]) -> Probe:
        async def ask() -> None:
            if not await handle.ping.remote():
                raise KiteError("The replica is starting.")

        return Probe(ask)

    def port(ping: Any, *, required: bool = True) -> Probe:
        async def ask() -> None:
            await asyncio.to_thread(ping)

        return Probe(ask, required=required)

    probes = {name: framework(handle) for name, handle in handles.items()}
    probes["knowledge"] = port(parts.reader.ping)
    probes["passage_index"] = port(parts.vectors.ping)
    probes["models"] = port(parts.scorer.ping)
    probes["store"] = port(parts.store.ping)
    probes["vector_datasets"] = port(parts.datasets.ping, required=False)
    return probes
