"""Which shards a dataset has, and which of them a vector lies in: values only.

A dataset with ``shards`` above 1 holds no vectors itself. Each shard is a dataset of its own, with an id that
follows from the dataset's; nobody sees it but :mod:`data.datasets.sharded`. Invariant: where a vector lies
depends on its id and the number of shards alone, so it is found, replaced and removed without a search.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import replace

from data.datasets.records import DatasetRecord

#: Most shards of a dataset: a search asks every one of them.
MAX_SHARDS = 64
#: What stands between a dataset's id and the number of a shard of it.
_MARK = "-"


def shard_id(dataset_id: str, number: int) -> str:
    """Return the id of a dataset's shard, 0 to 255."""
    return f"{dataset_id}{_MARK}{number:02x}"


def is_shard(dataset_id: str) -> bool:
    """Return whether an id is that of a shard."""
    return _MARK in dataset_id


def shards_of(record: DatasetRecord) -> tuple[DatasetRecord, ...]:
    """Return how the shards of a dataset are defined; none where it has one."""
    if record.shards == 1:
        return ()
    numbers = range(record.shards)
    ids = [shard_id(record.id, number) for number in numbers]
    return tuple(replace(record, id=one, name=one, description="", metadata={}, shards=1) for one in ids)


def whole_of(record: DatasetRecord) -> tuple[DatasetRecord, ...]:
    """Return a dataset and its shards, which come and go in one write."""
    return (record, *shards_of(record))


def without_shards(text: str, dataset_id: str) -> str:
    """Return a text that names the dataset where it names one of its shards."""
    return re.sub(f"{re.escape(dataset_id)}{_MARK}[0-9a-f]{{2}}", lambda _: dataset_id, text)


def shard_of(vector_id: str, shards: int) -> int:
    """Return the number of the shard in which a vector lies."""
    return zlib.crc32(vector_id.encode("utf-8", "replace")) % shards


def place_of(dataset_id: str, actors: int) -> int:
    """Return the number of the actor, of so many, on which a dataset lives; shards follow one another."""
    family, _, number = dataset_id.partition(_MARK)
    return (zlib.crc32(family.encode("utf-8", "replace")) + int(number or "0", 16)) % actors
