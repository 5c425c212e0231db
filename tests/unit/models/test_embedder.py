"""The embedder: its graph against plain numpy, its vectors in any batch, and the cache in front of it."""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from data.errors import CorruptDataError, ModelUnavailableError, StoreUnavailableError
from data.models.embedder_graph import sentence_model
from data.models.embedding import CachedEmbedder, OnnxEmbedder
from tests.unit.models import tiny

TEXTS = [
    "the tower is tall",
    "rain fell in may",
    "the tower is not tall in may",
    "a",
    "is the rain the rain that fell in the tower in may a b a b a b",
    "",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("embedder") / "built"
    tiny.write_embedder(target)
    return target


def test_graph_of_random_weights_agrees_with_plain_numpy() -> None:
    """Every node is where it belongs: the float graph gives what the papers' formulas give."""
    import onnxruntime

    made = tiny.weights()
    model = sentence_model(made, tiny.SHAPE).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    for ids in ([2, 4, 5, 6, 7, 3], [2, 3], [2, 9, 10, 11, 12, 4, 5, 13, 14, 3]):
        feed = {"input_ids": np.array([ids]), "attention_mask": np.ones((1, len(ids)), dtype=np.int64)}
        found = session.run(None, feed)[0][0]
        assert np.allclose(found, tiny.reference(made, ids), atol=1e-5)


def test_graph_with_padding_gives_the_unpadded_vector() -> None:
    """The mask keeps padding out of attention and out of the mean."""
    import onnxruntime

    made = tiny.weights()
    model = sentence_model(made, tiny.SHAPE).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    ids = [2, 4, 5, 3, 0, 0, 0]
    mask = [1, 1, 1, 1, 0, 0, 0]
    found = session.run(None, {"input_ids": np.array([ids]), "attention_mask": np.array([mask])})[0][0]
    assert np.allclose(found, tiny.reference(made, ids[:4]), atol=1e-5)


def test_graph_built_twice_has_the_same_bytes() -> None:
    """The graph is a function of the weights."""
    made = tiny.weights()
    first, second = (sentence_model(made, tiny.SHAPE).SerializeToString() for _ in range(2))
    assert first == second


@pytest.mark.parametrize("threads", [1, 3])
def test_embedder_text_among_any_neighbours_has_the_same_bytes(folder: Path, threads: int) -> None:
    """Int8 scales never leak from one text into another, whatever the batch, order or number of threads."""
    alone = {text: OnnxEmbedder(folder).embed([text])[0].tobytes() for text in TEXTS}
    embedder = OnnxEmbedder(folder, threads=threads)
    shuffler = random.Random(5)
    for _ in range(5):
        batch = shuffler.sample(TEXTS, len(TEXTS)) + TEXTS[:2]
        for text, row in zip(batch, embedder.embed(batch), strict=True):
            assert row.tobytes() == alone[text]


def test_embedder_rows_have_length_one_and_near_float_direction(folder: Path) -> None:
    """Int8 keeps direction: its vector lies by the float one's."""
    vectors = OnnxEmbedder(folder).embed(TEXTS[:2])
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-5)
    ids = [2, 4, 5, 6, 7, 3]
    assert float(vectors[0] @ tiny.reference(tiny.weights(), ids)) > 0.97


def test_embedder_text_longer_than_the_limit_is_cut_at_256_pieces(folder: Path) -> None:
    """What follows the 256th piece changes nothing, and the tokenizer file's own limit of 8 is overruled."""
    embedder = OnnxEmbedder(folder)
    words = ["tower"] * 254
    long = embedder.embed([" ".join([*words, "rain", "fell"])])
    assert np.array_equal(long, embedder.embed([" ".join(words)]))
    assert not np.array_equal(long, embedder.embed([" ".join(words[:20])]))


def test_embedder_no_texts_gives_an_empty_array(folder: Path) -> None:
    """An empty batch is an answer, not an error."""
    assert OnnxEmbedder(folder).embed([]).shape == (0, 16)


def test_embedder_damaged_model_is_refused(tmp_path: Path) -> None:
    """A flipped byte is found before the model is used."""
    target = tmp_path / "embedder"
    tiny.write_embedder(target)
    content = bytearray((target / "model.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    (target / "model.onnx").write_bytes(content)
    with pytest.raises(CorruptDataError, match=r"model\.onnx"):
        OnnxEmbedder(target)


def test_embedder_missing_folder_says_so(tmp_path: Path) -> None:
    """No model is its own error."""
    with pytest.raises(ModelUnavailableError, match="no model"):
        OnnxEmbedder(tmp_path / "nothing")


class CountingEmbedder:
    """Two-dimensional vectors by text length, and a note of what was asked."""

    dim = 2
    identity = "ab" * 32

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        self.asked.append(list(texts))
        angles = np.array([len(text) / 7.0 for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


class FakeStore:
    """A key-value store in a dictionary that can be told to be away."""

    def __init__(self) -> None:
        self.rows: dict[str, bytes] = {}
        self.away = False

    def get(self, key: str) -> bytes | None:
        self.ping()
        return self.rows.get(key)

    def put(self, key: str, value: bytes, *, ttl_s: float | None = None) -> None:
        self.ping()
        self.rows[key] = value

    def swap(self, key: str, expected: bytes | None, value: bytes, *, ttl_s: float | None = None) -> bool:
        if self.rows.get(key) != expected:
            return False
        self.rows[key] = value
        return True

    def delete(self, key: str) -> bool:
        return self.rows.pop(key, None) is not None

    def scan(self, prefix: str) -> list[tuple[str, bytes]]:
        return sorted((key, value) for key, value in self.rows.items() if key.startswith(prefix))

    def ping(self) -> None:
        if self.away:
            raise StoreUnavailableError("The store is away.")


def test_cache_repeated_text_is_computed_once() -> None:
    """Known texts are not asked for again, within a batch or after it, and order is kept."""
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, None, 10)
    first = cached.embed(["aa", "b", "aa"])
    second = cached.embed(["b", "ccc", "aa"])
    assert inner.asked == [["aa", "b"], ["ccc"]]
    assert np.array_equal(first, CountingEmbedder().embed(["aa", "b", "aa"]))
    assert np.array_equal(second, CountingEmbedder().embed(["b", "ccc", "aa"]))


def test_cache_full_forgets_the_text_unused_longest() -> None:
    """Capacity is kept, and use keeps a text alive."""
    inner = CountingEmbedder()
    cached = CachedEmbedder(inner, None, 2)
    for text in ("a", "bb", "a", "ccc", "a", "bb"):
        cached.embed([text])
    assert inner.asked == [["a"], ["bb"], ["ccc"], ["bb"]]


def test_cache_second_process_finds_vectors_in_the_store() -> None:
    """The shared store answers where this process knows nothing."""
    store = FakeStore()
    expected = CachedEmbedder(CountingEmbedder(), store, 10).embed(["a", "bb"])
    other = CountingEmbedder()
    assert np.array_equal(CachedEmbedder(other, store, 10).embed(["a", "bb"]), expected)
    assert other.asked == []


def test_cache_of_another_model_is_not_read() -> None:
    """Vectors of two models never mix."""
    store = FakeStore()
    CachedEmbedder(CountingEmbedder(), store, 10).embed(["a"])
    other = CountingEmbedder()
    other.identity = "cd" * 32
    CachedEmbedder(other, store, 10).embed(["a"])
    assert other.asked == [["a"]]


@pytest.mark.parametrize("stored", [b"short", np.array([3.0, 4.0], dtype=np.float32).tobytes()])
def test_cache_bytes_that_are_no_vector_are_computed_again(stored: bytes) -> None:
    """A store with foreign bytes changes nothing in the answer."""
    store = FakeStore()
    expected = CachedEmbedder(CountingEmbedder(), store, 10).embed(["a"])
    store.rows = dict.fromkeys(store.rows, stored)
    assert np.array_equal(CachedEmbedder(CountingEmbedder(), store, 10).embed(["a"]), expected)


def test_cache_store_away_still_answers() -> None:
    """The cache is speed only: losing it loses no answer."""
    store = FakeStore()
    store.away = True
    cached = CachedEmbedder(CountingEmbedder(), store, 10)
    assert np.array_equal(cached.embed(["a"]), CountingEmbedder().embed(["a"]))


def test_cache_no_texts_gives_an_empty_array() -> None:
    """An empty batch is an answer, not an error."""
    assert CachedEmbedder(CountingEmbedder(), None, 10).embed([]).shape == (0, 2)
