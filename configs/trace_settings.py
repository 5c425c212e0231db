"""Settings of traces. Part of ``configs.schema``."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from configs.parts import Part, Share


class TraceSettings(Part, frozen=True):
    """Which traces are kept and where they go; without ``endpoint`` and ``slow_ms`` nothing is traced.

    ``endpoint`` is a collector's address for OTLP over HTTP, such as ``http://collector:4318/v1/traces``;
    headers that it asks for stand in the environment (``OTEL_EXPORTER_OTLP_HEADERS``). ``sample_ratio`` is
    the share of requests that are sent there, beside those whose caller sets the sampled flag of
    ``traceparent`` and all jobs. With ``slow_ms`` every request is recorded where it comes in, and one that
    takes so many milliseconds is sent there too and logged with the times of its stages.
    """

    endpoint: str | None = None
    sample_ratio: Share = 0.01
    slow_ms: Annotated[float, Meta(gt=0.0)] | None = None

    def __post_init__(self) -> None:
        """Refuse what is no address, and one that holds a credential."""
        if self.endpoint is None:
            return
        told = urlsplit(self.endpoint)
        if told.scheme not in {"http", "https"} or not told.hostname or told.path in {"", "/"}:
            msg = "traces.endpoint is no whole address such as http://127.0.0.1:4318/v1/traces"
            raise ValueError(msg)
        if told.username or told.password or told.query:
            msg = "traces.endpoint holds a credential: put it into OTEL_EXPORTER_OTLP_HEADERS"
            raise ValueError(msg)

    @property
    def is_on(self) -> bool:
        """Whether anything is recorded."""
        return self.endpoint is not None or self.slow_ms is not None
