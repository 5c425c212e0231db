"""A real Prometheus over the running installation: queries find something, alerts mean what they say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import yaml

from tasks import backup, compose_setup, dashboards
from tests.cluster.conftest import Kite
from tests.deploy_tools import MONITORING, ROOT
from tests.prometheus_server import Prometheus, prometheus

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

#: Longest wait for a condition on two busy cores.
PATIENCE_S = 60.0
VICTIM = "utility"
CLAIMS = ("Mount Everest is 8,849 metres high.", "Water boils at 90 degrees.", "The sky may be blue one day.")


def until(holds: Callable[[], object], what: Callable[[], object]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.3)


def expressions() -> dict[str, str]:
    """Every panel's query and every recorded figure, by where it stands."""
    found = {
        f"{dashboard.title}: {panel.title}: {legend}": expr
        for dashboard in dashboards.table()
        for row in dashboard.rows
        for panel in row.panels
        for legend, expr in panel.queries.items()
    }
    recorded = yaml.safe_load((MONITORING / "rules" / "recording.yml").read_text())
    return found | {rule["record"]: rule["record"] for group in recorded["groups"] for rule in group["rules"]}


def ask(kite: Kite, number: int) -> None:
    """Requests of every kind: verdicts, batches, refusals, sessions, feedback."""
    with kite.client() as client:
        for turn in range(number):
            answer = client.post("/api/v1/verify", json={"claim": f"{CLAIMS[turn % 3]} {turn // 6}"})
            assert answer.status_code == 200, answer.text
        verdict_id = answer.json()["verdict"]["id"]
        client.post("/batch/verify", json=[{"claim": claim} for claim in CLAIMS])
        client.post("/verify", json={"claim": ""})
        client.post("/env/reset", json={"config": {"max_steps": 10}, "seed": 7})
        said = client.post(f"/verdicts/{verdict_id}/feedback", json={"label": "REFUTED"})
        assert said.status_code == 200, said.text


@contextmanager
def streaming(home: Path, target: Path) -> Iterator[None]:
    command = [
        sys.executable,
        "-m",
        "tasks.backup",
        "stream",
        "--target",
        str(target),
        "--set",
        f"home={home}",
    ]
    process = subprocess.Popen([*command, "--env", "testing"], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


@pytest.fixture
def watching(kite: Kite, tmp_path: Path) -> Iterator[Prometheus]:
    """Prometheus over the installation, with a key of its own; alerts about parts need no minute here."""
    targets = Path(kite.head.temp_dir) / "ray" / "prom_metrics_service_discovery.json"
    until(targets.exists, lambda: f"{targets} is not there")
    alerts = ("KiteFrameworkDown", "KiteDecidingFrameworkDown", "KitePartDown", "KiteMetricsSourceDown")
    alerts += ("KiteVerdictsDegraded", "KiteFrameworkErrors", "KiteDown")
    folder = tmp_path / "prometheus"
    folder.mkdir()
    admin = kite.home / "secrets" / "admin_key"
    assert compose_setup.make_metrics_key(kite.head.http_url, admin, folder / "own_key")
    key = kite.secrets.add("the key of Prometheus", (folder / "own_key").read_text(encoding="ascii"))
    holds = dict.fromkeys(alerts, "1s") | {"KiteDown": "20s"}
    with prometheus(folder, target=kite.head.http_url, key=key, ray_targets=targets, holds=holds) as running:
        yield running


def kill(kite: Kite, framework: str) -> None:
    """End the framework's replica, if there is one."""
    for pid, title in kite.processes().items():
        if title.startswith("ray::ServeReplica:") and framework in title:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def test_every_query_returns_data_and_a_dead_framework_fires_its_alert_alone(
    kite: Kite, watching: Prometheus, tmp_path: Path
) -> None:
    """A thousand requests, a backup and its stream; then a framework is kept down, and let up again."""
    place = ["--target", str(tmp_path / "backups"), "--set", f"home={kite.home}", "--env", "testing"]
    assert backup.main(["create", *place]) == 0
    assert backup.main(["verify", *place]) == 0
    asked = expressions()
    with streaming(kite.home, tmp_path / "backups"):
        silent = dict(asked)
        ask(kite, 1_000)
        until(lambda: watching.query("http_requests_total"), lambda: "nothing was scraped")

        def answered() -> bool:
            ask(kite, 12)
            for where, expr in list(silent.items()):
                if watching.query(expr):
                    del silent[where]
            return not silent

        until(answered, lambda: f"no data for {silent}")
        until(
            lambda: watching.query('kite_backup_last_success_timestamp_seconds{kind="stream"}'),
            lambda: "no stream",
        )
    assert watching.rule_faults() == {}
    before = watching.firing()
    fired: set[tuple[str, str]] = set()

    def has_fired() -> bool:
        kill(kite, VICTIM)
        fired.update(watching.firing() - before)
        return bool(fired)

    until(has_fired, lambda: f"no alert fired: {watching.query('kite_framework_up')}")
    until(lambda: not watching.firing() - before, lambda: f"still firing: {watching.firing() - before}")

    assert fired == {("KiteFrameworkDown", VICTIM)}
