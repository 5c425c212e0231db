"""``kite tasks``: claims put into the queue, and how they stand there."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from configs.schema import Settings
from data.errors import InvalidValueError
from data.queue.tasks import TaskState
from tasks.commands.reach import add_service_arguments, client_for
from tasks.commands.told import FINE, NEGATIVE, Fields, Rows, Told, report_fields

if TYPE_CHECKING:
    from deployments.client.client import KiteClient

#: Characters of a claim that are shown in a table.
SHOWN_CHARS = 80


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``kite tasks`` takes."""
    acts = parser.add_subparsers(required=True, dest="act", metavar="ACT")
    submit = acts.add_parser("submit", help="queue claims; prints a task's id for each")
    submit.add_argument("claim", nargs="*", help="claims")
    submit.add_argument("--file", type=Path, help="claims, one a line (text or JSON); - for a pipe")
    submit.add_argument("--priority", help="0 to 1000, or utility: the more worth checking the sooner")
    listed = acts.add_parser("list", help="list tasks, newest first")
    listed.add_argument("--state", choices=sorted(TaskState))
    listed.add_argument("--limit", type=int, default=50, help="most that are listed (50)")
    show = acts.add_parser("show", help="how a task stands; its answer when it is done")
    retry = acts.add_parser("retry", help="try a dead task again")
    cancel = acts.add_parser("cancel", help="give up a task that has not ended")
    for one in (show, retry, cancel):
        one.add_argument("id")
    count = acts.add_parser("count", help="how many tasks there are in each state")
    for one in (submit, listed, show, retry, cancel, count):
        add_service_arguments(one)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Queue claims, list, show, retry and cancel tasks."""
    client = client_for(settings, options)
    return _ACTS[options.act](client, options)


def _submit(client: KiteClient, options: argparse.Namespace) -> Told:
    from tasks.commands.claim_lines import batches, request_of
    from tasks.commands.verify import opened

    extra = _priority(options.priority)
    if bool(options.claim) == (options.file is not None):
        raise InvalidValueError("tasks submit: give claims or --file FILE, one of them.")

    def groups() -> Iterator[list[dict[str, Any]]]:
        if options.claim:
            yield [{"claim": claim, **extra} for claim in options.claim]
            return
        with opened(options.file) as descriptor:
            for lines in batches(descriptor):
                yield [_request(request_of(line, extra), line) for line in lines]

    def queued() -> Iterator[Any]:
        with client:
            for items in groups():
                yield from client.submit_tasks(items)

    return Told(queued(), lambda task: str(task["id"]), is_stream=True)


def _request(read: dict[str, Any] | str, line: bytes) -> dict[str, Any]:
    if isinstance(read, str):
        raise InvalidValueError(f"tasks submit: {line[:80]!r}: {read}")
    return read


def _priority(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    if text != "utility" and not text.isdigit():
        raise InvalidValueError(f"--priority: {text!r} is no number from 0 to 1000, and not utility.")
    return {"priority": int(text) if text.isdigit() else text}


def _list(client: KiteClient, options: argparse.Namespace) -> Told:
    from deployments.client.work_calls import tasks_page

    page = min(options.limit, 1_000)
    with client:
        found = list(islice(client.pages(tasks_page(state=options.state, limit=page)), options.limit))
    return Told(found, _table)


def _show(client: KiteClient, options: argparse.Namespace) -> Told:
    with client:
        task = client.task(options.id)
    return Told(task, _shown, NEGATIVE if task["state"] == "dead" else FINE)


def _retry(client: KiteClient, options: argparse.Namespace) -> Told:
    with client:
        return Told(client.retry_task(options.id), _stands)


def _cancel(client: KiteClient, options: argparse.Namespace) -> Told:
    with client:
        return Told(client.cancel_task(options.id), _stands)


def _count(client: KiteClient, options: argparse.Namespace) -> Told:
    del options
    with client:
        return Told(client.queue(), report_fields)


def _stands(task: Mapping[str, Any]) -> str:
    return f"{task['id']} is {task['state']}."


def _shown(task: Mapping[str, Any]) -> Any:
    if task["result"] is not None:
        from deployments.client.render import render_verdict

        return render_verdict(task["result"])
    return Fields([(name, value) for name, value in task.items() if name != "result"])


def _table(found: Any) -> Rows:
    rows = [
        (one["id"], one["state"], one["attempts"], one["priority"], one["claim"][:SHOWN_CHARS], one["error"])
        for one in found
    ]
    return Rows(("id", "state", "attempts", "priority", "claim", "error"), rows)


_ACTS: dict[str, Callable[[KiteClient, argparse.Namespace], Told]] = {
    "submit": _submit,
    "list": _list,
    "show": _show,
    "retry": _retry,
    "cancel": _cancel,
    "count": _count,
}
