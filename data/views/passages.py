"""The passages view: documents cut into passages with full-text search, sources, and named patterns. SQLite.

Built by the keeper and by followers from the ledger; asked by retrieval. Invariant: nothing is ever deleted
here, rows carry the positions between which they hold, so that every question can be asked as of an earlier
one.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from data import changes, segments
from data.catalogue import CatalogueQuery, CatalogueRow
from data.claims import SHARED_TENANT, TenantId
from data.grouping import places_by
from data.knowledge import Document, Passage, Pattern, PatternHit, Source
from data.ledger import Entry
from data.ports import Hit, Query
from data.views.lexical import LexicalSearch
from data.views.listing import listed
from data.views.terms import TOKENIZER, words_in
from data.views.view import LIVE, SqliteView, write_meta
from data.wording import Matcher

#: Positions whose patterns are remembered: asking goes on at the newest one and a few past ones.
KNOWN_POSITIONS = 64
#: Sources read for one claim before no further ones are followed: a tenant may have millions, all connected.
MAX_REACHED = 2_000

_SCHEMA = f"""
CREATE TABLE IF NOT EXISTS tenants(code INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE IF NOT EXISTS passages(
    rowid INTEGER PRIMARY KEY, tenant INTEGER NOT NULL, id TEXT NOT NULL, document_id TEXT NOT NULL,
    document_row INTEGER NOT NULL, text TEXT NOT NULL, start INTEGER NOT NULL, end INTEGER NOT NULL,
    title TEXT NOT NULL, url TEXT, source TEXT, published_at TEXT, words INTEGER NOT NULL,
    title_words INTEGER NOT NULL,
    added_seq INTEGER NOT NULL, removed_seq INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS passages_id ON passages(id, tenant);
CREATE INDEX IF NOT EXISTS passages_document ON passages(document_id, tenant);
CREATE INDEX IF NOT EXISTS passages_removed ON passages(removed_seq) WHERE removed_seq < {LIVE};
CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, title, content='', tokenize='{TOKENIZER}');
CREATE VIRTUAL TABLE IF NOT EXISTS terms USING fts5vocab(words, 'instance');
CREATE TABLE IF NOT EXISTS things(
    kind TEXT NOT NULL, tenant TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
    added_seq INTEGER NOT NULL, removed_seq INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS things_id ON things(kind, tenant, id);
"""
#: Later rows win in a dict: the tenant's own thing comes last and hides the shared one of the same id.
_ALL_THINGS = """
SELECT id, body FROM things WHERE kind = :kind AND tenant IN (:own, :shared)
    AND added_seq <= :at AND removed_seq > :at ORDER BY tenant = :own
"""
_THINGS = """
SELECT id, body FROM things WHERE kind = :kind AND id IN (SELECT value FROM json_each(:ids))
    AND tenant IN (:own, :shared) AND added_seq <= :at AND removed_seq > :at ORDER BY tenant = :own
"""
_PASSAGES = """
SELECT id, document_id, text, start, end, title, url, source, published_at FROM passages
WHERE id IN (SELECT value FROM json_each(:ids))
    AND tenant IN (:own, :shared) AND added_seq <= :at AND removed_seq > :at ORDER BY tenant = :own
"""
_HOLDINGS = (
    "SELECT t.name, id, document_id, text, start, end, title, url, source, published_at, words, title_words,"
    " added_seq, removed_seq FROM passages JOIN tenants t ON t.code = tenant WHERE removed_seq > :since",
    "SELECT kind, tenant, id, body, added_seq, removed_seq FROM things WHERE removed_seq > :since",
)
_ADD_PASSAGE = "INSERT INTO passages VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_ADD_WORDS = "INSERT INTO words(rowid, text, title) VALUES (?, ?, ?)"

Thing = TypeVar("Thing", Document, Source, Pattern)


class PassagesView(SqliteView):
    """Passages, documents, sources and patterns of all tenants in one SQLite file.

    Raises:
        CorruptDataError: the file is damaged; move it away and build the view again from the ledger.
    """

    name = "passages"
    #: 1: the words of titles are counted apart, and a passage knows the row its document begins at.
    format = 1
    kinds = frozenset(
        kind for kind in changes.READERS if kind.split(".")[0] in {"document", "source", "pattern"}
    ) | {"segment.load"}
    holdings = _HOLDINGS

    def __init__(self, path: Path, home: Path) -> None:
        super().__init__(path, _SCHEMA)
        self._home = home
        self._lexical = LexicalSearch(self._database)
        self._matcher = Matcher()
        self._known_patterns: dict[tuple[TenantId, int], list[Pattern]] = {}

    def search_text(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        """Return at most ``k`` hits a query, best first, ties by id. Any text is a query; none raises."""
        return self._lexical.search(queries, k)

    def passages(self, wanted: Sequence[tuple[Query, Sequence[str]]]) -> list[dict[str, Passage]]:
        """Return, a query, those of the wanted ids that its tenant or the shared tenant has at ``as_of``."""
        groups: dict[tuple[TenantId, int], dict[str, None]] = {}
        for query, ids in wanted:
            groups.setdefault((query.tenant, query.as_of), {}).update(dict.fromkeys(ids))
        with self._database.reading() as connection:
            codes = dict(connection.execute("SELECT name, code FROM tenants"))
            found = {key: _passages(connection, codes, key, list(ids)) for key, ids in groups.items()}
        return [
            {
                one: found[query.tenant, query.as_of][one]
                for one in ids
                if one in found[query.tenant, query.as_of]
            }
            for query, ids in wanted
        ]

    def sources(self, tenant: TenantId, ids: Sequence[str], *, as_of: int | None = None) -> list[Source]:
        """Return these sources and all they lead to by ownership or citation, each once, sorted by id.

        Nothing is followed any further once ``MAX_REACHED`` of them have been read.
        """
        reached: dict[str, Source | None] = {}
        frontier = sorted(set(ids))
        while frontier and len(reached) < MAX_REACHED:
            found = {source.id: source for source in self._named(Source, tenant, frontier, as_of)}
            reached.update((one, found.get(one)) for one in frontier)
            leads = {lead for source in found.values() for lead in (source.owner, *source.cites) if lead}
            frontier = sorted(leads - reached.keys())[:MAX_REACHED]
        return [source for _, source in sorted(reached.items()) if source is not None]

    def document(self, tenant: TenantId, document_id: str, *, as_of: int | None = None) -> Document | None:
        """Return a document as it was written, or ``None``."""
        return next(iter(self._named(Document, tenant, [document_id], as_of)), None)

    def patterns(self, tenant: TenantId, *, as_of: int | None = None) -> list[Pattern]:
        """Return the tenant's and the shared patterns, sorted by id."""
        return self._named(Pattern, tenant, None, as_of)

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return what a query asks for, sorted by id (passages: by place)."""
        with self._database.reading() as connection:
            return listed(connection, query, self._applied_seq if query.as_of is None else query.as_of)

    def match(self, queries: Sequence[Query]) -> list[list[PatternHit]]:
        """Return the patterns that occur in each text, sorted by pattern id."""
        hits: list[list[PatternHit]] = [[] for _ in queries]
        groups = places_by((query.tenant, query.as_of) for query in queries)
        for (tenant, as_of), places in groups.items():
            texts = [queries[place].text for place in places]
            matched = self._matcher.match(texts, self._patterns_at(tenant, as_of))
            for place, patterns in zip(places, matched, strict=True):
                hits[place] = [PatternHit(one.id, one.family, one.name, one.message) for one in patterns]
        return hits

    def _patterns_at(self, tenant: TenantId, as_of: int) -> list[Pattern]:
        """Return the patterns at a position; those of a position already reached never change."""
        key = (tenant, as_of)
        known = self._known_patterns.get(key)
        if known is None:
            known = self.patterns(tenant, as_of=as_of)
            if as_of <= self._applied_seq:
                if len(self._known_patterns) >= KNOWN_POSITIONS:
                    self._known_patterns.clear()
                self._known_patterns[key] = known
        return known

    def counts(self) -> dict[str, int]:
        """Return how many live passages, documents, sources and patterns there are, all tenants together."""
        with self._database.reading() as connection:
            (passages,) = connection.execute(
                "SELECT count(*) FROM passages WHERE removed_seq = ?", (LIVE,)
            ).fetchone()
            kinds = dict(
                connection.execute(
                    "SELECT kind, count(*) FROM things WHERE removed_seq = ? GROUP BY kind", (LIVE,)
                )
            )
        return {
            "passages": passages,
            **{f"{kind}s": kinds.get(kind, 0) for kind in ("document", "source", "pattern")},
        }

    def held(self, tenant: TenantId) -> dict[str, int]:
        """Return how many rows of a tenant there are, ended ones too."""
        passages = "SELECT count(*) FROM passages JOIN tenants ON code = tenant WHERE name = ?"
        things = "SELECT kind || 's', count(*) FROM things WHERE tenant = ? GROUP BY kind"
        with self._database.reading() as connection:
            (number,) = connection.execute(passages, (tenant,)).fetchone()
            return {"passages": number, **dict(connection.execute(things, (tenant,)))}

    def live_count(self, kind: str, tenant: TenantId) -> int:
        """Return how many documents, sources or patterns a tenant has now."""
        sql = "SELECT count(*) FROM things WHERE kind = ? AND tenant = ? AND removed_seq = ?"
        with self._database.reading() as connection:
            (number,) = connection.execute(sql, (kind, tenant, LIVE)).fetchone()
        return int(number)

    def _named(
        self, shape: type[Thing], tenant: TenantId, ids: Sequence[str] | None, as_of: int | None
    ) -> list[Thing]:
        """Return things of one kind by id, or all; a tenant's own hides the shared one of the same id."""
        values = {
            "kind": shape.__name__.lower(),
            "own": tenant,
            "shared": SHARED_TENANT,
            "at": self._applied_seq if as_of is None else as_of,
            "ids": json.dumps(list(ids or ())),
        }
        with self._database.reading() as connection:
            rows = connection.execute(_ALL_THINGS if ids is None else _THINGS, values).fetchall()
        return [msgspec.json.decode(body, type=shape) for _, body in sorted(dict(rows).items())]

    def _take(self, connection: sqlite3.Connection, entries: Sequence[Entry]) -> None:
        writer = _Writer(connection, self._home)
        for entry in entries:
            writer.take(entry)
        if writer.changed_seq:
            write_meta(connection, "changed_seq", writer.changed_seq)


class _Writer:
    """Applies entries inside one transaction."""

    def __init__(self, connection: sqlite3.Connection, home: Path) -> None:
        self._connection = connection
        self._home = home
        self.changed_seq = 0

    def take(self, entry: Entry) -> None:
        if entry.kind == "segment.load":
            self._load(entry)
        elif entry.kind == "document.put":
            document, passages = changes.read_document(entry.payload)
            self._put_document(entry, document, passages)
        elif entry.kind == "document.delete":
            self._remove_document(entry, entry.key)
        elif entry.kind in {"source.put", "pattern.put"}:
            self._put("source" if entry.kind == "source.put" else "pattern", entry, entry.key, entry.payload)
        else:
            self._remove(entry.kind.split(".")[0], entry, entry.key)

    def _load(self, entry: Entry) -> None:
        ref = changes.read_segment_ref(entry.payload)
        if ref.kind == "documents":
            for loaded in segments.read_documents(self._home, ref):
                self._put_document(entry, loaded.document, loaded.passages)
        elif ref.kind == "sources":
            for source in segments.read_sources(self._home, ref):
                self._put("source", entry, source.id, msgspec.json.encode(source, order="sorted"))

    def _put_document(self, entry: Entry, document: Document, passages: Iterable[Passage]) -> None:
        self._remove_document(entry, document.id)
        self._put("document", entry, document.id, msgspec.json.encode(document, order="sorted"))
        tenant = self._code(entry.tenant)
        (last,) = self._connection.execute("SELECT max(rowid) FROM passages").fetchone()
        first = (last or 0) + 1
        for row, one in enumerate(passages, first):
            place = (row, tenant, one.id, one.document_id, first, one.text, one.start, one.end, one.title)
            origin = (one.url, one.source, one.published_at)
            held = (words_in(one.text), words_in(one.title), entry.seq, LIVE)
            self._connection.execute(_ADD_PASSAGE, (*place, *origin, *held))
            self._connection.execute(_ADD_WORDS, (row, one.text, one.title))
        self.changed_seq = entry.seq

    def _remove_document(self, entry: Entry, document_id: str) -> None:
        self._remove("document", entry, document_id)
        self._connection.execute(
            "UPDATE passages SET removed_seq = ? WHERE document_id = ? AND tenant = ? AND removed_seq = ?",
            (entry.seq, document_id, self._code(entry.tenant), LIVE),
        )
        self.changed_seq = entry.seq

    def _put(self, kind: str, entry: Entry, thing_id: str, body: bytes) -> None:
        self._remove(kind, entry, thing_id)
        self._connection.execute(
            "INSERT INTO things VALUES (?, ?, ?, ?, ?, ?)",
            (kind, entry.tenant, thing_id, body, entry.seq, LIVE),
        )

    def _remove(self, kind: str, entry: Entry, thing_id: str) -> None:
        self._connection.execute(
            "UPDATE things SET removed_seq = ? WHERE kind = ? AND id = ? AND tenant = ? AND removed_seq = ?",
            (entry.seq, kind, thing_id, entry.tenant, LIVE),
        )

    def _code(self, tenant: TenantId) -> int:
        self._connection.execute("INSERT INTO tenants(name) VALUES (?) ON CONFLICT DO NOTHING", (tenant,))
        (code,) = self._connection.execute("SELECT code FROM tenants WHERE name = ?", (tenant,)).fetchone()
        return int(code)


def _passages(
    connection: sqlite3.Connection, codes: dict[str, int], key: tuple[TenantId, int], ids: list[str]
) -> dict[str, Passage]:
    tenant, as_of = key
    values = {"own": codes.get(tenant, -1), "shared": codes.get(SHARED_TENANT, -1), "at": as_of}
    rows = connection.execute(_PASSAGES, {**values, "ids": json.dumps(ids)})
    return {row[0]: Passage(*row) for row in rows}
