"""Run one job: ``python -m tasks.run_job KIND ARGS``, or ``--job FOLDER`` for one that is written down.

The first writes a new job down and runs it, here or as ``ray job submit --working-dir . -- python -m
tasks.run_job import_knowledge '{"file": "facts.jsonl"}'``; the second is what the service starts. Either way
progress, report, log and how it ended are in the job's folder. ARGS are those of ``POST /jobs``, as JSON.
Killed and started again with ``--job``, it ends with what it would have ended with.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

import msgspec

from cluster.head import home_of
from configs.schema import Settings
from data.batch.manifest import NAME as MANIFEST
from data.claims import DEFAULT_TENANT, tenant_id
from data.errors import InvalidValueError, KiteError, NotFoundError
from data.jobs.folder import JOB_VARIABLE, JobFolder
from data.jobs.kinds import OUTPUT, QUALITY, RULES, read_args, words_of
from data.jobs.logs import logged
from data.jobs.records import JobKind, JobState
from data.jobs.running import AT_WORK, open_job, running_job
from data.traces import job_span
from tasks.session import add_settings_arguments, settings_from


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the job; return its task's exit code, 2 where there is nothing to run."""
    parser = argparse.ArgumentParser(prog="python -m tasks.run_job", description="Run one job.")
    parser.add_argument("kind", nargs="?", choices=sorted(JobKind), help="what to do")
    parser.add_argument("args", nargs="?", default="{}", help="with what, as JSON")
    parser.add_argument("--job", type=Path, metavar="FOLDER", help="run this job")
    parser.add_argument("--settings", type=Path, metavar="FILE", help="the settings that it runs under")
    parser.add_argument("--tenant", default=DEFAULT_TENANT)
    add_settings_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        folder = _folder(options)
        os.environ[JOB_VARIABLE] = str(folder.path)
        with logged(folder.log), _tracing(options, folder):
            return _run(folder)
    except KiteError as exc:
        sys.stderr.write(f"run_job: {exc}\n")
        return 2


def _folder(options: argparse.Namespace) -> JobFolder:
    if options.settings is not None:
        os.environ["KITE_CONFIG"] = str(options.settings)
    if options.job is not None:
        return JobFolder(options.job.resolve())
    if options.kind is None:
        raise InvalidValueError("Say which job: a KIND with its ARGS, or --job FOLDER.")
    settings = settings_from(options)
    try:
        raw = msgspec.json.decode(options.args, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise InvalidValueError(f"The args are not a JSON object: {exc}.") from exc
    kind, tenant = JobKind(options.kind), tenant_id(options.tenant)
    _hand_on(settings, options)
    return open_job(home_of(settings), kind, read_args(kind, raw, tenant), tenant=tenant, environment={})


def _hand_on(settings: Settings, options: argparse.Namespace) -> None:
    """Have the task that is called find the settings of this command."""
    if options.settings is None:
        from cluster.jobs import write_settings

        os.environ["KITE_CONFIG"] = str(write_settings(settings))


@contextmanager
def _tracing(options: argparse.Namespace, folder: JobFolder) -> Iterator[None]:
    """Let the job be a trace, with a link to the request that asked for it."""
    settings, record = settings_from(options), folder.read()
    if record is None or not settings.traces.is_on:
        yield
        return
    from cluster.traces import tracing

    with tracing(settings, "kite-job") as tracer:
        told = job_span(record.kind, record.id)
        with tracer.root(*told, links=(record.trace,), always=True):
            yield


def _run(folder: JobFolder) -> int:
    record = folder.read()
    if record is None:
        raise NotFoundError(f"There is no job in {folder.path}: look at the list of jobs.")
    told, complained = LastLine(sys.stdout), LastLine(sys.stderr)
    with running_job(folder) as running:
        _clear_half(folder)
        task = importlib.import_module(f"tasks.{RULES[record.kind].module}")
        with redirect_stdout(told), redirect_stderr(complained):
            code = int(task.main(words_of(record, folder.path)))
        report = _report(told.line) or _report_file(folder.path / QUALITY / "report.json")
        if report is not None and running.read_report() is None:
            running.report(report)
        if code:
            state = JobState.STOPPED if running.should_stop() else JobState.FAILED
            reason = complained.line.strip() or f"It ended with {code}."
            running.set_state(state, reason, only_from=AT_WORK)
    return code


def _clear_half(folder: JobFolder) -> None:
    """Remove rows that a replica left which had begun the job and died: they belong to no batch."""
    output = folder.path / OUTPUT
    if output.exists() and not (output / MANIFEST).exists():
        shutil.rmtree(output)


def _report(line: str) -> dict[str, Any] | None:
    """Return the report of a task, which prints it as its last line."""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError:
        return None


def _report_file(path: Path) -> dict[str, Any] | None:
    """Return a report that a task wrote beside its job, if it did."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError):
        return None


class LastLine:
    """Passes on what is printed, and remembers the last line of it."""

    def __init__(self, shown: TextIO) -> None:
        self._shown = shown
        self._part = ""
        self.line = ""

    def write(self, text: str) -> int:
        """Print."""
        *whole, self._part = (self._part + text).split("\n")
        self.line = next((line for line in reversed(whole) if line.strip()), self.line)
        return self._shown.write(text)

    def __getattr__(self, name: str) -> Any:
        # Everything else of a stream is that of the one below: Ray asks for its file descriptor.
        return getattr(self._shown, name)


if __name__ == "__main__":
    sys.exit(main())
