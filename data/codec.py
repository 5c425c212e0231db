"""Values as bytes between processes: MessagePack with the dataclasses as schema.

One blob a batch, decoded in C straight into the frozen values; pickling the same batch of dataclasses costs
several times as much, and nothing that arrives can run code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from data.access.records import AccessChanges
from data.analysis import Analysis
from data.audit.event import AuditEvent
from data.audit.port import AuditChecked, AuditQuery, AuditRow
from data.catalogue import CatalogueQuery, CatalogueRow, Condition, KeptVerdict
from data.claims import Rejected
from data.evidence import ClaimBatch
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Change, PastVerdict
from data.ledger import Entry
from data.lookup import Fetched, Found, Limits, Wanted
from data.ports import HistoryQuery, Query
from data.verdicts import Opinion, Outcome

Value = TypeVar("Value")
_ENCODER = msgspec.msgpack.Encoder()


class Codec(Generic[Value]):
    """Encodes and decodes one type."""

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.msgpack.Decoder[Value] = msgspec.msgpack.Decoder(kind)

    def encode(self, value: Value) -> bytes:
        """Return the value as bytes."""
        return _ENCODER.encode(value)

    def decode(self, blob: bytes) -> Value:
        """Return the value of these bytes; ``msgspec.ValidationError`` when they are of another type."""
        return self._decoder.decode(blob)


@dataclass(frozen=True, slots=True)
class LookUp:
    """The arguments of ``KnowledgeReader.look_up``."""

    queries: list[Query]
    histories: list[HistoryQuery]
    limits: Limits


@dataclass(frozen=True, slots=True)
class _OutcomeOnWire:
    opinion: Opinion | None = None
    rejected: Rejected | None = None


BATCH: Codec[ClaimBatch] = Codec(ClaimBatch)
ANALYSES: Codec[list[Analysis]] = Codec(list[Analysis])
LOOK_UP: Codec[LookUp] = Codec(LookUp)
FOUND: Codec[Found] = Codec(Found)
WANTED: Codec[list[Wanted]] = Codec(list[Wanted])
FETCHED: Codec[Fetched] = Codec(Fetched)
CHANGES: Codec[list[Change]] = Codec(list[Change])
ENTRIES: Codec[list[Entry]] = Codec(list[Entry])
MARK_QUERIES: Codec[list[CalibrationQuery]] = Codec(list[CalibrationQuery])
MARKS: Codec[list[CalibrationMark]] = Codec(list[CalibrationMark])
SAMPLES: Codec[list[FeedbackSample]] = Codec(list[FeedbackSample])
CATALOGUE_QUERY: Codec[CatalogueQuery] = Codec(CatalogueQuery)
CATALOGUE_ROWS: Codec[list[CatalogueRow]] = Codec(list[CatalogueRow])
CONDITION: Codec[Condition] = Codec(Condition)
PAST_VERDICTS: Codec[list[PastVerdict]] = Codec(list[PastVerdict])
KEPT_VERDICT: Codec[KeptVerdict | None] = Codec(KeptVerdict | None)
ACCESS: Codec[AccessChanges] = Codec(AccessChanges)
AUDIT_EVENTS: Codec[list[AuditEvent]] = Codec(list[AuditEvent])
AUDIT_QUERY: Codec[AuditQuery] = Codec(AuditQuery)
AUDIT_ROWS: Codec[list[AuditRow]] = Codec(list[AuditRow])
AUDIT_CHECKED: Codec[AuditChecked] = Codec(AuditChecked)
_OUTCOMES: Codec[list[_OutcomeOnWire]] = Codec(list[_OutcomeOnWire])


def encode_outcomes(outcomes: Sequence[Outcome]) -> bytes:
    """Return the outcomes of a batch as bytes."""
    wrapped = [
        _OutcomeOnWire(rejected=item) if isinstance(item, Rejected) else _OutcomeOnWire(opinion=item)
        for item in outcomes
    ]
    return _OUTCOMES.encode(wrapped)


def decode_outcomes(blob: bytes) -> list[Outcome]:
    """Return the outcomes of these bytes, in order."""
    return [_unwrap(item) for item in _OUTCOMES.decode(blob)]


def _unwrap(item: _OutcomeOnWire) -> Outcome:
    if item.opinion is not None:
        return item.opinion
    if item.rejected is not None:
        return item.rejected
    raise ValueError("an outcome is neither an opinion nor a rejection")
