"""Build a view anew from the ledger: ``python -m tasks.rebuild_view NAME … | --all``.

The old view answers until the new one is complete. With a running installation its keeper does the work;
``--home-stopped`` does it in this process, for a home that nothing has open.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from cluster.head import home_of
from cluster.names import KEEPER
from cluster.wiring import open_embedder, open_passage_vectors
from configs.schema import Settings
from data.clock import SystemClock
from data.errors import KiteError, StoreUnavailableError
from data.keeper import Keeper, hold_home
from data.ledger import Entry
from data.views.vectors import ReadEntries
from tasks.session import add_settings_arguments, connect, settings_from

#: The views by name, in the order in which they are built.
VIEWS = ("passages", "facts", "graph", "history", "access", "vectors")
#: Longest time one view may take to be built, seconds.
PATIENCE_S = 6 * 3600.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the task; return its exit code (0 done, 2 bad input or nothing running)."""
    parser = argparse.ArgumentParser(
        prog="python -m tasks.rebuild_view", description="Build views anew from the ledger."
    )
    parser.add_argument("views", nargs="*", metavar="NAME", help=f"one or more of {', '.join(VIEWS)}")
    parser.add_argument("--all", action="store_true", help="all of them")
    parser.add_argument(
        "--home-stopped", action="store_true", help="nothing is running: work in this process"
    )
    add_settings_arguments(parser)
    options = parser.parse_args(arguments)
    wanted = VIEWS if options.all else tuple(options.views)
    unknown = [name for name in wanted if name not in VIEWS]
    if unknown or not wanted:
        parser.error(f"name one or more of {', '.join(VIEWS)}, or give --all")
    try:
        settings = settings_from(options)
        report = stopped(settings, wanted) if options.home_stopped else running(settings, wanted)
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    sys.stdout.write(json.dumps(report) + "\n")
    return 0


def running(settings: Settings, views: Sequence[str]) -> dict[str, Any]:
    """Have the keeper of the running installation build ``views``.

    Raises:
        UnavailableError: nothing is running.
    """
    from cluster.remote import ActorLink

    with connect(settings):
        keeper = ActorLink(KEEPER, StoreUnavailableError, patience_s=PATIENCE_S)
        return rebuilt(views, lambda name: int(keeper.call("rebuild", name)))


def stopped(settings: Settings, views: Sequence[str]) -> dict[str, Any]:
    """Build ``views`` of a home that nothing has open.

    Raises:
        StoreUnavailableError: a keeper has the home open. ModelUnavailableError: vectors are wanted, and the
        embedder has not been built.
    """
    with stopped_keeper(settings, with_vectors="vectors" in views) as keeper:
        return rebuilt(views, keeper.rebuild)


@contextmanager
def stopped_keeper(settings: Settings, *, with_vectors: bool) -> Iterator[Keeper]:
    """Open a home that nothing has open; without ``with_vectors`` they follow when they are opened next.

    Raises:
        StoreUnavailableError: a keeper has the home open. ModelUnavailableError: vectors are wanted, and the
        embedder has not been built.
    """
    # The lock first: the vectors of a running installation are not ours to write.
    hold_home(home_of(settings) / "ledger" / "lock").close()
    index = open_passage_vectors(settings, open_embedder(settings)) if with_vectors else None
    keeper = Keeper(home_of(settings), SystemClock(), index or _NoVectors())
    try:
        yield keeper
    finally:
        keeper.close()
        if index is not None:
            index.close()


def rebuilt(views: Sequence[str], rebuild: Callable[[str], int]) -> dict[str, Any]:
    """Return what was built: by view the position it stands for and the seconds it took."""
    report: dict[str, Any] = {}
    for name in views:
        started = time.monotonic()
        position = rebuild(name)
        report[name] = {"applied_seq": position, "seconds": round(time.monotonic() - started, 3)}
    return report


class _NoVectors:
    """A sink that wants nothing: the vectors follow the ledger by themselves when they are opened."""

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take nothing in."""

    def applied_seq(self) -> int:
        """Claim to be ahead of every ledger."""
        return 2**62

    def rebuild(self, _read: ReadEntries) -> int:
        """Have nothing to build."""
        return 0


if __name__ == "__main__":
    raise SystemExit(main())
