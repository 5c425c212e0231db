"""Read every byte of the ledger and its segments: ``python -m tasks.check_ledger [--views]``.

Prints what was read and every fault, each with the file or the position it lies in. ``--views`` also builds
each view beside the one in use and compares what they hold. Nothing is changed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import msgspec

from cluster.head import home_of
from configs.schema import Settings
from data.clock import SystemClock
from data.home_lock import hold_home
from data.ledger import Ledger
from data.scrub import checked
from tasks.maintenance import add_home_arguments, running_keeper, stopped_keeper, told


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 sound, 1 damaged, 2 bad input or nothing running)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.check_ledger", description="Look for damage in the ledger and its segments."
    )
    parser.add_argument("--views", action="store_true", help="compare the views with the ledger too")
    add_home_arguments(parser)
    options = parser.parse_args(arguments)
    check = stopped if options.home_stopped else running
    report = told(options, lambda settings: check(settings, views=options.views))
    return 2 if report is None else int(bool(report["faults"]))


def running(settings: Settings, *, views: bool) -> dict[str, Any]:
    """Have the keeper of the running installation check.

    Raises:
        UnavailableError: nothing is running.
    """
    with running_keeper(settings) as keeper:
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
    with hold_home(home):
        ledger = Ledger(home / "ledger" / "ledger.sqlite", SystemClock())
        try:
            return dict(msgspec.to_builtins(checked(ledger, home)))
        finally:
            ledger.close()


if __name__ == "__main__":
    raise SystemExit(main())
