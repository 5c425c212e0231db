"""Train the aggregator: ``python -m tasks.train_aggregator --datasets DIR [--stance DIR] [--out DIR]``.

Claims of dev splits are shown with what retrieval finds for them (``tasks.shown_claims``) and judged by a
stance model that has not learned from their pages (``tasks.unseen_stance``). Everything that is chosen or
calibrated rests on folds of pages that were held out; test splits are looked at only with ``--with-test``.
Logits of pairs are kept on disk, so that a second run with the same stance model takes a minute or two.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cluster.head import home_of
from cluster.wiring import embedder_folder
from configs.load import load_settings
from data.errors import ConfigError, KiteError
from data.exact.comparison import findings
from data.exact.compound_units import load_units
from data.exact.features import balance
from data.models.aggregation import (
    AGGREGATE_FEATURES,
    Reading,
    claim_features,
    conclude,
    gated,
    judged_text,
    read_evidence,
    strongest,
    with_findings,
)
from data.models.artifacts import save_artifact
from data.models.calibration import Calibration
from data.models.conformal import fit_conformal
from data.models.embedding import CachedEmbedder, OnnxEmbedder
from data.models.reliability import reliability_record, write_reliability
from data.ports import Embedder, TextAnalyser
from data.text.analyser import SpacyAnalyser
from data.verdicts import VERDICT_LABELS
from tasks import aggregator_report as report
from tasks.aggregator_fit import (
    SHAPES,
    Rounds,
    Shape,
    at_rounds,
    best_rounds,
    fit_booster,
    fit_scale,
    held_out_margins,
    scored_rows,
)
from tasks.labelled import file_record, share_of
from tasks.shown_claims import Shown, outside_claims, shown_claims
from tasks.stance_pairs import FM2_TRAIN_SHARE
from tasks.unseen_stance import CrossFittedStance, UnseenStance, fold_of

#: Most pairs judged of each split: at 5 ms a pair, 35,000 take three minutes.
MOST_PAIRS = 35_000
#: Of how many items, most decisive first, the words are compared; as ``EmpiricalConfig.compared_items``.
COMPARED_ITEMS = 3
#: Claims judged at once.
BLOCK_CLAIMS = 128
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
)


@dataclass(frozen=True, slots=True)
class Judged:
    """Shown claims after the stance model: readings, feature rows (n, features), labels and folds (n,)."""

    shown: tuple[Shown, ...]
    readings: tuple[tuple[Reading, ...], ...]
    features: NDArray[np.float32]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]

    def concluded(self, margins: NDArray[np.float64], scale: float) -> NDArray[np.float64]:
        """Return verdict rows (n, 4) as the framework would give them for these margins."""
        scored = scored_rows(margins, scale)
        return np.array([conclude(row, each) for row, each in zip(scored, self.readings, strict=True)])


@dataclass(frozen=True, slots=True)
class Tools:
    """What a run needs besides the labelled sets."""

    analyser: TextAnalyser
    embedder: Embedder
    stance: UnseenStance


@dataclass(frozen=True, slots=True)
class Fitted:
    """The booster, its temperature, and the verdict rows (n, 4) of held-out claims."""

    booster: Any
    scale: float
    held_out: NDArray[np.float64]
    chosen: dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    options = _options(arguments)
    try:
        if options.datasets is None:
            raise ConfigError("No labelled data: set KITE_DATASETS or give --datasets.")
        settings = load_settings()
        analyser = SpacyAnalyser()
        load_units()
        embedder = CachedEmbedder(OnnxEmbedder(options.embedder or embedder_folder(settings)), None, 200_000)
        cache = options.cache or home_of(settings) / "training" / "stance_rows.sqlite"
        stance = CrossFittedStance(analyser, options.stance, Path(options.datasets), cache=cache)
        tools = Tools(analyser, embedder, stance)
        record = train(
            Path(options.datasets),
            options.out,
            tools,
            with_test=options.with_test,
            most_pairs=options.most_pairs,
        )
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.train_aggregator", description="Train the aggregator."
    )
    parser.add_argument("--datasets", type=Path, default=os.environ.get("KITE_DATASETS"))
    parser.add_argument("--stance", type=Path, default=Path("models/stance"))
    parser.add_argument("--out", type=Path, default=Path("models/aggregator"))
    parser.add_argument(
        "--embedder", type=Path, help="folder of the embedder (default: in the setting `home`)"
    )
    parser.add_argument("--cache", type=Path, help="file of judged pairs (default: in the setting `home`)")
    parser.add_argument("--most-pairs", type=int, default=MOST_PAIRS, help="pairs judged of each split")
    parser.add_argument(
        "--with-test", action="store_true", help="also look at the test splits, once, at the end"
    )
    return parser.parse_args(arguments)


def train(
    datasets: Path, out: Path, tools: Tools, *, with_test: bool, most_pairs: int = MOST_PAIRS
) -> dict[str, Any]:
    """Train, calibrate, fit the prediction sets, measure and save; return the training record."""
    started = time.perf_counter()
    shown = shown_claims(datasets, "dev", tools.embedder, unseen_share=FM2_TRAIN_SHARE)
    seen = in_proportion(judged(tools, sampled(list(shown), most_pairs), unseen=True))
    fitted = fit(seen)
    conformal = fit_conformal(fitted.held_out, seen.labels)
    record: dict[str, Any] = {
        "task": "aggregator",
        **fitted.chosen,
        "claims": {name: int((seen.labels == index).sum()) for index, name in enumerate(VERDICT_LABELS)},
        "pairs": sum(map(len, seen.readings)),
        "stance": tools.stance.identity,
        "data": [file_record(datasets, name) for name in _FILES],
        "held_out": described(fitted.held_out, seen),
        "held_out_coverage": report.cross_coverage(fitted.held_out, seen.labels, seen.folds),
        "conformal": conformal.to_dict(),
    }
    record["held_out_lines"] = report.lines(record["held_out"]["sets"]["all"], record["held_out_coverage"])
    outside = judged(tools, sampled(list(outside_claims(datasets)), most_pairs // 4), unseen=False)
    record["outside"] = described(answered(fitted, outside), outside)
    if with_test:
        shown = shown_claims(datasets, "test", tools.embedder)
        test = judged(tools, sampled(list(shown), most_pairs), unseen=False)
        rows = answered(fitted, test)
        record["test"] = described(rows, test)
        record["test_coverage"] = report.coverage(conformal, rows, test.labels)
        record["test_lines"] = report.lines(record["test"]["sets"]["all"], record["test_coverage"])
    record["minutes"] = round((time.perf_counter() - started) / 60, 1)
    save_artifact(
        out,
        fitted.booster,
        feature_names=AGGREGATE_FEATURES,
        classes=VERDICT_LABELS,
        calibration=Calibration("temperature", (fitted.scale,)),
        record=record,
    )
    sources = [each.source for each in seen.shown]
    write_reliability(out, reliability_record(fitted.held_out, seen.labels, sources))
    return record


def sampled(shown: Sequence[Shown], most_pairs: int) -> list[Shown]:
    """Return whole pages, chosen by their hash, until the claims have so many pairs; all where they fit."""
    total = sum(len(each.items) for each in shown)
    share = min(1.0, most_pairs / max(1, total))
    return [each for each in shown if share_of("sample" + each.page, 10_000) < share * 10_000]


def judged(tools: Tools, shown: Sequence[Shown], *, unseen: bool) -> Judged:
    """Return the claims read as in serving: titles before passages, bystanders gated, findings compared."""
    readings: list[tuple[Reading, ...]] = []
    for start in range(0, len(shown), BLOCK_CLAIMS):
        readings += _read(tools, shown[start : start + BLOCK_CLAIMS], unseen=unseen)
    features = np.stack([claim_features(each) for each in readings])
    labels = np.array([each.label for each in shown], dtype=np.int64)
    folds = np.array([fold_of(each.page) for each in shown], dtype=np.int64)
    return Judged(tuple(shown), tuple(readings), features, labels, folds)


def in_proportion(seen: Judged) -> Judged:
    """Return the claims with FM2's, of which few pages are left, as often as all of its pages would give.

    Without this a set of adversarial claims counts for a quarter of its size, and what is calibrated on the
    rest is too sure of itself where such claims come in their number.
    """
    times = round(100 / (100 - FM2_TRAIN_SHARE))
    rows = [row for row, each in enumerate(seen.shown) for _ in range(times if each.source == "fm2" else 1)]
    return Judged(
        shown=tuple(seen.shown[row] for row in rows),
        readings=tuple(seen.readings[row] for row in rows),
        features=seen.features[rows],
        labels=seen.labels[rows],
        folds=seen.folds[rows],
    )


def _read(tools: Tools, block: Sequence[Shown], *, unseen: bool) -> Iterator[tuple[Reading, ...]]:
    pairs = [(each.text, judged_text(each.text, item)) for each in block for item in each.items]
    pages = [each.page for each in block for _ in each.items]
    rows = iter(tools.stance.judge_unseen(pairs, pages) if unseen else tools.stance.judge(pairs))
    for each, analysis in zip(block, tools.analyser.analyse([each.text for each in block]), strict=True):
        names = [entity.text for entity in analysis.entities]
        read = [read_evidence(item, gated(names, item, next(rows))) for item in each.items]
        wanted = {reading.id for reading in strongest(read, COMPARED_ITEMS)}
        compared = [item for item in each.items if item.id in wanted]
        theirs = tools.analyser.analyse([item.text for item in compared])
        found = {
            item.id: balance(findings(each.text, analysis, item.text, other, title=item.title))
            for item, other in zip(compared, theirs, strict=True)
        }
        yield tuple(with_findings(read, found))


def fit(seen: Judged) -> Fitted:
    """Return the booster of the shape that held-out folds choose, with its temperature."""
    best: tuple[float, Shape, Rounds, NDArray[np.float64]] | None = None
    tried = []
    for shape in SHAPES:
        margins = held_out_margins(seen.features, seen.labels, seen.folds, shape=shape)
        rounds, loss = best_rounds(margins, seen.labels)
        tried.append({**asdict(shape), **asdict(rounds), "log_loss": round(loss, 5)})
        if best is None or loss < best[0]:
            best = (loss, shape, rounds, at_rounds(margins, rounds))
    if best is None:
        raise ConfigError("There is no shape of trees to choose from.")
    _, shape, rounds, margins_there = best
    scale = fit_scale(margins_there, seen.labels)
    booster = fit_booster(seen.features, seen.labels, shape, rounds)
    chosen = {
        "parameters": shape.parameters(),
        "rounds": asdict(rounds),
        "temperature": scale,
        "tried": tried,
    }
    return Fitted(booster, scale, seen.concluded(margins_there, scale), chosen)


def answered(fitted: Fitted, part: Judged) -> NDArray[np.float64]:
    """Return the verdict rows (n, 4) of claims that nothing was fitted on."""
    import xgboost

    matrix = xgboost.DMatrix(part.features, feature_names=list(AGGREGATE_FEATURES))
    margins = fitted.booster.predict(matrix, output_margin=True).astype(np.float64)
    return part.concluded(margins, fitted.scale)


def described(rows: NDArray[np.float64], part: Judged) -> dict[str, Any]:
    """Return all figures of one part: by set, of conflicts, and of what is called SUPPORTED wrongly."""
    sources, ways = [each.source for each in part.shown], [each.way for each in part.shown]
    conflicts = {
        name: report.conflict_figures(rows[here], part.labels[here])
        for name in sorted(set(sources))
        if bool((part.labels[here := np.array(sources) == name] == report.CONFLICTING).any())
    }
    # Disputed claims stand apart: nobody meets as many of them as the sets collect.
    groups = [f"{one.source}_disputed" if one.way == "disputed" else one.source for one in part.shown]
    return {
        "sets": report.by_group(rows, part.labels, groups),
        "conflicts": {**conflicts, "all": report.conflict_figures(rows, part.labels)},
        "supported_though_not": report.supported_by_way(rows, part.labels, ways),
        "confusion": report.confusion(rows, part.labels),
    }


if __name__ == "__main__":
    raise SystemExit(main())
