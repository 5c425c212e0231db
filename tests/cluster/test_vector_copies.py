"""Copies of the vector datasets on a second node: same answers, none stale, no search lost with either."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from msgspec.structs import replace

from cluster.head import ray_environment
from cluster.names import NAMESPACE, vectors_copy
from cluster.processes import RUN_ID_VARIABLE
from cluster.remote import ActorLink
from cluster.vector_copies import ping_copies
from cluster.vectors import RemoteVectorDatasets
from data.datasets.ports import NewVector, SearchAnswer, SearchOptions, SearchRequest
from data.datasets.records import DatasetRecord, VectorRecord
from data.datasets.wire import encode_requests
from data.errors import IndexUnavailableError, UnavailableError
from tasks.session import connect
from tests.cluster.conftest import Kite
from tests.contract.vector_datasets_suite import DIM, A, answered, numbers

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

#: Longest wait for a node, an actor or a copy to come up on two busy cores.
RECOVERY_S = 120.0


@dataclass
class House:
    """The installation, a second node with room for one copy, and the datasets as a replica sees them."""

    kite: Kite
    port: RemoteVectorDatasets
    node: subprocess.Popen[bytes]
    asked: list[SearchRequest] = field(default_factory=list)

    def made(self, count: int = 50) -> str:
        """Make a dataset and wait until the copy answers for it too."""
        key = self.port.create(A, DatasetRecord(uuid.uuid4().hex, f"c {uuid.uuid4().hex}", DIM)).record.id
        self.insert(key, [f"v{number}" for number in range(count)])
        self.until_copied(key)
        return key

    def insert(self, key: str, ids: list[str]) -> None:
        values = numbers(len(ids), seed=len(ids))
        batch = [NewVector(VectorRecord(one, "d"), row) for one, row in zip(ids, values, strict=True)]
        assert self.port.insert(A, key, batch, "fail").inserted == len(ids)

    def ids(self, key: str) -> set[str]:
        asked = SearchRequest(key, vector=[1.0] * DIM, options=SearchOptions(top_k=1000, exact=True))
        return {hit.vector.record.id for hit in answered(self.port.search(A, [asked])).hits}

    def until_copied(self, key: str) -> None:
        """Wait until the copy has the dataset, and is in turn."""
        copy = ActorLink(vectors_copy(0), UnavailableError)
        asked = encode_requests([SearchRequest(key, vector=[1.0] * DIM)])

        def is_copied() -> bool:
            try:
                copy.call("search", A, asked)
            except UnavailableError:
                return False
            self.ids(key)
            return self.port.copies_there() == 1

        until(is_copied)

    def pid_of(self, actor: str) -> int:
        (pid,) = {
            pid for pid, command in self.kite.processes().items() if command.startswith(f"ray::{actor}")
        }
        return pid

    def raylet(self) -> int:
        """The process of the second node from which what runs there comes."""
        children = psutil.Process(self.node.pid).children(recursive=True)
        (raylet,) = [one.pid for one in children if one.name() == "raylet"]
        return raylet

    def holder_of(self, key: str) -> int:
        """The process of the actor that holds a dataset: the one that has its file under ``datasets``."""
        for pid, command in self.kite.processes().items():
            if command.startswith("ray::VectorsActor"):
                links = [os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
                if any(f"/{key}/" in link for link in links):
                    return pid
        raise AssertionError(f"no actor has {key} open")


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + RECOVERY_S
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.fixture(scope="module")
def house(kite: Kite) -> Iterator[House]:
    settings = replace(kite.settings, vectors=replace(kite.settings.vectors, copies=1))
    resources = ["--cpus", "1", "--resources", f'{{"{settings.ray.copy_resource}": 1}}']
    environment = {**os.environ, **ray_environment(settings, Path(kite.head.temp_dir))}
    node = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.second_node", kite.head.gcs_address, *resources],
        env={**environment, RUN_ID_VARIABLE: kite.head.run_id},
        start_new_session=True,
    )
    try:
        with connect(settings):
            import ray

            from cluster.actors import ensure_actors

            ensure_actors(settings)
            port = RemoteVectorDatasets(settings.vectors.actors, 1, patience_s=RECOVERY_S)
            yield House(kite, port, node)
            ray.kill(ray.get_actor(vectors_copy(0), namespace=NAMESPACE), no_restart=True)
    finally:
        node.terminate()
        node.wait(30)


class Searchers:
    """Keep searching; remember what failed."""

    def __init__(self, house: House, key: str) -> None:
        self._house, self._key = house, key
        self._stop = threading.Event()
        self.failed: list[object] = []
        self.answers = 0
        self._threads = [threading.Thread(target=self._search) for _ in range(2)]

    def __enter__(self) -> Searchers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _search(self) -> None:
        asked = [SearchRequest(self._key, vector=[1.0] * DIM)]
        while not self._stop.is_set():
            try:
                (answer,) = self._house.port.search(A, asked)
            except Exception as exc:  # told by the test
                self.failed.append(exc)
                continue
            if not isinstance(answer, SearchAnswer):
                self.failed.append(answer)
            self.answers += 1

    def go_on(self, count: int = 20) -> None:
        """Wait until so many more answers came."""
        wanted = self.answers + count
        until(lambda: self.answers >= wanted)


def test_a_copy_lies_on_the_other_node_and_answers_while_the_actor_stands_still(house: House) -> None:
    """A process that does not answer is not a dead one: the copy is asked instead."""
    key = house.made()
    wanted = house.ids(key)
    assert len(wanted) == 50
    ping_copies(1)
    holder = house.holder_of(key)
    assert psutil.Process(house.pid_of("VectorsCopyActor")).ppid() == house.raylet()
    assert psutil.Process(holder).ppid() != house.raylet()

    os.kill(holder, signal.SIGSTOP)
    try:
        assert [house.ids(key), house.ids(key)] == [wanted, wanted]
    finally:
        os.kill(holder, signal.SIGCONT)


def test_every_acknowledged_write_is_found_whoever_answers(house: House) -> None:
    """Each write is looked for twice at once: by the actor and by the copy, in either order."""
    key = house.made()
    there = house.ids(key)
    for number in range(25):
        house.insert(key, [f"w{number}"])
        there.add(f"w{number}")
        assert [house.ids(key), house.ids(key)] == [there, there]
        if number % 5 == 0:
            house.port.delete_vectors(A, key, [f"v{number}"])
            there.discard(f"v{number}")
            assert [house.ids(key), house.ids(key)] == [there, there]
    assert house.port.copies_there() == 1


def test_a_removed_dataset_leaves_no_file_on_the_copys_node(house: House) -> None:
    """Within seconds, though nobody asks for it."""
    key = house.made()
    folder = house.kite.home / "copies" / "0" / "datasets" / key
    assert folder.is_dir()
    house.port.delete(A, key)
    until(lambda: not folder.exists())


def test_no_search_fails_when_a_copy_or_the_actor_is_killed(house: House) -> None:
    """The other answers meanwhile, and both are in turn again afterwards."""
    key = house.made()
    with Searchers(house, key) as searchers:
        searchers.go_on()
        os.kill(house.pid_of("VectorsCopyActor"), signal.SIGKILL)
        searchers.go_on()
        os.kill(house.holder_of(key), signal.SIGKILL)
        searchers.go_on()
    assert searchers.failed == []
    house.until_copied(key)
    assert len(house.ids(key)) == 50


def test_no_search_fails_when_the_node_of_a_copy_is_lost(house: House) -> None:
    """What is left answers."""
    key = house.made()
    raylet = house.raylet()
    with Searchers(house, key) as searchers:
        searchers.go_on()
        os.kill(raylet, signal.SIGKILL)
        searchers.go_on()
        until(lambda: house.port.copies_there() == 0)
        searchers.go_on()
    with pytest.raises(IndexUnavailableError):
        ping_copies(1)
    assert searchers.failed == []
    assert len(house.ids(key)) == 50
