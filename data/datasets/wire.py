"""Calls of vector datasets as bytes between processes: MessagePack, vectors as 32-bit floats.

Used by the actor that holds datasets and by the port over it. Invariant: what comes out of ``decode`` means
what went into ``encode``; nothing that arrives can run code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from data.codec import Codec
from data.datasets.ports import (
    DatasetInfo,
    DatasetStats,
    FusionMethod,
    IndexInfo,
    InsertReport,
    NewVector,
    OnDuplicate,
    SearchAnswer,
    SearchOptions,
    SearchRequest,
    StoredVector,
    VectorPage,
    WordCounts,
)
from data.datasets.records import DatasetRecord, IndexSettings, VectorRecord
from data.errors import KiteError

_FLOAT = np.dtype("<f4")


@dataclass(frozen=True, slots=True)
class _Vector:
    """A vector to be written; ``odd`` are values that are no plain numbers, for the check to refuse."""

    record: VectorRecord
    values: bytes | None = None
    odd: list[Any] | None = None


@dataclass(frozen=True, slots=True)
class Insert:
    """The arguments of ``VectorDatasets.insert``, and the name under which it is done once."""

    vectors: list[_Vector]
    on_duplicate: OnDuplicate
    request: str


@dataclass(frozen=True, slots=True)
class _Question:
    dataset_id: str
    vector: bytes | None
    text: str | None
    vector_weight: float
    text_weight: float
    fusion: FusionMethod
    options: SearchOptions
    counts: WordCounts | None


@dataclass(frozen=True, slots=True)
class _Told:
    answer: SearchAnswer | None = None
    counts: WordCounts | None = None
    error: tuple[str, list[Any]] | None = None


RECORD: Codec[DatasetRecord] = Codec(DatasetRecord)
INFO: Codec[DatasetInfo] = Codec(DatasetInfo)
INFOS: Codec[list[DatasetInfo]] = Codec(list[DatasetInfo])
STATS: Codec[DatasetStats] = Codec(DatasetStats)
INDEX: Codec[IndexInfo] = Codec(IndexInfo)
INDEX_SETTINGS: Codec[IndexSettings | None] = Codec(IndexSettings | None)
REPORT: Codec[InsertReport] = Codec(InsertReport)
STORED: Codec[StoredVector] = Codec(StoredVector)
PAGE: Codec[VectorPage] = Codec(VectorPage)
_INSERT: Codec[Insert] = Codec(Insert)
_QUESTIONS: Codec[list[_Question]] = Codec(list[_Question])
_ANSWERS: Codec[list[_Told]] = Codec(list[_Told])
_ASKED: Codec[list[tuple[str, str]]] = Codec(list[tuple[str, str]])


def encode_insert(vectors: Sequence[NewVector], on_duplicate: OnDuplicate, request: str) -> bytes:
    """Return a write as bytes."""
    return _INSERT.encode(Insert([_packed(one) for one in vectors], on_duplicate, request))


def decode_insert(blob: bytes) -> tuple[list[NewVector], OnDuplicate, str]:
    """Return the vectors of these bytes, what to do with duplicates, and the write's name."""
    found = _INSERT.decode(blob)
    vectors = [
        NewVector(one.record, one.odd if one.values is None else np.frombuffer(one.values, dtype=_FLOAT))  # type: ignore[arg-type]
        for one in found.vectors
    ]
    return vectors, found.on_duplicate, found.request


def encode_requests(requests: Sequence[SearchRequest]) -> bytes:
    """Return search requests as bytes."""
    return _QUESTIONS.encode([_question(one) for one in requests])


def decode_requests(blob: bytes) -> list[SearchRequest]:
    """Return the search requests of these bytes, in order."""
    return [
        SearchRequest(
            one.dataset_id,
            None if one.vector is None else np.frombuffer(one.vector, dtype=_FLOAT),  # type: ignore[arg-type]
            one.text,
            one.vector_weight,
            one.text_weight,
            one.fusion,
            one.options,
            one.counts,
        )
        for one in _QUESTIONS.decode(blob)
    ]


def encode_answers(answers: Sequence[SearchAnswer | KiteError]) -> bytes:
    """Return answers and refusals as bytes."""
    return _ANSWERS.encode([_refused(one) if isinstance(one, KiteError) else _Told(one) for one in answers])


def decode_answers(blob: bytes) -> list[SearchAnswer | KiteError]:
    """Return the answers and refusals of these bytes, in order."""
    return [one.answer or _refusal(one) for one in _ANSWERS.decode(blob)]


def encode_asked(asked: Sequence[tuple[str, str]]) -> bytes:
    """Return questions in words, each with its dataset, as bytes."""
    return _ASKED.encode(list(asked))


def decode_asked(blob: bytes) -> list[tuple[str, str]]:
    """Return the questions of these bytes, in order."""
    return _ASKED.decode(blob)


def encode_counts(counts: Sequence[WordCounts | KiteError]) -> bytes:
    """Return counts of words and refusals as bytes."""
    return _ANSWERS.encode(
        [_refused(one) if isinstance(one, KiteError) else _Told(counts=one) for one in counts]
    )


def decode_counts(blob: bytes) -> list[WordCounts | KiteError]:
    """Return the counts of words and refusals of these bytes, in order."""
    return [one.counts or _refusal(one) for one in _ANSWERS.decode(blob)]


def _refused(error: KiteError) -> _Told:
    return _Told(error=(type(error).__name__, list(error.args)))


def _refusal(told: _Told) -> KiteError:
    name, arguments = told.error or ("KiteError", ["The search gave no answer."])
    return _errors().get(name, KiteError)(*arguments)


def _packed(vector: NewVector) -> _Vector:
    values = vector.values
    if values is None:
        return _Vector(vector.record)
    if not isinstance(values, np.ndarray) and not set(map(type, values)) <= {float, int}:
        return _Vector(vector.record, odd=[str(one) for one in values])
    with np.errstate(over="ignore"):  # infinite then, and refused as that
        return _Vector(vector.record, np.asarray(values, dtype=_FLOAT).tobytes())


def _question(request: SearchRequest) -> _Question:
    vector = None
    if request.vector is not None:
        with np.errstate(over="ignore"):
            vector = np.asarray(request.vector, dtype=_FLOAT).tobytes()
    return _Question(
        request.dataset_id,
        vector,
        request.text,
        request.vector_weight,
        request.text_weight,
        request.fusion,
        request.options,
        request.counts,
    )


def _errors() -> dict[str, type[KiteError]]:
    """Return every error there is by its name."""
    found, waiting = {}, [KiteError]
    while waiting:
        kind = waiting.pop()
        found[kind.__name__] = kind
        waiting += kind.__subclasses__()
    return found
