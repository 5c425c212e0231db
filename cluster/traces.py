"""Traces to a collector by OTLP: the one place that knows OpenTelemetry.

Called by the composition roots of processes that let work in: gateway, workers of the queue, jobs. Frameworks
and shared actors send nothing themselves; what they record comes back with their answers. Invariant: without
an address no library is loaded and no thread runs.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

from configs.schema import Settings
from configs.version import VERSION
from data.traces import Keep, Tracer, stages
from data.tracing import Attributes, Span, parsed

_LOG = logging.getLogger("kite.slow")
#: What spans stand under: who made them, in whose name.
SCOPE, NAMESPACE = "brahminy-kite", "kite"
#: Spans that wait to be sent at most (a claim has about fifty), and milliseconds between two sendings.
QUEUE_SPANS, SEND_EVERY_MS = 16_384, 5_000.0


@contextmanager
def tracing(settings: Settings, service: str, exporter: Any = None) -> Iterator[Tracer]:
    """Lend what begins traces for as long as the block lasts; at its end everything kept has been sent.

    ``exporter`` (an OpenTelemetry ``SpanExporter``) stands in for the collector's address.
    """
    chosen = settings.traces
    keep: Keep | None = None
    end: Callable[[], None] | None = None
    if exporter is not None or chosen.endpoint is not None:
        keep, end = _kept_by(exporter or _exporter(chosen.endpoint))
    try:
        yield Tracer(
            service, keep=keep, ratio=chosen.sample_ratio, slow_ms=chosen.slow_ms, tell_slow=tell_slow
        )
    finally:
        if end is not None:
            end()


def open_tracer(settings: Settings, service: str) -> Tracer:
    """Return what begins the traces of this process until it ends; call it once a process."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(tracing(settings, service))


def tell_slow(first: Span, spans: Sequence[Span]) -> None:
    """Log what took too long, with the milliseconds of its stages."""
    took_ms = round((first.end_ns - first.start_ns) / 1e6, 3)
    fields = {"span": first.name, "ms": took_ms, "stages": stages(first, spans)}
    _LOG.warning("slow", extra={"fields": fields})


def _exporter(endpoint: str | None) -> Any:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter(endpoint=endpoint)


def _kept_by(exporter: Any) -> tuple[Keep, Callable[[], None]]:
    """Return what hands spans to the SDK's queue, whose thread sends them, and what ends it.

    What does not fit into the queue is dropped.
    """
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    processor = BatchSpanProcessor(exporter, max_queue_size=QUEUE_SPANS, schedule_delay_millis=SEND_EVERY_MS)
    shown = _Shown()

    def keep(trace_id: int, spans: Sequence[Span]) -> None:
        for span in spans:
            processor.on_end(shown(trace_id, span))

    return keep, processor.shutdown


class _Shown:
    """Makes the SDK's spans of ours."""

    def __init__(self) -> None:
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import ReadableSpan
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope
        from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

        self._span: Any = ReadableSpan
        self._context: Callable[..., Any] = SpanContext
        self._link: Callable[..., Any] = Link
        self._flags = TraceFlags(TraceFlags.SAMPLED)
        self._kinds = list(SpanKind)
        self._good, self._status, self._bad = Status(), Status, StatusCode.ERROR
        self._scope = InstrumentationScope(SCOPE, VERSION)
        self._resource: Callable[[Attributes], Any] = Resource.create
        self._resources: dict[str, Any] = {}

    def __call__(self, trace_id: int, span: Span) -> Any:
        """Return a span as the SDK has it."""
        attributes = {**span.attributes, "error.type": span.error} if span.error else span.attributes
        return self._span(
            span.name,
            context=self._named(trace_id, span.id),
            parent=self._named(trace_id, span.parent) if span.parent else None,
            resource=self._of(span.service),
            attributes=attributes,
            links=[self._link(self._named(*found[:2])) for each in span.links if (found := parsed(each))],
            kind=self._kinds[span.kind],
            status=self._status(self._bad) if span.error else self._good,
            start_time=span.start_ns,
            end_time=span.end_ns,
            instrumentation_scope=self._scope,
        )

    def _named(self, trace_id: int, span_id: int) -> Any:
        return self._context(trace_id, span_id, is_remote=False, trace_flags=self._flags)

    def _of(self, service: str) -> Any:
        if service not in self._resources:
            told = {"service.name": service, "service.version": VERSION, "service.namespace": NAMESPACE}
            self._resources[service] = self._resource(told)
        return self._resources[service]
