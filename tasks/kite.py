"""The ``kite`` command: ``python -m tasks.kite run|up|down|status|verify|config|keys|tenants|audit|…``.

``run`` and ``up`` build what is missing, start Ray on loopback, deploy, load the demo knowledge and wait
until the service answers. Every user mistake ends in one line on standard error and exit code 2.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from rich.console import Console

from cluster import head as ray_head
from cluster.head import RunningHead, home_of
from cluster.wiring import embedder_folder
from configs.load import to_yaml
from configs.production import check_production
from configs.schema import Settings
from data.access.first_key import key_file
from data.chunks import cut, rows_of
from data.errors import InvalidValueError, KiteError, UnavailableError
from tasks import audit
from tasks import backup as backups
from tasks import keys as access
from tasks.load_demo import DEMO, load_demo, load_patterns
from tasks.session import add_settings_arguments, connect, settings_from

#: Longest wait for the deployments of a first start on two loaded cores.
READY_TIMEOUT_S = 180.0
SAMPLES = 3

if TYPE_CHECKING:
    from deployments.client.client import KiteClient

console = Console(stderr=False, highlight=False)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.command(settings_from(options), options) or 0)
    except KiteError as exc:
        print(f"kite: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 2
    except KeyboardInterrupt:
        return 130


def up(settings: Settings, options: argparse.Namespace) -> int:
    """Start in the background; return when the service answers."""
    if (head := ray_head.running(settings)) is not None:
        console.print(f"Kite is running already at {head.http_url}.")
        return 0
    with _stopped_on_failure(settings):
        head = start(settings, demo=options.demo)
    _print_addresses(head)
    console.print("Stop it with [bold]make down[/bold].")
    return 0


def run(settings: Settings, options: argparse.Namespace) -> int:
    """Start, show three verdicts, stay until Ctrl-C, then stop everything that was started."""
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        head = start(settings, demo=options.demo)
        if options.demo:
            _show_samples(settings, head)
        _print_addresses(head)
        console.print("Ctrl-C stops it.")
        while not stopped.wait(1.0):
            if ray_head.running(settings) is None:
                raise UnavailableError(f"The cluster ended by itself: see {settings.home}/run/ray.log.")
    except KeyboardInterrupt:
        console.print("\nStopping …")
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ray_head.stop(settings)
    console.print("Stopped.")
    return 0


def down(settings: Settings, options: argparse.Namespace) -> int:
    """Stop what ``up`` or ``run`` started for this home."""
    del options
    console.print("Stopped." if ray_head.stop(settings) else "Kite is not running.")
    return 0


def status(settings: Settings, options: argparse.Namespace) -> int:
    """Print the state of every part."""
    del options
    head = _head(settings)
    report = _get(head, "/health")
    console.print(f"{head.http_url} is [bold]{report['status']}[/bold]")
    for name, state in sorted(report["services"].items()):
        console.print(f"  {name:<16} {json.dumps(state)}")
    return 0 if report["status"] == "healthy" else 1


def verify(settings: Settings, options: argparse.Namespace) -> int:
    """Verify one claim, or the claims of a text file, and print the verdicts."""
    if (options.claim is None) == (options.text is None):
        raise InvalidValueError("verify: give either a claim or --text FILE.")
    if options.text is None:
        _show(settings, _head(settings), options.claim, as_json=options.json)
    else:
        text = _text_of(options.text)
        _show_text(settings, text, limit=options.limit, as_json=options.json)
    return 0


def config(settings: Settings, options: argparse.Namespace) -> int:
    """Print the settings in force."""
    del options
    print(to_yaml(settings), end="")  # noqa: T201 - the answer of a command
    return 0


def backup(settings: Settings, options: argparse.Namespace) -> int:
    """Take a backup of this home (more in ``python -m tasks.backup``)."""
    return _told(backups.create_command(settings, options))


def restore(settings: Settings, options: argparse.Namespace) -> int:
    """Bring this home back from a backup, or what is missing into the running system."""
    return _told(backups.restore_command(settings, options))


def recover(settings: Settings, options: argparse.Namespace) -> int:
    """Bring this home back after a disaster: newest good backup, streamed rows, views, verified."""
    return _told(backups.recover_command(settings, options))


def start(settings: Settings, *, demo: bool) -> RunningHead:
    """Start everything and return once the service answers.

    Raises:
        UnavailableError: a part did not come up; says which, and where its log is. ConfigError: settings are
        not safe for production, or cannot be kept.
    """
    from deployments.assembly import check_framework_settings

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
            _wait_until_ready(head)
        _load(demo=demo)
        _show_first_key(access.first_key(settings))
    return head


def _show_first_key(text: str | None) -> None:
    if text is not None:
        console.print("\nThe administrator's key of this installation, shown only now and kept in")
        console.print("secrets/admin_key of its home for those who may read that file:\n")
        console.print(f"  {text}\n", markup=False, soft_wrap=True)


def _told(report: Any) -> int:
    print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())  # noqa: T201 - the report
    return 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


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

    knowledge = RemoteReader()
    with _step("Loading patterns and demo knowledge" if demo else "Loading patterns"):
        load_patterns(knowledge)
        if demo:
            load_demo(knowledge)


def _build_embedder(settings: Settings) -> None:
    from tasks.build_embedder import build

    build(embedder_folder(settings))


def _wait_until_ready(head: RunningHead) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    missing: list[str] = ["the API"]
    while time.monotonic() < deadline:
        with contextlib.suppress(UnavailableError):
            report = _get(head, "/health")
            missing = [name for name, state in report["services"].items() if state["state"] != "up"]
            if not missing:
                return
        time.sleep(0.2)
    raise UnavailableError(f"Not up after {READY_TIMEOUT_S:g} s: {', '.join(missing)}.")


def _show_samples(settings: Settings, head: RunningHead) -> None:
    rows = [row for chunk in cut(DEMO / "claims.jsonl") for row in rows_of(chunk)]
    for row in rows[:SAMPLES]:
        if isinstance(row, dict):
            _show(settings, head, row["claim"])


def _client(settings: Settings, head: RunningHead) -> KiteClient:
    """Return a client with the key of ``KITE_API_KEY``, else with the home's own administrator key if any."""
    import httpx

    from deployments.client.client import KiteClient

    file = key_file(home_of(settings))
    own = file.read_text(encoding="ascii").strip() if file.exists() else None
    key = os.environ.get("KITE_API_KEY") or own
    return KiteClient(head.http_url, api_key=key, transport=httpx.HTTPTransport(verify=head.trust()))


def _show(settings: Settings, head: RunningHead, claim: str, *, as_json: bool = False) -> None:
    from deployments.client.render import render_verdict

    with _client(settings, head) as client:
        answer = client.verify(claim)
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))  # noqa: T201 - the answer of a command
    else:
        console.print(render_verdict(answer))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise InvalidValueError(f"verify: {path} cannot be read as UTF-8 text: {exc}.") from exc


def _show_text(settings: Settings, text: str, *, limit: int | None, as_json: bool) -> None:
    from deployments.client.render import render_text

    with _client(settings, _head(settings)) as client:
        answer = client.verify_text(text, limit=limit)
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))  # noqa: T201 - the answer of a command
    else:
        console.print(render_text(answer))


def _get(head: RunningHead, path: str) -> Any:
    import httpx

    try:
        return httpx.get(f"{head.http_url}{path}", timeout=10.0, verify=head.trust()).json()
    except (httpx.HTTPError, ValueError) as exc:
        raise UnavailableError(f"{head.http_url} does not answer: look at `make status`.") from exc


def _head(settings: Settings) -> RunningHead:
    head = ray_head.running(settings)
    if head is None:
        raise UnavailableError(f"Kite is not running for {settings.home}: start it with `make up`.")
    return head


def _print_addresses(head: RunningHead) -> None:
    console.print(f"\n  API        {head.http_url}")
    console.print(f"  API docs   {head.http_url}/docs")
    console.print(f"  Dashboard  {head.dashboard_url}\n")


@contextlib.contextmanager
def _stopped_on_failure(settings: Settings) -> Iterator[None]:
    try:
        yield
    except BaseException:
        ray_head.stop(settings)
        raise


@contextlib.contextmanager
def _step(label: str) -> Iterator[None]:
    started = time.monotonic()
    if console.is_terminal:
        with console.status(f"{label} …"):
            yield
    else:
        console.print(f"{label} …")
        yield
    console.print(f"[green]✓[/green] {label} ({time.monotonic() - started:.1f} s)")


def _backup_arguments(parser: argparse.ArgumentParser) -> None:
    backups.add_create_arguments(parser)
    backups.add_place_arguments(parser)


def _restore_arguments(parser: argparse.ArgumentParser) -> None:
    backups.add_restore_arguments(parser)
    backups.add_place_arguments(parser)


_ADD_ARGUMENTS = {
    "backup": _backup_arguments,
    "restore": _restore_arguments,
    "recover": backups.add_place_arguments,
    "keys": access.add_key_arguments,
    "tenants": access.add_tenant_arguments,
    "audit": audit.add_commands,
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="kite", description="Brahminy Kite: claims in, verdicts out.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    table: list[tuple[str, Callable[[Settings, argparse.Namespace], int]]] = [
        ("run", run),
        ("up", up),
        ("down", down),
        ("status", status),
        ("verify", verify),
        ("config", config),
        ("keys", access.keys_command),
        ("tenants", access.tenants_command),
        ("audit", audit.run),
        ("backup", backup),
        ("restore", restore),
        ("recover", recover),
    ]
    for name, command in table:
        sub = commands.add_parser(name, help=(command.__doc__ or "").strip().split("\n")[0])
        sub.set_defaults(command=command)
        _ADD_ARGUMENTS.get(name, add_settings_arguments)(sub)
        if name in {"run", "up"}:
            sub.add_argument("--no-demo", dest="demo", action="store_false", help="start with no knowledge")
        if name == "verify":
            sub.add_argument("claim", nargs="?")
            sub.add_argument("--text", type=Path, metavar="FILE", help="verify the claims of a text file")
            sub.add_argument("--limit", type=int, help="most claims of a text")
            sub.add_argument("--json", action="store_true", help="print the whole answer")
    return parser


if __name__ == "__main__":
    sys.exit(main())
