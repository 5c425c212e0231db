"""A Prometheus of our own for tests: our configuration and rules over a running installation, in seconds."""

from __future__ import annotations

import copy
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import yaml

from tests.deploy_tools import MONITORING, tool

#: Seconds between scrapes; the shipped file says 15.
SCRAPE_S = 3


class Prometheus:
    """A running Prometheus."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=10.0)

    def is_ready(self) -> bool:
        with suppress(httpx.HTTPError):
            return self._client.get("/-/ready").status_code == 200
        return False

    def query(self, expr: str) -> list[dict[str, Any]]:
        """What a query returns now."""
        answer = self._client.get("/api/v1/query", params={"query": expr}).json()
        assert answer["status"] == "success", (expr, answer)
        return list(answer["data"]["result"])

    def firing(self) -> set[tuple[str, str]]:
        """Name of each alert that fires, with the framework or part it is of."""
        return {
            (each["metric"]["alertname"], each["metric"].get("framework") or each["metric"].get("part", ""))
            for each in self.query('ALERTS{alertstate="firing"}')
        }

    def rule_faults(self) -> dict[str, str]:
        """Rules that could not be evaluated, and why."""
        groups = self._client.get("/api/v1/rules").json()["data"]["groups"]
        return {
            rule["name"]: rule.get("lastError", "")
            for group in groups
            for rule in group["rules"]
            if rule["health"] not in {"ok", "unknown"}
        }

    def close(self) -> None:
        self._client.close()


@contextmanager
def prometheus(
    folder: Path, *, target: str, key: str, ray_targets: Path, holds: Mapping[str, str]
) -> Iterator[Prometheus]:
    """Run Prometheus with the shipped configuration; ``holds`` shortens ``for`` by alert."""
    program = tool("prometheus", "prometheus")
    config = _config(folder, target=target, key=key, ray_targets=ray_targets, holds=holds)
    port = _free_port()
    command = [program, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}"]
    command.append(f"--web.listen-address=127.0.0.1:{port}")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, env={"GOMAXPROCS": "1"})
    running = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + 30.0
        while not running.is_ready():
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, (folder / "log").read_text()
            time.sleep(0.1)
        yield running
    finally:
        running.close()
        process.terminate()
        process.wait(20)


def _config(folder: Path, *, target: str, key: str, ray_targets: Path, holds: Mapping[str, str]) -> Path:
    shipped = copy.deepcopy(yaml.safe_load((MONITORING / "prometheus.yml").read_text()))
    shipped["global"] = {
        "scrape_interval": f"{SCRAPE_S}s",
        "scrape_timeout": f"{SCRAPE_S}s",
        "evaluation_interval": "1s",
    }
    del shipped["alerting"]
    secret = folder / "key"
    secret.write_text(key)
    kite, ray = shipped["scrape_configs"]
    kite["authorization"]["credentials_file"] = str(secret)
    kite["static_configs"] = [{"targets": [re.sub("^https?://", "", target)]}]
    ray["file_sd_configs"] = [{"files": [str(ray_targets)], "refresh_interval": "1s"}]
    (folder / "rules").mkdir()
    for path in (MONITORING / "rules").glob("*.yml"):
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                if rule.get("alert") in holds:
                    rule["for"] = holds[rule["alert"]]
        (folder / "rules" / path.name).write_text(yaml.safe_dump(rules))
    path = folder / "prometheus.yml"
    path.write_text(yaml.safe_dump(shipped))
    return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
