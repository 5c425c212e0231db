"""The knowledge API's desk: reads and writes of one tenant's knowledge, through its reader.

Called by the routes. What blocks runs in threads. Invariant: a write is answered when it is durable and
visible, and nobody writes or removes what is shared with all tenants or another tenant's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from data.catalogue import CatalogueQuery, CatalogueRow, Condition
from data.claims import TenantId
from data.knowledge import Change
from data.lookup import KnowledgeReader
from data.ports import WriteReceipt
from data.views.sparql import SparqlAnswer


class KnowledgeDesk:
    """Answers for one installation; one a process."""

    def __init__(self, reader: KnowledgeReader) -> None:
        self._reader = reader

    async def position(self) -> int:
        """Return the position of the last change of knowledge."""
        return await asyncio.to_thread(self._reader.position)

    async def listed(self, query: CatalogueQuery) -> list[CatalogueRow]:
        """Return one thing, or a page of things sorted by id."""
        return await asyncio.to_thread(self._reader.listed, query)

    async def write(
        self, make: Callable[[], Sequence[Change]], *, idempotency_key: str | None = None
    ) -> tuple[Sequence[Change], WriteReceipt]:
        """Make changes (in a thread: texts are split, statements parsed) and write them, all or nothing.

        Raises:
            InvalidValueError: a change that cannot be kept; nothing was written.
            ConflictError: the idempotency key was used for other changes.
        """

        def work() -> tuple[Sequence[Change], WriteReceipt]:
            changes = make()
            return changes, self._reader.append(changes, idempotency_key=idempotency_key)

        return await asyncio.to_thread(work)

    async def write_if(
        self,
        condition: Condition,
        make: Callable[[], Sequence[Change]],
        *,
        idempotency_key: str | None = None,
    ) -> tuple[Sequence[Change], WriteReceipt | None]:
        """Write as :meth:`write` does if the condition holds at that moment, else nothing: ``None``."""

        def work() -> tuple[Sequence[Change], WriteReceipt | None]:
            changes = make()
            written = self._reader.append_if(condition, changes, idempotency_key=idempotency_key)
            return changes, written

        return await asyncio.to_thread(work)

    async def sparql(self, tenant: TenantId, query: str) -> SparqlAnswer:
        """Answer a read-only SPARQL query over what the tenant and the shared tenant hold now.

        Raises:
            InvalidValueError: not a query, one that calls another server, or too many rows.
            QueryLimitError: it needs more time or memory than a query may have.
        """
        return await asyncio.to_thread(self._reader.sparql, tenant, query)
