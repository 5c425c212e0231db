"""The ledger: an append-only, totally ordered, hash-chained log of every change. The truth of the house.

Owned by the keeper (``data.keeper``), read by followers, backups and audits. Invariant: ``seq`` has no gap,
time never runs backwards, each row's SHA-256 covers the row before it, and rows are never altered but for
payloads that a compaction takes out (``data.compaction``), which the chain allows for.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec

from data.chain import GENESIS, PAGE_BYTES, Entry, chained, follow, page_of
from data.claims import TenantId
from data.errors import ConflictError, InvalidValueError, KiteError
from data.knowledge import Change
from data.ledger_rewrite import rewrite
from data.ledger_schema import IS_KNOWLEDGE, SCHEMA, prepare, rechain
from data.ports import Clock, WriteReceipt
from data.sqlite import Database
from data.tracing import database, timed

__all__ = ["GENESIS", "Entry", "Horizon", "Ledger", "Writing", "Written", "chained", "instant"]

_READ = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries WHERE seq > ? ORDER BY seq LIMIT ?
"""
_LATEST = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries
WHERE tenant = ? AND kind = ? AND key = ? ORDER BY seq DESC LIMIT 1
"""
_OF_TENANT = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries
WHERE tenant = ? AND seq > ? AND (? IS NULL OR kind = ?) ORDER BY seq LIMIT 1000
"""
#: Where the last rows begin: so many of them, and so many bytes; lengths are told without reading payloads.
_BEFORE_LAST = """
SELECT min(seq) - 1 FROM (
    SELECT seq, sum(length(payload)) OVER (ORDER BY seq DESC) AS bytes
    FROM (SELECT seq, payload FROM entries ORDER BY seq DESC LIMIT ?)) WHERE bytes <= ?
"""
#: Bytes of payloads whose chain is followed when a home is opened, about a second's worth.
VERIFIED_BYTES = 8 * PAGE_BYTES
_KNOWLEDGE_SEQ = f"SELECT max(seq) FROM entries WHERE {IS_KNOWLEDGE} AND seq <= ?"  # noqa: S608 - constant
#: Of a compaction: whose row it is (no tenant's), its kind and its key.
_SYSTEM, _COMPACT, _HORIZON = TenantId(""), "ledger.compact", "horizon"


@dataclass(frozen=True, slots=True)
class Horizon:
    """What was superseded at or before ``seq`` (written at ``ts``) is erased, or will be until ``is_done``.

    ``asked_seq`` is the row that says so.
    """

    seq: int
    ts: str
    asked_seq: int
    is_done: bool


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
        self._path = path
        prepare(path)
        self._database = Database(path, schema=SCHEMA, synchronous="FULL")

    def append(self, changes: Sequence[Change], idempotency_key: str | None = None) -> WriteReceipt:
        """Write changes in one transaction and return once they are on disk.

        Raises:
            ConflictError: the idempotency key was used for other changes.
        """
        (written,) = self.append_all([Writing(tuple(changes), idempotency_key)])
        if isinstance(written.receipt, KiteError):
            raise written.receipt
        return written.receipt

    @timed("ledger", database("sqlite", "insert"))
    def append_all(self, writings: Sequence[Writing]) -> list[Written]:
        """Write several requests in one transaction (group commit); each is answered on its own."""
        with self._database.writing() as connection:
            pen = _Pen(connection, _moment(self._clock.now_s()))
            return [pen.write(writing) for writing in writings]

    def read(self, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` entries after a position, in order; fewer where they are large."""
        with self._database.reading() as connection, closing(connection.cursor()) as cursor:
            return page_of(cursor.execute(_READ, (after_seq, limit)))

    def read_sound(self, after_seq: int, limit: int) -> list[Entry]:
        """Return what :meth:`read` does, once the chain holds from the row before: what views take in.

        Raises:
            CorruptDataError: names the first position that does not hold.
        """
        page = self.read(after_seq, limit)
        if page:
            before = self.read(after_seq - 1, 1) if after_seq else []
            previous = before[0].sha256 if before and before[0].seq == after_seq else GENESIS
            follow(previous, page, after=after_seq)
        return page

    def faults_in_tables(self) -> list[str]:
        """Return what SQLite finds wrong in the file: pages, and indexes that do not match their tables."""
        with self._database.reading() as connection:
            found = connection.execute("PRAGMA integrity_check(20)").fetchall()
        return [text for (text,) in found if text != "ok"]

    def head(self) -> int:
        """Return the last position, 0 when empty."""
        return self._number("SELECT max(seq) FROM entries")

    def knowledge_seq(self, until: int = 2**62) -> int:
        """Return the last position up to ``until`` whose change is knowledge, 0 when none.

        Verdicts and feedback are none.
        """
        return self._number(_KNOWLEDGE_SEQ, until)

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day (a day means its end, UTC).

        Raises:
            InvalidValueError: not an ISO 8601 day or instant.
        """
        last = self._number("SELECT max(seq) FROM entries WHERE ts <= ?", instant(moment))
        return self._number(_KNOWLEDGE_SEQ, last)

    def latest(self, tenant: TenantId, kind: str, key: str) -> Entry | None:
        """Return the last entry of this kind and key, or ``None``."""
        with self._database.reading() as connection:
            row = connection.execute(_LATEST, (tenant, kind, key)).fetchone()
        return Entry(*row) if row else None

    def entries_of(self, tenant: TenantId, kind: str | None = None) -> Iterator[Entry]:
        """Yield a tenant's rows in order, all or those of a kind."""
        after = 0
        while True:
            with self._database.reading() as connection, closing(connection.cursor()) as cursor:
                page = page_of(cursor.execute(_OF_TENANT, (tenant, after, kind, kind)))
            if not page:
                return
            yield from page
            after = page[-1].seq

    def requests_of(self, tenant: TenantId) -> int:
        """Return how many requests of a tenant are known by name."""
        return self._number("SELECT count(*) FROM idempotency WHERE tenant = ?", tenant)

    def replace_rows(self, changed: Mapping[int, Entry], tenant: TenantId, discarded: Sequence[str]) -> None:
        """Put other rows in the place of those at these positions: see ``data.ledger_rewrite``.

        Raises:
            CorruptDataError: a row of the ledger does not hold; nothing is changed.
        """
        with self._database.writing() as connection:
            rewrite(connection, self._path, changed)
            connection.execute("DELETE FROM idempotency WHERE tenant = ?", (tenant,))
            connection.executemany(
                "INSERT OR IGNORE INTO discarded VALUES (?)", [(uri,) for uri in discarded]
            )

    def is_written(self, tenant: TenantId, idempotency_key: str) -> bool:
        """Return whether something was written with this key."""
        sql = "SELECT count(*) FROM idempotency WHERE tenant = ? AND key = ?"
        return bool(self._number(sql, tenant, idempotency_key))

    def verify(self, *, last: int | None = None) -> int:
        """Walk the whole chain, or its ``last`` rows (fewer where they are large), and return its length.

        Raises:
            CorruptDataError: names the first position that does not hold.
        """
        after = 0 if last is None else self._number(_BEFORE_LAST, last, VERIFIED_BYTES)
        while page := self.read_sound(after, 5_000):
            after = page[-1].seq
        return after

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the ledger cannot be read."""
        self.head()

    def begin_compaction(self, horizon: int, actor: str) -> Entry:
        """Write that everything superseded at or before ``horizon`` is to be erased: from now on it is.

        Raises:
            CorruptDataError: the ledger is damaged; nothing is written.
        """
        payload = msgspec.json.encode({"horizon": horizon})
        change = Change(_COMPACT, _HORIZON, payload, _SYSTEM, actor)
        with self._database.writing() as connection:
            rechain(connection, self._path)
            return _Pen(connection, _moment(self._clock.now_s())).insert(change)

    def horizon(self) -> Horizon | None:
        """Return the horizon of the last compaction, finished or not; ``None`` when there was none."""
        said = self.latest(_SYSTEM, _COMPACT, _HORIZON)
        if said is None:
            return None
        seq = int(msgspec.json.decode(said.payload, type=dict[str, int])["horizon"])
        sql = "SELECT count(*) FROM compaction WHERE done_seq >= ?"
        at = self.read(seq - 1, 1)
        return Horizon(seq, at[0].ts if at else said.ts, said.seq, bool(self._number(sql, said.seq)))

    def replace_payloads(
        self, redactions: Sequence[tuple[int, bytes]], discarded: Sequence[str] = ()
    ) -> None:
        """Put redacted payloads in the place of those at these positions, and note files to be removed."""
        with self._database.writing() as connection:
            connection.execute("PRAGMA secure_delete=ON")
            connection.executemany(
                "UPDATE entries SET payload = ? WHERE seq = ?",
                [(payload, seq) for seq, payload in redactions],
            )
            connection.executemany(
                "INSERT OR IGNORE INTO discarded VALUES (?)", [(uri,) for uri in discarded]
            )

    def discarded(self) -> list[str]:
        """Return the files noted by ``replace_payloads`` that are not noted as gone, sorted."""
        with self._database.reading() as connection:
            return [uri for (uri,) in connection.execute("SELECT uri FROM discarded ORDER BY uri")]

    def finish_compaction(self, seq: int) -> None:
        """Note that what the row at ``seq`` asked for is done, and that the discarded files are gone."""
        with self._database.writing() as connection:
            connection.execute("INSERT INTO compaction VALUES (?)", (seq,))
            connection.execute("DELETE FROM discarded")

    def reclaim(self) -> None:
        """Write the file anew without what was erased, and empty its journal; writers wait meanwhile.

        Raises:
            StoreUnavailableError: another process reads the file all the time.
        """
        self._database.reclaim()

    def size_bytes(self) -> int:
        """Return how many bytes the file and its journal take."""
        files = (self._path, self._path.with_name(f"{self._path.name}-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    def close(self) -> None:
        """Close the file."""
        self._database.close()

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
        entries: list[Entry] = []
        seqs: list[int] = []
        for change in changes:
            # Looked up one by one: the same verdict may stand twice in one request.
            seq = self._verdict_seq(change)
            if seq is None:
                entries.append(self.insert(change))
            seqs.append(entries[-1].seq if seq is None else seq)
        receipt = WriteReceipt(min(seqs), max(seqs), replayed=not entries)
        if writing.idempotency_key is not None:
            self._connection.execute(
                "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)",
                (tenant, writing.idempotency_key, receipt.first_seq, receipt.last_seq, request),
            )
        return Written(receipt, tuple(entries))

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

    def insert(self, change: Change) -> Entry:
        self._seq += 1
        bare = Entry(
            self._seq, self._ts, change.tenant, change.actor, change.kind, change.key, change.payload, b""
        )
        self._sha256 = chained(self._sha256, bare)
        row = (*_fields(bare), self._sha256)
        self._connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return Entry(*row)


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


def instant(moment: str) -> str:
    """Return an ISO 8601 instant or day (which means its end, UTC) as the ledger writes times.

    Raises:
        InvalidValueError: it is neither.
    """
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
