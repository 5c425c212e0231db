"""What the commands for vector datasets share: the datasets, the store of jobs, and what embeds texts.

Called by ``import_vectors``, ``export_vectors`` and ``rebuild_index``. With ``--home-stopped`` all of it is
opened in this process, for a home that nothing has open; else the running installation is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from cluster.head import home_of
from cluster.wiring import open_embedder, open_store
from configs.schema import Settings
from data.claims import TenantId
from data.clock import SystemClock
from data.datasets.ports import IndexInfo, VectorDatasets
from data.datasets.service import LocalVectorDatasets
from data.ports import Clock, Embedder, KeyValueStore
from tasks.maintenance import stopped_keeper
from tasks.session import connect


class IndexedDatasets(VectorDatasets, Protocol):
    """Datasets whose main indexes others may build."""

    def adopt_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Swap in the newest main index in a dataset's folder."""
        ...

    def roll_back_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        """Go back to the main index before the one in use."""
        ...

    def revalue(
        self,
        tenant: TenantId,
        dataset_id: str,
        rows: Sequence[int],
        values: NDArray[np.float32],
        *,
        model: str,
    ) -> int:
        """Give rows the numbers that ``model`` made of their contents."""
        ...


@dataclass(frozen=True, slots=True)
class VectorSession:
    """The parts of an installation that these commands work with."""

    datasets: IndexedDatasets
    store: KeyValueStore
    clock: Clock
    home: Path
    embed_dim: int
    embed: Callable[[Sequence[str]], NDArray[np.float32]]


@contextmanager
def vector_session(settings: Settings, *, home_stopped: bool = False) -> Iterator[VectorSession]:
    """Lend the parts for as long as the block lasts.

    Raises:
        UnavailableError: nothing is running. StoreUnavailableError: the home was said to be stopped, and is
        not. ModelUnavailableError: the embedder has not been built.
    """
    if not home_stopped:
        with connect(settings):
            yield _remote(settings)
        return
    with stopped_keeper(settings, with_vectors=False) as keeper:
        embedder = open_embedder(settings)
        clock = SystemClock()
        datasets = LocalVectorDatasets(home_of(settings), keeper, clock=clock, models=(embedder, None))
        try:
            yield _session(settings, datasets, embedder)
        finally:
            datasets.close()


def _remote(settings: Settings) -> VectorSession:
    from cluster.remote import RemoteModels
    from cluster.vectors import RemoteVectorDatasets

    return _session(settings, RemoteVectorDatasets(settings.vectors.actors), RemoteModels())


def _session(settings: Settings, datasets: IndexedDatasets, embedder: Embedder) -> VectorSession:
    return VectorSession(
        datasets, open_store(settings), SystemClock(), home_of(settings), embedder.dim, embedder.embed
    )
