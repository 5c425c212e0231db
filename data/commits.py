"""Group commit: callers that wait at the same time share one transaction. Used by the keeper.

Invariant: a batch leaves as soon as the committer is free and takes everyone who waits; a lone caller never
waits for company, and each caller gets its own answer.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from data.errors import KiteError, StoreUnavailableError
from data.ledger import Writing
from data.ports import WriteReceipt
from data.shared_spans import Shared
from data.tracing import OpenSpan, current, span

#: Rows put into one transaction at most: bounds how long the callers of a batch wait for each other.
MAX_ROWS = 10_000

#: Writes a batch and returns an answer for each, in order.
Commit = Callable[[Sequence[Writing]], Sequence[WriteReceipt | KiteError]]


@dataclass(slots=True)
class _Waiting:
    writing: Writing
    span: OpenSpan | None
    done: threading.Event = field(default_factory=threading.Event)
    answer: WriteReceipt | KiteError | None = None


class GroupCommit:
    """One thread that commits for all. Any thread may submit."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
        self._thread.start()

    def submit(self, writing: Writing) -> WriteReceipt:
        """Hand in changes and wait until they are committed.

        Raises:
            StoreUnavailableError: not written, or the outcome is unknown; a retry with the same key is safe.
            KiteError: what the commit answered.
        """
        with span("append", {"kite.rows": len(writing.changes)}):
            waiting = _Waiting(writing, current())
            with self._changed:
                if self._closed:
                    raise StoreUnavailableError("The keeper is closed: open it again.")
                self._queue.append(waiting)
                self._changed.notify()
            waiting.done.wait()
        if isinstance(waiting.answer, WriteReceipt):
            return waiting.answer
        raise waiting.answer or StoreUnavailableError("The keeper stopped before it answered: retry.")

    def is_running(self) -> bool:
        """Return whether changes can be handed in."""
        return self._thread.is_alive() and not self._closed

    def close(self) -> None:
        """Commit what waits, then stop."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while batch := self._next():
            for waiting, answer in zip(batch, self._answers(batch), strict=True):
                waiting.answer = answer
                waiting.done.set()

    def _next(self) -> list[_Waiting]:
        """Return everyone who waits, up to the row limit; empty once closed and nobody waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            rows, taken = 0, 0
            while taken < len(self._queue) and (taken == 0 or rows < MAX_ROWS):
                rows += len(self._queue[taken].writing.changes)
                taken += 1
            batch, self._queue = self._queue[:taken], self._queue[taken:]
            return batch

    def _answers(self, batch: Sequence[_Waiting]) -> Sequence[WriteReceipt | KiteError]:
        try:
            with Shared("commit", [waiting.span for waiting in batch], {"kite.writes": len(batch)}):
                return self._commit([waiting.writing for waiting in batch])
        # Whatever went wrong, callers must hear of it: an unanswered one would wait for ever.
        except Exception as exc:
            text = f"The change could not be completed ({exc}): retry with the same idempotency key."
            return [StoreUnavailableError(text) for _ in batch]
