"""Changes of datasets and their vectors, as the ledger keeps them: builders, readers, checks.

Called by the dataset engine to write, by opening to replay, and by ``data.changes``, which lists the readers
with all others. Invariant: vectors travel as one base64 text of a little-endian float32 matrix, so a thousand
of them are read and written in a few milliseconds; equal values give equal bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import msgspec
import numpy as np

from data.claims import TenantId
from data.datasets.records import MAX_BATCH, MAX_DIMENSIONS, DatasetRecord, VectorBatch, VectorRecord
from data.errors import CorruptDataError, InvalidValueError
from data.knowledge import Change
from data.redaction import content_of

PUT_DATASET, DELETE_DATASET = "dataset.put", "dataset.delete"
PUT_VECTORS, DELETE_VECTORS = "vectors.put", "vectors.delete"
VECTOR_KINDS = frozenset({PUT_VECTORS, DELETE_VECTORS})
#: A dataset's id names its folder: a UUID in hex, without dashes; a shard of it has its number behind that.
DATASET_ID = re.compile(r"[0-9a-f]{32}(-[0-9a-f]{2})?", re.ASCII)
#: Numbers as they are stored, whatever the machine's own order of bytes.
_FLOAT = np.dtype("<f4")
_ENCODER = msgspec.json.Encoder(order="sorted")

Shape = TypeVar("Shape")


@dataclass(frozen=True, slots=True)
class _Put:
    """``total`` is how many vectors the dataset holds with these: what a quota is counted by."""

    records: tuple[VectorRecord, ...]
    values: bytes
    total: int


@dataclass(frozen=True, slots=True)
class _Delete:
    ids: tuple[str, ...]
    total: int


@dataclass(frozen=True, slots=True)
class _Id:
    id: str


@dataclass(frozen=True, slots=True)
class _Ids:
    records: tuple[_Id, ...]


@dataclass(frozen=True, slots=True)
class _Total:
    total: int


def put_dataset(record: DatasetRecord, tenant: TenantId, *, actor: str = "system") -> Change:
    """Store a dataset's definition; the last one counts.

    Raises:
        InvalidValueError: its id is none, or it has no dimensions.
    """
    check_dataset(record)
    return _change(PUT_DATASET, record.id, record, tenant, actor)


def delete_dataset(dataset_id: str, tenant: TenantId, *, actor: str = "system") -> Change:
    """Remove a dataset and all that is in it."""
    return Change(DELETE_DATASET, dataset_id, b"{}", tenant, actor)


def put_vectors(
    dataset_id: str, batch: VectorBatch, tenant: TenantId, *, total: int, actor: str = "system"
) -> Change:
    """Store vectors, each in place of one with its id; ``total`` is what the dataset holds afterwards."""
    values = np.ascontiguousarray(batch.values, dtype=_FLOAT).tobytes()
    return _change(PUT_VECTORS, dataset_id, _Put(batch.records, values, total), tenant, actor)


def delete_vectors(
    dataset_id: str, ids: Sequence[str], tenant: TenantId, *, total: int, actor: str = "system"
) -> Change:
    """Remove vectors; ``total`` is what the dataset holds afterwards."""
    return _change(DELETE_VECTORS, dataset_id, _Delete(tuple(ids), total), tenant, actor)


def read_dataset(payload: bytes) -> DatasetRecord:
    """Return the definition of a ``dataset.put`` payload."""
    return _read(payload, _DATASET)


def read_vectors(payload: bytes) -> VectorBatch:
    """Return records and values of a ``vectors.put`` payload.

    Raises:
        CorruptDataError: it holds no vectors, or not as many numbers as they need.
    """
    put = _read(payload, _PUT)
    dimensions, rest = divmod(len(put.values), max(1, len(put.records)) * _FLOAT.itemsize)
    if rest or not put.records or not 0 < dimensions <= MAX_DIMENSIONS:
        raise CorruptDataError(
            f"{len(put.records)} vectors do not go with {len(put.values)} bytes of numbers."
        )
    values = np.frombuffer(put.values, dtype=_FLOAT).reshape(len(put.records), dimensions)
    return VectorBatch(put.records, values.astype(np.float32, copy=False))


def read_vector_ids(payload: bytes) -> tuple[str, ...]:
    """Return the ids of a ``vectors.delete`` payload."""
    return _read(payload, _DELETE).ids


def ids_written(payload: bytes) -> tuple[str, ...]:
    """Return the ids of a ``vectors.put`` payload without reading anything else of it."""
    return tuple(record.id for record in _read(payload, _IDS).records)


def total_after(payload: bytes) -> int:
    """Return how many vectors a dataset held after a change of its vectors."""
    return _read(payload, _TOTAL).total


def check_dataset(record: DatasetRecord) -> None:
    """Raise ``InvalidValueError`` for a definition that cannot be kept."""
    if not DATASET_ID.fullmatch(record.id):
        raise InvalidValueError(f"{record.id!r} is no dataset's id: give 32 hexadecimal digits.")
    if not 1 <= record.dimensions <= MAX_DIMENSIONS:
        raise InvalidValueError(f"A dataset has 1 to {MAX_DIMENSIONS} dimensions, not {record.dimensions}.")
    if not record.name.strip():
        raise InvalidValueError("A dataset needs a name.")


def check_batch(batch: VectorBatch) -> None:
    """Raise ``InvalidValueError`` for vectors that no dataset can take in."""
    if len(batch.records) > MAX_BATCH:
        raise InvalidValueError(f"One change holds at most {MAX_BATCH} vectors, not {len(batch.records)}.")
    if not np.isfinite(batch.values).all():
        raise InvalidValueError("A vector has numbers that are not finite: leave it out.")


def check_value(value: object, key: str) -> None:
    """Raise ``InvalidValueError`` for what a payload of the change ``key`` held and cannot be kept."""
    if isinstance(value, DatasetRecord):
        check_dataset(value)
        if value.id != key:
            raise InvalidValueError(f"The change {key!r} carries another id, {value.id!r}.")
    elif isinstance(value, VectorBatch):
        check_batch(value)


#: The kinds of change and the readers of their payloads.
READERS: dict[str, Callable[[bytes], object] | None] = {
    PUT_DATASET: read_dataset,
    DELETE_DATASET: None,
    PUT_VECTORS: read_vectors,
    DELETE_VECTORS: read_vector_ids,
}
_DATASET = msgspec.json.Decoder(DatasetRecord)
_PUT = msgspec.json.Decoder(_Put)
_DELETE = msgspec.json.Decoder(_Delete)
_IDS = msgspec.json.Decoder(_Ids)
_TOTAL = msgspec.json.Decoder(_Total)


def _change(kind: str, key: str, value: object, tenant: TenantId, actor: str) -> Change:
    try:
        return Change(kind, key, _ENCODER.encode(value), tenant, actor)
    except UnicodeEncodeError as exc:
        raise InvalidValueError(f"A text of {key!r} is not valid Unicode: {exc.reason}.") from exc


def _read(payload: bytes, decoder: msgspec.json.Decoder[Shape]) -> Shape:
    try:
        return decoder.decode(content_of(payload))
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise CorruptDataError(f"A payload of a dataset cannot be read: {exc}.") from exc
