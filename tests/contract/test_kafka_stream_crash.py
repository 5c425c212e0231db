"""A short run of the crash runs that ``python -m tests.crash.stream_runs`` makes longer."""

from __future__ import annotations

import pytest

from tests.crash.stream_runs import run


@pytest.mark.timeout(200)
def test_kafka_consumers_killed_throughout_answer_every_claim_once() -> None:
    """400 claims and three kills: a reader of committed records finds one answer to each, or its reason."""
    report = run(400, 3, seed=3)

    assert report.faults == []
    assert report.verdicts + report.dead_bad + report.dead_worn == 400
    assert report.dead_bad == 4
    assert report.kills >= 2
