"""One tenant's load is not another's outage: limiter, fair queue and verifier together, in simulated time."""

from __future__ import annotations

from typing import Any

import pytest

from data.stores.memory import MemoryStore
from tests.benchmarks.limits import LIMIT_PER_S, ROUNDS, p99, play
from tests.simulated_time import LoopClock, run_simulated

SECONDS = 10.0


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
    assert len(beset["times_ms"]) == len(alone["times_ms"]) > 0.8 * SECONDS * quiet_per_s
    assert beset["loud_answered"] == pytest.approx(LIMIT_PER_S * (SECONDS + 1.0), abs=2.0)


def test_fair_queue_alone_keeps_a_flood_from_a_quiet_tenant() -> None:
    """Without limits too a flood costs others less than a fifth; in one queue for all, thrice the time."""
    alone, fair, flooded = (
        played(name, 5.0)
        for name in ("alone", "other_at_20_times_fair_queue_only", "other_at_20_times_neither")
    )

    assert p99([fair]) < 1.2 * p99([alone])
    assert p99([flooded]) > 3.0 * p99([alone])
    assert fair["loud_answered"] > 0.9 * SECONDS * 20 * LIMIT_PER_S
