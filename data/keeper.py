"""The keeper: owns the ledger and the views of one home, takes every write, answers every read.

Plain Python; the actor of the same name is a thin shell over it. Invariant: a write is acknowledged when
its rows are durable in the ledger and applied to every view and to the vectors, in ``seq`` order;
``knowledge_seq`` never names a position that some view does not have yet.
"""

from __future__ import annotations

import fcntl
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from data import changes, segments
from data.commits import GroupCommit
from data.errors import ConflictError, KiteError, StoreUnavailableError
from data.knowledge import Change
from data.ledger import Entry, Ledger, Writing
from data.ports import Clock, WriteReceipt
from data.views.library import Library, ViewState
from data.views.view import View

#: Entries read from the ledger at a time while a view catches up.
PAGE = 2_000
_NOT_KNOWLEDGE = frozenset({"verdict.put", "feedback.put", "calibration.put"})


class VectorSink(Protocol):
    """Where passages become vectors: the passage vectors in this process, or an index actor elsewhere.

    It may lose what it had (a restarted actor) as long as ``applied_seq`` says so: the keeper then sends
    again.
    """

    def apply(self, entries: Sequence[Entry]) -> None:
        """Take in changes of knowledge in ``seq`` order; those at or before ``applied_seq`` are skipped."""
        ...

    def applied_seq(self) -> int:
        """Return the last position taken in."""
        ...


@dataclass(frozen=True, slots=True)
class KeeperStats:
    """Where the keeper stands: the ledger's end, what is visible, and each view's state."""

    head: int
    knowledge_seq: int
    vectors_seq: int
    views: dict[str, ViewState]


class Keeper(Library):
    """The one writer of a home, and the port ``Knowledge`` for everyone else. Any thread may call anything.

    Raises:
        StoreUnavailableError: another keeper owns the home.
        CorruptDataError: the ledger, or a bulk load that it points to, is damaged: restore it.
    """

    def __init__(self, home: Path, clock: Clock, vectors: VectorSink) -> None:
        self._lock = _locked(home / "ledger" / "lock")
        try:
            self._ledger = Ledger(home / "ledger" / "ledger.sqlite", clock)
            super().__init__(home, newest=self._ledger.head())
            self._vectors = vectors
            self._knowledge_seq = 0
            self._apply_lock = threading.RLock()
            self._rebuild_lock = threading.Lock()
            self.refresh()
        except BaseException:
            self._lock.close()
            raise
        self._commits = GroupCommit(self._commit)

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> WriteReceipt:
        """Write all or nothing; returns when durable and visible in every view.

        A verdict that is there already is not written again; where nothing else was to be written,
        ``replayed`` says so.

        Raises:
            InvalidValueError: a change that cannot be applied; nothing was written. ConflictError: the
            idempotency key was used for other changes. StoreUnavailableError: nothing was written, or the
            outcome is unknown and a retry with the same key is
                safe.
        """
        for change in changes:
            self._check(change)
        return self._commits.submit(Writing(tuple(changes), idempotency_key))

    def knowledge_seq(self) -> int:
        """Return the position of the last change of knowledge that every view has."""
        return self._knowledge_seq

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day (its end, UTC)."""
        return min(self._ledger.seq_at(moment), self._knowledge_seq)

    def read_entries(self, after_seq: int, limit: int) -> list[Entry]:
        """Return at most ``limit`` ledger entries after a position: what followers and sinks read."""
        return self._ledger.read(after_seq, limit)

    def verify(self) -> int:
        """Walk the ledger's chain and return its length.

        Raises:
            CorruptDataError: names the first position that does not hold.
        """
        return self._ledger.verify()

    def refresh(self) -> None:
        """Replay to every view and to the vectors what they miss: at start, or when an index came back."""
        with self._apply_lock:
            self._catch_up_views()
            self._catch_up_vectors()

    def rebuild(self, name: str) -> int:
        """Build a view anew from the ledger while the old one serves, then serve it; return its position.

        Raises:
            NotFoundError: there is no such view. ConflictError: a view is being built already.
        """
        if not self._rebuild_lock.acquire(blocking=False):
            raise ConflictError("A view is being built again already: wait until it is done.")
        try:
            fresh = self.fresh_view(name)
            self._replay(fresh)
            with self._apply_lock:
                # Writers wait for what was written meanwhile, which is little.
                self._replay(fresh)
                self.serve(fresh)
            return self.applied_seq()
        finally:
            self._rebuild_lock.release()

    def stats(self) -> KeeperStats:
        """Return where the keeper stands."""
        return KeeperStats(
            self._ledger.head(), self._knowledge_seq, self._vectors.applied_seq(), self.states()
        )

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the ledger, a view or the writer does not answer."""
        if not self._commits.is_running():
            raise StoreUnavailableError("The keeper's writer has stopped: restart the keeper.")
        self._ledger.ping()
        super().ping()

    def close(self) -> None:
        """Finish what waits, release every file, and give up the home."""
        self._commits.close()
        super().close()
        self._ledger.close()
        self._lock.close()

    def _check(self, change: Change) -> None:
        changes.check_change(change)
        if change.kind == "segment.load":
            segments.check_segment(self._home, changes.read_segment_ref(change.payload))

    def _commit(self, writings: Sequence[Writing]) -> list[WriteReceipt | KiteError]:
        with self._apply_lock:
            # What fell behind must be back first: otherwise nothing is written.
            self._catch_up_views()
            if any(change.kind not in _NOT_KNOWLEDGE for one in writings for change in one.changes):
                self._catch_up_vectors()
            written = self._ledger.append_all(writings)
            self._publish([entry for one in written for entry in one.entries])
            return [one.receipt for one in written]

    def _publish(self, entries: Sequence[Entry]) -> None:
        """Apply entries that every view is ready for, then let readers know of them."""
        self.apply(entries)
        known = [entry for entry in entries if entry.kind not in _NOT_KNOWLEDGE]
        if known:
            self._vectors.apply(known)
            self._knowledge_seq = known[-1].seq

    def _replay(self, view: View) -> None:
        while page := self._ledger.read(view.applied_seq(), PAGE):
            view.apply(page)

    def _catch_up_views(self) -> None:
        head, after = self._ledger.head(), self.applied_seq()
        while page := self._ledger.read(after, PAGE) if after < head else []:
            self.apply(page)
            after = page[-1].seq

    def _catch_up_vectors(self) -> None:
        known, after = self._ledger.knowledge_seq(), self._vectors.applied_seq()
        while page := self._ledger.read(after, PAGE) if after < known else []:
            self._vectors.apply([entry for entry in page if entry.kind not in _NOT_KNOWLEDGE])
            after = page[-1].seq
        self._knowledge_seq = known


def _locked(path: Path) -> IO[bytes]:
    """Take the home for this process, for as long as the file returned is open."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as exc:
        file.close()
        raise StoreUnavailableError(f"Another keeper owns {path.parent.parent}: stop it first.") from exc
    return file
