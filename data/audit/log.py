"""The audit's file: lines that are only ever added, each one's SHA-256 over the line before it. SQLite.

Opened by the keeper's process. The file refuses changes by its own triggers. Beside it stands a small file
with the last position and the chain's end there, written after every commit: whoever cuts the end off the
audit, or puts an older copy in its place, contradicts it. (A row of the ledger now and then would tell less:
it says nothing of the lines since, and every start of a view would read past it.) Backups of a home leave the
audit out, and a restore leaves it alone: nothing that brings back the past may take back what was done since.
Exported lines (``exported``) are what is kept elsewhere; they can be checked on their own. Invariant: what
``append`` returned for is on the disk and in the chain; a loss that is found when the file is opened becomes
a line of its own, and no later line hides it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from data.audit.event import AuditEvent
from data.audit.port import MAX_PAGE, AuditChecked, AuditQuery, AuditRow, AuditSink
from data.chain import hashed
from data.claims import TenantId
from data.errors import CorruptDataError, InvalidValueError, StoreUnavailableError
from data.ledger import instant
from data.ports import Clock
from data.segments import durable_write
from data.sqlite import Database, storable

#: Folder of the audit, under the home.
FOLDER = "audit"
#: The chain's end before the first line.
GENESIS = hashlib.sha256(b"brahminy-kite audit 1").digest()
#: What the log itself writes: that lines were removed, and that lines are missing or altered.
DROPPED, DAMAGED = "audit drop", "audit damaged"
#: The tenant of what concerns the installation.
SYSTEM = TenantId("system")
#: Longest text of a field, in characters; what is longer ends in an ellipsis.
BOUNDS = {
    "at": 40,
    "tenant": 63,
    "subject": 256,
    "action": 200,
    "address": 64,
    "result": 16,
    "request_id": 128,
    "target": 512,
    "reason": 200,
}
#: Lines read at a time, and calls whose names are kept.
_PAGE, _BATCHES = 5_000, 10_000
_FIELDS = tuple(field.name for field in fields(AuditEvent))

SCHEMA = """
CREATE TABLE IF NOT EXISTS events(
    seq INTEGER PRIMARY KEY, at TEXT NOT NULL, tenant TEXT NOT NULL, subject TEXT NOT NULL,
    action TEXT NOT NULL, address TEXT NOT NULL, result TEXT NOT NULL, status INTEGER NOT NULL,
    request_id TEXT NOT NULL, target TEXT NOT NULL, reason TEXT NOT NULL, sha256 BLOB NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS events_tenant ON events(tenant, seq);
CREATE INDEX IF NOT EXISTS events_request ON events(request_id);
CREATE TABLE IF NOT EXISTS starts(seq INTEGER PRIMARY KEY, sha256 BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS batches(id TEXT PRIMARY KEY, seq INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batches_seq ON batches(seq);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'lines of the audit are never changed'); END;
CREATE TRIGGER IF NOT EXISTS events_kept BEFORE DELETE ON events
    WHEN OLD.seq > (SELECT coalesce(max(seq), 0) FROM starts)
    BEGIN SELECT RAISE(ABORT, 'lines of the audit are never removed'); END;
CREATE TRIGGER IF NOT EXISTS events_next BEFORE INSERT ON events
    WHEN NEW.seq <= (SELECT max(coalesce((SELECT max(seq) FROM events), 0),
                                coalesce((SELECT max(seq) FROM starts), 0)))
    BEGIN SELECT RAISE(ABORT, 'lines of the audit are only added'); END;
CREATE TRIGGER IF NOT EXISTS starts_stay BEFORE UPDATE ON starts
    BEGIN SELECT RAISE(ABORT, 'starts of the audit are never changed'); END;
CREATE TRIGGER IF NOT EXISTS starts_kept BEFORE DELETE ON starts
    BEGIN SELECT RAISE(ABORT, 'starts of the audit are never removed'); END;
"""
_COLUMNS = f"seq, {', '.join(_FIELDS)}, sha256"
_INSERT = f"INSERT INTO events({_COLUMNS}) VALUES ({', '.join('?' * (len(_FIELDS) + 2))})"  # noqa: S608 - constant
_AFTER = f"SELECT {_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - constant
#: The last line before the first that is later than a moment.
_LAST_BEFORE = """
SELECT seq, sha256 FROM events WHERE seq <
    (SELECT coalesce(min(seq), 9223372036854775807) FROM events WHERE at > ?) ORDER BY seq DESC LIMIT 1
"""
_LAST = "SELECT seq, sha256 FROM events UNION ALL SELECT seq, sha256 FROM starts ORDER BY seq DESC LIMIT 1"


@dataclass(frozen=True, slots=True)
class _End:
    """The chain's end: a position, and the SHA-256 (hex) there."""

    seq: int = 0
    sha256: str = GENESIS.hex()


class AuditLog:
    """The audit of one home, in one SQLite file under ``folder``. One process; any thread.

    A file that cannot be read is moved aside and a new one begun, which says so in its first line.

    Raises:
        StoreUnavailableError: the file cannot be opened now.
    """

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._clock = clock
        self._anchor = folder / "head.json"
        self._lock = threading.Lock()
        path = folder / "audit.sqlite"
        try:
            self._database = Database(path, schema=SCHEMA, synchronous="FULL")
        except CorruptDataError:
            _move_aside(path)
            self._database = Database(path, schema=SCHEMA, synchronous="FULL")
        if fault := self._unlike_anchor():
            self.append([self._own(DAMAGED, fault)])

    def append(self, events: Sequence[AuditEvent], batch: str = "") -> int:
        """See ``AuditSink``."""
        with self._lock:
            with self._database.writing() as connection:
                known = connection.execute("SELECT seq FROM batches WHERE id = ?", (batch,)).fetchone()
                if batch and known:
                    return int(known[0])
                end = _write(connection, _end(connection), events)
                if batch:
                    connection.execute("INSERT INTO batches VALUES (?, ?)", (batch, end.seq))
                    connection.execute("DELETE FROM batches WHERE seq < ?", (end.seq - _BATCHES,))
            self._note(end)
        return end.seq

    def read(self, query: AuditQuery) -> list[AuditRow]:
        """See ``AuditSink``."""
        if not 1 <= query.limit <= MAX_PAGE:
            raise InvalidValueError(f"limit: {query.limit} is not 1 to {MAX_PAGE}.")
        where, values = _where(query)
        order = "DESC" if query.newest else "ASC"
        sql = f"SELECT {_COLUMNS} FROM events WHERE {where} ORDER BY seq {order} LIMIT :limit"  # noqa: S608 - constant parts
        with self._database.reading() as connection:
            return [_row(row) for row in connection.execute(sql, values | {"limit": query.limit})]

    def verify(self) -> AuditChecked:
        """See ``AuditSink``."""
        with self._database.reading() as connection:
            # One state of the file, whatever is written meanwhile.
            connection.execute("BEGIN")
            try:
                return _followed(connection, self._noted())
            finally:
                connection.execute("COMMIT")

    def drop(self, until: str, *, subject: str) -> int:
        """See ``AuditSink``."""
        with self._lock:
            with self._database.writing() as connection:
                last = connection.execute(_LAST_BEFORE, (_comparable(until),)).fetchone()
                if last is None:
                    return 0
                told = replace(self._own(DROPPED, f"{last[0]} {last[1].hex()}"), subject=subject)
                end = _write(connection, _end(connection), [told])
                connection.execute("INSERT INTO starts VALUES (?, ?)", last)
                gone = connection.execute("DELETE FROM events WHERE seq <= ?", (last[0],)).rowcount
            self._note(end)
            self._database.reclaim()
        return gone

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the file cannot be read."""
        with self._database.reading() as connection:
            connection.execute("SELECT 1 FROM events LIMIT 1").fetchone()

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _unlike_anchor(self) -> str:
        """Say how the file differs from what stands beside it; empty where it does not."""
        with self._database.reading() as connection:
            if not self._anchor.exists() and _end(connection) == _End():
                self._note(_End())
            return _contradiction(connection, self._noted())

    def _note(self, end: _End) -> None:
        try:
            durable_write(self._anchor, msgspec.json.encode(end))
        except OSError as exc:
            raise StoreUnavailableError(f"The audit cannot note its end ({exc.strerror}): mend it.") from exc

    def _noted(self) -> _End | None:
        """Return the end that stands beside the file, ``None`` where it cannot be told."""
        try:
            return msgspec.json.decode(self._anchor.read_bytes(), type=_End)
        except (OSError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def _own(self, action: str, target: str) -> AuditEvent:
        at = datetime.fromtimestamp(self._clock.now_s(), UTC).isoformat(timespec="milliseconds")
        return AuditEvent(at, SYSTEM, "audit", action, "", "allowed", 0, "", target)


def exported(sink: AuditSink, query: AuditQuery) -> Iterator[bytes]:
    """Yield all lines from ``query.after`` on as JSON, one a line, with position and SHA-256.

    Read page by page, oldest first, ``limit`` being the page's size; what comes meanwhile is among them.
    """
    after = query.after
    while page := sink.read(replace(query, after=after, newest=False)):
        for row in page:
            told = {"seq": row.seq, **msgspec.to_builtins(row.event), "sha256": row.sha256}
            yield msgspec.json.encode(told) + b"\n"
        after = page[-1].seq


def check_export(lines: Iterable[bytes]) -> tuple[int, int, str]:
    """Follow the chain through exported lines, all of a range; return its ends and the last hash (hex).

    The first line is taken as it stands unless it is line 1: compare it with the export before.

    Raises:
        CorruptDataError: names the first line that does not hold.
    """
    first, end = 0, _End()
    for number, line in enumerate(lines, 1):
        try:
            told = msgspec.json.decode(line, type=dict[str, Any])
            row = AuditRow(
                told.pop("seq"), sha256=told.pop("sha256"), event=msgspec.convert(told, AuditEvent)
            )
        except (msgspec.MsgspecError, KeyError) as exc:
            raise CorruptDataError(f"Line {number} of the export is none of the audit's: {exc}.") from exc
        holds = row.seq == end.seq + 1 and _chained(end, row.event).hex() == row.sha256
        if not holds and (first or row.seq == 1):
            raise CorruptDataError(f"The export is altered at seq {end.seq + 1}: export it again.")
        first, end = first or row.seq, _End(row.seq, row.sha256)
    return first, end.seq, end.sha256


def bounded(event: AuditEvent) -> AuditEvent:
    """Return the event as it is kept: texts within ``BOUNDS``, nothing in them that hides a line."""
    short: dict[str, Any] = {name: _plain(getattr(event, name), most) for name, most in BOUNDS.items()}
    return replace(event, **short)


def _plain(text: str, most: int) -> str:
    """Return ``text`` with control, format and separating characters written as escapes, cut at ``most``."""
    cut = storable(text[: most + 1])
    safe = "".join(f"\\u{ord(char):04x}" if unicodedata.category(char) in _UNSAFE else char for char in cut)
    return safe if len(safe) <= most else safe[: most - 1] + "…"


#: Control and format characters, line and paragraph separators, private and unassigned ones.
_UNSAFE = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co", "Cn"})


def _write(connection: sqlite3.Connection, end: _End, events: Sequence[AuditEvent]) -> _End:
    for event in events:
        row = bounded(event)
        digest = _chained(end, row)
        connection.execute(_INSERT, (end.seq + 1, *_values(row), digest))
        end = _End(end.seq + 1, digest.hex())
    return end


def _chained(end: _End, event: AuditEvent) -> bytes:
    columns = [str(end.seq + 1), *(str(value) for value in _values(event))]
    return hashed(bytes.fromhex(end.sha256), (text.encode() for text in columns))


def _values(event: AuditEvent) -> list[Any]:
    return [getattr(event, name) for name in _FIELDS]


def _row(row: tuple[Any, ...]) -> AuditRow:
    return AuditRow(row[0], AuditEvent(*row[1:-1]), row[-1].hex())


def _end(connection: sqlite3.Connection) -> _End:
    row = connection.execute(_LAST).fetchone()
    return _End(row[0], row[1].hex()) if row else _End()


def _contradiction(connection: sqlite3.Connection, said: _End | None) -> str:
    """Say how the file differs from an end that was noted of it; the file may go on after it."""
    end = _end(connection)
    if said is None:
        return f"seq {end.seq}: the end that is noted beside the audit is missing, or no end"
    if end.seq < said.seq:
        return f"seq {end.seq + 1}: the lines up to {said.seq} are missing (the end was {said.sha256})"
    row = connection.execute("SELECT sha256 FROM events WHERE seq = ?", (said.seq,)).fetchone()
    if row and row[0].hex() != said.sha256:
        return f"seq {said.seq}: another line stood there ({said.sha256})"
    return ""


def _followed(connection: sqlite3.Connection, said: _End | None) -> AuditChecked:
    start = connection.execute("SELECT seq, sha256 FROM starts ORDER BY seq DESC LIMIT 1").fetchone()
    end = first = _End(start[0], start[1].hex()) if start else _End()
    gaps: list[int] = []
    attested = start is None
    for row in _lines(connection, first.seq):
        if row.seq != end.seq + 1 or _chained(end, row.event).hex() != row.sha256:
            text = f"The audit is altered at seq {end.seq + 1}: compare it with an export."
            return AuditChecked(first.seq + 1, end.seq, end.sha256, tuple(gaps), end.seq + 1, text)
        end = _End(row.seq, row.sha256)
        if row.event.action == DAMAGED:
            gaps.append(row.seq)
        attested |= row.event.action == DROPPED and row.event.target == f"{first.seq} {first.sha256}"
    checked = AuditChecked(first.seq + 1, end.seq, end.sha256, tuple(gaps))
    if not attested:
        text = f"The lines up to seq {first.seq} are gone and no line says so: compare it with an export."
        return replace(checked, fault_seq=first.seq, fault=text)
    if wrong := _contradiction(connection, said):
        text = f"The audit was cut or replaced at {wrong}."
        return replace(checked, fault_seq=int(wrong.split(":")[0].removeprefix("seq ")), fault=text)
    return checked


def _lines(connection: sqlite3.Connection, after: int) -> Iterator[AuditRow]:
    while page := connection.execute(_AFTER, (after, _PAGE)).fetchall():
        for row in page:
            yield _row(row)
        after = page[-1][0]


def _where(query: AuditQuery) -> tuple[str, dict[str, Any]]:
    """Return the condition of a query and its values."""
    conditions: list[str] = ["seq > :after"]
    values: dict[str, Any] = {"after": query.after}
    told: dict[str, tuple[str, Any]] = {
        "before": ("seq < :before", query.before),
        "tenant": ("tenant = :tenant", query.tenant),
        "subject": ("subject = :subject", query.subject),
        "action": ("substr(action, 1, length(:action)) = :action", query.action),
        "result": ("result = :result", query.result),
        "request_id": ("request_id = :request_id", query.request_id),
        "since": ("at >= :since", query.since and _comparable(query.since, day_end=False)),
        "until": ("at <= :until", query.until and _comparable(query.until)),
    }
    for name, (condition, value) in told.items():
        if value is not None:
            conditions.append(condition)
            values[name] = storable(value) if isinstance(value, str) else value
    return " AND ".join(conditions), values


def _comparable(moment: str, *, day_end: bool = True) -> str:
    """Return an instant or day as times stand in the file: milliseconds, UTC, ``+00:00``."""
    whole = instant(moment)
    if not day_end and len(moment) == len("2026-01-31"):
        whole = f"{whole[:10]}T00:00:00.000000Z"
    return f"{whole[:23]}+00:00"


def _move_aside(path: Path) -> None:
    free = next(n for n in count(1) if not path.with_name(f"{path.name}.corrupt-{n}").exists())
    for suffix in ("-wal", "-shm", ""):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.corrupt-{free}{suffix}"))
