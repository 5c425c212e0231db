"""The very ``serveConfigV2`` of ``ray-cluster.yaml``, on a Ray of its own: it answers, and it rolls."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import Kite
from tests.declared import Declared, declared_at, released, shipped, until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CLAIM = "Mount Everest is 8,849 metres high."


@pytest.fixture(scope="module")
def declared(kite: Kite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Declared]:
    """The shipped config, running."""
    home = tmp_path_factory.mktemp("declared")
    (home / "models").mkdir(parents=True)
    (home / "models" / "embedder").symlink_to(kite.home / "models" / "embedder")
    with declared_at(home, shipped()) as made:
        yield made


class Asking:
    """Asks without a pause from several threads; remembers every status."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(number,)) for number in range(4)]
        self.statuses: Counter[int | str] = Counter()

    def _ask(self, number: int) -> None:
        with httpx.Client(base_url=self._url, timeout=60.0) as client:
            turn = 0
            while not self._stopped.is_set():
                turn += 1
                try:
                    answer = client.post("/verify", json={"claim": f"{CLAIM} {number} {turn}"})
                    self.statuses[answer.status_code] += 1
                except httpx.HTTPError as exc:
                    self.statuses[type(exc).__name__] += 1

    def __enter__(self) -> Asking:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()


def under(user_config: dict[str, Any]) -> dict[str, Any]:
    """The shipped config with a ``user_config`` for what answers questions; an empty one takes it back."""
    config = shipped()
    for each in config["applications"]:
        if each["name"] in {"gateway", "queue-worker"}:
            each["deployments"] = [{"name": each["name"], "user_config": user_config}]
    return config


def test_user_config_is_taken_over_without_a_new_replica_and_without_a_lost_request(
    declared: Declared,
) -> None:
    """Weights change under load; a slip of the pen is told, and the weights of before stay."""
    url = declared.head.http_url

    def told() -> dict[str, Any]:
        return dict(httpx.post(f"{url}/verify", json={"claim": CLAIM}, timeout=60.0).json())

    def weight() -> float:
        used = told()["metadata"]
        return float(dict(zip(used["frameworks_used"], used["weights"], strict=True))["utility"])

    def live() -> dict[str, Any]:
        return dict(httpx.get(f"{url}/api/v1/admin/config", timeout=60.0).json()["live"])

    names = ("gateway", "queue-worker", "framework-utility")
    before = {name: declared.replicas(name) for name in names}
    first = told()["frameworks"]["utility"]
    own = {"check_worthy_at": 1.0, "verifiable_at": 1.0}
    with Asking(url) as asking:
        until(lambda: asking.statuses[200] > 5, lambda: asking.statuses)
        declared.put(under({"framework_weights": {"utility": 0.0}, "frameworks": {"utility": own}}))
        until(lambda: weight() == 0.0, live)
        declared.put(under({"framework_wieghts": {"utility": 5.0}}))
        until(lambda: live()["refused"] is not None, live)

    assert live()["refused"] == "user_config: framework_wieghts: there is no such setting"
    assert weight() == 0.0
    assert told()["frameworks"]["utility"] != first
    assert {name: declared.replicas(name) for name in names} == before
    assert set(asking.statuses) == {200}


def test_shipped_config_answers_and_a_new_version_drops_no_request(declared: Declared) -> None:
    """It all comes up from the manifest's text; a new version replaces replicas under load."""
    config = shipped()
    assert set(declared.applications()) == {each["name"] for each in config["applications"]}
    rolled = ("framework-utility", "gateway")
    before = {name: declared.replicas(name) for name in rolled}
    with Asking(declared.head.http_url) as asking:
        until(lambda: asking.statuses[200] > 20, lambda: asking.statuses)
        declared.put(released(config, *rolled, version="2"))
        until(
            lambda: (
                declared.states() == {"RUNNING"}
                and all(declared.replicas(name).isdisjoint(old) for name, old in before.items())
            ),
            declared.applications,
        )
        after = asking.statuses[200]
        until(lambda: asking.statuses[200] > after + 20, lambda: asking.statuses)

    assert set(asking.statuses) == {200}
