"""The sentence encoder as an ONNX graph, built node by node from the published weights: no PyTorch anywhere.

Called by ``tasks.build_embedder`` once, at set-up, and by the trainer of other models on the same body.
Invariant: the same weights give the same graph, name for name.

Source: Devlin et al. 2019 (BERT); Wang et al. 2020 (MiniLM); Reimers and Gurevych 2019 (mean pooling, unit
length).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: SHA-256 of the official all-MiniLM-L6-v2 ``model.safetensors``.
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

#: Opset 17 brought LayerNormalization; every onnxruntime we support runs it.
_OPSET = 17
_IR_VERSION = 8

#: Domain of onnxruntime's own operators.
FUSED_DOMAIN = "com.microsoft"

Weights = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class BertShape:
    """Dimensions of the encoder; the defaults are MiniLM-L6-H384's."""

    layers: int = 6
    hidden: int = 384
    heads: int = 12
    epsilon: float = 1e-12


class GraphBuilder:
    """Collects nodes and constants of one graph; every method returns the name of what it added."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._known: set[str] = set()

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant tensor once, under ``name``."""
        from onnx import numpy_helper

        if name not in self._known:
            self._known.add(name)
            self.constants.append(numpy_helper.from_array(np.array(value, order="C"), name))
        return name

    def node(self, kind: str, name: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output, called ``name``."""
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"{name}/node", **attributes))
        return name

    def split(self, source: str, names: Sequence[str], *, width: int) -> None:
        """Add a node that cuts ``source`` along its last axis into ``names`` of ``width`` each."""
        from onnx import helper

        widths = self.constant(f"split.{len(names)}", np.full(len(names), width, dtype=np.int64))
        self.nodes.append(
            helper.make_node("Split", [source, widths], list(names), name=f"{source}/split", axis=-1)
        )

    def linear(self, name: str, source: str, *, weight: NDArray[Any], bias: NDArray[Any]) -> str:
        """Add ``source @ weight.T + bias`` for a weight stored (out, in)."""
        kernel = self.constant(f"{name}.weight", weight.T)
        product = self.node("MatMul", f"{name}.product", source, kernel)
        return self.node("Add", name, product, self.constant(f"{name}.bias", bias))

    def normalised(self, name: str, source: str, *, weights: Weights, prefix: str, epsilon: float) -> str:
        """Add layer normalisation over the last axis with the scale and shift found under ``prefix``."""
        scale = self.constant(f"{prefix}.weight", weights[f"{prefix}.weight"])
        shift = self.constant(f"{prefix}.bias", weights[f"{prefix}.bias"])
        return self.node("LayerNormalization", name, source, scale, shift, axis=-1, epsilon=epsilon)


def bert_body(
    builder: GraphBuilder, weights: Weights, shape: BertShape, *, token_types: str | None = None
) -> str:
    """Add the encoder over graph inputs ``input_ids`` and ``attention_mask`` (batch, length) int64.

    ``token_types`` names a third input of that shape; without one all tokens are of type 0. Returns the
    name of the hidden states, (batch, length, hidden) float32.
    """
    hidden = _embeddings(builder, weights, shape, token_types)
    bias = _attention_bias(builder)
    for layer in range(shape.layers):
        hidden = _layer(builder, weights, shape, prefix=f"encoder.layer.{layer}", hidden=hidden, bias=bias)
    return hidden


def sentence_model(weights: Weights, shape: BertShape | None = None) -> Any:
    """Return the ``onnx.ModelProto`` from ids and mask (batch, length) to unit vectors (batch, hidden)."""
    shape = shape or BertShape()
    builder = GraphBuilder()
    hidden = bert_body(builder, weights, shape)
    _pooled(builder, hidden)
    return finished_model(builder, ("input_ids", "attention_mask"), output="embedding", width=shape.hidden)


def finished_model(builder: GraphBuilder, inputs: tuple[str, ...], *, output: str, width: int) -> Any:
    """Return the checked ``onnx.ModelProto``: (batch, length) int64 in, one (batch, width) float out.

    onnxruntime's fused operators (``FUSED_DOMAIN``) may be among its nodes.
    """
    import onnx
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        builder.nodes,
        "minilm",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "length"]) for name in inputs],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["batch", width])],
        builder.constants,
    )
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(FUSED_DOMAIN, 1)]
    model = helper.make_model(graph, opset_imports=opsets, producer_name="kite")
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model)
    return model


def _embeddings(builder: GraphBuilder, weights: Weights, shape: BertShape, token_types: str | None) -> str:
    table = builder.constant("words", weights["embeddings.word_embeddings.weight"])
    words = builder.node("Gather", "words.found", table, "input_ids")
    places = weights["embeddings.position_embeddings.weight"]
    types = weights["embeddings.token_type_embeddings.weight"]
    # With one token type its row is the same for every position, so it is added to the position table here.
    places = places if token_types else places + types[0]
    start = builder.constant("zero", np.array([0], dtype=np.int64))
    size = builder.node("Shape", "ids.shape", "input_ids", start=1, end=2)
    found = builder.node("Slice", "places.found", builder.constant("places", places), start, size, start)
    total = builder.node("Add", "words.placed", words, found)
    if token_types:
        kinds = builder.node("Gather", "types.found", builder.constant("types", types), token_types)
        total = builder.node("Add", "words.typed", total, kinds)
    return builder.normalised(
        "embeddings", total, weights=weights, prefix="embeddings.LayerNorm", epsilon=shape.epsilon
    )


def _attention_bias(builder: GraphBuilder) -> str:
    """Add the term that keeps padding out of attention: 0 where the mask is 1, very negative elsewhere."""
    axes = builder.constant("bias.axes", np.array([1, 2], dtype=np.int64))
    mask = builder.node("Cast", "mask.float", "attention_mask", to=1)
    wide = builder.node("Unsqueeze", "mask.wide", mask, axes)
    gap = builder.node("Sub", "mask.gap", wide, builder.constant("one", np.array(1.0, dtype=np.float32)))
    return builder.node("Mul", "mask.bias", gap, builder.constant("large", np.array(1e9, dtype=np.float32)))


def _layer(
    builder: GraphBuilder, weights: Weights, shape: BertShape, *, prefix: str, hidden: str, bias: str
) -> str:
    mixed = _attention(builder, weights, shape, prefix=f"{prefix}.attention", hidden=hidden, bias=bias)
    beside = builder.node("Add", f"{prefix}.attended", mixed, hidden)
    norm = f"{prefix}.attention.output.LayerNorm"
    hidden = builder.normalised(f"{prefix}.mid", beside, weights=weights, prefix=norm, epsilon=shape.epsilon)
    inner, outer = f"{prefix}.intermediate.dense", f"{prefix}.output.dense"
    wide = builder.linear(
        f"{prefix}.wide", hidden, weight=weights[f"{inner}.weight"], bias=weights[f"{inner}.bias"]
    )
    narrow = builder.linear(
        f"{prefix}.narrow",
        gelu(builder, f"{prefix}.gelu", wide),
        weight=weights[f"{outer}.weight"],
        bias=weights[f"{outer}.bias"],
    )
    total = builder.node("Add", f"{prefix}.total", narrow, hidden)
    return builder.normalised(
        f"{prefix}.out", total, weights=weights, prefix=f"{prefix}.output.LayerNorm", epsilon=shape.epsilon
    )


def _attention(
    builder: GraphBuilder, weights: Weights, shape: BertShape, *, prefix: str, hidden: str, bias: str
) -> str:
    """Add self-attention. Query, key and value are one product: one quantisation instead of three."""
    parts = [f"{prefix}.self.{part}" for part in ("query", "key", "value")]
    scale = 1.0 / np.sqrt(shape.hidden / shape.heads)
    factors = (np.float32(scale), np.float32(1.0), np.float32(1.0))
    kernel = np.concatenate([weights[f"{p}.weight"] * f for p, f in zip(parts, factors, strict=True)])
    shift = np.concatenate([weights[f"{p}.bias"] * f for p, f in zip(parts, factors, strict=True)])
    joint = builder.linear(f"{prefix}.joint", hidden, weight=kernel, bias=shift)
    split = np.array([0, 0, 3, shape.heads, shape.hidden // shape.heads], dtype=np.int64)
    shaped = builder.node("Reshape", f"{prefix}.shaped", joint, builder.constant("heads.split", split))
    moved = builder.node("Transpose", f"{prefix}.moved", shaped, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        builder.node(
            "Gather",
            f"{prefix}.{part}",
            moved,
            builder.constant(f"pick.{i}", np.array(i, dtype=np.int64)),
            axis=0,
        )
        for i, part in enumerate(("query", "key", "value"))
    )
    turned = builder.node("Transpose", f"{prefix}.key.turned", key, perm=[0, 1, 3, 2])
    scores = builder.node("MatMul", f"{prefix}.scores", query, turned)
    masked = builder.node("Add", f"{prefix}.masked", scores, bias)
    shares = builder.node("Softmax", f"{prefix}.shares", masked, axis=-1)
    mixed = builder.node("MatMul", f"{prefix}.mixed", shares, value)
    back = builder.node("Transpose", f"{prefix}.back", mixed, perm=[0, 2, 1, 3])
    joined = builder.constant("heads.join", np.array([0, 0, shape.hidden], dtype=np.int64))
    flat = builder.node("Reshape", f"{prefix}.flat", back, joined)
    dense = f"{prefix}.output.dense"
    return builder.linear(
        f"{prefix}.out", flat, weight=weights[f"{dense}.weight"], bias=weights[f"{dense}.bias"]
    )


def gelu(builder: GraphBuilder, name: str, source: str) -> str:
    """Add the exact GELU, x (1 + erf(x / sqrt 2)) / 2, in the order of nodes that onnxruntime fuses."""
    root = builder.constant("gelu.root", np.array(np.sqrt(2.0), dtype=np.float32))
    one = builder.constant("one", np.array(1.0, dtype=np.float32))
    half = builder.constant("gelu.half", np.array(0.5, dtype=np.float32))
    ratio = builder.node("Div", f"{name}.ratio", source, root)
    erf = builder.node("Erf", f"{name}.erf", ratio)
    lifted = builder.node("Add", f"{name}.lifted", erf, one)
    product = builder.node("Mul", f"{name}.product", source, lifted)
    return builder.node("Mul", name, product, half)


def _pooled(builder: GraphBuilder, hidden: str) -> str:
    """Add the mean over unmasked tokens, scaled to length 1, as output ``embedding``."""
    last = builder.constant("axis.last", np.array([-1], dtype=np.int64))
    tokens = builder.constant("axis.tokens", np.array([1], dtype=np.int64))
    weight = builder.node("Unsqueeze", "pool.weight", "mask.float", last)
    kept = builder.node("Mul", "pool.kept", hidden, weight)
    total = builder.node("ReduceSum", "pool.total", kept, tokens, keepdims=0)
    count = builder.node("ReduceSum", "pool.count", weight, tokens, keepdims=0)
    mean = builder.node("Div", "pool.mean", total, count)
    length = builder.node("ReduceL2", "pool.length", mean, axes=[-1], keepdims=1)
    return builder.node("Div", "embedding", mean, length)
