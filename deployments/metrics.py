"""What an ingress replica counts, as Prometheus text at ``GET /metrics``.

Base units (seconds) and bounded labels only. Each replica has its own registry; the Ray dashboard's metrics
port adds Serve's and Ray's own figures.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from data.claims import Rejected
from data.evidence import ClaimBatch
from data.questions import Question
from data.verdicts import Opinion, Outcome, Verdict
from deployments.verification import AskFramework

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CLAIMS = (1, 2, 4, 8, 16, 32, 64, 128)

Answer = Callable[[Sequence[Question]], Awaitable[list[Verdict | Rejected]]]


class Meter:
    """The counters and histograms of one ingress replica."""

    def __init__(self) -> None:
        registry = CollectorRegistry()
        self._registry = registry
        self._requests = Counter(
            "kite_http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._request_s = Histogram(
            "kite_http_request_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        self._verdicts = Counter("kite_verdicts", "Verdicts given, by label.", ["label"], registry=registry)
        self._framework_s = Histogram(
            "kite_framework_seconds", "Time of one batch.", ["framework"], buckets=_SECONDS, registry=registry
        )
        self._batch = Histogram(
            "kite_framework_batch_claims",
            "Claims in a batch.",
            ["framework"],
            buckets=_CLAIMS,
            registry=registry,
        )
        self._abstained = Counter(
            "kite_framework_abstentions", "Claims a framework abstained on.", ["framework"], registry=registry
        )
        self._failures = Counter(
            "kite_framework_failures", "Batches that failed.", ["framework"], registry=registry
        )
        self._feedback = Counter(
            "kite_feedback", "Feedback on verdicts, by the label given.", ["label"], registry=registry
        )
        self._broken = Gauge(
            "kite_calibration_alarms",
            "Tenants whose prediction sets miss more than stated, as this replica last saw them.",
            registry=registry,
        )
        self._alarmed: set[str] = set()

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one finished request."""
        self._requests.labels(route, method, str(status)).inc()
        self._request_s.labels(route).observe(seconds)

    def feedback(self, label: str) -> None:
        """Count one piece of feedback."""
        self._feedback.labels(label).inc()

    def calibration_alarm(self, tenant: str, alarm: bool) -> None:  # noqa: FBT001 - a callback's argument
        """Note whether a tenant's coverage is broken; tenants are counted, not named."""
        (self._alarmed.add if alarm else self._alarmed.discard)(tenant)
        self._broken.set(len(self._alarmed))

    def counted(self, answer: Answer) -> Answer:
        """Return ``answer`` with its verdicts counted."""

        async def count(questions: Sequence[Question]) -> list[Verdict | Rejected]:
            results = await answer(questions)
            for result in results:
                self._verdicts.labels("REJECTED" if isinstance(result, Rejected) else result.label).inc()
            return results

        return count

    def watched(self, frameworks: Mapping[str, AskFramework]) -> dict[str, AskFramework]:
        """Return the frameworks with batches, times, abstentions and failures counted."""
        return {name: self._watch(name, ask) for name, ask in frameworks.items()}

    async def render(self) -> bytes:
        """Return everything counted so far as Prometheus text."""
        return generate_latest(self._registry)

    def _watch(self, name: str, ask: AskFramework) -> AskFramework:
        async def call(batch: ClaimBatch) -> Sequence[Outcome]:
            started = time.perf_counter()
            try:
                outcomes = await ask(batch)
            except BaseException:
                self._failures.labels(name).inc()
                raise
            self._framework_s.labels(name).observe(time.perf_counter() - started)
            self._batch.labels(name).observe(len(batch))
            silent = sum(isinstance(item, Opinion) and item.abstained is not None for item in outcomes)
            self._abstained.labels(name).inc(silent)
            return outcomes

        return call
