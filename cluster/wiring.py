"""The one place that knows which implementation stands behind which port.

Each function opens one group of objects from settings. Actors open what they own, replicas open links to
actors (:func:`remote_parts`), tests and the in-process service open everything here (:func:`local_parts`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cluster.head import PROJECT_ROOT, home_of
from cluster.remote import RemoteModels, RemoteReader, RemoteVectors
from cluster.vectors import RemoteVectorDatasets, place_of
from configs.schema import CacheSettings, Settings
from configs.secrets import cache_url, queue_url, stream_url
from data.audit.log import FOLDER, AuditLog
from data.clock import SystemClock
from data.codec import ENTRIES
from data.datasets.service import DatasetsConfig, LocalVectorDatasets
from data.erasure import Eraser
from data.keeper import Keeper
from data.ledger import Entry, Ledger
from data.lookup import LocalReader
from data.models.conformal import load_conformal
from data.models.embedding import IdentifiedEmbedder
from data.models.reliability import load_reliability
from data.parts import Parts
from data.ports import KeyValueStore, Scorer, StanceModel, TextAnalyser
from data.queue.ports import TaskQueue
from data.queue.tasks import QueueBounds, RetryRule
from data.standing import BoardReader
from data.streams.kafka_address import is_kafka, properties_of, topics_of
from data.streams.ports import ClaimStream, StreamNames
from data.views.sparql_runner import SparqlLimits
from data.views.vectors import PassageVectors, ReadEntries

#: Where the queue lies under the home, if it is a file.
QUEUE = Path("queue") / "tasks.sqlite"
#: Trained models shipped with the software.
SHIPPED_MODELS = PROJECT_ROOT / "models"
AGGREGATOR, STANCE, CHECKWORTHINESS, SYNTAX = "aggregator", "stance", "checkworthiness", "syntax"
#: Embeddings and analyses kept in memory by the models actor: 100,000 vectors are 150 MB.
REMEMBERED_VECTORS = 50_000
#: How long the index waits for the models, which load while it starts: on a loaded machine, a minute or more.
MODELS_START_S = 180.0


@dataclass(frozen=True, slots=True)
class Models:
    """What the models actor holds."""

    analyser: TextAnalyser
    embedder: IdentifiedEmbedder
    stance: StanceModel
    scorer: Scorer


def open_store(settings: Settings) -> KeyValueStore:
    """Return the store of caches, sessions and limits; one a process, for LMDB allows no more."""
    store = _store(settings.cache, home_of(settings) / "cache")
    if not settings.traces.is_on:
        return store
    from data.stores.traced import TracedStore

    return TracedStore(store, settings.cache.backend)


@cache
def _store(settings: CacheSettings, folder: Path) -> KeyValueStore:
    if settings.backend == "redis":
        from data.stores.redis import RedisStore, connect

        return RedisStore(connect(cache_url(settings)))
    from data.stores.lmdb import LmdbStore

    return LmdbStore(folder, SystemClock(), max_bytes=settings.max_mb * 2**20)


def open_queue(settings: Settings) -> TaskQueue:
    """Return the queue of tasks: in a file under this home, or in Redis."""
    chosen = settings.queue
    rule = RetryRule(chosen.max_attempts, chosen.first_wait_s, chosen.longest_wait_s)
    address = queue_url(settings)
    if address is None:
        from data.queue.sqlite_queue import SqliteQueue

        return SqliteQueue(home_of(settings) / QUEUE, rule=rule, bounds=queue_bounds(settings))
    from data.queue.redis_queue import RedisQueue
    from data.stores.redis import connect

    return RedisQueue(connect(address), rule=rule, bounds=queue_bounds(settings))


def queue_bounds(settings: Settings) -> QueueBounds:
    """Return how many unfinished tasks there may be."""
    return QueueBounds(settings.queue.max_tasks, settings.queue.max_tenant_tasks)


def open_stream(settings: Settings, name: str) -> ClaimStream | None:
    """Return the stream of claims for a consumer of this name; ``None`` where none is read.

    Raises:
        ConfigError: its address is none, or its file cannot be read.
    """
    chosen = settings.queue.stream
    address = stream_url(chosen)
    if address is None:
        return None
    names = StreamNames(chosen.claims, chosen.verdicts, chosen.dead, chosen.group)
    if is_kafka(address):
        from data.streams.kafka_stream import KafkaBounds, KafkaClaimStream

        bounds = KafkaBounds(chosen.idle_s, chosen.most_verdicts, chosen.readers)
        return KafkaClaimStream(properties_of(address), topics_of(names), name=name, bounds=bounds)
    from data.stores.redis import connect
    from data.streams.redis_stream import RedisClaimStream

    return RedisClaimStream(
        connect(address), names, name=name, idle_s=chosen.idle_s, most_verdicts=chosen.most_verdicts
    )


def open_models(settings: Settings, *, remembered: int | None = None) -> Models:
    """Return every model, loaded.

    ``remembered``: so many vectors are kept in memory and none in the store, for work that asks once.

    Raises:
        ModelUnavailableError: the embedder has not been built, or a shipped model is missing.
        CorruptDataError: a file does not match its checksum.
    """
    from data.models.boosters import BoosterScorer
    from data.models.embedding import CachedEmbedder, OnnxEmbedder
    from data.models.stance import TrainedStance
    from data.text.analyser import SpacyAnalyser
    from data.text.syntax import syntax_identity

    pipeline = settings.models.spacy_pipeline
    analyser = SpacyAnalyser(None if pipeline == "blank" else pipeline)
    onnx = OnnxEmbedder(embedder_folder(settings), threads=settings.models.threads)
    if remembered is None:
        embedder = CachedEmbedder(onnx, open_store(settings), REMEMBERED_VECTORS)
    else:
        embedder = CachedEmbedder(onnx, None, remembered)
    trained = model_folder(settings)
    stance = TrainedStance(analyser, trained / STANCE)
    scorer = BoosterScorer(
        [trained / AGGREGATOR, trained / CHECKWORTHINESS],
        onnx.identity,
        other_identities={
            STANCE: stance.identity,
            "pipeline": pipeline,
            SYNTAX: syntax_identity(trained / SYNTAX),
        },
    )
    return Models(analyser, embedder, stance, scorer)


def open_embedder(settings: Settings) -> IdentifiedEmbedder:
    """Return the embedder alone, with its cache: for work on a home that nothing has open.

    Raises:
        ModelUnavailableError: it has not been built.
    """
    from data.models.embedding import CachedEmbedder, OnnxEmbedder

    onnx = OnnxEmbedder(embedder_folder(settings), threads=settings.models.threads)
    return CachedEmbedder(onnx, open_store(settings), REMEMBERED_VECTORS)


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


def remote_parts(settings: Settings) -> Parts:
    """Return the parts as links to the shared actors of this cluster."""
    models = RemoteModels()
    conformal = load_conformal(model_folder(settings) / AGGREGATOR)
    return Parts(
        reader=RemoteReader(),
        vectors=RemoteVectors(),
        analyser=models,
        embedder=models,
        stance=models,
        scorer=models,
        store=open_store(settings),
        clock=SystemClock(),
        prediction_set=conformal.prediction_set,
        conformal=conformal,
        reliability=load_reliability(model_folder(settings) / AGGREGATOR),
        syntax_folder=model_folder(settings) / SYNTAX,
        datasets=RemoteVectorDatasets(settings.vectors.actors),
        board=BoardReader(home_of(settings)),
    )


@contextmanager
def local_parts(settings: Settings, *, remembered: int | None = None) -> Iterator[Parts]:
    """Open everything in this process, for as long as the block lasts; no cluster is needed.

    ``remembered`` is as in :func:`open_models`.
    """
    models = open_models(settings, remembered=remembered)
    conformal = load_conformal(model_folder(settings) / AGGREGATOR)
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
        yield Parts(
            reader=reader,
            vectors=index,
            analyser=models.analyser,
            embedder=models.embedder,
            stance=models.stance,
            scorer=models.scorer,
            store=open_store(settings),
            clock=SystemClock(),
            prediction_set=conformal.prediction_set,
            conformal=conformal,
            reliability=load_reliability(model_folder(settings) / AGGREGATOR),
            syntax_folder=model_folder(settings) / SYNTAX,
            datasets=datasets,
        )
    finally:
        datasets.close()
        keeper.close()
        index.close()


def model_folder(settings: Settings) -> Path:
    """Return where the trained models are."""
    return Path(settings.models.folder).expanduser() if settings.models.folder else SHIPPED_MODELS


def embedder_folder(settings: Settings) -> Path:
    """Return where the embedder is built."""
    return home_of(settings) / "models" / "embedder"
