"""The facts view: typed facts, looked up by the things a text names, and verdict analytics. DuckDB.

Built by the keeper from the ledger. DuckDB is single-process: others ask through the keeper. Invariant:
rows carry the positions between which they hold. Verdict rows are written in bulk, for a commit here costs
more than the verdict.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from data import changes, segments
from data.catalogue import CatalogueQuery, CatalogueRow
from data.claims import SHARED_TENANT, TenantId
from data.errors import CorruptDataError, StoreUnavailableError
from data.knowledge import Fact
from data.ledger import Entry
from data.ports import Query
from data.redaction import is_erased
from data.views.fact_rows import facts_schema
from data.views.naming import name_key, runs_of, words_of
from data.views.view import IDLE_LIMIT, LIVE, digest_of, weight_of

#: Verdict rows kept in memory before they are written together.
MAX_PENDING = 1_000

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta(key VARCHAR, value BIGINT);
CREATE TABLE IF NOT EXISTS facts(
    tenant VARCHAR, id VARCHAR, subject VARCHAR, predicate VARCHAR, object VARCHAR, value DOUBLE, unit
    VARCHAR, valid_from VARCHAR, valid_to VARCHAR, source VARCHAR, confidence DOUBLE, name VARCHAR, words
    VARCHAR[], added_seq BIGINT, removed_seq BIGINT);
CREATE TABLE IF NOT EXISTS verdicts(
    seq BIGINT, tenant VARCHAR, ts VARCHAR, id VARCHAR, fingerprint VARCHAR, label VARCHAR, probability
    DOUBLE);
"""
#: Facts weighed for one text before the predicate decides: bounds the work for a name with very many.
MAX_CANDIDATES = 1_000
_FIELDS = tuple(Fact.__dataclass_fields__)
_ABOUT = """
SELECT r.place, r.size, f.tenant, f.words, f.id, f.subject, f.predicate, f.object, f.value, f.unit,
f.valid_from,
    f.valid_to, f.source, f.confidence
FROM runs r JOIN facts f ON f.name = r.run
WHERE (f.tenant = r.tenant OR f.tenant = $shared) AND f.added_seq <= r.position AND f.removed_seq > r.position
QUALIFY row_number() OVER (PARTITION BY r.place ORDER BY r.size DESC, f.id, f.tenant) <= $most
"""
#: Shared facts that a tenant's own of the same id hides.
_HIDDEN = """
SELECT s.place, s.id FROM seen s JOIN facts o ON o.id = s.id AND o.tenant = s.tenant
WHERE o.added_seq <= s.position AND o.removed_seq > s.position
"""
_FIND = """
SELECT f.id, f.subject, f.predicate, f.object, f.value, f.unit, f.valid_from, f.valid_to, f.source,
f.confidence, f.tenant FROM facts f WHERE (f.tenant = $own OR f.tenant = $shared)
    AND f.added_seq <= $position AND f.removed_seq > $position AND ($id IS NULL OR f.id = $id)
    AND ($name IS NULL OR f.name = $name) AND ($predicate IS NULL OR lower(f.predicate) = lower($predicate))
    AND f.id > $after
    AND NOT (f.tenant <> $own AND EXISTS (SELECT 1 FROM facts o WHERE o.id = f.id AND o.tenant = $own
        AND o.added_seq <= $position AND o.removed_seq > $position))
ORDER BY f.id LIMIT $most
"""


@dataclass(frozen=True, slots=True)
class FactFilter:
    """Which facts to list: by subject, predicate, position, page by page (``after``: the last id seen).

    ``id`` asks for one fact; ``own`` leaves out those shared with every tenant.
    """

    subject: str | None = None
    predicate: str | None = None
    as_of: int | None = None
    after: str = ""
    limit: int = 100
    id: str | None = None
    own: bool = False


class FactsView:
    """Facts of all tenants and verdict analytics in one DuckDB file. One process; any thread.

    Raises:
        CorruptDataError: the file is damaged; move it away and build the view again from the ledger.
        StoreUnavailableError: another process has the file open.
    """

    name = "facts"

    def __init__(self, path: Path, home: Path, *, is_resting: bool = False) -> None:
        import duckdb

        self._home = home
        self._path = path
        self._errors: type[Exception] = duckdb.Error
        self._write_lock = threading.RLock()
        self._pending: list[dict[str, Any]] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            # One thread a query: batches are small, and the order of sums must not depend on the machine.
            self._writer = duckdb.connect(
                str(path), is_resting, {"threads": 1, "enable_external_access": "false"}
            )
            if not is_resting:
                self._writer.execute(_SCHEMA)
            row = self._writer.execute("SELECT max(value) FROM meta WHERE key = 'applied_seq'").fetchone()
        except duckdb.Error as exc:
            if "set lock" in str(exc):
                raise StoreUnavailableError(f"The store {path} is open in another process: stop it.") from exc
            raise CorruptDataError(f"The store {path} is damaged: {exc}; rebuild or restore it.") from exc
        self._stored_seq = int(row[0] or 0) if row else 0
        self._applied_seq, self._idle = self._stored_seq, 0
        # The first query loads DuckDB's Arrow bridge: here, not while somebody waits.
        self.facts_about([Query(SHARED_TENANT, "warm", 0)], 1)

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; rows and position in one transaction, verdicts later in bulk."""
        with self._write_lock:
            fresh = [entry for entry in entries if entry.seq > self._applied_seq]
            if not fresh:
                return
            verdicts = [
                _verdict_row(one) for one in fresh if one.kind == "verdict.put" and not is_erased(one.payload)
            ]
            batch = _Batch(self._home)
            for entry in fresh:
                batch.take(entry)
            held, last = len(self._pending) + len(verdicts), fresh[-1].seq
            self._pending += verdicts
            self._idle += weight_of(fresh)
            if batch.is_needed() or held >= MAX_PENDING or self._idle >= IDLE_LIMIT:
                try:
                    self._write(batch, last)
                except BaseException:
                    del self._pending[len(self._pending) - len(verdicts) :]
                    raise
            self._applied_seq = last

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        return self._applied_seq

    def facts_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """Return facts whose subject is named in the text.

        Longest name first, then by how many words of the predicate the text has, then by id.
        """
        if limit < 1:
            return [[] for _ in queries]
        words = [words_of(query.text) for query in queries]
        with self._reading() as cursor:
            candidates = _candidates(cursor, queries, words)
            hidden = _hidden(cursor, queries, candidates)
        ranked: list[list[tuple[int, int, str, Fact]]] = [[] for _ in queries]
        for place, size, tenant, predicate, *row in candidates:
            if tenant == queries[place].tenant or (place, row[0]) not in hidden:
                overlap = len(set(predicate).intersection(words[place]))
                ranked[place].append((-size, -overlap, row[0], Fact(*row)))
        return [[fact for *_, fact in sorted(some, key=lambda one: one[:3])[:limit]] for some in ranked]

    def facts(self, tenant: TenantId, wanted: FactFilter) -> list[Fact]:
        """Return a page of the facts that a tenant sees, sorted by id."""
        return [fact for fact, _ in self._found(tenant, wanted)]

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return the fact or the page of facts that a query asks for, sorted by id."""
        wanted = FactFilter(
            query.subject, query.predicate, query.as_of, query.after, query.limit, query.id, query.own
        )
        return [
            CatalogueRow(fact.id, msgspec.json.encode(fact), owner != query.tenant)
            for fact, owner in self._found(query.tenant, wanted)
        ]

    def _found(self, tenant: TenantId, wanted: FactFilter) -> list[tuple[Fact, str]]:
        values = {
            "own": tenant,
            "shared": tenant if wanted.own else SHARED_TENANT,
            "position": self._applied_seq if wanted.as_of is None else min(wanted.as_of, LIVE - 1),
            "id": wanted.id,
            "name": None if wanted.subject is None else name_key(wanted.subject),
            "predicate": wanted.predicate,
            "after": wanted.after,
            "most": wanted.limit,
        }
        with self._reading() as cursor:
            return [(Fact(*row[:-1]), row[-1]) for row in cursor.execute(_FIND, values).fetchall()]

    def live_count(self, tenant: TenantId) -> int:
        """Return how many facts a tenant has now."""
        sql = "SELECT count(*) FROM facts WHERE tenant = ? AND removed_seq = ?"
        with self._reading() as cursor:
            return int(cursor.execute(sql, [tenant, LIVE]).fetchone()[0])

    def verdict_labels(self, tenant: TenantId) -> dict[str, int]:
        """Return how often each label was given to a tenant's claims."""
        self._write_pending()
        with self._reading() as cursor:
            rows = cursor.execute(
                "SELECT label, count(*) FROM verdicts WHERE tenant = ? GROUP BY label ORDER BY label",
                [tenant],
            )
            return dict(rows.fetchall())

    def counts(self) -> dict[str, int]:
        """Return how many live facts there are, all tenants together."""
        with self._reading() as cursor:
            row = cursor.execute("SELECT count(*) FROM facts WHERE removed_seq = ?", [LIVE]).fetchone()
        return {"facts": row[0]}

    def held(self, tenant: TenantId) -> dict[str, int]:
        """Return how many rows of a tenant there are, ended ones too."""
        self._write_pending()
        with self._reading() as cursor:
            return {
                name: cursor.execute(f"SELECT count(*) FROM {table} WHERE tenant = ?", [tenant]).fetchone()[0]  # noqa: S608 - constant
                for name, table in (("facts", "facts"), ("verdict labels", "verdicts"))
            }

    def digest(self, since: int = 0) -> str:
        """See ``View``."""
        self._write_pending()
        with self._reading() as cursor:
            held = {"SELECT * FROM facts WHERE removed_seq > ?": [since], "SELECT * FROM verdicts": []}
            return digest_of(row for sql, values in held.items() for row in _fetched(cursor, sql, values))

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the store does not answer."""
        with self._reading() as cursor:
            cursor.execute("SELECT 1").fetchone()

    def close(self) -> None:
        """Write what is pending and close the file."""
        with self._write_lock:
            if self._applied_seq > self._stored_seq:
                self._write(_Batch(self._home), self._applied_seq)
            self._writer.close()

    def _write_pending(self) -> None:
        with self._write_lock:
            if self._pending:
                self._write(_Batch(self._home), self._applied_seq)

    @contextmanager
    def _reading(self) -> Iterator[Any]:
        """Lend a cursor of its own: readers see the last commit and never wait for the writer."""
        try:
            cursor = self._writer.cursor()
            try:
                yield cursor
            finally:
                cursor.close()
        except self._errors as exc:
            raise StoreUnavailableError(f"The store {self._path.name} cannot be used: {exc}.") from exc

    def _write(self, batch: _Batch, last: int) -> None:
        import pyarrow as pa

        writer = self._writer
        try:
            writer.execute("BEGIN")
            try:
                batch.write(writer)
                if self._pending:
                    writer.register("fresh", pa.Table.from_pylist(self._pending))
                    writer.execute("INSERT INTO verdicts BY NAME SELECT * FROM fresh")
                    writer.unregister("fresh")
                writer.execute("DELETE FROM meta")
                writer.execute("INSERT INTO meta VALUES ('applied_seq', ?)", [last])
                writer.execute("COMMIT")
            except BaseException:
                writer.execute("ROLLBACK")
                raise
        except self._errors as exc:
            raise StoreUnavailableError(f"The store {self._path.name} cannot be written: {exc}.") from exc
        self._pending.clear()
        self._stored_seq, self._idle = last, 0


class _Batch:
    """The fact rows that some entries add, and what they end; written by two statements."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._added: list[dict[str, Any]] = []
        self._live: dict[tuple[str, str], dict[str, Any]] = {}
        self._ended: dict[tuple[str, str], int] = {}

    def is_needed(self) -> bool:
        return bool(self._added or self._ended)

    def take(self, entry: Entry) -> None:
        if is_erased(entry.payload):
            return
        if entry.kind == "fact.put":
            self._put(entry, changes.read_fact(entry.payload))
        elif entry.kind == "fact.delete":
            self._end(entry, entry.key)
        elif entry.kind == "segment.load":
            ref = changes.read_segment_ref(entry.payload)
            for fact in segments.read_facts(self._home, ref) if ref.kind == "facts" else ():
                self._put(entry, fact)

    def write(self, writer: Any) -> None:
        import pyarrow as pa

        if self._ended:
            rows = [{"tenant": one[0], "id": one[1], "seq": seq} for one, seq in self._ended.items()]
            writer.register("ended", pa.Table.from_pylist(rows))
            writer.execute(
                "UPDATE facts SET removed_seq = ended.seq FROM ended "
                "WHERE facts.tenant = ended.tenant AND facts.id = ended.id AND facts.removed_seq = ?",
                [LIVE],
            )
            writer.unregister("ended")
        if self._added:
            writer.register("added", pa.Table.from_pylist(self._added, schema=facts_schema()))
            writer.execute("INSERT INTO facts BY NAME SELECT * FROM added")
            writer.unregister("added")

    def _put(self, entry: Entry, fact: Fact) -> None:
        self._end(entry, fact.id)
        row = {field: getattr(fact, field) for field in _FIELDS}
        row |= {"tenant": entry.tenant, "name": name_key(fact.subject)}
        row |= {"words": words_of(fact.predicate), "added_seq": entry.seq, "removed_seq": LIVE}
        self._added.append(row)
        self._live[entry.tenant, fact.id] = row

    def _end(self, entry: Entry, fact_id: str) -> None:
        key = (entry.tenant, fact_id)
        self._ended.setdefault(key, entry.seq)
        if row := self._live.pop(key, None):
            row["removed_seq"] = entry.seq


def _fetched(cursor: Any, sql: str, values: list[int]) -> Iterator[tuple[Any, ...]]:
    cursor.execute(sql, values)
    while rows := cursor.fetchmany(5_000):
        yield from rows


def _verdict_row(entry: Entry) -> dict[str, Any]:
    kept = changes.read_verdict(entry.payload)
    row = {"seq": entry.seq, "tenant": entry.tenant, "ts": entry.ts, "id": kept.id}
    return row | {"fingerprint": kept.fingerprint, "label": kept.label, "probability": kept.probability}


def _candidates(cursor: Any, queries: Sequence[Query], words: Sequence[list[str]]) -> list[tuple[Any, ...]]:
    """Return the visible facts whose subject is a run of words of a text, with the text's place."""
    import pyarrow as pa

    runs = [(place, run, size) for place, some in enumerate(words) for run, size in runs_of(some).items()]
    if not runs:
        return []
    places, names, sizes = zip(*runs, strict=True)
    tenants = [queries[place].tenant for place in places]
    positions = [min(queries[place].as_of, LIVE - 1) for place in places]
    columns = {"place": places, "run": names, "size": sizes, "tenant": tenants, "position": positions}
    cursor.register("runs", pa.table(columns))
    found: list[tuple[Any, ...]] = cursor.execute(
        _ABOUT, {"shared": SHARED_TENANT, "most": MAX_CANDIDATES}
    ).fetchall()
    return found


def _hidden(
    cursor: Any, queries: Sequence[Query], candidates: Sequence[tuple[Any, ...]]
) -> set[tuple[int, str]]:
    """Return (place, id) of the shared candidates that the asker's own facts replace."""
    import pyarrow as pa

    shared = [(row[0], row[4]) for row in candidates if row[2] != queries[row[0]].tenant]
    if not shared:
        return set()
    seen = {
        "place": [place for place, _ in shared],
        "id": [fact_id for _, fact_id in shared],
        "tenant": [queries[place].tenant for place, _ in shared],
        "position": [min(queries[place].as_of, LIVE - 1) for place, _ in shared],
    }
    cursor.register("seen", pa.table(seen))
    return set(cursor.execute(_HIDDEN).fetchall())
