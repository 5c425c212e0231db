"""Bulk loads: immutable Parquet files that one ledger row points to.

Written by import tasks, read by the views when they apply ``segment.load``. Invariant: a segment is named by
the SHA-256 of its bytes, is whole and durable before its name is known, and is verified before it is parsed.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from data.changes import SegmentRef, check_fact
from data.documents import passages_of, split
from data.durable import sync_folder
from data.errors import CorruptDataError, InvalidValueError
from data.knowledge import Document, Fact, Passage, Source
from data.rdf import canonical_quads, check_lines
from data.titles import embedded_text, vectors_id

#: Folder of the segments, under the home.
FOLDER = "segments"
#: Gives (passages, dim) float32 unit vectors for passages' texts.
EmbedTexts = Callable[[Sequence[str]], NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class LoadedDocument:
    """A document with its passages and, if the segment has them, their vectors (passages, dim) float32."""

    document: Document
    passages: tuple[Passage, ...]
    vectors: NDArray[np.float32] | None


def write_documents(
    home: Path, documents: Iterable[Document], *, embed: EmbedTexts | None = None, embedder: str | None = None
) -> SegmentRef:
    """Write documents, split into passages, with vectors when ``embed`` is given.

    ``embedder`` is the identity of its weights; the vectors are of passages behind their titles.
    """
    rows = []
    for document in documents:
        passages = split(document)
        if not passages:
            raise InvalidValueError(f"The document {document.id!r} has no words: leave it out.")
        row = asdict(document)
        row["metadata"] = msgspec.json.encode(document.metadata, order="sorted").decode()
        row["starts"] = [passage.start for passage in passages]
        row["ends"] = [passage.end for passage in passages]
        row["vectors"] = None
        if embed is not None:
            texts = [embedded_text(passage) for passage in passages]
            row["vectors"] = embed(texts).astype(np.float32).ravel()
        rows.append(row)
    return _write(home, "documents", rows, vectors_id(embedder) if embed is not None and embedder else None)


def write_facts(home: Path, facts: Iterable[Fact]) -> SegmentRef:
    """Write facts.

    Raises:
        InvalidValueError: a fact cannot be kept (see ``put_fact``).
    """
    rows = []
    for fact in facts:
        check_fact(fact)
        rows.append(asdict(fact))
    return _write(home, "facts", rows, None)


def write_sources(home: Path, sources: Iterable[Source]) -> SegmentRef:
    """Write sources."""
    rows = [{**asdict(source), "cites": list(source.cites)} for source in sources]
    return _write(home, "sources", rows, None)


def write_graph(home: Path, nquads: str, key: str) -> SegmentRef:
    """Write statements. Their key in the graph is the segment's ``uri``; ``key`` only names blank nodes."""
    return _write(home, "graph", [{"line": line} for line in canonical_quads(nquads, key)], None)


def read_documents(home: Path, ref: SegmentRef) -> Iterator[LoadedDocument]:
    """Yield the documents of a segment, in the order written.

    Raises:
        CorruptDataError: the file is missing, or is not what the ledger says it is.
    """
    for row in _rows(home, ref, "documents"):
        starts, ends, flat = row.pop("starts"), row.pop("ends"), row.pop("vectors")
        row["metadata"] = msgspec.json.decode(row["metadata"], type=dict[str, str])
        document = Document(**row)
        vectors = None if flat is None else np.asarray(flat, dtype=np.float32).reshape(len(starts), -1)
        yield LoadedDocument(document, passages_of(document, tuple(zip(starts, ends, strict=True))), vectors)


def read_facts(home: Path, ref: SegmentRef) -> list[Fact]:
    """Return the facts of a segment. Raises ``CorruptDataError`` as :func:`read_documents` does."""
    return [Fact(**row) for row in _rows(home, ref, "facts")]


def read_sources(home: Path, ref: SegmentRef) -> list[Source]:
    """Return the sources of a segment. Raises ``CorruptDataError`` as :func:`read_documents` does."""
    return [Source(**{**row, "cites": tuple(row["cites"])}) for row in _rows(home, ref, "sources")]


def read_graph(home: Path, ref: SegmentRef) -> str:
    """Return the N-Quads lines of a segment. Raises ``CorruptDataError`` as :func:`read_documents` does."""
    return "\n".join(row["line"] for row in _rows(home, ref, "graph")) + "\n"


def ids_in(home: Path, ref: SegmentRef) -> list[str]:
    """Return the ids of what a segment of documents, facts or sources holds, in the order written.

    Raises:
        CorruptDataError: as :func:`read_documents` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    ids: list[str] = pq.read_table(pa.BufferReader(verified_bytes(home, ref)), columns=["id"])[
        "id"
    ].to_pylist()
    return ids


def write_rest(home: Path, ref: SegmentRef, kept: Sequence[int]) -> SegmentRef:
    """Write a segment with only the rows of these numbers (none: an empty one) and return where it lies.

    Raises:
        CorruptDataError: as :func:`read_documents` does.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if ref.kind == "graph" or not kept:
        return _store(home, ref.kind, _schema(ref.kind).empty_table(), ref.embedder)
    table = pq.read_table(pa.BufferReader(verified_bytes(home, ref)))
    return _store(home, ref.kind, table.take(pa.array(kept)), ref.embedder)


def check_segment(home: Path, ref: SegmentRef) -> None:
    """Read a segment in full, as every view will.

    Raises:
        InvalidValueError: it is not there, not whole, or holds something that cannot be kept.
    """
    try:
        if ref.kind == "documents":
            for _ in read_documents(home, ref):
                pass
        elif ref.kind == "facts":
            for fact in read_facts(home, ref):
                check_fact(fact)
        elif ref.kind == "sources":
            read_sources(home, ref)
        elif ref.kind == "graph":
            check_lines(read_graph(home, ref), ref.uri)
        else:
            raise InvalidValueError(f"A segment holds documents, facts, graph or sources, not {ref.kind!r}.")
    except CorruptDataError as exc:
        raise InvalidValueError(f"The bulk load {ref.uri!r} cannot be taken in: {exc}") from exc


def verified_bytes(home: Path, ref: SegmentRef) -> bytes:
    """Return the file's bytes once their SHA-256 is what the ledger says.

    Raises:
        CorruptDataError: the file is missing, outside the segments' folder, or altered.
    """
    folder = (home / FOLDER).resolve()
    path = (home / ref.uri).resolve()
    if path.parent != folder:
        raise CorruptDataError(f"The segment {ref.uri!r} is not in the folder {FOLDER!r} of this home.")
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise CorruptDataError(f"The segment {ref.uri} cannot be read ({exc.strerror}): restore it.") from exc
    if hashlib.sha256(content).hexdigest() != ref.sha256:
        raise CorruptDataError(f"The segment {ref.uri} does not match its SHA-256: restore it from a backup.")
    return content


def durable_write(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)


def _schema(kind: str) -> Any:
    import pyarrow as pa

    text, whole = pa.string(), pa.list_(pa.int32())
    columns = {
        "documents": [
            (name, text) for name in ("id", "text", "title", "url", "source", "published_at", "metadata")
        ]
        + [("starts", whole), ("ends", whole), ("vectors", pa.list_(pa.float32()))],
        "facts": [(name, text) for name in ("id", "subject", "predicate", "object", "unit")]
        + [(name, text) for name in ("valid_from", "valid_to", "source")]
        + [("value", pa.float64()), ("confidence", pa.float64())],
        "sources": [(name, text) for name in ("id", "name", "kind", "url", "owner")]
        + [("cites", pa.list_(text))],
        "graph": [("line", text)],
    }
    return pa.schema(columns[kind])


def _write(home: Path, kind: str, rows: list[dict[str, Any]], embedder: str | None) -> SegmentRef:
    import pyarrow as pa

    if not rows:
        raise InvalidValueError(f"A segment of {kind} needs at least one row.")
    try:
        table = pa.Table.from_pylist(rows, schema=_schema(kind))
    except (UnicodeEncodeError, pa.ArrowInvalid) as exc:
        raise InvalidValueError(f"The segment of {kind} has text that is not valid Unicode: {exc}.") from exc
    return _store(home, kind, table, embedder)


def _store(home: Path, kind: str, table: Any, embedder: str | None) -> SegmentRef:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    digest = hashlib.sha256(content).hexdigest()
    uri = f"{FOLDER}/{digest}.parquet"
    durable_write(home / uri, content)
    return SegmentRef(uri, table.num_rows, digest, kind, embedder)


def _rows(home: Path, ref: SegmentRef, kind: str) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if ref.kind != kind:
        raise CorruptDataError(f"The segment {ref.uri} holds {ref.kind}, not {kind}.")
    table = pq.read_table(pa.BufferReader(verified_bytes(home, ref)))
    if table.num_rows != ref.rows or table.schema.names != _schema(kind).names:
        raise CorruptDataError(f"The segment {ref.uri} does not have the rows and columns of {kind}.")
    for batch in table.to_batches(max_chunksize=1_000):
        yield from batch.to_pylist()
