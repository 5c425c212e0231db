"""Keys and tenants in a replica's memory, never older than a second.

Asked for every request. Invariant: an answer rests on what the keeper said at most ``dead_after_s`` ago; when
the keeper cannot be asked for longer, there is no answer (fail closed).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Hashable

from data.access.desk import implicit_tenants
from data.access.records import AccessChanges, KeyRecord, TenantRecord
from data.claims import TenantId
from data.errors import StoreUnavailableError, UnavailableError
from data.standing import unknown_edition

#: Seconds until the keeper is asked again after it did not answer.
RETRY_S = 0.1
_LOG = logging.getLogger(__name__)


class AccessDirectory:
    """The last record of every key and tenant. Any thread.

    ``changes(after_seq)`` asks the keeper. Before a lookup see to it that the directory ``is_fresh``, or
    ``refresh`` it, which waits for the keeper: lookups themselves never wait. ``edition`` is other when there
    may be something new, ``None`` where nobody knows: while it stays, nobody is asked.
    """

    def __init__(
        self,
        changes: Callable[[int], AccessChanges],
        *,
        refresh_s: float,
        dead_after_s: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
        edition: Callable[[], Hashable | None] = unknown_edition,
    ) -> None:
        self._changes = changes
        self._edition = edition
        self._known: Hashable | None = None
        self._refresh_s = refresh_s
        self._dead_after_s = dead_after_s
        self._now = monotonic
        self._lock = threading.Lock()
        self._seq = 0
        self._as_of = float("-inf")
        self._retry_at = float("-inf")
        self._keys: dict[str, KeyRecord] = {}
        self._tenants: dict[TenantId, TenantRecord] = implicit_tenants()

    def is_fresh(self) -> bool:
        """Return whether what is known is younger than ``refresh_s``, or nothing was written since."""
        now = self._now()
        # While half of that time is left the answer is the same whatever the edition: it is not looked at.
        if now - self._as_of < self._refresh_s / 2:
            return True
        if self._known is not None and self._edition() == self._known:
            self._as_of = now
        return now - self._as_of < self._refresh_s

    def is_alive(self) -> bool:
        """Return whether what is known is young enough to be answered from."""
        return self._now() - self._as_of < self._dead_after_s

    def refresh(self, *, anew: bool = False) -> None:
        """Ask the keeper what is new, unless that was done meanwhile: one thread asks, others wait for it.

        ``anew``: what was known when this call came is not new enough, however young.

        Raises:
            StoreUnavailableError: what is known is older than ``dead_after_s``, and the keeper is away.
        """
        came_at = self._now()
        if self._lock.acquire(timeout=self._dead_after_s):
            try:
                known = self._as_of > came_at if anew else self.is_fresh()
                if not known and self._now() >= self._retry_at:
                    self._ask()
            finally:
                self._lock.release()
        self._require_alive()

    def key(self, key_id: str) -> KeyRecord | None:
        """Return what is kept of a key, or ``None``.

        Raises:
            StoreUnavailableError: what is known is too old.
        """
        self._require_alive()
        return self._keys.get(key_id)

    def tenant(self, name: TenantId) -> TenantRecord | None:
        """Return what is kept of a tenant, or ``None``.

        Raises:
            StoreUnavailableError: what is known is too old.
        """
        self._require_alive()
        return self._tenants.get(name)

    def _require_alive(self) -> None:
        if not self.is_alive():
            raise StoreUnavailableError(
                "Who may come in cannot be told at the moment: try again in a few seconds."
            )

    def _ask(self) -> None:
        # Known as of the moment before asking: what is written after it may be missing from the answer.
        edition, asked_at = self._edition(), self._now()
        keys, tenants = self._keys, self._tenants
        try:
            found = self._changes(self._seq)
            if found.seq < self._seq:  # another ledger than before: a home that was restored
                found, keys, tenants = self._changes(0), {}, implicit_tenants()
        except UnavailableError as exc:
            self._retry_at = self._now() + RETRY_S
            _LOG.warning("The list of keys is not renewed: %s", exc)
            return
        self._keys = keys | {record.id: record for record in found.keys}
        self._tenants = tenants | {record.id: record for record in found.tenants}
        self._seq = found.seq
        self._known, self._as_of = edition, asked_at
