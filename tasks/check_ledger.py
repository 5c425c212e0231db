"""Read every byte of the ledger and its segments: ``python -m tasks.check_ledger [--views]``.

Prints what was read and every fault, each with the file or the position it lies in. ``--views`` also builds
each view beside the one in use and compares what they hold. Nothing is changed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

import msgspec

from cluster.head import home_of
from cluster.names import KEEPER
from configs.schema import Settings
from data.clock import SystemClock
from data.errors import KiteError, StoreUnavailableError
from data.keeper import hold_home
from data.ledger import Ledger
from data.scrub import checked
from tasks.rebuild_view import PATIENCE_S, stopped_keeper
from tasks.session import add_settings_arguments, connect, settings_from


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 sound, 1 damaged, 2 bad input or nothing running)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.check_ledger", description="Look for damage in the ledger and its segments."
    )
    parser.add_argument("--views", action="store_true", help="compare the views with the ledger too")
    parser.add_argument(
        "--home-stopped", action="store_true", help="nothing is running: work in this process"
    )
    add_settings_arguments(parser)
    options = parser.parse_args(arguments)
    try:
        settings = settings_from(options)
        report = (stopped if options.home_stopped else running)(settings, views=options.views)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(report) + "\n")
    return 1 if report["faults"] else 0


def running(settings: Settings, *, views: bool) -> dict[str, Any]:
    """Have the keeper of the running installation check.

    Raises:
        UnavailableError: nothing is running.
    """
    from cluster.remote import ActorLink

    with connect(settings):
        keeper = ActorLink(KEEPER, StoreUnavailableError, patience_s=PATIENCE_S)
        return dict(keeper.call("check", views))


def stopped(settings: Settings, *, views: bool) -> dict[str, Any]:
    """Check a home that nothing has open.

    Raises:
        StoreUnavailableError: a keeper has the home open. CorruptDataError: it cannot even be opened.
    """
    if views:
        with stopped_keeper(settings, with_vectors=False) as keeper:
            return dict(msgspec.to_builtins(keeper.check(views=True)))
    home = home_of(settings)
    with hold_home(home / "ledger" / "lock"):
        ledger = Ledger(home / "ledger" / "ledger.sqlite", SystemClock())
        try:
            return dict(msgspec.to_builtins(checked(ledger, home)))
        finally:
            ledger.close()


if __name__ == "__main__":
    raise SystemExit(main())
