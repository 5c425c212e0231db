"""The service without a cluster: the same application over the same stores and models, in this process.

Used by benchmarks where no Ray cluster is wanted (its processes would share the cores with what is measured).
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import uvicorn

from cluster.owned import local_parts
from configs.schema import Settings
from data.parts import Parts
from deployments.api.asgi import create_app
from deployments.assembly import (
    build_calibration_desk,
    build_calibrations,
    build_retriever,
    build_verifier,
    in_process_frameworks,
    in_threads,
)
from deployments.calibration import TenantCalibrations
from deployments.extraction import ClaimExtractor
from deployments.knowledge import KnowledgeDesk
from deployments.metrics import Meter
from deployments.replay import VerdictDesk
from deployments.services import ApiLimits, HealthReport, Services
from deployments.verification import Verifier

#: Longest wait for the server to listen.
START_S = 60.0


@contextmanager
def one_process(settings: Settings) -> Iterator[str]:
    """Serve this home on a free port of loopback for as long as the block lasts; yield the address."""
    with local_parts(settings) as parts, socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        app = create_app(services_over(parts, settings))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
        thread.start()
        deadline = time.monotonic() + START_S
        while not server.started:
            if time.monotonic() > deadline:
                raise RuntimeError(f"The server did not start within {START_S:g} s.")
            time.sleep(0.05)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@dataclass(frozen=True, slots=True)
class Built:
    """What answers and replays, with every framework in this process."""

    frameworks: tuple[str, ...]
    verifier: Verifier
    calibrations: TenantCalibrations | None
    desk: VerdictDesk | None


def built_over(parts: Parts, settings: Settings) -> Built:
    """Return what the gateway's replica would ask, over parts of this process."""
    retriever = build_retriever(parts, settings)
    calibrations = build_calibrations(parts, retriever)
    frameworks = in_process_frameworks(parts, settings)
    verifier = build_verifier(parts, settings, in_threads(frameworks), retriever, calibrations=calibrations)
    desk = None
    if settings.verdicts.record:
        desk = VerdictDesk(parts.reader, verifier.derive, model_bundle=retriever.model_bundle)
    return Built(tuple(frameworks), verifier, calibrations, desk)


def services_over(parts: Parts, settings: Settings) -> Services:
    """Return what the gateway's replica would serve, over parts of this process."""
    built = built_over(parts, settings)
    meter = Meter()
    extractor = ClaimExtractor(parts.analyser, parts.embedder, parts.scorer)

    async def health() -> HealthReport:
        return HealthReport({})

    return Services(
        answer=built.verifier.answer,
        frameworks=built.frameworks,
        store=parts.store,
        clock=parts.clock,
        health=health,
        seq_at=lambda moment: asyncio.to_thread(parts.reader.seq_at, moment),
        metrics=meter.render,
        observe=meter.request,
        limits=ApiLimits(request_timeout_s=settings.http.request_timeout_s),
        calibration=build_calibration_desk(parts, built.calibrations, meter),
        knowledge=KnowledgeDesk(parts.reader),
        verdicts=built.desk,
        extract=lambda text, context: asyncio.to_thread(extractor.extract, text, context),
    )
