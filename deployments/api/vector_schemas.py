"""Bodies of the vector API as msgspec structs: decoded straight from bytes, and shown in OpenAPI.

Called by the vector routes. Strict as ``api.schemas``: nothing is converted, unknown fields are refused, and
``null`` means the same as leaving an optional field out. Structs and not pydantic models, because a batch is
up to ten million numbers.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from msgspec import Meta, Struct

from data.datasets.checks import MAX_CONTENT, MAX_DESCRIPTION, MAX_ID, MAX_NAME, MAX_QUERY, MAX_TOP_K
from data.datasets.ports import FusionMethod
from data.datasets.records import MAX_BATCH, MAX_DIMENSIONS, IndexType, Metric, Quantisation
from data.datasets.shards import MAX_SHARDS

#: Longest text that is cut into vectors here, in characters.
MAX_TEXT_CHARS = 1_000_000
#: Most datasets in one search.
MAX_DATASETS = 32
#: Most words of a chunk, and the fewest that a caller may ask for.
MIN_CHUNK_WORDS, MAX_CHUNK_WORDS = 8, 1_000
#: How far the two weights of a hybrid search may be from a sum of 1.
WEIGHT_SLACK = 0.01
_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"

ThingId = Annotated[str, Meta(min_length=1, max_length=MAX_ID, pattern=_PRINTABLE)]
DatasetName = Annotated[str, Meta(min_length=1, max_length=MAX_NAME, pattern=_PRINTABLE)]
Label = Annotated[str, Meta(max_length=MAX_ID)]
Values = Annotated[list[float], Meta(min_length=1, max_length=MAX_DIMENSIONS)]
Content = Annotated[str, Meta(max_length=MAX_CONTENT)]
QueryText = Annotated[str, Meta(min_length=1, max_length=MAX_QUERY)]
Number = Annotated[int, Meta(ge=0, lt=2**31)]
Metadata = dict[str, Any]
Filters = dict[str, Any] | str
Weight = Annotated[float, Meta(ge=0.0, le=1.0)]
#: By words (BM25), or by the vector that the embedder makes of them.
TextMode = Literal["bm25", "semantic"]

#: What each field that is one of a few words may be, for the sentence that refuses another.
CHOICES: dict[str, tuple[str, ...]] = {
    "metric_type": get_args(Metric),
    "index_type": get_args(IndexType),
    "quantisation": get_args(Quantisation),
    "fusion_method": get_args(FusionMethod),
    "mode": get_args(TextMode),
}


class _Body(Struct, forbid_unknown_fields=True):
    """Strictness shared by every body."""


class IndexFields(_Body):
    """How a dataset is indexed; what is left out stays as it is, or is chosen by size."""

    index_type: IndexType | None = None
    hnsw_m: Annotated[int, Meta(ge=2, le=128)] | None = None
    hnsw_ef_construction: Annotated[int, Meta(ge=4, le=4_096)] | None = None
    hnsw_ef_search: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    ivf_nlist: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    ivf_nprobe: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    quantisation: Quantisation | None = None


class IndexRequest(IndexFields):
    """Build the index; ``force_rebuild`` even where nothing has changed since it was built."""

    force_rebuild: bool | None = None


class DatasetRequest(IndexFields, kw_only=True):
    """A new dataset; ``shards`` are spread over actors; ``overwrite``: in place of the one of this name."""

    name: DatasetName
    dimensions: Annotated[int, Meta(ge=1, le=MAX_DIMENSIONS)]
    metric_type: Metric | None = None
    shards: Annotated[int, Meta(ge=1, le=MAX_SHARDS)] | None = None
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION)] | None = None
    metadata: Metadata | None = None
    overwrite: bool | None = None


class DatasetChangeRequest(IndexFields):
    """What of a dataset shall be otherwise; dimensions and metric stay what they are."""

    name: DatasetName | None = None
    description: Annotated[str, Meta(max_length=MAX_DESCRIPTION)] | None = None
    metadata: Metadata | None = None
    dimensions: Annotated[int, Meta(ge=1, le=MAX_DIMENSIONS)] | None = None
    metric_type: Metric | None = None


class VectorChangeRequest(_Body):
    """What of a vector shall be otherwise; ``embed`` makes its numbers from the content."""

    values: Values | None = None
    content: Content | None = None
    content_hash: Label | None = None
    metadata: Metadata | None = None
    document_id: ThingId | None = None
    chunk_id: ThingId | None = None
    content_type: Label | None = None
    language: Label | None = None
    chunk_index: Number | None = None
    chunk_count: Number | None = None
    model: Label | None = None
    embed: bool | None = None


class VectorRequest(_Body, kw_only=True):
    """A vector. ``values`` may be left out where there is ``content``: it is embedded here."""

    document_id: ThingId
    id: ThingId | None = None
    values: Values | None = None
    chunk_id: ThingId | None = None
    content: Content | None = None
    content_hash: Label | None = None
    metadata: Metadata | None = None
    content_type: Label | None = None
    language: Label | None = None
    chunk_index: Number | None = None
    chunk_count: Number | None = None
    model: Label | None = None


class VectorBatchRequest(_Body, kw_only=True):
    """Vectors to be written. One whose id is there fails, unless one of the two says what else happens.

    ``batch_size`` writes so many at a time; all at once where it is left out.
    """

    vectors: Annotated[list[VectorRequest], Meta(min_length=1, max_length=MAX_BATCH)]
    skip_existing: bool | None = None
    overwrite: bool | None = None
    batch_size: Annotated[int, Meta(ge=1, le=MAX_BATCH)] | None = None


Ids = Annotated[list[ThingId], Meta(min_length=1, max_length=MAX_BATCH)]


class VectorDeleteRequest(_Body):
    """Vectors to be removed, by id; either name of the list will do."""

    ids: Ids | None = None
    vector_ids: Ids | None = None


class TextDocumentRequest(_Body, kw_only=True):
    """A text that is cut into chunks here, each a vector.

    ``chunk_size`` is the most words of a chunk; it repeats at most ``chunk_overlap`` of the one before.
    """

    text: Annotated[str, Meta(min_length=1, max_length=MAX_TEXT_CHARS)]
    document_id: ThingId | None = None
    chunk_size: Annotated[int, Meta(ge=MIN_CHUNK_WORDS, le=MAX_CHUNK_WORDS)] | None = None
    chunk_overlap: Annotated[int, Meta(ge=0, le=MAX_CHUNK_WORDS // 2)] | None = None
    metadata: Metadata | None = None
    content_type: Label | None = None
    language: Label | None = None
    skip_existing: bool | None = None
    overwrite: bool | None = None


class SearchOptionsFields(_Body):
    """How to search and what to tell; ``threshold`` is another name of ``min_score``."""

    top_k: Annotated[int, Meta(ge=1, le=MAX_TOP_K)] | None = None
    threshold: float | None = None
    metric_type: Metric | None = None
    include_content: bool | None = None
    include_metadata: bool | None = None
    include_values: bool | None = None
    filters: Filters | None = None
    deduplicate: bool | None = None
    group_by_document: bool | None = None
    rerank: bool | None = None
    ef_search: Annotated[int, Meta(ge=1, le=10_000)] | None = None
    nprobe: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    max_distance: float | None = None
    min_score: float | None = None
    exact: bool | None = None


class VectorSearchRequest(_Body, kw_only=True):
    """A search by a vector."""

    query_vector: Values
    options: SearchOptionsFields | None = None


class TextSearchRequest(_Body, kw_only=True):
    """A search by words: BM25 over the contents, or by the meaning of the text (``mode: semantic``)."""

    query_text: QueryText
    mode: TextMode | None = None
    options: SearchOptionsFields | None = None


class HybridSearchRequest(_Body):
    """A search by a vector and by words. Left out, the vector is made from the text."""

    query_vector: Values | None = None
    query_text: QueryText | None = None
    vector_weight: Weight = 0.5
    text_weight: Weight = 0.5
    fusion_method: FusionMethod | None = None
    options: SearchOptionsFields | None = None


class MultiSearchRequest(_Body, kw_only=True):
    """A search of several datasets; ``search_request`` may hold the question, as it is asked of one."""

    dataset_ids: Annotated[list[ThingId], Meta(min_length=1, max_length=MAX_DATASETS)]
    query_vector: Values | None = None
    query_text: QueryText | None = None
    options: SearchOptionsFields | None = None
    search_request: VectorSearchRequest | None = None
