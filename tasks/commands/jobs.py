"""``kite jobs``: work in the background submitted, listed, shown, followed and stopped."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec

from configs.schema import Settings
from data.errors import InvalidValueError
from data.jobs.records import JobKind, JobState
from tasks.commands.reach import add_service_arguments, client_for
from tasks.commands.told import FINE, NEGATIVE, Rows, Told, report_fields

if TYPE_CHECKING:
    from deployments.client.client import KiteClient


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite jobs`` takes."""
    acts = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    submit = acts.add_parser("submit", help="have a job done")
    submit.add_argument("kind", choices=sorted(JobKind))
    submit.add_argument("args", nargs="*", metavar="NAME=VALUE", help="what it is to do; JSON values as JSON")
    submit.add_argument("--key", help="an Idempotency-Key: the same job is submitted once")
    submit.add_argument("--follow", action="store_true", help="print its log until it has ended")
    listed = acts.add_parser("list", help="list jobs, newest first")
    listed.add_argument("--kind", choices=sorted(JobKind))
    listed.add_argument("--state", choices=sorted(JobState))
    listed.add_argument("--limit", type=int, default=50, help="most that are listed (50)")
    show = acts.add_parser("show", help="how a job stands, and its report")
    logs = acts.add_parser("logs", help="what a job printed")
    logs.add_argument("--follow", action="store_true", help="go on until it has ended")
    stop = acts.add_parser("stop", help="have a job end; started again, it goes on where it was")
    for one in (show, logs, stop):
        one.add_argument("id")
    for one in (submit, listed, show, logs, stop):
        add_service_arguments(one)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Submit, list, show, follow and stop jobs."""
    return _ACTS[options.act](client_for(settings, options), options)


def job_args(words: list[str]) -> dict[str, Any]:
    """Return ``NAME=VALUE`` words as arguments; a value that is JSON is taken as that.

    Raises:
        InvalidValueError: a word is none of these.
    """
    args = {}
    for word in words:
        name, sign, value = word.partition("=")
        if not sign or not name:
            raise InvalidValueError(f"jobs submit: {word!r} is not as input=claims.jsonl.")
        try:
            args[name] = msgspec.json.decode(value)
        except msgspec.DecodeError:
            args[name] = value
    return args


def _submit(client: KiteClient, options: argparse.Namespace) -> Told:
    made = client.submit_job(options.kind, job_args(options.args), idempotency_key=options.key)
    if options.follow:
        return _follow(client, made["id"])
    client.close()
    return Told(made, lambda job: str(job["id"]))


def _list(client: KiteClient, options: argparse.Namespace) -> Told:
    with client:
        page = client.jobs_page(kind=options.kind, state=options.state, limit=options.limit)
    return Told(page.items, _table)


def _show(client: KiteClient, options: argparse.Namespace) -> Told:
    with client:
        job = client.job(options.id)
    return Told(job, report_fields, NEGATIVE if job["status"] == JobState.FAILED else FINE)


def _logs(client: KiteClient, options: argparse.Namespace) -> Told:
    return _follow(client, options.id, follow=options.follow)


def _stop(client: KiteClient, options: argparse.Namespace) -> Told:
    with client:
        job = client.stop_job(options.id)
    return Told(job, lambda told: f"{told['id']} is {told['status']}.")


def _follow(client: KiteClient, job_id: str, *, follow: bool = True) -> Told:
    """Tell the log as it grows; when a job that was followed has failed, so has the command."""
    from deployments.client.work_calls import job_logs

    code = [FINE]

    def lines() -> Iterator[str]:
        with client:
            yield from client.lines(job_logs(job_id, follow=follow))
            if follow and client.job(job_id)["status"] != JobState.SUCCEEDED:
                code[0] = NEGATIVE

    return Told(lines(), lambda line: f"{line}\n", lambda: code[0], is_stream=True)


def _table(jobs: Any) -> Rows:
    rows = [
        (job["id"], job["kind"], job["status"], _done(job), _rate(job), _left(job), job["created_at"])
        for job in jobs
    ]
    return Rows(("id", "kind", "status", "done", "rate", "left", "submitted"), rows)


def _done(job: Any) -> str:
    progress = job["progress"]
    total = progress["total"]
    return f"{progress['done']:,}" + ("" if total is None else f"/{total:,}")


def _rate(job: Any) -> str:
    return f"{job['progress']['rate']:,.0f}/s" if job["progress"]["rate"] else ""


def _left(job: Any) -> str:
    eta_s = job["progress"]["eta_s"]
    return "" if eta_s is None else str(timedelta(seconds=round(eta_s)))


_ACTS: dict[str, Callable[[KiteClient, argparse.Namespace], Told]] = {
    "submit": _submit,
    "list": _list,
    "show": _show,
    "logs": _logs,
    "stop": _stop,
}
