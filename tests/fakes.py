"""Fakes of the data ports: simple, deterministic, in memory; each keeps the port's promises."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray

from data.claims import SHARED_TENANT, TenantId
from data.ledger import Entry
from data.ports import Hit


class FakeClock:
    """A clock that moves only when it is told to. Starts on 2026-01-01 00:00 UTC."""

    def __init__(self, now_s: float = 1_767_225_600.0) -> None:
        self._now_s = now_s

    def now_s(self) -> float:
        """Return seconds since the epoch."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move on (or, to see what happens, back)."""
        self._now_s += seconds


class FakeEmbedder:
    """Unit vectors of dimension 16 from the hashes of a text's words: texts that share words are close."""

    dim = 16

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, 16) float32, each row of length 1."""
        rows = [self._one(text) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dim)

    def _one(self, text: str) -> NDArray[np.float64]:
        total = np.full(self.dim, 1e-3)
        for word in text.casefold().split():
            digest = hashlib.sha256(word.strip(".,;:!?").encode("utf-8", "replace")).digest()
            total += np.frombuffer(digest[: self.dim], dtype=np.int8) / 128.0
        return np.asarray(total / np.sqrt((total * total).sum()))


class FakeVectorSink:
    """A vector sink that remembers what it was given, and can be told to fail or to forget."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.failing: Exception | None = None

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in entries, or raise what ``failing`` holds."""
        if self.failing is not None:
            raise self.failing
        self.entries += [entry for entry in entries if entry.seq > self.applied_seq()]

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        return self.entries[-1].seq if self.entries else 0

    def rebuild(self, read: Callable[[int, int], Sequence[Entry]]) -> int:
        """Take in everything anew."""
        self.entries.clear()
        while page := read(self.applied_seq(), 1_000):
            self.apply(page)
        return self.applied_seq()

    def forget(self) -> None:
        """Be like an index that was restarted without its files."""
        self.entries.clear()


class FakeVectorIndex:
    """Dense search over given passages: (tenant, id, text), embedded by :class:`FakeEmbedder`."""

    def __init__(self, passages: Sequence[tuple[TenantId, str, str]]) -> None:
        self._passages = list(passages)
        self._vectors = FakeEmbedder().embed([text for _, _, text in passages]).astype(np.float64)

    def search_vectors(
        self, tenants: Sequence[TenantId], vectors: NDArray[np.float32], k: int
    ) -> list[list[Hit]]:
        """Return at most ``k`` hits a row, best first, ties by id."""
        found = []
        for tenant, vector in zip(tenants, vectors, strict=True):
            scores = np.round((self._vectors * vector.astype(np.float64)).sum(axis=1), 6)
            hits = [
                Hit(passage_id, float(score))
                for (owner, passage_id, _), score in zip(self._passages, scores, strict=True)
                if owner in (tenant, SHARED_TENANT)
            ]
            found.append(sorted(hits, key=lambda hit: (-hit.score, hit.id))[:k])
        return found


@contextmanager
def running_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Run an event loop in a thread of its own, as a replica's does, for the length of the block."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever)
    thread.start()
    try:
        yield made
    finally:
        made.call_soon_threadsafe(made.stop)
        thread.join()
        made.close()
