"""One Ray cluster for the test session: started like ``make up``, on free ports, in a temporary home.

Credentials are asked for; ``Kite.client()`` shows the installation's own key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from cluster import head as ray_head
from cluster.head import RunningHead
from cluster.processes import processes_of
from configs.load import load_settings
from configs.schema import Settings
from tasks.kite import start


@dataclass(frozen=True)
class Kite:
    """The running installation."""

    settings: Settings
    head: RunningHead

    @property
    def home(self) -> Path:
        return Path(self.settings.home)

    @property
    def admin_key(self) -> str:
        return (self.home / "secrets" / "admin_key").read_text(encoding="ascii").strip()

    def client(self, key: str | None = None) -> httpx.Client:
        """A client that shows a key, the administrator's where none is given; an empty one shows none."""
        shown = self.admin_key if key is None else key
        headers = {"Authorization": f"ApiKey {shown}"} if shown else {}
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
def kite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kite]:
    home = tmp_path_factory.mktemp("kite")
    settings = load_settings(
        environment="testing", environ={}, overrides=[f"home={home}", "auth.mode=required"]
    )
    try:
        yield Kite(settings, start(settings, demo=True))
    finally:
        ray_head.stop(settings)


@pytest.fixture(scope="session")
def datasets() -> Path:
    folder = os.environ.get("KITE_DATASETS")
    if folder is None:
        pytest.skip("KITE_DATASETS is not set: it names the folder with labelled data")
    return Path(folder)
