"""``POST /datasets/{dataset_id}/documents``: a whole text in, cut into chunks here, each a vector."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from data.datasets.ports import NewVector
from data.datasets.records import MAX_BATCH, VectorRecord
from data.documents import document_id
from data.errors import InvalidValueError
from data.knowledge import text_sha256
from deployments.api.context import pay_for_items
from deployments.api.reading import misfit
from deployments.api.responses import json_response
from deployments.api.routes.vectors import insert_answer, insert_in_parts
from deployments.api.vector_desk import VectorDesk, names_of
from deployments.api.vector_requests import on_duplicate, read_body
from deployments.api.vector_schemas import TextDocumentRequest
from deployments.document_chunks import chunks_of

_Span = tuple[int, int]


class VectorDocumentRoutes:
    """Takes documents. One a process."""

    def __init__(self, desk: VectorDesk) -> None:
        self._desk = desk

    async def add(self, request: Request) -> Response:
        """Cut a text into chunks, embed them and write each as a vector; the answer has their offsets.

        With ``overwrite`` they take the place of the document's earlier chunks, all of which go.
        """
        started = time.perf_counter()
        asked = await read_body(request, TextDocumentRequest)
        how = on_duplicate(asked.skip_existing, asked.overwrite)
        spans = await asyncio.to_thread(_spans, asked)
        await pay_for_items(request, len(spans))
        name = asked.document_id or document_id(asked.text)
        vectors = _vectors(asked, name, spans)

        async def answer() -> Response:
            report = await insert_in_parts(self._desk, request, vectors, how=how, size=len(vectors))
            removed = await self._sweep(request, name, vectors) if asked.overwrite else 0
            told = {
                **insert_answer(report, started),
                "document_id": name,
                "chunk_count": len(spans),
                "chunks": [_chunk(number, name, span) for number, span in enumerate(spans)],
                "removed_count": removed,
            }
            return json_response(told, status=201)

        return await self._desk.repeats.once(request, answer)

    async def _sweep(self, request: Request, name: str, kept: Sequence[NewVector]) -> int:
        """Remove what is left of the document's earlier chunks; return how many those were."""
        tenant, dataset_id = names_of(request)
        ids = {vector.record.id for vector in kept}

        def work(port: Any) -> int:
            stale: list[str] = []
            offset, page = 0, None
            while page is None or page.vectors:
                page = port.vectors(
                    tenant, dataset_id, limit=MAX_BATCH, offset=offset,
                    filters={"document_id": {"$eq": name}},
                )  # fmt: skip
                stale += [one.record.id for one in page.vectors if one.record.id not in ids]
                offset += len(page.vectors)
            return sum(
                port.delete_vectors(tenant, dataset_id, stale[start : start + MAX_BATCH])
                for start in range(0, len(stale), MAX_BATCH)
            )

        return await self._desk.ask(work)


def _spans(asked: TextDocumentRequest) -> list[_Span]:
    overlap = asked.chunk_overlap or 0
    if asked.chunk_size is not None and overlap > asked.chunk_size // 2:
        raise misfit("chunk_overlap", "is more than half of chunk_size: make it smaller")
    spans = chunks_of(asked.text, asked.chunk_size, overlap)
    if not spans:
        raise misfit("text", "has no word in it")
    if len(spans) > MAX_BATCH:
        raise InvalidValueError(
            f"text makes {len(spans)} chunks, and one request writes at most {MAX_BATCH}: send it in parts, "
            "or with a larger chunk_size."
        )
    return spans


def _vectors(asked: TextDocumentRequest, name: str, spans: Sequence[_Span]) -> list[NewVector]:
    found = []
    for number, (start, end) in enumerate(spans):
        content = asked.text[start:end]
        record = VectorRecord(
            id=_chunk_id(name, number),
            document_id=name,
            chunk_id=_chunk_id(name, number),
            content=content,
            content_hash=text_sha256(content),
            metadata={**(asked.metadata or {}), "chunk_start": start, "chunk_end": end},
            content_type=asked.content_type,
            language=asked.language,
            chunk_index=number,
            chunk_count=len(spans),
        )
        found.append(NewVector(record))
    return found


def _chunk_id(name: str, number: int) -> str:
    return f"{name}#{number}"


def _chunk(number: int, name: str, span: _Span) -> dict[str, Any]:
    return {"id": _chunk_id(name, number), "chunk_index": number, "start": span[0], "end": span[1]}
