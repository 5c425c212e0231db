"""All views of one home together: what the keeper reads from, and what a follower keeps on its own node.

Invariant: a view that cannot be opened, or that is ahead of the ledger, is moved aside (never deleted) and
built again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.claims import TenantId
from data.errors import NotFoundError
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Document, Fact, Passage, PastVerdict, Pattern, PatternHit, Source
from data.ledger import Entry
from data.ports import HistoryQuery, Hit, Query
from data.views.facts import FactFilter, FactsView
from data.views.graph import GraphView
from data.views.history import HistoryView
from data.views.passages import PassagesView
from data.views.served import Served
from data.views.sparql import SparqlAnswer
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
    """The four views under ``home``. Any thread may read; one at a time applies.

    ``newest`` is the ledger's last position where it is known: a view that claims more belongs to another
    ledger.

    Raises:
        StoreUnavailableError: another process has a view open.
    """

    def __init__(self, home: Path, *, newest: int | None = None) -> None:
        self._home = home
        folder = home / FOLDER
        self._passages = Served(folder / "passages.sqlite", lambda path: PassagesView(path, home), newest)
        self._facts = Served(folder / "facts.duckdb", lambda path: FactsView(path, home), newest)
        self._graph = Served(folder / "graph", lambda path: GraphView(path, home), newest)
        self._history = Served(folder / "history.sqlite", HistoryView, newest)

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

    def _served(self) -> tuple[Served[Any], ...]:
        return self._passages, self._facts, self._graph, self._history

    def _called(self, name: str) -> Served[Any]:
        for one in self._served():
            if one.view.name == name:
                return one
        names = ", ".join(one.view.name for one in self._served())
        raise NotFoundError(f"There is no view {name!r}: the views are {names}.")

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; a view skips what it has."""
        for view in self.views():
            view.apply(entries)

    def applied_seq(self) -> int:
        """Return the last position that every view has taken in."""
        return min(view.applied_seq() for view in self.views())

    def search_text(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        """See ``LexicalIndex``."""
        return self._passages.ask(lambda view: view.search_text(queries, k))

    def passages(self, wanted: Sequence[tuple[Query, Sequence[str]]]) -> list[dict[str, Passage]]:
        """See ``PassageStore``."""
        return self._passages.ask(lambda view: view.passages(wanted))

    def sources(self, tenant: TenantId, ids: Sequence[str], *, as_of: int | None = None) -> list[Source]:
        """See ``PassageStore``; with ``as_of``, as they were then."""
        return self._passages.ask(lambda view: view.sources(tenant, ids, as_of=as_of))

    def document(self, tenant: TenantId, document_id: str, *, as_of: int | None = None) -> Document | None:
        """Return a document as it was written, or ``None``."""
        return self._passages.ask(lambda view: view.document(tenant, document_id, as_of=as_of))

    def patterns(self, tenant: TenantId) -> list[Pattern]:
        """Return the tenant's and the shared patterns, sorted by id."""
        return self._passages.ask(lambda view: view.patterns(tenant))

    def match(self, queries: Sequence[Query]) -> list[list[PatternHit]]:
        """See ``PatternStore``."""
        return self._passages.ask(lambda view: view.match(queries))

    def facts_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """See ``FactStore``."""
        return self._facts.ask(lambda view: view.facts_about(queries, limit))

    def facts(self, tenant: TenantId, wanted: FactFilter) -> list[Fact]:
        """Return a page of the facts that a tenant sees, sorted by id."""
        return self._facts.ask(lambda view: view.facts(tenant, wanted))

    def statements_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """See ``FactStore``."""
        return self._graph.ask(lambda view: view.statements_about(queries, limit))

    def sparql(self, tenant: TenantId, query: str, *, most: int = 10_000) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now.

        Raises:
            InvalidValueError: not a query, one that calls another server, or more than ``most`` rows.
        """
        return self._graph.ask(lambda view: view.query(tenant, query, most=most))

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

    def states(self) -> dict[str, ViewState]:
        """Return each view's state by its name."""
        counted = (
            one.ask(lambda view: (view.name, ViewState(view.applied_seq(), view.counts())))
            for one in self._served()
        )
        return dict(counted)

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when a view does not answer."""
        for one in self._served():
            one.ask(lambda view: view.ping())

    def close(self) -> None:
        """Write what is pending and release the files."""
        for view in self.views():
            view.close()
