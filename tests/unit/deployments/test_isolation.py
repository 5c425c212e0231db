"""One tenant's load is not another's outage: limiter, fair queue and verifier together, in simulated time."""

from __future__ import annotations

from typing import Any

import pytest

from data.stores.memory import MemoryStore
from tests.benchmarks.limits import LIMIT_PER_S, ROUNDS, p99, play
from tests.simulated_time import LoopClock, run_simulated

SECONDS = 20.0


def played(name: str, quiet_per_s: float) -> dict[str, Any]:
    return run_simulated(
        play(ROUNDS[name], quiet_per_s, MemoryStore(LoopClock()), seconds=SECONDS, seed=20_260_101)
    )


@pytest.mark.parametrize("quiet_per_s", [5.0, LIMIT_PER_S / 2])
def test_tenant_at_20_times_its_limit_raises_anothers_p99_by_less_than_a_fifth(quiet_per_s: float) -> None:
    """The quiet tenant waits hardly longer than alone, and the loud one has what its limit says."""
    alone = played("alone", quiet_per_s)
    beset = played("other_at_20_times_its_limit", quiet_per_s)

    assert p99([beset]) < 1.2 * p99([alone])
    assert len(beset["times_ms"]) == len(alone["times_ms"]) > 0.9 * SECONDS * quiet_per_s
    assert beset["loud_answered"] == pytest.approx(LIMIT_PER_S * (SECONDS + 1.0), abs=1.0)


def test_fair_queue_alone_bounds_the_wait_by_the_batches_at_work() -> None:
    """Without limits a flood is a matter of one batch's time, where one queue for all lets it grow."""
    fair = played("other_at_20_times_fair_queue_only", 5.0)
    neither = played("other_at_20_times_neither", 5.0)

    assert p99([fair]) < 0.6 * p99([neither])
