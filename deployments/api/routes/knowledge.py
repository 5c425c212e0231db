"""``/knowledge/{documents,facts,sources,patterns}``: one set of five calls for each kind of knowledge."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data import changes
from data.catalogue import CatalogueKind, CatalogueQuery, CatalogueRow
from data.claims import DEFAULT_TENANT, TenantId
from data.errors import InvalidValueError
from data.knowledge import Change, Document, Fact, Passage, Pattern, Source, text_sha256
from deployments.api.context import pay_for_items, tenant_of
from deployments.api.errors import SchemaMisfitError
from deployments.api.knowledge_requests import (
    KnowledgeRequests,
    asks,
    is_known,
    location_of,
    written_headers,
)
from deployments.api.knowledge_schemas import (
    DocumentRequest,
    FactRequest,
    PatternRequest,
    SourceRequest,
)
from deployments.api.reading import fit, json_body, misfit
from deployments.api.responses import json_response
from deployments.services import Services

Body = DocumentRequest | FactRequest | SourceRequest | PatternRequest
#: Things written by one request: they are one change of the ledger, all or nothing.
MAX_ITEMS = 1_000
#: Longest subject or predicate to look for.
MAX_FILTER_CHARS = 1_000
_PASSAGES = msgspec.json.Decoder(Passage)


@dataclass(frozen=True, slots=True)
class Shelf:
    """How one kind of knowledge is read from bodies, written, removed and shown."""

    kind: CatalogueKind
    plural: str
    body: type[Body]
    value: type[Any]
    put: Callable[[Any, TenantId], Change]
    delete: Callable[[str, TenantId], Change]


SHELVES: tuple[Shelf, ...] = (
    Shelf(
        "document",
        "documents",
        DocumentRequest,
        Document,
        changes.put_document,
        changes.delete_document,
    ),
    Shelf("fact", "facts", FactRequest, Fact, changes.put_fact, changes.delete_fact),
    Shelf("source", "sources", SourceRequest, Source, changes.put_source, changes.delete_source),
    Shelf("pattern", "patterns", PatternRequest, Pattern, changes.put_pattern, changes.delete_pattern),
)


class KnowledgeRoutes:
    """Answers for one kind of knowledge. One a process and kind."""

    def __init__(self, services: Services, shelf: Shelf) -> None:
        self._requests = KnowledgeRequests(services)
        self._shelf = shelf

    async def add(self, request: Request) -> Response:
        """Write one thing, or a list of them, all or nothing; one of the same id is replaced.

        An id left out is made from the content, so sending the same again changes nothing.
        """
        body = await json_body(request)
        items = body if isinstance(body, list) else [body]
        if not 1 <= len(items) <= MAX_ITEMS:
            raise SchemaMisfitError(f"The list must have 1 to {MAX_ITEMS} {self._shelf.plural}.")
        await pay_for_items(request, len(items))
        read = [self._read(item, index if items is body else None) for index, item in enumerate(items)]
        _once_each(read)
        tenant = tenant_of(request)
        written, receipt = await self._requests.write(request, lambda: self._changes(read, tenant))
        told = [{**self._told(change), "knowledge_seq": receipt.last_seq} for change in written]
        if items is body:
            return json_response(told, status=201, headers=written_headers(receipt))
        where = location_of(request, read[0].id)
        return json_response(told[0], status=201, headers=written_headers(receipt, where))

    async def listing(self, request: Request) -> Response:
        """List what you see, sorted by id; ``X-Next-Cursor`` leads to the next page of the same state."""
        query = self._query(request, None)
        if self._shelf.kind == "fact":
            query = _narrowed(request, query)
        rows, headers = await self._requests.page(request, query)
        return json_response([self._shown(row) for row in rows], headers=headers)

    async def show(self, request: Request) -> Response:
        """Show one thing, as it is or, with ``as_of``, as it was."""
        query = self._query(request, request.path_params["thing_id"])
        row, headers = await self._requests.one(request, query)
        if is_known(request, headers):
            return Response(status_code=304, headers=headers)
        told = self._shown(row)
        if self._shelf.kind == "document":
            at = int(headers["X-Knowledge-Seq"])
            passages = CatalogueQuery("passage", query.tenant, query.id, as_of=at)
            parts = [_PASSAGES.decode(part.body) for part in await self._requests.desk.listed(passages)]
            told = _whole(msgspec.json.decode(row.body, type=Document), parts, shared=row.shared)
        return json_response(told, headers=headers)

    async def put(self, request: Request) -> Response:
        """Write one thing under this id, in place of what is there; ``If-Match`` guards what you read."""
        thing_id = request.path_params["thing_id"]
        body = await json_body(request)
        if isinstance(body, dict):
            if body.get("id", thing_id) != thing_id:
                raise misfit("id", "differs from the id in the path: leave it out")
            body = {**body, "id": thing_id}
        read = self._read(body, None)
        tenant = tenant_of(request)
        written, receipt = await self._requests.replace(
            request, self._query(request, thing_id), lambda: self._changes([read], tenant)
        )
        told = {**self._told(written[0]), "knowledge_seq": receipt.last_seq}
        return json_response(told, headers=written_headers(receipt))

    async def delete(self, request: Request) -> Response:
        """Remove one thing of yours; it stays visible as of earlier positions."""
        query = self._query(request, request.path_params["thing_id"])
        receipt = await self._requests.remove(
            request, query, lambda: [self._shelf.delete(str(query.id), query.tenant)]
        )
        message = f"The {self._shelf.kind} {query.id} is removed."
        told = {"message": message, "knowledge_seq": receipt.last_seq}
        return json_response(told, headers=written_headers(receipt))

    def _query(self, request: Request, thing_id: str | None) -> CatalogueQuery:
        return asks(request, CatalogueQuery(self._shelf.kind, DEFAULT_TENANT, thing_id))

    def _read(self, item: Any, index: int | None) -> Any:
        try:
            return fit(self._shelf.body, item).built()
        except SchemaMisfitError as exc:
            if index is None:
                raise
            errors = [{**entry, "field": f"[{index}].{entry['field']}"} for entry in exc.errors]
            raise SchemaMisfitError(f"[{index}]: {exc}", errors) from None

    def _changes(self, values: Sequence[Any], tenant: TenantId) -> list[Change]:
        made = []
        for index, value in enumerate(values):
            try:
                made.append(self._shelf.put(value, tenant))
            except InvalidValueError as exc:
                where = f"[{index}]: " if len(values) > 1 else ""
                raise InvalidValueError(f"{where}{exc}") from None
        return made

    def _told(self, change: Change) -> dict[str, Any]:
        """Return what was written, as it is shown."""
        if self._shelf.kind == "document":
            return _whole(*changes.read_document(change.payload), shared=False)
        return self._shown(CatalogueRow(change.key, change.payload, shared=False))

    def _shown(self, row: CatalogueRow) -> dict[str, Any]:
        value = msgspec.json.decode(row.body, type=self._shelf.value)
        if isinstance(value, Document):
            told = _whole(value, (), shared=row.shared)
            return {name: told[name] for name in told if name not in ("text", "passages", "sha256")}
        return {**msgspec.to_builtins(value), "shared": row.shared}


def _whole(document: Document, passages: Sequence[Passage], *, shared: bool) -> dict[str, Any]:
    return {
        "id": document.id,
        "title": document.title,
        "url": document.url,
        "source": document.source,
        "published_at": document.published_at,
        "metadata": document.metadata,
        "shared": shared,
        "characters": len(document.text),
        "text": document.text,
        "sha256": text_sha256(document.text),
        "passages": [
            {"id": part.id, "start": part.start, "end": part.end, "text": part.text} for part in passages
        ],
    }


def _narrowed(request: Request, query: CatalogueQuery) -> CatalogueQuery:
    """Return the query with the filters of a list of facts."""
    return replace(query, subject=_filter(request, "subject"), predicate=_filter(request, "predicate"))


def _filter(request: Request, name: str) -> str | None:
    text = request.query_params.get(name) or None
    if text is not None and len(text) > MAX_FILTER_CHARS:
        raise InvalidValueError(f"{name} has more than {MAX_FILTER_CHARS} characters: shorten it.")
    return text


def _once_each(values: Sequence[Any]) -> None:
    """Refuse a list that says two things under one id: which of them counts would be chance."""
    seen: dict[str, Any] = {}
    for index, value in enumerate(values):
        if seen.setdefault(value.id, value) != value:
            raise misfit(f"[{index}].id", f"names {value.id[:100]!r} a second time for something else")
