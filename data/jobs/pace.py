"""How fast a job goes and how long it will take, worked out from what it says. Pure.

Called by ``data.jobs.folder``. Invariant: the same words at the same moments give the same numbers; a job
that is run again, or begins another phase, is measured anew.
"""

from __future__ import annotations

import math

from data.jobs.records import JobProgress

#: Over how many seconds the rate is smoothed: a stall shows within seconds, one slow block does not.
SMOOTH_S = 10.0
#: Shortest time over which a rate is measured, seconds.
SHORTEST_S = 0.05


class Pace:
    """The rate of one job, an exponential mean over ``SMOOTH_S``. One thread."""

    def __init__(self) -> None:
        self.is_new_phase = False
        self._phase: str | None = None
        self._done = 0
        self._at_s = 0.0
        self._rate: float | None = None

    def tell(self, done: int, total: int | None, phase: str, *, now_s: float) -> JobProgress:
        """Return the progress at ``now_s``, seconds since the epoch."""
        self.is_new_phase = phase != self._phase
        if self.is_new_phase or done < self._done or now_s < self._at_s:
            self._phase, self._done, self._at_s, self._rate = phase, done, now_s, None
        elif now_s - self._at_s >= SHORTEST_S:
            self._measure(done, now_s)
        rate = self._rate or 0.0
        left = None if total is None else max(total - done, 0)
        eta = 0.0 if left == 0 else round(left / rate, 6) if left is not None and rate > 0.0 else None
        return JobProgress(done, total, round(rate, 6), eta, phase, round(now_s, 6))

    def _measure(self, done: int, now_s: float) -> None:
        passed = now_s - self._at_s
        rate = (done - self._done) / passed
        share = 1.0 if self._rate is None else 1.0 - math.exp(-passed / SMOOTH_S)
        self._rate = rate if self._rate is None else self._rate + share * (rate - self._rate)
        self._done, self._at_s = done, now_s
