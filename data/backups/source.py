"""A home as backups read it: the ledger up to a pinned position, while writers go on.

Called by creation, the stream and the merge. Opens the ledger read-only beside a running keeper. Invariant:
rows are never altered, so what is read page by page up to a position is exactly the state at it.
"""

from __future__ import annotations

import fcntl
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from data.backups.manifest import Position
from data.backups.parts import GROUP_ROWS, Request, Row
from data.chain import page_of
from data.changes import SegmentRef, read_segment_ref
from data.claims import TenantId
from data.errors import ConflictError, CorruptDataError, NotFoundError, StoreUnavailableError
from data.ledger import GENESIS, Entry
from data.segments import durable_write
from data.sqlite import BUSY_TIMEOUT_S

#: A part of a backup ends at the first block of rows after which it has this many rows, or bytes.
PART_ROWS, PART_BYTES, _BLOCK = 50_000, 64 << 20, 50
#: The position before the first row.
START = Position(0, GENESIS.hex())

_ROWS = """
SELECT seq, ts, tenant, actor, kind, key, payload, sha256 FROM entries
WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?
"""
_REQUESTS = """
SELECT last_seq, tenant, key, first_seq, request FROM idempotency
WHERE last_seq BETWEEN ? AND ? ORDER BY last_seq, tenant, key
"""
_BLOCKS = """
SELECT max(seq), count(*), sum(length(payload)) FROM entries WHERE seq > ? AND seq <= ? GROUP BY seq / ?
"""
_SEGMENTS = "SELECT payload FROM entries WHERE seq > ? AND seq <= ? AND kind = 'segment.load' ORDER BY seq"


class LedgerSource:
    """A ledger's file, for reading. One thread at a time.

    Raises:
        NotFoundError: there is no such file.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise NotFoundError(f"There is no ledger at {path}: nothing was ever written there.")
        self._path = path
        with self._named():
            self._connection = sqlite3.connect(
                f"{path.resolve().as_uri()}?mode=ro",
                uri=True,
                timeout=BUSY_TIMEOUT_S,
                isolation_level=None,
                check_same_thread=False,
            )

    def head(self) -> Position:
        """Return the last position."""
        return self._position("ORDER BY seq DESC LIMIT 1") or START

    def at(self, seq: int) -> Position | None:
        """Return the position at ``seq``, ``None`` when the ledger does not reach so far."""
        return START if seq == 0 else self._position("WHERE seq = ?", seq)

    def parts(self, after: int, until: int) -> list[tuple[int, int]]:
        """Cut the rows after ``after`` up to ``until`` into ranges (after, until] of bounded size."""
        with self._named():
            blocks = self._connection.execute(_BLOCKS, (after, until, _BLOCK)).fetchall()
        ends, rows, size = [], 0, 0
        for last, count, content in sorted(blocks):
            rows, size = rows + count, size + content
            if rows >= PART_ROWS or size >= PART_BYTES or last == until:
                ends.append(last)
                rows, size = 0, 0
        return list(zip([after, *ends], ends, strict=False))

    def rows(self, after: int, until: int) -> Iterator[list[Row]]:
        """Yield the rows after ``after`` up to ``until`` in pages, each with the requests that end at it."""
        while after < until:
            with self._named():
                entries = self._connection.execute(_ROWS, (after, until, GROUP_ROWS)).fetchall()
                found = self._connection.execute(
                    _REQUESTS, (after + 1, entries[-1][0] if entries else until)
                ).fetchall()
            if not entries:
                raise CorruptDataError(f"The ledger {self._path} has no row after seq {after}: restore it.")
            requests: dict[int, list[Request]] = {}
            for last, *request in found:
                requests.setdefault(last, []).append(Request(*request))
            yield [Row(Entry(*row), tuple(requests.get(row[0], ()))) for row in entries]
            after = entries[-1][0]

    def segments(self, after: int, until: int) -> list[SegmentRef]:
        """Return the segments that rows in (after, until] point to, each once, sorted by name."""
        with self._named():
            found = self._connection.execute(_SEGMENTS, (after, until)).fetchall()
        refs = {ref.uri: ref for (payload,) in found for ref in [read_segment_ref(payload)]}
        return [ref for _, ref in sorted(refs.items())]

    @contextmanager
    def unchanged(self, refs: Sequence[SegmentRef], after: int, until: int) -> Iterator[None]:
        """Hold the block to the segments that it was begun with: a compaction writes others in their place.

        Raises:
            StoreUnavailableError: there are others now: what the block has copied does not fit together.
        """
        try:
            yield
        except CorruptDataError:
            self._require(refs, after, until)  # a file that is gone because of it is no damage
            raise
        self._require(refs, after, until)

    def counts(self, after: int, until: int) -> dict[str, int]:
        """Return the number of rows in (after, until] by kind."""
        sql = "SELECT kind, count(*) FROM entries WHERE seq > ? AND seq <= ? GROUP BY kind ORDER BY kind"
        with self._named():
            return dict(self._connection.execute(sql, (after, until)).fetchall())

    def tenants(self) -> list[TenantId]:
        """Return every tenant that ever wrote."""
        with self._named():
            found = self._connection.execute("SELECT DISTINCT tenant FROM entries ORDER BY tenant").fetchall()
        return [TenantId(name) for (name,) in found]

    def entry(self, seq: int) -> Entry:
        """Return the row at a position. Raises ``CorruptDataError`` when there is none."""
        (row,) = next(self.rows(seq - 1, seq))
        return row.entry

    def entries_of(self, tenant: TenantId) -> Iterator[Entry]:
        """Yield a tenant's rows in order."""
        after = 0
        sql = "SELECT * FROM entries WHERE tenant = ? AND seq > ? ORDER BY seq LIMIT ?"
        while True:
            with self._named():
                page = page_of(self._connection.execute(sql, (tenant, after, GROUP_ROWS)))
            if not page:
                return
            yield from page
            after = page[-1].seq

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def __enter__(self) -> LedgerSource:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require(self, refs: Sequence[SegmentRef], after: int, until: int) -> None:
        if self.segments(after, until) != list(refs):
            raise StoreUnavailableError("The ledger was compacted while it was being copied: repeat.")

    def _position(self, where: str, *values: object) -> Position | None:
        with self._named():
            row = self._connection.execute(f"SELECT seq, sha256, ts FROM entries {where}", values).fetchone()  # noqa: S608 - constant parts
        return Position(row[0], row[1].hex(), row[2]) if row else None

    @contextmanager
    def _named(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as exc:
            if type(exc) is sqlite3.DatabaseError:
                text = f"The ledger {self._path} is damaged ({exc}): restore it from a backup."
                raise CorruptDataError(text) from exc
            raise StoreUnavailableError(f"The ledger {self._path} cannot be read: {exc}.") from exc


def ledger_path(home: Path) -> Path:
    """Return where a home's ledger lies."""
    return home / "ledger" / "ledger.sqlite"


def lineage_of(home: Path) -> str:
    """Return the name of this home's history, given to it at its first backup and after every restore."""
    path = home / "ledger" / "lineage"
    if not path.exists():
        new_lineage(path)
    return path.read_text(encoding="ascii").strip()


def new_lineage(path: Path) -> None:
    """Write a fresh name of a history."""
    durable_write(path, secrets.token_hex(8).encode())


@contextmanager
def writable(home: Path) -> Iterator[None]:
    """Say in one sentence that a home cannot be written to: a full disk, missing permissions.

    Raises:
        StoreUnavailableError: so it was; what the block had begun is to be repeated.
    """
    try:
        yield
    except (OSError, sqlite3.OperationalError) as exc:
        why = exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)
        raise StoreUnavailableError(f"The home {home} cannot be used ({why}): mend it, then repeat.") from exc


@contextmanager
def backup_lock(home: Path) -> Iterator[None]:
    """Let one process at a time create, prune or stream backups of a home.

    Raises:
        ConflictError: another one is at it.
    """
    path = home / "ledger" / "backup.lock"
    with path.open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as exc:
            raise ConflictError(f"Another backup of {home} is at work: wait until it is done.") from exc
        yield
