"""The rows of the route table for knowledge and verdict history. Called by ``api.asgi``, which lists all."""

from __future__ import annotations

from typing import Any

from data.rdf import RDF_TYPES
from data.views.sparql_runner import MAX_QUERY_CHARS
from deployments.api.claim_review import CLAIM_REVIEW_TYPE
from deployments.api.knowledge_requests import TAGS_PATTERN
from deployments.api.knowledge_schemas import (
    DocumentRequest,
    FactRequest,
    PatternRequest,
    SourceRequest,
    SparqlRequest,
)
from deployments.api.knowledge_wire import (
    DocumentAnswer,
    FactAnswer,
    GraphLoadAnswer,
    GraphWrittenAnswer,
    ImportAnswer,
    PastVerdictAnswer,
    PatternAnswer,
    RemovedAnswer,
    ReplayAnswer,
    SourceAnswer,
)
from deployments.api.labels import LABEL_SCHEME
from deployments.api.openapi import Endpoint
from deployments.api.paging import DEFAULT_PAGE, MAX_CURSOR_CHARS, MAX_PAGE
from deployments.api.routes.knowledge import MAX_ITEMS, SHELVES, KnowledgeRoutes, Shelf
from deployments.api.routes.knowledge_graph import NTRIPLES_TYPE, SPARQL_TYPE, GraphRoutes
from deployments.api.routes.knowledge_import import ImportRoutes
from deployments.api.routes.verdicts import VerdictRoutes
from deployments.api.rules import READ, SEARCH, VERIFY, WRITE, WRITE_MANY
from deployments.api.wire import VerifyAnswer
from deployments.knowledge_import import FORMS, MAX_CHARS, MAX_ROWS
from deployments.services import Services


def _parameter(name: str, description: str, place: str = "query", **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": place, "description": description, "schema": {"type": "string", **schema}}


IDEMPOTENCY_KEY = _parameter(
    "Idempotency-Key", "The same key with the same body is written once.", "header", maxLength=200
)
_IF_MATCH = _parameter(
    "If-Match", "Written only if the thing has this ETag; * : if it is there.", "header", pattern=TAGS_PATTERN
)
_IF_NONE_MATCH = _parameter("If-None-Match", "304 if the thing has this ETag.", "header")
_AS_OF = _parameter("as_of", "As it was then: a ledger position (digits), or an ISO 8601 day or instant.")
_CURSOR = _parameter(
    "cursor", "X-Next-Cursor of the page before.", maxLength=MAX_CURSOR_CHARS, pattern="^[A-Za-z0-9_-]*$"
)
_LIMIT = {
    "name": "limit",
    "in": "query",
    "schema": {"type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE},
}
_PAGE = (_LIMIT, _CURSOR)
_FILTERS = (
    _parameter("subject", "Facts about this thing, by name.", maxLength=1_000),
    _parameter("predicate", "Facts with this predicate, whatever its case.", maxLength=1_000),
)
_KEY = _parameter("key", "What the load is called; made from the content when left out.", maxLength=512)
_KIND = _parameter(
    "kind",
    "What the rows are; found from the columns when left out.",
    enum=["documents", "facts", "sources", "claimreviews"],
)
_ON_ERROR = _parameter(
    "on_error",
    "stop: nothing is written unless every row can be taken; skip: bad rows are left out and told.",
    enum=["skip", "stop"],
    default="stop",
)
_FORMAT = _parameter(
    "format", f"claimreview: schema.org JSON-LD ({CLAIM_REVIEW_TYPE}).", enum=["verdict", "claimreview"]
)

_BAD_BODY = (400, 413, 415, 422)
_BODIES: dict[str, Any] = {
    "document": DocumentRequest | list[DocumentRequest],
    "fact": FactRequest | list[FactRequest],
    "source": SourceRequest | list[SourceRequest],
    "pattern": PatternRequest | list[PatternRequest],
}
_ANSWERS: dict[str, Any] = {
    "document": DocumentAnswer,
    "fact": FactAnswer,
    "source": SourceAnswer,
    "pattern": PatternAnswer,
}
#: What a write answers: as it was asked, one thing or a list.
_ONE_OR_MANY: dict[str, Any] = {
    "document": DocumentAnswer | list[DocumentAnswer],
    "fact": FactAnswer | list[FactAnswer],
    "source": SourceAnswer | list[SourceAnswer],
    "pattern": PatternAnswer | list[PatternAnswer],
}
_LISTS: dict[str, Any] = {
    "document": list[DocumentAnswer],
    "fact": list[FactAnswer],
    "source": list[SourceAnswer],
    "pattern": list[PatternAnswer],
}
_EXAMPLES: dict[str, Any] = {
    "document": {"title": "Quokka", "text": "The quokka weighs 2.5 to 5 kilograms.", "source": "zoo"},
    "fact": {"subject": "Quokka", "predicate": "weight", "value": 3.0, "unit": "kg"},
    "source": {"id": "zoo", "name": "City Zoo", "owner": "city", "cites": ["university"]},
    "pattern": {"family": "hedge", "name": "some say", "query": '"some say"', "message": "Nobody is named."},
}


def knowledge_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for knowledge; those of ``/knowledge/graph/query`` and the like before ``{…}``."""
    found = [*_graph_endpoints(services), *_import_endpoints(services)]
    for shelf in SHELVES:
        found += _shelf_endpoints(KnowledgeRoutes(services, shelf), shelf)
    return found


def _shelf_endpoints(routes: KnowledgeRoutes, shelf: Shelf) -> list[Endpoint]:
    many, one = f"/knowledge/{shelf.plural}", f"/knowledge/{shelf.plural}/{{thing_id:path}}"
    answer, name = _ANSWERS[shelf.kind], shelf.kind
    filters = _FILTERS if shelf.kind == "fact" else ()
    return [
        Endpoint(
            "POST", many, routes.add, f"Write {shelf.plural}", _BODIES[name], _ONE_OR_MANY[name],
            problems=(*_BAD_BODY, 409, 503), queries=(IDEMPOTENCY_KEY,), example=_EXAMPLES[name],
            status=201, limits={"things": MAX_ITEMS}, access=WRITE_MANY,
        ),
        Endpoint(
            "GET", many, routes.listing, f"List {shelf.plural}", answer=_LISTS[name],
            problems=(400, 422, 503), queries=(*filters, _AS_OF, *_PAGE), access=READ,
        ),
        Endpoint(
            "GET", one, routes.show, f"Show a {name}", answer=answer, problems=(400, 404, 422, 503),
            queries=(_AS_OF, _IF_NONE_MATCH), access=READ,
        ),
        Endpoint(
            "PUT", one, routes.put, f"Write a {name} under an id", shelf.body, answer,
            problems=(*_BAD_BODY, 409, 412, 503), queries=(IDEMPOTENCY_KEY, _IF_MATCH),
            example=_EXAMPLES[name] if name != "source" else {"name": "City Zoo"}, access=WRITE,
        ),
        Endpoint(
            "DELETE", one, routes.delete, f"Remove a {name}", answer=RemovedAnswer,
            problems=(400, 404, 409, 412, 503), queries=(IDEMPOTENCY_KEY, _IF_MATCH), access=WRITE,
        ),
    ]  # fmt: skip


def _graph_endpoints(services: Services) -> list[Endpoint]:
    graph = GraphRoutes(services)
    limits = {
        "query_chars": MAX_QUERY_CHARS,
        "query_s": services.limits.sparql_timeout_s,
        "query_rows": services.limits.sparql_rows,
    }
    return [
        Endpoint(
            "POST", "/knowledge/graph", graph.add, "Load statements", answer=GraphWrittenAnswer,
            problems=(*_BAD_BODY, 409, 503), queries=(_KEY, IDEMPOTENCY_KEY), body_types=tuple(RDF_TYPES),
            status=201, access=WRITE,
        ),
        Endpoint(
            "GET", "/knowledge/graph", graph.listing, "List loads of statements",
            answer=list[GraphLoadAnswer], problems=(400, 422, 503), queries=(_AS_OF, *_PAGE), access=READ,
        ),
        Endpoint(
            "POST", "/knowledge/graph/query", graph.query, "Ask in SPARQL", SparqlRequest, dict[str, Any],
            media_type="application/sparql-results+json", problems=(*_BAD_BODY, 503),
            example={"query": "SELECT ?s ?o { ?s <http://schema.org/name> ?o } LIMIT 10"},
            body_types=(SPARQL_TYPE,), limits=limits, access=SEARCH,
        ),
        Endpoint(
            "GET", "/knowledge/graph/{key:path}", graph.show, "Show the statements of a load",
            media_type=NTRIPLES_TYPE, problems=(400, 404, 422, 503), queries=(_AS_OF, _IF_NONE_MATCH),
            access=READ,
        ),
        Endpoint(
            "DELETE", "/knowledge/graph/{key:path}", graph.delete, "Remove a load of statements",
            answer=RemovedAnswer, problems=(400, 404, 409, 412, 503), queries=(IDEMPOTENCY_KEY, _IF_MATCH),
            access=WRITE,
        ),
    ]  # fmt: skip


def _import_endpoints(services: Services) -> list[Endpoint]:
    return [
        Endpoint(
            "POST", "/knowledge/import", ImportRoutes(services).take, "Import a file", answer=ImportAnswer,
            problems=(*_BAD_BODY, 409, 503), queries=(_KIND, _ON_ERROR, IDEMPOTENCY_KEY),
            body_types=tuple(FORMS), limits={"rows": MAX_ROWS, "text_in_rows": MAX_CHARS},
            access=WRITE_MANY,
        ),
    ]  # fmt: skip


def verdict_endpoints(services: Services) -> list[Endpoint]:
    """Return the rows for the history of verdicts."""
    verdicts = VerdictRoutes(services)
    return [
        Endpoint(
            "GET", "/verdicts", verdicts.listing, "List verdicts", answer=list[PastVerdictAnswer],
            problems=(400, 503), queries=_PAGE, access=READ,
        ),
        Endpoint(
            "GET", "/verdicts/{verdict_id}", verdicts.show, "Show a verdict", answer=VerifyAnswer,
            problems=(400, 404, 503), queries=(_FORMAT, LABEL_SCHEME, _IF_NONE_MATCH), access=READ,
        ),
        Endpoint(
            "POST", "/verdicts/{verdict_id}/replay", verdicts.replay, "Derive a verdict again",
            answer=ReplayAnswer, problems=(404, 409, 503), access=VERIFY,
        ),
    ]  # fmt: skip
