"""The shared actors: thin shells that give objects of ``data`` a process and a name.

Named, detached, restarted without limit and recovered from disk. Arguments and results are bytes
(``data.codec``) or plain arrays, so a call costs little and an actor never unpickles a value class.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import ray
from numpy.typing import NDArray

from cluster.names import (
    KEEPER,
    MODELS,
    NAMESPACE,
    PASSAGE_INDEX,
    at_home,
    for_copies,
    vectors_actor,
    vectors_copy,
)
from cluster.traced import Traced
from cluster.vector_actor import VectorsActor, VectorsCopyActor
from configs.schema import Settings
from data.claims import TenantId
from data.codec import (
    ACCESS,
    ANALYSES,
    AUDIT_CHECKED,
    AUDIT_EVENTS,
    AUDIT_QUERY,
    AUDIT_ROWS,
    CATALOGUE_QUERY,
    CATALOGUE_ROWS,
    CHANGES,
    CONDITION,
    ENTRIES,
    FETCHED,
    FOUND,
    KEPT_VERDICT,
    LOOK_UP,
    MARK_QUERIES,
    MARKS,
    PAST_VERDICTS,
    SAMPLES,
    WANTED,
)

#: Calls an actor serves at once; numpy, SQLite, FAISS and onnxruntime release the GIL while they work.
CONCURRENT_CALLS = 16
#: CPUs an actor reserves: enough to be placed, little enough to leave room for jobs on two cores.
ACTOR_CPUS = 0.1
#: Seconds after a change until the index is written to files.
SAVE_AFTER_S = 5.0


class KeeperActor(Traced):
    """The one writer: the ledger and its views."""

    SERVICE = "kite-keeper"

    def __init__(self, settings: dict[str, Any]) -> None:
        from cluster.jobs import JobsThread
        from cluster.owned import open_audit, open_dataset_rows, open_eraser, open_keeper
        from data.lookup import LocalReader

        chosen = msgspec.convert(settings, Settings)
        self._keeper = open_keeper(chosen)
        # After the keeper, which holds the home's lock: one process writes the audit.
        self._audit = open_audit(chosen)
        self._eraser = open_eraser(chosen, self._keeper)
        threading.Thread(target=self._eraser.finish, name="erasure", daemon=True).start()
        self._reader = LocalReader(self._keeper)
        self._dataset_rows = open_dataset_rows(chosen)
        # Whoever has the home's lock decides about its jobs: one process at a time.
        self._jobs = JobsThread(chosen, self._keeper.access_changes)
        self._jobs.start()

    def position(self) -> int:
        """Return the ledger position of the last change of knowledge."""
        return self._reader.position()

    def look_up(self, blob: bytes) -> bytes:
        """Answer ``KnowledgeReader.look_up``."""
        asked = LOOK_UP.decode(blob)
        return FOUND.encode(self._reader.look_up(asked.queries, asked.histories, asked.limits))

    def fetch(self, blob: bytes) -> bytes:
        """Answer ``KnowledgeReader.fetch``."""
        return FETCHED.encode(self._reader.fetch(WANTED.decode(blob)))

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day."""
        return self._reader.seq_at(moment)

    def append(self, blob: bytes, key: str | None) -> tuple[int, int, bool]:
        """Write changes and return (first_seq, last_seq, replayed)."""
        receipt = self._reader.append(CHANGES.decode(blob), idempotency_key=key)
        return receipt.first_seq, receipt.last_seq, receipt.replayed

    def dataset_rows(self, after_seq: int, limit: int) -> bytes:
        """Return rows that define or remove datasets, after a position, for a copy of them."""
        return ENTRIES.encode(self._dataset_rows.of_datasets(after_seq, limit))

    def vector_rows(self, dataset_id: str, after_seq: int, limit: int) -> bytes:
        """Return rows that write to one dataset, after a position, for a copy of it."""
        return ENTRIES.encode(self._dataset_rows.of_vectors(dataset_id, after_seq, limit))

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document, or ``None``."""
        return self._reader.verdict(tenant, verdict_id)

    def append_if(self, condition: bytes, blob: bytes, key: str | None) -> tuple[int, int, bool] | None:
        """Write changes if a condition holds; answer as ``append``, or ``None``."""
        receipt = self._reader.append_if(
            CONDITION.decode(condition), CHANGES.decode(blob), idempotency_key=key
        )
        return (receipt.first_seq, receipt.last_seq, receipt.replayed) if receipt else None

    def listed(self, blob: bytes) -> bytes:
        """Answer ``KnowledgeReader.listed``."""
        return CATALOGUE_ROWS.encode(self._reader.listed(CATALOGUE_QUERY.decode(blob)))

    def sparql(self, tenant: TenantId, query: str) -> tuple[str, bytes]:
        """Answer a SPARQL query with media type and body."""
        answer = self._reader.sparql(tenant, query)
        return answer.media_type, answer.body

    def verdicts(self, tenant: TenantId, before_seq: int, limit: int) -> bytes:
        """Answer ``KnowledgeReader.verdicts``."""
        return PAST_VERDICTS.encode(self._reader.verdicts(tenant, before_seq=before_seq, limit=limit))

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> bytes:
        """Answer ``KnowledgeReader.kept_verdict``."""
        return KEPT_VERDICT.encode(self._reader.kept_verdict(tenant, verdict_id))

    def calibration_marks(self, blob: bytes) -> bytes:
        """Answer ``KnowledgeReader.calibration_marks``."""
        return MARKS.encode(self._reader.calibration_marks(MARK_QUERIES.decode(blob)))

    def feedback_samples(self, blob: bytes) -> bytes:
        """Answer ``KnowledgeReader.feedback_samples`` for the one query given."""
        (query,) = MARK_QUERIES.decode(blob)
        return SAMPLES.encode(self._reader.feedback_samples(query))

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """Return label and note of the last feedback on a verdict, or ``None``."""
        return self._reader.last_feedback(tenant, verdict_id)

    def access_changes(self, after_seq: int) -> bytes:
        """Answer ``KnowledgeReader.access_changes``."""
        return ACCESS.encode(self._reader.access_changes(after_seq))

    def append_access(self, expected_seq: int, blob: bytes, key: str | None) -> tuple[int, int, bool] | None:
        """Write changes of keys and tenants if the last stands at a position; answer as ``append_if``."""
        receipt = self._reader.append_access(expected_seq, CHANGES.decode(blob), idempotency_key=key)
        return (receipt.first_seq, receipt.last_seq, receipt.replayed) if receipt else None

    def rebuild(self, view: str) -> int:
        """Build a view anew from the ledger while the old one serves; return its position."""
        return self._keeper.rebuild(view)

    def compact(self, horizon: int, dry_run: bool) -> dict[str, Any]:  # noqa: FBT001 - the wire has no names
        """Erase for good what was superseded at or before ``horizon``, or say what would be."""
        return dict(msgspec.to_builtins(self._keeper.compact(horizon, dry_run=dry_run)))

    def check(self, views: bool) -> dict[str, Any]:  # noqa: FBT001 - the wire has no names
        """Read every byte of the ledger and its segments, and compare the views; return what was found."""
        return dict(msgspec.to_builtins(self._keeper.check(views=views)))

    def erase_tenant(self, tenant: TenantId, backups: list[str], actor: str) -> dict[str, Any]:
        """Erase a tenant for good, or finish what was begun, and return the proof."""
        return dict(msgspec.to_builtins(self._eraser.erase(tenant, backups=backups, actor=actor)))

    def verify_erased(self, tenant: TenantId) -> dict[str, int]:
        """Count what every store has of a tenant."""
        return self._eraser.verify_erased(tenant).counts

    def audit_append(self, blob: bytes, batch: str) -> int:
        """Answer ``AuditSink.append``."""
        return self._audit.append(AUDIT_EVENTS.decode(blob), batch)

    def audit_read(self, blob: bytes) -> bytes:
        """Answer ``AuditSink.read``."""
        return AUDIT_ROWS.encode(self._audit.read(AUDIT_QUERY.decode(blob)))

    def audit_verify(self) -> bytes:
        """Answer ``AuditSink.verify``."""
        return AUDIT_CHECKED.encode(self._audit.verify())

    def audit_drop(self, until: str, subject: str) -> int:
        """Answer ``AuditSink.drop``."""
        return self._audit.drop(until, subject=subject)

    def schedules(self, tenant: TenantId) -> bytes:
        """Return a tenant's schedules."""
        return msgspec.msgpack.encode(self._jobs.schedules.of(tenant))

    def stats(self) -> dict[str, Any]:
        """Return sizes and positions of the ledger and its views."""
        return dict(msgspec.to_builtins(self._keeper.stats()))

    def ping(self) -> bool:
        """Raise when the ledger or a view does not answer."""
        self._keeper.ping()
        return True


class PassageIndexActor(Traced):
    """The vectors of all passages: the one writer of that index, following the ledger.

    What is new is written to files in the background, so that a restart loads them and replays little.
    """

    SERVICE = "kite-passage-index"

    def __init__(self, settings: dict[str, Any]) -> None:
        from cluster.owned import open_passage_vectors

        self._settings = msgspec.convert(settings, Settings)
        self._index = open_passage_vectors(self._settings)
        self._saved_seq = self._index.applied_seq()
        self._save_due = threading.Event()
        threading.Thread(target=self._save_when_due, name="save", daemon=True).start()

    def search(
        self, tenants: list[TenantId], vectors: NDArray[np.float32], k: int, as_of: list[int]
    ) -> list[list[tuple[str, float]]]:
        """Return (id, score) hits a row."""
        rows = self._index.search_vectors(tenants, vectors, k, as_of=as_of)
        return [[(hit.id, hit.score) for hit in row] for row in rows]

    def apply(self, blob: bytes) -> int:
        """Take in ledger entries; return the position reached."""
        self._index.apply(ENTRIES.decode(blob))
        self._save_due.set()
        return self._index.applied_seq()

    def rebuild(self) -> int:
        """Build the index anew from the ledger while the old one serves; return the position reached."""
        from cluster.owned import ledger_of

        with ledger_of(self._settings) as ledger:
            return self._index.rebuild(ledger.read_sound)

    def applied_seq(self) -> int:
        """Return the ledger position reached."""
        return self._index.applied_seq()

    def ping(self) -> bool:
        """Answer."""
        self._index.ping()
        return True

    def _save_when_due(self) -> None:
        while True:
            self._save_due.wait()
            time.sleep(SAVE_AFTER_S)  # a bulk load sets the event again and again: one save for all of it
            self._save_due.clear()
            if self._index.applied_seq() > self._saved_seq:
                self._saved_seq = self._index.save()


class ModelsActor(Traced):
    """The models of this node: text analysis, embedder, stance model, boosters."""

    SERVICE = "kite-models"

    def __init__(self, settings: dict[str, Any]) -> None:
        from cluster.wiring import open_models

        self._models = open_models(msgspec.convert(settings, Settings))

    def analyse(self, texts: list[str]) -> bytes:
        """Answer ``TextAnalyser.analyse``."""
        return ANALYSES.encode(self._models.analyser.analyse(texts))

    def embed(self, texts: list[str]) -> NDArray[np.float32]:
        """Answer ``Embedder.embed``."""
        return self._models.embedder.embed(texts)

    def judge(self, pairs: list[tuple[str, str]]) -> NDArray[np.float32]:
        """Answer ``StanceModel.judge``."""
        return self._models.stance.judge(pairs)

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Answer ``Scorer.predict``."""
        return self._models.scorer.predict(model, features)

    def bundle(self) -> str:
        """Return the identity of all models."""
        return self._models.scorer.bundle()

    def embedder_identity(self) -> str:
        """Return the identity of the embedder."""
        return str(self._models.embedder.identity)

    def ping(self) -> bool:
        """Answer."""
        return True


@dataclass(frozen=True, slots=True)
class Placed:
    """A shared actor: its class, what it is made from beside the settings, and where it may run."""

    actor: type[Any]
    more: tuple[Any, ...]
    resources: dict[str, float]


def shared_actors(settings: Settings) -> dict[str, Placed]:
    """Return every shared actor by name, but the copies.

    The index asks the models, so it is listed (and started) after them.
    """
    home = at_home(settings)
    fixed: dict[str, type[Any]] = {MODELS: ModelsActor, PASSAGE_INDEX: PassageIndexActor, KEEPER: KeeperActor}
    vectors = {
        vectors_actor(number): Placed(VectorsActor, (number,), home)
        for number in range(settings.vectors.actors)
    }
    return {**{name: Placed(actor, (), home) for name, actor in fixed.items()}, **vectors}


def copies(settings: Settings) -> dict[str, Placed]:
    """Return the copies of the vector datasets by name: they come up when their nodes do."""
    return {
        vectors_copy(number): Placed(VectorsCopyActor, (number,), for_copies(settings))
        for number in range(settings.vectors.copies)
    }


def ensure_actors(settings: Settings) -> list[Any]:
    """Start the shared actors that do not run yet, without waiting for them; return handles.

    The copies are started too, and no handle to them returned: nothing waits for a node that may never come.
    """
    plain = msgspec.to_builtins(settings)
    started = [_started(name, placed, plain) for name, placed in shared_actors(settings).items()]
    for name, placed in copies(settings).items():
        _started(name, placed, plain)
    return started


def _started(name: str, placed: Placed, settings: dict[str, Any]) -> Any:
    return (
        ray.remote(placed.actor)
        .options(
            name=name,
            namespace=NAMESPACE,
            lifetime="detached",
            get_if_exists=True,
            max_restarts=-1,
            num_cpus=ACTOR_CPUS,
            max_concurrency=CONCURRENT_CALLS,
            resources=placed.resources,
        )
        .remote(settings, *placed.more)
    )
