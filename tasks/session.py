"""What every command shares: settings from its arguments, and a connection to the running cluster."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cluster.head import RunningHead, client_environment, running
from cluster.names import NAMESPACE
from configs.load import ENVIRONMENTS, load_settings
from configs.schema import Settings
from data.errors import UnavailableError


def add_settings_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--env``, ``--config`` and ``--set`` to a command."""
    parser.add_argument("--env", choices=ENVIRONMENTS, help="which settings file to start from")
    parser.add_argument("--config", type=Path, metavar="FILE", help="one more YAML file of settings")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="such as http.port=8001",
    )


def settings_from(options: argparse.Namespace) -> Settings:
    """Return the settings that a command's arguments name; raises ``ConfigError``."""
    return load_settings(environment=options.env, file=options.config, overrides=options.overrides)


@contextmanager
def connect(settings: Settings) -> Iterator[RunningHead | None]:
    """Connect this process to the cluster for the length of the block.

    Inside a Ray job the job's own cluster is used; elsewhere the one that ``kite up`` started for this home.

    Raises:
        UnavailableError: nothing is running.
    """
    head = None if "RAY_ADDRESS" in os.environ else running(settings)
    if head is None and "RAY_ADDRESS" not in os.environ:
        raise UnavailableError(f"Kite is not running for {settings.home}: start it with `make up`.")
    if "RAY_ADDRESS" not in os.environ:
        os.environ.update(client_environment(settings))
    import ray

    if ray.is_initialized():
        yield head
        return
    ray.init(
        address=head.gcs_address if head else None,
        namespace=NAMESPACE,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )
    try:
        yield head
    finally:
        ray.shutdown()
