"""How many workers a queue needs: Serve's autoscaling by the depth that the workers themselves report.

Serve's controller runs this; it opens no store. Serve keeps the answer between the bounds of the settings and
waits out their delays.
"""

from __future__ import annotations

import math
from typing import Any

#: The figure that every worker reports: tasks of the whole queue that are ready or at work.
DEPTH = "queue_depth"


class QueueDepthPolicy:
    """One worker for every ``tasks_per_worker`` tasks that are ready or at work."""

    def __init__(self, tasks_per_worker: int) -> None:
        self._tasks_per_worker = tasks_per_worker

    def __call__(self, ctx: Any) -> tuple[int, dict[str, Any]]:
        """Return how many replicas are wanted, for Serve's ``AutoscalingContext``."""
        reports = (ctx.aggregated_metrics or {}).get(DEPTH) or {}
        if not reports:
            return ctx.target_num_replicas, {}  # nobody has reported yet
        # Each worker reports on the whole queue, so the figures differ by their age alone.
        return max(1, math.ceil(max(reports.values()) / self._tasks_per_worker)), {}
