"""What the commands for vector datasets share: the datasets, the store of jobs, and what embeds texts.

Called by ``import_vectors``, ``export_vectors`` and ``rebuild_index``. With ``--home-stopped`` all of it is
opened in this process, for a home that nothing has open; else the running installation is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cluster.head import home_of
from cluster.wiring import open_embedder, open_store
from configs.schema import Settings
from data.clock import SystemClock
from data.datasets.ports import IndexedDatasets, VectorDatasets
from data.datasets.service import LocalVectorDatasets
from data.datasets.sharded import ShardedVectorDatasets
from data.ports import Clock, Embedder, KeyValueStore
from tasks.maintenance import stopped_keeper
from tasks.session import connect


@dataclass(frozen=True, slots=True)
class VectorSession:
    """The parts of an installation that these commands work with."""

    datasets: VectorDatasets
    #: Each shard by itself, for whoever builds its index; a dataset of one shard is its own.
    shards: IndexedDatasets
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

    datasets = RemoteVectorDatasets(settings.vectors.actors, settings.vectors.copies)
    return _session(settings, datasets, RemoteModels())


def _session(settings: Settings, shards: IndexedDatasets, embedder: Embedder) -> VectorSession:
    return VectorSession(
        ShardedVectorDatasets(shards),
        shards,
        open_store(settings),
        SystemClock(),
        home_of(settings),
        embedder.dim,
        embedder.embed,
    )
