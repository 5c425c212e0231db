"""Changes to the ledger, built from values and read back: the one place that knows the payloads' shape.

Called by the API, import jobs and the verifier to write, and by every view to read. Invariant: what a
builder here accepts, every view can apply; payloads are canonical JSON (sorted keys), so equal values give
equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from data.access import switches
from data.access.keys import check_key, check_name
from data.access.records import SYSTEM_TENANT, FrameworkRecord, KeyRecord, TenantRecord
from data.claims import DEFAULT_TENANT, TenantId, tenant_id
from data.datasets import changes as datasets
from data.documents import passages_of, split
from data.errors import CorruptDataError, InvalidValueError
from data.fact_checks import check_interval, check_unit
from data.feedback import CalibrationMode
from data.jobs import schedules
from data.knowledge import Change, Document, Fact, Passage, Pattern, Source
from data.rdf import canonical_quads, check_lines
from data.redaction import content_of
from data.wording import check_pattern

#: Longest key of a change, in characters: ids and load names, not texts.
MAX_KEY_CHARS = 512

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class SegmentRef:
    """Where a bulk load lies: ``uri`` relative to the home, rows, SHA-256 of the file, and what it holds.

    ``kind`` is documents, facts, graph or sources; ``embedder`` names the model behind its vectors, if any.
    """

    uri: str
    rows: int
    sha256: str
    kind: str
    embedder: str | None = None


@dataclass(frozen=True, slots=True)
class VerdictRecord:
    """A verdict as it is kept: ``document`` is the verdict as JSON, stored byte for byte.

    ``question`` (JSON) is what was asked, ``null`` where it was not kept: a replay asks it again.
    """

    id: str
    claim: str
    fingerprint: str
    label: str
    probability: float
    document: bytes
    question: bytes = b"null"


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person says of a verdict."""

    verdict_id: str
    label: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _DocumentPayload:
    document: Document
    spans: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class _VerdictPayload:
    id: str
    claim: str
    fingerprint: str
    label: str
    probability: float
    document: msgspec.Raw
    question: dict[str, Any] | None = None


def put_document(document: Document, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store a document, split here once so that replay never splits again; an earlier version is replaced.

    Raises:
        InvalidValueError: no id, or no words.
    """
    spans = tuple((passage.start, passage.end) for passage in split(document))
    if not spans:
        raise InvalidValueError(f"The document {document.id!r} has no words: send its text.")
    return _change("document.put", document.id, _DocumentPayload(document, spans), tenant, actor)


def put_fact(fact: Fact, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store a fact; one of the same id is replaced.

    Raises:
        InvalidValueError: no id, subject or predicate; a number not finite; confidence outside [0, 1].
    """
    check_fact(fact)
    return _change("fact.put", fact.id, fact, tenant, actor)


def put_source(source: Source, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store a source; one of the same id is replaced."""
    return _change("source.put", source.id, source, tenant, actor)


def put_pattern(pattern: Pattern, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store a pattern; one of the same id is replaced.

    Raises:
        InvalidValueError: its query is not an FTS5 query.
    """
    check_pattern(pattern)
    return _change("pattern.put", pattern.id, pattern, tenant, actor)


def put_graph(nquads: str, key: str, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store statements under ``key``, replacing what was stored under it. Blank nodes become stable names.

    Raises:
        InvalidValueError: ``nquads`` is not N-Quads, or holds no statement.
    """
    lines = canonical_quads(nquads, key)
    return _change("graph.put", key, {"nquads": "\n".join(lines) + "\n"}, tenant, actor)


def put_verdict(record: VerdictRecord, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store a verdict. Writing the same id again changes nothing.

    Raises:
        InvalidValueError: ``document`` or ``question`` is no JSON object; the probability is not in [0, 1].
    """
    if not 0.0 <= record.probability <= 1.0:
        raise InvalidValueError(f"The verdict's probability {record.probability} is outside [0, 1].")
    try:
        msgspec.json.decode(record.document)
        question = msgspec.json.decode(record.question, type=dict[str, Any] | None)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"The verdict's document or question is not JSON: {exc}.") from exc
    payload = _VerdictPayload(
        record.id,
        record.claim,
        record.fingerprint,
        record.label,
        record.probability,
        msgspec.Raw(record.document),
        question,
    )
    return _change("verdict.put", record.id, payload, tenant, actor)


def put_feedback(feedback: Feedback, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Store what a person says of a verdict; the latest word counts."""
    return _change("feedback.put", feedback.verdict_id, feedback, tenant, actor)


def put_calibration(
    mode: CalibrationMode, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system"
) -> Change:
    """Store which calibration a tenant's answers go through; the latest word counts."""
    return _change("calibration.put", "calibration", mode, tenant, actor)


def put_key(record: KeyRecord, *, actor: str = "system") -> Change:
    """Store what is kept of an API key, under its tenant or the installation; the last record counts.

    Raises:
        InvalidValueError: no such key can be.
    """
    check_key(record)
    return _change("key.put", record.id, record, record.tenant or SYSTEM_TENANT, actor)


def put_tenant(record: TenantRecord, *, actor: str = "system") -> Change:
    """Store what is kept of a tenant, under the installation; the last record counts.

    Raises:
        InvalidValueError: no such tenant can be.
    """
    check_tenant(record)
    return _change("tenant.put", record.id, record, SYSTEM_TENANT, actor)


def load_segment(ref: SegmentRef, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Take in a bulk load written by ``data.segments``."""
    return _change("segment.load", ref.uri, ref, tenant, actor)


def delete_document(document_id: str, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Remove a document and its passages; it stays visible as of earlier positions."""
    return _change("document.delete", document_id, {}, tenant, actor)


def delete_fact(fact_id: str, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Remove a fact; it stays visible as of earlier positions."""
    return _change("fact.delete", fact_id, {}, tenant, actor)


def delete_source(source_id: str, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Remove a source."""
    return _change("source.delete", source_id, {}, tenant, actor)


def delete_pattern(pattern_id: str, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Remove a pattern."""
    return _change("pattern.delete", pattern_id, {}, tenant, actor)


def delete_graph(key: str, tenant: TenantId = DEFAULT_TENANT, *, actor: str = "system") -> Change:
    """Remove the statements stored under ``key``."""
    return _change("graph.delete", key, {}, tenant, actor)


def read_document(payload: bytes) -> tuple[Document, tuple[Passage, ...]]:
    """Return a document and its passages from a ``document.put`` payload."""
    stored = _read(payload, _DocumentPayload)
    return stored.document, passages_of(stored.document, stored.spans)


def read_fact(payload: bytes) -> Fact:
    """Return the fact of a ``fact.put`` payload."""
    return _read(payload, Fact)


def read_source(payload: bytes) -> Source:
    """Return the source of a ``source.put`` payload."""
    return _read(payload, Source)


def read_pattern(payload: bytes) -> Pattern:
    """Return the pattern of a ``pattern.put`` payload."""
    return _read(payload, Pattern)


def read_graph(payload: bytes) -> str:
    """Return the N-Quads lines of a ``graph.put`` payload."""
    return _read(payload, dict[str, str])["nquads"]


def read_verdict(payload: bytes) -> VerdictRecord:
    """Return the verdict of a ``verdict.put`` payload."""
    kept = _read(payload, _VerdictPayload)
    return VerdictRecord(
        kept.id,
        kept.claim,
        kept.fingerprint,
        kept.label,
        kept.probability,
        bytes(kept.document),
        msgspec.json.encode(kept.question, order="sorted"),
    )


def read_feedback(payload: bytes) -> Feedback:
    """Return the feedback of a ``feedback.put`` payload."""
    return _read(payload, Feedback)


def read_calibration(payload: bytes) -> CalibrationMode:
    """Return the decision of a ``calibration.put`` payload."""
    return _read(payload, CalibrationMode)


def read_key(payload: bytes) -> KeyRecord:
    """Return the record of a ``key.put`` payload."""
    return _read(payload, KeyRecord)


def read_tenant(payload: bytes) -> TenantRecord:
    """Return the record of a ``tenant.put`` payload."""
    return _read(payload, TenantRecord)


def read_segment_ref(payload: bytes) -> SegmentRef:
    """Return where the bulk load of a ``segment.load`` payload lies."""
    return _read(payload, SegmentRef)


def check_fact(fact: Fact) -> None:
    """Raise ``InvalidValueError`` for a fact that cannot be kept."""
    if not (fact.subject.strip() and fact.predicate.strip()):
        raise InvalidValueError(f"The fact {fact.id!r} needs a subject and a predicate.")
    if fact.value is not None and not math.isfinite(fact.value):
        raise InvalidValueError(f"The value of fact {fact.id!r} is not a finite number: leave it out.")
    if not 0.0 <= fact.confidence <= 1.0:
        raise InvalidValueError(f"The confidence of fact {fact.id!r} is outside [0, 1]: {fact.confidence}.")
    check_unit(fact)
    check_interval(fact)


def check_tenant(record: TenantRecord) -> None:
    """Raise ``InvalidValueError`` for a record of a tenant that cannot be kept."""
    if tenant_id(record.id) == SYSTEM_TENANT:
        raise InvalidValueError(f"The tenant id {SYSTEM_TENANT!r} is the installation's own: choose another.")
    check_name(record.name, "tenant")
    for name, most in sorted(msgspec.to_builtins(record.quotas).items()):
        if most is not None and most < 0:
            raise InvalidValueError(f"The quota of {name} is {most}: give 0 or more, or none.")
    limits = (record.limits.tenant, record.limits.key, *record.limits.operations.values())
    for limit in (one for one in limits if one is not None):
        amounts = (limit.per_minute, limit.per_hour, limit.per_day, limit.burst)
        if not all(math.isfinite(amount) and amount > 0.0 for amount in amounts) or limit.burst < 1.0:
            raise InvalidValueError("A limit has amounts above 0, and a burst of 1 or more.")


#: Every kind of change and the reader of its payload, where it carries more than its key.
READERS: dict[str, Callable[[bytes], object] | None] = {
    "document.put": read_document,
    "document.delete": None,
    "fact.put": read_fact,
    "fact.delete": None,
    "graph.put": read_graph,
    "graph.delete": None,
    "source.put": read_source,
    "source.delete": None,
    "pattern.put": read_pattern,
    "pattern.delete": None,
    "segment.load": read_segment_ref,
    "verdict.put": read_verdict,
    "feedback.put": read_feedback,
    "calibration.put": read_calibration,
    "key.put": read_key,
    "tenant.put": read_tenant,
    **(datasets.READERS | schedules.READERS | switches.READERS),
}
#: Whatever carries the id under which it is stored.
_OF_INSTALLATION = KeyRecord | TenantRecord | FrameworkRecord
_NAMED = Document | Fact | Source | Pattern | VerdictRecord | _OF_INSTALLATION
_CHECKS: dict[type, Callable[[Any], None]] = {
    Pattern: check_pattern,
    Fact: check_fact,
    KeyRecord: check_key,
    TenantRecord: check_tenant,
    FrameworkRecord: switches.check_framework,
}


def check_change(change: Change) -> None:
    """Raise ``InvalidValueError`` unless every view can apply ``change``: asked before it is written."""
    if change.kind not in READERS:
        raise InvalidValueError(f"There is no change of kind {change.kind!r}: use {', '.join(READERS)}.")
    if not change.tenant:
        raise InvalidValueError("A change needs a tenant.")
    if not 0 < len(change.key) <= MAX_KEY_CHARS:
        raise InvalidValueError(f"An id has 1 to {MAX_KEY_CHARS} characters; this one has {len(change.key)}.")
    reader = READERS[change.kind]
    try:
        value = reader(change.payload) if reader else None
    except CorruptDataError as exc:
        raise InvalidValueError(f"The payload of {change.kind} {change.key!r} is not valid: {exc}") from exc
    carried = value[0] if isinstance(value, tuple) and change.kind == "document.put" else value
    if isinstance(carried, str):
        check_lines(carried, change.key)
    if isinstance(carried, _NAMED) and carried.id != change.key:
        raise InvalidValueError(f"The change {change.key!r} carries another id, {carried.id!r}.")
    _check_value(value, change)


def _check_value(value: object, change: Change) -> None:
    if type(value) in _CHECKS:
        _CHECKS[type(value)](value)
    else:
        (schedules if isinstance(value, schedules.Schedule) else datasets).check_value(value, change.key)
    if isinstance(value, _OF_INSTALLATION):
        owner = value.tenant if isinstance(value, KeyRecord) else None
        if change.tenant != (owner or SYSTEM_TENANT):
            raise InvalidValueError(f"The record of {value.id!r} does not belong under {change.tenant!r}.")


def _change(kind: str, key: str, value: object, tenant: TenantId, actor: str) -> Change:
    if not 0 < len(key) <= MAX_KEY_CHARS:
        raise InvalidValueError(f"An id has 1 to {MAX_KEY_CHARS} characters; this one has {len(key)}.")
    try:
        payload = msgspec.json.encode(value, order="sorted")
        key.encode()
    except UnicodeEncodeError as exc:
        raise InvalidValueError(f"The text of {key!r} is not valid Unicode: {exc.reason}.") from exc
    return Change(kind, key, payload, tenant, actor)


def _read(payload: bytes, shape: type[Value]) -> Value:
    try:
        return msgspec.json.decode(content_of(payload), type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CorruptDataError(f"A payload cannot be read as {shape.__name__}: {exc}.") from exc
