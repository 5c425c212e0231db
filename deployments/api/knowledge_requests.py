"""What the knowledge routes share: the desk, headers of reads and writes, one thing or 404, removal.

Called by ``routes.knowledge`` and ``routes.knowledge_graph``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from urllib.parse import quote

from starlette.requests import Request

from data.catalogue import CatalogueQuery, CatalogueRow, Condition
from data.errors import InvalidValueError, NotFoundError, UnavailableError
from data.knowledge import Change
from data.ports import WriteReceipt
from deployments.api.context import principal_of, tenant_of
from deployments.api.errors import PreconditionFailedError
from deployments.api.paging import Cursor, cursor_text, read_as_of, read_cursor, read_limit
from deployments.api.reading import moment_of
from deployments.knowledge import KnowledgeDesk
from deployments.services import Services

MAX_KEY_CHARS = 200
_TAG = re.compile(r'"([^"]*)"')
#: What ``If-Match`` may say: any, or a list of tags in quotes.
TAGS_PATTERN = r'^(\*|(W/)?"[^"]*"(, *(W/)?"[^"]*")*)$'


class KnowledgeRequests:
    """Reads and writes on behalf of requests. One a process."""

    def __init__(self, services: Services) -> None:
        self._services = services

    @property
    def desk(self) -> KnowledgeDesk:
        """The desk of this installation.

        Raises:
            UnavailableError: it keeps no knowledge of its own.
        """
        if self._services.knowledge is None:
            raise UnavailableError("This installation keeps no knowledge.")
        return self._services.knowledge

    async def page(
        self, request: Request, query: CatalogueQuery
    ) -> tuple[list[CatalogueRow], dict[str, str]]:
        """Return the rows of the page that a request asks for, and the headers that go with them."""
        limit, cursor = read_limit(request.query_params), read_cursor(request.query_params)
        at = cursor.at if cursor else await self.position(request)
        after = cursor.last if cursor else ""
        rows = await self.desk.listed(replace(query, after=after, limit=limit + 1, as_of=at))
        headers = {"X-Knowledge-Seq": str(at)}
        if len(rows) > limit:
            headers["X-Next-Cursor"] = cursor_text(Cursor(at, rows[limit - 1].id))
        return rows[:limit], headers

    async def one(self, request: Request, query: CatalogueQuery) -> tuple[CatalogueRow, dict[str, str]]:
        """Return the thing that a request names, and the headers that go with it.

        Raises:
            NotFoundError: it is not there, or is another tenant's.
        """
        at = await self.position(request)
        rows = await self.desk.listed(replace(query, as_of=at))
        if not rows:
            raise missing(query)
        return rows[0], {"ETag": f'"{rows[0].tag}"', "X-Knowledge-Seq": str(at)}

    async def position(self, request: Request) -> int:
        """Return the position to read at: that of ``as_of``, never after the newest."""
        asked = read_as_of(request.query_params)
        newest = await self.desk.position()
        if asked is None:
            return newest
        position = await self._services.seq_at(moment_of(asked)) if isinstance(asked, str) else asked
        return min(position, newest)

    async def write(
        self, request: Request, make: Callable[[], Sequence[Change]]
    ) -> tuple[Sequence[Change], WriteReceipt]:
        """Make changes and write them in the name of the request's sender, all or nothing."""
        return await self.desk.write(_signed(request, make), idempotency_key=idempotency_key(request))

    async def _write_if(
        self, request: Request, condition: Condition, make: Callable[[], Sequence[Change]]
    ) -> tuple[Sequence[Change], WriteReceipt | None]:
        key = idempotency_key(request)
        return await self.desk.write_if(condition, _signed(request, make), idempotency_key=key)

    async def replace(
        self, request: Request, query: CatalogueQuery, make: Callable[[], Sequence[Change]]
    ) -> tuple[Sequence[Change], WriteReceipt]:
        """Write what takes a thing's place, under the request's ``If-Match`` if it has one.

        Raises:
            PreconditionFailedError: ``If-Match`` does not hold.
        """
        tags = wanted_tags(request)
        if tags is None:
            return await self.write(request, make)
        condition = Condition(query.kind, query.tenant, str(query.id), tags)
        changes, receipt = await self._write_if(request, condition, make)
        if receipt is None:
            raise _changed(query)
        return changes, receipt

    async def remove(
        self, request: Request, query: CatalogueQuery, make: Callable[[], Sequence[Change]]
    ) -> WriteReceipt:
        """Remove a tenant's own thing, under the request's ``If-Match`` if it has one.

        Raises:
            NotFoundError: the tenant has no such thing.
            PreconditionFailedError: ``If-Match`` does not hold.
        """
        tags = wanted_tags(request) or ()
        condition = Condition(query.kind, query.tenant, str(query.id), tags)
        _, receipt = await self._write_if(request, condition, make)
        if receipt is None:
            if tags and await self.desk.listed(replace(query, own=True, as_of=None)):
                raise _changed(query)
            raise missing(query)
        return receipt


def _signed(request: Request, make: Callable[[], Sequence[Change]]) -> Callable[[], Sequence[Change]]:
    """Return ``make`` with every change in the name of who sends the request."""
    actor = principal_of(request).subject
    return lambda: [replace(change, actor=actor) for change in make()]


def asks(request: Request, query: CatalogueQuery) -> CatalogueQuery:
    """Return the query with the request's tenant."""
    return replace(query, tenant=tenant_of(request))


def given_key(request: Request) -> str | None:
    """Return the ``Idempotency-Key`` of a write as it was sent, if it has one.

    Raises:
        InvalidValueError: empty, or too long.
    """
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARS:
        raise InvalidValueError(f"Idempotency-Key has 1 to {MAX_KEY_CHARS} characters: choose another.")
    return key


def idempotency_key(request: Request) -> str | None:
    """Return the ``Idempotency-Key`` of a write, if it has one; it counts for this method and route only.

    Raises:
        InvalidValueError: empty, or too long.
    """
    key = given_key(request)
    return None if key is None else f"{request.method} {request.url.path.removeprefix('/api/v1')} {key}"


def wanted_tags(request: Request) -> tuple[str, ...] | None:
    """Return the tags of ``If-Match``; none named (``*``) means any; ``None`` without the header.

    Raises:
        InvalidValueError: it names no tag.
    """
    header = request.headers.get("if-match")
    if header is None:
        return None
    if header.strip() == "*":
        return ()
    tags = tuple(found[1] for found in _TAG.finditer(header))
    if not tags:
        raise InvalidValueError('If-Match names no tag: send the ETag of a GET, as "0123abcd", or *.')
    return tags


def is_known(request: Request, headers: Mapping[str, str]) -> bool:
    """Return whether the sender has this content already (``If-None-Match``)."""
    header = request.headers.get("if-none-match", "")
    return headers["ETag"].strip('"') in {found[1] for found in _TAG.finditer(header)}


def written_headers(receipt: WriteReceipt, location: str | None = None) -> dict[str, str]:
    """Return the headers of a write's answer."""
    headers = {"X-Knowledge-Seq": str(receipt.last_seq)}
    if receipt.replayed:
        headers["Idempotency-Replayed"] = "true"
    if location is not None:
        headers["Location"] = location
    return headers


def location_of(request: Request, thing_id: str) -> str:
    """Return the path of a thing in the list that ``request`` was sent to."""
    return f"{request.url.path.rstrip('/')}/{quote(thing_id, safe='')}"


def missing(query: CatalogueQuery) -> NotFoundError:
    """Return the error of a thing that is not there."""
    return NotFoundError(f"There is no {query.kind} {str(query.id)[:100]!r} of yours here.")


def _changed(query: CatalogueQuery) -> PreconditionFailedError:
    return PreconditionFailedError(
        f"The {query.kind} {str(query.id)[:100]!r} is not what If-Match says: read it again first."
    )
