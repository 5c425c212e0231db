"""What the process that has a home opens itself: the keeper, its indexes, the vector datasets, or everything.

The other half of the composition root (:mod:`cluster.wiring`), apart so that replicas, which open links to
the actors, need not load it: half a second of a core each (measured by ``-X importtime``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from cluster.head import home_of
from cluster.remote import RemoteModels, RemoteReader, RemoteVectors
from cluster.vector_copies import RemoteDatasetRows
from cluster.wiring import open_models, open_queue, open_store, parts_of
from configs.schema import Settings
from data.audit.log import FOLDER, AuditLog
from data.clock import SystemClock
from data.codec import ENTRIES
from data.datasets.copied import CopiedDatasets
from data.datasets.ledger_rows import DatasetRows
from data.datasets.opened import DatasetsConfig
from data.datasets.service import LocalVectorDatasets
from data.datasets.sharded import ShardedVectorDatasets
from data.datasets.shards import place_of
from data.erasure import Eraser
from data.keeper import Keeper
from data.ledger import Entry, Ledger
from data.lookup import LocalReader
from data.models.embedding import IdentifiedEmbedder
from data.parts import Parts
from data.resting import RestingKnowledge
from data.views.sparql_runner import SparqlLimits
from data.views.vectors import PassageVectors, ReadEntries

#: Folder of copies of vector datasets under the home; it may lie on another node than what they copy.
COPIES = "copies"
#: How long the index waits for the models, which load while it starts: on a loaded machine, a minute or more.
MODELS_START_S = 180.0


def open_keeper(settings: Settings) -> Keeper:
    """Return the keeper over this home, its vector index being the index actor."""
    # The index starts at the same time and waits for the models: an actor that fails at its start stays down.
    RemoteVectors(patience_s=MODELS_START_S).applied_seq()
    keeper = Keeper(home_of(settings), SystemClock(), RemoteSink(RemoteVectors()))
    keeper.limit_queries(sparql_limits(settings))
    return keeper


def open_audit(settings: Settings) -> AuditLog:
    """Return the audit of this home; the process that has the keeper opens it."""
    return AuditLog(home_of(settings) / FOLDER, SystemClock())


def open_eraser(settings: Settings, keeper: Keeper) -> Eraser:
    """Return who erases tenants of this home; the process that has the keeper opens it."""
    return Eraser(keeper, open_store(settings), home_of(settings), SystemClock(), queue=open_queue(settings))


def sparql_limits(settings: Settings) -> SparqlLimits:
    """Return what one SPARQL query may take."""
    chosen = settings.sparql
    return SparqlLimits(chosen.timeout_s, chosen.memory_mb * 2**20, chosen.rows, chosen.workers)


def open_passage_vectors(settings: Settings, embedder: IdentifiedEmbedder | None = None) -> PassageVectors:
    """Return the passage index of this home, caught up with the ledger."""
    from data.vectors.faiss import FaissIndex

    home = home_of(settings)
    embedder = embedder or RemoteModels(patience_s=MODELS_START_S)
    index = PassageVectors(
        home / "vectors" / "passages", home, embedder, embedder_id=embedder.identity, kind=FaissIndex
    )
    if _ledger_path(settings).exists():
        with ledger_of(settings) as ledger:
            follow(ledger, index)
    return index


def open_datasets(settings: Settings, number: int) -> LocalVectorDatasets:
    """Return the vector datasets that live on one of the actors, writing through the keeper."""
    models, actors = RemoteModels(), settings.vectors.actors
    return LocalVectorDatasets(
        home_of(settings),
        RemoteReader(),
        clock=SystemClock(),
        models=(models, models),
        config=datasets_config(settings),
        owns=lambda dataset_id: place_of(dataset_id, actors) == number,
    )


def open_dataset_rows(settings: Settings) -> DatasetRows:
    """Return the ledger's rows of datasets, for copies of them elsewhere."""
    return DatasetRows(_ledger_path(settings))


def open_copy(settings: Settings, number: int) -> CopiedDatasets:
    """Return a copy of the vector datasets in this node's own folder of that name."""
    models = RemoteModels()
    return CopiedDatasets(
        home_of(settings) / COPIES / str(number),
        RemoteDatasetRows(),
        clock=SystemClock(),
        models=(models, models),
        # What a job builds lies with the actor: a copy has only what it builds itself.
        config=replace(datasets_config(settings), builds=True),
    )


def datasets_config(settings: Settings) -> DatasetsConfig:
    """Return what vector datasets may take in one process."""
    chosen = settings.vectors
    return DatasetsConfig(chosen.memory_mb * 2**20, chosen.cache_entries, chosen.build)


def _ledger_path(settings: Settings) -> Path:
    return home_of(settings) / "ledger" / "ledger.sqlite"


@contextmanager
def ledger_of(settings: Settings) -> Iterator[Ledger]:
    """Open this home's ledger for reading, beside the keeper."""
    ledger = Ledger(_ledger_path(settings), SystemClock())
    try:
        yield ledger
    finally:
        ledger.close()


def follow(ledger: Ledger, index: PassageVectors) -> None:
    """Bring an index up to the last change of knowledge: what comes after it is nothing for it."""
    known = ledger.knowledge_seq()
    while index.applied_seq() < known and (entries := ledger.read_sound(index.applied_seq(), 1_000)):
        index.apply(entries)


class RemoteSink:
    """The keeper's ``VectorSink`` over the index actor."""

    def __init__(self, vectors: RemoteVectors) -> None:
        self._vectors = vectors

    def apply(self, entries: Sequence[Entry]) -> None:
        """Bring the index up to these entries."""
        self._vectors.apply(ENTRIES.encode(list(entries)))

    def applied_seq(self) -> int:
        """Return the ledger position the index has reached."""
        return self._vectors.applied_seq()

    def rebuild(self, _read: ReadEntries) -> int:
        """Have the index actor build everything anew; it reads the ledger's file itself."""
        return self._vectors.rebuild()


@contextmanager
def local_parts(settings: Settings, *, remembered: int | None = None) -> Iterator[Parts]:
    """Open everything in this process, for as long as the block lasts; no cluster is needed.

    ``remembered`` is as in :func:`open_models`.
    """
    models = open_models(settings, remembered=remembered)
    index = open_passage_vectors(settings, models.embedder)
    keeper = Keeper(home_of(settings), SystemClock(), index)
    keeper.limit_queries(sparql_limits(settings))
    reader = LocalReader(keeper)
    datasets = LocalVectorDatasets(
        home_of(settings),
        reader,
        clock=SystemClock(),
        models=(models.embedder, models.stance),
        config=datasets_config(settings),
    )
    try:
        sharded = ShardedVectorDatasets(datasets, models.stance)
        yield replace(parts_of(settings, models, reader, index), datasets=sharded)
    finally:
        datasets.close()
        keeper.close()
        index.close()


@contextmanager
def resting_parts(settings: Settings, *, remembered: int | None = None) -> Iterator[Parts]:
    """Open everything for reading alone, beside any number of processes that do.

    The home must have been settled (:func:`tasks.maintenance.settle`). ``remembered`` is as in
    :func:`open_models`. There are no vector datasets.
    """
    models = open_models(settings, remembered=remembered)
    knowledge = RestingKnowledge(home_of(settings), SystemClock())
    try:
        # Not closed: that would write it.
        index = open_passage_vectors(settings, models.embedder)
        yield parts_of(settings, models, LocalReader(knowledge), index)
    finally:
        knowledge.close()
