"""Measure the product on labelled sets: ``python -m tasks.evaluate [--sets DIR] [--splits dev,test]``.

Every set in the folder, every split asked for, one command. Verdicts on gold evidence, verdicts and
retrieval over whole corpora, and check-worthiness; a JSON report and an HTML page with plots go to ``--out``.
Default is the dev splits: a test split is for the last look.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cluster.wiring import open_models
from configs.load import load_settings
from configs.schema import Settings
from data.errors import ConfigError, KiteError
from data.evidence import STANCES
from data.models.checkworthiness import features as checkworthiness_features
from tasks.evaluation import open_book, statistics
from tasks.evaluation.gold import judge
from tasks.evaluation.pages import html_page, quality_page
from tasks.evaluation.sets import Example, LabelledFile, RetrievalView, folders, read_retrieval, read_set

#: Sets whose 0/1 label is check-worthiness; other sentence sets mark something else and are left out.
CHECKWORTHINESS_SETS = ("claimbuster", "ct20_tweets", "ct20_debates")
#: Corpora above this many documents are ranked only when named with --only.
OPEN_SETS = ("scifact", "fm2")

_SLICES: dict[str, Callable[[str], bool]] = {
    "negation": re.compile(r"\b(not|no|never|none|nor|without|cannot)\b|n't", re.IGNORECASE).search,  # type: ignore[dict-item]
    "numbers": re.compile(r"\d").search,  # type: ignore[dict-item]
    "at most 10 words": lambda claim: len(claim.split()) <= 10,
    "over 20 words": lambda claim: len(claim.split()) > 20,
}
Run = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    parser = argparse.ArgumentParser(prog="python -m tasks.evaluate", description="Measure the product.")
    parser.add_argument(
        "--sets", type=Path, default=os.environ.get("KITE_DATASETS"), help="folder of labelled sets"
    )
    parser.add_argument("--only", default="", help="sets to measure, separated by commas (default: all)")
    parser.add_argument("--splits", default="dev", help="splits, separated by commas (default: dev)")
    parser.add_argument("--limit", type=int, help="rows of a split that are read at most")
    parser.add_argument("--out", type=Path, default=Path("quality"), help="folder of the report")
    parser.add_argument("--no-open", action="store_true", help="leave whole-corpus runs out")
    parser.add_argument(
        "--write-quality", type=Path, help="also write the page of figures, e.g. docs/quality.md"
    )
    options = parser.parse_args(arguments)
    try:
        if options.sets is None:
            raise ConfigError("No labelled sets: give --sets DIR or set KITE_DATASETS.")
        report = evaluate(options, load_settings())
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True), encoding="utf-8")
    (options.out / "report.html").write_text(html_page(report), encoding="utf-8")
    if options.write_quality:
        options.write_quality.write_text(quality_page(report), encoding="utf-8")
    sys.stdout.write(f"{options.out / 'report.json'} and {options.out / 'report.html'} are written.\n")
    return 0


def evaluate(options: argparse.Namespace, settings: Settings) -> dict[str, Any]:
    """Return the report: figures by "set split", the models' identity and the options."""
    models = open_models(settings)
    splits = tuple(each for each in options.splits.split(",") if each)
    only = tuple(each for each in options.only.split(",") if each)
    runs: dict[str, Run] = {}
    for folder in folders(Path(options.sets), only):
        for part in read_set(folder, splits, options.limit):
            name = f"{part.name} {part.split}"
            if part.kind == "sentence" and folder.name not in CHECKWORTHINESS_SETS:
                continue
            _say(f"{name}: {len(part.examples)} rows")
            runs[name] = _sentences(part, models) if part.kind == "sentence" else _gold(part, models)
        view = read_retrieval(folder) if not options.no_open and (only or folder.name in OPEN_SETS) else None
        if view is not None:
            runs |= dict(_open(view, splits, settings, options.limit))
    return {
        "model_bundle": models.scorer.bundle(),
        "splits": list(splits),
        "runs": {name: _plain(run) for name, run in sorted(runs.items())},
    }


def _gold(part: LabelledFile, models: Any) -> Run:
    found = judge(models.stance, part.examples, lambda done: _say(f"  {done} passages", end="\r"))
    labels = np.array([each.label for each in part.examples], dtype=np.int64)
    return _described(found.probabilities, labels, part.examples, STANCES, skipped=part.skipped)


def _sentences(part: LabelledFile, models: Any) -> Run:
    texts = [each.claim for each in part.examples]
    rows = checkworthiness_features(texts, models.embedder.embed(texts))
    probabilities = np.asarray(models.scorer.predict("checkworthiness", rows), dtype=np.float32)
    labels = np.array([each.label for each in part.examples], dtype=np.int64)
    run = _described(probabilities, labels, part.examples, ("no", "yes"), skipped=part.skipped)
    counts = statistics.confusion(probabilities.argmax(axis=1), labels, 2)
    low, high = statistics.interval(counts, lambda each: statistics.f1_of(each, 1))
    run["f1_positive"] = statistics.Estimate(
        round(statistics.f1_of(counts, 1), 4), round(low, 4), round(high, 4)
    )
    return run


def _described(
    probabilities: statistics.Rows,
    labels: statistics.Labels,
    examples: Sequence[Example],
    classes: Sequence[str],
    *,
    skipped: int,
) -> Run:
    rows = statistics.among(probabilities, labels)
    predicted = rows.argmax(axis=1)
    run: Run = dict(statistics.figures(probabilities, labels))
    run["classes"] = list(classes)
    run["confusion"] = statistics.confusion(predicted, labels, len(classes)).tolist()
    run["reliability"] = [asdict(each) for each in statistics.reliability(rows, labels)]
    risks = statistics.risk_coverage(rows, labels)
    run["risk_coverage"] = [round(each, 4) for each in risks[:: max(1, len(risks) // 200)]]
    run["skipped_rows"] = skipped
    run["slices"] = {}
    for name, belongs in _SLICES.items():
        inside = np.array([bool(belongs(each.claim)) for each in examples])
        if inside.any():
            counts = statistics.confusion(predicted[inside], labels[inside], len(classes))
            run["slices"][name] = {
                "rows": int(inside.sum()),
                "accuracy": round(statistics.accuracy(counts), 4),
                "macro_f1": round(statistics.macro_f1(counts), 4),
            }
    return run


def _open(
    view: RetrievalView, splits: Sequence[str], settings: Settings, limit: int | None
) -> Iterator[tuple[str, Run]]:
    _say(f"{view.name}: {len(view.corpus)} documents are written")
    with open_book.opened(view, settings) as (parts, own):
        for split in splits:
            queries = dict(list(view.queries.get(split, {}).items())[:limit])
            if not queries:
                continue
            judged = {key: text for key, text in queries.items() if view.relevant.get(key)}
            say = lambda done: _say(f"  {done} queries", end="\r")  # noqa: E731
            ranked = open_book.rank(parts, own, judged, say)
            yield f"{view.name}/retrieval {split}", _ranking(view, ranked)
            if view.labels:
                verdicts = open_book.answer(parts, own, queries, say)
                labels = np.array([view.labels.get(key, 2) for key in queries], dtype=np.int64)
                rows = np.array([each.probabilities for each in verdicts], dtype=np.float32)
                examples = [Example(key, text, (), 0) for key, text in queries.items()]
                run = _described(rows, labels, examples, STANCES, skipped=0)
                scores = open_book.fever_score(verdicts, view.labels, view.relevant)
                run["fever_score"] = statistics.resampled(scores)
                yield f"{view.name}/open {split}", run


def _ranking(view: RetrievalView, ranked: Mapping[str, Sequence[str]]) -> Run:
    run: Run = {"rows": len(ranked)}
    gains = [statistics.ndcg(found, view.relevant[key]) for key, found in ranked.items()]
    run["ndcg_10"] = statistics.resampled(np.array(gains))
    for depth in (10, 100):
        found_at = [statistics.recall(found, view.relevant[key], depth) for key, found in ranked.items()]
        run[f"recall_{depth}"] = statistics.resampled(np.array(found_at))
    return run


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


def _say(line: str, end: str = "\n") -> None:
    sys.stderr.write(line + end)
    sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
