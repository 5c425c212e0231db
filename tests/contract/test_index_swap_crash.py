"""``kill -9`` at every step of an index that takes another's place: written, swapped in, its fields saved."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from data.datasets.engine import Dataset
from data.datasets.opened import DatasetsConfig
from data.datasets.ports import NewVector, SearchAnswer, SearchOptions, SearchRequest
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.datasets.service import LocalVectorDatasets
from data.keeper import Keeper
from tests.fakes import FakeClock, FakeVectorSink
from tests.unit.datasets.dataset_house import ONE, A

DIM, COUNT = 12, 500
#: How each vector stands at the swap: written once, written anew since the first index, removed since.
MOVED, GONE = range(40, 80), range(80, 100)
VALUES = np.random.default_rng(3).normal(size=(2 * COUNT, DIM)).astype(np.float32)
SMALL, LARGE = IndexSettings("hnsw", hnsw_m=4), IndexSettings("hnsw", hnsw_m=24)


def values_of(number: int) -> list[float]:
    """What a vector holds in the end."""
    row: list[float] = VALUES[number + COUNT if number in MOVED else number].tolist()
    return row


def opened(home: Path) -> tuple[Keeper, LocalVectorDatasets]:
    keeper = Keeper(home, FakeClock(), FakeVectorSink())
    return keeper, LocalVectorDatasets(
        home, keeper, clock=FakeClock(), config=DatasetsConfig(cache_entries=0, builds=False)
    )


def settle(service: LocalVectorDatasets) -> None:
    deadline = time.monotonic() + 60
    while service.index(A, ONE).state == "building":
        assert time.monotonic() < deadline
        time.sleep(0.01)


def rebuild_and_die(home: Path, step: int) -> None:
    """Fill a dataset, build its index twice, and die at this step of the second build; 0: lived on."""
    _, service = opened(home)
    service.create(A, DatasetRecord(ONE, "n", DIM, "euclidean", SMALL))
    written = [NewVector(VectorRecord(f"v{n}", "d"), VALUES[n].tolist()) for n in range(COUNT)]
    service.insert(A, ONE, written, "fail")
    service.build_index(A, ONE, SMALL)
    settle(service)
    service.insert(A, ONE, [NewVector(VectorRecord(f"v{n}", "d"), values_of(n)) for n in MOVED], "overwrite")
    service.delete_vectors(A, ONE, [f"v{n}" for n in GONE])
    steps = count()

    def dying(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **named: Any) -> Any:
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            answer = call(*arguments, **named)
            if next(steps) == step:
                os.kill(os.getpid(), signal.SIGKILL)
            return answer

        return called

    Path.replace = dying(Path.replace)  # type: ignore[method-assign]
    Dataset.adopt = dying(Dataset.adopt)  # type: ignore[method-assign]
    service.build_index(A, ONE, LARGE)
    settle(service)
    os._exit(0)


def check(service: LocalVectorDatasets) -> None:
    """Every vector is there with its last values and found by them, by a scan and by the index."""
    there = [n for n in range(COUNT) if n not in GONE]
    page = service.vectors(A, ONE, limit=COUNT, values=True)
    assert {one.record.id: one.values for one in page.vectors} == {
        f"v{n}": pytest.approx(values_of(n)) for n in there
    }
    for exact in (True, False):
        options = SearchOptions(top_k=1, exact=exact)
        answers = service.search(A, [SearchRequest(ONE, values_of(n), options=options) for n in there])
        found = [one.hits[0].vector.record.id for one in answers if isinstance(one, SearchAnswer)]
        assert found == [f"v{n}" for n in there]


@pytest.mark.timeout(300)
def test_killed_at_every_step_of_a_swap_the_dataset_is_whole_and_the_next_build_ends(tmp_path: Path) -> None:
    """Whichever index it opens with; then it is built again, by the settings that were asked for."""
    context = multiprocessing.get_context("spawn")
    versions = []
    for step in count():
        home = tmp_path / str(step)
        child = context.Process(target=rebuild_and_die, args=(home, step))
        child.start()
        child.join()
        keeper, service = opened(home)
        check(service)
        versions.append(service.index(A, ONE).version)
        service.build_index(A, ONE, LARGE)
        settle(service)
        assert service.index(A, ONE).settings == LARGE
        check(service)
        service.close()
        keeper.close()
        if child.exitcode == 0:
            break
        assert child.exitcode == -signal.SIGKILL

    # Each file of the index and of the fields, and the swap: the old index is opened, or the new one.
    assert len(versions) > 8
    assert versions == sorted(versions)
    assert (versions[0], versions[-1]) == (1, 2)
