"""Records that were looked up lately, by row: a row stands for one version of one vector for ever.

Used by the search of a dataset. Invariant: what is remembered is what the store would return; a row that is
gone is asked for by nobody who looks at rows that are there.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence

from data.datasets.records import VectorRecord

#: Records remembered, and the longest content and most metadata of one that is: about 20 MB at the most.
CAPACITY, MAX_CONTENT, MAX_METADATA = 4_096, 4_096, 32


class RecordMemory:
    """A small memory before ``fetch``. Any thread."""

    def __init__(
        self, fetch: Callable[[Sequence[int]], Mapping[int, VectorRecord]], capacity: int = CAPACITY
    ) -> None:
        self._fetch = fetch
        self._capacity = capacity
        self._lock = threading.Lock()
        self._known: dict[int, VectorRecord] = {}

    def get(self, rows: Sequence[int]) -> dict[int, VectorRecord]:
        """Return the records of those rows that are there."""
        known = self._known
        found = {row: record for row in rows if (record := known.get(row)) is not None}
        missing = [row for row in rows if row not in found]
        if missing:
            fetched = self._fetch(missing)
            self._keep(fetched)
            found.update(fetched)
        return found

    def _keep(self, fetched: Mapping[int, VectorRecord]) -> None:
        small = {
            row: record
            for row, record in fetched.items()
            if len(record.content or "") <= MAX_CONTENT and len(record.metadata) <= MAX_METADATA
        }
        with self._lock:
            # Begun anew when it is full: cheaper than to know which were asked for last.
            known = self._known if len(self._known) + len(small) <= self._capacity else {}
            known.update(small)
            self._known = known
