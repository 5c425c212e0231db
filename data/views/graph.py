"""The graph view: RDF statements by tenant, for SPARQL and for what a text names. Oxigraph.

Built by the keeper from the ledger. Oxigraph is single-process: others ask through the keeper. Each tenant
has one graph that holds what is true now, for SPARQL. Beside it every load (one graph of one change) is
kept in a graph of its own with the positions between which it holds, so that statements can be looked up as
of an earlier one. Invariant: all that one change does, the position included, is one transaction.
"""

from __future__ import annotations

import hashlib
import heapq
import re
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from data import changes, segments
from data.catalogue import CatalogueQuery, CatalogueRow
from data.claims import SHARED_TENANT, TenantId
from data.errors import CorruptDataError, StoreUnavailableError
from data.knowledge import Fact
from data.ledger import Entry
from data.ports import Query
from data.rdf import LABELS, SOURCES, readable
from data.redaction import is_erased
from data.views.graph_terms import Quad, Term, data_block, number_of, statement_of
from data.views.naming import name_key, runs_of, words_of
from data.views.view import IDLE_LIMIT, LIVE, digest_of, weight_of

#: Names of states of graphs, see ``GraphView.version``.
_VERSIONS = count(1)
#: Statements weighed for one text before the best are chosen: bounds the work for a thing with very many.
MAX_CANDIDATES = 1_000

_META = "urn:kite:meta"
#: How Oxigraph and the RocksDB under it fail.
_FAILURES = (OSError, RuntimeError, ValueError)
_LOCKED = re.compile(r"\bLOCK\b|lock (file|hold)")


@dataclass(frozen=True, slots=True)
class _Load:
    """One graph of one change: whose, under which key, from when, until when, and where it came from."""

    iri: str
    tenant: TenantId
    key: str
    added: int
    source: str | None
    removed: int = LIVE

    def is_seen(self, tenant: TenantId, as_of: int) -> bool:
        return self.tenant in (tenant, SHARED_TENANT) and self.added <= as_of < self.removed


class GraphView:
    """Statements of all tenants in one Oxigraph store. One process; any thread.

    Raises:
        CorruptDataError: the store is damaged; move it away and build the view again from the ledger.
        StoreUnavailableError: another process has the store open.
    """

    name = "graph"

    def __init__(self, path: Path, home: Path, *, is_resting: bool = False) -> None:
        import pyoxigraph

        self._ox: Any = pyoxigraph
        self._home = home
        self._path = path
        self._write_lock = threading.RLock()
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._store: Any = (self._ox.Store.read_only if is_resting else self._ox.Store)(str(path))
            self._loads = self._stored_loads()
            #: (tenant, key) -> the loads of its last change, while they hold.
            self._live: dict[tuple[str, str], list[str]] = {}
            for load in self._loads.values():
                if load.removed == LIVE:
                    self._live.setdefault((load.tenant, load.key), []).append(load.iri)
            self._stored_seq = self._stored_position()
            self._version = next(_VERSIONS)
            #: A tenant's names as compared -> what they name, and the load that says so.
            self._names: dict[tuple[TenantId, str], dict[tuple[str, str], None]] = {}
            for quad in self._store.quads_for_pattern(None, None, None, None):
                if quad.graph_name.value in self._loads:
                    self._index(quad, self._loads[quad.graph_name.value])
        except _FAILURES as exc:
            if _LOCKED.search(str(exc)):
                raise StoreUnavailableError(f"The store {path} is open in another process: stop it.") from exc
            raise CorruptDataError(f"The store {path} is damaged: {exc}; rebuild or restore it.") from exc
        self._applied_seq, self._idle = self._stored_seq, 0

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order, each in one transaction."""
        with self._write_lock:
            for entry in entries:
                if entry.seq > self._applied_seq:
                    self._take(entry)
                    self._applied_seq = entry.seq
                    self._idle += weight_of((entry,))
            if self._idle >= IDLE_LIMIT:
                self._commit("", self._applied_seq)

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        return self._applied_seq

    def statements_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """Return statements, in the shape of facts, whose subject's name occurs in the text.

        Longest name first, then by how many words of the predicate the text has, then by id.
        """
        with self._named_errors():
            return [self._statements(query, max(limit, 0)) for query in queries]

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return a page of loads by key, or all statements of one as sorted N-Triples lines."""
        at = self._applied_seq if query.as_of is None else query.as_of
        seen: dict[str, list[_Load]] = {}
        for load in list(self._loads.values()):
            wanted = load.key > query.after and query.id in (None, load.key)
            hidden = query.own and load.tenant != query.tenant
            if wanted and not hidden and load.is_seen(query.tenant, at):
                seen.setdefault(load.key, []).append(load)
        chosen = heapq.nsmallest(query.limit, seen)
        with self._named_errors():
            return [self._row(query, [*_nearest(query.tenant, seen[key])]) for key in chosen]

    def _row(self, query: CatalogueQuery, loads: list[_Load]) -> CatalogueRow:
        first = loads[0]
        if query.id is None:
            body = msgspec.json.encode({"key": first.key, "added_seq": first.added})
        else:
            quads = (
                quad
                for load in loads
                for quad in self._store.quads_for_pattern(None, None, None, self._ox.NamedNode(load.iri))
            )
            body = "".join(sorted({f"{statement_of(quad)} .\n" for quad in quads})).encode()
        return CatalogueRow(first.key, body, first.tenant != query.tenant)

    def version(self) -> int:
        """Return a number that stands for the statements as they are now, and for no others."""
        return self._version

    def write_checkpoint(self, folder: Path) -> int:
        """Write the store as it is now to a folder that is not there yet; return its version.

        Files are hard links where they can be, so it costs a flush and not a copy.
        """
        with self._write_lock, self._named_errors():
            self._store.backup(str(folder))
            return self._version

    def counts(self) -> dict[str, int]:
        """Return how many graph loads are live, all tenants together."""
        return {"graphs": sum(load.removed == LIVE for load in list(self._loads.values()))}

    def held(self, tenant: TenantId) -> dict[str, int]:
        """Return how many loads of a tenant there are, ended ones too."""
        return {"graphs": sum(load.tenant == tenant for load in list(self._loads.values()))}

    def live_keys(self, tenant: TenantId) -> set[str]:
        """Return the keys of a tenant's loads that hold now."""
        return {key for (owner, key), loads in list(self._live.items()) if owner == tenant and loads}

    def digest(self, since: int = 0) -> str:
        """See ``View``: every load with its statements, and what SPARQL sees now."""
        with self._write_lock, self._named_errors():
            return digest_of(self._holdings(since))

    def _holdings(self, since: int) -> Iterator[tuple[object, ...]]:
        loads = [load for load in list(self._loads.values()) if load.removed > since]
        yield from ((load,) for load in loads)
        tenants = {graph_of(load.tenant) for load in self._loads.values()}
        for iri in [*(load.iri for load in loads), *sorted(tenants)]:
            for quad in self._store.quads_for_pattern(None, None, None, self._ox.NamedNode(iri)):
                yield (iri, statement_of(quad))

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the store does not answer."""
        with self._named_errors():
            self._stored_position()

    def close(self) -> None:
        """Store the position and release the files."""
        with self._write_lock:
            if self._store is not None and self._applied_seq > self._stored_seq:
                self._commit("", self._applied_seq)
            # Oxigraph closes with its last reference.
            self._store = None

    def _take(self, entry: Entry) -> None:
        nquads = self._nquads(entry)
        if nquads is None and entry.kind != "graph.delete":
            return
        ended = [self._loads[iri] for iri in self._live.get((entry.tenant, entry.key), ())]
        added = self._parsed(entry, nquads) if nquads else []
        stays = {statement_of(quad) for _, quads in added for quad in quads}
        gone = [one for one in self._only_in(ended, entry.tenant) if one not in stays]
        live = graph_of(entry.tenant)
        update = [data_block("DELETE", live, gone), data_block("INSERT", live, sorted(stays))]
        update += [
            data_block("INSERT", load.iri, [statement_of(quad) for quad in quads]) for load, quads in added
        ]
        update.append(data_block("INSERT", _META, [*_described(added), *_ended(ended, entry.seq)]))
        self._commit(" ; ".join(part for part in update if part), entry.seq)
        self._loads.update((load.iri, replace(load, removed=entry.seq)) for load in ended)
        for load, quads in added:
            for quad in quads:
                self._index(quad, load)
            self._loads[load.iri] = load
        self._live[entry.tenant, entry.key] = [load.iri for load, _ in added]
        self._version = next(_VERSIONS)

    def _nquads(self, entry: Entry) -> str | None:
        if is_erased(entry.payload):
            return None
        if entry.kind == "graph.put":
            return changes.read_graph(entry.payload)
        if entry.kind == "segment.load":
            ref = changes.read_segment_ref(entry.payload)
            return segments.read_graph(self._home, ref) if ref.kind == "graph" else None
        return None

    def _parsed(self, entry: Entry, nquads: str) -> list[tuple[_Load, list[Quad]]]:
        """Return the loads of one change: a load for each graph that its statements name."""
        graphs: dict[str, list[Quad]] = {}
        for quad in self._ox.parse(nquads.encode(), format=self._ox.RdfFormat.N_QUADS):
            graphs.setdefault(getattr(quad.graph_name, "value", ""), []).append(quad)
        said = {
            quad.subject.value: quad.object.value
            for quad in sorted((quad for quads in graphs.values() for quad in quads), key=str, reverse=True)
            if quad.predicate.value in SOURCES
        }
        return [
            (
                _Load(f"urn:kite:load:{entry.seq}:{n}", entry.tenant, entry.key, entry.seq, said.get(name)),
                quads,
            )
            for n, (name, quads) in enumerate(sorted(graphs.items()))
        ]

    def _only_in(self, ended: Iterable[_Load], tenant: TenantId) -> list[str]:
        """Return the statements of these loads that no other live load of the tenant has."""
        gone = {load.iri for load in ended}
        only: set[str] = set()
        for iri in sorted(gone):
            for quad in self._store.quads_for_pattern(None, None, None, self._ox.NamedNode(iri)):
                others = self._store.quads_for_pattern(quad.subject, quad.predicate, quad.object, None)
                holders = {other.graph_name.value for other in others} - gone
                if not any(self._is_live(holder, tenant) for holder in holders):
                    only.add(statement_of(quad))
        return sorted(only)

    def _is_live(self, iri: str, tenant: TenantId) -> bool:
        load = self._loads.get(iri)
        return load is not None and load.tenant == tenant and load.removed == LIVE

    def _commit(self, update: str, seq: int) -> None:
        forget = f"DELETE WHERE {{ GRAPH <{_META}> {{ <urn:kite:view> <urn:kite:applied> ?seq }} }}"
        keep = f'INSERT DATA {{ GRAPH <{_META}> {{ <urn:kite:view> <urn:kite:applied> "{seq}" }} }}'
        with self._named_errors():
            self._store.update(" ; ".join(part for part in (update, forget, keep) if part))
        self._stored_seq, self._idle = seq, 0

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        if self._store is None:
            raise StoreUnavailableError(f"The store {self._path.name} is closed: open it again.")
        try:
            yield
        except _FAILURES as exc:
            raise StoreUnavailableError(f"The store {self._path.name} cannot be used: {exc}.") from exc

    def _stored_position(self) -> int:
        return max((int(value) for _, name, value in self._meta() if name == "applied"), default=0)

    def _stored_loads(self) -> dict[str, _Load]:
        told: dict[str, dict[str, str]] = {}
        for subject, name, value in self._meta():
            if name != "applied":
                told.setdefault(subject, {})[name] = value
        return {
            iri: _Load(
                iri,
                TenantId(one["tenant"]),
                one["key"],
                int(one["added"]),
                one.get("source"),
                int(one.get("removed", LIVE)),
            )
            for iri, one in told.items()
        }

    def _meta(self) -> Iterator[tuple[str, str, str]]:
        for quad in self._store.quads_for_pattern(None, None, None, self._ox.NamedNode(_META)):
            yield quad.subject.value, quad.predicate.value.rpartition(":")[2], quad.object.value

    def _index(self, quad: Quad, load: _Load) -> None:
        subject = quad.subject.value
        names = [readable(subject)]
        if quad.predicate.value in LABELS:
            names.append(quad.object.value)
        for name in names:
            key = name_key(name)
            if key:
                self._names.setdefault((load.tenant, key), {})[subject, load.iri] = None

    def _statements(self, query: Query, limit: int) -> list[Fact]:
        words = words_of(query.text)
        named: dict[str, int] = {}
        owners = {query.tenant, SHARED_TENANT}
        for run, size in runs_of(words).items():
            # What other tenants call so is not even looked at: it would cost the asker's time.
            for subject, load in [one for owner in owners for one in self._names.get((owner, run), ())]:
                if self._sees(query, load):
                    named[subject] = max(size, named.get(subject, 0))
        labels: dict[str, str] = {}
        ranked = [
            (-size, -len(set(words).intersection(words_of(fact.predicate))), fact.id, fact)
            for subject, size in sorted(named.items())
            for fact in islice(self._facts_of(query, subject, labels), MAX_CANDIDATES)
        ]
        return [fact for *_, fact in sorted(ranked, key=lambda one: one[:3])[:limit]]

    def _sees(self, query: Query, load: str) -> bool:
        known = self._loads.get(load)
        return known is not None and known.is_seen(query.tenant, query.as_of)

    def _facts_of(self, query: Query, subject: str, labels: dict[str, str]) -> Iterator[Fact]:
        """Yield what is said of a thing, each statement once, labels aside, with the oldest source."""
        said: dict[str, tuple[int, str | None, Quad]] = {}
        for quad in self._store.quads_for_pattern(self._ox.NamedNode(subject), None, None, None):
            load = self._loads.get(quad.graph_name.value)
            if load and load.is_seen(query.tenant, query.as_of) and quad.predicate.value not in LABELS:
                known = said.get(statement_of(quad))
                if known is None or load.added < known[0]:
                    said[statement_of(quad)] = (load.added, load.source, quad)
        for statement, (_, source, quad) in sorted(said.items()):
            digest = hashlib.sha256(statement.encode()).hexdigest()
            predicate = self._label(query, quad.predicate, labels).lower()
            object_text = self._label(query, quad.object, labels)
            name = self._label(query, quad.subject, labels)
            yield Fact(
                f"graph:{digest[:32]}", name, predicate, object_text, number_of(quad.object), source=source
            )

    def _label(self, query: Query, term: Term, labels: dict[str, str]) -> str:
        """Return a term in words: its label as the asker sees it, or the end of its IRI; a literal's text."""
        if isinstance(term, self._ox.Literal):
            return str(term.value)
        if term.value not in labels:
            found = [
                (rank, (quad.object.language or "en") != "en", quad.object.value)
                for rank, predicate in enumerate(LABELS)
                for quad in self._store.quads_for_pattern(term, self._ox.NamedNode(predicate), None, None)
                if isinstance(quad.object, self._ox.Literal) and self._sees(query, quad.graph_name.value)
            ]
            labels[term.value] = min(found)[2] if found else readable(term.value)
        return labels[term.value]


def _nearest(tenant: TenantId, loads: Sequence[_Load]) -> Iterator[_Load]:
    """Yield the tenant's own loads of a key, or, where it has none, the shared ones."""
    own = [load for load in loads if load.tenant == tenant]
    yield from own or loads


def graph_of(tenant: TenantId) -> str:
    """Return the name of the graph that holds what is true now for a tenant."""
    return f"urn:kite:tenant:{quote(tenant, safe='')}"


def _described(added: Sequence[tuple[_Load, list[Quad]]]) -> Iterator[str]:
    import pyoxigraph

    for load, _ in added:
        told = {"tenant": load.tenant, "key": load.key, "added": str(load.added), "source": load.source}
        for name, value in told.items():
            if value is not None:
                yield f"<{load.iri}> <urn:kite:{name}> {pyoxigraph.Literal(value)}"


def _ended(loads: Iterable[_Load], seq: int) -> Iterator[str]:
    for load in loads:
        yield f'<{load.iri}> <urn:kite:removed> "{seq}"'
