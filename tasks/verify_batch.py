"""Verify files of claims: ``python -m tasks.verify_batch INPUT... --out FOLDER``.

JSON Lines, CSV, TSV, Parquet or plain text (a claim a line), files, folders or patterns, on this disk or
wherever Arrow can read; a row a claim comes out with everything that ``POST /verify`` answers, and a report.
Killed at any moment and started again, the same command goes on, and the output holds every row once. Rows
that cannot be processed stand in ``dead_letters.jsonl`` with their line and the reason.

Exit code 0: every row is answered; 3: some are dead letters; 2: the command, an input or the output is
wrong; 1: something is away or full, and the same command goes on later.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout
from dataclasses import replace
from typing import Any

import msgspec

from cluster.alone import own_cluster
from cluster.head import home_of, running
from configs.schema import Settings
from data.batch.manifest import BatchOptions, clear
from data.batch.output import open_output
from data.batch.parts import PART_ROWS, Plan
from data.claims import DEFAULT_TENANT, tenant_id
from data.errors import ConfigError, InvalidValueError, KiteError, RequestError
from data.jobs.folder import JOB_VARIABLE, JobFolder
from data.jobs.records import JobKind
from data.jobs.running import JobEnded, open_job, running_job
from tasks.maintenance import settle
from tasks.session import add_settings_arguments, connect, settings_from
from tasks.verify_batch_engine import Through
from tasks.verify_batch_estimate import estimate
from tasks.verify_batch_run import Asked, cores, planned, run_batch

#: Up to so many rows the running deployments are asked: starting a job's workers would take longer.
#: Measured on two cores, ``python -m tests.benchmarks.batch crossover`` (docs/batch.md): 800 rows end sooner
#: that way, 1,600 later, and the lines between cross at 1,300 to 1,500.
SMALL_ROWS = 1_000
#: Shortest time between two lines about progress, seconds.
_TELL_S = 5.0
_NOT_IN_REPORT = ("timeline",)
Show = Callable[[int, int | None, str], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; print one JSON report; say in one line what is wrong."""
    began_s = time.monotonic()
    options = _parser().parse_args(arguments)
    try:
        settings = settings_from(options)
        report = work(options, settings, began_s)
    except (RequestError, ConfigError) as exc:
        sys.stderr.write(f"verify_batch: {exc}\n")
        return 2
    except KiteError as exc:
        sys.stderr.write(f"verify_batch: {exc}\n")
        return 1
    except (JobEnded, KeyboardInterrupt) as exc:
        sys.stderr.write("verify_batch: stopped; the same command goes on where this one was.\n")
        return 143 if isinstance(exc, JobEnded) else 130
    sys.stdout.write(msgspec.json.encode(shown(report)).decode() + "\n")
    return 3 if report.get("dead_letters") else 0


def work(
    options: argparse.Namespace, settings: Settings, began_s: float, show: Show | None = None
) -> dict[str, Any]:
    """Do what the options ask for and return the report; ``show(done, total, phase)`` tells a person.

    Raises:
        KiteError: see ``main`` for what each class means.
    """
    asked = _asked(options)
    is_up = not options.local and ("RAY_ADDRESS" in os.environ or running(settings) is not None)
    is_alone = not is_up and _wants_mappers(options, settings)
    with ExitStack() as stack:
        folder = None if options.dry_run else stack.enter_context(_job(options, settings, asked))
        told = _Told(folder, show or _Lines())
        told.tell(0, None, "reading the input")
        if options.fresh and not options.dry_run:
            clear(open_output(asked.out))
        found = planned(asked)
        if is_up or is_alone:
            # Ray prints warnings of its own on standard output, where the report belongs.
            stack.enter_context(redirect_stdout(sys.stderr))
        if is_up:
            stack.enter_context(connect(settings))
            asked = _placed(asked, found, options)
        elif is_alone:
            asked = replace(asked, through="readers", workers=options.workers or os.cpu_count() or 1)
            told.tell(0, None, f"starting {asked.workers} workers")
            settle(settings)
            if not options.dry_run:
                stack.enter_context(own_cluster(settings, asked.workers))
        if options.dry_run:
            return estimate(asked, found, settings)
        report = run_batch(asked, found, settings, told.tell, began_s=began_s)
        told.report(report)
        return report


def _wants_mappers(options: argparse.Namespace, settings: Settings) -> bool:
    """Return whether a home that is not running gets mappers, and a Ray of the command's own for them."""
    if options.through == "deployments" and not options.local:
        raise InvalidValueError(
            f"--through deployments: no service runs for {settings.home}: start it first, or leave this out."
        )
    asked = (options.workers or 1) > 1 or options.through != "auto"
    if asked and options.local:
        raise InvalidValueError("--local: one process works: leave out --workers and --through, or --local.")
    return asked


def _placed(asked: Asked, found: Plan, options: argparse.Namespace) -> Asked:
    """Return who computes in a running installation: few rows go to its deployments."""
    through: Through = options.through
    if options.through == "auto":
        through = "deployments" if found.rows <= SMALL_ROWS else "mappers"
    return replace(
        asked, through=through, workers=(options.workers or cores()) if through == "mappers" else 1
    )


@contextmanager
def _job(options: argparse.Namespace, settings: Settings, asked: Asked) -> Iterator[JobFolder]:
    """Run as the job that this process was given, or as a new one."""
    given = {JOB_VARIABLE: options.job_folder} if options.job_folder else {}
    args = {"input": " ".join(asked.inputs), "output": asked.out, "format": asked.options.format}
    folder = open_job(
        home_of(settings),
        JobKind.VERIFY_BATCH,
        args,
        tenant=tenant_id(asked.options.tenant),
        environment={**os.environ, **given},
    )
    with running_job(folder):
        yield folder


class _Lines:
    """Says on standard error, now and then, how far the batch is."""

    def __init__(self) -> None:
        self._next_s = 0.0
        self._phase = ""

    def __call__(self, done: int, total: int | None, phase: str) -> None:
        """Say that so many of the rows of a phase are done."""
        now_s = time.monotonic()
        if phase != self._phase or now_s >= self._next_s or done == total:
            self._phase, self._next_s = phase, now_s + _TELL_S
            sys.stderr.write(f"{phase}: {done:,} of {total:,} rows\n" if total is not None else f"{phase}\n")


class _Told:
    """Tells the job's folder, and a person, how far the batch is."""

    def __init__(self, folder: JobFolder | None, show: Show) -> None:
        self._folder = folder
        self._show = show

    def tell(self, done: int, total: int | None, phase: str) -> None:
        """Say that so many of the rows of a phase are done."""
        if self._folder is not None:
            self._folder.progress(done, total, phase)
        self._show(done, total, phase)

    def report(self, report: dict[str, Any]) -> None:
        """Keep the report with the job."""
        if self._folder is not None:
            self._folder.report(report)


def shown(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report as it is printed: without what is only plotted."""
    run = {name: value for name, value in report.get("this_run", {}).items() if name not in _NOT_IN_REPORT}
    return {**report, **({"this_run": run} if run else {})}


def _asked(options: argparse.Namespace) -> Asked:
    """Return what the arguments ask for; raises ``InvalidValueError``."""
    chosen = BatchOptions(
        format=options.format,
        part_rows=options.part_rows,
        tenant=tenant_id(options.tenant),
        frameworks=_names(options.frameworks),
        weights=_numbers(options.framework_weights),
        claim_column=options.claim_column,
        id_column=options.id_column,
        label_column=options.label_column,
        context_columns=_names(options.context_columns),
        columns=_names(options.columns),
        order=options.order,
        limit=options.limit,
    )
    return Asked(tuple(options.inputs), options.out, chosen, shard=_shard(options.shard))


def _names(text: str | None) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip()) if text else ()


def _numbers(text: str | None) -> tuple[float, ...]:
    try:
        return tuple(float(number) for number in _names(text))
    except ValueError:
        raise InvalidValueError(
            f"--framework-weights: {text!r} are no numbers with commas between."
        ) from None


def _shard(text: str) -> tuple[int, int]:
    number, _, of = text.partition("/")
    if number.isdigit() and of.isdigit() and 1 <= int(number) <= int(of):
        return int(number), int(of)
    raise InvalidValueError(f"--shard: {text!r} is no share such as 1/4, the first of four.")


def _count(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a batch can be asked for: to this module's parser, or that of ``kite batch``."""
    add = parser.add_argument
    add("inputs", nargs="+", metavar="INPUT", help="file, folder or pattern: JSONL, CSV, TSV, Parquet, text")
    add("--out", required=True, metavar="FOLDER", help="where the rows and the report go")
    add("--format", choices=("jsonl", "parquet"), default="jsonl")
    add("--claim-column", default="claim", metavar="NAME")
    add("--id-column", default="id", metavar="NAME", help="kept beside the answer")
    add("--label-column", default="label", metavar="NAME", help="the right label, for the report")
    add("--context-columns", metavar="NAMES", help="columns that are the claim's context: speaker,date,...")
    add("--columns", metavar="NAMES", help="columns that are kept beside the answer")
    add("--frameworks", metavar="NAMES", help="which to ask; all if left out")
    add("--framework-weights", "--weights", metavar="NUMBERS", help="one a framework")
    add("--tenant", default=DEFAULT_TENANT)
    add("--limit", type=_count, metavar="ROWS", help="only the first rows")
    add("--shard", default="1/1", metavar="I/N", help="only this share of the parts; N runs do all")
    add("--order", choices=("input", "utility"), default="input", help="utility: the most useful first")
    add("--part-rows", type=_count, default=PART_ROWS, metavar="ROWS", help=f"rows of a part ({PART_ROWS})")
    add("--fresh", action="store_true", help="remove what an earlier batch left in the output")
    add("--dry-run", action="store_true", help="only say how many rows, seconds and bytes it will be")
    add("--local", action="store_true", help="work in this process, on a home that is not running")
    add("--through", choices=("auto", "mappers", "deployments"), default="auto", help="who computes")
    add("--workers", type=_count, metavar="N", help="processes at work; one a CPU of the cluster if left out")
    add("--job-folder", metavar="FOLDER", help="the job that this is; a new one if left out")
    add_settings_arguments(parser)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tasks.verify_batch",
        description="Verify files of claims.",
        epilog="Examples: claims.jsonl --out verdicts; 's3://bucket/*.parquet' --out s3://bucket/out "
        "--limit 1000; claims.csv --claim-column statement --dry-run",
    )
    add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
