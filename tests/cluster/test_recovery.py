"""kill -9 of each part, one at a time, under load: the service recovers and no knowledge is lost."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.cluster.conftest import Kite

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

CLAIM = "Mount Everest is 8,849 metres high."
FRAMEWORKS = ("consistency", "contextual", "empirical", "evolution", "power_dynamics", "utility")
#: Longest wait for a part to come back on two busy cores.
RECOVERY_S = 90.0


def find(kite: Kite, title: str) -> int:
    (pid,) = [pid for pid, command in kite.processes().items() if command.startswith(title)]
    return pid


def wait_until_healthy(kite: Kite) -> None:
    deadline = time.monotonic() + RECOVERY_S
    last: object = None
    while time.monotonic() < deadline:
        try:
            with kite.client() as client:
                last = client.get("/health").json()
            if last["status"] == "healthy":
                return
        except (httpx.HTTPError, ValueError) as exc:
            last = exc
        time.sleep(0.3)
    pytest.fail(f"not healthy after {RECOVERY_S:g} s: {last}")


class Load:
    """Keeps asking; remembers statuses and which frameworks abstained for being away."""

    def __init__(self, kite: Kite) -> None:
        self._kite = kite
        self._stop = threading.Event()
        self.statuses: list[int] = []
        self.away: set[str] = set()
        self._thread = threading.Thread(target=self._ask)

    def _ask(self) -> None:
        number = 0
        with self._kite.client() as client:
            while not self._stop.is_set():
                number += 1
                try:
                    answer = client.post("/verify", json={"claim": f"Peak {number} is {number} metres high."})
                except httpx.HTTPError:
                    self.statuses.append(0)
                    continue
                self.statuses.append(answer.status_code)
                if answer.status_code == 200:
                    told = answer.json()["frameworks"]
                    self.away |= {
                        name for name, item in told.items() if "is not available" in (item["abstained"] or "")
                    }

    @contextmanager
    def running(self) -> Iterator[Load]:
        self._thread.start()
        try:
            yield self
        finally:
            self._stop.set()
            self._thread.join()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_killed_framework_is_reported_away_and_comes_back(kite: Kite, framework: str) -> None:
    """Meanwhile every claim is answered by the other five."""
    wait_until_healthy(kite)
    before = kite.verify(CLAIM)
    with Load(kite).running() as load:
        time.sleep(0.5)
        os.kill(find(kite, f"ray::ServeReplica:framework-{framework}:"), signal.SIGKILL)
        time.sleep(1.0)
        wait_until_healthy(kite)

    assert load.statuses
    assert set(load.statuses) == {200}
    assert load.away <= {framework}
    assert kite.verify(CLAIM) == before


@pytest.mark.parametrize("actor", ["ray::KeeperActor", "ray::ModelsActor", "ray::PassageIndexActor"])
def test_killed_actor_recovers_with_all_it_knew(kite: Kite, actor: str) -> None:
    """Requests wait for it or are told to come back; afterwards the answer is the same."""
    wait_until_healthy(kite)
    before = kite.verify(CLAIM)
    with Load(kite).running() as load:
        time.sleep(0.5)
        killed = find(kite, actor)
        os.kill(killed, signal.SIGKILL)
        time.sleep(1.0)
        wait_until_healthy(kite)

    assert set(load.statuses) <= {200, 503}
    assert find(kite, actor) != killed
    assert kite.verify(CLAIM, alpha=0.11)["evidence"] == before["evidence"]


def test_killed_gateway_is_replaced_and_answers_from_a_cold_cache_are_the_same_bytes(kite: Kite) -> None:
    """With the shared cache emptied too, the answer is byte for byte the one before."""
    wait_until_healthy(kite)
    with kite.client() as client:
        before = client.post("/verify", json={"claim": CLAIM}).content
    empty_verdict_cache(kite)
    os.kill(find(kite, "ray::ServeReplica:gateway:"), signal.SIGKILL)
    time.sleep(1.0)
    wait_until_healthy(kite)
    with kite.client() as client:
        after = client.post("/verify", json={"claim": CLAIM}).content

    assert after == before


def empty_verdict_cache(kite: Kite) -> None:
    from cluster.wiring import open_store

    store = open_store(kite.settings)
    keys = [key for key, _ in store.scan("verdict/")]
    assert keys
    for key in keys:
        store.delete(key)
