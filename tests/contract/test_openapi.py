"""The OpenAPI document is true: every operation, as a key of the installation, over a real keeper and HTTP.

Calibration and verdicts need the models, so the cluster tests have those, with a key of each role.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from jsonschema import Draft7Validator

from configs.schema import LimitSettings, RateSettings
from data.access.roles import Role
from tests.contract.openapi_run import schemathesis
from tests.unit.api.keyed_house import KeyedHouse

PLENTY = RateSettings(per_minute=1e9, per_hour=1e9, per_day=1e9, burst=1e9)


class Served:
    """A :class:`KeyedHouse` on a port of this machine, its time running."""

    def __init__(self, home: Path) -> None:
        limits = LimitSettings(tenant=PLENTY, key=PLENTY, address=PLENTY, failures=PLENTY)
        self.house = KeyedHouse(home, limits=limits)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        config = uvicorn.Config(self.house.app, host="127.0.0.1", port=port, log_level="error")
        self.address, self.server = f"http://127.0.0.1:{port}", uvicorn.Server(config)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=run) for run in (self.server.run, self._tick)]
        for thread in self._threads:
            thread.start()
        while not self.server.started:
            time.sleep(0.01)

    def _tick(self) -> None:
        while not self._ended.wait(0.1):
            self.house.pass_time(0.6)

    def close(self) -> None:
        self.server.should_exit = True
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self.house.close()


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    made = Served(tmp_path)
    yield made
    made.close()


@pytest.mark.timeout(600)
def test_every_operation_is_as_documented(served: Served) -> None:
    """All checks of Schemathesis, no failure: answers, statuses, headers, refusals, credentials ignored."""
    key = served.house.key(Role.ADMIN, None)
    found = schemathesis(served.address, key, "--exclude-path-regex", "/(calibration|verdicts)")

    if found.failures:
        pytest.fail(found.failures)
    assert found.operations > 50
    assert found.requests > 1_000


def test_empty_parameter_is_refused_wherever_the_document_refuses_it(served: Served) -> None:
    """``?kind=`` is no ``kind`` left out: a caller whose variable is empty is told so."""
    client = httpx.Client(base_url=served.address, headers={"X-API-Key": served.house.key(Role.ADMIN, None)})
    with client:
        document = client.get("/openapi.json").json()
        asked = {
            (method, path, parameter["name"])
            for path, operations in document["paths"].items()
            for method, operation in operations.items()
            for parameter in operation.get("parameters", ())
            if parameter["in"] == "query" and not Draft7Validator(parameter["schema"]).is_valid("")
        }
        taken = [
            one for one in sorted(asked) if client.request(one[0], one[1], params={one[2]: ""}).is_success
        ]

    assert len(asked) > 30
    assert taken == []
