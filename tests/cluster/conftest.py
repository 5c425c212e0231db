"""One Ray cluster for the test session: started like ``make up``, on free ports, in a temporary home.

Credentials are asked for; ``Kite.client()`` shows the installation's own key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from cluster import head as ray_head
from cluster.head import RunningHead
from cluster.processes import processes_of
from configs.load import load_settings
from configs.schema import Settings
from tasks.kite import start
from tests.otlp_receiver import Receiver, receiving


@dataclass(frozen=True)
class Secrets:
    """Every secret that was used in the run, by what it is; tests add those they make."""

    values: dict[str, str] = field(default_factory=dict)

    def add(self, name: str, value: str) -> str:
        """Take note of a secret and return it."""
        self.values[value] = name
        return value

    def of_home(self, home: Path) -> None:
        """Take note of everything in a home's folder of secrets."""
        for path in sorted((home / "secrets").iterdir()):
            self.add(path.name, path.read_text(encoding="utf-8").strip())


@dataclass(frozen=True)
class Kite:
    """The running installation, and the secrets that were used with it."""

    settings: Settings
    head: RunningHead
    secrets: Secrets = field(default_factory=Secrets)

    @property
    def home(self) -> Path:
        return Path(self.settings.home)

    @property
    def admin_key(self) -> str:
        return (self.home / "secrets" / "admin_key").read_text(encoding="ascii").strip()

    def client(self, key: str | None = None) -> httpx.Client:
        """A client that shows a key, the administrator's where none is given; an empty one shows none."""
        shown = self.admin_key if key is None else key
        headers = {"Authorization": f"ApiKey {self.secrets.add('a key', shown)}"} if shown else {}
        return httpx.Client(base_url=self.head.http_url, headers=headers, timeout=60.0)

    def verify(self, claim: str, **fields: object) -> dict[str, object]:
        with self.client() as client:
            answer = client.post("/verify", json={"claim": claim, **fields})
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def processes(self) -> dict[int, str]:
        """Titles of all processes of this run, by id."""
        found = processes_of(self.head.run_id, self.head.temp_dir)
        return {process.pid: " ".join(process.cmdline()) for process in found}


@pytest.fixture(scope="session")
def secrets_used() -> Secrets:
    """Secrets to look for in every log when the run is over."""
    return Secrets()


@pytest.fixture(scope="session")
def collector() -> Iterator[Receiver]:
    """Where the installation's traces go: those of requests that say so, and of jobs."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture(scope="session")
def kite(
    tmp_path_factory: pytest.TempPathFactory, secrets_used: Secrets, collector: Receiver
) -> Iterator[Kite]:
    home = tmp_path_factory.mktemp("kite")
    traced = [f"traces.endpoint={collector.address}", "traces.sample_ratio=0"]
    settings = load_settings(
        environment="testing", environ={}, overrides=[f"home={home}", "auth.mode=required", *traced]
    )
    try:
        made = Kite(settings, start(settings, demo=True), secrets_used)
        yield made
        secrets_used.of_home(home)
        # After the last test, while the logs are still there: an error of the run if a secret is in one.
        assert secrets_in_logs(made, secrets_used) == []
    finally:
        ray_head.stop(settings)


@pytest.fixture(scope="session")
def datasets() -> Path:
    folder = os.environ.get("KITE_DATASETS")
    if folder is None:
        pytest.skip("KITE_DATASETS is not set: it names the folder with labelled data")
    return Path(folder)


def logs_of(kite: Kite) -> list[Path]:
    """Everything that Ray, Serve, HAProxy and we wrote for people to read, whatever it is called."""
    logs = [path for path in (kite.home / "run").rglob("*") if path.is_file()]
    for path in Path(kite.head.temp_dir).rglob("*"):
        if path.is_file() and ("logs" in path.parts or path.suffix in {".log", ".out", ".err", ".cfg"}):
            logs.append(path)
    return logs


def secrets_in_logs(kite: Kite, secrets: Secrets) -> list[str]:
    """Which secret is in which log; read byte by byte, so that no encoding hides one."""
    wanted = {value.encode(): name for value, name in secrets.values.items()}
    assert wanted
    found = []
    for path in logs_of(kite):
        content = path.read_bytes()
        found += [f"{name} in {path}" for value, name in wanted.items() if value in content]
    return found
