"""What is counted, under which names, with which labels; replicas put together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_metrics
from prometheus_client.parser import text_string_to_metric_families

from data.backups.marks import STREAM, BackupMarks
from data.claims import Rejected, TenantId, make_claim
from data.evidence import ClaimBatch, Evidence, Span
from data.jobs.book import JobBook
from data.jobs.folder import JobFolder, folder_of
from data.jobs.records import JobKind, JobRecord
from data.questions import Question
from data.queue.tasks import KindCounts
from data.stores.memory import MemoryStore
from data.traces import Tracer
from data.tracing import Kind, OpenSpan
from data.verdicts import Outcome, Verdict
from deployments.metrics import MOST_TENANTS, OTHER, Bounded, Meter, error_type, seconds_of
from deployments.metrics_exchange import FORGET_S, PREFIX, MetricsExchange
from deployments.metrics_facts import (
    Facts,
    backup_facts,
    health_facts,
    home_facts,
    job_facts,
    ledger_facts,
    queue_facts,
)
from deployments.monitoring import jobs_of
from deployments.services import HealthReport, ServiceState
from tests.fakes import FakeClock

NOW_S = 1_700_000_000.0


def family(text: bytes, name: str) -> dict[tuple[tuple[str, str], ...], float]:
    """Samples of one name by their labels, as a real scraper reads them."""
    return {
        tuple(sorted(sample.labels.items())): sample.value
        for metric in text_string_to_metric_families(text.decode())
        for sample in metric.samples
        if sample.name == name
    }


def verdict(tenant: str = "default", **fields: object) -> Verdict:
    plain = Verdict(
        id="v",
        claim=make_claim("Water is wet.", tenant=TenantId(tenant)),
        label="SUPPORTED",
        probabilities=(0.9, 0.05, 0.03, 0.02),
        confidence=0.9,
        prediction_set=("SUPPORTED",),
        alpha=0.1,
        abstained=None,
        justification="",
        reward=0.0,
        weights={},
        opinions={},
        evidence=(),
        stances={},
        knowledge_seq=1,
        model_bundle="m",
    )
    return replace(plain, **fields)  # type: ignore[arg-type]


def answered(meter: Meter, results: Sequence[Verdict | Rejected]) -> bytes:
    async def answer(_questions: Sequence[Question]) -> list[Verdict | Rejected]:
        return list(results)

    tenants = [
        result.claim.tenant if isinstance(result, Verdict) else TenantId("default") for result in results
    ]
    questions = [Question(make_claim("Water is wet.", tenant=each), ("empirical",)) for each in tenants]

    async def run() -> bytes:
        await meter.counted(answer)(questions)
        return await meter.render()

    return asyncio.run(run())


def test_request_metrics_have_the_agreed_names_and_one_route_for_both_prefixes() -> None:
    """``/verify`` and ``/api/v1/verify`` are one route."""
    meter = Meter()
    meter.request("/verify", "POST", 200, 0.004)
    meter.request("/api/v1/verify", "POST", 200, 0.004)
    meter.request("/api/v1", "GET", 404, 0.001)
    text = asyncio.run(meter.render())

    counted = family(text, "http_requests_total")
    assert counted[("method", "POST"), ("route", "/verify"), ("status", "200")] == 2
    assert counted[("method", "GET"), ("route", "/"), ("status", "404")] == 1
    assert family(text, "http_request_duration_seconds_count")[(("route", "/verify"),)] == 2


def test_framework_metrics_begin_at_zero_and_name_the_error() -> None:
    """A framework that was never asked is there; one that failed says with what."""
    meter = Meter()

    async def broken(_batch: ClaimBatch) -> Sequence[Outcome]:
        raise ConnectionError("gone")

    asks = meter.watched({"empirical": broken, "utility": broken})

    async def run() -> bytes:
        with pytest.raises(ConnectionError):
            await asks["empirical"](None)  # type: ignore[arg-type]
        return await meter.render()

    text = asyncio.run(run())
    errors = family(text, "framework_errors_total")
    assert family(text, "framework_calls_total") == {
        (("framework", "empirical"),): 1,
        (("framework", "utility"),): 0,
    }
    assert errors[("error_type", "ConnectionError"), ("framework", "empirical")] == 1
    assert errors[("error_type", "TimeoutError"), ("framework", "utility")] == 0


def test_verdicts_are_counted_by_label_tenant_and_age_of_evidence() -> None:
    """Withheld, degraded and rejected ones too; evidence without a date counts nowhere."""
    day = Evidence("e", "d", "text", Span(0, 4), published_at="2023-11-13")
    undated = replace(day, published_at=None)
    unreadable = replace(day, published_at="last spring")
    text = answered(
        Meter(lambda: NOW_S),
        [
            verdict("acme", evidence=(day, undated, unreadable)),
            verdict(abstained="thin", degraded=True),
            Rejected("no"),
        ],
    )

    labels = family(text, "kite_verdicts_total")
    assert labels[(("label", "SUPPORTED"),)] == 2
    assert labels[(("label", "REJECTED"),)] == 1
    assert labels[(("label", "REFUTED"),)] == 0
    assert family(text, "kite_verdicts_withheld_total") == {(): 1}
    assert family(text, "kite_verdicts_degraded_total") == {(): 1}
    assert family(text, "kite_tenant_claims_total") == {(("tenant", "acme"),): 1, (("tenant", "default"),): 2}
    assert family(text, "kite_evidence_age_days_count") == {(): 1}
    assert family(text, "kite_evidence_age_days_sum")[()] == pytest.approx(1.93, abs=0.01)


def test_tenants_beyond_the_bound_are_counted_together() -> None:
    """However many tenants there are, the label has few values, and none is lost from the sum."""
    text = answered(Meter(), [verdict(f"tenant-{number}") for number in range(MOST_TENANTS + 7)])

    counted = family(text, "kite_tenant_claims_total")
    assert len(counted) == MOST_TENANTS + 1
    assert counted[(("tenant", OTHER),)] == 7
    assert sum(counted.values()) == MOST_TENANTS + 7


def test_bounded_gives_known_names_back_when_full() -> None:
    """What was there before the bound stays itself."""
    bounded = Bounded(1)

    assert [bounded(name) for name in ("a", "b", "a")] == ["a", OTHER, "a"]


def test_error_type_of_a_carried_error_is_that_of_its_cause() -> None:
    """What Ray wraps is named by what was raised; an ended wait is a timeout."""
    carried = RuntimeError("of Ray")
    carried.cause = KeyError("x")  # type: ignore[attr-defined]

    assert error_type(carried) == "KeyError"
    assert error_type(asyncio.CancelledError()) == "TimeoutError"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("1970", 0.0),
        ("1970-02", 31 * 86_400.0),
        ("1970-01-02", 86_400.0),
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T01:00:00+01:00", 0.0),
    ],
)
def test_seconds_of_reads_years_months_days_and_instants(moment: str, expected: float) -> None:
    """A moment without a zone is UTC."""
    assert seconds_of(moment) == expected


class House:
    """Two replicas over one store."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW_S)
        self.store = MemoryStore(self.clock)
        self.meters = {name: Meter() for name in ("one", "two")}

    def exchange(self, name: str) -> MetricsExchange:
        async def facts() -> list[Metric]:
            return [GaugeMetricFamily("fact", "A fact.", value=7)]

        return MetricsExchange(name, self.store, self.meters[name].collect, facts)

    def render(self, name: str) -> bytes:
        return asyncio.run(self.exchange(name).render())


def test_any_replica_shows_all_replicas_once() -> None:
    """Both answer with the same requests; facts and families stand once."""
    house = House()
    house.meters["one"].request("/verify", "POST", 200, 0.1)
    house.meters["two"].request("/verify", "POST", 200, 0.1)
    house.meters["two"].request("/verify", "POST", 503, 0.1)
    for name in house.meters:
        house.exchange(name).publish()
    first, second = house.render("one"), house.render("two")

    assert family(first, "http_requests_total") == family(second, "http_requests_total")
    assert sum(family(first, "http_requests_total").values()) == 3
    assert first.count(b"# TYPE http_requests_total ") == first.count(b"\nfact 7") == 1
    assert b"_created" not in first


def test_replica_shows_its_own_figures_fresh() -> None:
    """What it counted after it last published is there."""
    house = House()
    house.exchange("one").publish()
    house.meters["one"].request("/verify", "POST", 200, 0.1)

    assert sum(family(house.render("one"), "http_requests_total").values()) == 1


def test_replica_that_is_gone_is_forgotten() -> None:
    """Its series end; they do not fall back to less, which would look like a restart."""
    house = House()
    house.meters["two"].request("/verify", "POST", 200, 0.1)
    house.exchange("two").publish()
    house.clock.advance(FORGET_S + 1)

    assert family(house.render("one"), "http_requests_total") == {}


def test_figures_of_another_version_are_left_out() -> None:
    """A replica that writes another form harms nobody's answer."""
    house = House()
    house.store.put(PREFIX + "old", b"\x01not this")

    assert b"fact 7" in house.render("one")


def test_facts_leave_out_a_source_that_fails_and_say_so() -> None:
    """One part that is broken hides no other."""

    async def good() -> list[Metric]:
        return [GaugeMetricFamily("fact", "A fact.", value=1)]

    async def bad() -> list[Metric]:
        raise OSError("no disk")

    told = asyncio.run(Facts({"good": good, "bad": bad})())
    samples = {(each.name, *each.labels.values()): each.value for metric in told for each in metric.samples}

    assert samples == {
        ("kite_metrics_source_up", "good"): 1,
        ("kite_metrics_source_up", "bad"): 0,
        ("fact",): 1,
    }


def test_facts_are_asked_once_for_many_who_look() -> None:
    """A scraper that asks in a hurry puts no load on the parts."""
    asked: list[None] = []

    async def source() -> list[Metric]:
        asked.append(None)
        return []

    async def look() -> None:
        facts = Facts({"source": source}, monotonic_s=lambda: 100.0)
        await asyncio.gather(*(facts() for _ in range(5)))

    asyncio.run(look())

    assert len(asked) == 1


def values(metrics: Sequence[Metric]) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for metric in metrics
        for sample in metric.samples
    }


def test_health_facts_tell_frameworks_from_parts() -> None:
    """Down is 0; degraded still answers; an open breaker shows."""
    report = HealthReport(
        {
            "utility": ServiceState("down", breaker="open"),
            "empirical": ServiceState("degraded", 12.0, "closed"),
            "models": ServiceState("up", 3.0),
        }
    )
    told = values(health_facts(report, ("utility", "empirical")))

    assert told["kite_framework_up", "utility"] == 0
    assert told["kite_framework_up", "empirical"] == told["kite_part_up", "models"] == 1
    assert told["kite_breaker_open", "utility"] == 1
    assert told["kite_part_latency_seconds", "empirical"] == 0.012


def test_ledger_and_backup_facts_tell_what_lags() -> None:
    """Rows that the index has not seen, and rows that were not streamed."""
    stats = {"head": 50, "knowledge_seq": 40, "vectors_seq": 37, "views": {"facts": {"applied_seq": 40}}}
    clock = FakeClock(NOW_S)
    marks = BackupMarks(MemoryStore(clock), clock)
    marks.set("full", seconds=3.5, size_bytes=1000, seq=40)
    marks.set(STREAM, seconds=1.0, seq=45)
    told = values([*ledger_facts(stats), *backup_facts(marks.all(), 50)])

    assert told["kite_index_lag_rows",] == 3
    assert told["kite_view_seq", "facts"] == 40
    assert told["kite_backup_last_success_timestamp_seconds", "full"] == NOW_S
    assert told["kite_backup_last_size_bytes", "full"] == 1000
    assert told["kite_backup_stream_lag_rows",] == 5


def test_queue_and_job_facts_count_by_kind_and_state(tmp_path: Path) -> None:
    """Jobs are read from their folders."""
    record = JobRecord("j-1", JobKind.BACKUP, tenant=TenantId("acme"))
    JobFolder(folder_of(tmp_path, record.tenant, record.id)).create(record)
    counts = KindCounts("verify", waiting=4, ready=3, leased=2, done=9, dead=1, cancelled=0, oldest_s=1.5)
    told = values([*queue_facts([counts]), *job_facts(jobs_of(JobBook(tmp_path, FakeClock(NOW_S))))])

    assert told["kite_queue_tasks", "verify", "ready"] == 3
    assert told["kite_queue_oldest_seconds", "verify"] == 1.5
    assert told["kite_jobs", "backup", "queued"] == 1


def test_home_facts_tell_the_disk(tmp_path: Path) -> None:
    """What is free is part of the whole."""
    told = values(home_facts(tmp_path))

    assert 0 < told["kite_home_free_bytes",] < told["kite_home_disk_bytes",]


def test_examples_of_traces_travel_with_the_figures_of_any_replica() -> None:
    """As OpenMetrics they stand at the bucket they fell into; the plain text has none."""
    house = House()
    with Tracer("s", keep=lambda _id, _spans: None, ratio=1.0).root("r", Kind.SERVER) as root:
        house.meters["two"].request("/verify", "POST", 200, 0.03)
    house.exchange("two").publish()
    assert isinstance(root, OpenSpan)
    trace_id = root.context().split("-")[1]

    text = asyncio.run(house.exchange("one").render_open()).decode()
    found = {
        sample.labels["le"]: sample.exemplar
        for metric in open_metrics(text)
        for sample in metric.samples
        if sample.name == "http_request_duration_seconds_bucket" and sample.exemplar
    }
    assert list(found) == ["0.05"]
    assert found["0.05"].labels == {"trace_id": trace_id}
    assert found["0.05"].value == 0.03
    assert text.endswith("# EOF\n")
    assert trace_id.encode() not in house.render("one")


def test_request_whose_trace_is_dropped_is_no_example() -> None:
    """A link to it would lead nowhere."""
    house = House()
    with Tracer("s", keep=lambda _id, _spans: None, slow_ms=60_000.0).root("r", Kind.SERVER):
        house.meters["one"].request("/verify", "POST", 200, 0.03)

    assert b"trace_id" not in asyncio.run(house.exchange("one").render_open())


def test_figures_of_a_version_without_examples_are_read() -> None:
    """A replica of the version before may still be there while replicas are replaced."""
    house = House()
    old = [("kite_x", "X.", "counter", [("kite_x_total", {}, 3.0)])]
    house.store.put(f"{PREFIX}old", msgspec.msgpack.encode(old))

    assert family(house.render("one"), "kite_x_total") == {(("replica", "old"),): 3.0}
