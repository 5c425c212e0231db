"""A Ray head on which the shipped ``serveConfigV2`` is deployed as KubeRay's operator does it.

Used by the cluster tests of the manifest and by the benchmarks of rolling changes and of scaling.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from cluster import head as ray_head
from cluster.head import RunningHead, authentication
from configs.load import load_settings
from configs.schema import Settings
from tests.deploy_tools import ROOT

#: Longest wait for applications on two busy cores.
PATIENCE_S = 150.0


def shipped() -> dict[str, Any]:
    """The Serve config of ``ray-cluster.yaml``."""
    documents = yaml.safe_load_all((ROOT / "ray-cluster.yaml").read_text(encoding="utf-8"))
    (service,) = [each for each in documents if each["kind"] == "RayService"]
    return dict(yaml.safe_load(service["spec"]["serveConfigV2"]))


def released(config: dict[str, Any], *names: str, version: str) -> dict[str, Any]:
    """The config with another version of these applications, as a new image gives them."""
    changed = copy.deepcopy(config)
    for each in changed["applications"]:
        if each["name"] in names:
            each["runtime_env"] = {"env_vars": {"RELEASE": version}}
    return changed


@dataclass(frozen=True)
class Declared:
    """A Ray head, its settings, and the token of its dashboard."""

    head: RunningHead
    settings: Settings
    token: str

    def put(self, config: dict[str, Any]) -> None:
        """Deploy; only where it listens is of this machine."""
        here = copy.deepcopy(config)
        here["http_options"] |= {"host": "127.0.0.1", "port": self.head.http_port}
        with self._dashboard() as dashboard:
            answer = dashboard.put("/api/serve/applications/", json=here)
        assert answer.status_code == 200, answer.text

    def applications(self) -> dict[str, dict[str, Any]]:
        with self._dashboard() as dashboard:
            return dict(dashboard.get("/api/serve/applications/").json()["applications"])

    def states(self) -> set[str]:
        return {each["status"] for each in self.applications().values()}

    def replicas(self, application: str, state: str | None = None) -> set[str]:
        """Ids of an application's replicas, of all or of those in one state."""
        (deployment,) = self.applications()[application]["deployments"].values()
        found = deployment["replicas"]
        return {each["replica_id"] for each in found if state is None or each["state"] == state}

    def is_healthy(self) -> bool:
        try:
            told = httpx.get(f"{self.head.http_url}/health", timeout=10.0)
            return bool(told.json()["status"] == "healthy")
        except (httpx.HTTPError, ValueError):
            return False

    def _dashboard(self) -> httpx.Client:
        headers = {"Authorization": f"Bearer {self.token}"}
        return httpx.Client(base_url=self.head.dashboard_url, headers=headers, timeout=30.0)


@contextmanager
def declared_at(
    home: Path, config: dict[str, Any], environment: Mapping[str, str] | None = None
) -> Iterator[Declared]:
    """Run a config over this home for as long as the block lasts; its embedder is built.

    The processes read the settings from their environment, as pods do.
    """
    told = {"KITE_ENV": "testing", "KITE_HOME": str(home), "KITE_VECTORS__ACTORS": "1", **(environment or {})}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in told.items():
            patch.setenv(name, value)
        settings = load_settings()
        try:
            head = ray_head.start(settings)
            token = Path(authentication(settings)["RAY_AUTH_TOKEN_PATH"]).read_text(encoding="ascii")
            made = Declared(head, settings, token)
            made.put(config)
            until(lambda: made.states() == {"RUNNING"}, made.applications)
            until(made.is_healthy, made.applications)
            yield made
        finally:
            ray_head.stop(settings)


def until(holds: Callable[[], bool], what: Callable[[], object]) -> None:
    """Wait until something holds; say how it stands when it does not."""
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, what()
        time.sleep(0.3)
