"""Float graphs to int8 ones. Called by the tasks that build or train models, never when serving."""

from __future__ import annotations

import logging
from pathlib import Path

from data.models.embedder_graph import BertShape, Weights


def quantised(plain: Path, small: Path) -> None:
    """Write the int8 form of the ONNX graph ``plain`` to ``small``: matrix products only, per channel."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    # The quantiser advises a preparation step through the root logger; the graph is already in final form.
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    # Seven-bit weights: with eight, CPUs without VNNI saturate 16-bit sums and answer otherwise than those
    # with it.
    quantize_dynamic(
        plain,
        small,
        op_types_to_quantize=["MatMul"],
        weight_type=QuantType.QInt8,
        per_channel=True,
        reduce_range=True,
        # Shapes are not inferred through fused operators; every float tensor of these graphs is float32.
        extra_options={"DefaultTensorType": 1},
    )
    root.setLevel(level)


def write_int8(weights: Weights, shape: BertShape, *, small: Path, plain: Path) -> None:
    """Write the stance model of ``weights`` as a float graph to ``plain`` and as an int8 one to ``small``."""
    import onnx

    from data.models.stance_graph import stance_model

    middle = plain.with_suffix(".middle")
    onnx.save(stance_model(weights, shape, small_table=True), middle)
    quantised(middle, small)
    middle.unlink()
    onnx.save(stance_model(weights, shape, small_table=False), plain)
