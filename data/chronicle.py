"""The views of a home beside the ledger that they are built from: what is answered with or without a writer.

Extended by the keeper, which writes, and by readers of a home at rest.
"""

from __future__ import annotations

from data.claims import TenantId
from data.ledger import Ledger
from data.views.library import Library


class Chronicle(Library):
    """The views, and where they stand in time. Subclasses open the ledger and know the position."""

    _ledger: Ledger
    _knowledge_seq: int

    def knowledge_seq(self) -> int:
        """Return the position of the last change of knowledge that every view has."""
        return self._knowledge_seq

    def seq_at(self, moment: str) -> int:
        """Return the last knowledge position at or before an ISO instant or day (its end, UTC).

        Raises:
            InvalidValueError: not an instant or a day, or one before the horizon of a compaction.
        """
        position = min(self._ledger.seq_at(moment), self._knowledge_seq)
        self.require_kept(position)
        return position

    def is_written(self, tenant: TenantId, idempotency_key: str | None) -> bool:
        """Return whether a write with this key is in the ledger."""
        return idempotency_key is not None and self._ledger.is_written(tenant, idempotency_key)
