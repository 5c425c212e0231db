"""The ports of ``data`` over actor handles: frameworks and retrieval cannot tell them from local objects.

A handle that has died is looked up again with back-off until ``patience_s`` is over: the actors restart by
themselves and recover from disk. Reads are repeated freely; writes carry an idempotency key, so repeating
them is safe too.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from cluster.names import KEEPER, MODELS, NAMESPACE, PASSAGE_INDEX
from cluster.traced import rpc
from data.access.records import AccessChanges
from data.analysis import Analysis
from data.audit.event import AuditEvent
from data.audit.port import AuditChecked, AuditQuery, AuditRow
from data.catalogue import CatalogueQuery, CatalogueRow, Condition, KeptVerdict
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
    FETCHED,
    FOUND,
    KEPT_VERDICT,
    LOOK_UP,
    MARK_QUERIES,
    MARKS,
    PAST_VERDICTS,
    SAMPLES,
    WANTED,
    LookUp,
)
from data.erased import Erased, Remains
from data.errors import (
    IndexUnavailableError,
    KiteError,
    ModelUnavailableError,
    StoreUnavailableError,
    UnavailableError,
)
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Change, PastVerdict
from data.lookup import Fetched, Found, Limits, Wanted
from data.ports import HistoryQuery, Hit, Query, WriteReceipt
from data.tracing import Kind, context, current, span, take
from data.views.sparql import SparqlAnswer

#: How long a call waits for an actor that is restarting (about 5 s on two cores) before it gives up.
PATIENCE_S = 20.0
#: How long an index may take to be built anew: passages are embedded again where their vectors are lost.
REBUILD_PATIENCE_S = 6 * 3600.0
#: How long a replica waits for news of keys and tenants: older than a second, it lets nobody in.
ACCESS_PATIENCE_S = 0.8
#: How long a write to the audit waits for the keeper: whoever asked is waiting for the answer.
AUDIT_PATIENCE_S = 5.0
#: How long following the audit's whole chain, or dropping its beginning, may take.
AUDIT_WORK_PATIENCE_S = 600.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5


class ActorLink:
    """Calls methods of one named actor, through its restarts.

    Without ``retries``, one that is away is not waited for: ``patience_s`` is for its answer alone.
    """

    def __init__(
        self,
        name: str,
        error: type[UnavailableError],
        *,
        patience_s: float = PATIENCE_S,
        retries: bool = True,
    ) -> None:
        # Imported late: Ray reads its environment when it is imported, and ``tasks.session`` sets that first.
        import ray
        from ray.exceptions import GetTimeoutError, RayActorError, RayTaskError

        self._ray: Any = ray
        self._failed = RayTaskError
        self._away: tuple[type[Exception], ...] = (RayActorError, ValueError, GetTimeoutError)
        self._name = name
        self._error = error
        self._patience_s = patience_s
        self._retries = retries
        self._handle: Any = None

    def call(self, method: str, *args: Any) -> Any:
        """Return the result of ``method(*args)`` on the actor.

        Raises:
            UnavailableError: of the kind given, when the actor was away for ``patience_s``.
            KiteError: what the method raised, with its own words and nothing of Ray's.
        """
        if current() is None:
            return self._call(method, args)
        with span(f"{self._name}/{method}", rpc(self._name, method), Kind.CLIENT):
            if not (here := context()):
                return self._call(method, args)
            result, recorded = self._call("traced", (here, method, args))
            take(recorded)
            return result

    def _call(self, method: str, args: tuple[Any, ...]) -> Any:
        deadline = time.monotonic() + self._patience_s
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return self._once(method, args, deadline)
            except self._away as exc:
                self._handle = None
                if not self._retries or time.monotonic() + pause_s > deadline:
                    raise self._error(
                        f"{self._name} is away at the moment: try again in a few seconds."
                    ) from exc
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)

    def _once(self, method: str, args: tuple[Any, ...], deadline: float) -> Any:
        if self._handle is None:
            self._handle = self._ray.get_actor(self._name, namespace=NAMESPACE)
        reference = getattr(self._handle, method).remote(*args)
        try:
            return self._ray.get(reference, timeout=max(0.01, deadline - time.monotonic()))
        except self._failed as exc:
            if isinstance(exc.cause, KiteError):
                raise exc.cause from None
            raise


class RemoteReader:
    """``data.lookup.KnowledgeReader`` over the keeper."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._link = ActorLink(KEEPER, StoreUnavailableError, patience_s=patience_s)
        self._short_link = ActorLink(
            KEEPER, StoreUnavailableError, patience_s=min(patience_s, ACCESS_PATIENCE_S)
        )

    def position(self) -> int:
        """Return the ledger position of the last change of knowledge."""
        return int(self._link.call("position"))

    def look_up(self, queries: Sequence[Query], histories: Sequence[HistoryQuery], limits: Limits) -> Found:
        """Return everything that follows from the texts alone."""
        blob = LOOK_UP.encode(LookUp(list(queries), list(histories), limits))
        return FOUND.decode(self._link.call("look_up", blob))

    def fetch(self, wanted: Sequence[Wanted]) -> Fetched:
        """Return the passages asked for and the sources behind them."""
        return FETCHED.decode(self._link.call("fetch", WANTED.encode(list(wanted))))

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day."""
        return int(self._link.call("seq_at", moment))

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write changes; durable and visible on return, and written once however often the link was cut."""
        key = idempotency_key or uuid.uuid4().hex
        first, last, replayed = self._link.call("append", CHANGES.encode(list(changes)), key)
        return WriteReceipt(first, last, replayed)

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON), or ``None``."""
        found: bytes | None = self._link.call("verdict", tenant, verdict_id)
        return found

    def append_if(
        self, condition: Condition, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes as ``append`` does if the condition holds then; else write nothing: ``None``."""
        key = idempotency_key or uuid.uuid4().hex
        written = self._link.call(
            "append_if", CONDITION.encode(condition), CHANGES.encode(list(changes)), key
        )
        return WriteReceipt(*written) if written else None

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return one thing, or a page of things sorted by id."""
        return CATALOGUE_ROWS.decode(self._link.call("listed", CATALOGUE_QUERY.encode(query)))

    def sparql(self, tenant: TenantId, query: str) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now."""
        return SparqlAnswer(*self._link.call("sparql", tenant, query))

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first."""
        return PAST_VERDICTS.decode(self._link.call("verdicts", tenant, before_seq, limit))

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> KeptVerdict | None:
        """Return a verdict with the question behind it, or ``None``."""
        return KEPT_VERDICT.decode(self._link.call("kept_verdict", tenant, verdict_id))

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """Return, a query, the position whose feedback makes the tenant's calibration."""
        return MARKS.decode(self._link.call("calibration_marks", MARK_QUERIES.encode(list(queries))))

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """Return the last word on each claim up to the position asked, in ledger order."""
        return SAMPLES.decode(self._link.call("feedback_samples", MARK_QUERIES.encode([query])))

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """Return label and note of the last feedback on a verdict, or ``None``."""
        found: tuple[str, str] | None = self._link.call("last_feedback", tenant, verdict_id)
        return found

    def access_changes(self, after_seq: int) -> AccessChanges:
        """Return the keys and tenants written after a position, or fail within a second."""
        return ACCESS.decode(self._short_link.call("access_changes", after_seq))

    def append_access(
        self, expected_seq: int, changes: Sequence[Change], *, idempotency_key: str | None = None
    ) -> WriteReceipt | None:
        """Write changes of keys and tenants if the last of them stands at a position; else nothing."""
        key = idempotency_key or uuid.uuid4().hex
        written = self._link.call("append_access", expected_seq, CHANGES.encode(list(changes)), key)
        return WriteReceipt(*written) if written else None

    def stats(self) -> dict[str, Any]:
        """Return sizes and positions of the ledger and its views."""
        return dict(self._link.call("stats"))

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the keeper does not answer."""
        self._link.call("ping")


class RemoteAudit:
    """``data.audit.port.AuditSink`` over the keeper, whose process has the audit's file."""

    def __init__(self, *, patience_s: float = AUDIT_PATIENCE_S) -> None:
        self._link = ActorLink(KEEPER, StoreUnavailableError, patience_s=patience_s)
        self._long_link = ActorLink(KEEPER, StoreUnavailableError, patience_s=AUDIT_WORK_PATIENCE_S)

    def append(self, events: Sequence[AuditEvent], batch: str = "") -> int:
        """Write lines; durable on return, and written once however often the link was cut."""
        name = batch or uuid.uuid4().hex
        return int(self._link.call("audit_append", AUDIT_EVENTS.encode(list(events)), name))

    def read(self, query: AuditQuery) -> list[AuditRow]:
        """Return a page of lines."""
        return AUDIT_ROWS.decode(self._link.call("audit_read", AUDIT_QUERY.encode(query)))

    def verify(self) -> AuditChecked:
        """Follow the whole chain."""
        return AUDIT_CHECKED.decode(self._long_link.call("audit_verify"))

    def drop(self, until: str, *, subject: str) -> int:
        """Remove the lines before a moment and say so in the audit; return how many went."""
        return int(self._long_link.call("audit_drop", until, subject))


class RemoteEraser:
    """``data.erasure.Eraser`` over the keeper."""

    def __init__(self, *, patience_s: float = REBUILD_PATIENCE_S) -> None:
        self._link = ActorLink(KEEPER, StoreUnavailableError, patience_s=patience_s)

    def erase(self, tenant: TenantId, *, backups: Sequence[str] = (), actor: str = "operator") -> Erased:
        """Erase a tenant for good, or finish what was begun, and return the proof."""
        return msgspec.convert(self._link.call("erase_tenant", tenant, list(backups), actor), Erased)

    def verify_erased(self, tenant: TenantId) -> Remains:
        """Count what every store has of a tenant."""
        return Remains(tenant, dict(self._link.call("verify_erased", tenant)))


class RemoteVectors:
    """``VectorIndex`` over an index actor."""

    def __init__(self, name: str = PASSAGE_INDEX, *, patience_s: float = PATIENCE_S) -> None:
        self._link = ActorLink(name, IndexUnavailableError, patience_s=patience_s)
        self._long_link = ActorLink(name, IndexUnavailableError, patience_s=REBUILD_PATIENCE_S)

    def search_vectors(
        self, tenants: Sequence[TenantId], vectors: NDArray[np.float32], k: int, *, as_of: Sequence[int]
    ) -> list[list[Hit]]:
        """Return at most ``k`` hits a row of ``vectors`` (n, dim), visible at each ``as_of``, best first."""
        rows = self._link.call("search", list(tenants), vectors, k, list(as_of))
        return [[Hit(key, score) for key, score in row] for row in rows]

    def apply(self, blob: bytes) -> int:
        """Apply encoded ledger entries; return the position the index has reached."""
        return int(self._link.call("apply", blob))

    def rebuild(self) -> int:
        """Build the index anew from the ledger while the old one serves; return the position reached."""
        return int(self._long_link.call("rebuild"))

    def applied_seq(self) -> int:
        """Return the ledger position the index has reached."""
        return int(self._link.call("applied_seq"))

    def ping(self) -> None:
        """Raise ``IndexUnavailableError`` when the actor does not answer."""
        self._link.call("ping")


class RemoteModels:
    """``TextAnalyser``, ``Embedder``, ``StanceModel`` and ``Scorer`` over the models actor."""

    def __init__(self, *, dim: int = 384, patience_s: float = PATIENCE_S) -> None:
        self._link = ActorLink(MODELS, ModelUnavailableError, patience_s=patience_s)
        self._dim = dim

    @property
    def dim(self) -> int:
        """Length of an embedding."""
        return self._dim

    @property
    def identity(self) -> str:
        """Hex identity of the embedder."""
        return str(self._link.call("embedder_identity"))

    def analyse(self, texts: Sequence[str]) -> list[Analysis]:
        """Return one analysis a text."""
        return ANALYSES.decode(self._link.call("analyse", list(texts))) if texts else []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32, each row of length 1."""
        if not texts:
            return np.zeros((0, self._dim), np.float32)
        return np.asarray(self._link.call("embed", list(texts)), dtype=np.float32)

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        """Return (n, 3) float32 stance probabilities of (claim, passage) pairs."""
        if not pairs:
            return np.zeros((0, 3), np.float32)
        return np.asarray(self._link.call("judge", list(pairs)), dtype=np.float32)

    def predict(self, model: str, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return calibrated probabilities (n, classes) float32."""
        return np.asarray(self._link.call("predict", model, features), dtype=np.float32)

    def bundle(self) -> str:
        """Return the hex identity of all models loaded."""
        return str(self._link.call("bundle"))

    def ping(self) -> None:
        """Raise ``ModelUnavailableError`` when the actor does not answer."""
        self._link.call("ping")
