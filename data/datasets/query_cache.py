"""Answers of recent searches, by dataset, its version and the request: the same question is answered once.

Used by the dataset service. Invariant: a version is the position of the last change that a dataset has,
with that of its index, and is part of the key: no answer is older than the data, no write clears any.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import replace

import msgspec
import numpy as np

from data.datasets.ports import SearchAnswer, SearchRequest

#: Answers kept, and the most hits of one that is.
CAPACITY, MOST_HITS = 4_096, 100

Key = tuple[str, tuple[int, int], bytes]
_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


class QueryCache:
    """The most recently asked answers. Any thread."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._answers: OrderedDict[Key, SearchAnswer] = OrderedDict()

    def get(self, key: Key) -> SearchAnswer | None:
        """Return an answer, marked as one that was kept, or ``None``."""
        with self._lock:
            answer = self._answers.get(key)
            if answer is None:
                return None
            self._answers.move_to_end(key)
        return replace(answer, stats=replace(answer.stats, cached=True, database_ms=0.0, reranking_ms=0.0))

    def put(self, key: Key, answer: SearchAnswer) -> None:
        """Keep an answer in place of the one asked for longest ago."""
        if len(answer.hits) > MOST_HITS or not self._capacity:
            return
        with self._lock:
            self._answers[key] = answer
            self._answers.move_to_end(key)
            while len(self._answers) > self._capacity:
                self._answers.popitem(last=False)


def key_of(request: SearchRequest, version: tuple[int, int]) -> Key | None:
    """Return what stands for a request to a dataset at a version; ``None``: it cannot be answered."""
    try:
        vector = None if request.vector is None else np.asarray(request.vector, dtype=np.float32).tobytes()
        weights = (request.vector_weight, request.text_weight, request.fusion)
        asked = _ENCODER.encode((vector, request.text, weights, request.options, request.counts))
    except (TypeError, ValueError, UnicodeEncodeError):
        return None
    return request.dataset_id, version, asked
