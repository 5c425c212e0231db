"""Train the stance model: ``python -m tasks.train_stance --datasets DIR [--out DIR] [--embedder DIR]``.

Learns from redistributable sets only, chooses and calibrates on their dev splits, and looks at test splits
only with ``--with-test``. The same data, seed and embedder give the same model; its record says which those
were.
"""

from __future__ import annotations

import argparse
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

from cluster.wiring import embedder_folder
from configs.load import load_settings
from data.errors import ConfigError, KiteError
from data.evidence import STANCES
from data.models.artifacts import MANIFEST, MODEL_FILE, read_manifest, save_artifact, write_manifest
from data.models.calibration import Calibration, expected_calibration_error, fit_temperature
from data.models.embedding import CachedEmbedder, OnnxEmbedder
from data.models.stance import PROJECTED, PROJECTION_FILE, STANCE_FEATURES, StanceFeatures
from data.models.stance_bounds import bounded
from data.ports import Embedder, TextAnalyser
from data.text.analyser import SpacyAnalyser
from tasks.counterfactuals import altered, restated
from tasks.labelled import LabelledPair, file_record, label_counts, read_pairs, share_of
from tasks.measures import figures

#: Learned from, with the share (per cent, by page or claim) that keeps a run under eight minutes on two
#: cores.
TRAIN_SHARES = {
    "vitaminc": 45,
    "fever_dev": 100,
    "fever_nei": 100,
    "scifact": 100,
    "citation_integrity": 60,
    "snli_cad": 70,
}
#: FM2 has no train split here: this share of its dev pages is learned from, the rest measures.
FM2_TRAIN_SHARE = 50
DEV_SETS = ("vitaminc", "fever_dev", "fever_nei", "scifact", "citation_integrity", "snli_cad", "fm2")
TEST_SETS = (
    "vitaminc",
    "fever_symmetric",
    "fever_dev",
    "fever_nei",
    "fm2",
    "scifact",
    "citation_integrity",
    "snli_cad",
)
#: Share of pages (per cent) whose supported claims are altered, and whose passages are restated.
ALTERED_SHARE, RESTATED_SHARE = 35, 25
#: Weight of a constructed pair against a real one.
CONSTRUCTED_WEIGHT = 0.6
SEED = 7
ROUNDS, PATIENCE = 700, 40
PARAMETERS: dict[str, Any] = {
    "objective": "multi:softprob",
    "num_class": len(STANCES),
    "tree_method": "hist",
    "max_depth": 7,
    "eta": 0.1,
    "min_child_weight": 25.0,
    "subsample": 0.8,
    "colsample_bytree": 0.5,
    "lambda": 2.0,
    "max_bin": 128,
    "nthread": 1,
    "seed": SEED,
}
_CONSTRUCTED = frozenset(
    [
        "negated",
        "number_changed",
        "month_changed",
        "name_swapped",
        "unrelated",
        "restated",
        "passage_negated",
        "both_negated",
    ]
)


@dataclass(frozen=True, slots=True)
class Rows:
    """Pairs turned into numbers."""

    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    sources: tuple[str, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.train_stance", description="Train the stance model."
    )
    parser.add_argument("--datasets", type=Path, default=os.environ.get("KITE_DATASETS"))
    parser.add_argument("--out", type=Path, default=Path("models/stance"))
    parser.add_argument(
        "--embedder", type=Path, help="folder of the embedder (default: in the setting `home`)"
    )
    parser.add_argument(
        "--with-test", action="store_true", help="also look at the test splits, once, at the end"
    )
    options = parser.parse_args(arguments)
    try:
        if options.datasets is None:
            raise ConfigError("No labelled data: set KITE_DATASETS or give --datasets.")
        folder = options.embedder or embedder_folder(load_settings())
        embedder = CachedEmbedder(OnnxEmbedder(folder, threads=2), None, 200_000)
        report = train(
            Path(options.datasets), options.out, SpacyAnalyser(), embedder, with_test=options.with_test
        )
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
    return 0


def train(
    datasets: Path, out: Path, analyser: TextAnalyser, embedder: CachedEmbedder, *, with_test: bool
) -> dict[str, Any]:
    """Train, calibrate, measure and save; return the training record."""
    started = time.perf_counter()
    learned_from = training_pairs(datasets)
    dev_pairs = development_pairs(datasets)
    projection = principal_directions(embedder, learned_from)
    features = StanceFeatures(analyser, embedder, projection, remember=50_000)
    rows = as_rows(features, learned_from)
    dev = {name: as_rows(features, pairs) for name, pairs in dev_pairs.items()}
    booster, rounds = fit(rows, dev)
    calibration = calibrated(booster, dev)
    record: dict[str, Any] = {
        "task": "stance",
        "seed": SEED,
        "parameters": PARAMETERS,
        "rounds": rounds,
        "pairs": {source: rows.sources.count(source) for source in sorted(set(rows.sources))},
        "labels": label_counts(rows.labels.tolist()),
        "train_shares": {**TRAIN_SHARES, "fm2 (of dev)": FM2_TRAIN_SHARE},
        "embedder": embedder.identity,
        "data": data_files(datasets),
        "dev": {name: measured(booster, calibration, part) for name, part in dev.items()},
    }
    if with_test:
        tests = {name: read_pairs(datasets, name, "test") for name in TEST_SETS}
        record["test"] = {
            name: measured(booster, calibration, as_rows(features, titled(pairs)))
            for name, pairs in tests.items()
        }
    record["minutes"] = round((time.perf_counter() - started) / 60, 1)
    save(out, booster, calibration, projection, record=record)
    return record


def training_pairs(datasets: Path) -> list[LabelledPair]:
    """Return the pairs to learn: shares of the train splits, half of FM2 dev, and what is made of them."""
    real = []
    for name, share in TRAIN_SHARES.items():
        pairs = read_pairs(datasets, name, "train")
        real += [pair for pair in pairs if share_of(pair.title or pair.claim) < share]
    real += [pair for pair in read_pairs(datasets, "fm2", "dev") if share_of(pair.title) < FM2_TRAIN_SHARE]
    return titled([*real, *constructed(real)])


def development_pairs(datasets: Path) -> dict[str, list[LabelledPair]]:
    """Return the pairs that choose and calibrate, by set; ``constructed`` are made from the others."""
    sets = {name: read_pairs(datasets, name, "dev") for name in DEV_SETS}
    sets["fm2"] = [pair for pair in sets["fm2"] if share_of(pair.title) >= FM2_TRAIN_SHARE]
    sets["fever_symmetric"] = read_pairs(datasets, "fever_symmetric", "dev")
    sets["constructed"] = constructed([*sets["vitaminc"], *sets["fever_dev"], *sets["fm2"]])
    return {name: titled(pairs) for name, pairs in sets.items()}


def constructed(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Return the altered and restated pairs of a share of the encyclopaedic sets."""
    plain = [pair for pair in pairs if pair.source in ("vitaminc", "fever_dev", "fm2")]
    some = [pair for pair in plain if share_of("altered" + (pair.title or pair.claim)) < ALTERED_SHARE]
    others = [pair for pair in plain if share_of("restated" + (pair.title or pair.claim)) < RESTATED_SHARE]
    return [*altered(some), *restated(others)]


def titled(pairs: Sequence[LabelledPair]) -> list[LabelledPair]:
    """Put the title before half of the passages, as serving does where there is one: both are learned."""
    return [
        LabelledPair(pair.claim, f"{pair.title}: {pair.passage}", pair.label, pair.source)
        if pair.title and pair.title not in pair.passage and share_of("titled" + pair.passage, 2)
        else pair
        for pair in pairs
    ]


def principal_directions(embedder: Embedder, pairs: Sequence[LabelledPair]) -> NDArray[np.float32]:
    """Return the first principal directions (dim, PROJECTED) of the claims' and passages' vectors."""
    some = [pair for pair in pairs if share_of("principal" + pair.claim) < 15]
    vectors = embedder.embed([text for pair in some for text in (pair.claim, pair.passage)]).astype(
        np.float64
    )
    _, directions = np.linalg.eigh(np.cov(vectors, rowvar=False))
    # Unit components of a unit vector in 384 dimensions are small; the scale brings products near one.
    scaled: NDArray[np.float32] = (directions[:, ::-1][:, :PROJECTED] * 10.0).astype(np.float32)
    return np.ascontiguousarray(scaled)


def as_rows(features: StanceFeatures, pairs: Sequence[LabelledPair]) -> Rows:
    """Return the feature rows of pairs, worked out in blocks so that the memory of texts stays bounded."""
    texts = [(pair.claim, pair.passage) for pair in pairs]
    blocks = [features.rows(texts[start : start + 512]) for start in range(0, len(texts), 512)]
    labels = np.array([pair.label for pair in pairs], dtype=np.int64)
    return Rows(np.concatenate(blocks), labels, tuple(pair.source for pair in pairs))


def weights_of(rows: Rows) -> NDArray[np.float64]:
    """Return one weight a row: constructed pairs count less, and the three labels count the same in all."""
    weights = np.array([CONSTRUCTED_WEIGHT if source in _CONSTRUCTED else 1.0 for source in rows.sources])
    sums = np.array([weights[rows.labels == index].sum() for index in range(len(STANCES))])
    balanced: NDArray[np.float64] = weights * (sums.mean() / sums)[rows.labels]
    return balanced


def fit(rows: Rows, dev: dict[str, Rows]) -> tuple[Any, int]:
    """Return the booster and its number of rounds, stopped where the dev sets' mean log loss is least."""
    import xgboost

    names = list(STANCE_FEATURES)
    matrix = xgboost.DMatrix(rows.features, rows.labels, weight=weights_of(rows), feature_names=names)
    stop = xgboost.DMatrix(
        np.concatenate([part.features for part in dev.values()]),
        np.concatenate([part.labels for part in dev.values()]),
        weight=dev_weights(dev),
        feature_names=names,
    )
    booster = xgboost.train(
        PARAMETERS, matrix, ROUNDS, evals=[(stop, "dev")], early_stopping_rounds=PATIENCE, verbose_eval=False
    )
    rounds = booster.best_iteration + 1
    return booster[:rounds], rounds


def dev_weights(dev: dict[str, Rows]) -> NDArray[np.float64]:
    """Return weights under which sets count by the square root of their size: no one set decides."""
    return np.concatenate(
        [np.full(len(part.labels), 1.0 / np.sqrt(len(part.labels))) for part in dev.values()]
    )


def calibrated(booster: Any, dev: dict[str, Rows]) -> Calibration:
    """Return the temperature fitted on the real dev pairs."""
    real = [part for name, part in dev.items() if name != "constructed"]
    raw = np.concatenate([booster.inplace_predict(part.features, validate_features=False) for part in real])
    return fit_temperature(raw, np.concatenate([part.labels for part in real]))


def measured(booster: Any, calibration: Calibration, part: Rows) -> dict[str, float]:
    """Return the figures of the model as it is served, bounds included, and of the booster alone."""
    learned = calibration.apply(booster.inplace_predict(part.features, validate_features=False))
    pairs = zip(learned.tolist(), part.features.tolist(), strict=True)
    served = np.array([bounded(row, each) for row, each in pairs], dtype=np.float32)
    found = figures(served, part.labels)
    hits = (served.argmax(axis=1) == part.labels).astype(np.int64)
    found["calibration_error"] = round(expected_calibration_error(served.max(axis=1), hits), 4)
    found["booster_alone_macro_f1"] = figures(learned, part.labels)["macro_f1"]
    return found


def data_files(datasets: Path) -> list[dict[str, str]]:
    """Return name, SHA-256 and licence of every file learned from or chosen on."""
    names = []
    for name in ("vitaminc", "fever_dev", "citation_integrity", "snli_cad"):
        names += [f"{name}/train.jsonl", f"{name}/dev.jsonl"]
    names += [
        "fever_dev/nei_nearest_train.jsonl",
        "fever_dev/nei_nearest_dev.jsonl",
        "fever_symmetric/dev.jsonl",
    ]
    names += ["scifact/pairs_train.jsonl", "scifact/pairs_dev.jsonl", "fm2/dev.jsonl"]
    return [file_record(datasets, name) for name in sorted(names)]


def save(
    out: Path,
    booster: Any,
    calibration: Calibration,
    projection: NDArray[np.float32],
    *,
    record: dict[str, Any],
) -> None:
    """Write booster, projection and manifest, the manifest last: half a folder is never loaded."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MANIFEST).unlink(missing_ok=True)
    np.save(out / PROJECTION_FILE, projection, allow_pickle=False)
    save_artifact(
        out,
        booster,
        feature_names=STANCE_FEATURES,
        classes=STANCES,
        calibration=calibration,
        record=record,
    )
    manifest = read_manifest(out)
    body = {key: value for key, value in manifest.items() if key not in ("files", "sha256")}
    write_manifest(out, body, files=(MODEL_FILE, PROJECTION_FILE))


if __name__ == "__main__":
    raise SystemExit(main())
