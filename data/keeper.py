"""The keeper: owns the ledger and the views of one home, takes every write, answers every read.

Plain Python; the actor of the same name is a thin shell over it. Invariant: a write is acknowledged when
its rows are durable in the ledger and applied to every view and to the vectors, in ``seq`` order;
``knowledge_seq`` never names a position that some view does not have yet.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from data import changes, segments
from data.admission import Admission
from data.chronicle import Chronicle
from data.commits import GroupCommit
from data.compaction import Compacted, Superseded, erase, old_copies, remove_discarded, size_of, superseded
from data.errors import ConflictError, InvalidValueError, KiteError, StoreUnavailableError
from data.home_lock import hold_home
from data.knowledge import Change
from data.ledger import Entry, Horizon, Ledger, Writing, Written
from data.ledger_schema import NOT_KNOWLEDGE
from data.ports import Clock, WriteReceipt
from data.scrub import Checked, checked
from data.standing import Board
from data.views.library import ViewState
from data.views.view import View

#: Entries read from the ledger at a time while a view catches up.
PAGE = 2_000
#: Rows whose chain is followed when a home is opened, about a second's worth; ``check`` follows all of it.
OPENING_ROWS = 100_000
#: Name of the view that the sink holds.
VECTORS = "vectors"
#: Seconds between two attempts to finish a compaction that was cut off.
RETRY_S = 5.0
_NOT_KNOWLEDGE = frozenset(NOT_KNOWLEDGE)
_LOG = logging.getLogger(__name__)


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

    def rebuild(self, read: Callable[[int, int], Sequence[Entry]]) -> int:
        """Build everything anew from the ledger while the old serves, then serve it; return its position."""
        ...


@dataclass(frozen=True, slots=True)
class KeeperStats:
    """Where the keeper stands: the ledger's end, what is visible, each view's state, and the horizon."""

    head: int
    knowledge_seq: int
    vectors_seq: int
    views: dict[str, ViewState]
    horizon: int = 0


class Keeper(Chronicle):
    """The one writer of a home, and the port ``Knowledge`` for everyone else. Any thread may call anything.

    Raises:
        StoreUnavailableError: another keeper owns the home.
        CorruptDataError: the ledger, or a bulk load that it points to, is damaged: restore it.
    """

    def __init__(self, home: Path, clock: Clock, vectors: VectorSink) -> None:
        self._lock = hold_home(home)
        self._board = Board(home)
        try:
            self._ledger = Ledger(home / "ledger" / "ledger.sqlite", clock)
            self._ledger.verify(last=OPENING_ROWS)
            super().__init__(home, newest=self._ledger.head())
            self._vectors = vectors
            self._knowledge_seq = 0
            self._apply_lock = threading.RLock()
            self._rebuild_lock = threading.Lock()
            self._closing = threading.Event()
            self._compaction = self._found_compaction()
            self.refresh()
            self._admission = Admission(self._ledger, self, home)
        except BaseException:
            self._board.close()
            self._lock.close()
            raise
        self._commits = GroupCommit(self._commit)
        if self._compaction:
            self._compaction.start()

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
            self._board.tell(self._knowledge_seq)

    def rebuild(self, name: str) -> int:
        """Build a view anew from the ledger while the old one serves, then serve it; return its position.

        ``vectors`` is built by the sink that holds them.

        Raises:
            NotFoundError: there is no such view. ConflictError: a view is being built already.
        """
        with self._alone():
            return self._rebuild(name)

    def compact(self, horizon: int, *, dry_run: bool = False) -> Compacted:
        """Erase for good what was superseded at or before a position; see ``data.compaction``.

        One that was cut off is finished, whatever is asked for. Reads and writes go on, but for the time in
        which the ledger's file is written anew.

        Raises:
            ConflictError: a view is being built, or a backup is at work. InvalidValueError: no such
            position, or it lies before that of an earlier compaction.
        """
        from data.backups.source import backup_lock

        with self._alone(), backup_lock(self._home):
            said = self._ledger.horizon()
            at = self._horizon_for(horizon, said)
            before, gone = size_of(self._ledger, self._home), superseded(self._ledger, self._home, at)
            if not dry_run:
                if said is None or said.is_done:
                    with self._apply_lock:
                        self._catch_up_views()
                        self._publish([self._ledger.begin_compaction(at, "operator")])
                self._carry_out(gone)
            after = size_of(self._ledger, self._home)
            counted = (len(gone.payloads), sum(gone.payloads.values()), len(gone.segments))
            return Compacted(at, *counted, before, after, dry_run, old_copies(self._home))

    def _horizon_for(self, wanted: int, said: Horizon | None) -> int:
        """Return the knowledge position to compact up to."""
        if said and not said.is_done:
            return said.seq
        head = self._ledger.head()
        if not 0 < wanted <= head:
            raise InvalidValueError(
                f"The horizon {wanted} is no position of this ledger: give one from 1 to {head}."
            )
        at = self._ledger.knowledge_seq(wanted)
        if said and at < said.seq:
            raise InvalidValueError(
                f"The past before seq {said.seq} is erased already: give a later horizon than {wanted}."
            )
        return at

    def _carry_out(self, gone: Superseded | None = None) -> None:
        """Do what the last compaction's row says, from wherever it was left."""
        said = self._ledger.horizon()
        if said is None or said.is_done:
            return
        self._kept_from = (said.seq, said.ts)
        erase(self._ledger, self._home, gone or superseded(self._ledger, self._home, said.seq))
        self.renew()
        self._ledger.finish_compaction(said.asked_seq)

    def renew(self) -> None:
        """Write the ledger's file and every view anew, so that nothing of what was taken out is left."""
        with self._apply_lock:  # nobody takes in a segment while files go
            remove_discarded(self._ledger, self._home)
        self._ledger.reclaim()
        for name in (*self.states(), VECTORS):
            self._rebuild(name)
        self.purge()

    @property
    def ledger(self) -> Ledger:
        """The ledger, for reading."""
        return self._ledger

    @contextmanager
    def erasing(self) -> Iterator[Ledger]:
        """Lend the ledger to who erases a tenant: nothing is rebuilt or backed up meanwhile.

        Raises:
            ConflictError: something is.
        """
        from data.backups.source import backup_lock

        with self._alone(), backup_lock(self._home):
            yield self._ledger

    def write_own(self, changes: Sequence[Change]) -> tuple[Entry, ...]:
        """Write rows that no caller may send, and let every view have them."""
        with self._apply_lock:
            self._catch_up_views()
            (written,) = self._ledger.append_all([Writing(tuple(changes))])
            self._publish(written.entries)
            self._admission.forget()
            return written.entries

    def _found_compaction(self) -> threading.Thread | None:
        """Refuse the erased past from now on; return who finishes a compaction that was cut off."""
        said = self._ledger.horizon()
        if said is None:
            return None
        self._kept_from = (said.seq, said.ts)
        return None if said.is_done else threading.Thread(target=self._finish, name="compaction")

    def _finish(self) -> None:
        from data.backups.source import backup_lock

        while not self._closing.is_set():
            try:
                with self._alone(), backup_lock(self._home):
                    self._carry_out()
                return
            except KiteError as exc:
                _LOG.warning("The compaction is not finished yet: %s", exc)
                self._closing.wait(RETRY_S)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if not self._rebuild_lock.acquire(blocking=False):
            raise ConflictError("A view is being built, or the ledger compacted: wait until it is done.")
        try:
            yield
        finally:
            self._rebuild_lock.release()

    def _rebuild(self, name: str) -> int:
        if name == VECTORS:
            return self._vectors.rebuild(self._ledger.read_sound)
        fresh = self.fresh_view(name)
        self._replay(fresh)
        with self._apply_lock:
            # Writers wait for what was written meanwhile, which is little.
            self._replay(fresh)
            self.serve(fresh)
            self._board.tell(self._knowledge_seq)
        return self.applied_seq()

    def check(self, *, views: bool = False) -> Checked:
        """Read every byte of the ledger and its segments; with ``views``, build each view beside and compare.

        Raises:
            ConflictError: a view is being built, or the ledger compacted.
        """
        with self._alone():
            found = checked(self._ledger, self._home)
            differ = [name for name in self.states() if views and not found.faults and self._differs(name)]
        faults = [f"The view {name} is not what the ledger gives: build it anew." for name in differ]
        return replace(found, faults=(*found.faults, *faults))

    def _differs(self, name: str) -> bool:
        fresh = self.fresh_view(name)
        try:
            self._replay(fresh)
            with self._apply_lock:
                self._replay(fresh)
                (served,) = (view for view in self.views() if view.name == name)
                return fresh.digest() != served.digest()
        finally:
            fresh.close()

    def stats(self) -> KeeperStats:
        """Return where the keeper stands."""
        return KeeperStats(
            self._ledger.head(),
            self._knowledge_seq,
            self._vectors.applied_seq(),
            self.states(),
            self._kept_from[0],
        )

    def ping(self) -> None:
        """Raise ``StoreUnavailableError`` when the ledger, a view or the writer does not answer."""
        if not self._commits.is_running():
            raise StoreUnavailableError("The keeper's writer has stopped: restart the keeper.")
        self._ledger.ping()
        super().ping()

    def close(self) -> None:
        """Finish what waits, release every file, and give up the home."""
        self._closing.set()
        self._commits.close()
        if self._compaction:
            self._compaction.join()
        self._board.close()
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
            refusals = self._admission.refusals(writings)
            passed = [one for one, refusal in zip(writings, refusals, strict=True) if refusal is None]
            try:
                written = iter(self._ledger.append_all(passed) if passed else [])
            except BaseException:
                self._admission.forget()
                raise
            answers = [refusal or next(written) for refusal in refusals]
            done = [one for one in answers if isinstance(one, Written)]
            self._publish([entry for one in done for entry in one.entries])
            return [one.receipt if isinstance(one, Written) else one for one in answers]

    def _publish(self, entries: Sequence[Entry]) -> None:
        """Apply entries that every view is ready for, then let readers know of them."""
        self.apply(entries)
        known = [entry for entry in entries if entry.kind not in _NOT_KNOWLEDGE]
        if known:
            self._vectors.apply(known)
            self._knowledge_seq = known[-1].seq
        if any(entry.kind != "verdict.put" for entry in entries):
            self._board.tell(self._knowledge_seq)

    def _replay(self, view: View) -> None:
        while page := self._ledger.read_sound(view.applied_seq(), PAGE):
            view.apply(page)

    def _catch_up_views(self) -> None:
        head, after = self._ledger.head(), self.applied_seq()
        while page := self._ledger.read_sound(after, PAGE) if after < head else []:
            self.apply(page)
            after = page[-1].seq

    def _catch_up_vectors(self) -> None:
        known, after = self._ledger.knowledge_seq(), self._vectors.applied_seq()
        while page := self._ledger.read_sound(after, PAGE) if after < known else []:
            self._vectors.apply([entry for entry in page if entry.kind not in _NOT_KNOWLEDGE])
            after = page[-1].seq
        self._knowledge_seq = known
