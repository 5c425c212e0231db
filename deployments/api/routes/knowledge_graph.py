"""``/knowledge/graph``: statements in, by key, and SPARQL out."""

from __future__ import annotations

import hashlib

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.catalogue import CatalogueQuery
from data.changes import MAX_KEY_CHARS, delete_graph, put_graph, read_graph
from data.claims import DEFAULT_TENANT
from data.errors import InvalidValueError
from data.knowledge import Change
from data.rdf import RDF_TYPES, nquads_of
from deployments.api.context import tenant_of
from deployments.api.errors import MalformedBodyError, MediaTypeError
from deployments.api.knowledge_requests import (
    KnowledgeRequests,
    asks,
    is_known,
    location_of,
    written_headers,
)
from deployments.api.knowledge_schemas import SparqlRequest
from deployments.api.reading import fit, json_body, media_type_of
from deployments.api.responses import json_response
from deployments.services import Services

SPARQL_TYPE = "application/sparql-query"
NTRIPLES_TYPE = "application/n-triples"


class GraphRoutes:
    """Answers about the graph. One a process."""

    def __init__(self, services: Services) -> None:
        self._requests = KnowledgeRequests(services)

    async def add(self, request: Request) -> Response:
        """Load statements under ``key``, in place of those loaded under it before.

        A key left out is made from the content. Blank nodes get names of their own.
        """
        media_type = media_type_of(request)
        if media_type not in RDF_TYPES:
            raise MediaTypeError(f"Send RDF with one of these Content-Types: {', '.join(RDF_TYPES)}.")
        body = await request.body()
        key = _key(request) or f"graph-{hashlib.sha256(body).hexdigest()[:24]}"
        tenant = tenant_of(request)

        def make() -> list[Change]:
            return [put_graph(nquads_of(body, media_type), key, tenant)]

        written, receipt = await self._requests.write(request, make)
        count = read_graph(written[0].payload).count("\n")
        told = {"key": key, "statements": count, "knowledge_seq": receipt.last_seq}
        headers = written_headers(receipt, location_of(request, key))
        return json_response(told, status=201, headers=headers)

    async def listing(self, request: Request) -> Response:
        """List what was loaded, by key; ``X-Next-Cursor`` leads to the next page of the same state."""
        rows, headers = await self._requests.page(request, _query(request, None))
        told = [{**msgspec.json.decode(row.body), "shared": row.shared} for row in rows]
        return json_response(told, headers=headers)

    async def show(self, request: Request) -> Response:
        """Show the statements of one load as sorted N-Triples, as they are or, with ``as_of``, were."""
        row, headers = await self._requests.one(request, _query(request, request.path_params["key"]))
        if is_known(request, headers):
            return Response(status_code=304, headers=headers)
        return Response(row.body, headers=headers, media_type=NTRIPLES_TYPE)

    async def delete(self, request: Request) -> Response:
        """Remove the statements of one load of yours, unless another load says the same."""
        query = _query(request, request.path_params["key"])
        receipt = await self._requests.remove(
            request, query, lambda: [delete_graph(str(query.id), query.tenant)]
        )
        told = {"message": f"The graph {query.id} is removed.", "knowledge_seq": receipt.last_seq}
        return json_response(told, headers=written_headers(receipt))

    async def query(self, request: Request) -> Response:
        """Answer a SPARQL 1.1 query over your statements and the shared ones, as they are now.

        Read-only and within limits of time, memory and rows; SERVICE is refused. SELECT and ASK are answered
        as SPARQL results JSON, CONSTRUCT and DESCRIBE as N-Triples.
        """
        answer = await self._requests.desk.sparql(tenant_of(request), await _sparql(request))
        return Response(answer.body, media_type=answer.media_type)


def _query(request: Request, key: str | None) -> CatalogueQuery:
    return asks(request, CatalogueQuery("graph", DEFAULT_TENANT, key))


def _key(request: Request) -> str | None:
    key = request.query_params.get("key") or None
    if key is not None and (len(key) > MAX_KEY_CHARS or not key.isprintable()):
        raise InvalidValueError(f"key has 1 to {MAX_KEY_CHARS} printable characters: choose another.")
    return key


async def _sparql(request: Request) -> str:
    if media_type_of(request) != SPARQL_TYPE:
        return fit(SparqlRequest, await json_body(request)).query
    try:
        text = (await request.body()).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise MalformedBodyError(f"The body is not valid UTF-8 at byte {exc.start}.") from None
    if not text.strip():
        raise MalformedBodyError("The body is empty: send a SPARQL query.")
    return text
