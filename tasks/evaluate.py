"""Measure the product on labelled sets: ``python -m tasks.evaluate [--sets DIR] [--splits dev,test]``.

Every set in the folder, every split asked for, one command. Verdicts on gold evidence, with and without
labels of one's own, verdicts and retrieval over whole corpora, check-worthiness, and syntax; a JSON report
and an HTML page with plots go to ``--out``. Default is the dev splits: a test split is for the last look.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

from cluster.wiring import SYNTAX, Models, model_folder, open_models
from configs.load import load_settings
from configs.schema import Settings
from data.errors import ConfigError, KiteError, ModelUnavailableError
from data.text.syntax import load_syntax
from tasks.evaluation import syntax
from tasks.evaluation.own_labels import own_label_runs
from tasks.evaluation.pages import html_page, quality_page
from tasks.evaluation.runs import Run, gold_run, open_runs, say, sentence_run
from tasks.evaluation.sets import folders, read_beir, read_retrieval, read_set

#: Sets whose 0/1 label is check-worthiness; other sentence sets mark something else and are left out.
CHECKWORTHINESS_SETS = ("claimbuster", "ct20_tweets", "ct20_debates")
#: Corpora of other sets are ranked only when named with --only.
OPEN_SETS = ("scifact", "fm2")


@dataclass(frozen=True, slots=True)
class Asked:
    """What is to be measured: the sets of a folder (all, or those of ``only``), their splits, how much."""

    sets: Path
    only: tuple[str, ...]
    splits: tuple[str, ...]
    limit: int | None = None
    open: bool = True


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input)."""
    options = _options(arguments)
    try:
        if options.sets is None:
            raise ConfigError("No labelled sets: give --sets DIR or set KITE_DATASETS.")
        only, splits = _names(options.only), _names(options.splits)
        asked = Asked(Path(options.sets), only, splits, options.limit, not options.no_open)
        earlier = _earlier(options.out) if options.add else None
        report = evaluate(asked, load_settings())
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    if earlier is not None:
        report = added_to(earlier, report)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(report, indent=1, sort_keys=True), encoding="utf-8")
    (options.out / "report.html").write_text(html_page(report), encoding="utf-8")
    if options.write_quality:
        options.write_quality.write_text(quality_page(report), encoding="utf-8")
    sys.stdout.write(f"{options.out / 'report.json'} and {options.out / 'report.html'} are written.\n")
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
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
        "--add", action="store_true", help="keep what the report in --out says of other sets and splits"
    )
    parser.add_argument(
        "--write-quality", type=Path, help="also write the page of figures, e.g. docs/quality.md"
    )
    return parser.parse_args(arguments)


def _names(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.split(",") if each)


def evaluate(asked: Asked, settings: Settings) -> dict[str, Any]:
    """Return the report: figures by "set split", what could not be measured, the models' identity.

    Raises:
        ConfigError: the folder of sets, or one of those asked for, is not there.
    """
    found = folders(asked.sets, asked.only)
    models = open_models(settings)
    runs: dict[str, Run] = {}
    missing: dict[str, str] = {}
    for folder in found:
        runs |= dict(_set_runs(folder, asked, models))
        runs |= dict(_syntax_runs(folder, asked, model_folder(settings) / SYNTAX, missing))
        runs |= dict(_corpus_runs(folder, asked, settings))
    return {
        "model_bundle": models.scorer.bundle(),
        "splits": list(asked.splits),
        "limit": asked.limit,
        "missing": missing,
        "runs": {name: _plain(run) for name, run in sorted(runs.items())},
    }


def added_to(earlier: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """Return the report with the runs of an earlier one that it has not itself.

    Nothing is kept of an earlier report of other models: its figures are not of these.
    """
    if earlier.get("model_bundle") != report["model_bundle"]:
        say("The earlier report was made with other models: nothing of it is kept.")
        return report
    splits = sorted({*earlier["splits"], *report["splits"]})
    runs = earlier["runs"] | report["runs"]
    missing = {
        name: reason
        for name, reason in (earlier.get("missing", {}) | report["missing"]).items()
        if not any(run.rsplit(" ", 1)[0] == name for run in runs)
    }
    return {**report, "splits": splits, "missing": missing, "runs": dict(sorted(runs.items()))}


def _earlier(out: Path) -> dict[str, Any]:
    try:
        earlier: dict[str, Any] = json.loads((out / "report.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise ConfigError(f"--add needs a report in {out}, which cannot be read: {exc}.") from exc
    return earlier


def _set_runs(folder: Path, asked: Asked, models: Models) -> Iterator[tuple[str, Run]]:
    """Yield the runs over the rows of one set."""
    for part in read_set(folder, asked.splits, asked.limit):
        name = f"{part.name} {part.split}"
        if part.kind == "sentence" and folder.name not in CHECKWORTHINESS_SETS:
            continue
        say(f"{name}: {len(part.examples)} rows")
        yield name, sentence_run(part, models) if part.kind == "sentence" else gold_run(part, models)
    yield from own_label_runs(folder, asked.splits, models, asked.limit)


def _syntax_runs(
    folder: Path, asked: Asked, model: Path, missing: dict[str, str]
) -> Iterator[tuple[str, Run]]:
    """Yield the runs over a treebank; why there are none is written into ``missing``."""
    splits = [split for split in asked.splits if syntax.holds_treebank(folder, split)]
    if not splits:
        return
    try:
        reader = load_syntax(model)
    except ModelUnavailableError:
        missing[folder.name] = "there is no syntax pipeline among the models"
        return
    for split in splits:
        say(f"{folder.name} {split}: syntax")
        yield f"{folder.name} {split}", syntax.measure(reader, folder, split, asked.limit)


def _corpus_runs(folder: Path, asked: Asked, settings: Settings) -> Iterator[tuple[str, Run]]:
    """Yield the runs over a whole corpus, where the set has one and is asked for."""
    if not asked.open or (not asked.only and folder.name not in OPEN_SETS):
        return
    view = read_retrieval(folder)
    if view is not None:
        yield from open_runs(view, read_beir(folder), asked.splits, settings, asked.limit)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    return {key: _plain(each) for key, each in value.items()} if isinstance(value, dict) else value


if __name__ == "__main__":
    raise SystemExit(main())
