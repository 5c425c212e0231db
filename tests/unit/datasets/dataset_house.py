"""A home with a keeper, and changes of datasets to write to it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from data.access.records import SYSTEM_TENANT, TenantRecord
from data.claims import TenantId
from data.datasets import changes
from data.datasets.records import DatasetRecord, VectorBatch, VectorRecord
from data.keeper import Keeper
from data.knowledge import Change
from data.limits.policy import Quotas

A, B = TenantId("a"), TenantId("b")
ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32


def defined(key: str = ONE, name: str = "papers", dimensions: int = 3) -> DatasetRecord:
    return DatasetRecord(key, name, dimensions)


def batch_of(ids: Sequence[str], *, dimensions: int = 3, seed: int = 1) -> VectorBatch:
    values = np.random.default_rng(seed).normal(size=(len(ids), dimensions)).astype(np.float32)
    return VectorBatch(tuple(VectorRecord(one, f"doc-{one}", content=f"Text {one}.") for one in ids), values)


def put(
    ids: Sequence[str], dataset: str = ONE, *, tenant: TenantId = A, total: int = 0, dimensions: int = 3
) -> Change:
    batch = batch_of(ids, dimensions=dimensions)
    return changes.put_vectors(dataset, batch, tenant, total=total or len(ids))


def allow(keeper: Keeper, tenant: TenantId = A, **quotas: int) -> None:
    record = TenantRecord(tenant, "A", 1.0, quotas=Quotas(**quotas))
    change = Change("tenant.put", tenant, msgspec.json.encode(record, order="sorted"), SYSTEM_TENANT, "t")
    keeper.write_own([change])
