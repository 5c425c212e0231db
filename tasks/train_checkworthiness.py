"""Train the check-worthiness model: ``python -m tasks.train_checkworthiness --datasets DIR --embedder DIR``.

Learns from ClaimBuster's train split, stops early on debates held back from it, calibrates on dev. The test
split is read only with ``--final``. Invariant: the same files and seed give the same booster, byte for
byte.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import ConfigError, KiteError
from data.models import checkworthiness
from data.models.artifacts import save_artifact
from data.models.calibration import expected_calibration_error, fit_sigmoid
from data.models.embedding import OnnxEmbedder
from tasks.labelled import read_rows, share_of

#: Licence of the data as its owners and its copies state it.
LICENCE = (
    "Zenodo 10.5281/zenodo.3609356, 'Open Access'; no licence text in the copy used "
    "(third-party copies state CC BY-SA 4.0 or CC0); ClaimBuster's code is GPL-3.0"
)
SEED = 7
#: Debates held back from train, in percent, on which the number of trees is chosen.
HELD_BACK = 10
ROUNDS, PATIENCE = 1_000, 40
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "eta": 0.05,
    "max_depth": 5,
    "min_child_weight": 4,
    "subsample": 0.8,
    "colsample_bytree": 0.3,
    "seed": SEED,
    "nthread": 1,
}


@dataclass(frozen=True, slots=True)
class Split:
    """One split: features (n, f) float32, labels (n,) int64, debate of each row, SHA-256 of the file."""

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    debates: tuple[str, ...]
    sha256: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    parser = argparse.ArgumentParser(prog="python -m tasks.train_checkworthiness")
    parser.add_argument(
        "--datasets", type=Path, default=os.environ.get("KITE_DATASETS"), help="labelled sets"
    )
    parser.add_argument("--embedder", type=Path, required=True, help="folder that tasks.build_embedder wrote")
    parser.add_argument("--out", type=Path, default=Path("models") / checkworthiness.MODEL)
    parser.add_argument(
        "--final", action="store_true", help="also report the test split: for the last run only"
    )
    options = parser.parse_args(arguments)
    try:
        if options.datasets is None:
            raise ConfigError("--datasets: name the folder of the labelled sets, or set KITE_DATASETS.")
        record = train(Path(options.datasets), options.embedder, options.out, final=options.final)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(record, sort_keys=True) + "\n")
    return 0


def train(datasets: Path, embedder_folder: Path, out: Path, *, final: bool) -> dict[str, Any]:
    """Train, calibrate, measure and save the model; return its training record."""
    started = time.perf_counter()
    embedder = OnnxEmbedder(embedder_folder)
    splits = {name: read_split(datasets, name, embedder) for name in ("train", "dev")}
    booster = fit(splits["train"])
    raw = raw_probabilities(booster, splits["dev"].rows)
    calibration = fit_sigmoid(raw, splits["dev"].labels)
    dev = calibration.apply(raw)[:, 1]
    threshold = best_threshold(dev, splits["dev"].labels)
    scores = {"dev": measure(dev, splits["dev"].labels, threshold)}
    if final:
        splits["test"] = read_split(datasets, "test", embedder)
        test = calibration.apply(raw_probabilities(booster, splits["test"].rows))[:, 1]
        scores["test"] = measure(test, splits["test"].labels, threshold)
    record = _record(splits, scores, threshold=threshold, embedder=embedder.identity)
    record["trees"] = booster.num_boosted_rounds()
    record["minutes"] = round((time.perf_counter() - started) / 60, 1)
    save_artifact(
        out,
        booster,
        feature_names=checkworthiness.FEATURE_NAMES,
        classes=checkworthiness.CLASSES,
        calibration=calibration,
        record=record,
    )
    return record


def read_split(datasets: Path, name: str, embedder: OnnxEmbedder) -> Split:
    """Return one ClaimBuster split as features and labels.

    Raises:
        ConfigError: the file is missing.
    """
    relative = f"claimbuster/{name}.jsonl"
    rows = list(read_rows(datasets, relative))
    texts = [row["text"] for row in rows]
    return Split(
        rows=checkworthiness.features(texts, embedder.embed(texts)),
        labels=np.array([row["label"] for row in rows], dtype=np.int64),
        debates=tuple(str(row["meta"].get("debate")) for row in rows),
        sha256=hashlib.sha256((datasets / relative).read_bytes()).hexdigest(),
    )


def fit(split: Split) -> Any:
    """Return the booster of all rows, with as many trees as were best on the debates held back."""
    import xgboost

    held = np.array([share_of(debate) < HELD_BACK for debate in split.debates])
    learn = xgboost.DMatrix(split.rows[~held], split.labels[~held])
    check = xgboost.DMatrix(split.rows[held], split.labels[held])
    trial = xgboost.train(
        PARAMETERS, learn, ROUNDS, evals=[(check, "held")], early_stopping_rounds=PATIENCE, verbose_eval=False
    )
    return xgboost.train(PARAMETERS, xgboost.DMatrix(split.rows, split.labels), trial.best_iteration + 1)


def raw_probabilities(booster: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return uncalibrated (n, 2) float32."""
    positive = np.asarray(booster.inplace_predict(rows), dtype=np.float32)
    return np.column_stack([1.0 - positive, positive]).astype(np.float32)


def best_threshold(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the threshold, in twentieths, with the highest F1; the lowest of equals."""
    grid = [round(0.05 * step, 2) for step in range(2, 19)]
    return max(grid, key=lambda at: (f1_at(probabilities, labels, at), -at))


def f1_at(probabilities: NDArray[np.float32], labels: NDArray[np.int64], threshold: float) -> float:
    """Return the F1 of class 1 when everything at or above ``threshold`` is called 1."""
    called = probabilities >= threshold
    hits = int((called & (labels == 1)).sum())
    total = int(called.sum()) + int((labels == 1).sum())
    return 2.0 * hits / total if total else 0.0


def average_precision(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> float:
    """Return the mean of the precision at each row of class 1, best first."""
    ranked = labels[np.argsort(-probabilities, kind="stable")]
    precision = np.cumsum(ranked) / np.arange(1, len(ranked) + 1)
    return float((precision * ranked).sum() / ranked.sum())


def measure(
    probabilities: NDArray[np.float32], labels: NDArray[np.int64], threshold: float
) -> dict[str, float]:
    """Return F1 of class 1 at ``threshold`` and at one half, average precision and calibration error."""
    return {
        "rows": len(labels),
        "f1": round(f1_at(probabilities, labels, threshold), 4),
        "f1_at_half": round(f1_at(probabilities, labels, 0.5), 4),
        "average_precision": round(average_precision(probabilities, labels), 4),
        "calibration_error": round(expected_calibration_error(probabilities, labels), 4),
    }


def _record(
    splits: dict[str, Split], scores: dict[str, dict[str, float]], *, threshold: float, embedder: str
) -> dict[str, Any]:
    return {
        "task": "tasks.train_checkworthiness",
        "data": [
            {
                "file": f"claimbuster/{name}.jsonl",
                "sha256": split.sha256,
                "rows": len(split.labels),
                "licence": LICENCE,
            }
            for name, split in splits.items()
        ],
        "held_back_percent_of_debates": HELD_BACK,
        "embedder": embedder,
        "seed": SEED,
        "parameters": PARAMETERS,
        "threshold": threshold,
        "scores": scores,
        "test_looks": int("test" in scores),
    }


if __name__ == "__main__":
    sys.exit(main())
