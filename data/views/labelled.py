"""Feedback joined with the answers it was given on: the part of the history view that calibration reads.

Called by ``data.views.history`` with its own connections, inside its transactions. Invariant: rows follow
from the ledger alone; of a verdict only what calibration needs is kept, so that reading thousands is quick.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass, field
from typing import Any

import msgspec

from data import changes
from data.feedback import (
    CalibrationMark,
    CalibrationMode,
    CalibrationQuery,
    FeedbackSample,
    last_mark,
)
from data.ledger import Entry
from data.verdicts import VERDICT_LABELS, CalibrationUse, Probabilities, VerdictLabel

SCHEMA = """
CREATE TABLE IF NOT EXISTS labelled(
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, bundle TEXT NOT NULL, fingerprint TEXT NOT NULL,
    sample BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS labelled_claim ON labelled(tenant, bundle, fingerprint, seq);
CREATE INDEX IF NOT EXISTS labelled_seq ON labelled(tenant, seq);
CREATE TABLE IF NOT EXISTS calibration(
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, mode TEXT NOT NULL, pinned INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS calibration_tenant ON calibration(tenant, seq);
"""
_VERDICT = "SELECT fingerprint, document FROM verdicts WHERE tenant = ? AND id = ?"
_MODE = "SELECT mode, pinned FROM calibration WHERE tenant = ? AND seq <= ? ORDER BY seq DESC LIMIT 1"
_LATEST = "SELECT max(seq) FROM labelled WHERE tenant = ? AND seq <= ?"
_FIRST_WORDS = """
SELECT min(seq) FROM labelled WHERE tenant = ? AND bundle = ? AND seq <= ? GROUP BY fingerprint ORDER BY 1
"""
_EVERYWHERE = "SELECT count(DISTINCT fingerprint) FROM labelled WHERE tenant = ? AND seq <= ?"
_LAST_WORDS = """
SELECT sample FROM labelled WHERE seq IN
    (SELECT max(seq) FROM labelled WHERE tenant = ? AND bundle = ? AND seq <= ? GROUP BY fingerprint)
ORDER BY seq
"""
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(FeedbackSample)


@dataclass(frozen=True, slots=True)
class _Context:
    domain: str | None = None


@dataclass(frozen=True, slots=True)
class _Claim:
    context: _Context = field(default_factory=_Context)


@dataclass(frozen=True, slots=True)
class _Opinion:
    probabilities: Probabilities | None = None


@dataclass(frozen=True, slots=True)
class _Answered:
    """What calibration reads of a stored verdict."""

    probabilities: Probabilities
    prediction_set: tuple[VerdictLabel, ...]
    alpha: float
    model_bundle: str
    claim: _Claim = field(default_factory=_Claim)
    opinions: dict[str, _Opinion] = field(default_factory=dict)
    uncalibrated: Probabilities | None = None
    calibration: CalibrationUse | None = None


_ANSWERED = msgspec.json.Decoder(_Answered)


def take_feedback(connection: sqlite3.Connection, entry: Entry, said: changes.Feedback) -> None:
    """Keep feedback with what it was said of; words on an unknown verdict or with another label are none."""
    row = connection.execute(_VERDICT, (entry.tenant, said.verdict_id)).fetchone()
    if row is None or said.label not in VERDICT_LABELS:
        return
    try:
        answered = _ANSWERED.decode(row[1])
    except (msgspec.DecodeError, UnicodeDecodeError):  # a verdict kept by others in another shape
        return
    sample = _sample(entry.seq, row[0], said.label, answered)
    values = (entry.seq, entry.tenant, answered.model_bundle, row[0], _ENCODER.encode(sample))
    connection.execute("INSERT INTO labelled VALUES (?, ?, ?, ?, ?)", values)


def take_mode(connection: sqlite3.Connection, entry: Entry, mode: CalibrationMode) -> None:
    """Keep a tenant's decision about its calibration."""
    values = (entry.seq, entry.tenant, mode.mode, mode.seq)
    connection.execute("INSERT INTO calibration VALUES (?, ?, ?, ?)", values)


def _sample(seq: int, fingerprint: str, label: Any, answered: _Answered) -> FeedbackSample:
    rows = {
        name: opinion.probabilities
        for name, opinion in sorted(answered.opinions.items())
        if opinion.probabilities is not None
    }
    return FeedbackSample(
        seq=seq,
        fingerprint=fingerprint,
        label=label,
        probabilities=answered.probabilities,
        raw=answered.uncalibrated or answered.probabilities,
        prediction_set=answered.prediction_set,
        alpha=answered.alpha,
        calibrated_at=answered.calibration.seq if answered.calibration else 0,
        domain=answered.claim.context.domain,
        frameworks=rows,
    )


class MarkReader:
    """Finds marks; remembers the last one of each tenant, for verification asks at every batch."""

    def __init__(self, most: int = 1_000) -> None:
        self._most = most
        self._known: dict[tuple[object, ...], CalibrationMark] = {}

    def mark(self, connection: sqlite3.Connection, query: CalibrationQuery) -> CalibrationMark:
        """Return the mark in force for a query."""
        latest = connection.execute(_LATEST, (query.tenant, query.at)).fetchone()[0] or 0
        row = connection.execute(_MODE, (query.tenant, query.at)).fetchone()
        decided = CalibrationMode(*row) if row else CalibrationMode("auto")
        if not latest:
            return CalibrationMark(mode=decided.mode)
        key = (query.tenant, query.model_bundle, latest, decided)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= self._most:
                self._known.clear()
            known = self._known[key] = _find_mark(connection, query, latest, decided)
        return known


def _find_mark(
    connection: sqlite3.Connection, query: CalibrationQuery, latest: int, decided: CalibrationMode
) -> CalibrationMark:
    values = (query.tenant, query.model_bundle, latest)
    first_words = [row[0] for row in connection.execute(_FIRST_WORDS, values)]
    (everywhere,) = connection.execute(_EVERYWHERE, (query.tenant, latest)).fetchone()
    allowed = first_words
    if decided.mode == "pinned":
        allowed = [seq for seq in first_words if seq <= decided.seq]
    labels = 0 if decided.mode == "off" else last_mark(len(allowed))
    return CalibrationMark(
        seq=allowed[labels - 1] if labels else 0,
        labels=labels,
        known=len(first_words),
        latest=latest,
        elsewhere=max(0, everywhere - len(first_words)),
        mode=decided.mode,
    )


def samples(connection: sqlite3.Connection, query: CalibrationQuery) -> list[FeedbackSample]:
    """Return the last word on each claim up to the position asked, in ledger order."""
    values = (query.tenant, query.model_bundle, query.at)
    return [_DECODER.decode(row[0]) for row in connection.execute(_LAST_WORDS, values)]
