"""How long ended tasks are kept: by time, and of answers no more than a number. Pure.

Called now and then by whoever runs workers; several at once do no harm. Invariant: no task that is not ended
is ever forgotten here.
"""

from __future__ import annotations

from dataclasses import dataclass

from data.queue.ports import TaskQueue

#: How often the time that answers are kept is halved at most to get below their number.
_HALVINGS = 20


@dataclass(frozen=True, slots=True)
class Retention:
    """Answers, and cancelled tasks, are kept ``done_s``, dead tasks ``dead_s``, and ``most_done`` answers."""

    done_s: float = 24 * 3600.0
    dead_s: float = 7 * 24 * 3600.0
    most_done: int = 1_000_000

    def apply(self, queue: TaskQueue, now_s: float) -> int:
        """Forget what was kept long enough; where answers are too many, the older half and half again.

        Returns how many tasks were forgotten.

        Raises:
            StoreUnavailableError: the queue cannot be used; to be repeated.
        """
        kept_s = self.done_s
        gone = queue.prune(done_before_s=now_s - kept_s, dead_before_s=now_s - self.dead_s)
        for _ in range(_HALVINGS):
            if sum(each.done for each in queue.counts()) <= self.most_done:
                break
            kept_s /= 2.0
            gone += queue.prune(done_before_s=now_s - kept_s)
        return gone
