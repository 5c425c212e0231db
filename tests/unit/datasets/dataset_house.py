"""A home with a keeper, and changes of datasets to write to it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from data.access.records import SYSTEM_TENANT, TenantRecord
from data.claims import TenantId
from data.datasets import changes
from data.datasets.records import DatasetRecord, VectorBatch, VectorRecord
from data.evidence import STANCES
from data.keeper import Keeper
from data.knowledge import Change
from data.limits.policy import Quotas

A, B = TenantId("a"), TenantId("b")
ONE, TWO, THREE = "1" * 32, "2" * 32, "3" * 32


class FakeStance:
    """Finds a passage relevant in so far as it holds the question's last word."""

    def judge(self, pairs: Sequence[tuple[str, str]]) -> NDArray[np.float32]:
        rows = np.zeros((len(pairs), len(STANCES)), dtype=np.float32)
        for row, (claim, passage) in zip(rows, pairs, strict=True):
            row[STANCES.index("NEUTRAL")] = 0.1 if claim.split()[-1] in passage else 0.8
            row[STANCES.index("SUPPORTS")] = 1.0 - row.sum()
        return rows


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
