"""Train the aggregator: ``python -m tasks.train_aggregator --datasets DIR [--stance DIR] [--out DIR]``.

Claims that the stance model has not learned from are shown with what retrieval finds for them: with their
evidence, with it taken away, and (VitaminC) with both versions of it. Divided by page into parts that fit,
calibrate and make the prediction sets; test splits are looked at only with ``--with-test``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.wiring import embedder_folder
from configs.load import load_settings
from data.errors import ConfigError, KiteError
from data.evidence import Evidence, RetrievalScores
from data.models.aggregation import (
    AGGREGATE_FEATURES,
    Reading,
    claim_features,
    conclude,
    conflict_share,
    distinct,
    passage_text,
    read_evidence,
    weaker_side,
)
from data.models.artifacts import save_artifact
from data.models.calibration import Calibration, expected_calibration_error, fit_temperature
from data.models.conformal import ConformalLabels, fit_conformal
from data.models.embedding import CachedEmbedder, OnnxEmbedder
from data.models.stance import FeatureStance
from data.ports import Embedder, StanceModel
from data.text.analyser import SpacyAnalyser
from data.verdicts import VERDICT_LABELS
from tasks.labelled import LabelledClaim, PoolPassage, file_record, read_claims, share_of
from tasks.measures import figures
from tasks.pooled_evidence import PooledEvidence
from tasks.train_stance import FM2_TRAIN_SHARE, TRAIN_SHARES

#: Classes of the booster; CONFLICTING is derived (``data.models.aggregation.conclude``).
CLASSES = VERDICT_LABELS[:3]
CONFLICTING = 3
#: VitaminC train pages from the stance model's share up to this one (per cent) are unseen and learned from
#: here.
VITAMINC_UNTIL = 65
#: How often (per cent) a decided claim loses its evidence, by set: few where undecided claims abound.
REMOVED_SHARE = {"vitaminc": 15, "fever_dev": 15, "fm2": 35, "scifact": 20}
#: How often (per cent) a VitaminC claim is shown with both versions of its evidence.
BOTH_VERSIONS_SHARE = 15
#: How often (per cent) evidence comes without retrieval scores, as evidence given by a caller does.
UNSCORED_SHARE = 25
MOST_ITEMS = 8
#: Parts of the pages (per cent): fitting, then stopping and calibration, and the rest for prediction sets.
FIT_UNTIL, CALIBRATE_UNTIL = 65, 80
SEED = 11
ROUNDS, PATIENCE = 400, 30
PARAMETERS: dict[str, Any] = {
    "objective": "multi:softprob",
    "num_class": len(CLASSES),
    "tree_method": "hist",
    "max_depth": 4,
    "eta": 0.06,
    "min_child_weight": 10.0,
    "subsample": 0.8,
    "colsample_bytree": 0.7,
    "lambda": 3.0,
    "nthread": 1,
    "seed": SEED,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """A claim with the evidence it is shown with; ``label`` is a column of ``VERDICT_LABELS``."""

    text: str
    label: int
    part: int
    items: tuple[Evidence, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Judged:
    """Shown claims after the stance model: readings, feature rows (n, features) and labels (n,)."""

    shown: tuple[Shown, ...]
    readings: tuple[tuple[Reading, ...], ...]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]

    def where(self, wanted: NDArray[np.bool_]) -> Judged:
        """Return the claims marked True."""
        places = np.flatnonzero(wanted)
        return Judged(
            tuple(self.shown[place] for place in places),
            tuple(self.readings[place] for place in places),
            self.features[places],
            self.labels[places],
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.train_aggregator", description="Train the aggregator."
    )
    parser.add_argument("--datasets", type=Path, default=os.environ.get("KITE_DATASETS"))
    parser.add_argument("--stance", type=Path, default=Path("models/stance"))
    parser.add_argument("--out", type=Path, default=Path("models/aggregator"))
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
        stance = FeatureStance(SpacyAnalyser(), embedder, options.stance, remember=50_000)
        report = train(
            Path(options.datasets), options.out, stance=stance, embedder=embedder, with_test=options.with_test
        )
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(report, indent=1, sort_keys=True) + "\n")
    return 0


def train(
    datasets: Path, out: Path, *, stance: FeatureStance, embedder: Embedder, with_test: bool
) -> dict[str, Any]:
    """Train, calibrate, fit the prediction sets, measure and save; return the training record."""
    started = time.perf_counter()
    everything = judged(stance, list(all_shown(datasets, embedder)))
    parts = np.array([each.part for each in everything.shown])
    three = everything.labels != CONFLICTING
    booster, rounds = fit(everything.where((parts == 0) & three), everything.where((parts == 1) & three))
    held = everything.where((parts == 1) & three)
    calibration = fit_temperature(
        booster.inplace_predict(held.features, validate_features=False), held.labels
    )
    last = everything.where(parts == 2)
    conformal = fit_conformal(concluded(booster, calibration, last), last.labels)
    record: dict[str, Any] = {
        "task": "aggregator",
        "seed": SEED,
        "parameters": PARAMETERS,
        "rounds": rounds,
        "claims": {
            name: int((everything.labels == index).sum()) for index, name in enumerate(VERDICT_LABELS)
        },
        "stance": stance.identity,
        "data": [file_record(datasets, name) for name in _FILES],
        "held_out": by_source(booster, calibration, last),
        "conflict_table": conflict_table(everything.where(parts == 2)),
        "conformal": conformal.to_dict(),
    }
    if with_test:
        unseen = judged(stance, list(unseen_shown(datasets, embedder)))
        record["test"] = by_source(booster, calibration, unseen)
        record["test_coverage"] = coverage(conformal, concluded(booster, calibration, unseen), unseen.labels)
    record["minutes"] = round((time.perf_counter() - started) / 60, 1)
    save_artifact(
        out,
        booster,
        feature_names=AGGREGATE_FEATURES,
        classes=CLASSES,
        calibration=calibration,
        record=record,
    )
    return record


_FILES = (
    "fever_dev/dev.jsonl",
    "fever_dev/nei_nearest_dev.jsonl",
    "fm2/retrieval/corpus.jsonl",
    "fm2/retrieval/qrels.tsv",
    "fm2/retrieval/queries.jsonl",
    "scifact/retrieval/corpus.jsonl",
    "scifact/retrieval/qrels.tsv",
    "scifact/retrieval/queries.jsonl",
    "vitaminc/dev.jsonl",
    "vitaminc/train.jsonl",
)


def all_shown(datasets: Path, embedder: Embedder) -> Iterator[Shown]:
    """Yield the claims to learn from: dev splits, and VitaminC train pages that the stance model left out."""
    for name in ("vitaminc", "fever_dev", "fm2", "scifact"):
        yield from shown_of(name, *read_claims(datasets, name, "dev"), embedder=embedder)
    claims, pool = read_claims(datasets, "vitaminc", "train")
    unseen = [each for each in pool if TRAIN_SHARES["vitaminc"] <= share_of(each.title) < VITAMINC_UNTIL]
    known = {each.id for each in unseen}
    claims = [each for each in claims if set(each.gold or each.beside) <= known]
    yield from shown_of("vitaminc", claims, unseen, embedder=embedder)


def unseen_shown(datasets: Path, embedder: Embedder) -> Iterator[Shown]:
    """Yield the claims of the test splits, shown in the same ways."""
    for name in ("vitaminc", "fever_dev", "fm2", "scifact"):
        yield from shown_of(name, *read_claims(datasets, name, "test"), embedder=embedder)


def shown_of(
    name: str, claims: Sequence[LabelledClaim], pool: Sequence[PoolPassage], *, embedder: Embedder
) -> Iterator[Shown]:
    """Yield each claim of one set once, in the way that its hash chooses."""
    found = PooledEvidence(pool, embedder)
    versions: dict[str, list[LabelledClaim]] = {}
    for claim in claims:
        versions.setdefault(claim.text, []).append(claim)
    for claim in claims:
        shown = _show(name, claim, versions[claim.text], found)
        if shown is not None and shown.items:
            yield shown


def _show(
    name: str, claim: LabelledClaim, versions: Sequence[LabelledClaim], found: PooledEvidence
) -> Shown | None:
    """Return the claim with its evidence, without it, or with both versions of it."""
    named = claim.gold or claim.beside
    title = found.title(named[0]) if named else ""
    if name == "fm2" and share_of(title) < FM2_TRAIN_SHARE:
        return None
    draw = share_of("shown" + claim.id)
    label, gold = claim.label, named
    both = tuple(dict.fromkeys(each for version in versions for each in version.gold))
    if name == "vitaminc" and {0, 1} <= {each.label for each in versions} and draw < BOTH_VERSIONS_SHARE:
        label, gold = CONFLICTING, both
    elif claim.gold and draw >= 100 - REMOVED_SHARE[name]:
        label, gold = 2, ()
    items = _evidence(name, claim, gold=gold, avoid={*both, *claim.gold}, title=title, found=found)
    part_key = share_of("part" + (title or claim.text))
    part = 0 if part_key < FIT_UNTIL else 1 if part_key < CALIBRATE_UNTIL else 2
    return Shown(claim.text, label, part, items, name)


def _evidence(
    name: str,
    claim: LabelledClaim,
    *,
    gold: Sequence[str],
    avoid: set[str],
    title: str,
    found: PooledEvidence,
) -> tuple[Evidence, ...]:
    """Return the gold items and what retrieval adds, at most ``MOST_ITEMS``, some without scores.

    Of VitaminC and FEVER other passages of the same page are left out: they are versions of the evidence
    itself.
    """
    same_page = title if name in ("vitaminc", "fever_dev") else ""
    extra = share_of("extra" + claim.id, MOST_ITEMS + 1)
    others = [
        item
        for item in found.find(claim.text, MOST_ITEMS)
        if item.id not in avoid and item.id not in gold and not (same_page and item.title == same_page)
    ]
    items = [*(found.get(each, claim.text) for each in gold), *others[: max(extra, 0 if gold else 1)]]
    if share_of("unscored" + claim.id) < UNSCORED_SHARE:
        items = [replace(item, scores=RetrievalScores()) for item in items]
    return tuple(items)


def judged(stance: StanceModel, shown: Sequence[Shown]) -> Judged:
    """Return the claims with the stance of their evidence, titles before passages as in serving."""
    readings: list[tuple[Reading, ...]] = []
    for start in range(0, len(shown), 128):
        block = shown[start : start + 128]
        pairs = [(each.text, passage_text(item)) for each in block for item in each.items]
        rows = iter(stance.judge(pairs))
        readings += [tuple(read_evidence(item, next(rows)) for item in each.items) for each in block]
    features = np.stack([claim_features(each) for each in readings])
    return Judged(tuple(shown), tuple(readings), features, np.array([each.label for each in shown]))


def fit(learned: Judged, held: Judged) -> tuple[Any, int]:
    """Return the booster and its rounds, stopped at the least log loss of the held claims."""
    import xgboost

    names = list(AGGREGATE_FEATURES)
    matrix = xgboost.DMatrix(learned.features, learned.labels, feature_names=names)
    stop = xgboost.DMatrix(held.features, held.labels, feature_names=names)
    booster = xgboost.train(
        PARAMETERS, matrix, ROUNDS, evals=[(stop, "held")], early_stopping_rounds=PATIENCE, verbose_eval=False
    )
    rounds = booster.best_iteration + 1
    return booster[:rounds], rounds


def concluded(booster: Any, calibration: Calibration, part: Judged) -> NDArray[np.float64]:
    """Return verdict rows (n, 4) as the framework would give them."""
    scored = calibration.apply(booster.inplace_predict(part.features, validate_features=False))
    return np.array([conclude(row, each) for row, each in zip(scored, part.readings, strict=True)])


def by_source(booster: Any, calibration: Calibration, part: Judged) -> dict[str, dict[str, float]]:
    """Return the figures of each set and of all together; CONFLICTING counts as a fourth class."""
    rows = concluded(booster, calibration, part).astype(np.float32)
    sources = np.array([each.source for each in part.shown])
    report = {}
    for name in (*sorted(set(sources.tolist())), "all"):
        here = np.ones(len(sources), dtype=bool) if name == "all" else sources == name
        report[name] = figures(rows[here], part.labels[here])
        hits = (rows[here].argmax(axis=1) == part.labels[here]).astype(np.int64)
        report[name]["calibration_error"] = round(expected_calibration_error(rows[here].max(axis=1), hits), 4)
    return report


def coverage(
    conformal: ConformalLabels, rows: NDArray[np.float64], labels: NDArray[np.int64], alpha: float = 0.1
) -> dict[str, float]:
    """Return, by true label, the share of prediction sets that hold it, and the mean size of a set."""
    sets = [conformal.prediction_set(row, alpha) for row in rows.tolist()]
    report = {"mean_size": round(sum(map(len, sets)) / len(sets), 3), "alpha": alpha}
    for index, name in enumerate(VERDICT_LABELS):
        own = [name in each for each, label in zip(sets, labels, strict=True) if label == index]
        if own:
            report[name] = round(sum(own) / len(own), 4)
    return report


def conflict_table(part: Judged) -> list[dict[str, float]]:
    """Return, by strength of the weaker side, claims, share in conflict, and the formula's share."""
    items = [distinct(each) for each in part.readings]
    weaker = np.array([weaker_side(each) for each in items])
    shares = np.array([conflict_share(each) for each in items])
    report = []
    for low, high in pairwise((0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 1.01)):
        here = (weaker >= low) & (weaker < high)
        if here.any():
            observed = float((part.labels[here] == CONFLICTING).mean())
            formula = float(shares[here].mean())
            row = {"from": low, "claims": float(here.sum()), "observed": observed, "formula": formula}
            report.append({key: round(value, 4) for key, value in row.items()})
    return report


if __name__ == "__main__":
    raise SystemExit(main())
