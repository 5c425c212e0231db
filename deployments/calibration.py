"""Calibration as a service: which calibration answers a question, feedback in, reports out.

``TenantCalibrations`` is asked by the verifier at every batch, ``CalibrationDesk`` by the API. Both see the
knowledge through its reader, so they run the same over actors and in one process. Invariant: a calibration
follows from the ledger and the shipped models alone; what is remembered here only saves time.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, TypeVar

from data.changes import Feedback, put_calibration, put_feedback
from data.claims import TenantId
from data.errors import InvalidValueError, NotFoundError
from data.feedback import CalibrationMark, CalibrationMode, CalibrationQuery
from data.lookup import KnowledgeReader
from data.models.conformal import ConformalLabels
from data.models.drift import Coverage
from data.models.tenant_calibration import TenantCalibration, fit_tenant, learning_curve
from data.questions import Question
from data.standing import unknown_edition
from data.verdicts import VERDICT_LABELS
from deployments.calibration_report import Standing, calibration_report, drift_of

#: A ledger position after every other: "now".
NOW = 2**62
#: Calibrations and learning curves kept in memory, one a tenant that was lately asked for.
REMEMBERED = 256
#: Marks kept in memory, one a tenant and an edition of the ledger; small.
REMEMBERED_MARKS = 4_096
#: Most characters of a note.
MAX_NOTE_CHARS = 2_000

_LOG = logging.getLogger("kite.calibration")
Value = TypeVar("Value")


class _Memory:
    """A small least-recently-used memory of values that follow from their key. Safe to share by threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._values: OrderedDict[Hashable, Any] = OrderedDict()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """Return the value of a key, made (outside the lock) when it is not known."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                known: Value = self._values[key]
                return known
        made = make()
        self.put(key, made)
        return made

    def peek(self, key: Hashable) -> Any:
        """Return the value of a key, ``None`` when it is not known."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
            return self._values.get(key)

    def put(self, key: Hashable, value: Any) -> None:
        """Remember a value."""
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)


class TenantCalibrations:
    """Finds the calibration that a question's answer goes through. Any thread may call it."""

    def __init__(
        self,
        reader: KnowledgeReader,
        shipped: ConformalLabels,
        *,
        model_bundle: str,
        edition: Callable[[], Hashable | None] = unknown_edition,
    ) -> None:
        self._reader = reader
        self._shipped = shipped
        self._bundle = model_bundle
        self._edition = edition
        self._memory = _Memory(REMEMBERED)
        self._marks = _Memory(REMEMBERED_MARKS)

    @property
    def shipped(self) -> ConformalLabels:
        """The prediction sets that came with the models."""
        return self._shipped

    def query(self, tenant: TenantId, at: int = NOW) -> CalibrationQuery:
        """Return the question to the knowledge about a tenant's feedback on answers of these models."""
        return CalibrationQuery(tenant, self._bundle, at)

    def of(self, questions: Sequence[Question]) -> list[TenantCalibration | None]:
        """Return each question's calibration, ``None`` for the shipped one: one call for all of them."""
        queries = self._queries(questions)
        each = list(dict.fromkeys(queries))
        # The edition first: what is read after it may be newer, and is then asked for again, never older.
        edition = self._edition()
        marks = dict(zip(each, self._reader.calibration_marks(each), strict=True))
        if edition is not None:
            for query, mark in marks.items():
                self._marks.put((query, edition), mark)
        return [self.at(query, marks[query]) for query in queries]

    def remembered(self, questions: Sequence[Question]) -> list[TenantCalibration | None] | None:
        """Return what ``of`` would, without asking anybody; ``None`` where that takes asking."""
        edition = self._edition()
        if edition is None:
            return None
        found: list[TenantCalibration | None] = []
        for query in self._queries(questions):
            mark: CalibrationMark | None = self._marks.peek((query, edition))
            fitted = self._memory.peek((query.tenant, mark.seq)) if mark and mark.seq else None
            if mark is None or (mark.seq and fitted is None):
                return None
            found.append(fitted)
        return found

    def _queries(self, questions: Sequence[Question]) -> list[CalibrationQuery]:
        return [self.query(question.claim.tenant, _position(question)) for question in questions]

    def at(self, query: CalibrationQuery, mark: CalibrationMark) -> TenantCalibration | None:
        """Return the calibration that a mark stands for, fitted unless it is remembered."""
        if not mark.seq:
            return None

        def fit() -> TenantCalibration:
            samples = self._reader.feedback_samples(self.query(query.tenant, mark.seq))
            return fit_tenant(samples, self._shipped, mark.seq)

        return self._memory.get((query.tenant, mark.seq), fit)


def _position(question: Question) -> int:
    """Return the position whose feedback counts: the one named, or the knowledge's, or now."""
    if question.calibrated_at is not None:
        return question.calibrated_at
    return NOW if question.as_of is None else question.as_of


class CalibrationDesk:
    """Takes feedback and decisions, and reports. What blocks runs in threads.

    ``count_feedback(label)``, ``tell_alarm(tenant, alarm)`` and ``tell_error(of, error)`` feed the metrics.
    """

    def __init__(
        self,
        reader: KnowledgeReader,
        calibrations: TenantCalibrations,
        *,
        reliability: Mapping[str, Any] | None,
        count_feedback: Callable[[str], None] = lambda _label: None,
        tell_alarm: Callable[[str, bool], None] = lambda _tenant, _alarm: None,
        tell_error: Callable[[str, float | None], None] = lambda _of, _error: None,
    ) -> None:
        self._reader = reader
        self._calibrations = calibrations
        self._reliability = reliability
        self._count_feedback = count_feedback
        self._tell_alarm = tell_alarm
        self._tell_error = tell_error
        if reliability is not None:
            tell_error("shipped", reliability["all"]["ece"])
        self._curves = _Memory(REMEMBERED)
        self._alarmed: set[TenantId] = set()

    def use(self, calibrations: TenantCalibrations) -> None:
        """Report from now on about the answers that these calibrations are of."""
        self._calibrations, self._curves = calibrations, _Memory(REMEMBERED)

    async def report(self, tenant: TenantId, framework: str | None, domain: str | None) -> dict[str, Any]:
        """Return the answer of ``GET /calibration``."""
        return await asyncio.to_thread(self._report, tenant, framework, domain)

    async def give_feedback(
        self, tenant: TenantId, said: Feedback, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Write what a person says of a verdict, once; return how the tenant's feedback stands.

        Raises:
            NotFoundError: the tenant has no such verdict.
            InvalidValueError: no such label, or too long a note.
            ConflictError: the idempotency key was used for something else.
        """
        return await asyncio.to_thread(self._give_feedback, tenant, said, idempotency_key)

    async def decide(
        self, tenant: TenantId, decision: CalibrationMode, *, idempotency_key: str | None = None
    ) -> dict[str, Any]:
        """Write which calibration the tenant's answers go through; return how it stands then.

        Raises:
            InvalidValueError: pinned to a position at which there is no calibration.
        """
        return await asyncio.to_thread(self._decide, tenant, decision, idempotency_key)

    def _report(self, tenant: TenantId, framework: str | None, domain: str | None) -> dict[str, Any]:
        standing = self._standing(tenant, with_curve=True)
        return calibration_report(
            standing,
            reliability=self._reliability,
            shipped=self._calibrations.shipped,
            framework=framework,
            domain=domain,
        )

    def _give_feedback(self, tenant: TenantId, said: Feedback, key: str | None) -> dict[str, Any]:
        if said.label not in VERDICT_LABELS:
            raise InvalidValueError(
                f"{said.label!r} is not a verdict label: use one of {', '.join(VERDICT_LABELS)}."
            )
        if len(said.note) > MAX_NOTE_CHARS:
            raise InvalidValueError(
                f"The note has {len(said.note)} characters: {MAX_NOTE_CHARS} are the most."
            )
        if self._reader.verdict(tenant, said.verdict_id) is None:
            raise NotFoundError(
                f"There is no verdict {said.verdict_id!r}: send the verdict.id of an answer to POST /verify."
            )
        repeated = key is None and self._reader.last_feedback(tenant, said.verdict_id) == (
            said.label,
            said.note,
        )
        if not repeated:
            written = self._reader.append(
                [put_feedback(said, tenant)], idempotency_key=f"feedback/{key}" if key else None
            )
            repeated = written.replayed
        if not repeated:
            self._count_feedback(said.label)
        standing = self._standing(tenant)
        told = calibration_report(standing, reliability=None, shipped=self._calibrations.shipped)
        self._tell_error("feedback", told["feedback"]["ece"])
        return {
            "verdict_id": said.verdict_id,
            "label": said.label,
            "note": said.note,
            "repeated": repeated,
            "recalibration": {name: told["recalibration"][name] for name in ("known", "missing", "message")},
        }

    def _decide(self, tenant: TenantId, decision: CalibrationMode, key: str | None) -> dict[str, Any]:
        if decision.mode == "pinned":
            (mark,) = self._reader.calibration_marks([self._calibrations.query(tenant, decision.seq)])
            if not mark.seq:
                raise InvalidValueError(
                    f"There was no calibration of yours at seq {decision.seq}: name one that an answer names."
                )
        self._reader.append(
            [put_calibration(decision, tenant)], idempotency_key=f"calibration/{key}" if key else None
        )
        return self._report(tenant, None, None)

    def _standing(self, tenant: TenantId, *, with_curve: bool = False) -> Standing:
        query = self._calibrations.query(tenant)
        (mark,) = self._reader.calibration_marks([query])
        samples = self._reader.feedback_samples(query) if mark.known else []
        curve: list[dict[str, Any]] = []
        if with_curve:
            shipped = self._calibrations.shipped
            curve = self._curves.get((tenant, mark.latest), lambda: learning_curve(samples, shipped))
        standing = Standing(mark, tuple(samples), self._calibrations.at(query, mark), tuple(curve))
        self._watch(tenant, drift_of(standing))
        return standing

    def _watch(self, tenant: TenantId, seen: Coverage) -> None:
        """Tell the metrics, and the log once, when the stated coverage is broken, and when it is mended."""
        self._tell_alarm(tenant, seen.alarm)
        if seen.alarm == (tenant in self._alarmed):
            return
        fields = {"tenant": tenant, "answers": seen.answers, "missed": seen.missed, "expected": seen.expected}
        if seen.alarm:
            self._alarmed.add(tenant)
            _LOG.warning("coverage is below the stated level", extra={"fields": fields})
        else:
            self._alarmed.discard(tenant)
            _LOG.info("coverage is watched anew", extra={"fields": fields})
