"""The history view: verdicts as they were answered, and what people said of them. SQLite.

Built by the keeper from the ledger. Verdicts belong to one tenant and are never shared.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from pathlib import Path

from data import changes
from data.catalogue import KeptVerdict
from data.claims import TenantId
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import PastVerdict
from data.ledger import Entry
from data.ports import HistoryQuery
from data.views import labelled
from data.views.view import LIVE, SqliteView

_SCHEMA = """
CREATE TABLE IF NOT EXISTS verdicts(
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, id TEXT NOT NULL, ts TEXT NOT NULL, claim TEXT NOT NULL,
    fingerprint TEXT NOT NULL, label TEXT NOT NULL, probability REAL NOT NULL, document BLOB NOT NULL,
    question BLOB NOT NULL) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS verdicts_id ON verdicts(tenant, id);
CREATE INDEX IF NOT EXISTS verdicts_seq ON verdicts(tenant, seq);
CREATE INDEX IF NOT EXISTS verdicts_fingerprint ON verdicts(tenant, fingerprint, seq);
CREATE TABLE IF NOT EXISTS feedback(
    seq INTEGER PRIMARY KEY, tenant TEXT NOT NULL, verdict_id TEXT NOT NULL, ts TEXT NOT NULL,
    actor TEXT NOT NULL, label TEXT NOT NULL, note TEXT NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS feedback_verdict ON feedback(tenant, verdict_id, seq);
"""
#: The verdict's row with the last feedback on it before :said.
_PAST = """
SELECT v.id, v.claim, v.label, v.probability, v.seq, v.ts, 1.0,
    (SELECT f.label FROM feedback f WHERE f.tenant = v.tenant AND f.verdict_id = v.id AND f.seq < :said
     ORDER BY f.seq DESC LIMIT 1)
FROM verdicts v WHERE v.tenant = :tenant AND v.seq < :at AND
"""
_ADD_VERDICT = """
INSERT INTO verdicts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT(tenant, id) DO NOTHING
"""

_COUNTS = {
    table: f"SELECT count(*) FROM {table} WHERE tenant = ?"  # noqa: S608 - names of the tables above
    for table in ("verdicts", "feedback", "labelled", "calibration")
}


class HistoryView(SqliteView):
    """Verdicts and feedback of all tenants in one SQLite file.

    Raises:
        CorruptDataError: the file is damaged; move it away and build the view again from the ledger.
    """

    name = "history"
    #: 1: the question behind a verdict is kept beside it.
    format = 1
    kinds = frozenset({"verdict.put", "feedback.put", "calibration.put"})
    #: What was said stays said, so all of it holds at any position.
    holdings = tuple(
        f"SELECT '{table}', * FROM {table} WHERE :since >= 0"  # noqa: S608 - names of the tables above
        for table in ("verdicts", "feedback", "labelled", "calibration")
    )

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA + labelled.SCHEMA)
        self._marks = labelled.MarkReader()

    def past_verdicts(self, queries: Sequence[HistoryQuery]) -> list[list[PastVerdict]]:
        """Return the tenant's verdicts on the same claim written before ``as_of``, oldest first."""
        with self._database.reading() as connection:
            return [
                _past(
                    connection,
                    "v.fingerprint = :key ORDER BY v.seq",
                    {"tenant": one.tenant, "key": one.fingerprint, "at": one.as_of, "said": one.as_of},
                )
                for one in queries
            ]

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON) byte for byte, or ``None``."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT document FROM verdicts WHERE tenant = ? AND id = ?", (tenant, verdict_id)
            ).fetchone()
        return row[0] if row else None

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> KeptVerdict | None:
        """Return a verdict with the question behind it, or ``None``."""
        with self._database.reading() as connection:
            row = connection.execute(
                "SELECT id, document, nullif(question, CAST('null' AS BLOB)), seq, ts FROM verdicts "
                "WHERE tenant = ? AND id = ?",
                (tenant, verdict_id),
            ).fetchone()
        return KeptVerdict(*row) if row else None

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first, with what is said of them by now."""
        values: dict[str, object] = {"tenant": tenant, "at": before_seq, "said": LIVE, "key": limit}
        with self._database.reading() as connection:
            return _past(connection, "1 ORDER BY v.seq DESC LIMIT :key", values)

    def feedback(self, tenant: TenantId, verdict_id: str) -> list[changes.Feedback]:
        """Return everything said of a verdict, oldest first."""
        with self._database.reading() as connection:
            rows = connection.execute(
                "SELECT verdict_id, label, note FROM feedback "
                "WHERE tenant = ? AND verdict_id = ? ORDER BY seq",
                (tenant, verdict_id),
            ).fetchall()
        return [changes.Feedback(*row) for row in rows]

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """See ``FeedbackStore``."""
        with self._database.reading() as connection:
            return [self._marks.mark(connection, query) for query in queries]

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """See ``FeedbackStore``."""
        with self._database.reading() as connection:
            return labelled.samples(connection, query)

    def counts(self) -> dict[str, int]:
        """Return how many verdicts and words of feedback there are, all tenants together."""
        with self._database.reading() as connection:
            (verdicts,) = connection.execute("SELECT count(*) FROM verdicts").fetchone()
            (feedback,) = connection.execute("SELECT count(*) FROM feedback").fetchone()
        return {"verdicts": verdicts, "feedback": feedback}

    def held(self, tenant: TenantId) -> dict[str, int]:
        """Return how many rows of a tenant there are."""
        with self._database.reading() as connection:
            return {table: connection.execute(sql, (tenant,)).fetchone()[0] for table, sql in _COUNTS.items()}

    def _take(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        for entry in entries:
            if entry.kind == "verdict.put":
                kept = changes.read_verdict(entry.payload)
                words = (kept.claim, kept.fingerprint, kept.label, kept.probability)
                row = (entry.seq, entry.tenant, kept.id, entry.ts, *words, kept.document, kept.question)
                # The first counts: a ledger of earlier versions may hold the same verdict twice.
                connection.execute(_ADD_VERDICT, row)
            elif entry.kind == "calibration.put":
                labelled.take_mode(connection, entry, changes.read_calibration(entry.payload))
            else:
                said = changes.read_feedback(entry.payload)
                feedback = (
                    entry.seq,
                    entry.tenant,
                    said.verdict_id,
                    entry.ts,
                    entry.actor,
                    said.label,
                    said.note,
                )
                connection.execute("INSERT INTO feedback VALUES (?, ?, ?, ?, ?, ?, ?)", feedback)
                labelled.take_feedback(connection, entry, said)


def _past(connection: sqlite3.Connection, condition: str, values: Mapping[str, object]) -> list[PastVerdict]:
    return [PastVerdict(*row) for row in connection.execute(_PAST + condition, values)]
