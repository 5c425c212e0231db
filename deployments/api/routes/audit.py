"""``/admin/audit``: the lines, the same as a file, and whether their chain holds."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.audit.port import MAX_PAGE, AuditQuery, AuditRow, AuditSink
from data.errors import InvalidValueError, UnavailableError
from deployments.api.context import principal_of
from deployments.api.paging import read_limit
from deployments.api.responses import encode, json_response
from deployments.services import Services

NDJSON_TYPE = "application/x-ndjson"
#: Longest value that lines are looked for by, characters.
MAX_FILTER = 512
#: How what a line tells of may have ended.
RESULTS = ("allowed", "denied", "failed")
_FILTERS = ("subject", "action", "request_id", "since", "until")


class AuditRoutes:
    """Shows the audit: a tenant's own lines, or all of them to a key of the installation. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def listing(self, request: Request) -> Response:
        """List lines, newest first; ``X-Next-Cursor`` leads to older ones."""
        limit = read_limit(request.query_params)
        query = self._query(request, limit=limit + 1, newest=True, before=_position(request, "cursor"))
        rows = await asyncio.to_thread(self._audit().read, query)
        headers = {"X-Next-Cursor": str(rows[limit - 1].seq)} if len(rows) > limit else None
        return json_response([line_answer(row) for row in rows[:limit]], headers=headers)

    async def export(self, request: Request) -> Response:
        """Return lines as JSON Lines, oldest first, at most 10,000; ``after`` the last seq come the next."""
        query = self._query(request, limit=MAX_PAGE, after=_position(request, "after") or 0)
        rows = await asyncio.to_thread(self._audit().read, query)
        return Response(b"".join(encode(line_answer(row)) + b"\n" for row in rows), media_type=NDJSON_TYPE)

    async def check(self, request: Request) -> Response:
        """Follow the audit's chain from its first line to its last."""
        del request
        return json_response(msgspec.to_builtins(await asyncio.to_thread(self._audit().verify)))

    def _query(self, request: Request, **more: Any) -> AuditQuery:
        principal = principal_of(request)
        chosen: dict[str, Any] = {name: _filter(request, name) for name in _FILTERS}
        chosen["result"] = _result(request)
        return AuditQuery(tenant=None if principal.installation else principal.tenant, **chosen, **more)

    def _audit(self) -> AuditSink:
        if self._services.access.audit is None:
            raise UnavailableError("This installation keeps no audit.")
        return self._services.access.audit


def line_answer(row: AuditRow) -> dict[str, Any]:
    """Return a line as it is shown."""
    return {"seq": row.seq, **msgspec.to_builtins(row.event), "sha256": row.sha256}


def _filter(request: Request, name: str) -> str | None:
    text = request.query_params.get(name) or None
    if text is not None and len(text) > MAX_FILTER:
        raise InvalidValueError(f"{name} has {len(text):,} characters: at most {MAX_FILTER} are read.")
    return text


def _result(request: Request) -> str | None:
    text = request.query_params.get("result")
    if text is not None and text not in RESULTS:
        raise InvalidValueError(f"result is not known: use one of {', '.join(RESULTS)}, or leave it out.")
    return text


def _position(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidValueError(f"{name} must be a line's seq: take it from the page before.")
    return int(text)
