"""What the vector routes share: the port behind a thread, definitions that never change, tags and conditions.

One a process, made by ``api.vector_endpoints``.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from functools import wraps
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from data.claims import TenantId
from data.datasets.changes import DATASET_ID
from data.datasets.ports import VectorDatasets
from data.errors import NotFoundError, UnavailableError
from deployments.api.context import tenant_of
from deployments.api.errors import PreconditionFailedError
from deployments.api.knowledge_requests import wanted_tags
from deployments.api.openapi import Handler
from deployments.api.repeats import Repeats
from deployments.api.responses import encode
from deployments.api.vector_answers import Shape
from deployments.services import Services
from deployments.vector_search import VectorSearcher

Found = TypeVar("Found")
#: Calls of the port at the same time in one process, searches apart.
THREADS = 16
#: Datasets whose shape is remembered in one process.
_SHAPES = 10_000


class VectorDesk:
    """Answers for one installation; use it from one event loop."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.repeats = Repeats(services.store)
        # Threads of their own: writes that take long hold up nothing that is not about datasets.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vector-datasets")
        self._searcher = None if services.vectors is None else VectorSearcher(services.vectors)
        self._shapes: OrderedDict[tuple[TenantId, str], Shape] = OrderedDict()

    @property
    def port(self) -> VectorDatasets:
        """The datasets of this installation.

        Raises:
            UnavailableError: it keeps none.
        """
        if self.services.vectors is None:
            raise UnavailableError("This installation keeps no vector datasets.")
        return self.services.vectors

    @property
    def searcher(self) -> VectorSearcher:
        """What searches them.

        Raises:
            UnavailableError: it keeps none.
        """
        if self._searcher is None:
            raise UnavailableError("This installation keeps no vector datasets.")
        return self._searcher

    async def ask(self, work: Callable[[VectorDatasets], Found]) -> Found:
        """Return what ``work`` makes of the port; it may block."""
        context = copy_context()
        return await asyncio.get_running_loop().run_in_executor(self._threads, context.run, work, self.port)

    async def id_of(self, tenant: TenantId, named: str) -> str:
        """Return the id of a dataset that is named by its id or its name; an id is never looked up.

        Raises:
            NotFoundError: the tenant has none of this name.
        """
        if DATASET_ID.fullmatch(named):
            return named
        for info in await self.ask(lambda port: port.datasets(tenant)):
            if info.record.name == named:
                return info.record.id
        raise NotFoundError(
            f"There is no dataset {named[:100]!r} of yours here: look at the list of datasets."
        )

    def by_id(self, handler: Handler) -> Handler:
        """Return a handler of paths with ``{dataset_id}`` that may be called with a dataset's name there."""

        @wraps(handler)
        async def found(request: Request) -> Response:
            named = request.path_params["dataset_id"]
            request.path_params["dataset_id"] = await self.id_of(tenant_of(request), named)
            return await handler(request)

        return found

    async def shape(self, tenant: TenantId, dataset_id: str) -> Shape:
        """Return what of a dataset never changes; asked for once.

        Raises:
            NotFoundError: the tenant has no such dataset.
        """
        known = self._shapes.get((tenant, dataset_id))
        if known is None:
            info = await self.ask(lambda port: port.dataset(tenant, dataset_id))
            known = Shape(info.record.dimensions, info.record.metric, info.tenant)
            self._shapes[tenant, dataset_id] = known
            if len(self._shapes) > _SHAPES:
                self._shapes.popitem(last=False)
        return known


def names_of(request: Request) -> tuple[TenantId, str]:
    """Return whose request it is, and the dataset that its path names."""
    return tenant_of(request), request.path_params["dataset_id"]


def tag_of(told: Any) -> str:
    """Return the tag of what is shown: equal content has equal tags."""
    return hashlib.sha256(encode(told)).hexdigest()[:32]


def require_match(request: Request, told: Any, what: str) -> None:
    """Hold a write to its ``If-Match``; without the header everything matches.

    Raises:
        PreconditionFailedError: the thing is not what the header says.
    """
    tags = wanted_tags(request)
    if tags and tag_of(told) not in tags:
        raise PreconditionFailedError(f"The {what} is not what If-Match says: read it again first.")
