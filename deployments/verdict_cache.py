"""Verdicts already worked out: in this process first, then in the shared store.

The key holds everything a verdict depends on, the ledger position included, so an entry is never staler
than the knowledge and no write has to invalidate anything. Degraded verdicts are not kept.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from data.claims import Rejected
from data.errors import UnavailableError
from data.ports import KeyValueStore
from data.questions import Question
from data.verdicts import Verdict

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Verdict)


class VerdictCache:
    """A cache of two levels.

    An LRU of ``capacity`` verdicts here, and ``shared`` (LMDB or Redis) with a time to live. ``count`` is
    told of hits and misses.
    """

    def __init__(
        self,
        shared: KeyValueStore | None,
        *,
        model_bundle: str,
        capacity: int = 20_000,
        ttl_s: float = 3600.0,
        count: Callable[[int, int], None] = lambda _hits, _misses: None,
    ) -> None:
        self._shared = shared
        self._count = count
        self._bundle = model_bundle
        self._capacity = capacity
        self._ttl_s = ttl_s
        self._local: OrderedDict[str, Verdict] = OrderedDict()

    async def get(self, questions: Sequence[Question], position: int) -> list[Verdict | None]:
        """Return what is known of each question at this ledger position."""
        keys = [self._key(question, position) for question in questions]
        found = [self._local.get(key) for key in keys]
        missing = [i for i, verdict in enumerate(found) if verdict is None]
        if missing and self._shared is not None:
            stored = await asyncio.to_thread(self._read, [keys[i] for i in missing])
            for i, verdict in zip(missing, stored, strict=True):
                if verdict is not None:
                    found[i] = verdict
                    self._keep(keys[i], verdict)
        misses = sum(verdict is None for verdict in found)
        self._count(len(found) - misses, misses)
        return found

    async def put(
        self, questions: Sequence[Question], results: Sequence[Verdict | Rejected], position: int
    ) -> None:
        """Remember these verdicts."""
        fresh = {
            self._key(question, position): verdict
            for question, verdict in zip(questions, results, strict=True)
            if isinstance(verdict, Verdict) and not verdict.degraded
        }
        for key, verdict in fresh.items():
            self._keep(key, verdict)
        if self._shared is not None and fresh:
            await asyncio.to_thread(self._write, fresh)

    def _key(self, question: Question, position: int) -> str:
        raw = _ENCODER.encode((question, question.position(position), self._bundle))
        return f"verdict/{question.claim.tenant}/{hashlib.sha256(raw).hexdigest()}"

    def _keep(self, key: str, verdict: Verdict) -> None:
        self._local[key] = verdict
        self._local.move_to_end(key)
        while len(self._local) > self._capacity:
            self._local.popitem(last=False)

    def _read(self, keys: Sequence[str]) -> list[Verdict | None]:
        assert self._shared is not None  # noqa: S101 - callers check
        found: list[Verdict | None] = []
        for key in keys:
            try:
                raw = self._shared.get(key)
                found.append(None if raw is None else _DECODER.decode(raw))
            except (UnavailableError, msgspec.DecodeError):  # a cache that is away only costs time
                found.append(None)
        return found

    def _write(self, fresh: dict[str, Verdict]) -> None:
        assert self._shared is not None  # noqa: S101 - callers check
        for key, verdict in fresh.items():
            try:
                self._shared.put(key, _ENCODER.encode(verdict), ttl_s=self._ttl_s)
            except UnavailableError:
                return
