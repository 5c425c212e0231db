"""All views of one home together: what the keeper reads from, and what a follower keeps on its own node.

Invariant: a view that cannot be opened, or that is ahead of the ledger, is moved aside (never deleted) and
built again.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.access.records import AccessChanges
from data.catalogue import CatalogueQuery, CatalogueRow, KeptVerdict
from data.claims import SHARED_TENANT, TenantId
from data.errors import InvalidValueError, NotFoundError
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Document, Fact, Passage, PastVerdict, Pattern, PatternHit, Source
from data.ledger import Entry
from data.ports import HistoryQuery, Hit, Query
from data.tracing import timed
from data.views.access import AccessView
from data.views.facts import FactFilter, FactsView
from data.views.graph import GraphView, graph_of
from data.views.history import HistoryView
from data.views.passages import PassagesView
from data.views.served import AnyView, Served
from data.views.sparql import SparqlAnswer
from data.views.sparql_runner import SparqlLimits, SparqlRunner
from data.views.view import View

#: Folder of the views, under the home.
FOLDER = "views"
#: Folder in it where views are built anew.
REBUILDING = "rebuilding"


@dataclass(frozen=True, slots=True)
class ViewState:
    """How far a view is, and how much it holds."""

    applied_seq: int
    counts: dict[str, int]


class Library:
    """The five views under ``home``. Any thread may read; one at a time applies.

    ``newest`` is the ledger's last position where it is known: a view that claims more belongs to another
    ledger. One that ``is_resting`` only reads what is there, beside any number of other processes that do.

    Raises:
        StoreUnavailableError: another process has a view open.
    """

    def __init__(self, home: Path, *, newest: int | None = None, is_resting: bool = False) -> None:
        self._home = home
        self._kept_from = (0, "")

        def served(name: str, build: Callable[[Path], AnyView]) -> Served[AnyView]:
            return Served(home / FOLDER / name, build, newest, is_resting=is_resting)

        self._passages = served("passages.sqlite", lambda path: PassagesView(path, home))
        self._facts = served("facts.duckdb", lambda path: FactsView(path, home, is_resting=is_resting))
        self._graph = served("graph", lambda path: GraphView(path, home, is_resting=is_resting))
        self._history = served("history.sqlite", HistoryView)
        self._rights = served("access.sqlite", AccessView)
        self.limit_queries(SparqlLimits())

    def limit_queries(self, limits: SparqlLimits) -> None:
        """Let SPARQL queries from now on take this much."""
        self._queries = SparqlRunner(
            self._home / FOLDER / "graph-checkpoints",
            version=lambda: self._graph.ask(lambda view: view.version()),
            write_checkpoint=lambda path: self._graph.ask(lambda view: view.write_checkpoint(path)),
            limits=limits,
        )

    def views(self) -> tuple[View, ...]:
        """Return the views, in the order in which they are brought up to date."""
        return tuple(one.view for one in self._served())

    def fresh_view(self, name: str) -> View:
        """Return an empty view of that name, to be filled from the ledger and then served.

        Raises:
            NotFoundError: there is no such view.
        """
        view: View = self._called(name).fresh(self._home / FOLDER / REBUILDING)
        return view

    def serve(self, fresh: View) -> None:
        """Serve a view made by ``fresh_view`` in place of the one of its name.

        No change may be applied meanwhile.
        """
        self._called(fresh.name).replace_by(fresh, self._home / FOLDER / REBUILDING)

    def require_kept(self, *positions: int | None) -> None:
        """Raise ``InvalidValueError`` for a position whose past was erased; ``None`` is now."""
        first, ts = self._kept_from
        for position in positions:
            if position is not None and position < first:
                raise InvalidValueError(
                    f"What was known before seq {first} ({ts}) has been erased for good: "
                    f"ask as of seq {first} or later."
                )

    def purge(self) -> None:
        """Remove what may hold what the views no longer do: damaged files set aside, checkpoints."""
        self._queries.forget()
        for path in sorted((self._home / FOLDER).glob("*.corrupt-*")):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def _served(self) -> tuple[Served[Any], ...]:
        return self._passages, self._facts, self._graph, self._history, self._rights

    def _called(self, name: str) -> Served[Any]:
        for one in self._served():
            if one.view.name == name:
                return one
        names = ", ".join(one.view.name for one in self._served())
        raise NotFoundError(f"There is no view {name!r}: the views are {names}.")

    @timed("views")
    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; a view skips what it has."""
        for view in self.views():
            view.apply(entries)

    def applied_seq(self) -> int:
        """Return the last position that every view has taken in."""
        return min(view.applied_seq() for view in self.views())

    def search_text(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        """See ``LexicalIndex``."""
        self.require_kept(*(query.as_of for query in queries))
        return self._passages.ask(lambda view: view.search_text(queries, k))

    def passages(self, wanted: Sequence[tuple[Query, Sequence[str]]]) -> list[dict[str, Passage]]:
        """See ``PassageStore``."""
        self.require_kept(*(query.as_of for query, _ in wanted))
        return self._passages.ask(lambda view: view.passages(wanted))

    def sources(self, tenant: TenantId, ids: Sequence[str], *, as_of: int | None = None) -> list[Source]:
        """See ``PassageStore``; with ``as_of``, as they were then."""
        self.require_kept(as_of)
        return self._passages.ask(lambda view: view.sources(tenant, ids, as_of=as_of))

    def document(self, tenant: TenantId, document_id: str, *, as_of: int | None = None) -> Document | None:
        """Return a document as it was written, or ``None``."""
        self.require_kept(as_of)
        return self._passages.ask(lambda view: view.document(tenant, document_id, as_of=as_of))

    def patterns(self, tenant: TenantId) -> list[Pattern]:
        """Return the tenant's and the shared patterns, sorted by id."""
        return self._passages.ask(lambda view: view.patterns(tenant))

    def match(self, queries: Sequence[Query]) -> list[list[PatternHit]]:
        """See ``PatternStore``."""
        self.require_kept(*(query.as_of for query in queries))
        return self._passages.ask(lambda view: view.match(queries))

    def facts_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """See ``FactStore``."""
        self.require_kept(*(query.as_of for query in queries))
        return self._facts.ask(lambda view: view.facts_about(queries, limit))

    def facts(self, tenant: TenantId, wanted: FactFilter) -> list[Fact]:
        """Return a page of the facts that a tenant sees, sorted by id."""
        self.require_kept(wanted.as_of)
        return self._facts.ask(lambda view: view.facts(tenant, wanted))

    def statements_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """See ``FactStore``."""
        self.require_kept(*(query.as_of for query in queries))
        return self._graph.ask(lambda view: view.statements_about(queries, limit))

    def sparql(self, tenant: TenantId, query: str, *, most: int | None = None) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now.

        Raises:
            InvalidValueError: not a query, one that calls another server, or more than ``most`` rows.
            QueryLimitError: it needs more time or memory than a query may have.
            CapacityError: as many queries as may run at once are running.
        """
        return self._queries.run([graph_of(tenant), graph_of(SHARED_TENANT)], query, most=most)

    def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return what a query asks for, sorted by id."""
        self.require_kept(query.as_of)
        if query.kind == "fact":
            return self._facts.ask(lambda view: view.listed(query))
        if query.kind == "graph":
            return self._graph.ask(lambda view: view.listed(query))
        return self._passages.ask(lambda view: view.listed(query))

    def kept_verdict(self, tenant: TenantId, verdict_id: str) -> KeptVerdict | None:
        """Return a verdict with the question behind it, or ``None``."""
        return self._history.ask(lambda view: view.kept_verdict(tenant, verdict_id))

    def past_verdicts(self, queries: Sequence[HistoryQuery]) -> list[list[PastVerdict]]:
        """See ``HistoryStore``."""
        return self._history.ask(lambda view: view.past_verdicts(queries))

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON), or ``None``."""
        return self._history.ask(lambda view: view.verdict(tenant, verdict_id))

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first: a page of its history."""
        return self._history.ask(lambda view: view.verdicts(tenant, before_seq=before_seq, limit=limit))

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """See ``FeedbackStore``."""
        return self._history.ask(lambda view: view.calibration_marks(queries))

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """See ``FeedbackStore``."""
        return self._history.ask(lambda view: view.feedback_samples(query))

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """See ``FeedbackStore``."""
        said = self._history.ask(lambda view: view.feedback(tenant, verdict_id))
        return (said[-1].label, said[-1].note) if said else None

    def verdict_labels(self, tenant: TenantId) -> dict[str, int]:
        """Return how often each label was given to a tenant's claims."""
        return self._facts.ask(lambda view: view.verdict_labels(tenant))

    def access_changes(self, after_seq: int) -> AccessChanges:
        """Return the keys and tenants written after a position; ``seq`` is the last of all, 0 for none."""
        return self._rights.ask(lambda view: view.changes(after_seq))

    def states(self) -> dict[str, ViewState]:
        """Return each view's state by its name."""
        counted = (
            one.ask(lambda view: (view.name, ViewState(view.applied_seq(), view.counts())))
            for one in self._served()
        )
        return dict(counted)

    def held(self, tenant: TenantId) -> dict[str, int]:
        """Return how many rows of a tenant the views have, ended ones too, by ``view: what``."""
        found: dict[str, int] = {}
        for one in (self._passages, self._facts, self._graph, self._history):
            name, counts = one.ask(lambda view: (view.name, view.held(tenant)))
            found.update((f"{name}: {what}", number) for what, number in counts.items())
        return found

    def live_count(self, kind: str, tenant: TenantId) -> int:
        """Return how many things of a kind of the catalogue a tenant itself has now."""
        if kind == "fact":
            return self._facts.ask(lambda view: view.live_count(tenant))
        if kind == "graph":
            return self._graph.ask(lambda view: len(view.live_keys(tenant)))
        return self._passages.ask(lambda view: view.live_count(kind, tenant))

    def live_keys(self, tenant: TenantId) -> set[str]:
        """Return the keys of a tenant's own graph loads that hold now."""
        return self._graph.ask(lambda view: view.live_keys(tenant))

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when a view does not answer."""
        for one in self._served():
            one.ask(lambda view: view.ping())

    def close(self) -> None:
        """Write what is pending and release the files."""
        self._queries.close()
        for view in self.views():
            view.close()
