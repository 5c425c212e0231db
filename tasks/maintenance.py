"""What the maintenance commands share: the keeper, running or not, and how a report is told.

Called by ``check_ledger``, ``compact``, ``erase_tenant``, ``rebuild_view`` and ``verify_batch``. Invariant: a
home that a keeper has open is never opened here.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cluster.head import home_of
from cluster.names import KEEPER
from cluster.owned import open_passage_vectors
from cluster.wiring import open_embedder
from configs.schema import Settings
from data.clock import SystemClock
from data.errors import KiteError, StoreUnavailableError
from data.home_lock import hold_home, share_home
from data.keeper import Keeper
from data.ledger import Entry
from data.views.vectors import ReadEntries
from tasks.session import add_settings_arguments, connect, settings_from

if TYPE_CHECKING:
    from cluster.remote import ActorLink

#: Longest time one step of the keeper may take (a view is built, the ledger rewritten), seconds.
PATIENCE_S = 6 * 3600.0


def add_home_arguments(parser: argparse.ArgumentParser) -> None:
    """Add ``--home-stopped`` and the arguments of settings to a command."""
    parser.add_argument(
        "--home-stopped", action="store_true", help="nothing is running: work in this process"
    )
    add_settings_arguments(parser)


def told(options: argparse.Namespace, work: Callable[[Settings], dict[str, Any]]) -> dict[str, Any] | None:
    """Do the work under a command's settings and print its JSON report; ``None``: it said why it cannot."""
    try:
        report = work(settings_from(options))
    except KiteError as exc:
        sys.stderr.write(f"{exc}\n")
        return None
    sys.stdout.write(json.dumps(report) + "\n")
    return report


@contextmanager
def running_keeper(settings: Settings) -> Iterator[ActorLink]:
    """Lend the keeper of the running installation, which is waited for as long as a long step takes.

    Raises:
        UnavailableError: nothing is running.
    """
    from cluster.remote import ActorLink

    with connect(settings):
        yield ActorLink(KEEPER, StoreUnavailableError, patience_s=PATIENCE_S)


@contextmanager
def stopped_keeper(settings: Settings, *, with_vectors: bool) -> Iterator[Keeper]:
    """Open a home that nothing has open; without ``with_vectors`` they follow when they are opened next.

    Raises:
        StoreUnavailableError: a keeper has the home open. ModelUnavailableError: vectors are wanted, and the
        embedder has not been built.
    """
    # The lock first: the vectors of a running installation are not ours to write.
    hold_home(home_of(settings)).close()
    index = open_passage_vectors(settings, open_embedder(settings)) if with_vectors else None
    keeper = Keeper(home_of(settings), SystemClock(), index or _NoVectors())
    try:
        yield keeper
    finally:
        keeper.close()
        if index is not None:
            index.close()


def settle(settings: Settings) -> None:
    """Bring every store of a home that is not running up to its ledger, for those who will only read it.

    Where others read it already, that was done.

    Raises:
        StoreUnavailableError: a process that may write has the home. ModelUnavailableError: the embedder has
        not been built.
    """
    try:
        with stopped_keeper(settings, with_vectors=True):
            return
    except StoreUnavailableError:
        share_home(home_of(settings)).close()


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
