"""Calls for knowledge: things one by one, files, SPARQL. Pure; sent by the clients.

``kind`` is one of documents, facts, sources, patterns. Every write is done once for each Idempotency-Key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data.errors import InvalidValueError
from deployments.client.calls import API, Call, Page, ask, get, pages, part, query_of, write

if TYPE_CHECKING:
    from deployments.api.knowledge_wire import FactAnswer, GraphWrittenAnswer, ImportAnswer, RemovedAnswer

Kind = Literal["documents", "facts", "sources", "patterns"]
#: What a file is sent as, by how its name ends.
FILE_TYPES = {
    ".jsonl": "application/x-ndjson",
    ".csv": "text/csv",
    ".parquet": "application/vnd.apache.parquet",
    ".nq": "application/n-quads",
    ".json": "application/ld+json",
}


def add_knowledge(
    kind: Kind, things: Sequence[Mapping[str, Any]], *, idempotency_key: str | None = None
) -> Call[list[dict[str, Any]]]:
    """Write things, all or nothing; one with the id of another takes its place."""
    return write("POST", f"{API}/knowledge/{kind}", [dict(one) for one in things], key=idempotency_key)


def knowledge_page(
    kind: Kind, *, limit: int | None = None, as_of: int | str | None = None
) -> Call[Page[dict[str, Any]]]:
    """Return the first page of the things of a kind, sorted by id."""
    return pages(f"{API}/knowledge/{kind}", query_of(limit=limit, as_of=as_of))


def knowledge_item(kind: Kind, thing_id: str, *, as_of: int | str | None = None) -> Call[dict[str, Any]]:
    """Return one thing, as it is or as it was."""
    return get(f"{API}/knowledge/{kind}/{part(thing_id)}", query_of(as_of=as_of))


def remove_knowledge(kind: Kind, thing_id: str, *, idempotency_key: str | None = None) -> Call[RemovedAnswer]:
    """Remove one thing."""
    return write("DELETE", f"{API}/knowledge/{kind}/{part(thing_id)}", key=idempotency_key)


def facts_page(
    *, subject: str | None = None, predicate: str | None = None, limit: int | None = None
) -> Call[Page[FactAnswer]]:
    """Return the first page of the facts about a subject, with a predicate, or both."""
    return pages(f"{API}/knowledge/facts", query_of(subject=subject, predicate=predicate, limit=limit))


def load_graph(
    statements: str,
    *,
    content_type: str = "application/n-quads",
    name: str | None = None,
    idempotency_key: str | None = None,
) -> Call[GraphWrittenAnswer]:
    """Load RDF statements; ``name`` is what the load is called."""
    call = write("POST", f"{API}/knowledge/graph", key=idempotency_key)
    query = query_of(key=name)
    return replace(call, content=statements.encode(), content_type=content_type, query=query)


def sparql(query: str) -> Call[dict[str, Any]]:
    """Ask the graph in SPARQL; results as SPARQL 1.1 JSON has them."""
    return ask(f"{API}/knowledge/graph/query", {"query": query})


def import_knowledge(
    file: Path,
    *,
    kind: str | None = None,
    skip_bad_rows: bool = False,
    idempotency_key: str | None = None,
) -> Call[ImportAnswer]:
    """Send a file of knowledge (JSONL, CSV, Parquet, N-Quads, ClaimReviews) in one request.

    Raises:
        InvalidValueError: the file cannot be read, or its name ends in none of ``FILE_TYPES``.
    """
    content_type = FILE_TYPES.get(file.suffix.lower())
    if content_type is None:
        raise InvalidValueError(f"{file.name}: the name must end in one of {', '.join(FILE_TYPES)}.")
    try:
        content = file.read_bytes()
    except OSError as exc:
        raise InvalidValueError(f"{file}: cannot be read ({exc.strerror}).") from exc
    call = write("POST", f"{API}/knowledge/import", key=idempotency_key)
    query = query_of(kind=kind, on_error="skip" if skip_bad_rows else None)
    return replace(call, content=content, content_type=content_type, query=query)
