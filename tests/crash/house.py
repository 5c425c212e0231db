"""A keeper in a process of its own, reached through a socket: what the crash runs kill.

Started by ``tests.crash.runs``. The process holds everything that a keeper holds in an installation, with
vectors in the same process, so ``kill -9`` takes the ledger's writer, the views and the index at once.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from typing import Any

from data.clock import SystemClock
from data.errors import KiteError
from data.keeper import Keeper
from data.vectors.exact import ExactIndex
from data.views.vectors import PassageVectors
from tests.fakes import FakeEmbedder


def open_keeper(home: Path) -> Keeper:
    """Return a keeper of this home with vectors beside it."""
    return Keeper(home, SystemClock(), open_vectors(home, home / "vectors" / "passages"))


def open_vectors(home: Path, folder: Path) -> PassageVectors:
    """Return passage vectors kept in a folder."""
    return PassageVectors(folder, home, FakeEmbedder(), embedder_id="fake", kind=ExactIndex)


def serve(home: Path, address: str) -> None:
    """Open the home and answer every connection in a thread of its own, until the process is killed."""
    listener = Listener(address, backlog=64)
    keeper = open_keeper(home)
    while True:
        connection = listener.accept()
        threading.Thread(target=_answer, args=(keeper, connection), daemon=True).start()


def _answer(keeper: Keeper, connection: Connection) -> None:
    with suppress(EOFError, OSError):
        while True:
            connection.send(_done(keeper, *connection.recv()))


def _done(keeper: Keeper, verb: str, *arguments: Any) -> Any:
    try:
        if verb == "append":
            receipt = keeper.append(arguments[0], idempotency_key=arguments[1])
            return receipt.first_seq, receipt.last_seq
        if verb == "compact":
            return keeper.compact(keeper.stats().head)
        return getattr(keeper, verb)(*arguments)
    except KiteError as exc:
        return exc
