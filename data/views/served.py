"""A view in use, and how another takes its place: built beside it, swapped in between two reads.

Called by the library. Invariant: a question is answered by one whole view, the old or the new one; files of
a view that was not finished are never opened as the view.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

from data.errors import CorruptDataError
from data.gate import Gate
from data.views.view import View

_LOG = logging.getLogger(__name__)

AnyView = TypeVar("AnyView", bound=View)
Answer = TypeVar("Answer")
#: What may stand beside a view's file: SQLite's and DuckDB's logs.
_SUFFIXES = ("", "-wal", "-shm", ".wal")


class Served(Generic[AnyView]):
    """One view under ``path``, opened by ``build``. Any thread may ask; one at a time replaces.

    One that ``is_resting`` only reads, beside other processes: damage is told, nothing is put right.

    ``newest`` is the ledger's last position where it is known: a view that claims more belongs to another
    ledger and is built again, as is one that cannot be opened.
    """

    def __init__(
        self, path: Path, build: Callable[[Path], AnyView], newest: int | None, *, is_resting: bool = False
    ) -> None:
        self._path = path
        self._build = build
        self._gate = Gate()
        self._view = build(path) if is_resting else self._opened(newest)

    @property
    def view(self) -> AnyView:
        """The view that answers now, for the one who applies changes."""
        return self._view

    def ask(self, question: Callable[[AnyView], Answer]) -> Answer:
        """Return the answer of the view; it is not replaced meanwhile. ``question`` must not ask again."""
        with self._gate.reading():
            return question(self._view)

    def fresh(self, folder: Path) -> AnyView:
        """Return an empty view in ``folder``, to be filled and then given to ``replace_by``."""
        path = folder / self._path.name
        _remove(path)
        return self._build(path)

    def replace_by(self, fresh: AnyView, folder: Path) -> None:
        """Serve ``fresh``, which was made in ``folder``; questions wait for the few milliseconds it takes.

        Should the process end in the middle, the view is built again from the ledger at the next start.
        """
        fresh.close()
        with self._gate.writing():
            self._view.close()
            _remove(self._path)
            _move(folder / self._path.name, self._path)
            self._view = self._opened(None)

    def _opened(self, newest: int | None) -> AnyView:
        try:
            view = self._build(self._path)
        except CorruptDataError as exc:
            _LOG.warning("A view is built again from the ledger: %s", exc)
            _move_aside(self._path)
            return self._build(self._path)
        if newest is not None and view.applied_seq() > newest:
            _LOG.warning("The view %s is ahead of the ledger and is built again.", view.name)
            view.close()
            _move_aside(self._path)
            return self._build(self._path)
        return view


def _remove(path: Path) -> None:
    for suffix in _SUFFIXES:
        file = path.with_name(path.name + suffix)
        if file.is_dir():
            shutil.rmtree(file)
        else:
            file.unlink(missing_ok=True)


def _move(source: Path, target: Path) -> None:
    # The main file last: a log without its file is nothing, a file without its log is not the view.
    for suffix in reversed(_SUFFIXES):
        file = source.with_name(source.name + suffix)
        if file.exists():
            file.rename(target.with_name(target.name + suffix))


def _move_aside(path: Path) -> None:
    """Rename a view's files to ``….corrupt-N``: they are kept for whoever wants to know what happened."""
    number = 1
    while path.with_name(f"{path.name}.corrupt-{number}").exists():
        number += 1
    _move(path, path.with_name(f"{path.name}.corrupt-{number}"))
