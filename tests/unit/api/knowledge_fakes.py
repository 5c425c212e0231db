"""An app over a real keeper in a temporary home, asked as one tenant or another."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from data.access.principal import Principal
from data.access.roles import Role
from data.claims import TenantId
from data.datasets.service import LocalVectorDatasets
from data.datasets.transfer_desk import Transfers
from data.keeper import Keeper
from data.lookup import LocalReader
from data.queue.sqlite_queue import SqliteQueue
from data.queue.tasks import QueueBounds
from data.stores.memory import MemoryStore
from data.views.sparql_runner import SparqlLimits
from deployments.api.asgi import create_app
from deployments.door import ANYBODY, Credential
from deployments.knowledge import KnowledgeDesk
from deployments.services import AccessServices, ApiLimits
from deployments.task_desk import TaskDesk
from tests.fakes import FakeClock, FakeEmbedder, FakeVectorSink
from tests.unit.api.fakes import Rig

RDFS = "http://www.w3.org/2000/01/rdf-schema#label"


class PretendDoor:
    """Believes what callers say: ``Authorization: Pretend TENANT`` is that tenant's administrator."""

    async def admit(self, credential: Credential) -> Principal:
        scheme, _, name = (credential.authorization or "").partition(" ")
        return Principal(f"test:{name}", TenantId(name), Role.ADMIN) if scheme == "Pretend" else ANYBODY


class House:
    """A keeper and the app over it; ``tenant(name)`` speaks as that tenant."""

    def __init__(self, home: Path, limits: ApiLimits | None = None) -> None:
        self.clock = FakeClock()
        self.keeper = Keeper(home, self.clock, FakeVectorSink())
        self.keeper.limit_queries(SparqlLimits(timeout_s=5.0, workers=1))
        self.reader = LocalReader(self.keeper)
        self.vectors = LocalVectorDatasets(home, self.keeper, clock=self.clock, models=(FakeEmbedder(), None))
        self.queue = SqliteQueue(home / "queue" / "tasks.sqlite", clock=self.clock)
        rig = Rig(limits=limits or ApiLimits(request_timeout_s=120.0))
        self.services = replace(
            rig.services(),
            knowledge=KnowledgeDesk(self.reader),
            vectors=self.vectors,
            transfers=Transfers(self.vectors, MemoryStore(self.clock), self.clock, home / "transfers"),
            tasks=TaskDesk(self.queue, QueueBounds()),
            embed=self.embed,
            seq_at=self.seq_at,
            access=AccessServices(door=PretendDoor()),
        )
        self.app = create_app(self.services)

    async def seq_at(self, moment: str) -> int:
        return self.reader.seq_at(moment)

    async def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return FakeEmbedder().embed(texts)

    def tenant(self, name: str) -> Tenant:
        return Tenant(self, name)

    def close(self) -> None:
        self.queue.close()
        self.vectors.close()
        self.keeper.close()


class Tenant:
    """One tenant's calls."""

    def __init__(self, house: House, name: str) -> None:
        self._house = house
        self.name = TenantId(name)

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Send one request and wait for its answer."""

        headers = {**(kwargs.pop("headers", None) or {}), "Authorization": f"Pretend {self.name}"}

        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self._house.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kite") as client:
                return await client.request(method, f"/api/v1{path}", timeout=120, headers=headers, **kwargs)

        return asyncio.run(send())

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any, headers: Mapping[str, str] | None = None) -> httpx.Response:
        return self.call("POST", path, json=body, headers=headers)

    def send(self, path: str, body: str | bytes, media_type: str, **params: str) -> httpx.Response:
        headers = {"Content-Type": media_type}
        return self.call("POST", path, content=body, params=params, headers=headers)

    def sparql(self, query: str) -> httpx.Response:
        return self.send("/knowledge/graph/query", query, "application/sparql-query")
