"""Reaching the service: the one that ``kite up`` started for this home, or any by its address.

Called by the commands that speak HTTP. The key is that of ``KITE_API_KEY``; for the installation of this home
its own administrator's key, which its owner can read, does where that is not set.
"""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from cluster import head as ray_head
from cluster.head import RunningHead
from configs.schema import Settings
from data.errors import UnavailableError
from tasks.session import add_settings_arguments

if TYPE_CHECKING:
    from deployments.client.client import KiteClient

#: Environment variables: a service's address, and the key to show it.
URL_VARIABLE, KEY_VARIABLE = "KITE_URL", "KITE_API_KEY"


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every command takes: ``--json`` and the settings."""
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    add_settings_arguments(parser)


def add_service_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--url`` and what every command takes."""
    parser.add_argument(
        "--url",
        metavar="URL",
        default=os.environ.get(URL_VARIABLE),
        help=f"a service elsewhere (or {URL_VARIABLE}); its key is in {KEY_VARIABLE}",
    )
    add_common_arguments(parser)


def running_head(settings: Settings) -> RunningHead:
    """Return the installation that runs for this home.

    Raises:
        UnavailableError: none does.
    """
    head = ray_head.running(settings)
    if head is None:
        raise UnavailableError(
            f"Kite is not running for {settings.home}: start it with `kite up`, or name another with --url."
        )
    return head


def client_for(settings: Settings, options: argparse.Namespace) -> KiteClient:
    """Return a client of the service that a command's options name, else of this home's.

    Raises:
        UnavailableError: nothing runs for this home.
    """
    from deployments.client.client import KiteClient

    if options.url:
        return KiteClient(options.url, api_key=os.environ.get(KEY_VARIABLE))
    return client_of(settings, running_head(settings))


def client_of(settings: Settings, head: RunningHead) -> KiteClient:
    """Return a client of the installation of this home."""
    import httpx

    from deployments.client.client import KiteClient

    transport = httpx.HTTPTransport(verify=head.trust())
    return KiteClient(head.http_url, api_key=key_for(settings), transport=transport)


def key_for(settings: Settings) -> str | None:
    """Return the key to show to the installation of this home, if there is any."""
    from data.access.first_key import key_file

    file = key_file(ray_head.home_of(settings))
    own = file.read_text(encoding="ascii").strip() if file.exists() else None
    return os.environ.get(KEY_VARIABLE) or own
