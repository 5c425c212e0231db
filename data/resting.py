"""The knowledge of a home that nobody writes to, open for reading in any number of processes at once.

Called by the composition root, for batches on a home that is not running: each worker reads the files itself.
Invariant: while one is open no keeper opens the home, so every answer is from one position.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Never

from data.chronicle import Chronicle
from data.errors import StoreUnavailableError
from data.home_lock import share_home
from data.knowledge import Change
from data.ledger import Ledger
from data.ports import Clock


class RestingKnowledge(Chronicle):
    """The port ``Knowledge`` over a home at rest: what a keeper left there, and nothing is ever written.

    Raises:
        StoreUnavailableError: a keeper has the home, or the last one ended before every view was up to date.
        CorruptDataError: a file is damaged.
    """

    def __init__(self, home: Path, clock: Clock) -> None:
        self._lock = share_home(home)
        try:
            self._ledger = Ledger(home / "ledger" / "ledger.sqlite", clock)
            super().__init__(home, is_resting=True)
            self._require_up_to_date()
        except BaseException:
            self._lock.close()
            raise
        self._knowledge_seq = self._ledger.knowledge_seq()
        if (said := self._ledger.horizon()) is not None:
            self._kept_from = (said.seq, said.ts)

    def _require_up_to_date(self) -> None:
        if (applied := self.applied_seq()) != (head := self._ledger.head()):
            raise StoreUnavailableError(
                f"The stores of {self._home} stand at {applied} and its ledger at {head}: start it once."
            )

    def append(self, changes: Sequence[Change], *, idempotency_key: str | None = None) -> Never:
        """Raise ``StoreUnavailableError``: nothing is written to a home at rest."""
        del changes, idempotency_key
        raise StoreUnavailableError(f"The home {self._home} is only read: start it to write to it.")

    def close(self) -> None:
        """Release every file."""
        super().close()
        self._ledger.close()
        self._lock.close()
