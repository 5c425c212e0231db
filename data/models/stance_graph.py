"""The stance model as an ONNX graph: claim and passage in one row of tokens, three logits out.

Called by ``tasks.train_stance``. One pair a run, so there is no padding and no mask, and a pair's logits
cannot depend on its neighbours. In the last layer only the first token asks, since its state alone is read.

Source: Devlin et al. 2019 (BERT); Wang et al. 2020 (MiniLM).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.models.embedder_graph import (
    FUSED_DOMAIN,
    BertShape,
    GraphBuilder,
    Weights,
    finished_model,
    gelu,
)
from data.models.pair_tokens import MAX_TOKENS

#: Names of the graph's inputs, (1, length) int64: token ids, and 0 for the claim's side, 1 for the passage's.
IDS, SIDES = "input_ids", "token_types"


def stance_model(weights: Weights, shape: BertShape, *, small_table: bool) -> Any:
    """Return the ``onnx.ModelProto`` from ``IDS`` and ``SIDES`` to logits (1, classes) float32.

    ``small_table``: keep the word table as int8 with one scale a word (a quarter of its size).
    """
    builder = GraphBuilder()
    hidden = _embeddings(builder, weights, shape, small_table=small_table)
    for index in range(shape.layers):
        last = index == shape.layers - 1
        hidden = _layer(builder, weights, shape, prefix=f"encoder.layer.{index}", hidden=hidden, last=last)
    flat = builder.constant("state.shape", np.array([1, shape.hidden], dtype=np.int64))
    state = builder.node("Reshape", "state", hidden, flat)
    kernel = builder.constant("classifier.kernel", weights["classifier.weight"].T)
    shift = builder.constant("classifier.shift", weights["classifier.bias"])
    builder.node("Gemm", "logits", state, kernel, shift)
    return finished_model(builder, (IDS, SIDES), output="logits", width=len(weights["classifier.bias"]))


def _embeddings(builder: GraphBuilder, weights: Weights, shape: BertShape, *, small_table: bool) -> str:
    tables = weights["embeddings.word_embeddings.weight"]
    words = _small_words(builder, tables) if small_table else _words(builder, tables)
    places = builder.constant("places", weights["embeddings.position_embeddings.weight"][:MAX_TOKENS])
    start = builder.constant("zero", np.array([0], dtype=np.int64))
    size = builder.node("Shape", "ids.shape", IDS, start=1, end=2)
    placed = builder.node(
        "Add", "words.placed", words, builder.node("Slice", "here", places, start, size, start)
    )
    kinds = builder.constant("kinds", weights["embeddings.token_type_embeddings.weight"])
    total = builder.node("Add", "words.sided", placed, builder.node("Gather", "sides", kinds, SIDES))
    return builder.normalised(
        "embedded", total, weights=weights, prefix="embeddings.LayerNorm", epsilon=shape.epsilon
    )


def _words(builder: GraphBuilder, table: NDArray[np.float32]) -> str:
    return builder.node("Gather", "words.found", builder.constant("words", table), IDS)


def _small_words(builder: GraphBuilder, table: NDArray[np.float32]) -> str:
    scale = np.abs(table).max(axis=1, keepdims=True) / 127.0
    scale[scale == 0.0] = 1.0
    small = np.rint(table / scale).astype(np.int8)
    found = builder.node("Gather", "words.small", builder.constant("words", small), IDS)
    scales = builder.node("Gather", "words.scale", builder.constant("words.scales", scale), IDS)
    return builder.node("Mul", "words.found", builder.node("Cast", "words.cast", found, to=1), scales)


def _layer(
    builder: GraphBuilder, weights: Weights, shape: BertShape, *, prefix: str, hidden: str, last: bool
) -> str:
    asking = _first(builder, prefix, hidden) if last else hidden
    mixed = _attention(builder, weights, shape, prefix=prefix, hidden=hidden, asking=asking if last else None)
    out = f"{prefix}.attention.output"
    mixed = _linear(builder, weights, f"{out}.dense", mixed)
    hidden = _beside(builder, weights, shape, prefix=out, inner=mixed, hidden=asking)
    wide = gelu(builder, f"{prefix}.gelu", _linear(builder, weights, f"{prefix}.intermediate.dense", hidden))
    narrow = _linear(builder, weights, f"{prefix}.output.dense", wide)
    return _beside(builder, weights, shape, prefix=f"{prefix}.output", inner=narrow, hidden=hidden)


def _first(builder: GraphBuilder, prefix: str, hidden: str) -> str:
    start = builder.constant("zero", np.array([0], dtype=np.int64))
    one = builder.constant("one.index", np.array([1], dtype=np.int64))
    return builder.node("Slice", f"{prefix}.first", hidden, start, one, one)


def _attention(
    builder: GraphBuilder, weights: Weights, shape: BertShape, *, prefix: str, hidden: str, asking: str | None
) -> str:
    """Add attention of ``asking`` (``None``: all) over ``hidden``, in few products: each quantises anew."""
    own = f"{prefix}.attention.self"
    names = [f"{own}.{part}.states" for part in ("query", "key", "value")]
    joint = ("query", "key", "value") if asking is None else ("key", "value")
    kernel = np.concatenate([weights[f"{own}.{part}.weight"] for part in joint])
    shift = np.concatenate([weights[f"{own}.{part}.bias"] for part in joint])
    product = builder.linear(f"{own}.joint", hidden, weight=kernel, bias=shift)
    builder.split(product, names[-len(joint) :], width=shape.hidden)
    if asking is not None:
        names[0] = _linear(builder, weights, f"{own}.query", asking)
    return builder.node(
        "MultiHeadAttention", f"{own}.mixed", *names, domain=FUSED_DOMAIN, num_heads=shape.heads
    )


def _linear(builder: GraphBuilder, weights: Weights, name: str, source: str) -> str:
    return builder.linear(
        f"{name}.out", source, weight=weights[f"{name}.weight"], bias=weights[f"{name}.bias"]
    )


def _beside(
    builder: GraphBuilder, weights: Weights, shape: BertShape, *, prefix: str, inner: str, hidden: str
) -> str:
    total = builder.node("Add", f"{prefix}.total", inner, hidden)
    norm = f"{prefix}.LayerNorm"
    return builder.normalised(f"{norm}.out", total, weights=weights, prefix=norm, epsilon=shape.epsilon)
