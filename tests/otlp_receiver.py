"""A collector for tests: takes OTLP over HTTP on loopback and keeps the spans."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    trace_id: str
    id: str
    parent: str
    name: str
    kind: int
    service: str
    start_ns: int
    end_ns: int
    failed: bool
    attributes: dict[str, Any]
    links: tuple[str, ...]


@dataclass
class Receiver:
    """What came so far, as spans and as bytes."""

    address: str
    keeping: bool = True
    requests: int = 0
    spans: list[Received] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    def trace(self, trace_id: str) -> list[Received]:
        return sorted(
            (each for each in list(self.spans) if each.trace_id == trace_id), key=lambda s: s.start_ns
        )

    def tree(self, trace_id: str) -> str:
        """The trace as lines, each below its parent."""
        spans = self.trace(trace_id)
        known = {each.id for each in spans}
        lines: list[str] = []

        def show(each: Received, depth: int) -> None:
            took_ms = (each.end_ns - each.start_ns) / 1e6
            lines.append(f"{took_ms:8.2f}  {'  ' * depth}{each.name}  [{each.service}]")
            for below in spans:
                if below.parent == each.id:
                    show(below, depth + 1)

        for each in spans:
            if each.parent not in known:
                show(each, 0)
        return "\n".join(lines)

    def take(self, body: bytes) -> None:
        self.requests += 1
        if not self.keeping:
            return
        self.bodies.append(body)
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _attributes(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_received(span, service) for span in scope.spans]


@contextmanager
def receiving(*, keeping: bool = True) -> Iterator[Receiver]:
    """Listen on a free port while the block lasts; without ``keeping``, requests are only counted."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}/v1/traces", keeping)
    server.receiver = receiver  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.receiver.take(body)  # type: ignore[attr-defined]
        answer = ExportTraceServiceResponse().SerializeToString()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_words: object) -> None:
        return


def _attributes(pairs: Any) -> dict[str, Any]:
    return {pair.key: getattr(pair.value, pair.value.WhichOneof("value")) for pair in pairs}


def _received(span: Any, service: str) -> Received:
    return Received(
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.name,
        span.kind,
        service,
        span.start_time_unix_nano,
        span.end_time_unix_nano,
        span.status.code == 2,
        _attributes(span.attributes),
        tuple(link.trace_id.hex() for link in span.links),
    )
