"""Build a view anew from the ledger: ``python -m tasks.rebuild_view NAME … | --all``.

The old view answers until the new one is complete. With a running installation its keeper does the work;
``--home-stopped`` does it in this process, for a home that nothing has open.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

from configs.schema import Settings
from tasks.maintenance import add_home_arguments, running_keeper, stopped_keeper, told

#: The views by name, in the order in which they are built.
VIEWS = ("passages", "facts", "graph", "history", "access", "vectors")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input or nothing running)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.rebuild_view", description="Build views anew from the ledger."
    )
    parser.add_argument("views", nargs="*", metavar="NAME", help=f"one or more of {', '.join(VIEWS)}")
    parser.add_argument("--all", action="store_true", help="all of them")
    add_home_arguments(parser)
    options = parser.parse_args(arguments)
    wanted = VIEWS if options.all else tuple(options.views)
    unknown = [name for name in wanted if name not in VIEWS]
    if unknown or not wanted:
        parser.error(f"name one or more of {', '.join(VIEWS)}, or give --all")
    rebuild = stopped if options.home_stopped else running
    return 2 if told(options, lambda settings: rebuild(settings, wanted)) is None else 0


def running(settings: Settings, views: Sequence[str]) -> dict[str, Any]:
    """Have the keeper of the running installation build ``views``.

    Raises:
        UnavailableError: nothing is running.
    """
    with running_keeper(settings) as keeper:
        return rebuilt(views, lambda name: int(keeper.call("rebuild", name)))


def stopped(settings: Settings, views: Sequence[str]) -> dict[str, Any]:
    """Build ``views`` of a home that nothing has open.

    Raises:
        StoreUnavailableError: a keeper has the home open. ModelUnavailableError: vectors are wanted, and the
        embedder has not been built.
    """
    with stopped_keeper(settings, with_vectors="vectors" in views) as keeper:
        return rebuilt(views, keeper.rebuild)


def rebuilt(views: Sequence[str], rebuild: Callable[[str], int]) -> dict[str, Any]:
    """Return what was built: by view the position it stands for and the seconds it took."""
    report: dict[str, Any] = {}
    for name in views:
        started = time.monotonic()
        position = rebuild(name)
        report[name] = {"applied_seq": position, "seconds": round(time.monotonic() - started, 3)}
    return report


if __name__ == "__main__":
    raise SystemExit(main())
