"""Texts to unit vectors: the ONNX embedder and the cache in front of it, both the ``Embedder`` port.

Used by the models actor, batch jobs and index builds. Invariant: a text's vector is the same bytes alone,
in any batch, in any order and from any cache, because each text is a run of its own: the int8 graph scales
its activations by all that is in a tensor, so two texts in one tensor would bend each other's vectors.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import CorruptDataError, StoreUnavailableError
from data.models.artifacts import read_manifest
from data.ports import Embedder, KeyValueStore
from data.tracing import timed

MODEL_FILE = "model.onnx"
TOKENIZER_FILE = "tokenizer.json"

#: Longest text in word pieces; the rest is cut. Source: the model's ``sentence_bert_config.json``.
MAX_TOKENS = 256

#: How long a vector stays in the shared store; it never goes stale, this only bounds the store's size.
CACHE_TTL_S = 7 * 24 * 3600.0


class IdentifiedEmbedder(Embedder, Protocol):
    """An embedder that can say which one it is."""

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the model: vectors of different identities must not be mixed."""
        ...


class OnnxEmbedder:
    """The int8 MiniLM encoder on onnxruntime. Safe to call from several threads.

    ``threads`` texts run at the same time (a run holds no interpreter lock); each run itself is
    single-threaded.

    Raises:
        ModelUnavailableError: ``folder`` holds no model; ``python -m tasks.build_embedder`` makes one.
        CorruptDataError: a file does not match the manifest.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        from tokenizers import Tokenizer

        manifest = read_manifest(folder)
        if manifest.get("kind") != "embedder":
            raise CorruptDataError(
                f"The manifest in {folder} is not an embedder's: build the embedder again."
            )
        self._identity = str(manifest["sha256"])
        self._dim = int(manifest["dim"])
        self._session = open_session(folder / MODEL_FILE)
        self._tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="embed") if threads > 1 else None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._dim

    @property
    def identity(self) -> str:
        """Hex SHA-256 of the manifest the model was loaded by."""
        return self._identity

    @timed("embedder")
    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32, each row of length 1; a text longer than ``MAX_TOKENS`` is cut."""
        vectors = np.empty((len(texts), self._dim), dtype=np.float32)
        if self._pool is None or len(texts) < 2:
            self._fill(vectors, texts, 0, 1)
            return vectors
        shares = [
            self._pool.submit(self._fill, vectors, texts, start, self._threads)
            for start in range(min(self._threads, len(texts)))
        ]
        for share in shares:
            share.result()
        return vectors

    def _fill(self, vectors: NDArray[np.float32], texts: Sequence[str], start: int, step: int) -> None:
        for place in range(start, len(texts), step):
            ids = np.array([self._tokenizer.encode(texts[place]).ids], dtype=np.int64)
            feed = {"input_ids": ids, "attention_mask": np.ones_like(ids)}
            vectors[place] = self._session.run(None, feed)[0][0]


class CachedEmbedder:
    """An embedder that remembers: newest ``capacity`` texts in process, and a shared store behind them.

    Safe to call from several threads. A store that is away, or holds bytes that cannot be a vector, is
    passed over: the vector is computed again, so the cache can slow an answer but never change or fail it.
    """

    def __init__(self, inner: IdentifiedEmbedder, store: KeyValueStore | None, capacity: int) -> None:
        self._inner = inner
        self._store = store
        self._capacity = capacity
        self._recent: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._inner.dim

    @property
    def identity(self) -> str:
        """Identity of the embedder behind the cache."""
        return self._inner.identity

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Return (n, dim) float32, each row of length 1; each unknown text is computed once."""
        found: dict[str, bytes] = {}
        missing: list[str] = []
        for text in dict.fromkeys(texts):
            vector = self._remembered(text)
            if vector is None:
                missing.append(text)
            else:
                found[text] = vector
        if missing:
            for text, row in zip(missing, self._inner.embed(missing), strict=True):
                found[text] = row.tobytes()
                self._remember(text, found[text])
        joined = b"".join(found[text] for text in texts)
        return np.frombuffer(joined, dtype=np.float32).reshape(len(texts), self.dim)

    def _remembered(self, text: str) -> bytes | None:
        with self._lock:
            if text in self._recent:
                self._recent.move_to_end(text)
                return self._recent[text]
        vector = self._stored(text)
        if vector is not None:
            self._keep(text, vector)
        return vector

    def _remember(self, text: str, vector: bytes) -> None:
        self._keep(text, vector)
        if self._store is not None:
            with suppress(StoreUnavailableError):
                self._store.put(self._key(text), vector, ttl_s=CACHE_TTL_S)

    def _keep(self, text: str, vector: bytes) -> None:
        with self._lock:
            self._recent[text] = vector
            self._recent.move_to_end(text)
            while len(self._recent) > self._capacity:
                self._recent.popitem(last=False)

    def _stored(self, text: str) -> bytes | None:
        if self._store is None:
            return None
        with suppress(StoreUnavailableError):
            vector = self._store.get(self._key(text))
            if vector is not None and self._is_vector(vector):
                return vector
        return None

    def _is_vector(self, stored: bytes) -> bool:
        if len(stored) != self.dim * 4:
            return False
        return abs(float(np.linalg.norm(np.frombuffer(stored, dtype=np.float32))) - 1.0) < 1e-3

    def _key(self, text: str) -> str:
        return f"embedding:{self.identity[:16]}:{hashlib.sha256(text.encode()).hexdigest()}"


def open_session(model: Path) -> Any:
    """Return a single-threaded onnxruntime session for one model file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The fused skip-and-normalise kernel is several times slower on CPUs than the two nodes it replaces:
    # a short text takes 2.0 ms with it and 1.5 ms without (onnxruntime 1.31, one core).
    return onnxruntime.InferenceSession(
        str(model), options, providers=["CPUExecutionProvider"], disabled_optimizers=["SkipLayerNormFusion"]
    )
