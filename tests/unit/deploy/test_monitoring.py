"""Prometheus, Alertmanager and Grafana take our files, and the files agree with what is counted."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.metrics_core import Metric

from data.backups.marks import STREAM, Mark
from data.evidence import ClaimBatch
from data.queue.tasks import KindCounts
from data.verdicts import Outcome
from deployments.metrics import Meter
from deployments.metrics_facts import (
    Facts,
    backup_facts,
    health_facts,
    home_facts,
    job_facts,
    ledger_facts,
    model_facts,
    queue_facts,
    session_facts,
)
from deployments.services import HealthReport
from tasks import dashboards
from tests.deploy_tools import MONITORING, ROOT, ran, tool

RULES = sorted((MONITORING / "rules").glob("*.yml"))
#: What Prometheus itself and Ray's agents give; Ray 2.60 writes these (dashboard/modules/reporter).
FOREIGN = {
    "up",
    "ALERTS",
    "ray_node_cpu_utilization",
    "ray_node_mem_used",
    "ray_node_mem_total",
    "ray_node_disk_utilization_percentage",
}
NAME = re.compile(r"\b(?:kite|http|framework|active|ray)_\w+|\bALERTS\b|\bup\b|kite:[\w:]+")


@cache
def rules() -> list[dict[str, Any]]:
    return [
        rule
        for path in RULES
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def alerts() -> dict[str, dict[str, Any]]:
    return {rule["alert"]: rule for rule in rules() if "alert" in rule}


def queries() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule.get("alert") or rule["record"], rule["expr"]
    for dashboard in dashboards.table():
        for row in dashboard.rows:
            for panel in row.panels:
                for expr in panel.queries.values():
                    yield f"{dashboard.title}: {panel.title}", expr


@cache
def counted() -> dict[str, frozenset[str]]:
    """Every sample's name that /metrics can have, with its labels."""
    meter = Meter()

    async def ask(_batch: ClaimBatch) -> list[Outcome]:
        return []

    async def none() -> list[Metric]:
        return []

    meter.watched({"empirical": ask})
    meter.request("/verify", "POST", 200, 0.1)
    meter.calibration_error("shipped", 0.1)
    stats = {"head": 1, "knowledge_seq": 1, "vectors_seq": 1, "views": {"facts": {"applied_seq": 1}}}
    facts = [
        *asyncio.run(Facts({"one": none})()),
        *health_facts(HealthReport({}), ()),
        *ledger_facts(stats),
        *backup_facts({STREAM: Mark(1.0)}, 1),
        *queue_facts([KindCounts("k", 0, 0, 0, 0, 0, 0, 0.0)]),
        *job_facts([("backup", "running")]),
        *session_facts(1),
        *home_facts(Path("/")),
        *model_facts("bundle", "1"),
    ]
    names: dict[str, set[str]] = {}
    for metric in [*meter.collect(), *facts]:
        plain = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("_total",)}.get(metric.type, ("",))
        for suffix in plain:
            names.setdefault(metric.name + suffix, set())
        for sample in metric.samples:
            names.setdefault(sample.name, set()).update(sample.labels)
    return {name: frozenset(labels) for name, labels in names.items()}


def test_prometheus_takes_the_rules() -> None:
    """promtool finds no fault in any rule."""
    done = ran(tool("promtool", "prometheus"), "check", "rules", *RULES)

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["alerts.yml", "days.yml"])
def test_alerts_fire_for_what_they_are_for_and_are_silent_otherwise(name: str) -> None:
    """promtool's unit tests of the rules."""
    done = ran(tool("promtool", "prometheus"), "test", "rules", name, cwd=MONITORING / "tests")

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", ["prometheus.yml", "prometheus-kubernetes.yml"])
def test_prometheus_takes_its_configuration(name: str, tmp_path: Path) -> None:
    """Debian builds Prometheus without Kubernetes: the discovery of pods is checked for its shape only."""
    config = yaml.safe_load((MONITORING / name).read_text())
    for job in config["scrape_configs"]:
        found = job.pop("kubernetes_sd_configs", None)
        assert found in (None, [{"role": "pod"}])
    copy = tmp_path / "prometheus.yml"
    copy.write_text(yaml.safe_dump(config))
    done = ran(tool("promtool", "prometheus"), "check", "config", "--syntax-only", copy)

    assert done.returncode == 0, done.stderr
    assert {job["job_name"] for job in config["scrape_configs"]} == {"kite", "ray"}


def test_alertmanager_takes_its_configuration_and_knows_where_each_severity_goes() -> None:
    """amtool's own routing test."""
    amtool = tool("amtool", "prometheus-alertmanager")
    config = MONITORING / "alertmanager.yml"
    done = ran(amtool, "check-config", config)
    told = {
        severity: ran(amtool, "config", "routes", "test", f"--config.file={config}", f"severity={severity}")
        for severity in ("page", "ticket", "escalation")
    }

    assert done.returncode == 0, done.stdout + done.stderr
    assert {severity: each.stdout.strip() for severity, each in told.items()} == {
        "page": "page",
        "ticket": "ticket",
        "escalation": "second-line",
    }


def test_dashboards_are_what_their_table_says() -> None:
    """Nobody edits the drawn files."""
    assert dashboards.main(["--check"]) == 0


def test_dashboards_have_unique_ids_and_no_two_panels_in_one_place() -> None:
    """Grafana would drop or overlap them without a word."""
    documents = [json.loads(path.read_text()) for path in sorted(dashboards.FOLDER.glob("*.json"))]
    for document in documents:
        cells = [
            (x, y)
            for panel in document["panels"]
            for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
            for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < dashboards.GRID_WIDTH

    assert len({document["uid"] for document in documents}) == len(documents) == 5


@pytest.mark.parametrize(("where", "expr"), list(queries()), ids=lambda value: str(value)[:60])
def test_query_asks_for_what_is_counted(where: str, expr: str) -> None:
    """Every name in a query is counted here, recorded by a rule, or given by Ray."""
    recorded = {one["record"] for one in rules() if "record" in one}
    bare = re.sub(r'"[^"]*"|(?:by|on|group_left) ?\([^)]*\)', "", expr)
    unknown = set(NAME.findall(bare)) - set(counted()) - recorded - FOREIGN

    assert not unknown, where


def test_labels_are_few_and_none_is_an_id() -> None:
    """Nothing that callers make up without bound: no claim, request, key, session or verdict."""
    labels = {label for each in counted().values() for label in each}

    assert labels == {
        *("route", "method", "status", "label", "le", "framework", "error_type", "result", "of"),
        *("source", "view", "kind", "state", "version", "models"),
    }


def test_every_alert_is_tried_and_has_a_chapter() -> None:
    """A rule that no test fires, or that tells nobody what to do, is refused."""
    tried = {
        check["alertname"]
        for path in (MONITORING / "tests").glob("*.yml")
        for test in yaml.safe_load(path.read_text())["tests"]
        for check in test["alert_rule_test"]
        if check["exp_alerts"]
    }
    told = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")

    assert set(alerts()) == tried
    assert [name for name in alerts() if f"### {name}\n" not in told] == []
    assert {rule["labels"]["severity"] for rule in alerts().values()} == {"page", "ticket", "escalation"}
