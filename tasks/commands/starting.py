"""Starting an installation on this machine, step by step, and showing the steps.

Called by ``kite up`` and ``kite run``, and by everything that needs an installation of its own: tests,
benchmarks. When ``start`` returns, the service answers.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from cluster import head as ray_head
from cluster.head import RunningHead
from configs.schema import Settings
from data.errors import UnavailableError
from tasks.commands.reach import client_of
from tasks.session import connect

if TYPE_CHECKING:
    from rich.console import Console

#: Longest wait for the deployments of a first start on two loaded cores.
READY_TIMEOUT_S = 180.0


@cache
def steps_console() -> Console:
    """Return where steps are shown: standard error, so that what a command tells can be piped."""
    from rich.console import Console

    return Console(file=sys.stderr, highlight=False)


def start(settings: Settings, *, demo: bool) -> RunningHead:
    """Start everything and return once the service answers.

    Raises:
        UnavailableError: a part did not come up; says which, and where its log is. ConfigError: settings are
        not safe for production, or cannot be kept.
    """
    from configs.production import check_production
    from deployments.assembly import check_framework_settings
    from tasks.keys import first_key

    check_framework_settings(settings)
    if settings.production:
        check_production(settings, os.environ)
    with _step("Checking the embedder"):
        _build_embedder(settings)
    with _step("Starting Ray"):
        head = ray_head.start(settings)
    with connect(settings):
        with _step("Starting the deployments"):
            _deploy(settings, head)
        with _step("Waiting until every part answers"):
            _wait_until_ready(settings, head)
        _load(demo=demo)
        show_first_key(first_key(settings))
    return head


def show_first_key(text: str | None) -> None:
    """Show the administrator's key, if this start has made it; a line of its own, not broken."""
    if text is not None:
        sys.stdout.write(
            "\nThe administrator's key of this installation, shown only now and kept in\n"
            f"secrets/admin_key of its home for those who may read that file:\n\n  {text}\n\n"
        )


def _deploy(settings: Settings, head: RunningHead) -> None:
    import ray

    from cluster.actors import ensure_actors
    from deployments.app import deploy

    logging.getLogger("ray.serve").setLevel(logging.WARNING)  # importing Serve sets it to INFO
    actors = ensure_actors(settings)
    links = {
        "api": head.http_url,
        "docs": f"{head.http_url}/docs",
        "dashboard": head.dashboard_url,
    }
    waiting = [actor.ping.remote() for actor in actors]
    deploy(settings, http_port=head.http_port, links=links)
    ray.get(waiting, timeout=READY_TIMEOUT_S)


def _load(*, demo: bool) -> None:
    from cluster.remote import RemoteReader
    from tasks.load_demo import load_demo, load_patterns

    knowledge = RemoteReader()
    with _step("Loading patterns and demo knowledge" if demo else "Loading patterns"):
        load_patterns(knowledge)
        if demo:
            load_demo(knowledge)


def _build_embedder(settings: Settings) -> None:
    from cluster.wiring import embedder_folder
    from tasks.build_embedder import build

    build(embedder_folder(settings))


def _wait_until_ready(settings: Settings, head: RunningHead) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    missing: list[str] = ["the API"]
    with client_of(settings, head) as client:
        while time.monotonic() < deadline:
            with contextlib.suppress(UnavailableError):
                report = client.health()
                missing = [name for name, state in report["services"].items() if state["state"] != "up"]
                if not missing:
                    return
            time.sleep(0.2)
    raise UnavailableError(f"Not up after {READY_TIMEOUT_S:g} s: {', '.join(missing)}.")


@contextlib.contextmanager
def _step(label: str) -> Iterator[None]:
    console = steps_console()
    started = time.monotonic()
    if console.is_terminal:
        with console.status(f"{label} …"):
            yield
    else:
        console.print(f"{label} …")
        yield
    console.print(f"[green]✓[/green] {label} ({time.monotonic() - started:.1f} s)")
