"""``POST /knowledge/import``: a file of knowledge in one request, its bad rows told one by one."""

from __future__ import annotations

import asyncio
from typing import get_args

from starlette.requests import Request
from starlette.responses import Response

from data.errors import InvalidValueError
from data.rows import ROW_KINDS, RowKind
from deployments.api.context import pay_for_items, tenant_of
from deployments.api.errors import MediaTypeError, SchemaMisfitError
from deployments.api.knowledge_requests import KnowledgeRequests, written_headers
from deployments.api.reading import media_type_of
from deployments.api.responses import json_response
from deployments.knowledge_import import FORMS, ReadImport, read_import
from deployments.services import Services

_KINDS: dict[str, RowKind] = {kind: kind for kind in get_args(RowKind)}


class ImportRoutes:
    """Takes files. One a process."""

    def __init__(self, services: Services) -> None:
        self._requests = KnowledgeRequests(services)

    async def take(self, request: Request) -> Response:
        """Write the rows of a file as one change, all of them or none, and say which cannot be taken.

        With ``on_error=skip`` bad rows are left out and told with the reason.
        """
        form = FORMS.get(media_type_of(request))
        if form is None:
            raise MediaTypeError(f"Send the file with one of these Content-Types: {', '.join(FORMS)}.")
        kind, stops = _kind(request), _stops(request)
        body = await request.body()
        tenant = tenant_of(request)
        read = await asyncio.to_thread(read_import, body, form, tenant, kind=kind)
        await pay_for_items(request, read.taken + read.rejected)
        if read.errors and (stops or not read.changes):
            raise _rejected(read)
        _, receipt = await self._requests.write(request, lambda: read.changes)
        told = {
            "kind": read.kind,
            "rows": read.taken + read.rejected,
            "imported": read.taken,
            "rejected": read.rejected,
            "errors": read.errors,
            "knowledge_seq": receipt.last_seq,
        }
        return json_response(told, headers=written_headers(receipt))


def _kind(request: Request) -> RowKind | None:
    name = request.query_params.get("kind")
    if name is not None and name not in _KINDS:
        raise InvalidValueError(f"kind is not known: use one of {', '.join(ROW_KINDS)}, or leave it out.")
    return None if name is None else _KINDS[name]


def _stops(request: Request) -> bool:
    told = request.query_params.get("on_error", "stop")
    if told not in ("skip", "stop"):
        raise InvalidValueError("on_error is not known: use skip or stop.")
    return told == "stop"


def _rejected(read: ReadImport) -> SchemaMisfitError:
    entries = [{"field": f"row {item['row']}", "reason": item["reason"]} for item in read.errors[:20]]
    first = read.errors[0]
    return SchemaMisfitError(
        f"Nothing was written: {read.rejected} of {read.taken + read.rejected} rows cannot be taken, the "
        f"first is row {first['row']}: {first['reason']}",
        entries,
    )
