"""A tiny encoder with the real one's shape: enough to test every node without the published weights."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.models.artifacts import write_manifest
from data.models.embedder_graph import BertShape, sentence_model

SHAPE = BertShape(layers=2, hidden=16, heads=4)
WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "the",
    "tower",
    "is",
    "tall",
    "not",
    "rain",
    "fell",
    "in",
    "may",
    "a",
    "b",
]
_PLACES, _INNER = 300, 32


def weights() -> dict[str, NDArray[np.float32]]:
    """Return reproducible weights under the published names."""
    random = np.random.default_rng(3)
    hidden = SHAPE.hidden

    def table(*size: int) -> NDArray[np.float32]:
        return random.normal(0.0, 0.3, size).astype(np.float32)

    made = {
        "embeddings.word_embeddings.weight": table(len(WORDS), hidden),
        "embeddings.position_embeddings.weight": table(_PLACES, hidden),
        "embeddings.token_type_embeddings.weight": table(2, hidden),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(SHAPE.layers):
        prefix = f"encoder.layer.{layer}"
        for name, size in (
            ("attention.self.query", (hidden, hidden)),
            ("attention.self.key", (hidden, hidden)),
            ("attention.self.value", (hidden, hidden)),
            ("attention.output.dense", (hidden, hidden)),
            ("intermediate.dense", (_INNER, hidden)),
            ("output.dense", (hidden, _INNER)),
        ):
            made[f"{prefix}.{name}.weight"] = table(*size)
            made[f"{prefix}.{name}.bias"] = table(size[0])
        norms += [f"{prefix}.attention.output.LayerNorm", f"{prefix}.output.LayerNorm"]
    for norm in norms:
        made[f"{norm}.weight"] = 1.0 + table(hidden)
        made[f"{norm}.bias"] = table(hidden)
    return made


def pair_weights() -> dict[str, NDArray[np.float32]]:
    """Return the weights of a tiny cross-encoder."""
    random = np.random.default_rng(5)
    head = {
        "classifier.weight": random.normal(0.0, 0.6, (3, SHAPE.hidden)).astype(np.float32),
        "classifier.bias": random.normal(0.0, 0.3, 3).astype(np.float32),
    }
    return {**weights(), **head}


def reference(made: dict[str, NDArray[np.float32]], ids: list[int]) -> NDArray[np.float64]:
    """Return the sentence vector of one text by plain numpy, written from the papers, not from the graph."""
    mean = states(made, ids, [0] * len(ids)).mean(0)
    return np.asarray(mean / np.linalg.norm(mean))


def reference_logits(made: dict[str, NDArray[np.float32]], ids: list[int], sides: list[int]) -> list[float]:
    """Return the cross-encoder's logits of one pair by plain numpy."""
    first = states(made, ids, sides)[0]
    return list(made["classifier.weight"] @ first + made["classifier.bias"])


def states(made: dict[str, NDArray[np.float32]], ids: list[int], sides: list[int]) -> NDArray[np.float64]:
    """Return the last hidden states (length, hidden): every layer for every token."""
    w = {name: value.astype(np.float64) for name, value in made.items()}

    def norm(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + SHAPE.epsilon)
        return np.asarray(scaled * w[f"{name}.weight"] + w[f"{name}.bias"])

    def dense(x: NDArray[np.float64], name: str) -> NDArray[np.float64]:
        return np.asarray(x @ w[f"{name}.weight"].T + w[f"{name}.bias"])

    x = w["embeddings.word_embeddings.weight"][ids] + w["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + w["embeddings.token_type_embeddings.weight"][sides], "embeddings.LayerNorm")
    width = SHAPE.hidden // SHAPE.heads
    for layer in range(SHAPE.layers):
        prefix = f"encoder.layer.{layer}"
        q, k, v = (dense(x, f"{prefix}.attention.self.{part}") for part in ("query", "key", "value"))
        mixed = []
        for head in range(SHAPE.heads):
            cut = slice(head * width, (head + 1) * width)
            scores = np.exp(q[:, cut] @ k[:, cut].T / math.sqrt(width))
            mixed.append(scores / scores.sum(-1, keepdims=True) @ v[:, cut])
        attended = dense(np.concatenate(mixed, axis=1), f"{prefix}.attention.output.dense")
        x = norm(x + attended, f"{prefix}.attention.output.LayerNorm")
        wide = dense(x, f"{prefix}.intermediate.dense")
        active = wide * 0.5 * (1.0 + np.vectorize(math.erf)(wide / math.sqrt(2.0)))
        x = norm(x + dense(active, f"{prefix}.output.dense"), f"{prefix}.output.LayerNorm")
    return x


def write_tokenizer(path: Path) -> None:
    """Write a word-level tokenizer over ``WORDS`` that pads and cuts, as the published one does."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from tokenizers.processors import TemplateProcessing

    tokenizer = Tokenizer(WordLevel({word: place for place, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    tokenizer.enable_padding(length=32)
    tokenizer.enable_truncation(8)
    tokenizer.save(str(path))


def write_embedder(folder: Path) -> str:
    """Write a whole int8 embedder of tiny size into ``folder``; return its identity."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    folder.mkdir(parents=True)
    onnx.save(sentence_model(weights(), SHAPE), folder / "float.onnx")
    quantize_dynamic(
        folder / "float.onnx",
        folder / "model.onnx",
        op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
    )
    write_tokenizer(folder / "tokenizer.json")
    return write_manifest(folder, {"kind": "embedder", "dim": 16}, files=("model.onnx", "tokenizer.json"))
