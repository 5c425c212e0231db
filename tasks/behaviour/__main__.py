"""Test how verdicts behave: ``python -m tasks.behaviour [--claims 1000] [--out DIR] [--fuzz N]``.

Without ``--fuzz``: real claims are changed in ways whose effect on a verdict is known, and the rates are
reported. With it: texts of every kind are sent through every stage, and whatever breaks a promise is
reported. Choose on dev; ``--split test`` is for a final figure.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cluster.wiring import open_models
from configs.load import load_settings
from data.errors import ConfigError, KiteError
from tasks.behaviour.cases import choose_cases
from tasks.behaviour.judging import Judge, shipped_judge
from tasks.behaviour.page import behaviour_page
from tasks.behaviour.relations import DECIDED, observe
from tasks.behaviour.report import summary, table

#: Names of the reports in ``--out``.
RELATED, FUZZED = "behaviour.json", "fuzz.json"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 all as it must be, 1 something is not, 2 bad input)."""
    options = _options(arguments)
    try:
        document, shown = _fuzzed(options) if options.fuzz else _related(options)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    if options.out is not None:
        _write(options, document)
    sys.stdout.write(shown + "\n")
    return 0 if document["passed"] else 1


def _write(options: argparse.Namespace, document: dict[str, Any]) -> None:
    """Write the report, and the page of this and the other kind of report where that one is there too."""
    options.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps(document, indent=1, ensure_ascii=True, default=str)
    (options.out / (FUZZED if options.fuzz else RELATED)).write_text(text + "\n", encoding="utf-8")
    if options.write_page is not None:
        found = [_report(options.out / name) for name in (RELATED, FUZZED)]
        options.write_page.write_text(behaviour_page(*found), encoding="utf-8")


def _report(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.behaviour", description="Test how verdicts behave."
    )
    parser.add_argument("--datasets", type=Path, default=os.environ.get("KITE_DATASETS"))
    parser.add_argument("--claims", type=int, default=1_000, help="how many claims are changed")
    parser.add_argument("--split", choices=("dev", "test"), default="dev")
    parser.add_argument(
        "--every-form", action="store_true", help="try every change that a wording allows, not one by hash"
    )
    parser.add_argument("--out", type=Path, help="folder for the report as JSON, with the failures")
    parser.add_argument(
        "--write-page", type=Path, help="also write the page of both reports in --out, e.g. docs/behaviour.md"
    )
    parser.add_argument("--fuzz", type=int, default=0, help="instead: how many texts are tried")
    parser.add_argument("--verdicts", type=int, default=5_000, help="of these, how many get a whole verdict")
    parser.add_argument("--seed", default="kite", help="another seed gives other texts")
    options = parser.parse_args(arguments)
    if options.write_page is not None and options.out is None:
        parser.error("--write-page needs --out, the folder of the reports that the page is made of")
    return options


def behaviour(
    judge: Judge, datasets: Path, split: str, *, claims: int, every_form: bool = False
) -> dict[str, Any]:
    """Return the report on ``claims`` claims of a split, judged by ``judge``."""
    cases = choose_cases(datasets, split, claims)
    observations = observe(cases, judge, every_form=every_form)
    decided = {
        each.case.id for each in observations if each.probe.start == "plain" and each.before.label in DECIDED
    }
    return {
        "claims": len(cases),
        "split": split,
        "decided": len(decided),
        "every_form": every_form,
        **summary(observations),
    }


def _related(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    if options.datasets is None:
        raise ConfigError("No labelled data: set KITE_DATASETS or give --datasets.")
    settings = load_settings()
    models = open_models(settings)
    document = behaviour(
        shipped_judge(models, settings),
        Path(options.datasets),
        options.split,
        claims=options.claims,
        every_form=options.every_form,
    )
    document["models"] = models.scorer.bundle()
    return document, table(document)


def _fuzzed(options: argparse.Namespace) -> tuple[dict[str, Any], str]:
    from tasks.behaviour.fuzz import Plan, fuzz, fuzz_table, real_seeds

    settings = load_settings()
    models = open_models(settings)
    seeds = real_seeds(Path(options.datasets)) if options.datasets else ()
    plan = Plan(options.fuzz, options.verdicts, options.seed, seeds)
    document = fuzz(plan, judge=shipped_judge(models, settings, all_frameworks=True))
    document["models"] = models.scorer.bundle()
    return document, fuzz_table(document)


if __name__ == "__main__":
    sys.exit(main())
