"""A home with a keeper and vector datasets, all in this process, for the commands that work with them."""

from __future__ import annotations

from pathlib import Path

from data.claims import DEFAULT_TENANT
from data.datasets.ports import StoredVector
from data.datasets.service import LocalVectorDatasets
from data.datasets.sharded import ShardedVectorDatasets
from data.keeper import Keeper
from data.stores.memory import MemoryStore
from tasks.vector_session import VectorSession
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink


class VectorHome:
    """The parts of a stopped home, its embedder being a fake."""

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock()
        self.keeper = Keeper(home, self.clock, FakeVectorSink())
        embedder = FakeEmbedder()
        self._shards = LocalVectorDatasets(home, self.keeper, clock=self.clock, models=(embedder, None))
        self.datasets = ShardedVectorDatasets(self._shards)
        self.session = VectorSession(
            self.datasets,
            self._shards,
            MemoryStore(self.clock),
            self.clock,
            home,
            embedder.dim,
            embedder.embed,
        )

    def vectors(self, dataset_id: str) -> dict[str, StoredVector]:
        """Return all that a dataset holds, by id, without the moments of its writing."""
        page = self.datasets.vectors(DEFAULT_TENANT, dataset_id, limit=100_000, values=True)
        return {one.record.id: one for one in page.vectors}

    def close(self) -> None:
        """Release everything."""
        self._shards.close()
        self.keeper.close()
