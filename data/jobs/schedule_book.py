"""Which schedules there are, folded from the ledger's rows, which are read beside its writer.

Used by the timetable and, through the keeper, by the API. Invariant: a tenant's schedule is found under that
tenant only; one that was removed or erased is not there.
"""

from __future__ import annotations

import threading
from pathlib import Path

from data.chain import Entry
from data.claims import TenantId
from data.datasets.ledger_rows import COLUMNS, LedgerRows
from data.errors import NotFoundError
from data.jobs.schedules import DELETE_SCHEDULE, Schedule, read_schedule
from data.ledger_schema import IS_OF_SCHEDULES
from data.redaction import is_erased

#: Rows read from the ledger at a time.
_PAGE = 1_000


class ScheduleRows(LedgerRows):
    """The rows of schedules in a ledger's file."""

    def of_schedules(self, after_seq: int) -> list[Entry]:
        """Return the next rows after a position, in order.

        Raises:
            CorruptDataError: a row is altered.
        """
        return self._entries(_OF_SCHEDULES, after_seq, _PAGE)


_OF_SCHEDULES = f"{COLUMNS} WHERE {IS_OF_SCHEDULES} AND e.seq > ? ORDER BY e.seq LIMIT ?"


class ScheduleBook:
    """The schedules of all tenants, as the ledger has them. Any thread."""

    def __init__(self, ledger: Path) -> None:
        self._rows = ScheduleRows(ledger)
        self._lock = threading.Lock()
        self._known: dict[tuple[TenantId, str], Schedule] = {}
        self._seq = 0

    def of(self, tenant: TenantId) -> list[Schedule]:
        """Return a tenant's schedules, oldest first."""
        own = [schedule for whose, schedule in self.all() if whose == tenant]
        return sorted(own, key=lambda one: (one.created_s, one.id))

    def find(self, tenant: TenantId, schedule_id: str) -> Schedule:
        """Return a tenant's schedule.

        Raises:
            NotFoundError: it has none of that id.
        """
        for schedule in self.of(tenant):
            if schedule.id == schedule_id:
                return schedule
        raise NotFoundError(f"There is no schedule {schedule_id[:80]!r} of yours here.")

    def all(self) -> list[tuple[TenantId, Schedule]]:
        """Return every schedule with its tenant, by tenant and id."""
        with self._lock:
            while page := self._rows.of_schedules(self._seq):
                for entry in page:
                    self._take(entry)
            return [(tenant, self._known[tenant, name]) for tenant, name in sorted(self._known)]

    def _take(self, entry: Entry) -> None:
        key = (entry.tenant, entry.key)
        if entry.kind == DELETE_SCHEDULE or is_erased(entry.payload):
            self._known.pop(key, None)
        else:
            self._known[key] = read_schedule(entry.payload)
        self._seq = entry.seq
