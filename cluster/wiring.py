"""The one place that knows which implementation stands behind which port.

Each function opens one group of objects from settings. Replicas open links to actors (:func:`remote_parts`);
what only the process that has a home opens is in :mod:`cluster.owned`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from cluster.head import PROJECT_ROOT, home_of
from cluster.remote import RemoteModels, RemoteReader, RemoteVectors
from cluster.vector_copies import ping_copies
from cluster.vectors import RemoteVectorDatasets
from configs.schema import CacheSettings, Settings
from configs.secrets import cache_url, queue_url, stream_url
from data.clock import SystemClock
from data.datasets.sharded import ShardedVectorDatasets
from data.lookup import KnowledgeReader
from data.models.conformal import load_conformal
from data.models.embedding import IdentifiedEmbedder
from data.models.reliability import load_reliability
from data.parts import Parts
from data.ports import KeyValueStore, Scorer, StanceModel, TextAnalyser, VectorIndex
from data.queue.ports import TaskQueue
from data.queue.tasks import QueueBounds, RetryRule
from data.standing import BoardReader
from data.streams.kafka_address import is_kafka, properties_of, topics_of
from data.streams.ports import ClaimStream, StreamNames

#: Where the queue lies under the home, if it is a file.
QUEUE = Path("queue") / "tasks.sqlite"
#: Trained models shipped with the software.
SHIPPED_MODELS = PROJECT_ROOT / "models"
AGGREGATOR, STANCE, CHECKWORTHINESS, SYNTAX = "aggregator", "stance", "checkworthiness", "syntax"
#: Embeddings and analyses kept in memory by the models actor: 100,000 vectors are 150 MB.
REMEMBERED_VECTORS = 50_000


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


def remote_parts(settings: Settings) -> Parts:
    """Return the parts as links to the shared actors of this cluster."""
    models = RemoteModels()
    parts = parts_of(settings, Models(models, models, models, models), RemoteReader(), RemoteVectors())
    vectors = RemoteVectorDatasets(settings.vectors.actors, settings.vectors.copies)
    datasets = ShardedVectorDatasets(vectors, models)
    copies = partial(ping_copies, settings.vectors.copies) if settings.vectors.copies else None
    return replace(parts, datasets=datasets, board=BoardReader(home_of(settings)), copies=copies)


def parts_of(settings: Settings, models: Models, reader: KnowledgeReader, vectors: VectorIndex) -> Parts:
    """Return what verification needs around these, wherever they are: store, clock, shipped figures."""
    conformal = load_conformal(model_folder(settings) / AGGREGATOR)
    return Parts(
        reader=reader,
        vectors=vectors,
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
    )


def model_folder(settings: Settings) -> Path:
    """Return where the trained models are."""
    return Path(settings.models.folder).expanduser() if settings.models.folder else SHIPPED_MODELS


def embedder_folder(settings: Settings) -> Path:
    """Return where the embedder is built."""
    return home_of(settings) / "models" / "embedder"
