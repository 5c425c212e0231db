"""Kept traces as OpenTelemetry has them, and what requests, stores and logs say."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from cluster.traces import tracing
from cluster.wiring import open_store
from configs.errors import ConfigError
from configs.load import load_settings
from configs.schema import LogSettings, Settings
from configs.trace_settings import TraceSettings
from data.stores.traced import TracedStore
from data.traces import Tracer
from data.tracing import Kind, OpenSpan, remote, span, take
from deployments.api.asgi import create_app
from deployments.api.logs import configure_logging
from tests.otlp_receiver import receiving
from tests.unit.api.fakes import Rig

CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
SECRET = "A claim that nobody else may read, of 42 words."


def settings(**traces: Any) -> Settings:
    return Settings(traces=TraceSettings(**traces))


def by_name(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {each.name: each for each in exporter.get_finished_spans()}


def test_kept_spans_are_what_opentelemetry_makes_of_them() -> None:
    """Ids, parents, kinds, resources by process, links, errors and times in nanoseconds."""
    exporter = InMemorySpanExporter()
    with tracing(settings(sample_ratio=0.0), "kite-gateway", exporter) as tracer:
        with tracer.root("request", Kind.SERVER, parent=CALLER, links=[CALLER]) as root:
            with span("call", {"n": 1}, Kind.CLIENT) as call:
                context = call.context() if isinstance(call, OpenSpan) else ""
                with remote(context, "served", "kite-keeper") as served:
                    pass
                take(served.blob())
            with pytest.raises(ValueError, match="no"), span("bad"):
                raise ValueError("no")
        assert isinstance(root, OpenSpan)

    spans = by_name(exporter)
    first, called, there = spans["request"], spans["call"], spans["served"]
    assert f"{first.context.trace_id:032x}-{first.parent.span_id:016x}" in CALLER if first.parent else False
    assert (first.kind, called.kind, there.kind) == (SpanKind.SERVER, SpanKind.CLIENT, SpanKind.SERVER)
    assert there.parent is not None
    assert there.parent.span_id == called.context.span_id
    assert there.resource.attributes["service.name"] == "kite-keeper"
    assert first.resource.attributes["service.name"] == "kite-gateway"
    assert [link.context.span_id for link in first.links] == [0x00F067AA0BA902B7]
    assert spans["bad"].status.status_code is StatusCode.ERROR
    assert dict(spans["bad"].attributes or {}) == {"error.type": "ValueError"}
    assert first.start_time is not None
    assert first.end_time is not None
    assert 1.7e18 < first.start_time <= first.end_time


def test_spans_reach_a_collector_by_otlp_before_the_block_ends() -> None:
    """A real receiver on loopback reads the protocol."""
    with receiving() as collector:
        chosen = settings(endpoint=collector.address, sample_ratio=1.0)
        with tracing(chosen, "kite-job") as tracer, tracer.root("job", Kind.CONSUMER, {"kite.job.id": "7"}):
            pass

    (came,) = collector.spans
    assert (came.name, came.service, came.attributes) == ("job", "kite-job", {"kite.job.id": "7"})


def test_nothing_is_loaded_and_no_thread_runs_while_traces_are_off() -> None:
    """Off is the default."""
    before = set(threading.enumerate())
    with tracing(Settings(), "kite-gateway") as tracer:
        assert not tracer.is_on
        assert not isinstance(tracer.root("request", Kind.SERVER, parent=CALLER, always=True), OpenSpan)

    assert set(threading.enumerate()) == before


def traced(
    rig: Rig, exporter: InMemorySpanExporter, *requests: tuple[str, dict[str, Any]], **chosen: Any
) -> None:
    """Send requests to an app that traces."""
    with tracing(settings(**chosen), "kite-gateway", exporter) as tracer:
        app = app_of(rig, tracer)

        async def send() -> None:
            transport = httpx.ASGITransport(app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kite") as client:
                for path, given in requests:
                    await client.request("POST" if "json" in given else "GET", path, **given)

        asyncio.run(send())


def app_of(rig: Rig, tracer: Tracer) -> FastAPI:
    return create_app(replace(rig.services(), tracer=tracer))


def test_request_is_named_by_its_route_and_holds_nothing_of_what_was_sent() -> None:
    """Route, status and tenant; no path, no query, no body, no credential."""
    exporter = InMemorySpanExporter()
    given = {"json": {"claim": SECRET}, "headers": {"traceparent": CALLER, "X-API-Key": "kite_secret"}}
    path = "/verify?label_scheme=fever"
    traced(Rig(), exporter, (path, given), ("/health", {}), ("/verdicts/secret-id", {}), sample_ratio=1.0)

    spans = by_name(exporter)
    assert set(spans) == {"POST /verify", "GET /verdicts/{verdict_id}"}
    assert dict(spans["POST /verify"].attributes or {}) == {
        "http.request.method": "POST",
        "http.response.status_code": 200,
        "http.route": "/verify",
        "url.scheme": "http",
        "kite.tenant": "default",
    }
    told = " ".join(each.to_json() for each in spans.values())
    assert "42 words" not in told
    assert "secret" not in told


def test_request_that_failed_on_our_side_is_marked() -> None:
    """A 500 is an error of the span, a refused body is not."""
    told = []
    for failure in (None, RuntimeError("boom")):
        exporter, rig = InMemorySpanExporter(), Rig()
        rig.verifier.failure = failure
        claim = "x is y." if failure else ""
        traced(rig, exporter, ("/verify", {"json": {"claim": claim}}), sample_ratio=1.0)
        (span,) = exporter.get_finished_spans()
        status = (span.attributes or {})["http.response.status_code"]
        told.append((status, span.status.status_code is StatusCode.ERROR))

    assert told == [(422, False), (500, True)]


def test_slow_request_is_logged_with_its_stages_and_its_trace() -> None:
    """Without a collector too; a quick one is not."""
    stream = io.StringIO()
    logger = logging.getLogger("kite")
    before = (logger.handlers, logger.level, logger.propagate)
    rig = Rig()
    rig.verifier.delay_s = 0.02
    try:
        configure_logging(LogSettings(), logging.StreamHandler(stream))
        with tracing(settings(slow_ms=10.0), "kite-gateway") as tracer:
            app = app_of(rig, tracer)
            rig.post("/verify", {"claim": SECRET}, app=app, headers={"traceparent": CALLER})
            rig.call("GET", "/env/render/none", app=app)
    finally:
        logger.handlers, logger.level, logger.propagate = before
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]

    (slow,) = [line for line in lines if line["logger"] == "kite.slow"]
    assert slow["span"] == "POST /verify"
    assert slow["ms"] >= 10.0
    assert CALLER[3:35] in slow["traceparent"]
    assert CALLER[36:52] not in slow["traceparent"]
    assert "42 words" not in stream.getvalue()


def test_store_is_wrapped_only_where_traces_are_on(tmp_path: Path) -> None:
    """What is off costs nothing; what is on names the store and not the key."""
    exporter = InMemorySpanExporter()
    assert not isinstance(open_store(Settings(home=str(tmp_path))), TracedStore)
    store = open_store(Settings(home=str(tmp_path), traces=TraceSettings(slow_ms=1.0)))
    assert isinstance(store, TracedStore)
    with tracing(settings(sample_ratio=1.0), "s", exporter) as tracer, tracer.root("r", Kind.SERVER):
        store.put("secret key", b"secret value")
        assert store.get("secret key") == b"secret value"

    spans = by_name(exporter)
    assert dict(spans["lmdb get"].attributes or {}) == {
        "db.system.name": "lmdb",
        "db.operation.name": "get",
        "kite.found": True,
    }
    assert "secret" not in "".join(each.to_json() for each in spans.values())


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("traces.endpoint=collector:4318", "no whole address"),
        ("traces.endpoint=http://collector:4318", "no whole address"),
        ("traces.endpoint=http://me@collector:4318/v1/traces", "credential"),
        ("traces.sample_ratio=2", "sample_ratio"),
        ("traces.slow_ms=0", "slow_ms"),
    ],
)
def test_settings_that_cannot_be_kept_are_refused(said: str, words: str) -> None:
    """At the start, in one sentence."""
    with pytest.raises(ConfigError, match=words):
        load_settings(environment="testing", environ={}, overrides=[said])
