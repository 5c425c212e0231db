"""The real clock. Tests inject their own."""

from __future__ import annotations

import time


class SystemClock:
    """Tells the machine's time."""

    def now_s(self) -> float:
        """Return seconds since the epoch, UTC."""
        return time.time()
