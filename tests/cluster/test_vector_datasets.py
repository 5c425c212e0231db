"""Vector datasets over Ray actors: the port's suite, and ``kill -9`` of an actor in the middle of writes."""

from __future__ import annotations

import os
import signal
import threading
import time
import uuid
from collections.abc import Iterator

import numpy as np
import pytest

from cluster.vectors import RemoteVectorDatasets
from data.datasets.ports import (
    IndexInfo,
    NewVector,
    SearchAnswer,
    SearchOptions,
    SearchRequest,
    VectorDatasets,
)
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.datasets.sharded import ShardedVectorDatasets
from data.datasets.shards import place_of, shards_of
from tasks.session import connect
from tests.cluster.conftest import Kite
from tests.contract.vector_datasets_suite import DIM, A, VectorDatasetsSuite, answered, numbers

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

#: Longest wait for an actor to come back on two busy cores.
RECOVERY_S = 90.0


@pytest.fixture(scope="module")
def port(kite: Kite) -> Iterator[RemoteVectorDatasets]:
    with connect(kite.settings):
        yield RemoteVectorDatasets(kite.settings.vectors.actors, patience_s=RECOVERY_S)


class TestRemoteVectorDatasets(VectorDatasetsSuite):
    """All of it."""


def pid_of(kite: Kite, dataset_id: str) -> int:
    """The process of the actor on which a dataset lives: the one that has its file open."""
    for pid, command in kite.processes().items():
        if command.startswith("ray::VectorsActor"):
            links = [os.path.realpath(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
            if any(f"/{dataset_id}/" in link for link in links):
                return pid
    raise AssertionError(f"no actor has {dataset_id} open")


class Writers:
    """Keep inserting; remember what was acknowledged."""

    def __init__(self, port: VectorDatasets, key: str) -> None:
        self._port, self._key = port, key
        self._stop = threading.Event()
        self.acknowledged: set[str] = set()
        self.errors: list[Exception] = []
        self.searches = 0
        self._threads = [threading.Thread(target=self._write, args=(n,)) for n in range(3)]
        self._threads.append(threading.Thread(target=self._search))

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _write(self, writer: int) -> None:
        rng, number = np.random.default_rng(writer), 0
        while not self._stop.is_set():
            ids = [f"w{writer}-{number}-{one}" for one in range(20)]
            number += 1
            values = rng.normal(size=(20, DIM)).astype(np.float32)
            batch = [NewVector(VectorRecord(key, "d"), row) for key, row in zip(ids, values, strict=True)]
            try:
                report = self._port.insert(A, self._key, batch, "fail")
                assert (report.inserted, report.failures) == (20, ())
                self.acknowledged.update(ids)
            except Exception as exc:  # told by the test
                self.errors.append(exc)

    def _search(self) -> None:
        while not self._stop.is_set():
            (answer,) = self._port.search(A, [SearchRequest(self._key, vector=[1.0] * DIM)])
            if not isinstance(answer, SearchAnswer):
                self.errors.append(answer)
            self.searches += 1


def all_ids(port: VectorDatasets, key: str) -> set[str]:
    found: set[str] = set()
    total = port.dataset(A, key).vector_count
    for offset in range(0, total, 1000):
        found |= {one.record.id for one in port.vectors(A, key, limit=1000, offset=offset).vectors}
    return found


@pytest.mark.parametrize("shards", [1, 2])
def test_killed_actor_loses_nothing_acknowledged_and_answers_again(
    kite: Kite, port: RemoteVectorDatasets, shards: int
) -> None:
    """Three times in the middle of inserts: callers wait, nothing is lost, nothing is written twice.

    Where it has one of two shards, searches wait for it rather than leave it out.
    """
    record = DatasetRecord(uuid.uuid4().hex, f"k {uuid.uuid4().hex}", DIM, shards=shards)
    sharded = ShardedVectorDatasets(port)
    key = sharded.create(A, record).record.id
    mine = [one.id for one in shards_of(record)] or [key]
    assert len({place_of(one, kite.settings.vectors.actors) for one in mine}) == shards
    with Writers(sharded, key) as writers:
        for _ in range(3):
            time.sleep(1.0)
            killed = pid_of(kite, mine[-1])
            os.kill(killed, signal.SIGKILL)
            before = len(writers.acknowledged)
            deadline = time.monotonic() + RECOVERY_S
            while len(writers.acknowledged) <= before + 60 and time.monotonic() < deadline:
                time.sleep(0.1)
            assert pid_of(kite, mine[-1]) != killed

    assert writers.errors == []
    assert writers.searches > 10
    assert all_ids(sharded, key) >= writers.acknowledged
    assert sharded.dataset(A, key).vector_count == len(all_ids(sharded, key))
    whole = answered(
        sharded.search(A, [SearchRequest(key, vector=[1.0] * DIM, options=SearchOptions(top_k=1000))])
    )
    assert len({hit.vector.record.id for hit in whole.hits}) == len(whole.hits)


def settled(port: VectorDatasets, key: str) -> IndexInfo:
    deadline = time.monotonic() + RECOVERY_S
    while (told := port.index(A, key)).state == "building":
        assert time.monotonic() < deadline
        time.sleep(0.2)
    return told


def test_killed_actor_in_the_middle_of_a_build_keeps_the_dataset_whole(
    kite: Kite, port: VectorDatasets
) -> None:
    """The half-built index is forgotten; a second build ends, and finds what the first would have."""
    key = port.create(A, DatasetRecord(uuid.uuid4().hex, f"b {uuid.uuid4().hex}", DIM)).record.id
    for start in range(0, 20_000, 1000):
        values = numbers(1000, seed=start)
        batch = [NewVector(VectorRecord(f"v{start + n}", "d"), row) for n, row in enumerate(values)]
        assert port.insert(A, key, batch, "fail").inserted == 1000
    exact = SearchRequest(key, vector=[1.0] * DIM, options=SearchOptions(exact=True))
    before = answered(port.search(A, [exact])).hits
    settled(port, key)
    port.build_index(A, key, IndexSettings("hnsw", hnsw_m=32, hnsw_ef_construction=400))
    os.kill(pid_of(kite, key), signal.SIGKILL)

    assert answered(port.search(A, [exact])).hits == before
    assert port.dataset(A, key).vector_count == 20_000
    settled(port, key)
    port.build_index(A, key, IndexSettings("hnsw", hnsw_m=8, hnsw_ef_construction=40))
    told = settled(port, key)
    assert (told.kind, told.indexed) == ("hnsw", 20_000)
    assert answered(port.search(A, [exact])).hits == before


def test_datasets_live_on_both_actors(kite: Kite, port: VectorDatasets) -> None:
    """Ids fall to either; a list shows all, oldest first."""
    made = [port.create(A, DatasetRecord(uuid.uuid4().hex, f"l {uuid.uuid4().hex}", DIM)) for _ in range(8)]
    ids = [info.record.id for info in made]

    assert {place_of(key, kite.settings.vectors.actors) for key in ids} == {0, 1}
    listed = [info.record.id for info in port.datasets(A)]
    assert [key for key in listed if key in ids] == ids
