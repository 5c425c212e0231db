"""A vector dataset and what is in it: values only.

Made by the API, import jobs and readers of the ledger; kept by the record store. Invariant: what a value here
holds has been checked where it came in (``data.datasets.checks``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

#: How near two vectors are. ``distance`` is smaller for nearer: 1 - cosine, - inner product, Euclidean,
#: sum of absolute differences.
Metric = Literal["cosine", "euclidean", "manhattan", "dot_product"]
#: ``default`` chooses by the number of vectors and the memory there is.
IndexType = Literal["default", "flat", "hnsw", "ivf"]
#: How the main index keeps its vectors: whole, eight bits a number, or one (RaBitQ, IVF only).
Quantisation = Literal["none", "sq8", "rabitq"]

#: Most numbers of a vector.
MAX_DIMENSIONS = 10_000
#: Most vectors in one request.
MAX_BATCH = 1_000


@dataclass(frozen=True, slots=True)
class IndexSettings:
    """How a dataset is indexed; ``None`` leaves it to the index, which chooses by size and recall asked."""

    index_type: IndexType = "default"
    hnsw_m: int = 16
    hnsw_ef_construction: int = 128
    hnsw_ef_search: int | None = None
    ivf_nlist: int | None = None
    ivf_nprobe: int | None = None
    quantisation: Quantisation = "none"


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """A dataset as it is defined. Moments are ISO 8601, UTC.

    With ``shards`` above 1 its vectors lie in so many datasets of their own (``data.datasets.shards``).
    """

    id: str
    name: str
    dimensions: int
    metric: Metric = "cosine"
    index: IndexSettings = IndexSettings()
    description: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    created_at: str = ""
    updated_at: str = ""
    shards: int = 1


@dataclass(frozen=True, slots=True)
class VectorRecord:
    """What stands beside a vector's numbers. ``metadata`` is JSON: text, numbers, booleans, null, nested."""

    id: str
    document_id: str
    chunk_id: str | None = None
    content: str | None = None
    content_hash: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    content_type: str | None = None
    language: str | None = None
    chunk_index: int | None = None
    chunk_count: int | None = None
    model: str | None = None
    created_at: str = ""
    updated_at: str = ""


@dataclass(frozen=True, slots=True)
class VectorBatch:
    """Records and their vectors: ``values`` is (len(records), dimensions) float32, finite."""

    records: tuple[VectorRecord, ...]
    values: NDArray[np.float32]
