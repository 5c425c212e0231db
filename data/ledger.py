"""The ledger: an append-only, totally ordered, hash-chained log of every change. The truth of the house.

Owned by the keeper (``data.keeper``), read by followers, backups and audits. Invariant: rows are never
altered, ``seq`` has no gap, time never runs backwards, and each row's SHA-256 covers the row before it.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from data.claims import TenantId
from data.errors import ConflictError, CorruptDataError, InvalidValueError, KiteError
from data.knowledge import Change
from data.ports import Clock, WriteReceipt
from data.sqlite import Database

#: The sha256 before the first row.
GENESIS = hashlib.sha256(b"brahminy-kite ledger 1").digest()

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(
    seq INTEGER PRIMARY KEY, ts TEXT NOT NULL, tenant TEXT NOT NULL, actor TEXT NOT NULL, kind TEXT NOT NULL,
    key TEXT NOT NULL, payload BLOB NOT NULL, sha256 BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS entries_key ON entries(tenant, kind, key, seq);
CREATE INDEX IF NOT EXISTS entries_ts ON entries(ts);
DROP INDEX IF EXISTS entries_knowledge;
CREATE INDEX IF NOT EXISTS entries_known ON entries(seq)
    WHERE kind NOT IN ('verdict.put', 'feedback.put', 'calibration.put');
CREATE TABLE IF NOT EXISTS idempotency(
    tenant TEXT NOT NULL, key TEXT NOT NULL, first_seq INTEGER NOT NULL, last_seq INTEGER NOT NULL,
    request BLOB NOT NULL, PRIMARY KEY (tenant, key)) STRICT, WITHOUT ROWID;
"""
_READ = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries WHERE seq > ? ORDER BY seq LIMIT ?
"""
_LATEST = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries
WHERE tenant = ? AND kind = ? AND key = ? ORDER BY seq DESC LIMIT 1
"""
#: Verdicts, feedback and calibration are not knowledge: the same words stand in the partial index.
_KNOWLEDGE_SEQ = """
SELECT max(seq) FROM entries
WHERE kind NOT IN ('verdict.put', 'feedback.put', 'calibration.put') AND seq <= ?
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of the ledger. ``ts`` is ISO 8601 UTC with microseconds; ``sha256`` closes the chain here."""

    seq: int
    ts: str
    tenant: TenantId
    actor: str
    kind: str
    key: str
    payload: bytes
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Writing:
    """Changes to be written together, all or nothing."""

    changes: tuple[Change, ...]
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of one :class:`Writing`: its receipt or why it was refused, and the rows it added."""

    receipt: WriteReceipt | KiteError
    entries: tuple[Entry, ...] = ()


class Ledger:
    """The log in one SQLite file, durable at every commit. One writing process; any thread may read.

    Raises:
        CorruptDataError: the file is not a sound SQLite database.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._clock = clock
        self._database = Database(path, schema=_SCHEMA, synchronous="FULL")

    def append(self, changes: Sequence[Change], idempotency_key: str | None = None) -> WriteReceipt:
        """Write changes in one transaction and return once they are on disk.

        Raises:
            ConflictError: the idempotency key was used for other changes.
        """
        (written,) = self.append_all([Writing(tuple(changes), idempotency_key)])
        if isinstance(written.receipt, KiteError):
            raise written.receipt
        return written.receipt

    def append_all(self, writings: Sequence[Writing]) -> list[Written]:
        """Write several requests in one transaction (group commit); each is answered on its own."""
        with self._database.writing() as connection:
            pen = _Pen(connection, _moment(self._clock.now_s()))
            return [pen.write(writing) for writing in writings]

    def read(self, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` entries after a position, in order."""
        with self._database.reading() as connection:
            rows = connection.execute(_READ, (after_seq, limit)).fetchall()
        return [Entry(*row) for row in rows]

    def head(self) -> int:
        """Return the last position, 0 when empty."""
        return self._number("SELECT max(seq) FROM entries")

    def knowledge_seq(self) -> int:
        """Return the last position whose change is knowledge (no verdict, no feedback), 0 when none."""
        return self._number(_KNOWLEDGE_SEQ, 2**62)

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day (a day means its end, UTC).

        Raises:
            InvalidValueError: not an ISO 8601 day or instant.
        """
        last = self._number("SELECT max(seq) FROM entries WHERE ts <= ?", _instant(moment))
        return self._number(_KNOWLEDGE_SEQ, last)

    def latest(self, tenant: TenantId, kind: str, key: str) -> Entry | None:
        """Return the last entry of this kind and key, or ``None``."""
        with self._database.reading() as connection:
            row = connection.execute(_LATEST, (tenant, kind, key)).fetchone()
        return Entry(*row) if row else None

    def verify(self) -> int:
        """Walk the whole chain and return its length.

        Raises:
            CorruptDataError: names the first position that does not hold.
        """
        expected, previous = 0, GENESIS
        for entry in self._walk():
            expected += 1
            if entry.seq != expected:
                raise CorruptDataError(
                    f"The ledger has no entry at seq {expected}: restore it from a backup."
                )
            previous = chained(previous, entry)
            if previous != entry.sha256:
                raise CorruptDataError(
                    f"The ledger is altered at seq {entry.seq} ({entry.kind}): restore it from a backup."
                )
        return expected

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the ledger cannot be read."""
        self.head()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _walk(self) -> Iterator[Entry]:
        after = 0
        while page := self.read(after, 5_000):
            yield from page
            after = page[-1].seq

    def _number(self, sql: str, *values: object) -> int:
        with self._database.reading() as connection:
            (number,) = connection.execute(sql, values).fetchone()
        return int(number or 0)


class _Pen:
    """Writes inside one open transaction, carrying the chain's end along."""

    def __init__(self, connection: sqlite3.Connection, now: str) -> None:
        self._connection = connection
        last = connection.execute("SELECT seq, ts, sha256 FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
        self._seq: int = last[0] if last else 0
        self._sha256: bytes = last[2] if last else GENESIS
        # A clock set back must not make the past ambiguous: time in the ledger never runs backwards.
        self._ts = max(now, last[1]) if last else now

    def write(self, writing: Writing) -> Written:
        changes = writing.changes
        if not changes:
            return Written(InvalidValueError("There is no change to write: send at least one."))
        tenant, request = changes[0].tenant, _request_digest(changes)
        known = self._known(tenant, writing.idempotency_key)
        if known:
            return _answer_again(known, request)
        kept = [(change, self._verdict_seq(change)) for change in changes]
        entries = tuple(self._insert(change) for change, seq in kept if seq is None)
        seqs = [seq for _, seq in kept if seq is not None] + [entry.seq for entry in entries]
        receipt = WriteReceipt(min(seqs), max(seqs), replayed=not entries)
        if writing.idempotency_key is not None:
            self._connection.execute(
                "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)",
                (tenant, writing.idempotency_key, receipt.first_seq, receipt.last_seq, request),
            )
        return Written(receipt, entries)

    def _known(self, tenant: TenantId, key: str | None) -> tuple[int, int, bytes] | None:
        if key is None:
            return None
        found: tuple[int, int, bytes] | None = self._connection.execute(
            "SELECT first_seq, last_seq, request FROM idempotency WHERE tenant = ? AND key = ?", (tenant, key)
        ).fetchone()
        return found

    def _verdict_seq(self, change: Change) -> int | None:
        """Return where this verdict stands already: its id is its content, so it is never written twice."""
        if change.kind != "verdict.put":
            return None
        row = self._connection.execute(
            "SELECT seq FROM entries WHERE tenant = ? AND kind = 'verdict.put' AND key = ?",
            (change.tenant, change.key),
        ).fetchone()
        return row[0] if row else None

    def _insert(self, change: Change) -> Entry:
        self._seq += 1
        bare = Entry(
            self._seq, self._ts, change.tenant, change.actor, change.kind, change.key, change.payload, b""
        )
        self._sha256 = chained(self._sha256, bare)
        row = (*_fields(bare), self._sha256)
        self._connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return Entry(*row)


def chained(previous: bytes, entry: Entry) -> bytes:
    """Return the SHA-256 of an entry on top of the one before: every column with its length in front."""
    digest = hashlib.sha256(previous)
    for value in _fields(entry):
        column = value if isinstance(value, bytes) else str(value).encode()
        digest.update(len(column).to_bytes(8, "big"))
        digest.update(column)
    return digest.digest()


def _fields(entry: Entry) -> tuple[int, str, TenantId, str, str, str, bytes]:
    return entry.seq, entry.ts, entry.tenant, entry.actor, entry.kind, entry.key, entry.payload


def _request_digest(changes: Sequence[Change]) -> bytes:
    digest = hashlib.sha256()
    for change in changes:
        for column in (change.tenant, change.kind, change.key, change.payload):
            encoded = column if isinstance(column, bytes) else column.encode()
            digest.update(len(encoded).to_bytes(8, "big") + encoded)
    return digest.digest()


def _answer_again(known: tuple[int, int, bytes], request: bytes) -> Written:
    first, last, kept = known
    if kept != request:
        return Written(ConflictError("This idempotency key was used for other changes: choose a new one."))
    return Written(WriteReceipt(first, last, replayed=True))


def _moment(now_s: float) -> str:
    # Counted in whole microseconds: a float's rounding must not depend on the date's distance from 1970.
    return _stamp(datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=round(now_s * 1e6)))


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _instant(moment: str) -> str:
    try:
        parsed = datetime.fromisoformat(moment)
        if _is_day(moment):
            parsed += timedelta(days=1, microseconds=-1)
        return _stamp(parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC))
    except (ValueError, OverflowError) as exc:
        raise InvalidValueError(
            f"{moment!r} is not a day or an instant: write 2026-01-31 or 2026-01-31T12:00:00Z."
        ) from exc


def _is_day(moment: str) -> bool:
    try:
        date.fromisoformat(moment)
    except ValueError:
        return False
    return True
