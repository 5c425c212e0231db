"""A fake of the port of vector datasets, in memory, and an app over it asked as one tenant or another.

Exact search by NumPy, words by counting them, filters by plain equality; what is asked of it is noted.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from data.claims import TenantId
from data.datasets.ports import (
    DatasetInfo,
    DatasetStats,
    FilterValue,
    IndexInfo,
    InsertReport,
    NewVector,
    OnDuplicate,
    SearchAnswer,
    SearchHit,
    SearchRequest,
    SearchStats,
    StoredVector,
    VectorPage,
)
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.errors import ConflictError, InvalidValueError, KiteError, NotFoundError
from deployments.api.asgi import create_app
from deployments.services import AccessServices, ApiLimits
from tests.fakes import FakeEmbedder
from tests.unit.api.fakes import Rig
from tests.unit.api.knowledge_fakes import PretendDoor

#: When everything in the fake was written.
MOMENT = "2026-01-01T00:00:00.000Z"


@dataclass
class Kept:
    """One dataset of the fake."""

    record: DatasetRecord
    settings: IndexSettings
    rows: dict[str, tuple[VectorRecord, NDArray[np.float32]]] = field(default_factory=dict)
    version: int = 0
    indexed: int = 0


class FakeVectorDatasets:
    """Keeps datasets in dicts by tenant."""

    def __init__(self) -> None:
        self.kept: dict[TenantId, dict[str, Kept]] = {}
        self.asked: list[tuple[TenantId, int]] = []
        self.inserts: list[int] = []
        self.builds: list[IndexSettings | None] = []
        self.failing: KiteError | None = None
        #: Held by a test that wants searches to wait.
        self.gate = threading.Event()
        self.gate.set()

    def create(self, tenant: TenantId, record: DatasetRecord, *, overwrite: bool = False) -> DatasetInfo:
        mine = self.kept.setdefault(tenant, {})
        same = next((one for one in mine.values() if one.record.name == record.name), None)
        if same and not overwrite:
            raise ConflictError(f"You have a dataset {record.name!r} already: choose another name.")
        if same:
            del mine[same.record.id]
        record = replace(record, created_at=MOMENT, updated_at=MOMENT)
        mine[record.id] = Kept(record, record.index)
        return self.dataset(tenant, record.id)

    def datasets(self, tenant: TenantId) -> list[DatasetInfo]:
        return [self.dataset(tenant, name) for name in self.kept.get(tenant, {})]

    def dataset(self, tenant: TenantId, dataset_id: str) -> DatasetInfo:
        one = self._one(tenant, dataset_id)
        return DatasetInfo(one.record, tenant, len(one.rows), 100 * len(one.rows), f"datasets/{dataset_id}")

    def update(self, tenant: TenantId, record: DatasetRecord) -> DatasetInfo:
        one = self._one(tenant, record.id)
        if (record.dimensions, record.metric) != (one.record.dimensions, one.record.metric):
            raise InvalidValueError("A dataset keeps its dimensions and its metric: make another one.")
        one.record = record
        return self.dataset(tenant, record.id)

    def delete(self, tenant: TenantId, dataset_id: str) -> None:
        self._one(tenant, dataset_id)
        del self.kept[tenant][dataset_id]

    def stats(self, tenant: TenantId, dataset_id: str) -> DatasetStats:
        rows = self._one(tenant, dataset_id).rows.values()
        names = [name for record, _ in rows for name in record.metadata]
        fields = {name: {"count": names.count(name), "types": ["text"]} for name in sorted(set(names))}
        documents = len({record.document_id for record, _ in rows})
        return DatasetStats(
            self.dataset(tenant, dataset_id), self.index(tenant, dataset_id), fields, documents
        )

    def insert(
        self, tenant: TenantId, dataset_id: str, vectors: Sequence[NewVector], on_duplicate: OnDuplicate
    ) -> InsertReport:
        one = self._one(tenant, dataset_id)
        self.inserts.append(len(vectors))
        inserted, skipped, failures = 0, 0, []
        for number, vector in enumerate(vectors):
            known = vector.record.id in one.rows
            values = self._values(one, vector)
            if isinstance(values, str):
                failures.append((number, values))
            elif known and on_duplicate == "fail":
                failures.append((number, f"The id {vector.record.id!r} is there already."))
            elif known and on_duplicate == "skip":
                skipped += 1
            else:
                made = replace(vector.record, created_at=MOMENT, updated_at=MOMENT)
                one.rows[vector.record.id] = (made, values)
                inserted += 1
        return InsertReport(inserted, skipped, tuple(failures))

    def _values(self, one: Kept, vector: NewVector) -> NDArray[np.float32] | str:
        if vector.values is None:
            if vector.record.content is None:
                return "There are neither values nor content."
            (values,) = FakeEmbedder().embed([vector.record.content])
        else:
            values = np.asarray(vector.values, dtype=np.float32)
        if len(values) != one.record.dimensions:
            return (
                f"The vector has {len(values)} numbers, and the dataset {one.record.dimensions} dimensions."
            )
        return values

    def vector(self, tenant: TenantId, dataset_id: str, vector_id: str) -> StoredVector:
        rows = self._one(tenant, dataset_id).rows
        if vector_id not in rows:
            raise NotFoundError(f"There is no vector {vector_id!r} in this dataset.")
        record, values = rows[vector_id]
        return StoredVector(record, tuple(values.tolist()))

    def vectors(
        self,
        tenant: TenantId,
        dataset_id: str,
        *,
        limit: int,
        offset: int = 0,
        filters: FilterValue | None = None,
        values: bool = False,
    ) -> VectorPage:
        one = self._one(tenant, dataset_id)
        found = [
            StoredVector(record, tuple(row.tolist()) if values else None)
            for record, row in one.rows.values()
            if _admits(filters, record)
        ]
        return VectorPage(tuple(found[offset : offset + limit]), len(found))

    def delete_vectors(self, tenant: TenantId, dataset_id: str, vector_ids: Sequence[str]) -> int:
        rows = self._one(tenant, dataset_id).rows
        return sum(rows.pop(name, None) is not None for name in vector_ids)

    def search(self, tenant: TenantId, requests: Sequence[SearchRequest]) -> list[SearchAnswer | KiteError]:
        self.asked.append((tenant, len(requests)))
        self.gate.wait(10)
        if self.failing is not None:
            raise self.failing
        return [self._answer(tenant, request) for request in requests]

    def _answer(self, tenant: TenantId, request: SearchRequest) -> SearchAnswer | KiteError:
        try:
            one = self._one(tenant, request.dataset_id)
            return _found(one, request)
        except KiteError as exc:
            return exc

    def index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        one = self._one(tenant, dataset_id)
        kind = {"default": "flat"}.get(one.settings.index_type, one.settings.index_type)
        return IndexInfo(
            one.settings, kind, one.version, one.indexed, len(one.rows) - one.indexed, 0, 10, 20, "ready"
        )

    def build_index(self, tenant: TenantId, dataset_id: str, settings: IndexSettings | None) -> IndexInfo:
        one = self._one(tenant, dataset_id)
        self.builds.append(settings)
        one.settings, one.version, one.indexed = settings or one.settings, one.version + 1, len(one.rows)
        return replace(self.index(tenant, dataset_id), state="building")

    def drop_index(self, tenant: TenantId, dataset_id: str) -> IndexInfo:
        self._one(tenant, dataset_id).settings = IndexSettings("flat")
        return self.index(tenant, dataset_id)

    def _one(self, tenant: TenantId, dataset_id: str) -> Kept:
        mine = self.kept.get(tenant, {})
        if dataset_id not in mine:
            raise NotFoundError(f"There is no dataset {dataset_id[:100]!r} of yours here.")
        return mine[dataset_id]


def _admits(filters: FilterValue | None, record: VectorRecord) -> bool:
    if filters is None:
        return True
    if isinstance(filters, str):
        raise InvalidValueError(f"filters: at position 3: {filters[:20]!r} is no filter.")
    known = {**record.metadata, "document_id": record.document_id}
    plain = {name: one["$eq"] if isinstance(one, Mapping) else one for name, one in filters.items()}
    return all(known.get(name) == value for name, value in plain.items())


def _found(one: Kept, request: SearchRequest) -> SearchAnswer:
    options, query = request.options, request.vector
    if query is not None and len(query) != one.record.dimensions:
        raise InvalidValueError(
            f"The query has {len(query)} numbers, and the dataset {one.record.dimensions} dimensions."
        )
    hits = []
    for record, row in one.rows.values():
        if _admits(options.filters, record):
            near = float(row @ np.asarray(query, dtype=np.float32)) if query is not None else 0.0
            words = _words(request.text, record.content)
            score = round(near + words, 6)
            if (query is not None or words) and score >= (options.min_score or -1e9):
                distance = None if query is None else round(1 - near, 6)
                hits.append((record, row, score, distance))
    hits.sort(key=lambda hit: (-hit[2], hit[0].id))
    shown = tuple(
        SearchHit(one.record.id, _shown(record, row, request), score, distance, rank, {"vector": score})
        for rank, (record, row, score, distance) in enumerate(hits[: options.top_k], start=1)
    )
    stats = SearchStats(len(one.rows), len(hits), len(one.rows) - len(hits), "scan", exact=True)
    return SearchAnswer(shown, len(hits), len(hits) > options.top_k, stats)


def _words(text: str | None, content: str | None) -> float:
    wanted = set((text or "").casefold().split())
    return float(len(wanted & set((content or "").casefold().split())))


def _shown(record: VectorRecord, row: NDArray[np.float32], request: SearchRequest) -> StoredVector:
    options = request.options
    kept = replace(
        record,
        content=record.content if options.include_content else None,
        metadata=record.metadata if options.include_metadata else {},
    )
    return StoredVector(kept, tuple(row.tolist()) if options.include_values else None)


class VectorHouse:
    """An app over a port of datasets; ``tenant(name)`` speaks as that tenant."""

    def __init__(
        self, limits: ApiLimits | None = None, *, with_embedder: bool = True, port: Any = None
    ) -> None:
        self.port = port or FakeVectorDatasets()
        self.charged: list[int] = []
        self.rig = Rig(limits=limits or ApiLimits(request_timeout_s=120.0))
        self.embedded: list[str] = []
        access = AccessServices(door=PretendDoor(), charge=self._charge)
        self.services = replace(
            self.rig.services(),
            vectors=self.port,
            embed=self._embed if with_embedder else None,
            access=access,
        )
        self.app = create_app(self.services)

    async def _charge(self, _who: Any, _operation: str, _address: str, units: int) -> dict[str, str]:
        self.charged.append(units)
        return {}

    async def _embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.embedded += texts
        return FakeEmbedder().embed(texts)

    def tenant(self, name: str) -> VectorTenant:
        return VectorTenant(self, name)


class VectorTenant:
    """One tenant's calls."""

    def __init__(self, house: VectorHouse, name: str) -> None:
        self.house = house
        self.name = TenantId(name)

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        """Send one request and wait for its answer."""
        return self.calls([(method, path, kwargs)])[0]

    def calls(self, requests: Sequence[tuple[str, str, dict[str, Any]]]) -> list[httpx.Response]:
        """Send requests at once and wait for all answers, in order."""

        async def send() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.house.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://kite", timeout=60) as client:
                return await asyncio.gather(*(self._send(client, *one) for one in requests))

        return asyncio.run(send())

    async def _send(
        self, client: httpx.AsyncClient, method: str, path: str, more: dict[str, Any]
    ) -> httpx.Response:
        headers = {**(more.get("headers") or {}), "Authorization": f"Pretend {self.name}"}
        return await client.request(method, f"/api/v1{path}", **{**more, "headers": headers})

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.call("GET", path, params=params)

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.call("POST", path, json=body, headers=headers)

    def send(self, path: str, body: bytes) -> httpx.Response:
        """Send bytes as they are, as JSON."""
        return self.call("POST", path, content=body, headers={"Content-Type": "application/json"})

    def dataset(self, name: str = "zoo", dimensions: int = 2, **more: Any) -> str:
        """Make a dataset and return its id."""
        made = self.post("/datasets", {"name": name, "dimensions": dimensions, **more})
        assert made.status_code == 201, made.text
        found: str = made.json()["id"]
        return found

    def filled(self, name: str = "zoo", **more: Any) -> str:
        """Make a dataset of three vectors and return its id."""
        made = self.dataset(name, **more)
        vectors = [
            {"id": "a", "document_id": "d1", "values": [1, 0], "content": "red fox", "metadata": {"year": 1}},
            {
                "id": "b",
                "document_id": "d1",
                "values": [0, 1],
                "content": "blue fox",
                "metadata": {"year": 2},
            },
            {"id": "c", "document_id": "d2", "values": [0.6, 0.8], "metadata": {"year": 2}},
        ]
        answer = self.post(f"/datasets/{made}/vectors/batch", {"vectors": vectors})
        assert answer.json()["inserted_count"] == 3, answer.text
        return made
