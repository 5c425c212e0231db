"""Writes that are sent twice under one ``Idempotency-Key``: done once, answered alike.

Called by routes whose port knows of no such keys. What was answered is kept in the shared store for a day, so
a repeat may come to any replica. Invariant: while the first is at work, a second is refused (409), not done.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from data.errors import ConflictError
from data.ports import KeyValueStore
from deployments.api.context import tenant_of
from deployments.api.knowledge_requests import idempotency_key
from deployments.api.responses import JSON_TYPE

#: How long an answer is kept, and how long one that never came (its replica died) blocks its key, seconds.
KEEP_S, PENDING_S = 24 * 3600.0, 120.0


class _Answered(msgspec.Struct, array_like=True):
    """What a key was used for; ``status`` is 0 while it is being answered."""

    digest: bytes
    status: int = 0
    body: bytes = b""
    location: str = ""


_DECODER = msgspec.msgpack.Decoder(_Answered)
_ENCODER = msgspec.msgpack.Encoder()


class Repeats:
    """Answers of one installation, by tenant, route and key. One a process."""

    def __init__(self, store: KeyValueStore) -> None:
        self._store = store

    async def once(self, request: Request, answer: Callable[[], Awaitable[Response]]) -> Response:
        """Return ``answer()``, or what the same request was answered before under its key.

        Raises:
            ConflictError: the key was used for another request, or that request is still at work.
        """
        named = idempotency_key(request)
        if named is None:
            return await answer()
        digest = hashlib.sha256(await request.body()).digest()
        name = f"{tenant_of(request)}/{hashlib.sha256(named.encode()).hexdigest()}"
        key = f"answer/{name}"
        pending = _ENCODER.encode(_Answered(digest))
        if not await asyncio.to_thread(self._store.swap, key, None, pending, ttl_s=PENDING_S):
            return await self._replayed(key, digest)
        try:
            response = await answer()
        except BaseException:
            await asyncio.to_thread(self._store.delete, key)
            raise
        told = _Answered(
            digest, response.status_code, bytes(response.body), response.headers.get("location", "")
        )
        await asyncio.to_thread(self._store.put, key, _ENCODER.encode(told), ttl_s=KEEP_S)
        return response

    async def _replayed(self, key: str, digest: bytes) -> Response:
        kept = await asyncio.to_thread(self._store.get, key)
        told = _DECODER.decode(kept) if kept else None
        if told is None or (told.status == 0 and told.digest == digest):
            raise ConflictError(
                "The request with this Idempotency-Key is at work: send it again in a moment."
            )
        if told.digest != digest:
            raise ConflictError("This Idempotency-Key was used for another request: choose another.")
        headers = {"Idempotency-Replayed": "true"}
        if told.location:
            headers["Location"] = told.location
        return Response(told.body, told.status, headers=headers, media_type=JSON_TYPE)
