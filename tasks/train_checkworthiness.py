"""Train the check-worthiness model: ``python -m tasks.train_checkworthiness --datasets DIR --embedder DIR``.

Two steps. Logistic regressions over words, pairs of words, vector and cues give three scores of a sentence
(check-worthy, factual, factual but unimportant); trees then read those scores beside the same vector and
cues. The trees see scores of regressions that had not seen the debate of the sentence (five folds), as they
will in service. Labels come from a crowd: the few that the first step finds next to impossible count less.

Learns from ClaimBuster's train split; dev chose the settings below and calibrates. The test split is read
only with ``--final``. Invariant: the same files and seed give the same model, byte for byte.
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
from data.models.artifacts import Staged, save_artifact
from data.models.calibration import expected_calibration_error, fit_sigmoid
from data.models.embedding import OnnxEmbedder
from data.models.linear_stage import LinearStage, known_places
from tasks.labelled import read_rows

#: Licence of the data as its owners and its copies state it.
LICENCE = (
    "Zenodo 10.5281/zenodo.3609356, 'Open Access'; no licence text in the copy used "
    "(third-party copies state CC BY-SA 4.0 or CC0); ClaimBuster's code is GPL-3.0"
)
SEED = 7
#: Trees, chosen on dev in a trial that also clipped the cues (average precision .792, .793, .796, .798
#: with 200, 300, 400, 500).
ROUNDS = 500
PARAMETERS: dict[str, Any] = {
    "objective": "binary:logistic",
    "eval_metric": "logloss",
    "tree_method": "hist",
    "eta": 0.06,
    "max_depth": 3,
    "min_child_weight": 10,
    "subsample": 0.8,
    "colsample_bytree": 0.3,
    "seed": SEED,
    "nthread": 1,
}
#: The linear stage: its scores, folds of debates, how often an n-gram must occur, the strength of its fit
#: (inverse of the penalty), the scale of vectors and of standardised cues, and the least deviation of a cue.
SCORES = ("check_worthy", "factual", "unimportant")
FOLDS, LEAST_TEXTS, STRENGTH = 5, 3, 1.0
VECTOR_SCALE, CUE_SCALE, LEAST_DEVIATION = 2.0, 0.05, 0.2
#: A label that the first step gives less than 1 - DOUBTFUL counts DOUBTED in the second.
DOUBTFUL, DOUBTED = 0.9, 0.3


@dataclass(frozen=True, slots=True)
class Split:
    """One split: features (n, f) float32, labels (n,) int64, debate of each row, SHA-256 of the file.

    ``targets`` (n, 3) int64 are what the linear stage learns, in the order of ``SCORES``.
    """

    rows: NDArray[np.float32]
    labels: NDArray[np.int64]
    targets: NDArray[np.int64]
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
    model = fit(splits["train"])
    raw = raw_probabilities(model, splits["dev"].rows)
    calibration = fit_sigmoid(raw, splits["dev"].labels)
    dev = calibration.apply(raw)[:, 1]
    threshold = best_threshold(dev, splits["dev"].labels)
    scores = {"dev": measure(dev, splits["dev"].labels, threshold)}
    if final:
        splits["test"] = read_split(datasets, "test", embedder)
        test = calibration.apply(raw_probabilities(model, splits["test"].rows))[:, 1]
        scores["test"] = measure(test, splits["test"].labels, threshold)
    record = _record(splits, scores, threshold=threshold, embedder=embedder.identity)
    record["trees"] = model.booster.num_boosted_rounds()
    record["linear_stage"] = {
        "scores": list(SCORES),
        "folds": FOLDS,
        "grams": len(model.stage.numbers),
        "least_texts": LEAST_TEXTS,
        "strength": STRENGTH,
        "doubtful_labels": {"from": DOUBTFUL, "weight": DOUBTED},
    }
    record["minutes"] = round((time.perf_counter() - started) / 60, 1)
    save_artifact(
        out,
        model,
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
        targets=np.array([_targets(row) for row in rows], dtype=np.int64).reshape(-1, len(SCORES)),
        debates=tuple(str(row["meta"].get("debate")) for row in rows),
        sha256=hashlib.sha256((datasets / relative).read_bytes()).hexdigest(),
    )


def _targets(row: dict[str, Any]) -> tuple[bool, bool, bool]:
    kind = row["meta"]["class3"]
    return kind == "CFS", kind != "NFS", kind == "UFS"


def fit(split: Split) -> Staged:
    """Return the stage and the booster of all rows."""
    import xgboost

    rows, weights = _unseen_scores(split)
    booster = xgboost.train(PARAMETERS, xgboost.DMatrix(rows, split.labels, weight=weights), ROUNDS)
    return Staged(booster, fit_stage(split.rows, split.targets))


def _unseen_scores(split: Split) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the booster's rows, each scored by a stage of other debates, and the weight of each row."""
    order = sorted(set(split.debates))
    fold = np.array([order.index(debate) % FOLDS for debate in split.debates])
    parts: dict[int, NDArray[np.float32]] = {}
    for number in range(FOLDS):
        stage = fit_stage(split.rows[fold != number], split.targets[fold != number])
        parts[number] = stage.extend(split.rows[fold == number])
    rows = np.empty((len(fold), parts[0].shape[1]), dtype=np.float32)
    for number, part in parts.items():
        rows[fold == number] = part
    stated = 1.0 / (1.0 + np.exp(-rows[:, -len(SCORES)]))
    doubted = np.abs(split.labels - stated) > DOUBTFUL
    return rows, np.where(doubted, DOUBTED, 1.0).astype(np.float32)


def fit_stage(rows: NDArray[np.float32], targets: NDArray[np.int64]) -> LinearStage:
    """Return the stage of ``rows`` (n, f): one logistic regression for each column of ``targets``."""
    dense = rows[:, : -checkworthiness.SLOTS].astype(np.float64)
    wanted = rows[:, -checkworthiness.SLOTS :].astype(np.int32)
    known, counts = np.unique(wanted[wanted >= 0], return_counts=True)
    numbers = known[counts >= LEAST_TEXTS].astype(np.int32)
    scale, middle = _scaling(dense)
    lines = _logistic(_gram_table(wanted, numbers), (dense - middle) * scale, targets)
    slopes = lines[len(numbers) : -1] * scale[:, None]
    return LinearStage(
        slots=checkworthiness.SLOTS,
        numbers=numbers,
        # Half precision, as it will be kept: what is measured here is what will be served.
        grams=lines[: len(numbers)].astype(np.float16).astype(np.float32),
        dense=slopes.astype(np.float32),
        bias=(lines[-1] - middle @ slopes).astype(np.float32),
    )


def _scaling(dense: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return scale and middle (f,) of the dense columns: vectors keep their middle, cues are standardised."""
    size = checkworthiness.VECTOR_DIM
    spread = np.maximum(dense.std(axis=0), LEAST_DEVIATION)
    scale = np.where(np.arange(dense.shape[1]) < size, VECTOR_SCALE, CUE_SCALE / spread)
    return scale, np.where(np.arange(dense.shape[1]) < size, 0.0, dense.mean(axis=0))


def _gram_table(wanted: NDArray[np.int32], numbers: NDArray[np.int32]) -> Any:
    """Return the sparse (n, k) table of known n-grams, as ``LinearStage`` counts them."""
    from scipy import sparse

    places = [known_places(numbers, row) for row in wanted]
    sizes = np.array([len(row) for row in places])
    values = np.repeat(1.0 / np.sqrt(np.maximum(sizes, 1)), sizes)
    bounds = np.concatenate([[0], np.cumsum(sizes)])
    return sparse.csr_matrix((values, np.concatenate(places), bounds), shape=(len(wanted), len(numbers)))


def _logistic(grams: Any, dense: NDArray[np.float64], targets: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return weights and bias (k + d + 1, s) of L2-penalised logistic regressions, one a target, at once."""
    from scipy.optimize import minimize

    signs = 2.0 * targets - 1.0
    turned = grams.T.tocsr()
    size = grams.shape[1]
    shape = (size + dense.shape[1] + 1, targets.shape[1])

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        lines = flat.reshape(shape)
        margin = signs * (grams @ lines[:size] + dense @ lines[size:-1] + lines[-1])
        pull = -STRENGTH * signs / (1.0 + np.exp(margin))
        value = STRENGTH * float(np.logaddexp(0.0, -margin).sum()) + 0.5 * float((lines[:-1] ** 2).sum())
        slope = np.concatenate([turned @ pull, dense.T @ pull, np.zeros((1, shape[1]))])
        slope[:-1] += lines[:-1]
        slope[-1] = pull.sum(axis=0)
        return value, slope.ravel()

    best = minimize(loss, np.zeros(shape).ravel(), jac=True, method="L-BFGS-B", options={"maxiter": 150})
    found: NDArray[np.float64] = best.x.reshape(shape)
    return found


def raw_probabilities(model: Staged, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return uncalibrated (n, 2) float32."""
    positive = np.asarray(model.booster.inplace_predict(model.stage.extend(rows)), dtype=np.float32)
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
        "embedder": embedder,
        "seed": SEED,
        "parameters": PARAMETERS,
        "threshold": threshold,
        "scores": scores,
        "test_looks": int("test" in scores),
    }


if __name__ == "__main__":
    sys.exit(main())
