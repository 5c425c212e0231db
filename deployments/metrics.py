"""What one ingress replica counts: requests, frameworks, verdicts, the cache.

Base units (seconds) and bounded labels only: what callers make up (tenants) is counted by name up to a number
and as ``other`` beyond it. ``deployments.metrics_exchange`` puts the replicas' figures together.
"""

from __future__ import annotations

import itertools
import math
import time
from asyncio import CancelledError
from bisect import bisect_left
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics_core import HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from data.claims import Rejected
from data.evidence import ClaimBatch
from data.questions import Question
from data.tracing import exemplar
from data.verdicts import VERDICT_LABELS, Opinion, Outcome, Verdict
from deployments.verification import AskFramework

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_CLAIMS = (1, 2, 4, 8, 16, 32, 64, 128)
#: A day, a week, a month, a quarter, one, two, five, ten and twenty years.
_DAYS = (1, 7, 30, 90, 365, 730, 1_825, 3_650, 7_300)
#: Names of one label that are counted by name; further ones are ``OTHER`` together.
MOST_TENANTS, MOST_ERRORS = 100, 20
OTHER = "other"
REJECTED = "REJECTED"
#: The same routes stand under this prefix and without it; they are counted as one.
_PREFIX = "/api/v1"

Answer = Callable[[Sequence[Question]], Awaitable[list[Verdict | Rejected]]]


class Bounded:
    """Gives the first ``most`` names back as they are and ``OTHER`` for those that come later."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[str] = set()

    def __call__(self, name: str) -> str:
        """Return the label's value for a name."""
        if name in self._known:
            return name
        if len(self._known) >= self._most:
            return OTHER
        self._known.add(name)
        return name


class Meter:
    """The counters and histograms of one ingress replica; ages of evidence are measured to ``now_s()``."""

    def __init__(self, now_s: Callable[[], float] = time.time) -> None:
        self._registry = registry = CollectorRegistry()
        self._now_s = now_s
        self._requests = Counter(
            "http_requests", "Requests answered.", ["route", "method", "status"], registry=registry
        )
        self._request_s = Histogram(
            "http_request_duration_seconds", "Time to answer.", ["route"], buckets=_SECONDS, registry=registry
        )
        #: As few as the label sets: routes, methods and statuses are all from bounded lists.
        self._of_request: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._frameworks = _FrameworkCounts(registry)
        self._verdicts = _VerdictCounts(registry)
        cache = Counter(
            "kite_verdict_cache", "Verdicts looked for in the cache.", ["result"], registry=registry
        )
        self._feedback = Counter(
            "kite_feedback", "Feedback on verdicts, by the label given.", ["label"], registry=registry
        )
        self._broken = Gauge(
            "kite_calibration_alarms",
            "Tenants whose prediction sets miss more than stated, as this replica last saw them.",
            registry=registry,
        )
        self._error = Gauge(
            "kite_calibration_error",
            "Expected calibration error: of the held-out answers, and of the last tenant's feedback seen.",
            ["of"],
            registry=registry,
        )
        self._alarmed: set[str] = set()
        for label in VERDICT_LABELS:
            self._feedback.labels(label)
        self._cache_of = {result: cache.labels(result) for result in ("hit", "miss")}

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one finished request."""
        counters = self._of_request.get((route, method, status))
        if counters is None:
            counters = self._of_request[route, method, status] = self._request_counters(route, method, status)
        counters[0].inc()
        counters[1].observe(seconds, exemplar())

    def _request_counters(self, route: str, method: str, status: int) -> tuple[Counter, Histogram]:
        route = route.removeprefix(_PREFIX) or "/"
        return self._requests.labels(route, method, str(status)), self._request_s.labels(route)

    def feedback(self, label: str) -> None:
        """Count one piece of feedback."""
        self._feedback.labels(label).inc()

    def calibration_alarm(self, tenant: str, alarm: bool) -> None:  # noqa: FBT001 - a callback's argument
        """Note whether a tenant's coverage is broken; tenants are counted, not named."""
        (self._alarmed.add if alarm else self._alarmed.discard)(tenant)
        self._broken.set(len(self._alarmed))

    def calibration_error(self, of: str, error: float | None) -> None:
        """Note how far probabilities were from what came true: ``of`` is ``shipped`` or ``feedback``."""
        if error is not None:
            self._error.labels(of).set(error)

    def cached(self, hits: int, misses: int) -> None:
        """Count verdicts that were in the cache, and that were not."""
        for result, count in (("hit", hits), ("miss", misses)):
            if count:
                self._cache_of[result].inc(count)

    def counted(self, answer: Answer) -> Answer:
        """Return ``answer`` with its verdicts counted."""

        async def count(questions: Sequence[Question]) -> list[Verdict | Rejected]:
            results = await answer(questions)
            self._verdicts.add(questions, results, self._now_s())
            return results

        return count

    def watched(self, frameworks: Mapping[str, AskFramework]) -> dict[str, AskFramework]:
        """Return the frameworks with batches, times, abstentions and failures counted."""
        return {name: self._frameworks.watch(name, ask) for name, ask in frameworks.items()}

    def collect(self) -> Iterable[Metric]:
        """Return everything counted so far."""
        return self._registry.collect()

    async def render(self) -> bytes:
        """Return everything counted so far as Prometheus text."""
        return generate_latest(self)


class _FrameworkCounts:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._calls = Counter(
            "framework_calls", "Batches a framework was asked about.", ["framework"], registry=registry
        )
        self._seconds = Histogram(
            "framework_duration_seconds",
            "Time of one batch.",
            ["framework"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._errors = Counter(
            "framework_errors", "Batches that failed.", ["framework", "error_type"], registry=registry
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
        self._error_types = Bounded(MOST_ERRORS)

    def watch(self, name: str, ask: AskFramework) -> AskFramework:
        """Return ``ask`` counted. What was never seen yet is there as 0, so that its rate has a beginning."""
        for family in (self._calls, self._seconds, self._batch, self._abstained):
            family.labels(name)
        self._errors.labels(name, self._error_types("TimeoutError"))

        async def call(batch: ClaimBatch) -> Sequence[Outcome]:
            started = time.perf_counter()
            self._calls.labels(name).inc()
            try:
                outcomes = await ask(batch)
            except BaseException as exc:
                self._errors.labels(name, self._error_types(error_type(exc))).inc()
                raise
            self._seconds.labels(name).observe(time.perf_counter() - started, exemplar())
            self._batch.labels(name).observe(len(batch))
            silent = sum(isinstance(item, Opinion) and item.abstained is not None for item in outcomes)
            self._abstained.labels(name).inc(silent)
            return outcomes

        return call


class _VerdictCounts:
    def __init__(self, registry: CollectorRegistry) -> None:
        self._verdicts = Counter("kite_verdicts", "Verdicts given, by label.", ["label"], registry=registry)
        self._withheld = Counter("kite_verdicts_withheld", "Verdicts withheld.", registry=registry)
        self._degraded = Counter(
            "kite_verdicts_degraded", "Verdicts given while a framework was missing.", registry=registry
        )
        self._tenants = Counter(
            "kite_tenant_claims", "Claims answered, by tenant.", ["tenant"], registry=registry
        )
        self._ages = _Ages()
        registry.register(self._ages)
        self._tenant = Bounded(MOST_TENANTS)
        self._tenant_counters: dict[str, Counter] = {}
        self._dates: dict[str, float] = {}
        self._labels = {label: self._verdicts.labels(label) for label in (*VERDICT_LABELS, REJECTED)}

    def add(self, questions: Sequence[Question], results: Sequence[Verdict | Rejected], now_s: float) -> None:
        """Count the answers of one call."""
        for question, result in zip(questions, results, strict=True):
            self._of_tenant(str(question.claim.tenant)).inc()
            if isinstance(result, Rejected):
                self._labels[REJECTED].inc()
                continue
            self._labels[result.label].inc()
            if result.abstained is not None:
                self._withheld.inc()
            if result.degraded:
                self._degraded.inc()
            for item in result.evidence:
                if item.published_at is not None:
                    self._note_age(item.published_at, now_s)

    def _of_tenant(self, tenant: str) -> Counter:
        found = self._tenant_counters.get(tenant)
        if found is None:
            name = self._tenant(tenant)
            found = self._tenants.labels(name)
            if name != OTHER:
                self._tenant_counters[tenant] = found
        return found

    def _note_age(self, published_at: str, now_s: float) -> None:
        published_s = self._dates.get(published_at)
        if published_s is None:
            if len(self._dates) > 10_000:
                self._dates.clear()
            published_s = self._dates[published_at] = seconds_of(published_at)
        if not math.isnan(published_s):
            self._ages.note(max(0.0, (now_s - published_s) / 86_400.0))


class _Ages(Collector):
    """A histogram of days for a dozen values a verdict: one lock less for each than the library's own."""

    def __init__(self) -> None:
        self._counts = [0] * (len(_DAYS) + 1)
        self._sum = 0.0

    def note(self, days: float) -> None:
        """Count one."""
        self._counts[bisect_left(_DAYS, days)] += 1
        self._sum += days

    def collect(self) -> Iterable[Metric]:
        """Return what was counted."""
        bounds = [*(str(float(bound)) for bound in _DAYS), "+Inf"]
        buckets = list(zip(bounds, itertools.accumulate(self._counts), strict=True))
        yield HistogramMetricFamily(
            "kite_evidence_age_days", "Age of dated evidence behind verdicts.", buckets, self._sum
        )


def error_type(exc: BaseException) -> str:
    """Return the name of an error's class; for one that Ray carried over, of the class it wraps."""
    if isinstance(exc, CancelledError):  # the verifier's time for the framework was over
        return "TimeoutError"
    cause: Any = getattr(exc, "cause", None)
    return type(cause if isinstance(cause, BaseException) else exc).__name__


def seconds_of(moment: str) -> float:
    """Return an ISO date or instant (a year or month: its beginning) in seconds of the epoch, else NaN."""
    padded = moment + "-01-01"[(len(moment) - 4) :] if len(moment) in (4, 7) else moment
    try:
        parsed = datetime.fromisoformat(padded)
    except ValueError:
        return float("nan")
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
