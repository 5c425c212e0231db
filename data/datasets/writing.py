"""What of a write goes in: values checked or made, duplicates decided on, a report for each that stays out.

Called by the dataset engine. Pure but for the embedder. Invariant: one vector that cannot be written never
keeps its neighbours out, and the same request to the same data is decided in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from data.datasets.checks import check_vector
from data.datasets.ports import InsertReport, NewVector, OnDuplicate
from data.datasets.records import DatasetRecord, VectorBatch, VectorRecord
from data.knowledge import text_sha256
from data.ports import Embedder


@dataclass(frozen=True, slots=True)
class Ready:
    """A vector that can be written: its number in the request, its record, its (dimensions,) float32."""

    number: int
    record: VectorRecord
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request's vectors that can be written, and why the others cannot."""

    ready: tuple[Ready, ...]
    failures: tuple[tuple[int, str], ...]

    def ids(self) -> list[str]:
        """Return the ids of those that can be written, each once."""
        return list(dict.fromkeys(one.record.id for one in self.ready))


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is written (``None``: nothing), how many of it are new, and what is told of all."""

    batch: VectorBatch | None
    added: int
    report: InsertReport


def prepare(vectors: Sequence[NewVector], dataset: DatasetRecord, embedder: Embedder | None) -> Prepared:
    """Check a request's vectors, and embed the content of those that have no values.

    Raises:
        ModelUnavailableError: the embedder is away.
    """
    ready: dict[int, Ready] = {}
    failures: list[tuple[int, str]] = []
    texts: dict[int, VectorRecord] = {}
    for number, vector in enumerate(vectors):
        fault = check_vector(vector, dataset.dimensions, dataset.metric)
        if fault is None and vector.values is None:
            fault = _embedding_fault(vector.record, dataset, embedder)
        if fault is not None:
            failures.append((number, fault))
        elif vector.values is None:
            texts[number] = vector.record
        else:
            values = np.asarray(vector.values, dtype=np.float32)
            ready[number] = Ready(number, vector.record, values)
    if texts and embedder is not None:
        made = embedder.embed([record.content or "" for record in texts.values()])
        for (number, record), values in zip(texts.items(), made, strict=True):
            ready[number] = Ready(number, record, np.asarray(values, dtype=np.float32))
    return Prepared(tuple(ready[number] for number in sorted(ready)), tuple(failures))


def choose(
    prepared: Prepared, there: Mapping[str, VectorRecord], on_duplicate: OnDuplicate, *, now_s: float
) -> Chosen:
    """Decide what is written beside what is ``there`` (by id); the later of two with one id counts."""
    kept: dict[str, Ready] = {}
    failures, skipped = list(prepared.failures), 0
    for one in prepared.ready:
        key = one.record.id
        if (key in there or key in kept) and on_duplicate == "fail":
            failures.append((one.number, _duplicate(key, twice=key in kept)))
        elif (key in there or key in kept) and on_duplicate == "skip":
            skipped += 1
        else:
            skipped += key in kept
            kept[key] = one
    moment = moment_of(now_s)
    records = tuple(_completed(one.record, there.get(key), moment) for key, one in kept.items())
    report = InsertReport(len(kept), skipped, tuple(sorted(failures)))
    if not records:
        return Chosen(None, 0, report)
    values = np.stack([one.values for one in kept.values()])
    return Chosen(VectorBatch(records, values), sum(key not in there for key in kept), report)


def report_again(prepared: Prepared, written: Sequence[str], on_duplicate: OnDuplicate) -> InsertReport:
    """Return what was reported when these ids were written by the same request."""
    left = set(written)
    failures, skipped = list(prepared.failures), 0
    for one in prepared.ready:
        if one.record.id in left and on_duplicate != "overwrite":
            left.discard(one.record.id)
        elif on_duplicate == "fail":
            failures.append((one.number, _duplicate(one.record.id, twice=one.record.id in written)))
        elif on_duplicate == "skip":
            skipped += 1
    if on_duplicate == "overwrite":
        skipped = len(prepared.ready) - len(set(written))
    return InsertReport(len(set(written)), skipped, tuple(sorted(failures)))


def moment_of(now_s: float) -> str:
    """Return a moment as ISO 8601, UTC, in milliseconds."""
    moment = datetime.fromtimestamp(now_s, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _embedding_fault(record: VectorRecord, dataset: DatasetRecord, embedder: Embedder | None) -> str | None:
    """Return why a vector without values cannot be made from its content, or ``None``."""
    if embedder is None:
        return f"The vector {record.id[:60]!r} has no values and no embedder runs here: send values."
    if embedder.dim != dataset.dimensions:
        return (
            f"The vector {record.id[:60]!r} has no values: texts become {embedder.dim} numbers here and the "
            f"dataset has {dataset.dimensions} dimensions, so send values."
        )
    return None


def _completed(record: VectorRecord, before: VectorRecord | None, moment: str) -> VectorRecord:
    """Return a record with its moments, and the hash by which equal contents are known."""
    content_hash = record.content_hash
    if content_hash is None and record.content is not None:
        content_hash = text_sha256(record.content)
    # Field by field: ``replace`` takes several times as long, and this is done for every vector.
    return VectorRecord(
        record.id,
        record.document_id,
        record.chunk_id,
        record.content,
        content_hash,
        record.metadata,
        record.content_type,
        record.language,
        record.chunk_index,
        record.chunk_count,
        record.model,
        before.created_at if before else record.created_at or moment,
        moment,
    )


def _duplicate(key: str, *, twice: bool) -> str:
    where = "stands twice in the request" if twice else "is in the dataset already"
    return f"The vector {key!r} {where}: choose another id, or say what to do with duplicates."
