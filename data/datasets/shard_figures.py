"""The figures of all shards of a dataset made one. Pure; called by :mod:`data.datasets.sharded`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from data.datasets.ports import IndexInfo


def one_index(told: Sequence[IndexInfo]) -> IndexInfo:
    """Return how the indexes of all shards stand: as the least ready one, with all that is in them."""
    if len(told) == 1:
        return told[0]
    states = [one.state for one in told]
    moments = [one.built_at for one in told]
    return IndexInfo(
        settings=told[0].settings,
        kind="+".join(sorted({one.kind for one in told})),
        version=min(one.version for one in told),
        indexed=sum(one.indexed for one in told),
        delta=sum(one.delta for one in told),
        removed=sum(one.removed for one in told),
        memory_bytes=sum(one.memory_bytes for one in told),
        file_bytes=sum(one.file_bytes for one in told),
        state="building" if "building" in states else "ready" if "ready" in states else "empty",
        built_at=min(moment for moment in moments if moment) if all(moments) else None,
    )


def one_summary(told: Sequence[Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the figures of each path in all shards; ``distinct`` is that of the shard with the most."""
    if len(told) == 1:
        return {path: dict(figures) for path, figures in told[0].items()}
    paths = sorted({path for one in told for path in one})
    return {path: _one_path([one[path] for one in told if path in one]) for path in paths}


def _one_path(told: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "count": sum(one["count"] for one in told),
        "types": sorted({kind for one in told for kind in one["types"]}),
        "distinct": max(one["distinct"] for one in told),
    }
    edges = [(one["min"], one["max"]) for one in told if "min" in one]
    # Numbers where there are some in any shard, or else dates.
    numbers = [edge for edge in edges if not isinstance(edge[0], str)]
    if chosen := numbers or edges:
        found.update(min=min(low for low, _ in chosen), max=max(high for _, high in chosen))
    return found
