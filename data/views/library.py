"""All views of one home together: what the keeper reads from, and what a follower keeps on its own node.

Invariant: a view that cannot be opened, or that is ahead of the ledger, is moved aside (never deleted) and
built again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from data.claims import TenantId
from data.errors import CorruptDataError
from data.feedback import CalibrationMark, CalibrationQuery, FeedbackSample
from data.knowledge import Document, Fact, Passage, PastVerdict, Pattern, PatternHit, Source
from data.ledger import Entry
from data.ports import HistoryQuery, Hit, Query
from data.views.facts import FactFilter, FactsView
from data.views.graph import GraphView
from data.views.history import HistoryView
from data.views.passages import PassagesView
from data.views.sparql import SparqlAnswer
from data.views.view import View

#: Folder of the views, under the home.
FOLDER = "views"
_LOG = logging.getLogger(__name__)

AnyView = TypeVar("AnyView", bound=View)


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
        self._passages = _opened(folder / "passages.sqlite", lambda path: PassagesView(path, home), newest)
        self._facts = _opened(folder / "facts.duckdb", lambda path: FactsView(path, home), newest)
        self._graph = _opened(folder / "graph", lambda path: GraphView(path, home), newest)
        self._history = _opened(folder / "history.sqlite", HistoryView, newest)

    def views(self) -> tuple[View, ...]:
        """Return the views, in the order in which they are brought up to date."""
        return self._passages, self._facts, self._graph, self._history

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries in ``seq`` order; a view skips what it has."""
        for view in self.views():
            view.apply(entries)

    def applied_seq(self) -> int:
        """Return the last position that every view has taken in."""
        return min(view.applied_seq() for view in self.views())

    def search_text(self, queries: Sequence[Query], k: int) -> list[list[Hit]]:
        """See ``LexicalIndex``."""
        return self._passages.search_text(queries, k)

    def passages(self, wanted: Sequence[tuple[Query, Sequence[str]]]) -> list[dict[str, Passage]]:
        """See ``PassageStore``."""
        return self._passages.passages(wanted)

    def sources(self, tenant: TenantId, ids: Sequence[str], *, as_of: int | None = None) -> list[Source]:
        """See ``PassageStore``; with ``as_of``, as they were then."""
        return self._passages.sources(tenant, ids, as_of=as_of)

    def document(self, tenant: TenantId, document_id: str, *, as_of: int | None = None) -> Document | None:
        """Return a document as it was written, or ``None``."""
        return self._passages.document(tenant, document_id, as_of=as_of)

    def patterns(self, tenant: TenantId) -> list[Pattern]:
        """Return the tenant's and the shared patterns, sorted by id."""
        return self._passages.patterns(tenant)

    def match(self, queries: Sequence[Query]) -> list[list[PatternHit]]:
        """See ``PatternStore``."""
        return self._passages.match(queries)

    def facts_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """See ``FactStore``."""
        return self._facts.facts_about(queries, limit)

    def facts(self, tenant: TenantId, wanted: FactFilter) -> list[Fact]:
        """Return a page of the facts that a tenant sees, sorted by id."""
        return self._facts.facts(tenant, wanted)

    def statements_about(self, queries: Sequence[Query], limit: int) -> list[list[Fact]]:
        """See ``FactStore``."""
        return self._graph.statements_about(queries, limit)

    def sparql(self, tenant: TenantId, query: str, *, most: int = 10_000) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now.

        Raises:
            InvalidValueError: not a query, one that calls another server, or more than ``most`` rows.
        """
        return self._graph.query(tenant, query, most=most)

    def past_verdicts(self, queries: Sequence[HistoryQuery]) -> list[list[PastVerdict]]:
        """See ``HistoryStore``."""
        return self._history.past_verdicts(queries)

    def verdict(self, tenant: TenantId, verdict_id: str) -> bytes | None:
        """Return the stored verdict document (JSON), or ``None``."""
        return self._history.verdict(tenant, verdict_id)

    def verdicts(self, tenant: TenantId, *, before_seq: int, limit: int) -> list[PastVerdict]:
        """Return a tenant's verdicts before a position, newest first: a page of its history."""
        return self._history.verdicts(tenant, before_seq=before_seq, limit=limit)

    def calibration_marks(self, queries: Sequence[CalibrationQuery]) -> list[CalibrationMark]:
        """See ``FeedbackStore``."""
        return self._history.calibration_marks(queries)

    def feedback_samples(self, query: CalibrationQuery) -> list[FeedbackSample]:
        """See ``FeedbackStore``."""
        return self._history.feedback_samples(query)

    def last_feedback(self, tenant: TenantId, verdict_id: str) -> tuple[str, str] | None:
        """See ``FeedbackStore``."""
        said = self._history.feedback(tenant, verdict_id)
        return (said[-1].label, said[-1].note) if said else None

    def verdict_labels(self, tenant: TenantId) -> dict[str, int]:
        """Return how often each label was given to a tenant's claims."""
        return self._facts.verdict_labels(tenant)

    def states(self) -> dict[str, ViewState]:
        """Return each view's state by its name."""
        counted = (self._passages, self._facts, self._graph, self._history)
        return {view.name: ViewState(view.applied_seq(), view.counts()) for view in counted}

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when a view does not answer."""
        for view in self.views():
            view.ping()

    def close(self) -> None:
        """Write what is pending and release the files."""
        for view in self.views():
            view.close()


def _opened(path: Path, build: Callable[[Path], AnyView], newest: int | None) -> AnyView:
    try:
        view = build(path)
    except CorruptDataError as exc:
        _LOG.warning("A view is built again from the ledger: %s", exc)
        _move_aside(path)
        return build(path)
    if newest is not None and view.applied_seq() > newest:
        _LOG.warning("The view %s is ahead of the ledger and is built again.", view.name)
        view.close()
        _move_aside(path)
        return build(path)
    return view


def _move_aside(path: Path) -> None:
    """Rename a view's files to ``….corrupt-N``: they are kept for whoever wants to know what happened."""
    number = 1
    while path.with_name(f"{path.name}.corrupt-{number}").exists():
        number += 1
    for suffix in ("", "-wal", "-shm", ".wal"):
        file = path.with_name(path.name + suffix)
        if file.exists():
            file.rename(path.with_name(f"{path.name}.corrupt-{number}{suffix}"))
