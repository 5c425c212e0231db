"""Whether datasets, vectors and searches are such as can be kept and answered.

Called where they come in: the API, imports, the engine before it writes. Invariant: what passes can be
stored, indexed under its metric without overflow, and read back unchanged.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from data.datasets.field_limits import metadata_fault, surrogate_fault
from data.datasets.ports import FusionMethod, NewVector, SearchOptions, SearchRequest
from data.datasets.records import (
    MAX_BATCH,
    MAX_DIMENSIONS,
    DatasetRecord,
    IndexSettings,
    IndexType,
    Metric,
    Quantisation,
    VectorRecord,
)
from data.datasets.shards import MAX_SHARDS
from data.errors import InvalidValueError

#: Most characters of names that identify (ids, hashes, languages, models).
MAX_ID = 512
#: Most characters of a dataset's name and description, of a vector's content, of a query in words.
MAX_NAME, MAX_DESCRIPTION, MAX_CONTENT, MAX_QUERY = 255, 4_096, 200_000, 10_000
#: Most results of one search.
MAX_TOP_K = 1_000
#: Lengths of vectors between which squares and their sums are within float32 (largest 3.4e38, least 1.2e-38).
MIN_LENGTH, MAX_LENGTH = 1e-15, 1e18
#: How far the weights of a hybrid search may sum up from 1: what rounding to six decimals leaves.
_WEIGHT_TOLERANCE = 1e-6

#: Whole numbers of index settings and search options: least and most.
_BOUNDS = {
    "hnsw_m": (2, 128),
    "hnsw_ef_construction": (4, 4_096),
    "hnsw_ef_search": (1, 10_000),
    "ivf_nlist": (1, 1_000_000),
    "ivf_nprobe": (1, 1_000_000),
    "ef_search": (1, 10_000),
    "nprobe": (1, 1_000_000),
}
_OPTIONAL = ("hnsw_ef_search", "ivf_nlist", "ivf_nprobe")
#: A record's texts beside its content, and whether one must be there.
_NAMES = {
    "id": True,
    "document_id": True,
    "chunk_id": False,
    "content_hash": False,
    "content_type": False,
    "language": False,
    "model": False,
}


def check_dataset(record: DatasetRecord) -> None:
    """Raise ``InvalidValueError`` for a dataset that cannot be made."""
    _check_text("name", record.name, MAX_NAME)
    _check_text("id", record.id, MAX_ID)
    if len(record.description) > MAX_DESCRIPTION:
        raise InvalidValueError(f"The description must have at most {MAX_DESCRIPTION:,} characters.")
    wrong = surrogate_fault(record.description)
    if wrong:
        raise InvalidValueError(f"The description {wrong}: send valid Unicode.")
    _check_whole("dimensions", record.dimensions, 1, MAX_DIMENSIONS)
    _check_whole("shards", record.shards, 1, MAX_SHARDS)
    _check_choice("metric", record.metric, Metric)
    fault = metadata_fault(record.metadata)
    if fault:
        raise InvalidValueError(f"The dataset's metadata {fault}: shorten or mend it.")
    check_index_settings(record.index)


def check_batch_size(vectors: Sequence[NewVector]) -> None:
    """Raise ``InvalidValueError`` for no vectors, and for more than one request writes."""
    if not 1 <= len(vectors) <= MAX_BATCH:
        raise InvalidValueError(f"One request writes 1 to {MAX_BATCH} vectors, not {len(vectors)}.")


def check_index_settings(settings: IndexSettings) -> None:
    """Raise ``InvalidValueError`` for settings that no index can have."""
    _check_choice("index_type", settings.index_type, IndexType)
    _check_choice("quantisation", settings.quantisation, Quantisation)
    for name in ("hnsw_m", "hnsw_ef_construction", *_OPTIONAL):
        value = getattr(settings, name)
        if value is not None or name not in _OPTIONAL:
            _check_whole(name, value, *_BOUNDS[name])
    if settings.quantisation == "rabitq" and settings.index_type not in ("default", "ivf"):
        raise InvalidValueError(
            f"The quantisation rabitq needs the index type ivf or default, not {settings.index_type}."
        )
    if settings.ivf_nlist and settings.ivf_nprobe and settings.ivf_nprobe > settings.ivf_nlist:
        raise InvalidValueError(
            f"ivf_nprobe must be at most ivf_nlist ({settings.ivf_nlist}), not {settings.ivf_nprobe}."
        )


def check_vector(new: NewVector, dimensions: int, metric: Metric) -> str | None:
    """Return in one sentence why a vector cannot be written, or ``None``."""
    record = new.record
    fault = _record_fault(record)
    if fault is None:
        if new.values is not None:
            fault = _values_fault(new.values, dimensions, metric)
        elif not (record.content and record.content.strip()):
            fault = "it has neither values nor content to make them of: send one of the two"
    if fault is None:
        return None
    shown = repr(record.id[:60]) if isinstance(record.id, str) else "without id"
    return f"The vector {shown} cannot be written: {fault}."


def check_search(request: SearchRequest, record: DatasetRecord) -> None:
    """Raise ``InvalidValueError`` for a search that a dataset cannot answer; filters are read elsewhere."""
    if request.vector is None and not (request.text and request.text.strip()):
        raise InvalidValueError("The search has neither a vector nor words: send query_vector or query_text.")
    if request.vector is not None:
        _check_query(request.vector, record)
    if request.text is not None and len(request.text) > MAX_QUERY:
        raise InvalidValueError(
            f"The query text has {len(request.text):,} characters: send at most {MAX_QUERY:,}."
        )
    _check_choice("fusion_method", request.fusion, FusionMethod)
    _check_weights(request.vector_weight, request.text_weight)
    _check_options(request.options, record)


def _check_query(vector: Sequence[float], record: DatasetRecord) -> None:
    if len(vector) != record.dimensions:
        raise InvalidValueError(
            f"The query vector has dimension {len(vector)}, but the dataset {record.name} has dimension "
            f"{record.dimensions}: send {record.dimensions} numbers."
        )
    fault = _values_fault(vector, record.dimensions, record.metric)
    if fault:
        raise InvalidValueError(f"The query vector cannot be searched for: {fault}.")


def _check_weights(vector_weight: float, text_weight: float) -> None:
    for name, weight in (("vector_weight", vector_weight), ("text_weight", text_weight)):
        if not (math.isfinite(weight) and 0 <= weight <= 1):
            raise InvalidValueError(f"{name} must be from 0 to 1, not {weight}.")
    if abs(vector_weight + text_weight - 1) > _WEIGHT_TOLERANCE:
        raise InvalidValueError(
            f"vector_weight and text_weight must sum to 1, not {vector_weight + text_weight:g}."
        )


def _check_options(options: SearchOptions, record: DatasetRecord) -> None:
    _check_whole("top_k", options.top_k, 1, MAX_TOP_K)
    if options.metric is not None:
        _check_choice("metric_type", options.metric, Metric)
        if options.metric != record.metric:
            raise InvalidValueError(
                f"The dataset {record.name} is searched by {record.metric}, not {options.metric}: leave "
                "metric_type out, or search a dataset made with that metric."
            )
    for name in ("min_score", "max_distance"):
        value = getattr(options, name)
        if value is not None and not math.isfinite(value):
            raise InvalidValueError(f"{name} must be a finite number, not {value}.")
    for name in ("ef_search", "nprobe"):
        value = getattr(options, name)
        if value is not None:
            _check_whole(name, value, *_BOUNDS[name])


def _record_fault(record: VectorRecord) -> str | None:
    for name, needed in _NAMES.items():
        fault = _name_fault(name, getattr(record, name), needed=needed)
        if fault:
            return fault
    for name in ("chunk_index", "chunk_count"):
        value = getattr(record, name)
        if value is not None and not (type(value) is int and 0 <= value < 2**31):
            return f"its {name} must be a whole number from 0 to 2,147,483,647"
    if record.content is not None:
        if len(record.content) > MAX_CONTENT:
            return f"its content has {len(record.content):,} characters, at most {MAX_CONTENT:,} can be kept"
        wrong = surrogate_fault(record.content)
        if wrong:
            return f"its content {wrong}"
    fault = metadata_fault(record.metadata) if record.metadata != {} else None
    return f"its metadata {fault}" if fault else None


def _name_fault(name: str, value: object, *, needed: bool) -> str | None:
    if value is None and not needed:
        return None
    if not isinstance(value, str) or (needed and not value):
        return f"its {name} must be a text that is not empty"
    if len(value) > MAX_ID:
        return f"its {name} has {len(value):,} characters, at most {MAX_ID} can be kept"
    wrong = surrogate_fault(value)
    return f"its {name} {wrong}" if wrong else None


def _values_fault(values: Sequence[float], dimensions: int, metric: Metric) -> str | None:
    """Return why numbers are no vector of a dataset, or ``None``."""
    if len(values) != dimensions:
        return f"it has dimension {len(values)}, not {dimensions}"
    numbers = _numbers(values)
    if numbers is None:
        return "its values must all be numbers"
    # One product tells of all that is well: the square is finite where every number is, and not too large.
    with np.errstate(over="ignore", invalid="ignore"):
        length = math.sqrt(numbers @ numbers)
    if not length <= MAX_LENGTH:
        finite = np.isfinite(numbers)
        if not finite.all():
            return f"its value number {int(np.argmin(finite))} is not a finite number"
        return f"its length is beyond {MAX_LENGTH:g}, more than 32-bit floats can be compared with"
    if metric == "cosine" and length < MIN_LENGTH:
        return "it is zero, or as good as zero, and has no direction that the metric cosine could compare"
    return None


def _numbers(values: Any) -> NDArray[np.float64] | None:
    if isinstance(values, np.ndarray):
        return values.astype(np.float64) if values.ndim == 1 and values.dtype.kind in "fiu" else None
    if not set(map(type, values)) <= {float, int}:
        return None
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError:
        return np.full(len(values), np.inf)


def _check_text(name: str, value: object, most: int) -> None:
    if not isinstance(value, str) or not value.strip() or len(value) > most:
        raise InvalidValueError(f"The {name} must be a text of 1 to {most} characters.")
    wrong = surrogate_fault(value)
    if wrong:
        raise InvalidValueError(f"The {name} {wrong}: send valid Unicode.")


def _check_whole(name: str, value: object, least: int, most: int) -> None:
    if type(value) is not int or not least <= value <= most:
        shown = f", not {value!r}" if isinstance(value, (int, float)) and abs(value) < 1e18 else ""
        raise InvalidValueError(f"{name} must be a whole number from {least:,} to {most:,}{shown}.")


def _check_choice(name: str, value: object, choices: Any) -> None:
    known: tuple[str, ...] = get_args(choices)
    if value not in known:
        raise InvalidValueError(f"{name} must be one of {', '.join(known)}, not {str(value)[:40]!r}.")
