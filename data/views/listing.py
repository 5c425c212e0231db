"""Documents, passages, sources and patterns one by one and page by page, for the passages view. SQLite.

A tenant's own thing hides the shared one of the same id. Invariant: a page is read by its id's index, so it
costs the same whatever the tables hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import msgspec

from data.catalogue import CatalogueQuery, CatalogueRow
from data.claims import SHARED_TENANT
from data.knowledge import Passage

_PAGE = """
SELECT id, body FROM things WHERE kind = :kind AND tenant = :tenant AND id > :after
    AND added_seq <= :at AND removed_seq > :at ORDER BY id LIMIT :limit
"""
_ONE = """
SELECT id, body FROM things WHERE kind = :kind AND tenant = :tenant AND id = :id
    AND added_seq <= :at AND removed_seq > :at
"""
_PASSAGES = """
SELECT id, document_id, text, start, end, title, url, source, published_at FROM passages
WHERE document_id = :id AND tenant = (SELECT code FROM tenants WHERE name = :tenant)
    AND added_seq <= :at AND removed_seq > :at ORDER BY start
"""


def listed(connection: sqlite3.Connection, query: CatalogueQuery, at: int) -> list[CatalogueRow]:
    """Return what a query asks for as of position ``at``, sorted by id (passages: by place)."""
    if query.kind == "passage":
        return _passages(connection, query, at)
    found: dict[str, CatalogueRow] = {}
    for tenant in _tenants(query):
        rows = connection.execute(_PAGE if query.id is None else _ONE, _values(query, tenant, at))
        # The tenant's own come last and take the place of the shared ones.
        found.update((key, CatalogueRow(key, body, tenant != query.tenant)) for key, body in rows)
    return [found[key] for key in sorted(found, key=str.encode)][: query.limit]


def _passages(connection: sqlite3.Connection, query: CatalogueQuery, at: int) -> list[CatalogueRow]:
    """Return the passages of the document that the asker sees under this id."""
    for tenant in reversed(list(_tenants(query))):
        rows = connection.execute(_PASSAGES, _values(query, tenant, at)).fetchall()
        if rows:
            return [
                CatalogueRow(row[0], msgspec.json.encode(Passage(*row)), tenant != query.tenant)
                for row in rows
            ]
    return []


def _tenants(query: CatalogueQuery) -> Iterator[str]:
    if not query.own and query.tenant != SHARED_TENANT:
        yield SHARED_TENANT
    yield query.tenant


def _values(query: CatalogueQuery, tenant: str, at: int) -> dict[str, object]:
    return {
        "kind": query.kind,
        "tenant": tenant,
        "id": query.id,
        "after": query.after,
        "at": at,
        "limit": query.limit,
    }
