"""Which of what was found is told, and how much of it: bounds, what counts as the same, what is shown.

Pure; called by the search of one dataset and by the one that puts the answers of shards together, so that
both choose alike.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data.datasets.ports import SearchOptions, StoredVector
from data.datasets.records import VectorRecord

#: How many of each ranking are fused, at least: beyond, ranks add next to nothing.
FUSED_DEPTH = 100
#: How many candidates are read again for a rerank, at least.
RERANKED_DEPTH = 50
#: Times more than asked for that are looked at first where some will be left out, and then again and again.
SPARE, DEEPER = 4, 4


def wanted_of(options: SearchOptions) -> int:
    """Return how many are chosen, of which a rerank may leave out some."""
    return max(options.top_k, RERANKED_DEPTH) if options.rerank else options.top_k


def leaves_out(options: SearchOptions) -> bool:
    """Return whether some of what is found does not count beside better ones."""
    return options.deduplicate or options.group_by_document


def fused_depth(options: SearchOptions) -> int:
    """Return how many of each ranking are fused first."""
    depth = max(2 * wanted_of(options), FUSED_DEPTH)
    return depth * SPARE if leaves_out(options) else depth


def is_within(score: float, distance: float | None, options: SearchOptions) -> bool:
    """Return whether a candidate is within the bounds asked for."""
    if options.min_score is not None and score < options.min_score:
        return False
    return options.max_distance is None or distance is None or distance <= options.max_distance


def is_new(record: VectorRecord, seen: set[str], options: SearchOptions) -> bool:
    """Return whether nothing that counts as the same was seen, and note this one."""
    names = []
    if options.deduplicate and record.content_hash is not None:
        names.append(f"content {record.content_hash}")
    if options.group_by_document:
        names.append(f"document {record.document_id}")
    if not seen.isdisjoint(names):
        return False
    seen.update(names)
    return True


def shown(record: VectorRecord, values: NDArray[np.float32] | None, options: SearchOptions) -> StoredVector:
    """Return a vector with what the request wants to see of it."""
    if not options.include_content:
        record = replace(record, content=None)
    if not options.include_metadata:
        record = replace(record, metadata={})
    return StoredVector(record, None if values is None else tuple(values.tolist()))
