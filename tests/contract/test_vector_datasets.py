"""``VectorDatasets`` in process, and over actors' shells and the bytes between, without a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from cluster.vector_actor import VectorsActor, VectorsCopyActor
from cluster.vector_copies import Turns
from cluster.vectors import RemoteVectorDatasets
from data.claims import TenantId
from data.datasets.copied import CopiedDatasets
from data.datasets.ledger_rows import DatasetRows
from data.datasets.ports import DatasetInfo, VectorDatasets
from data.datasets.records import DatasetRecord
from data.datasets.service import LocalVectorDatasets
from data.datasets.sharded import ShardedVectorDatasets
from data.datasets.shards import place_of
from data.errors import IndexUnavailableError
from data.keeper import Keeper
from tests.contract.vector_datasets_suite import VectorDatasetsSuite
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink

ACTORS = 2


def lives_on(number: int, dataset_id: str) -> bool:
    """Whether a dataset falls to an actor."""
    return place_of(dataset_id, ACTORS) == number


class LoopLink:
    """Calls an actor's object as Ray would, without Ray."""

    def __init__(self, datasets: LocalVectorDatasets) -> None:
        self._actor = VectorsActor.__new__(VectorsActor)
        self._actor._datasets = datasets

    def call(self, method: str, *args: Any) -> Any:
        return getattr(self._actor, method)(*args)


class Silent:
    """An actor that never answers a search."""

    def call(self, *_: Any) -> Any:
        raise IndexUnavailableError("vectors is away at the moment: try again in a few seconds.")


class LoopCopy:
    """Calls a copy's object as Ray would, and opens what it is asked for as its own thread would."""

    is_there = True

    def __init__(self, folder: Path, home: Path) -> None:
        rows = DatasetRows(home / "ledger" / "ledger.sqlite")
        self._copied = CopiedDatasets(folder, rows, clock=FakeClock())
        self._actor = VectorsCopyActor.__new__(VectorsCopyActor)
        self._actor._datasets = self._copied

    def look(self) -> None:
        """Be there."""

    def call(self, method: str, *args: Any) -> Any:
        while True:
            try:
                return getattr(self._actor, method)(*args)
            except IndexUnavailableError:
                self._copied.tend()

    def close(self) -> None:
        self._copied.close()


@contextmanager
def over_actors(home: Path, copy: LoopCopy | None = None) -> Iterator[RemoteVectorDatasets]:
    """Two actors' shells over the datasets of one home, and the port to them.

    With a ``copy``, that one answers every search.
    """
    keeper = Keeper(home, FakeClock(), FakeVectorSink())
    services = [
        LocalVectorDatasets(home, keeper, clock=FakeClock(), owns=partial(lives_on, number))
        for number in range(ACTORS)
    ]
    port = RemoteVectorDatasets.__new__(RemoteVectorDatasets)
    links: list[Any] = [LoopLink(service) for service in services]
    port._links = links
    copies: list[Any] = [copy] if copy else []
    port._turns = [Turns(link, cast("Any", Silent()), copies) for link in links]
    yield port
    for service in services:
        service.close()
    keeper.close()


@pytest.fixture(scope="module")
def keeper(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Keeper, Path]]:
    home = tmp_path_factory.mktemp("home")
    opened = Keeper(home, FakeClock(), FakeVectorSink())
    yield opened, home
    opened.close()


class TestLocalVectorDatasets(VectorDatasetsSuite):
    """All of it in one object."""

    @pytest.fixture(scope="class")
    def port(self, keeper: tuple[Keeper, Path]) -> Iterator[VectorDatasets]:
        service = LocalVectorDatasets(keeper[1], keeper[0], clock=FakeClock(), models=(FakeEmbedder(), None))
        yield service
        service.close()


class TestVectorDatasetsOverActors(VectorDatasetsSuite):
    """All of it through two shells, each with the datasets that fall to it."""

    @pytest.fixture(scope="class")
    def port(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorDatasets]:
        with over_actors(tmp_path_factory.mktemp("actors")) as port:
            yield port


class TestVectorDatasetsOverACopy(VectorDatasetsSuite):
    """All of it where a copy in another folder answers every search."""

    @pytest.fixture(scope="class")
    def port(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorDatasets]:
        home = tmp_path_factory.mktemp("copied")
        copy = LoopCopy(tmp_path_factory.mktemp("copy"), home)
        with over_actors(home, copy) as port:
            yield port
        copy.close()


class InThreeShards(ShardedVectorDatasets):
    """Makes every dataset one of three shards."""

    def create(self, tenant: TenantId, record: DatasetRecord, *, overwrite: bool = False) -> DatasetInfo:
        return super().create(tenant, replace(record, shards=3), overwrite=overwrite)

    def update(self, tenant: TenantId, record: DatasetRecord) -> DatasetInfo:
        return super().update(tenant, replace(record, shards=3))


class TestShardedVectorDatasets(VectorDatasetsSuite):
    """All of it where each dataset lies in three shards on two actors; they are paged one after the other."""

    PAGES_AS_WRITTEN = DOCUMENTS_ONCE = False

    @pytest.fixture(scope="class")
    def port(self, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorDatasets]:
        with over_actors(tmp_path_factory.mktemp("sharded")) as port:
            yield InThreeShards(port)
