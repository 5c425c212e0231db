"""``kite up``, ``run``, ``down``, ``status``: the installation of this home, started, stopped, looked at."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any

from cluster import head as ray_head
from cluster.head import RunningHead
from configs.schema import Settings
from data.errors import UnavailableError
from tasks.commands.reach import add_common_arguments, add_service_arguments, client_for, client_of
from tasks.commands.starting import start
from tasks.commands.told import FINE, NEGATIVE, Fields, Rows, Told

SAMPLES = 3


def add_start_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``up`` and ``run`` take."""
    parser.add_argument("--no-demo", dest="demo", action="store_false", help="start with no knowledge")
    add_common_arguments(parser)


def add_status_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``status`` takes."""
    add_service_arguments(parser)


def up(settings: Settings, options: argparse.Namespace) -> Told:
    """Start in the background; return when the service answers."""
    head = ray_head.running(settings)
    is_new = head is None
    if head is None:
        with _stopped_on_failure(settings):
            head = start(settings, demo=options.demo)
    return Told({**_addresses(head), "started": is_new}, _show_up)


def run(settings: Settings, options: argparse.Namespace) -> Told:
    """Start, show three verdicts, stay until Ctrl-C, then stop everything that was started."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        _stay(settings, start(settings, demo=options.demo), demo=options.demo)
    except KeyboardInterrupt:
        sys.stderr.write("\nStopping …\n")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ray_head.stop(settings)
    return Told({"stopped": True}, lambda _: "Stopped.")


def down(settings: Settings, options: argparse.Namespace) -> Told:
    """Stop what ``up`` or ``run`` started for this home."""
    del options
    was_running = ray_head.stop(settings)
    return Told({"stopped": was_running}, lambda _: "Stopped." if was_running else "Kite is not running.")


def status(settings: Settings, options: argparse.Namespace) -> Told:
    """Tell the state of every part."""
    with client_for(settings, options) as client:
        report = client.health()
    return Told(report, _show_status, FINE if report["status"] == "healthy" else NEGATIVE)


def _show_status(report: Any) -> Rows:
    rows: list[tuple[object, ...]] = [
        ("everything", report["status"], "", "", f"version {report['version']}")
    ]
    for name, state in sorted(report["services"].items()):
        latency = state["latency_ms"]
        rows.append(
            (
                name,
                state["state"],
                "" if latency is None else f"{latency:.1f} ms",
                state["breaker"] or "",
                state["detail"] or "",
            )
        )
    return Rows(("part", "state", "latency", "breaker", "detail"), rows)


def _show_up(told: Any) -> Fields:
    word = "Kite runs" if told["started"] else "Kite is running already"
    return Fields(
        [
            (word, "stop it with `kite down`"),
            ("API", told["api"]),
            ("API docs", told["docs"]),
            ("Dashboard", told["dashboard"]),
        ]
    )


def _addresses(head: RunningHead) -> dict[str, Any]:
    return {"api": head.http_url, "docs": f"{head.http_url}/docs", "dashboard": head.dashboard_url}


def _stay(settings: Settings, head: RunningHead, *, demo: bool) -> None:
    if demo:
        _show_samples(settings, head)
    for name, address in _addresses(head).items():
        sys.stdout.write(f"  {name:<10} {address}\n")
    sys.stdout.write("Ctrl-C stops it.\n")
    sys.stdout.flush()
    stopped = threading.Event()
    while not stopped.wait(1.0):
        if ray_head.running(settings) is None:
            raise UnavailableError(f"The cluster ended by itself: see {settings.home}/run/ray.log.")


def _show_samples(settings: Settings, head: RunningHead) -> None:
    from data.chunks import cut, rows_of
    from deployments.client.render import print_verdict
    from tasks.load_demo import DEMO

    rows = [row for chunk in cut(DEMO / "claims.jsonl") for row in rows_of(chunk)]
    with client_of(settings, head) as client:
        for row in rows[:SAMPLES]:
            if isinstance(row, dict):
                print_verdict(client.verify(row["claim"]))


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@contextlib.contextmanager
def _stopped_on_failure(settings: Settings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        ray_head.stop(settings)
        raise
